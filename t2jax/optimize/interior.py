"""A primal–dual interior-point method for a handful of boxed variables and smooth constraints.

    minimise f(x)  subject to  g_c(x) ≤ 0,  lower ≤ x ≤ upper

One problem at a time, in scalars (see `dense`); `vmap` makes it a batch. Constraints get slacks s > 0 and may start
violated, the box is kept throughout. Steps minimise a quadratic model with the barrier, are held within a trust radius,
and count only if a merit function falls, so the method also descends where f is not convex. Once the barrier is small,
Newton steps on the active set alone (`_polish`) remove its last trace: what binds binds exactly, to the last bit.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from t2jax.fusion import once
from t2jax.optimize.dense import (
    Matrix,
    Scalar,
    Vector,
    dot,
    factor,
    gradients,
    largest,
    second_order,
    solve_factored,
)

Functions = Callable[[Vector], Vector]
"""x → (f, g_1, …, g_m)."""


class Box(NamedTuple):
    """lower ≤ x ≤ upper, all finite. A variable that is not `free` stays where it starts."""

    lower: Vector
    upper: Vector
    free: Vector


class Point(NamedTuple):
    """Variables, multipliers ≥ 0 of the constraints, what is active, slopes of the Lagrangian, and how well KKT holds."""

    x: Vector
    multipliers: Vector
    active: Vector
    at_lower: Vector
    at_upper: Vector
    slopes: Vector
    value: Scalar
    residual: Scalar
    violation: Scalar
    steps: Scalar


class _State(NamedTuple):
    x: Vector
    slack: Vector
    multipliers: Vector
    below: Vector  # multipliers of lower ≤ x
    above: Vector  # multipliers of x ≤ upper
    radius: Scalar
    last_step: Scalar  # the fraction of the Newton step taken last
    residual: Scalar
    steps: Scalar


def solve(functions: Functions, box: Box, start: Vector, *, max_steps: int = 60) -> Point:
    """The KKT point reached from `start`, which lies in the box; constraints may be violated there."""
    eps = float(jnp.finfo(start[0].dtype).eps)

    def running(state: _State) -> Scalar:
        # Where a number is not finite the radius is NaN, and the comparison stops the lane.
        return (state.residual > eps**0.6) & (state.radius > eps) & (state.steps < max_steps)

    def advance(state: _State) -> _State:
        new, going = _step(functions, box, state, eps), running(state)
        return jax.tree.map(lambda a, b: jnp.where(going, a, b), new, state)

    state = jax.lax.while_loop(running, advance, _initial(functions, box, start))
    return _polish(functions, box, state, eps)


def _initial(functions: Functions, box: Box, start: Vector) -> _State:
    one = jnp.ones_like(start[0])
    barrier = 0.1
    x = []
    for a, low, high, free in zip(start, *box, strict=True):
        room = 0.1 * jnp.minimum(1.0, high - low)
        x.append(jnp.where(free, jnp.clip(a, low + room, high - room), a))
    _, *g = functions(tuple(x))
    slack = [jnp.maximum(-one_g, 0.1) for one_g in g]
    return _State(
        x=tuple(x),
        slack=tuple(slack),
        multipliers=tuple(barrier / s for s in slack),
        below=tuple(barrier / jnp.where(f, a - low, 1.0) for a, low, _, f in zip(x, *box, strict=True)),
        above=tuple(barrier / jnp.where(f, high - a, 1.0) for a, _, high, f in zip(x, *box, strict=True)),
        radius=4.0 * one,
        last_step=one,
        residual=jnp.inf * one,
        steps=jnp.zeros_like(one, dtype=jnp.int32),
    )


def _step(functions: Functions, box: Box, state: _State, eps: float) -> _State:
    x, s, lam = state.x, state.slack, state.multipliers
    n, m = len(x), len(s)
    (f, *g), (df, *dg), hessian = once(second_order(functions, x, [jnp.ones_like(x[0]), *lam]))
    down = [jnp.where(free, a - low, 1.0) for a, low, _, free in zip(x, *box, strict=True)]
    up = [jnp.where(free, high - a, 1.0) for a, _, high, free in zip(x, *box, strict=True)]
    zl = [jnp.where(free, z, 0.0) for z, free in zip(state.below, box.free, strict=True)]
    zu = [jnp.where(free, z, 0.0) for z, free in zip(state.above, box.free, strict=True)]

    products = [a * b for a, b in zip([*s, *down, *up], [*lam, *zl, *zu], strict=True)]
    gap = sum(products) / len(products)
    slopes = [df[i] + dot(lam, [row[i] for row in dg]) - zl[i] + zu[i] for i in range(n)]
    dual = largest([jnp.where(free, jnp.abs(a), 0.0) for a, free in zip(slopes, box.free, strict=True)])
    error = largest([dual, *(jnp.abs(a + b) for a, b in zip(g, s, strict=True)), *products])
    # Aim lower the better the last step went, faster than linearly at the end, never far ahead of stationarity.
    centring = jnp.where(state.last_step > 0.9, jnp.clip(jnp.sqrt(gap), 1e-3, 0.1), 0.4)
    mu = largest([centring * gap, 0.1 * jnp.minimum(dual, 1.0), 0.1 * eps * jnp.ones_like(gap)])

    ratios = [a / b for a, b in zip(lam, s, strict=True)]
    pulls = [mu / s[c] + ratios[c] * (g[c] + s[c]) for c in range(m)]
    rhs = [-df[i] + mu / down[i] - mu / up[i] - dot(pulls, [row[i] for row in dg]) for i in range(n)]
    matrix = _add_outer(hessian, ratios, dg)
    for i in range(n):
        matrix[i][i] = matrix[i][i] + zl[i] / down[i] + zu[i] / up[i]
    matrix, rhs, mu, gap = once((*_hold(matrix, rhs, box.free), mu, gap))
    dx = once(_newton(matrix, rhs, eps))

    length = largest([jnp.abs(a) for a in dx])
    within = jnp.minimum(1.0, state.radius / jnp.maximum(length, 1e-30))
    dx = [within * a for a in dx]
    ds = [-(g[c] + s[c]) * within - dot(dg[c], dx) for c in range(m)]
    dlam = [mu / s[c] - lam[c] - ratios[c] * ds[c] for c in range(m)]
    dzl = [mu / down[i] - zl[i] - zl[i] / down[i] * dx[i] for i in range(n)]
    dzu = [mu / up[i] - zu[i] + zu[i] / up[i] * dx[i] for i in range(n)]
    boundary = jnp.maximum(0.99, 1.0 - gap)
    primal = _fraction([*s, *down, *up], [*ds, *dx, *(-a for a in dx)], boundary)
    dual_fraction = _fraction([*lam, *zl, *zu], [*dlam, *dzl, *dzu], boundary)
    primal, dual_fraction = once((primal, dual_fraction))

    new_x = [a + primal * d for a, d in zip(x, dx, strict=True)]
    new_x, (new_f, *new_g) = once((new_x, functions(tuple(new_x))))
    # Where the constraint holds with room to spare its slack is simply that room: then g + s = 0 to the last bit.
    new_s = [jnp.where(-new_g[c] > 0.01 * s[c], -new_g[c], s[c] + primal * ds[c]) for c in range(m)]
    new_lam, new_zl, new_zu = (
        [a + dual_fraction * d for a, d in zip(old, change, strict=True)]
        for old, change in ((lam, dlam), (zl, dzl), (zu, dzu))
    )

    # The merit is f − μ Σ log(slacks and gaps) + penalty · Σ|g + s|; one logarithm gives the change of all of them.
    penalty = 2.0 * largest([0.01 * jnp.ones_like(f), *lam, *new_lam])
    new_down = [jnp.where(free, a - low, 1.0) for a, low, _, free in zip(new_x, *box, strict=True)]
    new_up = [jnp.where(free, high - a, 1.0) for a, _, high, free in zip(new_x, *box, strict=True)]
    growth = jnp.ones_like(f)
    for old, new in zip([*s, *down, *up], [*new_s, *new_down, *new_up], strict=True):
        growth = growth * (new / old)
    missed = [jnp.abs(new_g[c] + new_s[c]) - jnp.abs(g[c] + s[c]) for c in range(m)]
    change = new_f - f - mu * jnp.log(growth) + penalty * dot(missed, [jnp.ones_like(f)] * m)
    better = once(change) <= 50 * eps * (1.0 + jnp.abs(f) + penalty)

    moved = primal * within * length
    grown = jnp.where(within < 1.0, 2.0 * state.radius, jnp.maximum(state.radius, moved))
    radius = jnp.where(better, jnp.minimum(grown, 20.0), 0.25 * moved)

    def keep(new: Vector, old: Vector) -> Vector:
        return tuple(jnp.where(better, a, b) for a, b in zip(new, old, strict=True))

    return _State(
        x=keep(new_x, x),
        slack=keep(new_s, s),
        multipliers=keep(new_lam, lam),
        below=keep(new_zl, state.below),
        above=keep(new_zu, state.above),
        radius=radius,
        last_step=jnp.where(better, jnp.minimum(primal, dual_fraction) * within, 0.0),
        residual=error,
        steps=state.steps + 1,
    )


def _fraction(values: Vector, steps: Vector, boundary: Scalar) -> Scalar:
    """The largest fraction of the steps, at most 1, that leaves 1 − `boundary` of every positive value."""
    fastest = largest([-d / v for d, v in zip(steps, values, strict=True)])
    return jnp.where(fastest > boundary, boundary / jnp.maximum(fastest, boundary), 1.0)


def _add_outer(matrix: Matrix, weights: Vector, rows: Matrix) -> list[list[Scalar]]:
    """matrix + Σ_c weight_c · row_c row_cᵀ."""
    n = len(matrix)
    return [
        [matrix[i][j] + dot(weights, [row[i] * row[j] for row in rows]) if rows else matrix[i][j] for j in range(n)]
        for i in range(n)
    ]


def _hold(matrix: Matrix, rhs: Vector, free: Vector) -> tuple[Matrix, Vector]:
    """Take the variables that are not free out of the system: their step is zero."""
    n = len(rhs)
    held = [[jnp.where(free[i] & free[j], matrix[i][j], 1.0 if i == j else 0.0) for j in range(n)] for i in range(n)]
    return held, [jnp.where(a, b, 0.0) for a, b in zip(free, rhs, strict=True)]


def _newton(matrix: Matrix, rhs: Vector, eps: float) -> Vector:
    scale = largest([jnp.abs(matrix[i][i]) for i in range(len(rhs))])
    return solve_factored(factor(matrix, eps * scale), rhs)


def solve_active(
    hessian: Matrix, rows: Matrix, active: Vector, free: Vector, of_x: Vector, of_g: Vector, refinements: int = 0
) -> tuple[Vector, Vector]:
    """(dx, dλ) of H dx + Jᵀ dλ = of_x over the free variables and J dx = of_g over the active constraints.

    Solved by condensing with a stiff penalty, H + σJᵀJ, which is positive definite at any strict minimum and needs no
    pivoting, also where active constraints depend on each other. Each refinement gains a factor of about 1/σ.
    """
    n, m = len(hessian), len(rows)
    eps = float(jnp.finfo(of_x[0].dtype).eps)
    stiffness = eps**-0.35
    rows = [[jnp.where(active[c] & free[i], rows[c][i], 0.0) for i in range(n)] for c in range(m)]
    of_g = [jnp.where(a, b, 0.0) for a, b in zip(active, of_g, strict=True)]
    hessian, of_x = _hold(hessian, of_x, free)
    columns = [[row[i] for row in rows] for i in range(n)]

    def matvec(point: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
        dx, dlam = point
        along = [dot(hessian[i], dx) + (dot(dlam, columns[i]) if m else 0.0) for i in range(n)]
        # A multiplier that is not active stays zero.
        across = [jnp.where(active[c], dot(rows[c], dx), dlam[c]) for c in range(m)]
        return tuple(along), tuple(across)

    def condensed(_: Any, rhs: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
        matrix = _add_outer(hessian, [stiffness * jnp.ones_like(of_x[0])] * m, rows)
        scale = largest([jnp.abs(matrix[i][i]) for i in range(n)])
        factors = factor(matrix, eps * scale)
        dx, dlam = jax.tree.map(jnp.zeros_like, rhs)
        for _ in range(1 + refinements):
            left_x, left_g = jax.tree.map(lambda a, b: a - b, rhs, matvec((dx, dlam)))
            pulled = [left_x[i] + (stiffness * dot(left_g, columns[i]) if m else 0.0) for i in range(n)]
            more = solve_factored(factors, pulled)
            rise = [stiffness * (dot(rows[c], more) - left_g[c]) for c in range(m)]
            dlam = tuple(jnp.where(active[c], dlam[c] + rise[c], 0.0) for c in range(m))
            dx = tuple(a + b for a, b in zip(dx, more, strict=True))
        return dx, dlam

    # The derivative of a solution is a solution: differentiating the refinements would lose what they gain.
    rhs = (tuple(of_x), tuple(of_g))
    return jax.lax.custom_linear_solve(matvec, rhs, condensed, condensed, symmetric=True)


def _polish(functions: Functions, box: Box, state: _State, eps: float) -> Point:
    """Newton on the equations of the active set, kept only if the KKT conditions hold better than before."""
    x, lam = state.x, state.multipliers
    active = tuple(a > b for a, b in zip(lam, state.slack, strict=True))
    at_lower = tuple(f & (z > a - low) for a, z, low, _, f in zip(x, state.below, *box, strict=True))
    at_upper = tuple(f & (z > high - a) for a, z, _, high, f in zip(x, state.above, *box, strict=True))
    free = [f & ~a & ~b for f, a, b in zip(box.free, at_lower, at_upper, strict=True)]

    def newton(_: Any, point: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
        x, lam = point
        (_, *g), (df, *dg), hessian = once(second_order(functions, x, [jnp.ones_like(x[0]), *lam]))
        slopes = [df[i] + dot(lam, [row[i] for row in dg]) if lam else df[i] for i in range(len(x))]
        dx, dlam = solve_active(hessian, dg, active, free, [-a for a in slopes], [-a for a in g])
        dx, dlam = once((dx, dlam))
        return (
            tuple(a + b for a, b in zip(x, dx, strict=True)),
            tuple(jnp.where(a, b + c, 0.0) for a, b, c in zip(active, lam, dlam, strict=True)),
        )

    on_bounds = tuple(
        jnp.where(a, low, jnp.where(b, high, v)) for v, a, b, low, high, _ in zip(x, at_lower, at_upper, *box, strict=True)
    )
    sharp = jax.lax.fori_loop(0, 2, newton, (on_bounds, tuple(jnp.where(a, b, 0.0) for a, b in zip(active, lam, strict=True))))
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), sharp, (x, lam))
    checks = once(jax.vmap(lambda point: _kkt(functions, box, *point, at_lower, at_upper))(both))
    better = checks[1][0] <= checks[1][1]
    (x, lam), (value, residual, violation, slopes) = jax.tree.map(lambda a: jnp.where(better, a[0], a[1]), (both, checks))
    return Point(
        x=x,
        multipliers=lam,
        active=active,
        at_lower=at_lower,
        at_upper=at_upper,
        slopes=slopes,
        value=value,
        residual=residual,
        violation=violation,
        steps=state.steps,
    )


def _kkt(
    functions: Functions, box: Box, x: Vector, lam: Vector, at_lower: Vector, at_upper: Vector
) -> tuple[Scalar, Scalar, Scalar, Vector]:
    """(f, largest violation of the KKT conditions, of the constraints, slopes of the Lagrangian), on f's and g's scales.

    Stationarity counts relative to the largest multiplier: with a price of 1e4 an eps in g is 1e4 eps in the slope.
    """
    (f, *g), (df, *dg) = gradients(functions, tuple(x))
    zero = jnp.zeros_like(f)
    wrong, slopes = [zero], []
    violation = zero
    for i, (a, low, high, free) in enumerate(zip(x, *box, strict=True)):
        slope = df[i] + dot(lam, [row[i] for row in dg]) if lam else df[i]
        slopes.append(slope)
        # At a lower bound the objective may rise into the box, at an upper one it may fall.
        slope = jnp.where(at_lower[i], jnp.maximum(-slope, 0.0), jnp.where(at_upper[i], jnp.maximum(slope, 0.0), jnp.abs(slope)))
        wrong.append(jnp.where(free, slope, 0.0))
        violation = jnp.maximum(violation, jnp.where(free, jnp.maximum(low - a, a - high), 0.0))
    violation = largest([violation, *g])
    wrong += [-a for a in lam] + [jnp.minimum(jnp.abs(a), jnp.abs(b)) for a, b in zip(lam, g, strict=True)]
    residual = jnp.maximum(largest(wrong) / largest([jnp.ones_like(f), *lam]), violation)
    return f, residual, violation, tuple(slopes)
