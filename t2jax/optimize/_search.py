"""One problem, searched without derivatives: from as many starts as it takes, and what became of each variable."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, largest, second_order
from t2jax._xla.axes import varying_alike
from t2jax._xla.pieces import any_lane
from t2jax.optimize._optimum import Optimum
from t2jax.optimize._problem import FAR, Functions, Problem
from t2jax.optimize._starts import further, slide, spread
from t2jax.optimize._whole import solve_whole
from t2jax.optimize.methods._interior import Reached, best_of, nothing, solve
from t2jax.optimize.methods._point import Binds, Box

__all__ = ["search"]


@eqx.filter_jit
def search(derivatives_of: Any, problem: Problem, start: Vector) -> Optimum:
    """One problem, without derivatives. Jitted, as a `vmap` asks for it alone and in pieces: it is traced but once."""
    functions = problem.functions()
    start, lower, upper = varying_alike((tuple(start), *problem.bounds()))
    tiny = 100 * float(jnp.finfo(start[0].dtype).eps)
    start = tuple(jnp.clip(a, low, jnp.maximum(low, high)) for a, low, high in zip(start, lower, upper, strict=True))
    free = [high - low > tiny for low, high in zip(lower, upper, strict=True)]
    box = Box(tuple(lower), tuple(upper), tuple(free))
    box, reached = _reached(derivatives_of, problem, functions, box, start, tiny)
    return _described(problem, functions, box, reached, lower)


def _reached(
    derivatives_of: Any, problem: Problem, functions: Functions, box: Box, start: Vector, tiny: float
) -> tuple[Box, Reached]:
    """(the box, with what is whole held where it ended; the best end of as many searches as the problem takes)."""
    options, few_optima = problem.options, problem.few_optima
    reach = partial(
        solve,
        convex=problem.convex,
        # With many optima the nearest stationary point is none to trust. Differences serve problems that are solved
        # once: to compile the direct stage would take longer than it saves.
        direct=(problem.convex or few_optima) and derivatives_of is second_order,
        max_steps=options.max_steps,
        derivatives_of=derivatives_of,
    )
    if problem.whole:
        return solve_whole(problem, functions, box, start, tiny, reach)
    if problem.convex:
        return box, reach(functions, box, slide(functions, box, start, room=0.5))
    return box, _in_turn(
        lambda x: reach(functions, box, x),
        functions,
        box,
        slide(functions, box, start),
        lambda: spread(problem, functions, box, start),
        nothing(start[0], len(start), len(problem.sorted()[1])),
        few_optima,
        options.limit(start[0].dtype),
    )


def _described(problem: Problem, functions: Functions, box: Box, reached: Reached, lower: Vector) -> Optimum:
    """What became of each variable where a search ended."""
    point, matters, binds = reached.point, reached.matters, reached.point.binds
    pinned = [~f & r for f, r in zip(box.free, matters, strict=True)]
    for i in problem.whole:
        pinned[i] = jnp.zeros_like(pinned[0])  # held at its whole number, not at a bound
    at_upper = [a | (p & (s < 0)) for a, p, s in zip(binds.at_upper, pinned, point.slopes, strict=True)]
    at_lower = [a | (p & ~(s < 0)) for a, p, s in zip(binds.at_lower, pinned, point.slopes, strict=True)]
    inside = [f & r & ~a & ~b for f, r, a, b in zip(box.free, matters, at_lower, at_upper, strict=True)]
    crossed = largest([low - high for low, high in zip(box.lower, box.upper, strict=True)])
    gaining, forced = _escapes(functions, box, reached, problem.options.limit(crossed.dtype))
    # What nothing depends on rests at its lower bound; where it has none, at one, and is reported as zero.
    rests = [jnp.where(low > -FAR, low, 0.0) for low in lower]
    as_float = partial(jax.tree.map, lambda a: a.astype(crossed.dtype))
    point = point._replace(
        x=tuple(jnp.where(r, a, b) for r, a, b in zip(matters, point.x, rests, strict=True)),
        binds=as_float(Binds(binds.active, tuple(at_lower), tuple(at_upper))),
        violation=jnp.where(forced, jnp.inf, jnp.maximum(point.violation, crossed)),
    )
    return Optimum(
        point,
        free=as_float(tuple(inside)),
        relevant=as_float(matters),
        unbounded=as_float(tuple(gaining)),
        steps=as_float(reached.steps),
    )


def _in_turn(
    solve: Any,
    functions: Functions,
    box: Box,
    first: Vector,
    others: Any,
    worst: Reached,
    first_will_do: bool,
    limit: float,
) -> Reached:
    """The best from all starts, or from as many as it takes until one is solved and nothing better is in sight of it.

    Others are looked for if need be, one after another: side by side they would be short rows, which no vector unit
    likes.
    """
    count = jax.eval_shape(others)[0].shape[0]
    starts = tuple(jnp.broadcast_to(a, (count,)) for a in first)

    def look(state: Any) -> Any:
        tried, start, starts, best, open_ = state
        found = solve(start)
        better = best_of(jax.tree.map(lambda a, b: jnp.stack([a, b]), best, found), limit)
        best = jax.tree.map(lambda a, b: jnp.where(open_, a, b), better, best)
        end = best.point
        seen, point = further(functions, box, end.x, end.value, end.violation)
        solved = (end.residual <= limit) & (end.violation <= limit)
        open_ = open_ & ~(first_will_do & solved & ~seen)
        starts = jax.lax.cond(tried == 0, lambda _: tuple(others()), lambda starts: starts, starts)
        start = [jnp.where(seen, a, jnp.take(b, tried, mode="clip")) for a, b in zip(point, starts, strict=True)]
        return tried + 1, tuple(start), starts, best, open_

    def looking(state: Any) -> Scalar:
        return (state[0] <= count) & any_lane(state[-1])

    open_ = first[0] == first[0]
    return jax.lax.while_loop(looking, look, (0, tuple(first), starts, worst, open_))[3]


def _escapes(functions: Functions, box: Box, reached: Reached, limit: float) -> tuple[list[Scalar], Scalar]:
    """(Without which variable's limit would the objective gain and gain?, is it the constraints that ask for no limit?)

    An end of the world is where a variable has no bound of its own. An objective that ignores the variable gains
    nothing there. Where it does not gain, but constraints hold only there, no allocation satisfies them.
    """
    x, value, n = reached.point.x, reached.point.value, len(reached.point.x)
    noise = 4 * float(jnp.finfo(value.dtype).eps) * (1.0 + jnp.abs(value))
    ends = [(i, edge, far) for i in range(n) for edge in (-FAR, FAR) for far in (0.999, 0.3)]
    moved = [
        jnp.stack([jnp.full_like(a, edge * far) if i == j else a for j, edge, far in ends]) for i, a in enumerate(x)
    ]
    f, *g = jax.vmap(functions)(tuple(moved))
    allowed = largest([jnp.zeros_like(f), *functions.missed(g)]) <= limit
    gaining, forced = [value != value] * n, value != value
    for out, (i, edge, _) in enumerate(ends[::2]):
        out, back = 2 * out, 2 * out + 1
        open_ended = box.free[i] & reached.matters[i] & ((box.lower[i] if edge < 0 else box.upper[i]) == edge)
        there = jnp.abs(x[i] - edge) < 3.0
        gains = jnp.where(there, f[back] > value + noise, allowed[out] & (f[out] < value - noise))
        gaining[i] |= open_ended & gains
        forced |= open_ended & there & ~gains & ~allowed[back]
    return gaining, forced
