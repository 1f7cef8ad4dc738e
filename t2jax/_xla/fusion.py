"""Hints to XLA: compute this once, compile this in a hurry."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["IN_A_HURRY", "jit_in_a_hurry", "once"]

IN_A_HURRY: dict[str, Any] = {"xla_backend_optimization_level": 0}
if jax.__version_info__ < (0, 11):
    # What Python 3.11 gets compiles a third faster so. Without optimisation its older emitters are wrong: searches that
    # take differences do not end. Later releases have no choice of emitters.
    IN_A_HURRY = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
"""How XLA compiles for a CPU what will run for a shorter time than it takes to compile."""


def jit_in_a_hurry(fn: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`jax.jit(fn, **options)`, compiled in a hurry where the backend is a CPU."""
    usual, hurried = jax.jit(fn, **options), jax.jit(fn, compiler_options=IN_A_HURRY, **options)
    return lambda *arguments: (hurried if jax.default_backend() == "cpu" else usual)(*arguments)


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
    # As the solution of x = a, as its derivatives are then computed once, too, whatever the directions. (One by one:
    # that of several fails where only some of them move.)
    return jax.tree.map(lambda a: jax.lax.custom_linear_solve(lambda x: x, a, _divided, _divided), tree)


def _divided(_: Any, a: Any) -> Any:
    return a / jnp.where(a == a, jnp.ones_like(a), 2.0)
