"""Rows of a table as the decision that a law is a function of."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from t2jax.literature import with_fields
from t2jax.quantities import Allocation

__all__ = ["USUAL", "log_decision"]

USUAL = ("params", "tokens", "samples")
"""What every allocation has."""


def log_decision(logs: Mapping[str, Any]) -> Allocation:
    """An allocation of logarithms, one for each row; k = 1 where it is not there.

    Further columns are its further variables, whether or not they are declared as such.
    """
    full = {name: logs[name] if name in logs else jnp.zeros_like(logs["params"]) for name in USUAL}
    others = {name: logs[name] for name in sorted(logs) if name not in USUAL}
    return with_fields(Allocation(1.0, 1.0, 1.0), **full, others=others)
