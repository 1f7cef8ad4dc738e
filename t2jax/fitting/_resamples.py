"""Refits to resampled rows, each of which may have its optimum in another basin."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from t2jax.fitting._descent import huber
from t2jax.fitting._search import Problem, Progress, descend_all, narrowing

__all__ = ["refitted"]

_ROUNDS = 3
_LIFTED = -1.0
"""The least log E, in nats, that a second descent begins at."""
_SOME = 64
"""So many members at least, or a fifth of them, descend twice."""
_NUMBERS = 4_000_000
"""Ends times rows that are looked at together, which bounds the memory."""


def refitted(
    problem: Problem,
    seeds: np.ndarray,
    weights: np.ndarray,
    widths: Sequence[float],
    progress: Progress = None,
) -> np.ndarray:
    """(S, p): where the objective with each row of `weights`, (S, n), is least.

    seeds: (m, p), where descents of the fit itself ended. A member begins at the best of them, and goes on from where
    any other member has ended if that is better for it.
    """
    width = widths[-1]
    first, _ = _best_for_each(problem, seeds, weights, width)
    z, values = descend_all(problem, seeds[first], weights, widths, progress)
    # Another way: through the wide δ at which there are few basins, from E well above 0, where it may have collapsed.
    # Some members go that way, and show it to the others below.
    some = np.linspace(0, len(z) - 1, min(len(z), max(_SOME, len(z) // 5))).astype(int)
    begun = seeds[first[some]]
    for place in problem.floors():
        begun[:, place] = np.maximum(begun[:, place], max(np.max(seeds[:, place]), _LIFTED))
    again, of_again = descend_all(problem, begun, weights[some], narrowing(width))
    values = np.where(np.isfinite(values), values, np.inf)
    better = of_again < values[some]
    z[some[better]], values[some[better]] = again[better], of_again[better]
    for _ in range(_ROUNDS):
        looked_at = np.linspace(0, len(z) - 1, min(len(z), max(_NUMBERS // weights.shape[-1], 8))).astype(int)
        best, least = _best_for_each(problem, z[looked_at], weights, width)
        behind = np.flatnonzero(least < values - 1e-9 * np.abs(values))
        if not len(behind):
            break
        new_z, new_values = descend_all(problem, z[looked_at[best[behind]]], weights[behind], [width])
        better = new_values < values[behind]
        z[behind[better]], values[behind[better]] = new_z[better], new_values[better]
    return z


def _best_for_each(problem: Problem, z: np.ndarray, weights: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """(S,) which of the points z is best for each row of weights, and the objective there."""
    losses = np.asarray(_losses(problem, jnp.asarray(z), jnp.asarray(width)))
    losses = np.where(np.isfinite(losses), losses, 1e30)
    objectives = weights @ losses.T
    best = np.argmin(objectives, axis=1)
    return best, objectives[np.arange(len(best)), best]


@jax.jit
def _losses(problem: Problem, z: Array, width: Array) -> Array:
    """(m, n): what every row adds to the objective at every point."""

    def one(z: Array) -> Array:
        at = list(z)
        return -problem.log_likelihood(at) if problem.counted else huber(problem.residuals(at), width)

    return jax.vmap(one)(z)
