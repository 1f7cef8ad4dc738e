"""The compute-optimal line of any loss law: where d L/d log N = d L/d log D."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from t2jax.quantities import Allocation, Quantity

__all__ = ["FAR", "balanced"]

FAR = 80.0
"""e^±80: as far as the line is looked for."""


def balanced(law: Quantity, log_params: Array, log_tokens: Array, slide: Array) -> tuple[Array, Array]:
    """From (log N, log D), the point of the compute-optimal line on the path log N − slide·t, log D + t.

    slide 0 gives the tokens for which N parameters are compute-optimal, slide 1 the optimum for 6ND FLOPs. Found by
    bisection, which a convex log L makes safe; t = ±FAR where there is none. Pure, of any shape.
    """

    def at(t: Array) -> tuple[Array, Array]:
        return log_params - slide * t, log_tokens + t

    def loss(log_params: Array, log_tokens: Array) -> Array:
        return law.log_value(Allocation(log_params, log_tokens))  # of logarithms, as `score` takes it

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        ones = jnp.ones_like(middle)
        _, excess = jax.jvp(loss, at(middle), (ones, -ones))  # positive where more tokens would help more
        return jnp.where(excess > 0, middle, low), jnp.where(excess > 0, high, middle)

    ends = jnp.full_like(log_params, -FAR), jnp.full_like(log_params, FAR)
    low, high = jax.lax.fori_loop(0, 64, halve, ends)
    return at(0.5 * (low + high))
