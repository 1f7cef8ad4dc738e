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
from t2jax.optimize.methods._point import Binds, Box, Point

__all__ = ["Sharp", "fresh", "sharpen", "slope_size", "with_what_matters"]

_FLAT = 1e-20  # slopes of a logarithm below this change nothing that can be seen: data that are exhausted have such
_FIRST_STEPS = 3  # in which no price is larger than usual
_USUAL = 10.0  # where the slopes of objective and constraint are one
_LONGEST = 4.0  # a step's largest change of a logarithm


class Sharp(NamedTuple):
    """Where Newton's method is, and the best point seen."""

    x: Vector
    multipliers: Vector
    binds: Binds
    matters: Vector  # has anything been seen to depend on the variable?
    best: Point
    rank: Scalar  # how far from solved the best point is, what binds there counted in
    done: Scalar  # is the best point as good as it gets?
    steps: Scalar
    missed: Vector  # how far each constraint was violated before a whole step
    stiffness: Vector  # of each constraint's spring
    length: Scalar  # of the last step


def fresh(box: Box, x: Vector, multipliers: Vector, binds: Binds, matters: Vector) -> Sharp:
    """Nothing seen yet."""
    zero = 0.0 * x[0]
    none = zero + jnp.inf
    point = Point(x, multipliers, binds, none, multipliers, x, none, none)
    ends, ones = (tuple(0.0 * a + b for a in multipliers) for b in (jnp.inf, 1.0))
    return Sharp(x, multipliers, binds, matters, point, none, none < 0, zero.astype(jnp.int32), ends, ones, none)


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
    (_, *g), (df, *dg), _ = derivatives
    eps = float(jnp.finfo(df[0].dtype).eps)
    matters = with_what_matters(state.matters, [df, *dg])
    model, steep = _model(box, state, derivatives, matters, equal)
    at_lower, at_upper = (tuple(a & b for a, b in zip(flags, model.movable, strict=True)) for flags in state.binds[1:])
    guess = Binds(state.binds.active, at_lower, at_upper)
    step = quadratic.minimise(model, _prices_to_begin_with(state, model), guess, going)

    length = largest([jnp.abs(a) for a in step.move])
    whole, moved = _moved(box, state.x, step, length)
    # A last step so small that its square is nothing is taken with the point.
    last = [jnp.where(length <= eps**0.64, a - b, 0.0) for a, b in zip(moved, state.x, strict=True)]
    here, rank = _judged(box, state.x, derivatives, model, steep, step, last)
    rank = jnp.where(minima_only & ~step.definite, jnp.inf, rank)
    better = going & (once(rank) <= state.rank)
    best, best_rank = jax.tree.map(lambda a, b: jnp.where(better, a, b), (here, rank), (state.best, state.rank))

    # Residuals are relative to the largest curvature: where another is small, the point may still move. Once it is as
    # good as rounding allows, it may do so for ever.
    settled = (length <= eps**0.64) | ((rank > 0.25 * state.rank) & (length > 0.5 * state.length))
    enough = max(eps**0.8, 200 * eps)
    return Sharp(
        x=moved,
        multipliers=step.multipliers,
        binds=step.binds,
        matters=tuple(jnp.where(going, a, b) for a, b in zip(matters, state.matters, strict=True)),
        best=best,
        rank=best_rank,
        done=state.done | (going & (best_rank <= enough) & settled),
        steps=state.steps + going.astype(jnp.int32),
        missed=tuple(jnp.where(whole, one, jnp.inf) for one in sizes(g, equal)),
        stiffness=model.stiffness,
        length=length,
    )


def _model(
    box: Box, state: Sharp, derivatives: Any, matters: Vector, equal: tuple[bool, ...]
) -> tuple[quadratic.Model, Scalar]:
    """(the quadratic model of the problem at x, the objective's steepest slope)."""
    (f, *g), (df, *dg), hessian = derivatives
    eps = float(jnp.finfo(f.dtype).eps)
    movable = [a & b for a, b in zip(box.free, matters, strict=True)]
    steep = largest([_FLAT + 0.0 * f, *(jnp.where(b, jnp.abs(a), 0.0) for a, b in zip(df, movable, strict=True))])
    # Prices out of all proportion, as after steps from afar, bend the Lagrangian beyond what may be measured by it.
    bent = largest([0.0 * f, *_pulls(sizes(state.multipliers, equal), dg)]) <= 1e3 * steep
    # Where bounds hold all that could help, a constraint's price must first grow to theirs, however little is missing.
    stiffness = tuple(
        jnp.where(one > jnp.maximum(200 * eps, 0.25 * before), jnp.minimum(eps**-0.2 * stiff, eps**-0.6), 1.0)
        for one, before, stiff in zip(sizes(g, equal), state.missed, state.stiffness, strict=True)
    )
    model = quadratic.Model(
        slopes=df,
        hessian=hessian,
        g=tuple(g),
        rows=dg,
        lower=tuple(low - a for a, low in zip(state.x, box.lower, strict=True)),
        upper=tuple(high - a for a, high in zip(state.x, box.upper, strict=True)),
        movable=movable,
        size=jnp.where(bent, slope_size(movable, df, hessian), steep),
        stiffness=stiffness,
        equal=equal,
    )
    return model, steep


def _prices_to_begin_with(state: Sharp, model: quadratic.Model) -> Vector:
    """The last step's multipliers, as far as they mean anything.

    A barrier's multipliers bend the Lagrangian rightly. As prices they are no start: where two constraints say the
    same, as both sides of an equality do, only their difference means anything, and each may be of any size. Nor are
    those of first steps from afar, whose constraints are missed by much.
    """
    usual = [_USUAL * model.size / jnp.maximum(largest([jnp.abs(a) for a in row]), 1e-30) for row in model.rows]
    modest = [
        jnp.clip(a, -most, most) if either else jnp.minimum(a, most)
        for a, most, either in zip(state.multipliers, usual, model.equal, strict=True)
    ]
    return tuple(
        jnp.where(state.steps == 0, 0.0, jnp.where(state.steps < _FIRST_STEPS, least, a))
        for a, least in zip(state.multipliers, modest, strict=True)
    )


def _moved(box: Box, x: Vector, step: quadratic.Step, length: Scalar) -> tuple[Scalar, Vector]:
    """(is the step taken whole?, where it leads: onto the bounds that bind to the last bit)."""
    shorter = _LONGEST / jnp.maximum(length, _LONGEST)
    whole = shorter >= 1.0
    moved = [jnp.clip(a + shorter * d, low, high) for a, d, low, high, _ in zip(x, step.move, *box, strict=True)]
    return whole, tuple(
        jnp.where(whole & a, low, jnp.where(whole & b, high, one))
        for a, b, low, high, one in zip(*step.binds[1:], box.lower, box.upper, moved, strict=True)
    )


def _judged(
    box: Box, x: Vector, derivatives: Any, model: quadratic.Model, steep: Scalar, step: quadratic.Step, last: Vector
) -> tuple[Point, Scalar]:
    """(the point at x with the step's prices, moved on by `last`; how far it is from solved)."""
    (f, *g), (df, *dg), hessian = derivatives
    n, lam, equal = len(x), step.multipliers, model.equal
    slopes = tuple(df[i] + dot(lam, [row[i] for row in dg]) for i in range(n))
    residual, violation = kkt_residual(box, model.size, x, lam, g, dg, slopes, equal)
    # Prices that cancel leave the rounding of their parts.
    eps = float(jnp.finfo(f.dtype).eps)
    residual = jnp.maximum(residual, eps * largest([0.0 * f, *_pulls(sizes(lam, equal), dg)]) / steep)
    # What binds must bind here, not only where the step leads: derivatives take the optimum's word for it.
    active, at_lower, at_upper = step.binds
    apart = [jnp.where(a, jnp.abs(one), 0.0) for a, one in zip(active, g, strict=True)]
    apart += [jnp.where(a, -low, 0.0) for a, low in zip(at_lower, model.lower, strict=True)]
    apart += [jnp.where(a, high, 0.0) for a, high in zip(at_upper, model.upper, strict=True)]
    point = Point(
        x=tuple(a + b for a, b in zip(x, last, strict=True)),
        multipliers=lam,
        binds=step.binds,
        value=f + dot(df, last),
        violations=tuple(one + dot(row, last) for one, row in zip(g, dg, strict=True)),
        slopes=tuple(slopes[i] + dot(hessian[i], last) for i in range(n)),
        residual=residual,
        violation=violation,
    )
    return point, largest([residual, *apart])


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
