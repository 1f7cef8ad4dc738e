"""`fit`: a law from a table of runs or counts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from t2jax.fitting._at_zero import at_zero
from t2jax.fitting._boundary import Boundary, BoundaryKind, Loose, boundary_of
from t2jax.fitting._coordinates import Coordinates, Kind, as_leaf, coefficient_values, in_float64, with_values
from t2jax.fitting._decision import USUAL
from t2jax.fitting._errors import Linear, covariance_of, linearised, of_coefficients
from t2jax.fitting._estimators import BetaBinomial, Estimator, Huber, LeastAbsoluteDeviations, LeastSquares
from t2jax.fitting._families import Family, family_of, log_binomial, template_of
from t2jax.fitting._notes import notes_on, notes_on_few, notes_on_range, one_valued
from t2jax.fitting._result import Fit, Run, Settings
from t2jax.fitting._rows import lengthened, padded, read_rows
from t2jax.fitting._search import Found, Problem, Progress, search, unit_of, width_of
from t2jax.fitting._table import Table
from t2jax.fitting._vertex import CLOSEST, onto_rows
from t2jax.literature import with_fields
from t2jax.quantities import Provenance

__all__ = ["fit", "fit_table"]


def fit(
    model: Any,
    data: Any,
    *,
    estimator: Estimator | None = None,
    starts: int | Sequence[Any] | None = None,
    groups: Any = None,
    weights: Any = None,
    fixed: str | Sequence[str] | Mapping[str, float] = (),
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    progress: Progress = None,
) -> Fit:
    """Fit a model's coefficients to a table of training runs, or of benchmark counts, and say how sure they are.

    ```python
    found = t2.fit(t2.Chinchilla, "runs.csv")
    print(found)
    t2.minimize(found.model, [t2.TrainingFLOPs() <= 1e23])
    ```

    model: `Chinchilla`, `Kaplan`, `Overtraining`, `DataConstrained`, `T2Loss` or `BetaPassRate`, as a class or as a
        model to take fixed coefficients from; `T2Accuracy(law, theta)`; a class that `t2jax.register` knows; or a
        quantity of your own, whose arrays are the coefficients and where the search begins. A coefficient that is
        positive there stays positive. A law of your own may read more of a decision than N, D and k: columns by those
        names.
    data: a mapping of arrays, a data set, a pyarrow table, or the path of a CSV or Parquet file, with a row for each
        run: `params` (N), `tokens` (D) and `loss` (nats per token); for `T2Loss` also `samples` (k), and `loss` is −log
        of the mean pass@k; for `DataConstrained` also `unique_tokens`. For `T2Accuracy` and `BetaPassRate` a row for
        each problem with `num_samples` and `num_correct`, or for `T2Accuracy` rows of `samples` and mean `pass_at_k`.
    estimator: `Huber(delta)`, `LeastAbsoluteDeviations()`, `LeastSquares()`; for counts `BetaBinomial()`. Unless given
        Huber(1e-3) for losses, least squares for pass@k, the beta-binomial likelihood for counts.
    starts: how many to search from, or models to begin at. Unless given, the 4,500 of the literature for `Chinchilla`,
        and tens to hundreds for others.
    groups: a column's name, or one label a row: rows of one run are correlated, standard errors and resamples treat
        them as one. weights: a column's name or a number ≥ 0 a row, which multiplies its term of the objective.
    fixed: coefficients that keep the model's values: "E", "theta[2]", or "law" for all of a law; {"alpha": 0.34} with
        a value of their own, whatever the model's.
    columns: what the data calls a column that is needed: {"samples": "k"}.
    seed: of random starts. progress: called with (done, of how many).

    Returns a `Fit`. Runs in float64 whatever JAX's setting, which stays as it was.
    Raises ValueError for data that cannot be fitted, with file, line and column; TypeError for what is no model.

    Source: Hoffmann et al. 2022 (arXiv:2203.15556) approach 3; Besiroglu et al. 2024 (arXiv:2404.10102); the T² fits
    of arXiv:2604.01411, whose approach 2 is here also fitted by the likelihood of counts.
    """
    family = family_of(model)
    template = template_of(model)
    if isinstance(fixed, Mapping):
        template = with_values(template, fixed)
    settings = Settings(
        template, estimator, starts, (fixed,) if isinstance(fixed, str) else tuple(fixed), seed, columns
    )
    return fit_table(settings, *read_rows(family, data, groups, weights, columns), progress)


def fit_table(settings: Settings, table: Table, weights_of_rows: np.ndarray, progress: Progress = None) -> Fit:
    """A fit to rows that have been read."""
    family = family_of(settings.model)
    estimator = _estimator(settings.estimator, family, table)
    with jax.enable_x64(True):
        problem, weights = _problem(settings, family, estimator, table, weights_of_rows)
        starts = _starts(settings, family, problem.coordinates, table)
        optimum = _optimum(problem, starts, weights, estimator, table, progress)
        around = linearised(
            optimum.problem,
            optimum.found.z,
            weights,
            CLOSEST if isinstance(estimator, LeastAbsoluteDeviations) else width_of(estimator),
        )
        sure = _certainty(problem, optimum, around, weights, estimator, table)
    coordinates = optimum.problem.coordinates
    coefficients = _coefficients(coordinates, around, family, table)
    objective, log_likelihood = _objective(estimator, around, optimum.found.value, table, weights_of_rows)
    return Fit(
        model=_model(coordinates, coefficients, table, family, estimator),
        estimator=estimator,
        names=coordinates.names,
        values=coefficients,
        free=coordinates.free_names,
        kinds=coordinates.kinds,
        covariance=sure.covariance,
        at_boundary=tuple(sure.boundaries),
        boundaries=sure.boundaries,
        objective=objective,
        log_likelihood=log_likelihood,
        residuals=around.residuals[: len(table)],
        starts=len(starts),
        share_at_best=optimum.found.share,
        converged=optimum.optimal or around.converged(sure.loose),
        notes=(
            *notes_on(settings.model, family, table),
            *(notes_on_few(table, weights, len(problem.coordinates.free)) if sure.few else ()),
            *notes_on_range(coordinates.names, coefficients),
        ),
        source=_named(table),
        rows=len(table),
        run=Run(optimum.problem, optimum.found.z, optimum.found.others, table, weights, width_of(estimator), settings),
    )


def _problem(
    settings: Settings, family: Family, estimator: Estimator, table: Table, weights_of_rows: np.ndarray
) -> tuple[Problem, np.ndarray]:
    """(what is searched, a weight for each of its rows). Raises ValueError for fewer rows than coefficients."""
    coordinates = Coordinates.of(
        in_float64(settings.model),
        dict(family.kinds),
        (*settings.fixed, *(name for name, _ in family.per_row)),
        family.placed_terms(table),
    )
    wanted = coordinates.free_names
    if len(table) < len(wanted):
        raise ValueError(
            f"{_named(table)} has {len(table)} row{'' if len(table) == 1 else 's'}, fewer than the {len(wanted)} "
            f"coefficients to fit ({', '.join(wanted)}): add rows, or fix coefficients"
        )
    columns, weights = padded(table, weights_of_rows)
    problem = Problem(
        coordinates,
        {name: jnp.asarray(column) for name, column in columns.items()},
        family,
        on_log=isinstance(estimator, Huber | LeastAbsoluteDeviations),
        counted=isinstance(estimator, BetaBinomial),
    )
    return problem, weights


class _Optimum(NamedTuple):
    """problem: with an E that is best at 0 held there. zeros: the slope there. optimal: is it known to be one?"""

    problem: Problem
    found: Found
    zeros: dict[str, float]
    optimal: bool


def _optimum(
    problem: Problem,
    starts: np.ndarray,
    weights: np.ndarray,
    estimator: Estimator,
    table: Table,
    progress: Progress,
) -> _Optimum:
    """The least objective: by descents, off an E that is 0 or onto it, and for absolute deviations onto rows."""
    width = width_of(estimator)
    found = search(problem, starts, weights, width, progress)
    if not isinstance(estimator, LeastAbsoluteDeviations):
        return _Optimum(*at_zero(problem, found, weights, width, table), optimal=False)
    found, optimal = onto_rows(problem, found, weights, width)
    problem, found, zeros = at_zero(problem, found, weights, width, table)
    if zeros:
        found, optimal = onto_rows(problem, found, weights, width, shaken=False)
    return _Optimum(problem, found, zeros, optimal)


class _Certainty(NamedTuple):
    """covariance: of the coefficients. boundaries: why some are at theirs, in the order of the model. loose:
    coordinates that are not identified. few: are there no errors for want of rows?"""

    covariance: np.ndarray
    boundaries: dict[str, Boundary]
    loose: list[int]
    few: bool


def _certainty(
    problem: Problem, optimum: _Optimum, around: Linear, weights: np.ndarray, estimator: Estimator, table: Table
) -> _Certainty:
    """How sure each coefficient of `problem` is at its optimum, and why some are not."""
    wanted, coordinates = problem.coordinates.free_names, optimum.problem.coordinates
    free, kinds = coordinates.free_names, [coordinates.kinds[i] for i in coordinates.free]
    labels = table.labels.get("groups")
    covariance, loose = covariance_of(
        around,
        weights,
        estimator,
        None if labels is None else lengthened(labels, len(weights)),
        [kind is Kind.REAL for kind in kinds],
        len(wanted),
    )
    for name, column in one_valued(problem.family, table).items():
        if name in free:
            value = float(table[column][0])
            loose[free.index(name)] = Loose(BoundaryKind.ONE_VALUE, value, column=column)
    slopes = around.slopes[list(coordinates.free)]
    covariance, lost, few = of_coefficients(covariance, slopes, loose)
    unit = unit_of(estimator)
    reasons = {name: Loose(BoundaryKind.ZERO, slope * unit) for name, slope in optimum.zeros.items()}
    reasons |= {free[i]: one for i, one in lost.items()}
    kind_of = dict(zip(problem.coordinates.names, problem.coordinates.kinds, strict=True))
    boundaries = {
        name: boundary_of(name, kind_of[name], reasons[name], free, counted=problem.counted)
        for name in wanted
        if name in reasons
    }
    return _Certainty(covariance, boundaries, sorted(loose), few)


def _coefficients(coordinates: Coordinates, around: Linear, family: Family, table: Table) -> np.ndarray:
    """All of them; a law of repeated data gets the largest corpus that it was fitted on."""
    coefficients = around.coefficients.copy()
    for name, column in family.per_row:
        coefficients[coordinates.names.index(name)] = np.max(table[column.name])
    return coefficients


def _estimator(given: Estimator | None, family: Family, table: Table) -> Estimator:
    counted = "num_correct" in table.columns
    if given is None:
        if counted:
            return BetaBinomial()
        return LeastSquares() if family.bounded else Huber(1e-3)
    if not isinstance(given, Estimator):
        raise TypeError(f"estimator must be one such as t2jax.Huber(1e-3), not {given!r}")
    if counted != isinstance(given, BetaBinomial):
        raise ValueError(
            f"{given} is for {'losses or pass@k' if counted else 'counts'}, and the data are "
            f"{'counts: num_samples and num_correct' if counted else family.observed.name}"
        )
    observed = family.observed.name
    if isinstance(given, Huber | LeastAbsoluteDeviations) and np.any(table[observed] <= 0):
        row = int(np.argmax(table[observed] <= 0))
        raise ValueError(
            f"{table.where(row)}: {observed} is 0 and has no logarithm: use LeastSquares() or leave it out"
        )
    return given


def _named(table: Table) -> str:
    return table.source or "the data"


def _starts(settings: Settings, family: Family, coordinates: Coordinates, table: Table) -> np.ndarray:
    """(S, p): where searches begin."""
    rng, given = np.random.default_rng(settings.seed), settings.starts
    if given is None or isinstance(given, int):
        count = family.many if given is None else given
        if isinstance(given, bool) or count < 1:
            raise ValueError(f"starts must be a whole number of at least 1, or models to begin at, got {given!r}")
        drawn = family.starts(in_float64(settings.model), family.observed.name, table, count, rng)
    else:
        drawn = np.stack([coefficient_values(one) for one in given])
        if drawn.shape[1] != len(coordinates.names):
            raise ValueError("starts must be models of the kind that is fitted")
    # What is held keeps its value also where an amplitude is placed by it.
    held = np.asarray(coordinates.held)
    fixed = [i for i in range(len(held)) if i not in coordinates.free]
    drawn[:, fixed] = held[fixed]
    return coordinates.inverse(drawn)


def _objective(
    estimator: Estimator, linear: Linear, value: float, table: Table, weights: np.ndarray
) -> tuple[float, float | None]:
    """The estimator's own sum, and its log-likelihood: of Laplace and Gaussian noise at their most likely widths."""
    w, r = weights, linear.residuals[: len(table)]
    total = float(np.sum(w))
    match estimator:
        case LeastAbsoluteDeviations():
            objective = float(np.sum(w * np.abs(r)))
            return objective, -total * (1 + math.log(2 * objective / total)) if objective else math.inf
        case LeastSquares():
            objective = float(np.sum(w * r**2))
            return objective, -total / 2 * (1 + math.log(2 * math.pi * objective / total)) if objective else math.inf
        case BetaBinomial():
            n, c = table["num_samples"], table["num_correct"]
            of_counts = float(np.sum(w * log_binomial(n, c)))
            likelihood = float(np.sum(w * linear.log_likelihood[: len(table)])) + of_counts
            return -likelihood, likelihood
    return value, None


def _model(
    coordinates: Coordinates, coefficients: np.ndarray, table: Table, family: Family, estimator: Estimator
) -> Any:
    """The fitted model in the caller's precision, with the fit as its source."""
    model = coordinates.built([as_leaf(one) for one in coefficients])
    keeps = any(one.name == "provenance" for one in fields(model))
    return with_fields(model, provenance=_provenance(table, family, estimator)) if keeps else model


def _provenance(table: Table, family: Family, estimator: Estimator) -> Provenance:
    decided = [*USUAL, *(one.name for one in family.inputs if one.name not in USUAL)]
    ranges = {
        name: (float(np.min(table[name])), float(np.max(table[name]))) for name in decided if name in table.columns
    }
    if "num_samples" in table.columns:
        ranges["samples"] = (1.0, max(float(np.max(table["num_samples"])), 1.0))
    name = (table.source or "fit").rsplit(".", 1)[0]
    return Provenance(
        name,
        f"fitted to {_named(table)}, {len(table):,} rows, {estimator}",
        params=ranges.get("params"),
        tokens=ranges.get("tokens"),
        samples=ranges.get("samples"),
        others={key: ends for key, ends in ranges.items() if key not in USUAL},
    )
