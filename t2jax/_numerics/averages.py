"""Averages over a Beta-distributed pass rate that have no closed form, by quadrature without cancellation.

The variable is t = logit p. There every integrand is analytic for |Im t| < π and decays exponentially, so that the
trapezoidal rule with step h errs by exp(−π²/h), and no endpoint is singular. What decays slowly, as exp(a·t) for the
a ≪ 1 of hard tasks, is first taken off exactly (`average_stopped`, `beta_average`); what is left is an average over
Beta(a + 1, b + 1). Weights are normalised by their own sum: no gamma function appears.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._numerics.special import expm1_over, log1p_over, log_failure

__all__ = ["average_stopped", "beta_average", "stopped"]


def stopped(x: Float[Array, "..."], k: Float[Array, "..."]) -> Float[Array, "..."]:
    """(1 − (1 − x)^k)/x = Σ_{j<k} (1 − x)^j of one shape: samples until the first success, at most k; k at x = 0.

    x in [0, 1], k ≥ 1 and real.
    """
    high = x > 0.5
    # Rounding may lift an average of probabilities above 1.
    low, top = jnp.where(high, 0.25, x), jnp.where(high & (x <= 1.0), x, 1.0)
    slow = log1p_over(-low)  # −log(1 − x)/x
    # Near 1 a power of 1 − x, which is exact there, whose derivatives hold at x = 1.
    return jnp.where(high, (1.0 - (1.0 - top) ** k) / top, k * slow * expm1_over(-k * low * slow))


@jax.jit  # traced once, however many measures are made of it
def average_stopped(a: Array, b: Array, k: Array, c: Array, s: Array) -> Float[Array, "..."]:
    """E[S(β)], S(β) = (1 − (1 − β)^k)/β, β = c·p + s·(1 − p), p ~ Beta(a, b); all of one shape and dtype.

    Relative errors below 1e-11 (float64) and 2e-5 (float32) over a in [1e-3, 50], b in [1e-2, 1e6], k in [1, 1e6].
    """
    # Under (p, a, c) ↔ (1 − p, b, s) nothing changes: let c be the larger, so that S falls with p.
    swap = s > c
    a, b, c, s = jnp.where(swap, b, a), jnp.where(swap, a, b), jnp.where(swap, s, c), jnp.where(swap, c, s)
    # D(p) = (S(β) − S(c))/(1 − p) ≥ 0 is log-convex in −log(1 − p), as sums of powers of 1 − p with positive
    # coefficients are. So it lies above D(0)·(1 − p)^κ, its tangent there, whose average is known. Three positive
    # terms; κ only divides the work between them, so no derivative passes through it.
    end = stopped(c, k)
    at_zero, slope = jax.jvp(lambda x: stopped(x, k), (s,), (jnp.ones_like(s),))
    drop = at_zero - end
    flat = drop <= 0.0
    kappa = jnp.maximum((s - c) * slope / jnp.where(flat, 1.0, drop) - 1.0, 0.0)
    kappa = jax.lax.stop_gradient(jnp.where(flat, 0.0, kappa))
    c_, s_, k_, end_, drop_, kappa_ = (x[..., None] for x in (c, s, k, end, drop, kappa))

    def above_tangent(at: _Nodes) -> Array:
        fall = (stopped(c_ * at.p + s_ * at.q, jnp.broadcast_to(k_, at.p.shape)) - end_) / at.q
        return (fall - drop_ * jnp.exp(kappa_ * at.log_q)) / at.p

    rest = _average(above_tangent, a + 1.0, b + 1.0, kappa + 1.0, jnp.ones_like(kappa))
    tangent = drop * jnp.exp(log_failure(a, b + 1.0, kappa))
    return end + b / (a + b) * (tangent + a / (a + b + 1.0) * rest)


def beta_average(f: Callable[[Array, Array], Array], a: Array, b: Array, left: Array, right: Array) -> Array:
    """E[f(p, 1 − p)], p ~ Beta(a, b), of an f smooth in [0, 1] that bends at p = 1/left or q = 1/right.

    a, b, left, right: of one shape, (..., 1). f maps p and q of shape (..., n) to (..., n), with any axes before.
    Returns f's shape without the last axis.
    """
    one = jnp.ones_like(a)
    zero, end = f(jnp.zeros_like(a), one), f(one, jnp.zeros_like(a))

    def inner(at: _Nodes) -> Array:
        p, q = _below(at.p, zero.ndim), _below(at.q, zero.ndim)
        return (f(at.p, at.q) - zero * q - end * p) / (p * q)

    a, b = a[..., 0], b[..., 0]
    rest = _average(inner, a + 1.0, b + 1.0, left[..., 0], right[..., 0])
    a, b = _below(a, rest.ndim), _below(b, rest.ndim)
    both = a + b
    return (b * zero[..., 0] + a * (end[..., 0] + b / (both + 1.0) * rest)) / both


class _Nodes(NamedTuple):
    p: Array
    q: Array
    log_q: Array


def _average(f: Callable[[_Nodes], Array], a: Array, b: Array, left: Array, right: Array) -> Array:
    """E[f], p ~ Beta(a, b), a, b > 1, where f grows at most like 1/p² down to p = 1/left, and so in q."""
    fine = a.dtype == jnp.float64
    count, depth = (240, 31.0) if fine else (96, 16.0)  # nodes, and −log of what is cut off
    fixed = jax.lax.stop_gradient((a, b, left, right))
    low, high = -_reach(fixed[1], fixed[0], fixed[2], depth), _reach(*fixed[:2], fixed[3], depth)
    u = low[..., None] + (high - low)[..., None] * _below(jnp.linspace(0.0, 1.0, count, dtype=a.dtype), a.ndim + 1)
    # Steps u from the mean p₀: the exponents a and b act on ratios p/p₀, q/q₀ near 1, so large ones cost no digits.
    p0, q0 = ((x / (fixed[0] + fixed[1]))[..., None] for x in fixed[:2])
    up, down = jnp.expm1(u), jnp.expm1(-u)
    log_p, log_q = -jnp.log1p(q0 * down), -jnp.log1p(p0 * up)
    weights = jnp.exp(a[..., None] * log_p + b[..., None] * log_q)
    # log q at small p has p's digits, not those of 1: f takes large powers of q.
    at = _Nodes(p0 / (1.0 + q0 * down), q0 / (1.0 + p0 * up), -jnp.log1p(p0 / q0 * jnp.exp(u)))
    values = f(at)
    total = jnp.sum(_below(weights, values.ndim) * values, -1)
    return total / _below(jnp.sum(weights, -1), total.ndim)


def _reach(a: Array, b: Array, right: Array, depth: float) -> Array:
    """How far beyond logit p = log(a/b) the weights p^a q^b, or those times f, matter: above exp(−depth)."""
    # f may add a factor 1/q², no further than q = 1/right and a tail.
    less = jnp.maximum(b - 2.0, 1e-3)
    start = jnp.log(a / b)
    steep = jnp.log(a / less) - start + _fall(a, less, depth)
    scale = jnp.log(right) - start + depth / (b + 1.0)
    return jnp.maximum(_fall(a, b, depth), jnp.minimum(steep, scale))


def _fall(a: Array, b: Array, depth: float) -> Array:
    """A step u beyond the mean at which p^a q^b has fallen by exp(−depth): the smaller of two bounds on it."""
    # The log weight falls by at least m·(u − 1 + exp(−u)), m = ab/(a + b), and by b·u + (a + b)·log p₀.
    x = depth * (a + b) / (a * b)
    return jnp.minimum(x + jnp.sqrt(2.0 * x), (depth + (a + b) * jnp.log1p(b / a)) / b)


def _below(x: Array, ndim: int) -> Array:
    """x with axes of length 1 put before its own."""
    return x.reshape((1,) * (ndim - x.ndim) + x.shape)
