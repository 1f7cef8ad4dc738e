"""An irreducible loss of exactly 0: the boundary of a fit in log E, where log E has no slope left to return on."""

import math
from typing import Any

import equinox as eqx
import numpy as np

from t2jax.fitting._errors import linearised
from t2jax.fitting._search import Found, Problem, descend_patiently, narrowing
from t2jax.fitting._table import Table

__all__ = ["at_zero"]

_SMALL = 1e-3
"""An E of this share of the least loss or more is where it belongs: descents towards 0 end at next to nothing."""
_NOTHING = 30.0
"""A logarithm so much below that of a small E is 0 in float64."""
_LIFTED = (1e-3, 1e-2, 0.05, 0.15, 0.3, 0.5, 0.7, 0.9)
"""Shares of the least loss to leave a wrong boundary at."""


def at_zero(
    problem: Problem, found: Found, weights: np.ndarray, width: float, table: Table
) -> tuple[Problem, Found, dict[str, float]]:
    """(the problem with E held at 0 where that is best, its optimum, and by the name of each that is held ∂F/∂E there).

    The boundary is one only where the objective does not fall with E there, ∂F/∂E ≥ 0. Otherwise it is left.
    """
    least = float(np.min(table["loss"])) if "loss" in table.columns else 1.0
    zeros: dict[str, float] = {}
    for name in [problem.coordinates.free_names[place] for place in problem.floors()]:
        place = problem.coordinates.free_names.index(name)
        if len(problem.coordinates.free) == 1 or found.z[place] > math.log(_SMALL * least):
            continue
        dropped, on_it, value = _held_at_zero(problem, name, found, weights, width, math.log(_SMALL * least))
        if value > found.value:
            continue
        slope = _slope(problem, on_it, place, weights, width, math.log(1e-9 * least))
        if slope < 0:
            begun = np.stack([np.insert(on_it, place, math.log(share * least)) for share in _LIFTED])
            z, values = descend_patiently(problem, begun, weights, [10 * width, width])
            best = int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
            if values[best] < value:
                found = found._replace(z=z[best], value=float(values[best]))
                if z[best, place] > math.log(_SMALL * least):
                    continue
                dropped, on_it, value = _held_at_zero(problem, name, found, weights, width, math.log(_SMALL * least))
                slope = _slope(problem, on_it, place, weights, width, math.log(1e-9 * least))
        problem = dropped
        found = Found(on_it, value, found.share, np.delete(found.others, place, axis=1))
        zeros[name] = slope
    return problem, found, zeros


def _held_at_zero(
    problem: Problem, name: str, found: Found, weights: np.ndarray, width: float, small: float
) -> tuple[Any, np.ndarray, float]:
    """(the problem without E, its optimum near `found`, the objective there)."""
    coordinates = problem.coordinates
    place = coordinates.free_names.index(name)
    dropped = eqx.tree_at(lambda p: p.coordinates, problem, coordinates.holding(name, 0.0))
    rest = np.delete(found.z, place)
    ends = [descend_patiently(dropped, rest[None], weights, widths) for widths in (narrowing(width), [width])]
    candidates = [(float(values[0]), z[0]) for z, values in ends if np.isfinite(values[0])]
    if found.z[place] < small - _NOTHING:  # as good as 0 as it is
        candidates.append((found.value, rest))
    value, z = min(candidates, key=lambda one: one[0], default=(math.inf, rest))
    return dropped, z, value


def _slope(problem: Problem, rest: np.ndarray, place: int, weights: np.ndarray, width: float, log_e: float) -> float:
    """∂F/∂E, by E itself, where E is next to 0 and the others are `rest`: (∂F/∂ log E)/E."""
    z = np.insert(rest, place, log_e)
    return float(linearised(problem, z, weights, width).gradient[place] / math.exp(log_e))
