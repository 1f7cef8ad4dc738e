"""Tails of the beta-binomial distribution and of the Beta at 1/2, term by term: what a majority vote needs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from t2jax._numerics.special import log_failure

__all__ = ["majority", "upper_half"]


@jax.jit
def majority(a: Float[Array, "..."], b: Float[Array, "..."], m: Int[Array, "..."]) -> Float[Array, "..."]:
    """P(X ≥ m), X beta-binomial of 2m − 1 trials with p ~ Beta(a, b); all of one shape. 2m steps."""
    return _of_smaller(_majority, a, b, m)


@jax.jit
def upper_half(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """P(p > 1/2), p ~ Beta(a, b), of one shape: the regularised incomplete beta function I_{1/2}(b, a)."""
    return _of_smaller(_upper_half, a, b)


def _of_smaller(tail: Callable[..., Array], a: Array, b: Array, *others: Array) -> Array:
    """tail(a, b) where a ≤ b, else 1 − tail(b, a): a small probability is added up, not left over."""
    # Not minimum and maximum: where a = b they share out the derivatives.
    ordered = a <= b
    small = tail(jnp.where(ordered, a, b), jnp.where(ordered, b, a), *others)
    return jnp.where(ordered, small, 1.0 - small)


def _by_forward_mode(f: Callable[..., Array]) -> Callable[..., Array]:
    """f(a, b, ...) of scalars, over arrays, with reverse derivatives in a and b: loops have forward ones only."""
    value = jnp.vectorize(f)

    @jax.custom_jvp
    def g(a: Array, b: Array, *others: Array) -> Array:
        return value(a, b, *others)

    @g.defjvp
    def _(primals: tuple[Array, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        (a, b, *others), (da, db, *_) = primals, tangents
        out, of_a = jax.jvp(lambda a: value(a, b, *others), (a,), (jnp.ones_like(a),))
        _, of_b = jax.jvp(lambda b: value(a, b, *others), (b,), (jnp.ones_like(b),))
        return out, of_a * da + of_b * db

    return g


@_by_forward_mode
def _majority(a: Array, b: Array, m: Array) -> Array:
    one = jnp.ones_like(a)

    def raise_m(i: Array, first: Array) -> Array:  # C(2i−1, i) E[p^i q^(i−1)] from i to i + 1
        i = i.astype(a.dtype)
        both = a + b + 2.0 * i
        return first * ((2.0 * (2.0 * i + 1.0) / (i + 1.0)) * ((a + i) / both) * ((b + i - 1.0) / (both - 1.0)))

    def add(j: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:  # the probability of X = j, from j to j + 1
        total, term = sums
        left = (2 * m - 1 - j).astype(a.dtype)
        j = j.astype(a.dtype)
        term = term * ((left / (j + 1.0)) * ((a + j) / (b + left - 1.0)))
        return total + term, term

    first = jax.lax.fori_loop(jnp.ones_like(m), m, raise_m, a / (a + b))
    return first * jax.lax.fori_loop(m, 2 * m - 1, add, (one, one))[0]


@_by_forward_mode
def _upper_half(a: Array, b: Array) -> Array:
    # I_x(b, a) = x^b (1−x)^a / (b B(a, b)) · Σ_n (a+b)_n/(b+1)_n x^n at x = 1/2 (DLMF 8.17.8): for a ≤ b it falls.
    one = jnp.ones_like(a)
    enough = jnp.finfo(a.dtype).eps * 1e-2

    def falls(state: tuple[Array, Array, Array]) -> Array:
        n, total, term = state
        return term > enough * total * (1.0 - (a + b + n) / (b + 1.0 + n) / 2.0)

    def add(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        n, total, term = state
        term = term * ((a + b + n) / (b + 1.0 + n) / 2.0)
        return n + 1.0, total + term, term

    total = jax.lax.while_loop(falls, add, (jnp.zeros_like(a), one, one))[1]
    # b·B(a, b) = (a + b)·B(a, b + 1), and B(a, b + 1)/B(a, 1) is a ratio that special.py knows to all digits.
    return total * (a / (a + b)) * jnp.exp(-(a + b) * jnp.log(2.0).astype(a.dtype) - log_failure(a, one, b))
