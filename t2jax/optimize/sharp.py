"""Newton's method on the KKT equations of an active set: towards the optimum from a start near it, and to end with.

A Newton step on what binds needs no barrier and squares the error, so most problems need nothing else (`approach`);
where it fails, the interior-point method finds what binds and hands over (`polish`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from t2jax.fusion import once
from t2jax.optimize.dense import Scalar, Vector, dot, largest
from t2jax.optimize.kkt import linearised_kkt

__all__ = [
    "Box",
    "Record",
    "Sharp",
    "approach",
    "parted",
    "polish",
    "slope_size",
    "with_what_matters",
]

_TINY = 1e-30


class Box(NamedTuple):
    """lower ≤ x ≤ upper, all finite. A variable that is not `free` stays where it starts, and so does one that nothing
    depends on."""

    lower: Vector
    upper: Vector
    free: Vector


class Record(NamedTuple):
    x: Vector
    multipliers: Vector
    binds: Vector
    value: Scalar
    violations: Vector
    slopes: Vector
    residual: Scalar
    violation: Scalar


class Sharp(NamedTuple):
    """Newton on the equations of the active set, and the best point seen."""

    x: Vector
    multipliers: Vector
    binds: Vector  # each constraint, lower and upper bound that x and multipliers are solved for
    matters: Vector  # has anything been seen to depend on the variable?
    best: Record
    approached: Scalar  # steps from the start
    polished: Scalar  # and from where the interior-point method ended


def with_what_matters(known: Vector, rows: Sequence[Vector]) -> Vector:
    """The flags of variables that anything depends on, by the gradients in these rows or by what was known."""
    steepest = [largest([jnp.abs(one) for one in column]) for column in zip(*rows, strict=True)]
    return tuple(a | (b != 0.0) for a, b in zip(known, steepest, strict=True))


def slope_size(free: Vector, df: Vector, hessian: Any) -> Scalar:
    """The objective's size: the largest slope or curvature of a free variable. log L may be all E, and slopes 1e-9."""
    curved = [
        jnp.where(f, jnp.maximum(jnp.abs(a), jnp.abs(row[i])), 0.0)
        for i, (f, a, row) in enumerate(zip(free, df, hessian, strict=True))
    ]
    return largest([*curved, _TINY * jnp.ones_like(df[0])])


def approach(box: Box, state: Sharp, derivatives: Any, going: Scalar, *, convex: bool) -> Sharp:
    """One step: note how good the point is; let go of what has a price of the wrong sign; Newton; hold what is hit.

    Nothing makes it descend. Where the problem is not `convex` a point only counts if it is a minimum on what binds.
    In a lane that is not `going`, nothing that is used later changes.
    """
    x, lam = state.x, state.multipliers
    n, m = len(x), len(lam)
    (f, *g), (df, *dg), hessian = derivatives
    matters = with_what_matters(state.matters, [df, *dg])
    movable = [a & b for a, b in zip(box.free, matters, strict=True)]
    size = slope_size(movable, df, hessian)
    least = size * float(jnp.finfo(f.dtype).eps) ** 0.75
    slopes = tuple(df[i] + dot(lam, [row[i] for row in dg]) for i in range(n))

    fresh = state.approached == 0
    active, at_lower, at_upper = parted(state.binds, n)
    worst = largest([*g, -jnp.inf * jnp.ones_like(f)])
    active = tuple(
        jnp.where(fresh, one >= worst, (a & (price >= 0)) | (one > 1e-6))
        for a, price, one in zip(active, lam, g, strict=True)
    )
    at_lower = tuple(a & (slope >= -least) for a, slope in zip(at_lower, slopes, strict=True))
    at_upper = tuple(a & (slope <= least) for a, slope in zip(at_upper, slopes, strict=True))
    free = [a & ~b & ~c for a, b, c in zip(movable, at_lower, at_upper, strict=True)]
    _, solve, definite = linearised_kkt(hessian, dg, active, free)
    move = once(solve([-a for a in (*slopes, *g)]))
    dx, dlam = move[:n], move[n:]

    residual, violation = _kkt(box, size, x, lam, g, slopes)
    if not convex:
        residual = jnp.where(definite, residual, jnp.inf)
    shorter = jnp.minimum(1.0, 4.0 / jnp.maximum(largest([jnp.abs(a) for a in dx]), _TINY))
    moved = [a + shorter * b for a, b in zip(x, dx, strict=True)]
    at_lower = tuple(a | (b & (c <= low)) for a, b, c, low in zip(at_lower, free, moved, box.lower, strict=True))
    at_upper = tuple(a | (b & (c >= high)) for a, b, c, high in zip(at_upper, free, moved, box.upper, strict=True))
    new_x = tuple(jnp.clip(a, low, high) for a, low, high, _ in zip(moved, *box, strict=True))
    new_lam = tuple(jnp.where(a, b + c, 0.0) for a, b, c in zip(active, lam, dlam, strict=True))
    binds = (*active, *at_lower, *at_upper)

    # What is kept is the point after this step, whose error is the square of what was measured. The residual is
    # relative to the largest curvature, so what hardly matters may be far off where it is measured. The start, where
    # a constraint was taken to bind without asking, is kept only as it is: with everything at its bounds it may be
    # the optimum.
    step = [jnp.where(fresh, 0.0, a - b) for a, b in zip(new_x, x, strict=True)]
    rise = [jnp.where(fresh, 0.0, a - b) for a, b in zip(new_lam, lam, strict=True)]
    # A long step says that the error is not yet small, whatever the residual.
    far = largest([jnp.abs(a) for a in step]) > float(jnp.finfo(f.dtype).eps) ** 0.4
    residual = jnp.where(far, jnp.inf, residual)
    resting = [jnp.zeros_like(fresh)] * m
    resting += [a & (b <= low) for a, b, low in zip(movable, x, box.lower, strict=True)]
    resting += [a & (b >= high) for a, b, high in zip(movable, x, box.upper, strict=True)]
    after = Record(
        x=tuple(a + b for a, b in zip(x, step, strict=True)),
        multipliers=tuple(a + b for a, b in zip(lam, rise, strict=True)),
        binds=tuple(jnp.where(fresh, a, b) for a, b in zip(resting, binds, strict=True)),
        value=f + dot(df, step),
        violations=tuple(one + dot(row, step) for one, row in zip(g, dg, strict=True)),
        slopes=tuple(slopes[i] + dot(hessian[i], step) + dot(rise, [row[i] for row in dg]) for i in range(n)),
        residual=residual,
        violation=violation,
    )
    better = going & (once(residual) <= state.best.residual)
    best = jax.tree.map(lambda a, b: jnp.where(better, a, b), after, state.best)
    matters = tuple(jnp.where(going, a, b) for a, b in zip(matters, state.matters, strict=True))
    approached = state.approached + going.astype(jnp.int32)
    return Sharp(new_x, new_lam, binds, matters, best, approached, state.polished)


def polish(box: Box, size: Scalar, sharp: Sharp, derivatives: Any, going: Scalar) -> Sharp:
    """Note how good the point is, then move on: first to the bounds that bind, then by Newton on what binds.

    In a lane that is not `going`, nothing that is used later changes.
    """
    active, at_lower, at_upper = parted(sharp.binds, len(box.free))
    x, lam = sharp.x, sharp.multipliers
    (f, *g), (df, *dg), hessian = derivatives
    slopes = tuple(df[i] + dot(lam, [row[i] for row in dg]) for i in range(len(x)))
    residual, violation = _kkt(box, size, x, lam, g, slopes)
    here = Record(x, lam, sharp.binds, f, tuple(g), slopes, residual, violation)
    better = going & (once(residual) <= sharp.best.residual)
    best = jax.tree.map(lambda a, b: jnp.where(better, a, b), here, sharp.best)

    # A price of the wrong sign, once the equations have been solved: what has it does not bind after all.
    solved, least = sharp.polished >= 2, size * float(jnp.finfo(f.dtype).eps) ** 0.75
    at_lower = tuple(a & ~(solved & (slope < -least)) for a, slope in zip(at_lower, slopes, strict=True))
    at_upper = tuple(a & ~(solved & (slope > least)) for a, slope in zip(at_upper, slopes, strict=True))
    free = [f & c & ~a & ~b for f, c, a, b in zip(box.free, sharp.matters, at_lower, at_upper, strict=True)]
    _, solve, _ = linearised_kkt(hessian, dg, active, free)
    move = once(solve([-a for a in (*slopes, *g)]))
    dx, dlam = move[: len(x)], move[len(x) :]
    first = sharp.polished == 0
    onto = [
        jnp.where(a, low, jnp.where(b, high, v))
        for v, a, b, low, high, _ in zip(x, at_lower, at_upper, *box, strict=True)
    ]
    moved = [jnp.clip(a + b, low, high) for a, b, low, high, _ in zip(x, dx, *box, strict=True)]
    new_x = [jnp.where(first, a, b) for a, b in zip(onto, moved, strict=True)]
    new_lam = [jnp.where(a, jnp.where(first, b, b + c), 0.0) for a, b, c in zip(active, lam, dlam, strict=True)]
    binds = (*active, *at_lower, *at_upper)
    polished = sharp.polished + going.astype(jnp.int32)
    return Sharp(tuple(new_x), tuple(new_lam), binds, sharp.matters, best, sharp.approached, polished)


def parted(binds: Vector, n: int) -> tuple[Vector, Vector, Vector]:
    """The flags of constraints, of n lower and of n upper bounds."""
    m = len(binds) - 2 * n
    return tuple(binds[:m]), tuple(binds[m : m + n]), tuple(binds[m + n :])


def _kkt(box: Box, size: Scalar, x: Vector, lam: Vector, g: Vector, slopes: Vector) -> tuple[Scalar, Scalar]:
    """(largest violation of the KKT conditions, largest violation of the constraints).

    Stationarity counts relative to the objective's slope and curvature and to the largest multiplier (with a price of
    1e4 a rounding error in g is 1e4 of them in the slope): it is about how far x is from the optimum, in logarithms.
    """
    wrong, violation = [-a for a in lam], jnp.zeros_like(size)
    for a, slope, low, high, free in zip(x, slopes, *box, strict=True):
        # Where the objective falls towards a bound, that is right at the bound, and off it by slope times distance.
        gap = jnp.where(slope > 0, a - low, high - a)
        wrong.append(jnp.where(free, jnp.abs(slope) * jnp.clip(gap, 0.0, 1.0), 0.0))
        violation = jnp.maximum(violation, jnp.where(free, jnp.maximum(low - a, a - high), 0.0))
    wrong += [jnp.abs(a) * jnp.minimum(jnp.abs(b), 1.0) for a, b in zip(lam, g, strict=True)]
    violation = largest([violation, *g])
    return jnp.maximum(largest(wrong) / largest([size, *lam]), violation), violation
