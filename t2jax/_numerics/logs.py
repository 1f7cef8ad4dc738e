"""Logarithms whose derivatives hold wherever the logarithms do."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._xla.cpu_log import log_by_bits

__all__ = ["log", "log_sum"]


@jax.custom_jvp
def log(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log x of any shape, x > 0. JAX's own has x² in its second derivative, which in float32 ends at 1e19 FLOPs."""
    return log_by_bits(x) if x.dtype == jnp.float64 else jnp.log(x)


@log.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return log(x), dx * _reciprocal(x)


@jax.custom_jvp
def _reciprocal(x: Array) -> Array:
    return 1.0 / x


@_reciprocal.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    inverse = _reciprocal(x)
    return inverse, -(dx * inverse) * inverse  # in this order: dx is about as large as x


def log_sum(*terms: tuple[Any, Float[Array, "..."] | float]) -> Float[Array, "..."]:
    """log Σ cᵢ·exp(zᵢ) of terms (cᵢ ≥ 0, zᵢ), with derivatives that are right also where some cᵢ are 0."""
    # The shift only has to keep exp in range, so it carries no derivative and need not know the coefficients.
    shift = terms[0][1]
    for _, z in terms[1:]:
        shift = jnp.maximum(shift, z)
    shift = jax.lax.stop_gradient(shift)
    total = sum(c * jnp.exp(z - shift) for c, z in terms)
    return shift + log(total)
