"""Damped Newton descents of a sum over rows, of many starts side by side.

A step solves (H + λ·diag H) d = −g and counts only if the objective falls; λ grows where it does not (Levenberg and
Marquardt). H is Gauss and Newton's far from the optimum, where it is positive definite, and the exact one near it,
where Huber's loss has few rows that curve.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._numerics.dense import Scalar, Vector, dot, factor, largest, solve_factored
from t2jax._xla.pieces import any_lane

__all__ = ["Descended", "by_gauss_newton", "by_newton", "descend", "huber"]

_LONGEST = 3.0
"""No coordinate moves farther in one step: most of them are logarithms."""

Evaluate = Callable[[Vector], tuple[Scalar, list[Scalar], list[list[Scalar]]]]
"""z → objective, its gradient, and a matrix to take for its Hessian."""


class Descended(NamedTuple):
    """Where a descent stands: coordinates, objective, damping, whether it is done."""

    z: Float[Array, " p"]
    value: Scalar
    damping: Scalar
    done: Scalar


def huber(r: Array, delta: Scalar) -> Array:
    """r²/2 where |r| ≤ δ, else δ(|r| − δ/2)."""
    size = jnp.abs(r)
    return jnp.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))


def by_gauss_newton(residuals: Callable[[Vector], Array], weights: Array, delta: Scalar) -> Evaluate:
    """Of Σ w·H_δ(r): rows beyond δ count with weight δ/|r|, so that the model is a majorant and never indefinite."""

    def evaluate(z: Vector) -> Any:
        r, push = jax.linearize(residuals, tuple(z))
        columns = jnp.stack([push(one) for one in _units(z)])
        pulled = (weights * jnp.minimum(1.0, delta / jnp.maximum(jnp.abs(r), 1e-300)))[None] * columns
        # As products of matrices: sums along rows would add one number after another.
        matrix, gradient = pulled @ columns.T, pulled @ r
        return weights @ huber(r, delta), list(gradient), [list(row) for row in matrix]

    return evaluate


def by_newton(objective: Callable[[Vector], Scalar]) -> Evaluate:
    """Of any objective, with its Hessian."""

    def evaluate(z: Vector) -> Any:
        (value, gradient), push = jax.linearize(jax.value_and_grad(objective), tuple(z))
        # All directions side by side: one after another each would be compiled.
        columns = jax.vmap(lambda one: push(one)[1])(tuple(jnp.eye(len(z), dtype=z[0].dtype)))
        return value, list(gradient), _symmetric(len(z), lambda i, j: columns[j][i])

    return evaluate


def descend(evaluate: Evaluate, z: Float[Array, " p"], damping: Scalar, steps: Scalar, tolerance: Scalar) -> Descended:
    """At most `steps` steps from z. Done where the next step promises less than `tolerance` of the objective."""
    p = z.shape[0]

    def unfinished(state: Any) -> Scalar:
        *_, done, count = state
        return (count <= steps) & any_lane(~done)

    def step(state: Any) -> Any:
        here, damping, done, count = state
        z, value, gradient, matrix = here
        scale = [jnp.abs(matrix[i][i]) + 1e-30 for i in range(p)]
        damped = [[matrix[i][j] + (damping * scale[i] if i == j else 0.0) for j in range(p)] for i in range(p)]
        move = solve_factored(factor(damped), [-one for one in gradient])
        shorter = jnp.minimum(1.0, _LONGEST / jnp.maximum(largest([jnp.abs(one) for one in move]), 1e-30))
        new_z = [a + shorter * b for a, b in zip(z, move, strict=True)]
        there = (new_z, *evaluate(new_z))
        better = ~done & (there[1] <= value + 1e-15 * jnp.abs(value))  # who is done stays
        promised = -dot(gradient, move)
        arrived = (better & (promised <= tolerance * jnp.abs(value))) | (damping > 1e12) | ~jnp.isfinite(promised)
        begun = jnp.isfinite(value)
        here = jax.tree.map(lambda a, b: jnp.where(better, a, b), there, here)
        milder = jnp.where(begun, jnp.maximum(0.1 * damping, 1e-12), damping)
        changed = jnp.where(better, milder, jnp.maximum(4.0 * damping, 1e-6))
        damping = jnp.where(done, damping, changed)
        return here, damping, done | jnp.where(begun, arrived, ~jnp.isfinite(there[1])), count + 1

    # The first step goes nowhere from a value of ∞: it evaluates the start, in the loop, compiled once.
    start = [z[i] for i in range(p)]
    still = 0.0 * start[0]  # so that under vmap all of the state is batched from the first trace on
    flat = [[still + (1.0 if i == j else 0.0) for j in range(p)] for i in range(p)]
    first = (start, still + jnp.inf, [still] * p, flat)
    state = (first, damping + still, jnp.isnan(start[0]), 0)
    (found, value, _, _), damping, done, _ = jax.lax.while_loop(unfinished, step, state)
    return Descended(jnp.stack(found), value, damping, done)


def _symmetric(p: int, entry: Callable[[int, int], Scalar]) -> list[list[Scalar]]:
    lower = [[entry(i, j) for j in range(i + 1)] for i in range(p)]
    return [[lower[max(i, j)][min(i, j)] for j in range(p)] for i in range(p)]


def _units(z: Vector) -> list[Vector]:
    return [tuple(jnp.ones_like(a) if i == j else jnp.zeros_like(a) for i, a in enumerate(z)) for j in range(len(z))]
