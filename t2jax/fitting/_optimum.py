"""How sure the optimum is: the uncertainty of a fit carried through `minimize`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from t2jax._io.convert import Converted, ResultColumn
from t2jax._io.text import aligned, human
from t2jax.fitting._coordinates import Coordinates, in_float64
from t2jax.fitting._result import Fit
from t2jax.optimize import Solution
from t2jax.quantities import Scale

__all__ = ["Interval", "OptimumInterval", "optimum_interval"]


@dataclass(frozen=True)
class Interval:
    """low ≤ median ≤ high of one number at the optimum."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class OptimumInterval(Converted):
    """Intervals of the optimum by name (params, tokens, samples, value), at the confidence `level`.

    delta: from the fit's covariance and the optimum's implicit derivatives, symmetric in logarithms (pass@k: in log
    odds). ensemble: from resampled fits, the median and quantiles of those that have an optimum; None without an
    ensemble. solved: the share of the ensemble that does.
    """

    level: float
    delta: dict[str, Interval]
    ensemble: dict[str, Interval] | None
    solved: float | None

    @property
    def _methods(self) -> dict[str, dict[str, Interval]]:
        return {"delta method": self.delta, **({"ensemble": self.ensemble} if self.ensemble else {})}

    def _columns(self) -> list[ResultColumn]:
        """A row for each number at the optimum and each method."""
        rows = [(name, method, one) for method, found in self._methods.items() for name, one in found.items()]
        names, methods, intervals = zip(*rows, strict=True)
        return [
            ResultColumn("name", names, " "),
            ResultColumn("method", methods),
            ResultColumn("median", [one.median for one in intervals], written=partial(human, digits=4)),
            ResultColumn("low", [one.low for one in intervals], f"{self.level:.0%} interval from"),
            ResultColumn("high", [one.high for one in intervals], "to"),
        ]

    def __str__(self) -> str:
        shown = self._methods
        lines = [["", *(one for name in shown for one in (name, f"{self.level:.0%} interval"))]]
        for name in self.delta:
            cells = [name]
            for found in shown.values():
                one = found[name]
                cells += [human(one.median, 4), f"{human(one.low, 3)} – {human(one.high, 3)}"]
            lines.append(cells)
        return aligned(lines)


def optimum_interval(
    fit: Fit, problem: Callable[[Any], Solution], *, level: float = 0.9, ensemble: Any = None
) -> OptimumInterval:
    """Medians and intervals of N*, D*, k* and the value at the optimum of a fitted law.

    ```python
    fit = t2.fit(t2.Chinchilla, "runs.csv")
    laws = fit.bootstrap(1000, key=jax.random.key(0))
    t2.optimum_interval(fit, lambda law: t2.minimize(law, [t2.TrainingFLOPs() <= 1e23]), ensemble=laws)
    ```

    fit: of a law or task. problem: from such a model to a `Solution`. level: of confidence, in (0, 1). ensemble: the
    answer of `fit.bootstrap` (or the one that the fit was read with), for intervals from resampling, too.

    The delta method takes d log N*/d coefficient from the implicit function theorem and the fit's covariance;
    coefficients at the boundary count as known; a fit without standard errors has intervals of NaN. Runs in float64.
    Raises NoSolutionError where the fitted law itself has no optimum.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be strictly between 0 and 1, got {level!r}")
    laws = fit.ensemble if ensemble is None else ensemble
    with jax.enable_x64(True):
        scales, at_best, slopes = _with_slopes(fit, problem)
        known = np.where(np.isnan(fit.covariance), 0.0, fit.covariance)
        errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", slopes, known, slopes), 0.0))
        if not fit.has_errors:
            errors = np.full_like(errors, np.nan)
        z = NormalDist().inv_cdf(0.5 + level / 2)
        delta = {
            name: Interval(*(float(scale.to_value(jnp.asarray(one + move))) for move in (0.0, -z * error, z * error)))
            for (name, scale), one, error in zip(scales.items(), at_best, errors, strict=True)
        }
        if laws is None:
            return OptimumInterval(level, delta, None, None)
        every, ok = (np.asarray(one) for one in _of_ensemble(problem, in_float64(laws)))
        tails = (0.5, 0.5 - level / 2, 0.5 + level / 2)
        found = {
            name: Interval(*np.quantile(row, tails).tolist()) if row.size else Interval(*(np.nan,) * 3)
            for name, row in zip(scales, every[:, ok], strict=True)
        }
    return OptimumInterval(level, delta, found, float(np.mean(ok)))


def _with_slopes(fit: Fit, problem: Callable[[Any], Solution]) -> tuple[dict[str, Scale], np.ndarray, np.ndarray]:
    """Names with their scales, the scores of N, D, k and the value, and these by the fitted coefficients, (4, p)."""
    coordinates, values = Coordinates.of(in_float64(fit.model), {}, (), ()), jnp.asarray(fit.values)
    solution = problem(coordinates.built(list(values)))  # raises, with the reason, where there is none
    free = tuple(fit.names.index(name) for name in fit.free)
    slopes = _slopes(problem, coordinates, free, values)
    scales = {**dict.fromkeys(_names(solution), Scale.LOG), "value": solution.objective_scale}
    return scales, np.asarray(jnp.stack(_scores(solution))), np.asarray(slopes)


@eqx.filter_jit
def _slopes(problem: Any, coordinates: Coordinates, free: tuple[int, ...], values: Array) -> Array:
    """d (log N, log D, log k, score of the value)/d the free ones of all coefficients."""
    places = np.array(free, dtype=int)

    def scores(of_free: Array) -> Array:
        every = values.at[places].set(of_free)
        return jnp.stack(_scores(problem(coordinates.built([every[i] for i in range(len(values))]))))

    return jax.jacfwd(scores)(values[places])


@eqx.filter_jit
def _of_ensemble(problem: Any, laws: Any) -> tuple[Array, Array]:
    """(N, D, k and the value, whether it is solved) for every member."""
    solutions = eqx.filter_vmap(problem)(laws)
    return jnp.stack([*jax.tree.leaves(solutions.allocation), solutions.value]), solutions.ok


def _names(solution: Solution) -> list[str]:
    leaves = jax.tree_util.tree_leaves_with_path(solution.allocation)
    return [jax.tree_util.keystr(path).lstrip(".") for path, _ in leaves]


def _scores(solution: Solution) -> list[Any]:
    """On the real line: logarithms, or log odds of a pass@k, so that no interval leaves the range."""
    logs = [jnp.log(leaf) for leaf in jax.tree.leaves(solution.allocation)]
    return [*logs, solution.objective_scale.of_value(solution.value)]
