"""A primal–dual barrier for a handful of boxed variables and smooth constraints: its state, and one step of it.

    minimise f(x)  subject to  g_c(x) ≤ 0,  g_e(x) = 0,  lower ≤ x ≤ upper

Constraints get slacks s > 0 and may start violated, the box is kept throughout; equalities are stiff springs and have
none. Steps minimise a quadratic model with the barrier, are held within a trust radius, and count only if a merit
function falls, so the method also descends where f is not convex.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, dot, factor, largest, solve_factored
from t2jax._xla.fusion import once
from t2jax.optimize._problem import Functions, sizes
from t2jax.optimize.methods._kkt import add_outer, hold
from t2jax.optimize.methods._point import Binds, Box
from t2jax.optimize.methods._sharp import slope_size, with_what_matters

__all__ = ["State", "barrier_step", "binding", "initial"]

_BARRIER = 0.1  # slack times multiplier at the start, in units of the objective's size


class State(NamedTuple):
    x: Vector
    slack: Vector
    down: Vector  # x − lower and
    up: Vector  # upper − x, kept on their own: near a bound the difference has lost its digits
    multipliers: Vector
    below: Vector  # multipliers of lower ≤ x
    above: Vector  # multipliers of x ≤ upper
    matters: Vector  # has anything been seen to depend on the variable?
    binds: Binds  # did the slack of each constraint and bound fall faster than its multiplier in the last step?
    size: Scalar  # of the objective: its largest slope or curvature
    radius: Scalar
    last_step: Scalar  # the fraction of the Newton step taken last
    residual: Scalar
    steps: Scalar


def initial(functions: Functions, box: Box, start: Vector) -> State:
    # Made from the start, so that under vmap every part of the loop's state is batched from the first trace on.
    zero = sum(0.0 * a for a in start)
    one = zero + 1.0
    x = []
    for a, low, high, free in zip(start, *box, strict=True):
        room = 0.1 * jnp.minimum(1.0, high - low)
        x.append(jnp.where(free, jnp.clip(a, low + room, high - room), a))
    _, *g = functions(tuple(x))
    slack = [one if either else jnp.maximum(-a, 0.1 * one) for a, either in zip(g, functions.equal, strict=True)]
    n = len(x)
    return State(
        x=tuple(x),
        slack=tuple(slack),
        down=(one,) * n,
        up=(one,) * n,
        multipliers=tuple(zero if either else _BARRIER / s for s, either in zip(slack, functions.equal, strict=True)),
        below=(zero,) * n,
        above=(zero,) * n,
        matters=(one < 0.0,) * n,
        binds=Binds((one < 0.0,) * len(g), (one < 0.0,) * n, (one < 0.0,) * n),
        size=one,
        radius=4.0 * one,
        last_step=one,
        residual=jnp.inf * one,
        steps=zero.astype(jnp.int32),
    )


class _Change(NamedTuple):
    """What a step of Newton's adds to each part of the state."""

    x: Vector
    slack: Vector
    multipliers: Vector
    below: Vector
    above: Vector


def barrier_step(functions: Functions, box: Box, state: State, derivatives: Any, going: Scalar, eps: float) -> State:
    """One step of a lane that is `going`; another stays as it is."""
    n, m, equal = len(state.x), len(state.multipliers), functions.equal
    (f, *g), (df, *dg), _ = derivatives
    now, free = _joined(box, state, derivatives)
    gap, mu, error = _aim(now, free, df, dg, eps, equal)
    change, mu, gap, size = _newton(now, free, derivatives, mu, gap, eps, equal)

    length = largest([jnp.abs(a) for a in change.x])
    within = jnp.minimum(1.0, state.radius / jnp.maximum(length, 1e-30))
    # Far from the end not too near: a step that uses up a slack at once is often rejected (0.99 took 4 steps more).
    boundary = jnp.maximum(0.95, 1.0 - gap / size)
    primal, dual = once(_fractions(now, change, within, boundary, equal))

    new_x = [a + primal * d for a, d in zip(now.x, change.x, strict=True)]
    new_x, (new_f, *new_g) = once((new_x, functions(tuple(new_x))))
    lam = now.multipliers
    prices = [*sizes(lam, equal), *sizes([a + d for a, d in zip(lam, change.multipliers, strict=True)], equal)]
    penalty = 2.0 * largest([0.01 * size, *prices])
    new_s = _slack([now.slack[c] + primal * change.slack[c] for c in range(m)], new_g, mu / penalty, eps, equal)
    new_down = [a + primal * d for a, d in zip(now.down, change.x, strict=True)]
    new_up = [a - primal * d for a, d in zip(now.up, change.x, strict=True)]
    new_lam, new_zl, new_zu = (
        [a + dual * d for a, d in zip(old, moved, strict=True)]
        for old, moved in ((lam, change.multipliers), (now.below, change.below), (now.above, change.above))
    )
    new_lam = [lam[c] + primal * change.multipliers[c] if equal[c] else new_lam[c] for c in range(m)]

    # The merit is f − μ Σ log(slacks and gaps) + penalty · Σ|g + s|; one logarithm gives the change of all of them.
    growth = jnp.ones_like(f)
    rooms = zip(_rooms(now.slack, now.down, now.up, equal), _rooms(new_s, new_down, new_up, equal), strict=True)
    for old, new in rooms:
        growth = growth * (new / old)
    missed, new_missed = _missed(g, now.slack, equal), _missed(new_g, new_s, equal)
    further = [a - b for a, b in zip(new_missed, missed, strict=True)]
    rise = new_f - f - mu * jnp.log(growth) + penalty * dot(further, [jnp.ones_like(f)] * m)
    better = (once(rise) <= 50 * eps * (1.0 + jnp.abs(f) + penalty)) & going

    moved = primal * length
    grown = jnp.where(within < 1.0, 3.0 * state.radius, jnp.maximum(state.radius, moved))
    radius = jnp.where(better, jnp.minimum(grown, 20.0), 0.3 * moved)

    # g is a difference of logarithms near 50: it has no digits beyond 100 eps. The new point counts, as a last step may
    # well have left the constraints.
    none = jnp.zeros_like(f)
    residual = largest([error, 0.01 * largest([none, *missed]), *(0.01 * a for a in new_missed)])

    fell = zip([*now.slack, *now.down, *now.up], [*new_s, *new_down, *new_up], strict=True)
    sank = zip([*lam, *now.below, *now.above], [*new_lam, *new_zl, *new_zu], strict=True)
    binds = _grouped([new * old_z < new_z * old for (old, new), (old_z, new_z) in zip(fell, sank, strict=True)], n)

    def keep(new: Vector, old: Vector, if_: Scalar = better) -> Vector:
        return tuple(jnp.where(if_, a, b) for a, b in zip(new, old, strict=True))

    return State(
        x=keep(new_x, now.x),
        slack=keep(new_s, now.slack),
        down=keep(new_down, now.down),
        up=keep(new_up, now.up),
        multipliers=keep(new_lam, lam),
        below=keep(new_zl, now.below),
        above=keep(new_zu, now.above),
        matters=keep(now.matters, state.matters, going),
        binds=jax.tree.map(lambda a, b: jnp.where(better, a, b), binds, state.binds),
        size=jnp.where(going, size, state.size),
        radius=jnp.where(going, radius, state.radius),
        last_step=jnp.where(going, jnp.where(better, jnp.minimum(primal, dual), 0.0), state.last_step),
        residual=jnp.where(going, residual, state.residual),
        steps=state.steps + going.astype(jnp.int32),
    )


def _joined(box: Box, state: State, derivatives: Any) -> tuple[State, list[Scalar]]:
    """(the state at this point's size, with the variables that have been seen to matter; which of them are free).

    A variable joins, with its bounds and their multipliers, once it is seen to matter: as a rule in the first step.
    """
    _, (df, *dg), hessian = derivatives
    x, matters = state.x, with_what_matters(state.matters, [df, *dg])
    free = [a & b for a, b in zip(box.free, matters, strict=True)]
    # All that has the objective's unit is relative to its slope.
    size = slope_size(free, df, hessian)
    joins = [a & ~b for a, b in zip(free, state.matters, strict=True)]
    down = [jnp.where(j, a - low, d) for j, a, low, d in zip(joins, x, box.lower, state.down, strict=True)]
    up = [jnp.where(j, high - a, d) for j, a, high, d in zip(joins, x, box.upper, state.up, strict=True)]
    return state._replace(
        down=down,
        up=up,
        multipliers=[a * jnp.where(state.steps == 0, size, 1.0) for a in state.multipliers],
        below=[jnp.where(j, _BARRIER * size / d, z) for j, d, z in zip(joins, down, state.below, strict=True)],
        above=[jnp.where(j, _BARRIER * size / d, z) for j, d, z in zip(joins, up, state.above, strict=True)],
        matters=matters,
        size=size,
    ), free


def _aim(
    now: State, free: Vector, df: Vector, dg: Any, eps: float, equal: tuple[bool, ...]
) -> tuple[Scalar, Scalar, Scalar]:
    """(mean slack times price, what the next step is to bring it to, how far the KKT conditions are from met)."""
    lam = now.multipliers
    rooms, prices = _rooms(now.slack, now.down, now.up, equal), _rooms(lam, now.below, now.above, equal)
    products = [a * b for a, b in zip(rooms, prices, strict=True)]
    gap = sum(products) / len(products)
    slopes = [df[i] + dot(lam, [row[i] for row in dg]) - now.below[i] + now.above[i] for i in range(len(now.x))]
    dual = largest([jnp.where(a, jnp.abs(b), 0.0) for a, b in zip(free, slopes, strict=True)])
    # Aim lower the better the last step went, faster than linearly at the end, never far ahead of stationarity.
    centring = jnp.where(now.last_step > 0.9, jnp.clip(jnp.sqrt(gap / now.size), 1e-3, 0.1), 0.4)
    mu = largest([centring * gap, 0.1 * jnp.minimum(dual, now.size), 0.1 * eps * now.size])
    return gap, mu, largest([dual, *products]) / now.size


def _newton(
    now: State, free: Vector, derivatives: Any, mu: Scalar, gap: Scalar, eps: float, equal: tuple[bool, ...]
) -> tuple[_Change, Scalar, Scalar, Scalar]:
    """(the step that solves the linearised conditions, then μ, the gap and the size, each computed once)."""
    (f, *g), (df, *dg), hessian = derivatives
    s, lam, zl, zu, down, up = now.slack, now.multipliers, now.below, now.above, now.down, now.up
    n, m = len(now.x), len(lam)
    ratios = [
        _spring(now.size, row, free, eps) if either else a / b
        for a, b, row, either in zip(lam, s, dg, equal, strict=True)
    ]
    pulls = [lam[c] + ratios[c] * g[c] if equal[c] else mu / s[c] + ratios[c] * (g[c] + s[c]) for c in range(m)]
    rhs = [-df[i] + mu / down[i] - mu / up[i] - dot(pulls, [row[i] for row in dg]) for i in range(n)]
    matrix = add_outer(hessian, ratios, dg)
    for i in range(n):
        matrix[i][i] = matrix[i][i] + zl[i] / down[i] + zu[i] / up[i]
    matrix, rhs, mu, gap, size = once((*hold(matrix, rhs, free), mu, gap, now.size))
    dx = once(solve_factored(factor(matrix), rhs))
    ds = [jnp.zeros_like(f) if equal[c] else -(g[c] + s[c]) - dot(dg[c], dx) for c in range(m)]
    dlam = [
        ratios[c] * (g[c] + dot(dg[c], dx)) if equal[c] else mu / s[c] - lam[c] - ratios[c] * ds[c] for c in range(m)
    ]
    dzl = [mu / down[i] - zl[i] - zl[i] / down[i] * dx[i] for i in range(n)]
    dzu = [mu / up[i] - zu[i] + zu[i] / up[i] * dx[i] for i in range(n)]
    return _Change(dx, ds, dlam, dzl, dzu), mu, gap, size


def _fractions(
    now: State, change: _Change, within: Scalar, boundary: Scalar, equal: tuple[bool, ...]
) -> tuple[Scalar, Scalar]:
    """(how much of the step variables and slacks take, how much the prices do) to stay positive.

    The trust radius shortens all of the step: part of a primal step with a whole dual one is no Newton step.
    """
    down, up = change.x, [-a for a in change.x]
    primal = _rooms(now.slack, now.down, now.up, equal), _rooms(change.slack, down, up, equal)
    dual = (
        _rooms(now.multipliers, now.below, now.above, equal),
        _rooms(change.multipliers, change.below, change.above, equal),
    )
    first, second = (
        within * _fraction(positive, [within * d for d in steps], boundary) for positive, steps in (primal, dual)
    )
    return first, second


def _rooms(constraints: Vector, lower: Vector, upper: Vector, equal: tuple[bool, ...]) -> list[Scalar]:
    """What stays positive, or how it moves: of every inequality, lower and upper bound."""
    return [*(a for a, either in zip(constraints, equal, strict=True) if not either), *lower, *upper]


def _missed(g: Vector, slack: Vector, equal: tuple[bool, ...]) -> list[Scalar]:
    """By how much each constraint and its slack miss each other, and each equality its zero."""
    return [jnp.abs(a) if either else jnp.abs(a + b) for a, b, either in zip(g, slack, equal, strict=True)]


def _spring(size: Scalar, row: Vector, free: Vector, eps: float) -> Scalar:
    """How stiff an equality is: what it misses shrinks by this, over the objective's size, in a step."""
    return eps**-0.35 * size / jnp.maximum(sum(jnp.where(a, b * b, 0.0) for a, b in zip(free, row, strict=True)), 1e-30)


def _slack(wanted: Vector, g: Vector, least: Scalar, eps: float, equal: tuple[bool, ...]) -> list[Scalar]:
    """The slacks of least merit: the room a constraint leaves, or μ/penalty where it leaves less or is violated.

    Only g's rounding, some 100 eps, is left out: the slack of a binding constraint has more digits than g itself.
    """
    return [
        a if either else jnp.where(jnp.abs(a + b) > 100 * eps, jnp.maximum(-b, least), a)
        for a, b, either in zip(wanted, g, equal, strict=True)
    ]


def _fraction(values: Vector, steps: Vector, boundary: Scalar) -> Scalar:
    """The largest fraction of the steps, at most 1, that leaves 1 − `boundary` of every positive value."""
    fastest = largest([-d / v for d, v in zip(steps, values, strict=True)])
    return jnp.where(fastest > boundary, boundary / jnp.maximum(fastest, boundary), 1.0)


def binding(box: Box, state: State) -> Binds:
    """A guess of which constraints, lower and upper bounds bind.

    Near the solution either the slack or the multiplier of a pair goes to zero. Where one is already far smaller than
    the other (both relative) that tells; else which of them fell faster in the last step does (Tapia's indicators).
    """
    slacks = [*state.slack, *state.down, *state.up]
    prices = [z / state.size for z in (*state.multipliers, *state.below, *state.above)]
    fell_faster = [one for flags in state.binds for one in flags]
    eps = float(jnp.finfo(state.size.dtype).eps)
    far, near = eps**-0.4, 100 * eps
    # What is near to rounding binds, whatever its price: in float32 a small one is lost beside a large one.
    binds = [
        (z > far * s) | (b & (s <= far * z)) | (s < near) for s, z, b in zip(slacks, prices, fell_faster, strict=True)
    ]
    active, lower, upper = _grouped(binds, len(state.x))
    free = [a & b for a, b in zip(box.free, state.matters, strict=True)]
    at_lower = tuple(f & a for a, f in zip(lower, free, strict=True))
    at_upper = tuple(f & b & ~a for a, b, f in zip(lower, upper, free, strict=True))
    return Binds(active, at_lower, at_upper)


def _grouped(flags: Vector, n: int) -> Binds:
    """The flags of constraints, of n lower and of n upper bounds."""
    m = len(flags) - 2 * n
    return Binds(tuple(flags[:m]), tuple(flags[m : m + n]), tuple(flags[m + n :]))
