"""A hint to XLA: compute this once."""

from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["once"]

_BARRIERS_HOLD = tuple(int(part) for part in jax.__version__.split(".")[:3]) >= (0, 11, 2)


def once(tree: Any) -> Any:
    """The same floating arrays, with the same derivatives, computed once however many outputs depend on them.

    XLA's CPU fusion otherwise repeats shared cheap expressions in the kernel of every output they reach, and compiles
    each: a Newton step on three variables ran six times slower, and compiled three times slower. Releases before
    0.11.2 drop the barrier before they fuse. There a division by a one that the compiler cannot see does it, as
    divisions are never repeated.
    """
    if _BARRIERS_HOLD:
        return jax.lax.optimization_barrier(tree)
    return jax.tree.map(lambda a: a / jax.lax.stop_gradient(jnp.where(a == a, jnp.ones_like(a), 2.0)), tree)
