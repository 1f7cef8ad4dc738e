"""The global optimum of a fit: many starts, cheap descents for all, exact ones for the few that differ."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._numerics.dense import Scalar, Vector
from t2jax.fitting._coordinates import Coordinates, Kind
from t2jax.fitting._descent import Descended, by_gauss_newton, by_newton, descend, huber
from t2jax.fitting._estimators import BetaBinomial, Estimator, Huber, LeastAbsoluteDeviations, LeastSquares
from t2jax.fitting._families import Family, beta_of_rows, log_likelihood, log_prediction

__all__ = [
    "Found",
    "Problem",
    "best_few",
    "descend_all",
    "descend_patiently",
    "narrowing",
    "search",
    "unit_of",
    "width_of",
]

_EVERYWHERE = 1e30
"""A δ beyond every residual: Huber's loss is least squares."""
_NOWHERE = 1e-7
"""A δ below every residual but those of the rows that a fit by least absolute deviations goes through."""
_BATCH, _ROUNDS, _STEPS = 256, 4, 12
_KEPT = 8
"""Optima of least squares from which exact descents begin."""
_EXACT_ROWS, _FEWEST_EXACT, _MOST_EXACT = 4096, 12, 64
"""And from scattered points, in all as many as have so many rows together, within these limits."""
_COLLAPSED = 8.0
"""A logarithm that has fallen so far below its start hardly moves a prediction any more."""
_ZERO = -690.0
"""The logarithm of next to nothing, where a descent stays for want of a slope."""
_KINKED = 1e-3
"""At this δ the objective has about the kinks of absolute deviations."""
_ALIKE = 1e-7
"""Objectives so near each other, relatively, are of one optimum."""
_FIRST_STEPS, _LAST_STEPS, _PATIENT_STEPS = 40, 200, 2000
"""Exact steps at a δ that is only on the way to the last, at the last, and for the few best."""
_LANES = 8
"""Exact descents side by side: half of those of a few hundred rows, so that two cores share them."""
_FEW = 24
"""Rows that first descents see: enough to find the valley, whose floor exact descents then find with all rows."""

_FEW_ROWS = 1024
"""Up to so many, eight descents take less than a tenth of the time that their program takes to compile."""

Progress = Callable[[int, int], None] | None
"""Told how many starts (or resamples) are done, and of how many."""


class Problem(eqx.Module):
    """Rows, and a model that is to predict them."""

    coordinates: Coordinates
    data: dict[str, Float[Array, " n"]]
    family: Family = eqx.field(static=True)
    on_log: bool = eqx.field(static=True)
    counted: bool = eqx.field(static=True)

    def residuals(self, z: Vector) -> Float[Array, " n"]:
        """Observed minus predicted of every row, as logarithms or as they are."""
        predicted = log_prediction(self.coordinates.model(z), self.family, self.data)
        observed = self.data[self.family.observed.name]
        return jnp.log(observed) - predicted if self.on_log else observed - jnp.exp(predicted)

    def log_likelihood(self, z: Vector) -> Float[Array, " n"]:
        """Of every row's counts, without the binomial coefficients."""
        return log_likelihood(self.coordinates.model(z), self.data)

    def excess_rate(self, z: Vector) -> Float[Array, " n"]:
        """Share of right samples minus the mean pass rate, of every row's counts."""
        a, b = beta_of_rows(self.coordinates.model(z), self.data)
        return self.data["num_correct"] / jnp.maximum(self.data["num_samples"], 1.0) - a / (a + b)

    def objective(self, z: Vector, weights: Array, delta: Any) -> Any:
        if self.counted:
            return -jnp.sum(weights * self.log_likelihood(z))
        return jnp.sum(weights * huber(self.residuals(z), delta))

    def floors(self) -> list[int]:
        """Places among the free coordinates of log E, the irreducible loss, which may well be 0."""
        at, may_be_zero = self.coordinates, self.family.floors
        names = [(name in may_be_zero, at.kinds[i]) for name, i in zip(at.free_names, at.free, strict=True)]
        return [place for place, one in enumerate(names) if one == (True, Kind.POSITIVE)] if len(names) > 1 else []


class Found(NamedTuple):
    """z: the best coordinates. value: the objective there. share: of the starts that reached it. others: (m, p), where
    other descents end."""

    z: np.ndarray
    value: float
    share: float
    others: np.ndarray


def width_of(estimator: Estimator) -> float:
    """The δ of Huber's loss that stands for an estimator on residuals."""
    match estimator:
        case Huber(delta):
            return delta
        case LeastAbsoluteDeviations():
            return _NOWHERE
        case LeastSquares() | BetaBinomial():
            return _EVERYWHERE


def unit_of(estimator: Estimator) -> float:
    """The estimator's own sum per unit of what is searched in its place, Huber's loss of `width_of` or a likelihood."""
    match estimator:
        case LeastAbsoluteDeviations():
            return 1 / _NOWHERE
        case LeastSquares():
            return 2.0
        case Huber() | BetaBinomial():
            return 1.0


def search(problem: Problem, starts: np.ndarray, weights: np.ndarray, width: float, progress: Progress = None) -> Found:
    """The least objective found from `starts`, an array (S, p) of coordinates."""
    if problem.counted:
        z, values = descend_all(problem, starts, weights, [width], progress)
        return _best(z, values, np.arange(len(z)))
    few, of_few = _thinned(problem, weights)
    z, values = _least_squares(few, of_few, starts, progress)
    kept, cluster = _distinct(z, values)
    exact = int(np.clip(_EXACT_ROWS // len(weights), _FEWEST_EXACT, _MOST_EXACT))
    begun = np.concatenate([z[kept], _scattered(few, of_few, starts, exact - len(kept))])
    z, values = descend_all(problem, begun, weights, narrowing(width))
    # In a valley with kinks, each step ends at the next one: the best go on.
    best = best_few(values)
    z[best], values[best] = descend_patiently(
        problem, z[best], weights, [one for one in narrowing(width) if one <= max(width, _KINKED)]
    )
    return _best(z, values, cluster)


def descend_all(
    problem: Problem,
    z: np.ndarray,
    weights: np.ndarray,
    widths: Sequence[float],
    progress: Progress = None,
    steps: int = _LAST_STEPS,
) -> tuple[np.ndarray, np.ndarray]:
    """(coordinates, objective) where exact descents from every z end, one δ after another.

    weights: (n,), or (S, n) for a descent each of its own.
    """

    of_lanes = np.broadcast_to(weights, (len(z), weights.shape[-1]))

    def run(lanes: np.ndarray) -> tuple[Array, Array]:
        here, value, heavy = jnp.asarray(z[lanes]), jnp.zeros(len(lanes)), jnp.asarray(of_lanes[lanes])
        for width in widths:
            last = width == widths[-1]
            limit, tolerance = (steps, 1e-13) if last else (max(_FIRST_STEPS, steps // 10), 1e-6)
            here, value = _descend_exactly(problem, here, heavy, width, limit, tolerance)
        return here, value

    # Rows times lanes bound the memory. Fits to other data and refits share what was compiled: for few rows always as
    # many lanes, as idle ones cost less than to compile again, for many rows a power of two.
    rows = weights.shape[-1]
    most = int(np.clip(500_000 // rows, 1, _LANES))
    size = most if rows <= _FEW_ROWS else 1 << min(most.bit_length() - 1, (len(z) - 1).bit_length())
    return _in_batches(run, np.arange(len(z)), size, progress)


def descend_patiently(
    problem: Problem, z: np.ndarray, weights: np.ndarray, widths: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """As `descend_all`, for few descents and with as many steps as a valley with kinks takes."""
    return descend_all(problem, z, weights, widths, steps=_PATIENT_STEPS)


def _thinned(problem: Problem, weights: np.ndarray) -> tuple[Problem, np.ndarray]:
    """The same problem with a few of its rows, picked at random (once and for all) among those that have weight."""
    rows = np.flatnonzero(weights > 0)
    if len(rows) <= _FEW:
        return problem, weights
    few = np.sort(np.random.default_rng(0).permutation(rows)[:_FEW])
    data = {name: column[few] for name, column in problem.data.items()}
    return eqx.tree_at(lambda p: p.data, problem, data), weights[few]


def _least_squares(
    problem: Problem, weights: np.ndarray, starts: np.ndarray, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Newton descents from every start: those that are done leave after every few steps, the others close up."""
    z, values, damping = starts.copy(), np.full(len(starts), np.inf), np.full(len(starts), 1e-2)
    left = np.arange(len(starts))
    for _ in range(_ROUNDS):
        z[left], values[left], damping[left], done = _roughly(problem, z[left], damping[left], weights)
        left = left[~done]
        if progress:
            progress(len(z) - len(left), len(z))
        if not len(left):
            break
    if progress and len(left):  # what is not done here either is worse than others or goes on exactly
        progress(len(z), len(z))
    return z, values


def _roughly(problem: Problem, z: np.ndarray, damping: np.ndarray, weights: np.ndarray) -> Descended:
    """A few steps of Gauss and Newton. weights: (n,), or (S, n) for a descent each of its own."""
    of_lanes = np.broadcast_to(weights, (len(z), weights.shape[-1]))

    def run(lanes: np.ndarray) -> Descended:
        return _descend_roughly(problem, z[lanes], damping[lanes], of_lanes[lanes])

    return _in_batches(run, np.arange(len(z)), _BATCH)  # always as many: another number would be compiled anew


def _scattered(problem: Problem, weights: np.ndarray, starts: np.ndarray, count: int) -> np.ndarray:
    """Where least squares lead with other weights of the rows: as far apart as the data leave the coefficients free.

    All starts may lead to one optimum of least squares, and another estimator's may lie in another basin. A coordinate
    that has collapsed, as log E where E → 0, has no slope to return on: it is put back where it began. On purpose a
    quarter descends along the boundary E = 0.
    """
    rng = np.random.default_rng(0)
    lanes = rng.choice(len(starts), count)
    drawn = weights * rng.exponential(size=(count, len(weights)))
    z, damping = starts[lanes], np.full(count, 1e-2)
    for _ in range(_ROUNDS):
        step = _roughly(problem, z, damping, drawn)
        z, damping = np.asarray(step.z), np.asarray(step.damping)
        if np.all(step.done):
            break
    z = np.where(z < starts[lanes] - _COLLAPSED, starts[lanes], z)
    z[::4, problem.floors()] = _ZERO
    return z


def _in_batches(run: Callable[[np.ndarray], Any], lanes: np.ndarray, size: int, progress: Progress = None) -> Any:
    """run(lanes) in pieces of `size`, one thread a core: XLA computes such small programs on one core each."""
    pieces = [lanes[i : i + size] for i in range(0, len(lanes), size)]

    def one(piece: np.ndarray) -> Any:
        filled = np.concatenate([piece, np.full(size - len(piece), piece[-1])])
        return jax.tree.map(lambda a: np.asarray(a)[: len(piece)], run(filled))

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = []
        for result in pool.map(jax.enable_x64(True)(one), pieces):  # a thread has a precision of its own
            found.append(result)
            if progress:
                progress(min(len(found) * size, len(lanes)), len(lanes))
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *found)


@jax.jit
def _descend_roughly(problem: Problem, z: Array, damping: Array, weights: Array) -> Descended:
    def one(z: Array, damping: Array, weights: Array) -> Descended:
        evaluate = by_gauss_newton(problem.residuals, weights, jnp.asarray(_EVERYWHERE))
        return descend(evaluate, z, damping, _STEPS, tolerance=1e-8)

    return jax.vmap(one)(z, damping, weights)


@jax.jit
def _descend_exactly(
    problem: Problem, z: Array, weights: Array, width: Scalar, steps: Scalar, tolerance: Scalar
) -> tuple[Array, Array]:
    def one(z: Array, weights: Array) -> tuple[Array, Array]:
        evaluate = by_newton(lambda at: problem.objective(at, weights, width))
        found = descend(evaluate, z, jnp.asarray(1e-3), steps, tolerance)
        return found.z, found.value

    return jax.vmap(one)(z, weights)


def narrowing(width: float) -> list[float]:
    """From a δ of ordinary noise down to `width`: exact steps see only the rows within δ curve."""
    widest = 0.1
    if width >= widest:
        return [width]
    steps = int(np.ceil(2 * np.log10(widest / width)))
    return [float(one) for one in np.geomspace(widest, width, steps + 1)[1:]]


def _distinct(z: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(one start of each of the best few optima, for every start the place in that list or −1)."""
    left = np.where(np.isfinite(values), values, np.inf)
    kept: list[int] = []
    cluster = np.full(len(z), -1)
    while len(kept) < _KEPT and np.isfinite(np.min(left)):
        best = int(np.argmin(left))
        apart = np.abs(left - left[best])
        alike = apart <= 1e-4 * abs(left[best]) + 1e-18
        # One objective to rounding is one optimum, wherever coordinates that no row feels have gone.
        near = np.max(np.abs(z[alike] - z[best]), axis=1) < 0.05
        alike[alike] = near | (apart[alike] <= 1e-6 * abs(left[best]) + 1e-18)
        cluster[alike] = len(kept)
        kept.append(best)
        left[alike] = np.inf
    return np.array(kept, dtype=int), cluster


def best_few(values: np.ndarray) -> np.ndarray:
    """Where the least values are, each in a basin of its own: no two alike."""
    kept: list[int] = []
    for i in np.argsort(values, kind="stable"):
        if len(kept) == _LANES or not np.isfinite(values[i]):
            break
        if not kept or values[i] - values[kept[-1]] > _ALIKE * abs(values[i]):
            kept.append(int(i))
    return np.array(kept or [0], dtype=int)


def _best(z: np.ndarray, values: np.ndarray, cluster: np.ndarray) -> Found:
    """cluster: for every start, the row of z where it led, or −1."""
    values = np.where(np.isfinite(values), values, np.inf)
    best = int(np.argmin(values))
    # Data without noise are fitted to rounding, and no two starts alike.
    reached = values <= values[best] + 1e-6 * abs(values[best]) + 1e-18
    share = float(np.mean((cluster >= 0) & reached[cluster]))
    return Found(z[best], float(values[best]), share, z[best_few(values)[1:]])
