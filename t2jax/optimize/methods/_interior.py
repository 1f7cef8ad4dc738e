"""A primal–dual interior-point method for a handful of boxed variables and smooth constraints.

    minimise f(x)  subject to  g_c(x) ≤ 0,  g_e(x) = 0,  lower ≤ x ≤ upper

One problem at a time, in scalars (see `dense`); `vmap` makes it a batch. Constraints get slacks s > 0 and may start
violated, the box is kept throughout; equalities are stiff springs and have none. Steps minimise a quadratic model with
the barrier, are held within a trust radius, and count only if a merit function falls, so the method also descends where
f is not convex. Newton's method on what binds (`sharp`) goes first, where it may be trusted, and last: it removes the
barrier's trace, and what binds then binds to the last bit.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, dot, factor, largest, second_order, solve_factored
from t2jax._xla.fusion import once
from t2jax._xla.pieces import any_lane
from t2jax.optimize._problem import Functions, sizes
from t2jax.optimize.methods._kkt import add_outer, hold
from t2jax.optimize.methods._quadratic import Binds
from t2jax.optimize.methods._sharp import Box, Sharp, fresh, sharpen, slope_size, with_what_matters
from t2jax.quantities import Curvature

_DIRECT_STAGE, _BARRIER_STAGE, _LAST_STAGE = 0, 1, 2
_SHARP_STEPS = 20  # of Newton's method on what binds, in the first and in the last stage each
_MOST = 1e4  # the largest multiplier that bends a first step of Newton's, in units of the objective's size
_BARRIER = 0.1  # slack times multiplier at the start, in units of the objective's size


class Point(NamedTuple):
    """Variables, multipliers ≥ 0, what is active, slopes of the Lagrangian, f and g, and how well KKT holds."""

    x: Vector
    multipliers: Vector
    active: Vector
    at_lower: Vector
    at_upper: Vector
    matters: Vector  # does anything depend on the variable?
    slopes: Vector
    value: Scalar
    violations: Vector
    residual: Scalar
    violation: Scalar
    steps: Scalar


class _State(NamedTuple):
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


def solve(
    functions: Functions,
    box: Box,
    start: Vector,
    *,
    curvature: Curvature,
    derivatives_of: Any = second_order,
    max_steps: int = 60,
) -> Point:
    """The KKT point reached from `start`, which lies in the box; constraints may be violated there.

    curvature: of the problem; unless unknown, Newton's method tries first without a barrier. derivatives_of:
    `second_order`, or another function with its arguments and answers.
    """
    eps = float(jnp.finfo(start[0].dtype).eps)
    state = _initial(functions, box, start)
    sharp = fresh(box, start, tuple(0.0 * a for a in state.multipliers), _nothing_binds(state), state.matters)

    # With many optima the nearest stationary point is none to trust. Differences serve problems that are solved once:
    # to compile the direct stage would take longer than it saves.
    direct = curvature is not Curvature.UNKNOWN and derivatives_of is second_order
    first = _DIRECT_STAGE if direct else _BARRIER_STAGE

    # All stages go through one loop body: derivatives are most of a step, and of what is compiled.
    def stage(which: Any, points: Any) -> Any:
        barrier = which == _BARRIER_STAGE

        def running(state: _State, sharp: Sharp) -> Scalar:
            # Where a number is not finite the radius is NaN, and the comparison stops the lane.
            going = (state.residual > eps**0.75) & (state.radius > eps) & (state.steps < max_steps)
            return ~sharp.done & jnp.where(barrier, going, sharp.steps < _SHARP_STEPS)

        def step(points: Any) -> Any:
            going, state, sharp = points
            x, lam = (
                tuple(jnp.where(barrier, a, b) for a, b in zip(*pair, strict=True))
                for pair in ((state.x, sharp.x), (state.multipliers, sharp.multipliers))
            )
            derivatives = once(derivatives_of(functions, x, [jnp.ones_like(x[0]), *lam]))
            minima_only = (which == _DIRECT_STAGE) if curvature is not Curvature.CONVEX else False
            state, sharp = jax.lax.cond(
                barrier,
                lambda: (_step(functions, box, state, derivatives, going, eps), sharp),
                lambda: (
                    state,
                    sharpen(box, sharp, derivatives, going, minima_only=minima_only, equal=functions.equal),
                ),
            )
            return running(state, sharp), state, sharp

        state, sharp = points
        # The last stage starts from where the barrier ended.
        ended = (which == _LAST_STAGE) & ~sharp.done
        sharp = jax.tree.map(
            lambda a, b: jnp.where(ended, a, b), _from_the_barrier(box, state, sharp, functions.equal), sharp
        )
        points = (running(state, sharp), state, sharp)
        return jax.lax.while_loop(lambda points: any_lane(points[0]), step, points)[1:]

    state, sharp = jax.lax.fori_loop(first, _LAST_STAGE + 1, stage, (state, sharp))
    best = sharp.best
    return Point(
        x=best.x,
        multipliers=best.multipliers,
        active=best.binds.active,
        at_lower=best.binds.at_lower,
        at_upper=best.binds.at_upper,
        matters=sharp.matters,
        slopes=best.slopes,
        value=best.value,
        violations=best.violations,
        residual=best.residual,
        violation=best.violation,
        steps=sharp.steps + state.steps,
    )


def _nothing_binds(state: "_State") -> Binds:
    no = state.matters[0] & False
    return Binds((no,) * len(state.multipliers), (no,) * len(state.x), (no,) * len(state.x))


def _from_the_barrier(box: Box, state: "_State", sharp: Sharp, equal: tuple[bool, ...]) -> Sharp:
    """Newton's method from where the barrier ended; the best point seen before stays."""
    matters = tuple(a | b for a, b in zip(state.matters, sharp.matters, strict=True))
    binds = _binding(box, state)
    x = tuple(jnp.clip(a, low, high) for a, low, high, _ in zip(state.x, *box, strict=True))  # but for its rounding
    # Those of constraints that leave no room have no end, and then the size, a curvature, has none.
    most = _MOST * jnp.minimum(state.size, 1.0)
    multipliers = tuple(
        jnp.clip(a, -most, most) if either else jnp.minimum(a, most)
        for a, either in zip(state.multipliers, equal, strict=True)
    )
    begun = fresh(box, x, multipliers, binds, matters)
    return begun._replace(best=sharp.best, done=sharp.done)


def nothing(like: Scalar, variables: int, constraints: int) -> Point:
    """What any solution is better than; batched where `like` is."""
    zero, none = 0.0 * like, like != like
    x, g = (zero,) * variables, (zero,) * constraints
    flags = (none,) * variables
    end = zero + jnp.inf
    return Point(x, g, (none,) * constraints, flags, flags, flags, x, end, g, end, end, zero.astype(jnp.int32))


def _initial(functions: Functions, box: Box, start: Vector) -> _State:
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
    return _State(
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


def _step(functions: Functions, box: Box, state: _State, derivatives: Any, going: Scalar, eps: float) -> _State:
    """One step of a lane that is `going`; another stays as it is."""
    x, lam = state.x, state.multipliers
    n, m = len(x), len(lam)
    equal, slacked = functions.equal, [c for c in range(m) if not functions.equal[c]]
    (f, *g), (df, *dg), hessian = derivatives
    matters = with_what_matters(state.matters, [df, *dg])
    free = [a & b for a, b in zip(box.free, matters, strict=True)]
    # All that has the objective's unit is relative to its slope.
    size = slope_size(free, df, hessian)
    s, lam = state.slack, [a * jnp.where(state.steps == 0, size, 1.0) for a in lam]
    # A variable joins, with its bounds and their multipliers, once it is seen to matter: as a rule in the first step.
    joins = [a & ~b for a, b in zip(free, state.matters, strict=True)]
    down = [jnp.where(j, a - low, d) for j, a, low, d in zip(joins, x, box.lower, state.down, strict=True)]
    up = [jnp.where(j, high - a, d) for j, a, high, d in zip(joins, x, box.upper, state.up, strict=True)]
    zl = [jnp.where(j, _BARRIER * size / d, z) for j, d, z in zip(joins, down, state.below, strict=True)]
    zu = [jnp.where(j, _BARRIER * size / d, z) for j, d, z in zip(joins, up, state.above, strict=True)]

    def with_slack(values: Vector) -> list[Scalar]:
        return [values[c] for c in slacked]

    products = [a * b for a, b in zip([*with_slack(s), *down, *up], [*with_slack(lam), *zl, *zu], strict=True)]
    gap = sum(products) / len(products)
    slopes = [df[i] + dot(lam, [row[i] for row in dg]) - zl[i] + zu[i] for i in range(n)]
    dual = largest([jnp.where(a, jnp.abs(b), 0.0) for a, b in zip(free, slopes, strict=True)])
    missed = largest([jnp.zeros_like(f), *_missed(g, s, equal)])
    error = largest([dual, *products]) / size
    # Aim lower the better the last step went, faster than linearly at the end, never far ahead of stationarity.
    centring = jnp.where(state.last_step > 0.9, jnp.clip(jnp.sqrt(gap / size), 1e-3, 0.1), 0.4)
    mu = largest([centring * gap, 0.1 * jnp.minimum(dual, size), 0.1 * eps * size])

    ratios = [
        _spring(size, row, free, eps) if either else a / b for a, b, row, either in zip(lam, s, dg, equal, strict=True)
    ]
    pulls = [lam[c] + ratios[c] * g[c] if equal[c] else mu / s[c] + ratios[c] * (g[c] + s[c]) for c in range(m)]
    rhs = [-df[i] + mu / down[i] - mu / up[i] - dot(pulls, [row[i] for row in dg]) for i in range(n)]
    matrix = add_outer(hessian, ratios, dg)
    for i in range(n):
        matrix[i][i] = matrix[i][i] + zl[i] / down[i] + zu[i] / up[i]
    matrix, rhs, mu, gap, size = once((*hold(matrix, rhs, free), mu, gap, size))
    dx = once(solve_factored(factor(matrix), rhs))

    length = largest([jnp.abs(a) for a in dx])
    within = jnp.minimum(1.0, state.radius / jnp.maximum(length, 1e-30))
    ds = [jnp.zeros_like(f) if equal[c] else -(g[c] + s[c]) - dot(dg[c], dx) for c in range(m)]
    dlam = [
        ratios[c] * (g[c] + dot(dg[c], dx)) if equal[c] else mu / s[c] - lam[c] - ratios[c] * ds[c] for c in range(m)
    ]
    dzl = [mu / down[i] - zl[i] - zl[i] / down[i] * dx[i] for i in range(n)]
    dzu = [mu / up[i] - zu[i] + zu[i] / up[i] * dx[i] for i in range(n)]
    # Far from the end not too near: a step that uses up a slack at once is often rejected (0.99 took 4 steps more).
    boundary = jnp.maximum(0.95, 1.0 - gap / size)
    # The trust radius shortens all of the step: part of a primal step with a whole dual one is no Newton step.
    room, change = [*with_slack(s), *down, *up], [*with_slack(ds), *dx, *(-a for a in dx)]
    primal = within * _fraction(room, [within * d for d in change], boundary)
    above_zero, change = [*with_slack(lam), *zl, *zu], [*with_slack(dlam), *dzl, *dzu]
    dual_fraction = within * _fraction(above_zero, [within * d for d in change], boundary)
    primal, dual_fraction = once((primal, dual_fraction))

    new_x = [a + primal * d for a, d in zip(x, dx, strict=True)]
    new_x, (new_f, *new_g) = once((new_x, functions(tuple(new_x))))
    prices = [*sizes(lam, equal), *sizes([a + d for a, d in zip(lam, dlam, strict=True)], equal)]
    penalty = 2.0 * largest([0.01 * size, *prices])
    new_s = _slack([s[c] + primal * ds[c] for c in range(m)], new_g, mu / penalty, eps, equal)
    new_down = [a + primal * d for a, d in zip(down, dx, strict=True)]
    new_up = [a - primal * d for a, d in zip(up, dx, strict=True)]
    new_lam, new_zl, new_zu = (
        [a + dual_fraction * d for a, d in zip(old, change, strict=True)]
        for old, change in ((lam, dlam), (zl, dzl), (zu, dzu))
    )
    new_lam = [lam[c] + primal * dlam[c] if equal[c] else new_lam[c] for c in range(m)]

    # The merit is f − μ Σ log(slacks and gaps) + penalty · Σ|g + s|; one logarithm gives the change of all of them.
    growth = jnp.ones_like(f)
    for old, new in zip([*with_slack(s), *down, *up], [*with_slack(new_s), *new_down, *new_up], strict=True):
        growth = growth * (new / old)
    further = [a - b for a, b in zip(_missed(new_g, new_s, equal), _missed(g, s, equal), strict=True)]
    change = new_f - f - mu * jnp.log(growth) + penalty * dot(further, [jnp.ones_like(f)] * m)
    better = (once(change) <= 50 * eps * (1.0 + jnp.abs(f) + penalty)) & going

    moved = primal * length
    grown = jnp.where(within < 1.0, 3.0 * state.radius, jnp.maximum(state.radius, moved))
    radius = jnp.where(better, jnp.minimum(grown, 20.0), 0.3 * moved)

    # g is a difference of logarithms near 50: it has no digits beyond 100 eps. The new point counts, as a last step may
    # well have left the constraints.
    residual = largest([error, 0.01 * missed, *(0.01 * a for a in _missed(new_g, new_s, equal))])

    fell = zip([*s, *down, *up], [*new_s, *new_down, *new_up], strict=True)
    sank = zip([*lam, *zl, *zu], [*new_lam, *new_zl, *new_zu], strict=True)
    binds = _grouped([new * old_z < new_z * old for (old, new), (old_z, new_z) in zip(fell, sank, strict=True)], n)

    def keep(new: Vector, old: Vector, if_: Scalar = better) -> Vector:
        return tuple(jnp.where(if_, a, b) for a, b in zip(new, old, strict=True))

    return _State(
        x=keep(new_x, x),
        slack=keep(new_s, s),
        down=keep(new_down, down),
        up=keep(new_up, up),
        multipliers=keep(new_lam, lam),
        below=keep(new_zl, zl),
        above=keep(new_zu, zu),
        matters=keep(matters, state.matters, going),
        binds=jax.tree.map(lambda a, b: jnp.where(better, a, b), binds, state.binds),
        size=jnp.where(going, size, state.size),
        radius=jnp.where(going, radius, state.radius),
        last_step=jnp.where(going, jnp.where(better, jnp.minimum(primal, dual_fraction), 0.0), state.last_step),
        residual=jnp.where(going, residual, state.residual),
        steps=state.steps + going.astype(jnp.int32),
    )


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


def _binding(box: Box, state: _State) -> Binds:
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
