"""Optima where several variables are whole numbers: boxes that are parted until none that is left can be better."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector
from t2jax._xla.pieces import any_lane
from t2jax.optimize._options import SolverOptions
from t2jax.optimize._problem import Functions, Problem
from t2jax.optimize._starts import slide, spread
from t2jax.optimize.methods._interior import Reached, best_of, nothing
from t2jax.optimize.methods._point import Box

__all__ = ["branch_and_bound"]


class _Tree(NamedTuple):
    """What is left to look at, a stack of boxes of the whole scalars, and the best point with whole numbers so far."""

    low: Any  # (boxes, whole scalars), logarithms of whole numbers
    high: Any
    bound: Any  # (boxes,): nothing within is better than this
    count: Scalar
    best: Reached
    nodes: Scalar


_BOXES = 96


def branch_and_bound(
    problem: Problem, functions: Functions, box: Box, start: Vector, tiny: float, reach: Any
) -> tuple[Box, Reached]:
    """The best point where several scalars are whole numbers (Land and Doig 1960).

    The problem with real numbers within a box bounds what whole ones reach there. A box whose bound is not below the
    best point yet is left; another is parted at its optimum. What that says of a convex problem is certain; for others
    it is as good as the search for each box's optimum. Where it does not come to an end the problem is not solved.
    """
    whole, convex = problem.whole, problem.convex
    limit, most_nodes = problem.options.limit(start[0].dtype), problem.options.max_nodes
    starts = tuple(a[None] for a in start) if convex else tuple(spread(problem, functions, box, start))
    least = jnp.stack([jnp.ceil(jnp.exp(box.lower[i]) * (1 - tiny)) for i in whole])
    most = jnp.stack([jnp.floor(jnp.exp(box.upper[i]) * (1 + tiny)) for i in whole])

    places = jnp.arange(_BOXES, dtype=jnp.int32)

    def boxed(low: Any, high: Any) -> Box:
        lower, upper, free = (list(one) for one in box)
        for j, i in enumerate(whole):
            lower[i], upper[i], free[i] = low[j], high[j], box.free[i] & (high[j] - low[j] > tiny)
        return Box(tuple(lower), tuple(upper), tuple(free))

    def optimum(low: Any, high: Any) -> Reached:
        within = boxed(low, high)

        def from_one(x: Vector) -> Reached:
            x = tuple(jnp.clip(a, b, c) for a, b, c in zip(x, within.lower, within.upper, strict=True))
            return reach(functions, within, slide(functions, within, x, room=0.5))

        return best_of(jax.lax.map(from_one, starts), limit)

    def open_boxes(tree: _Tree) -> Any:
        best = tree.best.point.value
        least_gain = 8 * float(jnp.finfo(start[0].dtype).eps) * (1.0 + jnp.abs(best))
        return (places < tree.count) & (tree.bound < jnp.where(jnp.isfinite(best), best - least_gain, jnp.inf))

    def looking(tree: _Tree) -> Scalar:
        return any_lane(jnp.any(open_boxes(tree)) & (tree.nodes < most_nodes))

    def look(tree: _Tree) -> _Tree:
        waiting = open_boxes(tree)
        going = jnp.any(waiting) & (tree.nodes < most_nodes)
        top = jnp.max(jnp.where(waiting, places, 0))
        low, high = tree.low[top], tree.high[top]
        reached = optimum(low, high)
        point, before = reached.point, tree.best.point
        value = jnp.where(point.residual <= 1e3 * limit, point.value, point.value + 1.0)
        feasible, held = point.violation <= limit, jnp.all(high - low <= tiny)
        improves = feasible & held & (value < before.value)
        least_wrong = ~feasible & ~(before.violation <= limit) & (point.violation < before.violation)
        taken = going & (improves | least_wrong)
        reached = reached._replace(point=point._replace(value=value))
        best = jax.tree.map(lambda a, b: jnp.where(taken, a, b), reached, tree.best)

        first, nearer, are_whole = _parted(jnp.stack([point.x[i] for i in whole]), low, high, tiny)
        there = jnp.stack([jnp.all(one[0] <= one[1] + tiny) for one in (first, nearer)])
        there = there & jnp.stack([feasible & ~held, feasible & ~held & ~are_whole])
        # A box that is not there has nothing within.
        bounds = jnp.where(there, jnp.where(jnp.isfinite(point.value), point.value, -jnp.inf), jnp.inf)
        spots = jnp.stack([top, top + 1])
        lows, highs = jnp.stack([first[0], nearer[0]]), jnp.stack([first[1], nearer[1]])
        after = _Tree(
            tree.low.at[spots].set(lows, mode="drop"),
            tree.high.at[spots].set(highs, mode="drop"),
            tree.bound.at[spots].set(bounds, mode="drop"),
            top + 2,
            best,
            tree.nodes + jnp.where(top + 2 > _BOXES, most_nodes, 1),
        )
        return jax.tree.map(lambda a, b: jnp.where(going, a, b), after, tree)

    none = 0.0 * jnp.broadcast_to(start[0], (_BOXES, len(whole)))
    possible = jnp.all(least <= most)
    worst = nothing(start[0], len(start), len(problem.sorted()[1]))
    zero = (0.0 * start[0]).astype(jnp.int32)
    first = jnp.log(least), jnp.log(jnp.maximum(least, most))
    rows = [none + jnp.broadcast_to(one, none.shape) for one in first]
    tree = _Tree(*rows, none[:, 0] - jnp.inf, zero + 1, worst, zero)
    tree = jax.lax.while_loop(looking, look, tree)
    best = tree.best.point
    left = jnp.any(open_boxes(tree)) | (tree.nodes >= most_nodes)
    best = best._replace(
        residual=jnp.where(left & (best.violation <= limit), jnp.inf, best.residual),
        violation=jnp.where(possible, best.violation, jnp.inf),
    )
    ends = [jnp.stack([best.x[i] for i in whole])] * 2
    return boxed(*ends), tree.best._replace(point=best)


def _parted(logs: Any, low: Any, high: Any, tiny: float) -> tuple[Any, Any, Scalar]:
    """(the box to look at second, or of the numbers themselves if these are whole; the box to look at first; are they?)

    A box is parted at its optimum, along the scalar that is farthest from whole. The half nearer to it comes first.
    """
    numbers = jnp.exp(logs)
    nearest = jnp.round(numbers)
    off = jnp.abs(numbers - nearest) / jnp.maximum(numbers, 1.0)
    # How well an optimum is known, whatever tolerance was asked for.
    are_whole = jnp.all(off <= 0.1 * SolverOptions().limit(logs.dtype))
    scalars = jnp.arange(len(logs), dtype=jnp.int32)
    parted = scalars == jnp.argmax(jnp.where(high - low > tiny, off, -1.0)).astype(jnp.int32)
    below = jnp.sum(jnp.where(parted, jnp.floor(numbers), 0.0))
    down = low, jnp.where(parted, jnp.log(below), high)
    up = jnp.where(parted, jnp.log(below + 1.0), low), high
    exact = jnp.clip(jnp.log(nearest), low, high), jnp.clip(jnp.log(nearest), low, high)
    near_is_down = jnp.sum(jnp.where(parted, numbers, 0.0)) - below < 0.5
    nearer = tuple(jnp.where(near_is_down, a, b) for a, b in zip(down, up, strict=True))
    farther = tuple(jnp.where(near_is_down, b, a) for a, b in zip(down, up, strict=True))
    return tuple(jnp.where(are_whole, a, b) for a, b in zip(exact, farther, strict=True)), nearer, are_whole
