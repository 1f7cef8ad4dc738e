"""Newton's method on what binds: from a start near the optimum, and to end with.

Each step solves a quadratic model of the problem exactly, with what binds as part of the answer (see `quadratic`), and
squares the error, so most problems need nothing else; where it fails, the interior-point method finds a better start.
A point is judged where it is: its constraints, slopes and what binds are of one and the same x.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, dot, largest
from t2jax._xla.fusion import once
from t2jax.optimize._problem import sizes
from t2jax.optimize.methods import _quadratic as quadratic
from t2jax.optimize.methods._quadratic import Binds

__all__ = ["Box", "Record", "Sharp", "fresh", "sharpen", "slope_size", "with_what_matters"]

_FLAT = 1e-20  # slopes of a logarithm below this change nothing that can be seen: data that are exhausted have such
_FIRST_STEPS, _USUAL = (
    3,
    10.0,
)  # in which no price is larger than this, where the slopes of objective and constraint are
_LONGEST = 4.0  # a step's largest change of a logarithm


class Box(NamedTuple):
    """lower ≤ x ≤ upper, all finite. A variable that is not `free` stays where it starts, and so does one that nothing
    depends on."""

    lower: Vector
    upper: Vector
    free: Vector


class Record(NamedTuple):
    """A point and everything about it, all of it evaluated there. rank: how far from solved, for comparisons."""

    x: Vector
    multipliers: Vector
    binds: Binds
    value: Scalar
    violations: Vector
    slopes: Vector
    residual: Scalar
    violation: Scalar
    rank: Scalar


class Sharp(NamedTuple):
    """Where Newton's method is, and the best point seen."""

    x: Vector
    multipliers: Vector
    binds: Binds
    matters: Vector  # has anything been seen to depend on the variable?
    best: Record
    done: Scalar  # is the best point as good as it gets?
    steps: Scalar
    missed: Vector  # how far each constraint was violated before a whole step
    stiffness: Vector  # of each constraint's spring
    length: Scalar  # of the last step


def fresh(box: Box, x: Vector, multipliers: Vector, binds: Binds, matters: Vector) -> Sharp:
    """Nothing seen yet."""
    zero = 0.0 * x[0]
    none = zero + jnp.inf
    record = Record(x, multipliers, binds, none, multipliers, x, none, none, none)
    ends, ones = (tuple(0.0 * a + b for a in multipliers) for b in (jnp.inf, 1.0))
    return Sharp(x, multipliers, binds, matters, record, none < 0, zero.astype(jnp.int32), ends, ones, none)


def with_what_matters(known: Vector, rows: Sequence[Vector]) -> Vector:
    """The flags of variables that anything depends on, by the gradients in these rows or by what was known.

    A gradient that is not a number, as where float32 ends, says nothing.
    """
    steepest = [largest([jnp.abs(one) for one in column]) for column in zip(*rows, strict=True)]
    return tuple(a | (b > 0.0) for a, b in zip(known, steepest, strict=True))


def slope_size(free: Vector, df: Vector, hessian: Any) -> Scalar:
    """The objective's size: the largest slope or curvature of a free variable. log L may be all E, and slopes 1e-9."""
    curved = [
        jnp.where(f, jnp.maximum(jnp.abs(a), jnp.abs(row[i])), 0.0)
        for i, (f, a, row) in enumerate(zip(free, df, hessian, strict=True))
    ]
    return largest([*curved, _FLAT * jnp.ones_like(df[0])])


def sharpen(
    box: Box, state: Sharp, derivatives: Any, going: Scalar, *, minima_only: Any, equal: tuple[bool, ...]
) -> Sharp:
    """One step: solve the quadratic model, note how good the point is with the model's prices, and move.

    Nothing makes it descend. minima_only: a point counts only if it is a minimum on what binds. In a lane that is not
    `going`, nothing that is used later changes.
    """
    x = state.x
    n = len(x)
    (f, *g), (df, *dg), hessian = derivatives
    eps = float(jnp.finfo(f.dtype).eps)
    matters = with_what_matters(state.matters, [df, *dg])
    movable = [a & b for a, b in zip(box.free, matters, strict=True)]
    steep = largest([_FLAT + 0.0 * f, *(jnp.where(b, jnp.abs(a), 0.0) for a, b in zip(df, movable, strict=True))])
    # Prices out of all proportion, as after steps from afar, bend the Lagrangian beyond what may be measured by it.
    bent = largest([0.0 * f, *_pulls(sizes(state.multipliers, equal), dg)]) <= 1e3 * steep
    size = jnp.where(bent, slope_size(movable, df, hessian), steep)
    # Where bounds hold all that could help, a constraint's price must first grow to theirs, however little is missing.
    missing = sizes(g, equal)
    stiffness = tuple(
        jnp.where(one > jnp.maximum(200 * eps, 0.25 * before), jnp.minimum(eps**-0.2 * stiff, eps**-0.6), 1.0)
        for one, before, stiff in zip(missing, state.missed, state.stiffness, strict=True)
    )
    model = quadratic.Model(
        slopes=df,
        hessian=hessian,
        g=tuple(g),
        rows=dg,
        lower=tuple(low - a for a, low in zip(x, box.lower, strict=True)),
        upper=tuple(high - a for a, high in zip(x, box.upper, strict=True)),
        movable=movable,
        size=size,
        stiffness=stiffness,
        equal=equal,
    )
    at_lower, at_upper = (tuple(a & b for a, b in zip(flags, movable, strict=True)) for flags in state.binds[1:])
    # A barrier's multipliers bend the Lagrangian rightly. As prices they are no start: where two constraints say the
    # same, as both sides of an equality do, only their difference means anything, and each may be of any size.
    # Nor are those of first steps from afar, whose constraints are missed by much.
    usual = [_USUAL * size / jnp.maximum(largest([jnp.abs(a) for a in row]), 1e-30) for row in dg]
    modest = [
        jnp.clip(a, -most, most) if either else jnp.minimum(a, most)
        for a, most, either in zip(state.multipliers, usual, equal, strict=True)
    ]
    prices = tuple(
        jnp.where(state.steps == 0, 0.0, jnp.where(state.steps < _FIRST_STEPS, least, a))
        for a, least in zip(state.multipliers, modest, strict=True)
    )
    step = quadratic.minimise(model, prices, Binds(state.binds.active, at_lower, at_upper), going)
    active, at_lower, at_upper = step.binds
    lam = step.multipliers
    slopes = tuple(df[i] + dot(lam, [row[i] for row in dg]) for i in range(n))
    residual, violation = kkt_residual(box, size, x, lam, g, dg, slopes, equal)
    # Prices that cancel leave the rounding of their parts.
    residual = jnp.maximum(residual, eps * largest([0.0 * f, *_pulls(sizes(lam, equal), dg)]) / steep)

    # What binds must bind here, not only where the step leads: derivatives take the optimum's word for it.
    apart = [jnp.where(a, jnp.abs(one), 0.0) for a, one in zip(active, g, strict=True)]
    apart += [jnp.where(a, -low, 0.0) for a, low in zip(at_lower, model.lower, strict=True)]
    apart += [jnp.where(a, high, 0.0) for a, high in zip(at_upper, model.upper, strict=True)]
    rank = largest([residual, *apart])
    rank = jnp.where(minima_only & ~step.definite, jnp.inf, rank)
    length = largest([jnp.abs(a) for a in step.move])
    shorter = _LONGEST / jnp.maximum(length, _LONGEST)
    moved = [jnp.clip(a + shorter * d, low, high) for a, d, low, high, _ in zip(x, step.move, *box, strict=True)]
    moved = tuple(
        jnp.where((shorter >= 1.0) & a, low, jnp.where((shorter >= 1.0) & b, high, one))
        for a, b, low, high, one in zip(at_lower, at_upper, box.lower, box.upper, moved, strict=True)
    )
    # A last step so small that its square is nothing is taken with the point.
    last = [jnp.where(length <= eps**0.64, a - b, 0.0) for a, b in zip(moved, x, strict=True)]
    here = Record(
        x=tuple(a + b for a, b in zip(x, last, strict=True)),
        multipliers=lam,
        binds=step.binds,
        value=f + dot(df, last),
        violations=tuple(one + dot(row, last) for one, row in zip(g, dg, strict=True)),
        slopes=tuple(slopes[i] + dot(hessian[i], last) for i in range(n)),
        residual=residual,
        violation=violation,
        rank=rank,
    )
    better = going & (once(rank) <= state.best.rank)
    best = jax.tree.map(lambda a, b: jnp.where(better, a, b), here, state.best)

    # Residuals are relative to the largest curvature: where another is small, the point may still move. Once it is as
    # good as rounding allows, it may do so for ever.
    settled = (length <= eps**0.64) | ((rank > 0.25 * state.best.rank) & (length > 0.5 * state.length))
    enough = max(eps**0.8, 200 * eps)
    done = state.done | (going & (best.rank <= enough) & settled)

    matters = tuple(jnp.where(going, a, b) for a, b in zip(matters, state.matters, strict=True))
    missed = tuple(jnp.where(shorter >= 1.0, one, jnp.inf) for one in missing)
    steps = state.steps + going.astype(jnp.int32)
    return Sharp(moved, lam, step.binds, matters, best, done, steps, missed, stiffness, length)


def _pulls(prices: Vector, rows: Sequence[Vector]) -> list[Scalar]:
    """How hard each constraint's price pulls at the variable it pulls at most."""
    return [a * largest([jnp.abs(b) for b in row]) for a, row in zip(prices, rows, strict=True)]


def kkt_residual(
    box: Box,
    size: Scalar,
    x: Vector,
    lam: Vector,
    g: Vector,
    rows: Sequence[Vector],
    slopes: Vector,
    equal: tuple[bool, ...],
) -> tuple[Scalar, Scalar]:
    """(largest violation of the KKT conditions, largest violation of the constraints).

    Stationarity counts relative to the objective's slope and curvature and to what the prices pull: it is about how far
    x is from the optimum, in logarithms. Complementarity counts relative to the largest price, as a constraint is known
    to rounding only.
    """
    prices = sizes(lam, equal)
    pulls = _pulls(prices, rows)
    off, violation = [jnp.zeros_like(size)], jnp.zeros_like(size)
    for a, slope, low, high, free in zip(x, slopes, *box, strict=True):
        # Where the objective falls towards a bound, that is right at the bound, and off it by slope times distance.
        gap = jnp.where(slope > 0, a - low, high - a)
        off.append(jnp.where(free, jnp.abs(slope) * jnp.clip(gap, 0.0, 1.0), 0.0))
        violation = jnp.maximum(violation, jnp.where(free, jnp.maximum(low - a, a - high), 0.0))
    stationarity = largest(off) / largest([size, *pulls])
    wrong = [jnp.zeros_like(size), *(-a for a in prices)]
    wrong += [jnp.abs(a) * jnp.minimum(jnp.abs(b), 1.0) for a, b in zip(lam, g, strict=True)]
    violation = largest([violation, *sizes(g, equal)])
    return largest([stationarity, largest(wrong) / largest([size, *prices]), violation]), violation
