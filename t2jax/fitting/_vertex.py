"""The last steps of a fit by least absolute deviations: onto the rows that it goes through.

With p coefficients such a fit goes through p rows, as a rule: a vertex. Each step goes to where the residuals as they
are linearised are least within a box, and so finds the rows. Where these are fewer than p, curvature says how far to
go along them: Newton's step of the Lagrangian. Where the linear residuals promise no gain, 0 is a subgradient.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from t2jax._xla.fusion import jit_in_a_hurry
from t2jax.fitting._coordinates import Kind
from t2jax.fitting._descent import by_newton
from t2jax.fitting._exchange import LinearOptimum, linear_optimum
from t2jax.fitting._search import Found, Problem, best_few, descend_all, narrowing

__all__ = ["CLOSEST", "onto_rows"]

CLOSEST = 1e-10
"""Huber's δ that stands for absolute deviations beside the rows that the fit goes through."""
_STEPS, _PATIENT_STEPS, _CORRECTIONS = 40, 400, 4
_FIRST, _FARTHEST, _NEAREST = 0.1, 1.0, 1e-9
"""Sides of the box: at first, at most, and where a descent ends."""
_ARRIVED, _PROMISED = 1e-11, 1e-9
"""What linear residuals still promise within the first box, relatively: where a descent ends; at most at an optimum."""
_ROUNDING = 1e-15
"""Of a residual, and, relatively, of their sum."""
_SHAKES = 32
_LEAST = 1e-20
"""An E that is 0 in float64 beside any loss."""


class _Point(NamedTuple):
    """x: coordinates, E itself for log E. r: residuals, and rows: their derivatives. value: Σ w·|r|."""

    x: np.ndarray
    r: np.ndarray
    rows: np.ndarray
    value: float


class _Deviations:
    """Σ w·|r| of a problem, by coordinates in which E = 0 is a bound like any other."""

    def __init__(self, problem: Problem, weights: np.ndarray):
        self.problem, self.used = problem, np.flatnonzero(weights > 0)
        self.weights, self.rows = weights[self.used], len(weights)
        self.floors = np.array(problem.floors(), dtype=int)
        kinds = [problem.coordinates.kinds[i] for i in problem.coordinates.free]
        self.logarithmic = np.array([kind is not Kind.REAL for kind in kinds])
        self.logarithmic[self.floors] = False

    def point(self, x: np.ndarray) -> _Point:
        r, rows, _ = self._bent(x, np.zeros(len(self.used)))
        with np.errstate(all="ignore"):
            value = float(self.weights @ np.abs(r))
        return _Point(x, r, rows, value if np.isfinite(value) and np.isfinite(rows).all() else np.inf)

    def noise(self, here: _Point) -> float:
        return _ROUNDING * (here.value + float(np.sum(self.weights)))

    def curvature(self, x: np.ndarray, forces: np.ndarray) -> np.ndarray:
        """(p, p), of Σ forces·r."""
        return self._bent(x, forces)[2]

    def coordinates(self, z: np.ndarray) -> np.ndarray:
        x = z.copy()
        x[self.floors] = np.maximum(np.exp(z[self.floors]), _LEAST)
        return x

    def z(self, x: np.ndarray) -> np.ndarray:
        z = x.copy()
        z[self.floors] = np.log(x[self.floors])
        return z

    def box(self, here: _Point, side: float) -> tuple[np.ndarray, np.ndarray]:
        """(low, high) of a move. What is no logarithm is measured by how far it moves a residual."""
        units = np.where(self.logarithmic, 1.0, np.maximum(np.max(np.abs(here.rows), axis=0), 1e-30))
        high = side / units
        low = -high
        low[self.floors] = -np.minimum(high[self.floors], np.maximum(here.x[self.floors] - _LEAST, 1e-3 * _LEAST))
        return low, high

    def at_zero(self, x: np.ndarray) -> np.ndarray:
        """Places of each E that is 0."""
        return self.floors[x[self.floors] <= 1e3 * _LEAST]

    def inside(self, x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[self.floors] = np.maximum(x[self.floors], _LEAST)
        return x

    def _bent(self, x: np.ndarray, forces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        every = np.zeros(self.rows)
        every[self.used] = forces
        r, rows, hessian = (np.asarray(a) for a in _bent(self.problem, self.z(x), every))
        r, rows, hessian = r[self.used], rows[self.used].copy(), hessian.copy()
        with np.errstate(all="ignore"):  # a step too far
            gradient = forces @ rows
            for place in self.floors:  # d/dE = (1/E)·d/d log E
                hessian[place, place] -= gradient[place]
                hessian[place] /= x[place]
                hessian[:, place] /= x[place]
                rows[:, place] /= x[place]
        return r, rows, hessian


def onto_rows(
    problem: Problem, found: Found, weights: np.ndarray, width: float, shaken: bool = True
) -> tuple[Found, bool]:
    """(the best optimum near `found` and where other descents end; is 0 a subgradient there?).

    shaken: begin beside these, too.
    """
    deviations = _Deviations(problem, weights)
    begun = np.concatenate([found.z[None], found.others])
    if shaken:
        begun = np.concatenate([begun, _shaken(problem, found.z, weights, width)])
    ends = [_descent(deviations, deviations.point(deviations.coordinates(z)), _STEPS) for z in begun]
    least = min((end for end, _ in ends), key=lambda end: end.value)
    best, optimal = max(ends, key=lambda end: (end[0].value <= least.value + deviations.noise(least), end[1]))
    if not optimal:
        best, optimal = _descent(deviations, best, _PATIENT_STEPS)
    size = np.abs(best.r)
    smooth = float(deviations.weights @ np.where(size <= width, 0.5 * size**2, width * (size - 0.5 * width)))
    return found._replace(z=deviations.z(best.x), value=smooth), optimal


def _shaken(problem: Problem, z: np.ndarray, weights: np.ndarray, width: float) -> np.ndarray:
    """Optima of other weights nearby, and from there of these again: such fits have many optima side by side."""
    rng = np.random.default_rng(0)
    drawn = weights * rng.exponential(size=(_SHAKES, len(weights)))
    moved, _ = descend_all(problem, np.tile(z, (_SHAKES, 1)), drawn, [0.01, 1e-3])
    back, values = descend_all(problem, moved, weights, [one for one in narrowing(width) if one <= 1e-3])
    return back[best_few(values)]


def _descent(deviations: _Deviations, here: _Point, steps: int) -> tuple[_Point, bool]:
    """(where a descent from here ends, is 0 a subgradient there?)."""
    side = _FIRST
    for _ in range(steps):
        if side < _NEAREST or not np.isfinite(here.value):
            break
        low, high = deviations.box(here, side)
        linear = linear_optimum(here.rows, here.r, deviations.weights, low, high)
        promised = here.value - linear.value
        # The promise is concave in the side: so much at most within the first box.
        if promised * max(_FIRST / side, 1.0) <= _ARRIVED * here.value or promised <= deviations.noise(here):
            break
        there = _best_step(deviations, here, linear, low, high)
        gain = here.value - there.value
        if gain > 0.5 * promised:
            side = min(2 * side, _FARTHEST)
        elif gain < 0.1 * promised:
            side *= 0.25 * float(np.max(np.abs(linear.move) / high))
        if gain >= -deviations.noise(here):
            here = there
    if not np.isfinite(here.value):
        return here, False
    linear = linear_optimum(here.rows, here.r, deviations.weights, *deviations.box(here, _FIRST))
    return here, here.value - linear.value <= _PROMISED * here.value + deviations.noise(here)


def _best_step(
    deviations: _Deviations, here: _Point, linear: LinearOptimum, low: np.ndarray, high: np.ndarray
) -> _Point:
    moves = [linear.move]
    if len(linear.sides):
        moves.append(np.clip(_along(deviations, here, linear), low, high))
    ends = [_onto(deviations, deviations.point(deviations.inside(here.x + move)), linear) for move in moves]
    return min(ends, key=lambda end: end.value)


def _along(deviations: _Deviations, here: _Point, linear: LinearOptimum) -> np.ndarray:
    """Newton's step of Σ forces·r with the rows of `linear` at zero, and an E at 0 where it stays."""
    held = np.intersect1d(linear.sides, deviations.at_zero(here.x)).astype(int)
    fixed = np.concatenate([here.rows[linear.zero], np.eye(len(here.x))[held]])
    first = _solution(fixed, np.concatenate([-here.r[linear.zero], np.zeros(len(held))]))
    _, sizes, right = np.linalg.svd(fixed)
    Z = right[np.sum(sizes > 1e-10 * np.max(sizes, initial=0.0)) :].T
    hessian = deviations.curvature(here.x, linear.forces)
    hessian[held] = hessian[:, held] = 0.0
    if not np.isfinite(hessian).all():
        return linear.move
    curved = Z.T @ hessian @ Z
    values, vectors = np.linalg.eigh(curved)
    values = np.maximum(np.abs(values), 1e-12 * np.max(np.abs(values), initial=1e-30))
    slope = Z.T @ (linear.forces @ here.rows + hessian @ first)
    return first - Z @ (vectors @ ((vectors.T @ slope) / values))


def _onto(deviations: _Deviations, there: _Point, linear: LinearOptimum) -> _Point:
    """The best of some steps from `there` to where these rows are zero."""
    best, zero = there, linear.zero
    for _ in range(_CORRECTIONS if len(zero) else 0):
        if not np.isfinite(there.value) or np.max(np.abs(there.r[zero])) <= 10 * _ROUNDING:
            break
        rows = there.rows[zero].copy()
        rows[:, deviations.at_zero(there.x)] = 0.0
        there = deviations.point(deviations.inside(there.x - _solution(rows, there.r[zero])))
        if there.value < best.value:
            best = there
    return best


def _solution(rows: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of rows·d = right, the least of all."""
    return np.linalg.lstsq(rows, right, rcond=1e-10)[0]


@jit_in_a_hurry
def _bent(problem: Problem, z: Array, forces: Array) -> tuple[Array, Array, Array]:
    """(residuals, their derivatives, the Hessian of Σ forces·r)."""
    r, push = jax.linearize(lambda z: problem.residuals(list(z)), z)
    _, _, hessian = by_newton(lambda z: jnp.sum(forces * problem.residuals(z)))(list(z))
    return r, jax.vmap(push, out_axes=1)(jnp.eye(len(z))), jnp.stack([jnp.stack(row) for row in hessian])
