"""Optima where some variables are whole numbers, with all others optimal for them."""

from typing import Any

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector
from t2jax.optimize._branch_and_bound import branch_and_bound
from t2jax.optimize._problem import FAR, Functions, Problem
from t2jax.optimize._starts import slide, spread
from t2jax.optimize.methods._interior import Reached, best_of
from t2jax.optimize.methods._point import Box

__all__ = ["solve_whole"]


def solve_whole(
    problem: Problem, functions: Functions, box: Box, start: Vector, tiny: float, reach: Any
) -> tuple[Box, Reached]:
    """(the box with what is whole held there, the best point of all whose scalars `whole` are whole numbers)."""
    solve = _next_to_the_real_one if len(problem.whole) == 1 else branch_and_bound
    return solve(problem, functions, box, start, tiny, reach)


def _next_to_the_real_one(
    problem: Problem, functions: Functions, box: Box, start: Vector, tiny: float, reach: Any
) -> tuple[Box, Reached]:
    """The best point where one scalar is a whole number: those next to the real optimum, and the least allowed.

    For a convex problem the best value is convex in that number, so a neighbour of the real optimum is the best. Two
    rounds of the same search, the second with the scalar held at each candidate; other variables are optimal for each.
    """
    (k,) = problem.whole
    convex, limit = problem.convex, problem.options.limit(start[0].dtype)
    starts = [a[None] for a in start] if convex else spread(problem, functions, box, start)
    # As many lanes in both rounds: the real problem from every start, then the candidates.
    width = max(5, starts[0].shape[0])
    lanes = [jnp.concatenate([a, jnp.broadcast_to(a[:1], (width - a.shape[0],))]) for a in starts]
    least = jnp.ceil(jnp.exp(box.lower[k]) * (1 - tiny))
    most = jnp.floor(jnp.exp(box.upper[k]) * (1 + tiny))

    def boxed(low: Scalar, high: Scalar) -> Box:
        replace = lambda values, new: tuple(new if i == k else a for i, a in enumerate(values))  # noqa: E731
        return Box(
            replace(box.lower, low), replace(box.upper, high), replace(box.free, box.free[k] & (high - low > tiny))
        )

    def one(x: Vector, low: Scalar, high: Scalar) -> Reached:
        within = boxed(low, high)
        x = tuple(jnp.clip(a, b, c) for a, b, c in zip(x, within.lower, within.upper, strict=True))
        return reach(functions, within, slide(functions, within, x, room=0.5))

    def search(carry: Any, _: Any) -> Any:
        xs, low, high = carry
        best = best_of(jax.lax.map(lambda lane: one(*lane), (xs, low, high)), limit)
        below = jnp.floor(jnp.exp(best.point.x[k]) * (1 + tiny))
        candidates = jnp.stack([below - 1.0, below, below + 1.0, below + 2.0, *[least] * (width - 4)])
        logs = jnp.log(jnp.clip(candidates, least, jnp.maximum(least, most)))
        return (tuple(jnp.broadcast_to(a, (width,)) for a in best.point.x), logs, logs), best

    first = (tuple(lanes), jnp.broadcast_to(box.lower[k], (width,)), jnp.broadcast_to(box.upper[k], (width,)))
    _, bests = jax.lax.scan(search, first, None, length=2)
    best = jax.tree.map(lambda a: a[1], bests)
    at = best.point.x[k]
    return boxed(jnp.where(least <= most, at, FAR), jnp.where(least <= most, at, -FAR)), best
