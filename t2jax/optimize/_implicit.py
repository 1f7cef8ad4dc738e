"""The optimum as a differentiable function of the problem's numbers, by the implicit function theorem.

`optimum` searches without derivatives; its derivative rule solves the linearised KKT conditions of the active set at
the solution. The rule is itself written in terms of `optimum`, so derivatives of every order, forward and reverse,
follow from it. Batches are searched in pieces that stay in cache, each until its own slowest lane is done.
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, dot, gradients, largest, second_order
from t2jax._xla.axes import varying_alike
from t2jax._xla.pieces import any_lane, in_pieces
from t2jax.optimize._optimum import Optimum, tolerance
from t2jax.optimize._problem import FAR, Problem
from t2jax.optimize._starts import further, slide, spread
from t2jax.optimize._whole import best_of, solve_whole
from t2jax.optimize.methods._interior import Point, nothing, solve
from t2jax.optimize.methods._kkt import linearised_kkt
from t2jax.optimize.methods._separable import separable, solve_separable
from t2jax.optimize.methods._sharp import Box
from t2jax.quantities import Curvature

LANES = {"cpu": 128}
"""Lanes searched together, by backend. On a CPU few: they stay in a core's first cache, and few wait for the slowest of
them. An accelerator wants all at once."""


def find(problem: Problem, start: Any, derivatives_of: Any = second_order) -> Optimum:
    """The optimum of a problem whose floating leaves are all of one dtype, searched from `start` (log scalars).

    derivatives_of: what the search takes its Hessians from, see `interior.solve`. Derivatives of the optimum are exact.
    """
    shape = separable(problem)
    if shape is not None:
        return solve_separable(problem, shape)
    arrays, static = eqx.partition((problem, tuple(start)), eqx.is_inexact_array)
    leaves, treedef = jax.tree.flatten(arrays)
    search = partial(_search, derivatives_of)
    return _optimum(search, partial(_restore, treedef, static), leaves)


def _restore(treedef: Any, static: Any, leaves: Any) -> tuple[Problem, Vector]:
    return eqx.combine(jax.tree.unflatten(treedef, leaves), static)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _optimum(search: Any, restore: Any, leaves: list[Any]) -> Optimum:
    return in_pieces(lambda leaves: search(*restore(leaves)), varying_alike(leaves), LANES)


@_optimum.defjvp
def _optimum_jvp(search: Any, restore: Any, primals: Any, tangents: Any) -> tuple[Optimum, Optimum]:
    (leaves,), (leaf_tangents,) = primals, tangents
    found = _optimum(search, restore, leaves)
    x, lam = found.x, found.multipliers
    n, m = len(x), len(lam)

    def conditions(leaves: list[Any]) -> tuple[Scalar, Vector, Vector, Vector, Vector]:
        """Objective, constraints, slopes of the Lagrangian and bounds as functions of the problem, at fixed x and λ."""
        problem, _ = restore(leaves)
        (f, *g), (df, *dg) = gradients(problem.functions(), x)
        slopes = [df[i] + dot(lam, [row[i] for row in dg]) for i in range(n)]
        return f, g, slopes, *problem.bounds()

    _, (f, g, slopes, lower, upper) = jax.jvp(conditions, (leaves,), (leaf_tangents,))
    _, (df, *rows), hessian = second_order(restore(leaves)[0].functions(), x, [jnp.ones_like(x[0]), *lam])

    held = [
        jnp.where(found.at_upper[i] > 0, upper[i], jnp.where(found.at_lower[i] > 0, lower[i], 0.0)) for i in range(n)
    ]
    free, active = [a > 0 for a in found.free], [a > 0 for a in found.active]
    of_x = [-slopes[i] - dot(hessian[i], held) for i in range(n)]
    of_g = [-g[c] - dot(rows[c], held) for c in range(m)]
    apply, resolve, _ = linearised_kkt(hessian, rows, active, free)
    # The derivative of a solution is a solution: differentiating the refinements would lose what they gain.
    moved = jax.lax.custom_linear_solve(
        lambda v: jnp.stack(apply(list(v))),
        jnp.stack([jnp.where(a, b, 0.0) for a, b in zip([*free, *active], [*of_x, *of_g], strict=True)]),
        lambda _, v: jnp.stack(resolve(list(v), refinements=3)),
        symmetric=True,
    )
    dx, dlam = list(moved[:n]), list(moved[n:])
    dx = [jnp.where(a, b, c) for a, b, c in zip(free, dx, held, strict=True)]
    along = [slopes[i] + dot(hessian[i], dx) for i in range(n)]
    tangent = jax.tree.map(jnp.zeros_like, found)._replace(
        x=tuple(dx),
        multipliers=tuple(dlam),
        value=f + dot(df, dx),
        violations=tuple(g[c] + dot(rows[c], dx) for c in range(m)),
        slopes=tuple(along[i] + dot(dlam, [row[i] for row in rows]) for i in range(n)),
    )
    return found, tangent


@eqx.filter_jit
def _search(derivatives_of: Any, problem: Problem, start: Vector) -> Optimum:
    """One problem, without derivatives. Jitted, as a `vmap` asks for it alone and in pieces: it is traced but once."""
    functions = problem.functions()
    reach = partial(solve, curvature=problem.curvature, derivatives_of=derivatives_of)
    start, lower, upper = varying_alike((tuple(start), *problem.bounds()))
    tiny = 100 * float(jnp.finfo(start[0].dtype).eps)
    start = [jnp.clip(a, low, jnp.maximum(low, high)) for a, low, high in zip(start, lower, upper, strict=True)]
    free = [high - low > tiny for low, high in zip(lower, upper, strict=True)]
    box = Box(tuple(lower), tuple(upper), tuple(free))
    if problem.whole:
        box, point = solve_whole(problem, functions, box, tuple(start), tiny, reach)
    elif problem.curvature is Curvature.CONVEX:
        point = reach(functions, box, slide(functions, box, tuple(start), room=0.5))
    else:
        worst = nothing(start[0], len(start), len(problem.sorted()[1]))
        point = _in_turn(
            lambda x: reach(functions, box, x),
            functions,
            box,
            slide(functions, box, tuple(start)),
            lambda: spread(functions, box, start, problem.curvature),
            worst,
            problem.curvature is Curvature.SINGLE,
        )

    matters = point.matters
    pinned = [~f & r for f, r in zip(box.free, matters, strict=True)]
    for i in problem.whole:
        pinned[i] = jnp.zeros_like(pinned[0])  # held at its whole number, not at a bound
    at_upper = [a | (p & (s < 0)) for a, p, s in zip(point.at_upper, pinned, point.slopes, strict=True)]
    at_lower = [a | (p & ~(s < 0)) for a, p, s in zip(point.at_lower, pinned, point.slopes, strict=True)]
    inside = [f & r & ~a & ~b for f, r, a, b in zip(box.free, matters, at_lower, at_upper, strict=True)]
    crossed = largest([low - high for low, high in zip(box.lower, box.upper, strict=True)])
    gaining, forced = _escapes(functions, box, point)
    # What nothing depends on rests at its lower bound; where it has none, at one, and is reported as zero.
    rests = [jnp.where(low > -FAR, low, 0.0) for low in lower]
    as_float = partial(jax.tree.map, lambda a: a.astype(start[0].dtype))
    return Optimum(
        x=tuple(jnp.where(r, a, b) for r, a, b in zip(matters, point.x, rests, strict=True)),
        multipliers=point.multipliers,
        value=point.value,
        violations=point.violations,
        slopes=point.slopes,
        active=as_float(point.active),
        at_lower=as_float(tuple(at_lower)),
        at_upper=as_float(tuple(at_upper)),
        free=as_float(tuple(inside)),
        relevant=as_float(matters),
        residual=point.residual,
        violation=jnp.where(forced, jnp.inf, jnp.maximum(point.violation, crossed)),
        unbounded=as_float(tuple(gaining)),
        steps=as_float(point.steps),
    )


def _in_turn(
    solve: Any, functions: Any, box: Box, first: Vector, others: Any, worst: Point, first_will_do: bool
) -> Point:
    """The best from all starts, or from as many as it takes until one is solved and nothing better is in sight of it.

    Others are looked for if need be, one after another: side by side they would be short rows, which no vector unit
    likes.
    """
    count = jax.eval_shape(others)[0].shape[0]
    starts = tuple(jnp.broadcast_to(a, (count,)) for a in first)

    def look(state: Any) -> Any:
        tried, start, starts, best, open_ = state
        found = solve(start)
        better = best_of(jax.tree.map(lambda a, b: jnp.stack([a, b]), best, found))
        best = jax.tree.map(lambda a, b: jnp.where(open_, a, b), better, best)
        seen, point = further(functions, box, best.x, best.value, best.violation)
        limit = tolerance(best.value.dtype)
        solved = (best.residual <= limit) & (best.violation <= limit)
        open_ = open_ & ~(first_will_do & solved & ~seen)
        starts = jax.lax.cond(tried == 0, lambda _: tuple(others()), lambda starts: starts, starts)
        start = [jnp.where(seen, a, jnp.take(b, tried, mode="clip")) for a, b in zip(point, starts, strict=True)]
        return tried + 1, tuple(start), starts, best, open_

    def looking(state: Any) -> Scalar:
        return (state[0] <= count) & any_lane(state[-1])

    open_ = first[0] == first[0]
    return jax.lax.while_loop(looking, look, (0, tuple(first), starts, worst, open_))[3]


def _escapes(functions: Any, box: Box, point: Point) -> tuple[list[Scalar], Scalar]:
    """(Without which variable's limit would the objective gain and gain?, is it the constraints that ask for no limit?)

    An end of the world is where a variable has no bound of its own. An objective that ignores the variable gains
    nothing there. Where it does not gain, but constraints hold only there, no allocation satisfies them.
    """
    value, n = point.value, len(point.x)
    limit = tolerance(value.dtype)
    noise = 4 * float(jnp.finfo(value.dtype).eps) * (1.0 + jnp.abs(value))
    ends = [(i, edge, far) for i in range(n) for edge in (-FAR, FAR) for far in (0.999, 0.3)]
    moved = [
        jnp.stack([jnp.full_like(a, edge * far) if i == j else a for j, edge, far in ends])
        for i, a in enumerate(point.x)
    ]
    f, *g = jax.vmap(functions)(tuple(moved))
    allowed = largest([jnp.zeros_like(f), *functions.missed(g)]) <= limit
    gaining, forced = [value != value] * n, value != value
    for out, (i, edge, _) in enumerate(ends[::2]):
        out, back = 2 * out, 2 * out + 1
        open_ended = box.free[i] & point.matters[i] & ((box.lower[i] if edge < 0 else box.upper[i]) == edge)
        there = jnp.abs(point.x[i] - edge) < 3.0
        gains = jnp.where(there, f[back] > value + noise, allowed[out] & (f[out] < value - noise))
        gaining[i] |= open_ended & gains
        forced |= open_ended & there & ~gains & ~allowed[back]
    return gaining, forced
