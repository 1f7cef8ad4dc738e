"""Which parts of a decision a law reads."""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp

from t2jax.quantities import Allocation, Quantity

__all__ = ["columns_read"]


def columns_read(model: Quantity) -> tuple[str, ...]:
    """The names of what a law reads of a decision: found by looking on while it is traced."""
    watched = _Watched()
    with contextlib.suppress(Exception):  # whatever a law does with what it has read, its own fit tells what is wrong
        jax.eval_shape(model.score, watched)
    return tuple(sorted(watched.names))


@jax.tree_util.register_pytree_node_class
class _Watched:
    """A decision that has whatever is asked of it, and remembers what was."""

    def __init__(self, names: set[str] | None = None):
        self.names = set() if names is None else names

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "others":  # what further variables there are is found by their names
            return {}
        known = getattr(Allocation, name, None)
        if isinstance(known, property) and known.fget is not None:  # such as D/N, of what it is made of
            return known.fget(self)
        self.names.add(name)
        return jnp.asarray(1.0)  # of whatever precision the law has

    def tree_flatten(self) -> tuple[tuple[()], "_Watched"]:
        return (), self

    @classmethod
    def tree_unflatten(cls, watched: "_Watched", _: Any) -> "_Watched":
        return watched
