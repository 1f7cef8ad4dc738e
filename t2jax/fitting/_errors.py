"""How sure a fit is: the covariance of its coordinates, and which coefficients the data say nothing of."""

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from t2jax._xla.fusion import jit_in_a_hurry
from t2jax.fitting._boundary import BoundaryKind, Loose
from t2jax.fitting._descent import by_newton
from t2jax.fitting._estimators import BetaBinomial, Estimator, Huber, LeastSquares
from t2jax.fitting._search import Problem

__all__ = ["Linear", "covariance_of", "linearised", "of_coefficients"]

_LOOSE = 3.0
"""A coefficient that the data leave free by a factor of e³ either way (one standard error) is not identified."""
_FELT = 1e-6
"""Nor is one that moves no prediction by a millionth while it grows by a factor of e."""


class Linear(NamedTuple):
    """A fit around its optimum, NumPy's float64.

    coefficients: (q,), all of them, and slopes: (q, p), their derivatives by the coordinates. residuals: (n,) observed
    minus predicted; of counts the pass rates. rows: (n, p), derivatives of the residuals, or of minus each row's
    log-likelihood. felt: (n, p), by how much each coordinate moves a prediction, relative. log_likelihood: (n,) of
    counts, else empty. gradient: (p,) and hessian: (p, p) of the objective, of which `value` is the value.
    """

    coefficients: np.ndarray
    slopes: np.ndarray
    residuals: np.ndarray
    rows: np.ndarray
    felt: np.ndarray
    log_likelihood: np.ndarray
    value: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray

    def converged(self, loose: Sequence[int]) -> bool:
        """Does the next Newton step promise less than rounding? Where slopes are infinite it promises nothing.

        loose: coordinates that are not identified. One that runs away has no optimum to arrive at.
        """
        kept = np.setdiff1d(np.arange(len(self.gradient)), loose)
        gradient, hessian = self.gradient[kept], self.hessian[np.ix_(kept, kept)]
        if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            return False
        scale = np.sqrt(np.abs(np.diag(hessian))) + 1e-150
        slope = gradient / scale
        step = np.linalg.lstsq(hessian / np.outer(scale, scale), slope, rcond=1e-9)[0]
        # A log-likelihood has a unit, nats: what adds less than a millionth of one is nothing. Residuals of 1e-10 are
        # rounding, as in data without noise.
        least = 1e-6 if len(self.log_likelihood) else 1e-20 * len(self.residuals)
        return bool(abs(slope @ step) <= 1e-7 * abs(self.value) + least)


def linearised(problem: Problem, z: np.ndarray, weights: np.ndarray, width: float) -> Linear:
    """The problem around z."""
    found = _linearised(problem, jnp.asarray(z), jnp.asarray(weights), jnp.asarray(width))
    return Linear(**{name: np.asarray(value) for name, value in found.items()})


@jit_in_a_hurry  # it runs once
def _linearised(problem: Problem, z: Array, weights: Array, width: Array) -> dict[str, Any]:
    def coefficients(z: list[Array]) -> Array:
        return jnp.stack([jnp.asarray(one) for one in problem.coordinates.coefficients(z)])

    value, gradient, hessian = by_newton(lambda z: problem.objective(z, weights, width))(list(z))
    if problem.counted:
        likelihood, slopes = _with_slopes(problem.log_likelihood, z)
        residuals, rows = problem.excess_rate(list(z)), -slopes
        felt = rows
    else:
        likelihood = jnp.zeros(0)
        residuals, rows = _with_slopes(problem.residuals, z)
        observed = problem.data[problem.family.observed.name]
        felt = rows if problem.on_log else rows / (observed - residuals)[:, None]
    of_z, slopes = _with_slopes(coefficients, z)
    return {
        "coefficients": of_z,
        "slopes": slopes,
        "residuals": residuals,
        "rows": rows,
        "felt": felt,
        "log_likelihood": likelihood,
        "value": value,
        "gradient": jnp.stack(gradient),
        "hessian": jnp.stack([jnp.stack(row) for row in hessian]),
    }


def _with_slopes(fn: Callable[[list[Array]], Array], z: Array) -> tuple[Array, Array]:
    """(fn(z), (n, p) its derivatives)."""
    value, push = jax.linearize(lambda z: fn(list(z)), z)
    return value, jax.vmap(push, out_axes=1)(jnp.eye(len(z)))


def covariance_of(
    linear: Linear,
    weights: np.ndarray,
    estimator: Estimator,
    groups: np.ndarray | None,
    real: Sequence[bool],
    fitted: int,
) -> tuple[np.ndarray, dict[int, Loose]]:
    """((p, p) covariance of the coordinates, why some are not identified, whose entries are NaN).

    The sandwich B⁻¹MB⁻¹: B the expected curvature of the objective, M the sum over groups (single rows without groups)
    of squared scores, times n/(n − p) and G/(G − 1). For the beta-binomial likelihood without groups B⁻¹ itself. The
    curvature of Huber's loss and of absolute deviations is the density of residuals at zero, here counted within a
    bandwidth, row by row (Powell's estimator: noise differs between small and large runs; Koenker 2005, §3.4.2).
    fitted: how many coefficients were, also those that ended at a boundary: of no more groups (rows) than these nothing
    follows, and all entries are NaN.
    real: of every coordinate, is it a coefficient as it is, in units of its own, rather than a logarithm or log odds?
    """
    p = linear.rows.shape[1]
    used = weights > 0
    # What an exponent that ran away has made infinite says nothing: its coordinate counts as one that no row feels.
    rows, w = np.where(np.isfinite(linear.rows[used]), linear.rows[used], 0.0), weights[used]
    place = np.arange(len(rows)) if groups is None else np.unique(groups[used], return_inverse=True)[1]
    count = int(np.max(place)) + 1
    if isinstance(estimator, BetaBinomial):
        bread, scores = linear.hessian, w[:, None] * rows
    elif isinstance(estimator, LeastSquares):
        r = linear.residuals[used]
        bread, scores = (rows * w[:, None]).T @ rows, (w * r)[:, None] * rows
    else:
        r = linear.residuals[used]
        delta = estimator.delta if isinstance(estimator, Huber) else 0.0
        band = max(delta, _bandwidth(r, count))
        near = np.abs(r) <= band
        bread = (rows * (w * near / band)[:, None]).T @ rows
        psi = np.clip(r / delta, -1.0, 1.0) if delta else np.sign(r)
        scores = (w * psi)[:, None] * rows

    loose = _not_identified(bread, linear.felt[used])
    kept = [i for i in range(p) if i not in loose]
    covariance = np.full((p, p), np.nan)
    by_scores = groups is not None or not isinstance(estimator, BetaBinomial)
    # Scores sum to zero over the rows: of no more groups than coefficients some direction has no variance left.
    if not kept or (by_scores and count <= fitted):
        return covariance, loose
    inverse = np.linalg.pinv(bread[np.ix_(kept, kept)], rcond=1e-13, hermitian=True)
    found = inverse
    if by_scores:
        n = len(rows)
        summed = np.zeros((count, len(kept)))
        np.add.at(summed, place, scores[:, kept])
        small = n / max(n - len(kept), 1) * count / max(count - 1, 1)
        found = inverse @ (summed.T @ summed) @ inverse * small
    covariance[np.ix_(kept, kept)] = found
    for i, variance in zip(kept, np.diag(found).tolist(), strict=True):
        if not np.isfinite(variance) or (variance >= _LOOSE**2 and not real[i]):
            covariance[i, :] = covariance[:, i] = np.nan
            loose[i] = Loose(BoundaryKind.WIDE, variance**0.5 if np.isfinite(variance) else None)
    return covariance, loose


def _bandwidth(r: np.ndarray, n: int) -> float:
    """Hall and Sheather's for a median at 95 %: s·Φ⁻¹(½ + h), h = n^(−1/3)·1.96^(2/3)·(1.5·φ(0)²)^(1/3).

    n: how many of the residuals are independent. s is the smaller of the standard deviation and the interquartile
    range over 1.34. To either side of zero: twice as wide, a count takes the flanks of Gaussian noise for its peak and
    intervals come out a quarter too wide.
    """
    low, high = np.quantile(r, [0.25, 0.75])
    spread = min(np.std(r), (high - low) / 1.34) or np.std(r)
    h = n ** (-1 / 3) * 1.96 ** (2 / 3) * (1.5 / (2 * np.pi)) ** (1 / 3)
    return float(max(spread * NormalDist().inv_cdf(0.5 + min(h, 0.45)), 1e-300))


def _not_identified(bread: np.ndarray, felt: np.ndarray) -> dict[int, Loose]:
    """Coordinates that no prediction feels, or that take part in a direction along which the objective is flat."""
    most = np.max(np.abs(felt), axis=0)
    scale = np.sqrt(np.maximum(np.diag(bread), 0.0))
    found = {i: Loose(BoundaryKind.FLAT, 0.0) for i in np.flatnonzero(~(scale > 0)).tolist()}
    found |= {i: Loose(BoundaryKind.UNFELT, float(most[i])) for i in np.flatnonzero(most < _FELT).tolist()}
    alive = np.array([i for i in range(len(scale)) if i not in found], dtype=int)
    if len(alive):
        scaled = bread[np.ix_(alive, alive)] / np.outer(scale[alive], scale[alive])
        lengths, directions = np.linalg.eigh(scaled)
        for length, direction in zip(lengths, directions.T, strict=True):
            if length < 1e-11 * lengths[-1]:
                together = alive[np.abs(direction) > 0.3].tolist()
                for i in together:
                    others = tuple(other for other in together if other != i)
                    found.setdefault(i, Loose(BoundaryKind.FLAT, max(float(length / lengths[-1]), 0.0), others))
    return found


def of_coefficients(
    covariance: np.ndarray, slopes: np.ndarray, loose: Mapping[int, Loose]
) -> tuple[np.ndarray, dict[int, Loose], bool]:
    """((p, p) covariance of the coefficients, why some are not identified, are there too few rows to say anything?).

    covariance: of the coordinates. slopes: (p, p), of the coefficients by these. loose: coordinates without errors.
    """
    # What is not identified stays out of the errors of what is.
    known = np.where(np.isnan(covariance), 0.0, covariance)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = slopes @ known @ slopes.T
    few = bool(np.all(np.isnan(covariance))) and len(loose) < len(covariance)
    if few:  # as many coefficients as independent rows, or more: residuals say nothing of the noise
        spread[:] = np.nan
    lost: dict[int, Loose] = {}
    for i, variance in enumerate(np.diag(spread).tolist()):
        by = [j for j in sorted(loose) if slopes[i, j] != 0]
        if i in by:
            lost[i] = loose[i]
        elif by:  # an amplitude: the size of its term in the middle of the data times N₀^α, where α is not identified
            lost[i] = Loose(BoundaryKind.CARRIED, None, tuple(by))
        elif not np.isfinite(variance) and not few:
            lost[i] = Loose(BoundaryKind.WIDE)
    spread[list(lost), :] = spread[:, list(lost)] = np.nan
    return spread, lost, few
