"""Least absolute deviations of linear residuals within a box, by exchanging one row at a time.

As in a simplex method, p rows at a time are zero. Along the edge on which one of them leaves zero the sum is convex and
piecewise linear: its least is where the next row enters. Sides of the box are rows, too: Σ M·(|d − high| + |d − low|)
is flat inside and, with M large, too steep to be left.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["LinearOptimum", "linear_optimum"]

_EXCHANGES = 200
_SLACK = 1e-9
"""By how much, relatively, a multiplier may exceed its row's weight."""
_FELT = 1e-13
"""A coordinate that moves rows by less than this, relative to others, has no say."""
_NEAR, _APART = 1e-14, 1e-10
"""Rows so near each other are one, and are told apart by so much."""
_STEEP = 1e3
"""M, times what all other rows could weigh against it."""


class LinearOptimum(NamedTuple):
    """The least of Σ w·|r + S·d| with low ≤ d ≤ high.

    move: d, (p,). value: the sum. zero: rows of S that d makes zero. sides: coordinates that end at a side of the box.
    forces: (n,), the subgradient of each w·|·| with which all of them together (and the sides) cancel.
    """

    move: np.ndarray
    value: float
    zero: np.ndarray
    sides: np.ndarray
    forces: np.ndarray


def linear_optimum(
    S: np.ndarray, r: np.ndarray, weights: np.ndarray, low: np.ndarray, high: np.ndarray
) -> LinearOptimum:
    """S: (n, p), r and weights: (n,), low < 0 < high: (p,). Everything must be finite. What moves no row stays."""
    norms = np.linalg.norm(S, axis=0)
    reaches = norms * high
    felt = np.flatnonzero(reaches > _FELT * np.max(reaches, initial=0.0))
    if not len(felt):
        forces = weights * np.sign(r)
        return LinearOptimum(np.zeros(len(norms)), float(forces @ r), np.zeros(0, int), np.zeros(0, int), forces)
    unit, n, p = norms[felt], len(r), len(felt)
    steep = _STEEP * np.sum(weights)
    rows = np.concatenate([S[:, felt] / unit, np.eye(p), np.eye(p)])
    offsets = np.concatenate([r, -low[felt] * unit, -high[felt] * unit])
    heavy = np.concatenate([weights, np.full(2 * p, steep)])
    basis = _independent(rows, np.concatenate([np.argsort(np.abs(r), kind="stable"), n + np.arange(p)]))
    exact = offsets
    for _ in range(_EXCHANGES):
        inverse = np.linalg.inv(rows[basis])
        d = -inverse @ offsets[basis]
        after = offsets + rows @ d
        after[basis] = 0.0
        forces = heavy * np.sign(after)
        forces[basis] = -forces @ rows @ inverse
        excess = np.abs(forces[basis]) / heavy[basis]
        leaving = int(np.argmax(excess))
        if excess[leaving] <= 1 + _SLACK:
            break
        # The row leaves zero in the direction of its multiplier, and goes on to where the slope turns.
        multiplier = forces[basis[leaving]]
        slopes = rows @ inverse[:, leaving] * np.sign(multiplier)
        slopes[basis] = 0.0
        turning = np.abs(slopes) > 1e-10
        reach = np.where(turning, -after / np.where(turning, slopes, 1.0), -1.0)
        ahead = np.flatnonzero((reach >= 0) & turning)
        order = ahead[np.argsort(reach[ahead], kind="stable")]
        downhill = heavy[basis[leaving]] - abs(multiplier)
        turned = np.flatnonzero(downhill + 2 * np.cumsum(heavy[order] * np.abs(slopes[order])) >= 0)
        if not len(turned):
            break
        entering = order[turned[0]]
        if reach[entering] <= _NEAR * np.max(np.abs(d)) and offsets is exact:
            # More than p rows are zero here, which could be exchanged in circles: now no longer.
            apart = _APART * np.mean(np.abs(r)) * np.random.default_rng(0).uniform(-1, 1, n)
            offsets = exact + np.concatenate([apart, np.zeros(2 * p)])
        basis[leaving] = entering
    d = -np.linalg.solve(rows[basis], exact[basis])
    move = np.zeros(len(norms))
    move[felt] = np.clip(d / unit, low[felt], high[felt])
    value = float(weights @ np.abs(r + S @ move))
    sides = felt[(basis[basis >= n] - n) % p]
    return LinearOptimum(move, value, basis[basis < n], sides, np.clip(forces[:n], -weights, weights))


def _independent(rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The first p linearly independent rows in this order. Such as are nearly dependent make vertices far away."""
    left, basis, norms = rows.copy(), [], np.linalg.norm(rows, axis=1)
    for i in order:
        length = np.linalg.norm(left[i])
        if length > 1e-6 * norms[i]:
            basis.append(i)
            if len(basis) == rows.shape[1]:
                break
            left = left - np.outer(left @ left[i], left[i]) / length**2
    return np.array(basis)
