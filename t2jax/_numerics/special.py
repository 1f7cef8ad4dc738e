"""Stable special functions: the log failure of a Beta-distributed success probability, and the log odds of pass@k.

`log_failure(a, b, k)` is minus the mixed second difference, over steps a and k, of lgamma at b. Subtracting lgammas
loses every digit where the steps are small against b, so nothing here subtracts values of one function at two points.
Each difference is written as an expression in which the steps appear as factors:

1. lgamma(b) = lgamma(b + m) - sum log(b + j) moves the point up to x = b + m; the sum's mixed difference is a log1p.
2. At x, Stirling's series. Its leading part has a mixed difference made of log1p's; its tail is a polynomial in 1/x,
   differenced by the product rule for differences (`_mixed_series`), all of whose terms have one sign.

Functions are compiled on their own (`jax.jit`) so that they are traced once, however often they are used.

Derivatives are differences of digamma, done the same way. They are given as rules because differentiating the value
cancels (the derivative in b and k by 3 digits in float64, by all in float32, at b << 1 << k) and compiles slowly.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._numerics.derivatives import rule

__all__ = [
    "expm1",
    "expm1_over",
    "log1p_over",
    "log_failure",
    "log_failure_per_a",
    "log_failure_terms",
    "log_odds_of_pass",
    "normal",
]

# lgamma(x) = (x - 1/2) log x - x + log(2 pi)/2 + u * sum_n _LGAMMA[n] w^n   with u = 1/x, w = u^2
# digamma(x) = log x - u/2 - w * sum_n _DIGAMMA[n] w^n                       (NIST DLMF 5.11.1, 5.11.2)
_LGAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760)


def log_failure(a: Any, b: Any, k: Any) -> Float[Array, "..."]:
    """Log of the probability that k samples all fail, when the success probability is Beta(a, b) distributed.

    `log E[(1 - p)^k] = log B(a, b + k) - log B(a, b)` for p ~ Beta(a, b); so `pass@k = -expm1(log_failure(a, b, k))`.

    Arguments broadcast against each other; Python numbers take the arrays' precision. a > 0 and b > 0 are the Beta's
    shape parameters, k >= 0 the number of samples, which need not be whole. All are dimensionless. Nothing is checked.

    Returns the log failure, <= 0 and exactly 0 at k = 0, in the arguments' precision. Relative errors of it and of
    pass@k stay below 1e-14 (float64) and 1e-6 (float32) over a in [1e-4, 1e2], b in [1e-2, 1e7], k in [1, 1e9]. It is
    smooth in all three arguments; first and second derivatives have closed forms.

    Source: T2, arXiv 2604.01411, approach 2 (pass@k of a Beta); the evaluation is this library's own.
    """
    return _log_failure(*_same(a, b, k))


def log_failure_per_a(a: Any, b: Any, k: Any, both: Any) -> Float[Array, "..."]:
    """`log_failure(a, b, k) / a`, smooth through a = 0 (where it is digamma(b) - digamma(b + k)), also for a > -b.

    Arguments as `log_failure`, with a of any sign; both: a + b > 0, of which rounding may leave nothing where a is near
    -b. For differences that are divided by a small a.
    """
    a, b, k, both = _same(a, b, k, both)
    # log_failure(a, b, k) = log_failure(a, b + 1, k) - log(1 + a r), and 1 + a r = (b + k) both / (b (both + k)).
    r = k / (b * (both + k))
    small = a * r < -0.5  # then that sum has lost digits, or all
    log_left = jnp.log(both) + jnp.log((b + k) / (b * (both + k)))
    first = jnp.where(small, log_left / jnp.where(small, a, 1.0), r * log1p_over(a * jnp.where(small, 0.0, r)))
    return log_failure_terms(a, b + 1.0, k, per_a=True) - first


def expm1(y: Float[Array, "..."]) -> Float[Array, "..."]:
    """exp(y) − 1 of any shape, with slopes exp(y) to full relative precision however small they are.

    JAX before 0.11 takes `jnp.expm1(y) + 1` for the slope, which near y = −25 has no five digits left.
    """
    low = y < -1.0
    return jnp.where(low, jnp.exp(jnp.where(low, y, -1.0)) - 1.0, jnp.expm1(jnp.where(low, -1.0, y)))


def expm1_over(y: Float[Array, "..."]) -> Float[Array, "..."]:
    """(exp(y) - 1) / y of any shape, smooth at 0, where it is 1."""
    small = abs(y) < 1 / 16
    near, far = jnp.where(small, y, 0.0), jnp.where(small, 1.0, y)
    series = 1.0
    for n in range(10, 1, -1):  # 1 + y/2 (1 + y/3 (1 + ...)); next: y^10 / 11! < 1e-19
        series = 1.0 + near / n * series
    return jnp.where(small, series, expm1(far) / far)


@jax.custom_jvp
def log_odds_of_pass(log_fail: Float[Array, "..."]) -> Float[Array, "..."]:
    """Log odds of pass@k, `log(pass / (1 - pass))`, from `l`, a log failure < 0 of any shape. It never saturates.

    `log(1 - exp(l)) - l`: tends to log(-l) as pass -> 0 and to -l as pass -> 1, with finite derivatives at both ends.
    """
    return jnp.log(-jnp.expm1(log_fail)) - log_fail


@log_odds_of_pass.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (log_fail,), (moved,) = primals, tangents
    return log_odds_of_pass(log_fail), -moved * _one_over_pass(log_fail)


@jax.custom_jvp
def _one_over_pass(log_fail: Array) -> Array:
    return -1.0 / jnp.expm1(log_fail)


@_one_over_pass.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # Never the square of 1/pass: where pass@k is 1e-20 float32 has no number for it.
    (log_fail,), (moved,) = primals, tangents
    inverse = _one_over_pass(log_fail)
    return inverse, inverse * (inverse * moved) * jnp.exp(log_fail)


def log_failure_terms(a: Any, b: Any, k: Any, *, per_a: bool = False, xp: Any = jnp) -> Any:
    """`log_failure`, or that over a, for arrays of one shape and dtype, in NumPy or JAX (`xp`); no derivative rules."""
    moves, terms = _effort(b)
    log1p_a = (lambda p: p * log1p_over(a * p, xp)) if per_a else (lambda p: xp.log1p(a * p))  # log(1 + a p) [/ a]
    times_a = (lambda p: p) if per_a else (lambda p: a * p)

    # 1 + a p = prod_j (1 + a r_j), built without ever adding the 1: a single log1p for all moves.
    p, both = 0.0, a + k
    for j in range(moves):
        x = b + float(j)
        r = k / (x * (x + both))
        p = p + r + (a * p) * r
    p = xp.minimum(p, 0.5 * float(xp.finfo(b.dtype).max) / xp.maximum(abs(a), 1.0))  # by then the leading part is all
    at = _Steps(b + float(moves), a, k)
    leading = times_a(xp.log1p(k * at.u1)) + k * log1p_a(at.u2) - (at.x - 0.5) * log1p_a(k * at.u0 * at.u3)
    value, k_step, a_step, mixed = _mixed_series(at, _LGAMMA[:terms])
    tail = at.mixed * value + at.a_step * k_step + at.u1 * mixed + at.k_step1 * a_step  # mixed difference of u R(w)
    return -(log1p_a(p) + leading + times_a(tail))


class _Steps:
    """u = 1/x at the four corners x (0), x + a (1), x + k (2), x + a + k (3), and its differences, divided by a.

    Differences fall from a corner to the next, so all are positive: `a_step` (2 -> 3) and `mixed` are over a;
    `k_step` (0 -> 2) and `k_step1` (1 -> 3) are not.
    """

    def __init__(self, x: Any, a: Any, k: Any):
        self.x, both = x, a + k
        self.u0, self.u1, self.u2, self.u3 = 1.0 / x, 1.0 / (x + a), 1.0 / (x + k), 1.0 / (x + both)
        self.a_step = self.u2 * self.u3
        self.k_step, self.k_step1 = k * self.u0 * self.u2, k * self.u1 * self.u3
        self.mixed = self.k_step * (x + x + both) * self.u1 * self.u3


def _mixed_series(at: _Steps, coefficients: tuple[float, ...], factor: bool = False) -> tuple[Any, ...]:
    """Horner's rule for R = sum_n c_n w^n, w = u^2, with its differences: R0, R0 - R2, (R2 - R3)/a, mixed/a.

    Mixed difference of a product: `D(fg) = Df g0 + (f2-f3)(g0-g2) + f1 Dg + (f1-f3)(g2-g3)`, of which no two terms
    cancel for decreasing convex f and g. `factor` multiplies R by w once more.
    """
    w0, w1, w2, w3 = at.u0 * at.u0, at.u1 * at.u1, at.u2 * at.u2, at.u3 * at.u3
    a_step_w, k_step_w = at.a_step * (at.u2 + at.u3), at.k_step * (at.u0 + at.u2)
    k_step1_w = at.k_step1 * (at.u1 + at.u3)
    mixed_w = at.mixed * (at.u0 + at.u1) + at.a_step * (at.k_step + at.k_step1)
    value0 = value2 = coefficients[-1]
    k_step = a_step = mixed = 0.0
    for c in (*coefficients[-2::-1], *((0.0,) if factor else ())):
        mixed = mixed_w * value0 + a_step_w * k_step + w1 * mixed + k_step1_w * a_step
        k_step, a_step = k_step_w * value0 + w2 * k_step, a_step_w * value2 + w3 * a_step
        value0, value2 = c + w0 * value0, c + w2 * value2
    return value0, k_step, a_step, mixed


def normal(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x > 0 of any shape, at least the smallest normal number of its dtype: compiled code takes what is less for 0."""
    return jnp.maximum(x, jnp.finfo(x.dtype).tiny)


@jax.custom_jvp
@jax.jit
def _log_failure(a: Array, b: Array, k: Array) -> Array:
    """By the terms where these have numbers. Below, the log failure is proportional to a where a << b, and depends on b
    as that of a pass rate of 0 or 1 does, by -log(1 + a/b)."""
    b = normal(b)
    kept_b = jnp.maximum(b, float(jnp.finfo(b.dtype).tiny) ** 0.25)
    kept_a = jnp.maximum(a, jnp.minimum(kept_b, 1.0) * float(jnp.finfo(b.dtype).eps / 1024))
    one = jnp.minimum(a, 1.0)  # beyond, a/b is all of 1 + a/b
    return a / kept_a * log_failure_terms(kept_a, kept_b, k) - (jnp.log1p(one / b) - jnp.log1p(one / kept_b))


@rule(_log_failure, lambda a, b, k: _slopes(normal(a), normal(b), k))
def _(slopes: tuple[Array, ...], primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    (of_a, of_b, of_k), (da, db, dk) = slopes, tangents
    return _log_failure(*primals), da * of_a + db * of_b + dk * of_k


@jax.custom_jvp
def _slopes(a: Array, b: Array, k: Array) -> tuple[Array, Array, Array]:
    """The derivatives of `log_failure`, of digammas: in a `ψ(a+b) - ψ(a+b+k)`, in k `ψ(b+k) - ψ(a+b+k)`, and in b
    `ψ(b+a) + ψ(b+k) - ψ(b) - ψ(a+b+k)`.
    """
    return -_digamma_step(a + b, k), _mixed_digamma(a, b, k), -_digamma_step(b + k, a)


def _curvatures(a: Array, b: Array, k: Array) -> tuple[Array, ...]:
    """The slopes, and all second derivatives: those in b by its logarithm, as the one in b twice is near k/b^3, for
    which float32 has no number where b is large."""
    y, z = a + b, b + k
    of_b, bb = jax.jvp(lambda b: _mixed_digamma(a, b, k), (b,), (b,))
    step_a, ab = jax.jvp(lambda y: _digamma_step(y, k), (y,), (y,))
    step_k, bk = jax.jvp(lambda z: _digamma_step(z, a), (z,), (z,))
    return -step_a, -step_k, of_b, bb, -ab, -bk, -_trigamma(a + b + k)


@rule(_slopes, _curvatures)
def _(parts: tuple[Array, ...], primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> Any:
    # All second derivatives, once, so that any number of directions costs a few products each.
    (a, b, k), (da, db, dk) = primals, tangents
    of_a, of_k, of_b, bb, ab, bk, ak = parts
    y, z = a + b, b + k
    along_b, along_y, along_z = db / b, (da + db) / y, (db + dk) / z
    moved = (ab * along_y + ak * dk, bb * along_b + (ab / y) * da + (bk / z) * dk, bk * along_z + ak * da)
    return (of_a, of_b, of_k), moved


@jax.jit
def _mixed_digamma(a: Array, b: Array, k: Array) -> Array:
    """digamma(b + a) + digamma(b + k) - digamma(b) - digamma(b + a + k)."""
    moves, terms = _effort(b)
    moved, both = 0.0, a + k
    for j in range(moves):
        x = b + float(j)
        moved = moved + (1.0 / x) * ((k * (1.0 / (x + both))) * (a * (1.0 / (x + a) + 1.0 / (x + k))))
    at = _Steps(b + float(moves), a, k)
    tail = _mixed_series(at, _DIGAMMA[:terms], factor=True)[-1]
    return moved + a * (0.5 * at.mixed + tail) + jnp.log1p(a * k * at.u0 * at.u3)


@jax.jit
def _digamma_step(y: Array, t: Array) -> Array:
    """digamma(y + t) - digamma(y), t >= 0."""
    moves, terms = _effort(y)
    moved = 0.0
    for j in range(moves):
        x = y + float(j)
        moved = moved + (1.0 / x) * (1.0 / (x + t))
    u0, u1 = 1.0 / (y + float(moves)), 1.0 / (y + float(moves) + t)
    w0, w1, step_w = u0 * u0, u1 * u1, u0 * u1 * (u0 + u1)
    value, step = _DIGAMMA[terms - 1], 0.0
    for c in (*_DIGAMMA[: terms - 1][::-1], 0.0):
        value, step = c + w0 * value, step_w * value + w1 * step
    return t * (moved + 0.5 * (u0 * u1) + step) + jnp.log1p(t * u0)


@jax.jit
def _trigamma(x: Array) -> Array:
    """The derivative of digamma at x > 0."""
    moves, terms = _effort(x)
    moved = 0.0
    for j in range(moves):
        moved = moved + (1.0 / (x + float(j))) ** 2
    u = 1.0 / (x + float(moves))
    w, series = u * u, 0.0
    for n in range(terms, 0, -1):
        series = w * (2 * n * _DIGAMMA[n - 1] + series)
    return moved + u * (1.0 + 0.5 * u + series)


def log1p_over(y: Any, xp: Any = jnp) -> Any:
    """log(1 + y) / y, smooth at 0: near it by 2 atanh(z) with z = y / (2 + y)."""
    small = abs(y) < 1 / 16
    near, far = xp.where(small, y, 0.0), xp.where(small, 1.0, y)
    z = near / (2.0 + near)
    series, z2 = 1 / 11, z * z
    for c in (1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0):  # next: z^12 / 13 < 1e-18
        series = c + z2 * series
    return xp.where(small, 2.0 / (2.0 + near) * series, xp.log1p(far) / far)


def _effort(x: Any) -> tuple[int, int]:
    """Moves up and terms of Stirling's series: what is cut off is below the dtype's resolution at any x > 0."""
    return (8, 6) if x.dtype == jnp.float64 else (4, 3)


def _same(*values: Any) -> tuple[Array, ...]:
    # The floating arrays decide: neither a Python number nor an integer array turns float32 into float64.
    dtype = jnp.result_type(float, *(v for v in values if jnp.issubdtype(jnp.result_type(v), jnp.floating)))
    return tuple(jnp.broadcast_arrays(*(jnp.asarray(v, dtype=dtype) for v in values)))
