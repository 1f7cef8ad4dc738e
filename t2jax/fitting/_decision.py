"""Rows of a table as the decision that a law is a function of."""

import functools
from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from t2jax.quantities import Allocation

__all__ = ["USUAL", "log_decision"]

USUAL = ("params", "tokens", "samples")
"""The coordinates of an `Allocation`."""


def log_decision(logs: Mapping[str, Any]) -> Any:
    """A decision of logarithms, one for each row; k = 1 where it is not there.

    An allocation; with more columns a named tuple that has them, too.
    """
    full = {name: logs[name] if name in logs else jnp.zeros_like(logs["params"]) for name in USUAL}
    others = tuple(sorted(name for name in logs if name not in USUAL))
    if not others:
        return jax.tree.unflatten(jax.tree.structure(Allocation(1.0, 1.0, 1.0)), list(full.values()))
    return _with(others)(**full, **{name: logs[name] for name in others})


@functools.cache  # one class for the same columns, so that what was compiled is shared
def _with(others: tuple[str, ...]) -> Any:
    return namedtuple("Decision", (*USUAL, *others))
