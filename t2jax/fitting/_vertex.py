"""The last steps of a fit by least absolute deviations: onto the rows that it goes through.

With p coefficients such a fit goes through p rows, as a rule: a vertex. Descents end within a small δ of them. From
there each step goes to the vertex that is optimal for the residuals as they are linearised, found by exchanging one row
at a time, until that is the vertex it stands on. Multipliers of its rows tell that it is optimal.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from t2jax.fitting._errors import linearised
from t2jax.fitting._search import Found, Problem, best_few, descend_all, descend_patiently, narrowing

__all__ = ["CLOSEST", "onto_rows"]

_STEPS, _EXCHANGES, _CORRECTIONS, _HALVINGS = 20, 60, 4, 8
CLOSEST = 1e-10
_CLOSER = (3e-8, 1e-8, 3e-9, 1e-9, 3e-10, CLOSEST)
"""Huber's δ on the way to an optimum between vertices, where each of up to p rows is off by δ."""
_SHAKES = 32
_ON = 1e-8
"""A residual below this is one of a row that the fit goes through."""
_FELT = 1e-8
"""A coordinate that moves residuals by less than this, relative to others, is left where it is."""
_SLACK = 1e-6
"""By how much, relatively, a multiplier may exceed its row's weight."""


class _Point(NamedTuple):
    """z: coordinates. r: residuals, and rows: their derivatives. value: Σ w·|r|. smooth: the same by Huber's loss."""

    z: np.ndarray
    r: np.ndarray
    rows: np.ndarray
    value: float
    smooth: float


def onto_rows(problem: Problem, found: Found, weights: np.ndarray, width: float) -> tuple[Found, bool]:
    """(the best vertex near `found`, or where descents end if that is better; is it a vertex, and optimal?).

    Optimal: −Σ w·sign(r)·∂r over the other rows is Σ λ·∂r over these with |λ| ≤ w, so that 0 is a subgradient.
    """
    used = np.flatnonzero(weights > 0)
    heavy = weights[used]

    def at(z: np.ndarray) -> _Point:
        linear = linearised(problem, z, weights, width)
        r = linear.residuals[used]
        return _Point(z, r, linear.rows[used], float(heavy @ np.abs(r)), float(linear.value))

    begun = np.concatenate([found.z[None], found.others, _shaken(problem, found.z, weights, width)])
    closer, _ = descend_patiently(problem, begun, weights, _CLOSER)
    ends = [_best_vertex(at, at(z), heavy) for z in (found.z, *closer)]
    best, optimal = min(ends, key=lambda end: end[0].value)
    if not optimal:
        best, optimal = _best_vertex(at, best, heavy, patient=True)
    return found._replace(z=best.z, value=best.smooth), optimal


def _shaken(problem: Problem, z: np.ndarray, weights: np.ndarray, width: float) -> np.ndarray:
    """Optima of other weights nearby, and from there of these again: such fits have many optima side by side."""
    rng = np.random.default_rng(0)
    drawn = weights * rng.exponential(size=(_SHAKES, len(weights)))
    moved, _ = descend_all(problem, np.tile(z, (_SHAKES, 1)), drawn, [0.01, 1e-3])
    back, values = descend_all(problem, moved, weights, [one for one in narrowing(width) if one <= 1e-3])
    return back[best_few(values)]


def _best_vertex(
    at: Callable[[np.ndarray], _Point], here: _Point, weights: np.ndarray, patient: bool = False
) -> tuple[_Point, bool]:
    """(the last of ever better vertices from here on, or `here`; is it optimal?). patient: by ever so short steps."""
    optimal, halvings = False, 5 * _HALVINGS if patient else _HALVINGS
    for _ in range(5 * _STEPS if patient else _STEPS):
        move, basis, optimal = _linear_optimum(here.rows, here.r, weights)
        if move is None:
            return here, False
        predicted = here.value - float(weights @ np.abs(here.r + here.rows @ move))
        there = _onto(at, here, move, basis)
        if not there.value <= here.value * (1 + 1e-13):
            there = _along(at, here, move, basis[np.abs(here.r[basis]) <= _ON], halvings)
        if there is None:  # an optimum between vertices
            return here, False
        gain, here = here.value - there.value, there
        if gain <= 1e-13 * here.value:
            return here, optimal and predicted <= 1e-9 * here.value
    return here, False


def _onto(at: Callable[[np.ndarray], _Point], here: _Point, move: np.ndarray, basis: np.ndarray) -> _Point:
    """The point where these rows are zero, near here + move: Newton's steps in the felt coordinates."""
    there = at(here.z + move)
    for _ in range(_CORRECTIONS):
        if not np.isfinite(there.rows[basis]).all():
            break
        there = at(there.z - np.linalg.lstsq(there.rows[basis], there.r[basis], rcond=_FELT)[0])
    return there


def _along(
    at: Callable[[np.ndarray], _Point], here: _Point, move: np.ndarray, kept: np.ndarray, halvings: int
) -> _Point | None:
    """The best of ever shorter steps, if any is better than none. kept: rows that stay at zero all along."""
    best = None
    for share in 0.5 ** np.arange(halvings):
        there = _onto(at, here, share * move, kept) if len(kept) else at(here.z + share * move)
        if there.value < (here if best is None else best).value:
            best = there
        elif best is not None:
            break
    return best


def _linear_optimum(rows: np.ndarray, r: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray | None, np.ndarray, bool]:
    """(the move d of least Σ w·|r + rows·d|, the rows it makes zero, is it optimal?); None if p rows depend."""
    scale = np.linalg.norm(rows, axis=0)
    felt = np.flatnonzero(np.isfinite(scale) & (scale > _FELT * np.max(scale, initial=0.0)))
    S = rows[:, felt] / scale[felt]
    basis = _independent(S, np.argsort(np.abs(r), kind="stable"))
    if basis is None or not np.isfinite(S).all():
        return None, np.zeros(0, int), False
    move = np.zeros(rows.shape[1])
    for _ in range(_EXCHANGES):
        inverse = np.linalg.inv(S[basis])
        d = -inverse @ r[basis]
        after = r + S @ d
        after[basis] = 0.0
        move[felt] = d / scale[felt]
        multipliers = -(weights * np.sign(after)) @ S @ inverse
        excess = np.abs(multipliers) / weights[basis]
        leaving = int(np.argmax(excess))
        if excess[leaving] <= 1 + _SLACK:
            return move, basis, True
        # Along this edge the row leaves zero in the direction of its multiplier, to where the slope turns.
        slopes = S @ inverse[:, leaving] * np.sign(multipliers[leaving])
        slopes[basis] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(np.abs(slopes) > 1e-12, -after / slopes, np.inf)
        ahead = np.flatnonzero((reach >= 0) & np.isfinite(reach))
        order = ahead[np.argsort(reach[ahead], kind="stable")]
        downhill = weights[basis[leaving]] - np.abs(multipliers[leaving])
        turned = np.flatnonzero(downhill + 2 * np.cumsum(weights[order] * np.abs(slopes[order])) >= 0)
        if not len(turned):
            return move, basis, False
        basis[leaving] = order[turned[0]]
    return move, basis, False


def _independent(S: np.ndarray, order: np.ndarray) -> np.ndarray | None:
    """The first p linearly independent rows in this order."""
    left, basis = S.copy(), []
    for i in order:
        length = np.linalg.norm(left[i])
        if length > 1e-7 * np.linalg.norm(S[i]) > 0:
            basis.append(i)
            left = left - np.outer(left @ left[i], left[i]) / length**2
            if len(basis) == S.shape[1]:
                return np.array(basis)
    return None
