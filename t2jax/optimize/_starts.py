"""Where the search begins: one point, and for a problem that is not convex several well spread others.

Optima lie where something binds. So candidates from a low-discrepancy sequence slide along the diagonal (all variables
by the same factor) until the worst constraint just holds, and the best of them start the search.
"""

from typing import Any

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, largest
from t2jax.optimize._problem import Functions, Problem
from t2jax.optimize.methods._point import Box

_SIGHT = 16  # how many factors of e
_WINDOW = (0.0, 40.0)  # e^40 ≈ 2e17: more parameters, tokens or samples than anyone has used


def spread(problem: Problem, functions: Functions, box: Box, first: Vector) -> Vector:
    """Starting points, each the best of its share of the candidates; `first` is one of the candidates.

    Returned as one vector whose scalars have a leading axis, to be mapped over.
    """
    starts, candidates = problem.options.spread(problem.few_optima)
    n, dtype = len(first), first[0].dtype
    low = [jnp.where(a > -80.0, a, jnp.maximum(a, _WINDOW[0])) for a in box.lower]
    high = [
        jnp.maximum(jnp.where(b < 80.0, b, jnp.minimum(b, _WINDOW[1])), a + 1e-3)
        for a, b in zip(low, box.upper, strict=True)
    ]
    shares = _kronecker(n, candidates - 1)
    drawn = [
        jnp.concatenate([first[i][None], low[i] + (high[i] - low[i]) * jnp.asarray(shares[i], dtype)]) for i in range(n)
    ]

    def candidate(point: Vector) -> tuple[Vector, Scalar]:
        point = slide(functions, box, tuple(point))
        f, *g = functions(point)
        # Any constraint still violated weighs more than any difference in the objective.
        cost = f + 1e3 * largest([jnp.zeros_like(f), *functions.missed(g)])
        return point, jnp.where(jnp.isfinite(cost), cost, jnp.inf)

    points, costs = jax.vmap(candidate)(drawn)
    picks = jnp.argmin(costs.reshape(candidates // starts, starts), axis=0) * starts + jnp.arange(starts)
    return [jnp.take(a, picks) for a in points]


def further(functions: Functions, box: Box, x: Vector, value: Scalar, violation: Scalar) -> tuple[Scalar, Vector]:
    """(is anything better in sight of a point?, the best in sight): down each coordinate, a factor e at a time.

    A quality that is not convex may have a second optimum behind a valley, where a budget is not spent: pass@k of a
    fitted Beta can gain where the loss is worse, as pass rates then vary less between problems.
    """
    eps = float(jnp.finfo(x[0].dtype).eps)
    ways = [(i, -float(far)) for i in range(len(x)) for far in range(1, _SIGHT + 1)]
    points = [
        jnp.stack([jnp.clip(a + far, box.lower[i], box.upper[i]) if i == j else a for j, far in ways])
        for i, a in enumerate(x)
    ]
    points = [jnp.where(free, a, b[None]) for a, b, free in zip(points, x, box.free, strict=True)]
    f, *g = jax.vmap(functions)(tuple(points))
    allowed = largest([jnp.zeros_like(f), *functions.missed(g)]) <= jnp.maximum(violation, 100 * eps)
    f = jnp.where(allowed & jnp.isfinite(f), f, jnp.inf)
    best = jnp.argmin(f)
    seen = f[best] < value - eps**0.5 * (1.0 + jnp.abs(value))
    return seen, tuple(a[best] for a in points)


def slide(functions: Functions, box: Box, x: Vector, *, room: float = 0.0) -> Vector:
    """Move along the diagonal to where the worst constraint holds with `room` to spare: three Newton steps.

    From there the search is near where budgets bind and, with room, strictly feasible wherever they are all that is.
    """
    one = tuple(jnp.where(free, 1.0, 0.0).astype(a.dtype) for a, free in zip(x, box.free, strict=True))

    def clip(x: Vector) -> Vector:
        return tuple(jnp.clip(a, low, high) for a, low, high, _ in zip(x, *box, strict=True))

    def newton(_: Any, x: Vector) -> Vector:
        values, slopes = jax.jvp(functions, (x,), (one,))
        worst, slope = jnp.full_like(x[0], -jnp.inf), jnp.zeros_like(x[0])
        for g, d in zip(values[1:], slopes[1:], strict=True):
            worst, slope = jnp.where(g > worst, g, worst), jnp.where(g > worst, d, slope)
        safe = jnp.where(jnp.abs(slope) > 1e-3, slope, 1.0)
        step = jnp.where(jnp.abs(slope) > 1e-3, jnp.clip((-room - worst) / safe, -20.0, 20.0), 0.0)
        step = jnp.where(jnp.isfinite(step), step, 0.0)
        return clip(tuple(a + step * b for a, b in zip(x, one, strict=True)))

    return jax.lax.fori_loop(0, 3, newton, clip(x))


def _kronecker(n: int, count: int) -> list[list[float]]:
    """`count` points of the generalised golden-ratio sequence in [0, 1)ⁿ, one list per dimension."""
    ratio = 1.5
    for _ in range(50):  # the positive root of r^(n+1) = r + 1
        ratio = (1.0 + ratio) ** (1.0 / (n + 1))
    return [[(0.5 + (j + 1) * ratio ** -(i + 1)) % 1.0 for j in range(count)] for i in range(n)]
