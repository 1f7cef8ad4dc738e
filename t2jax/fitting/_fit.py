"""`fit`: a law from a table of runs or counts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from t2jax.fitting._boundary import at_zero
from t2jax.fitting._coordinates import Coordinates, Kind, as_leaf, coefficient_values, in_float64, with_values
from t2jax.fitting._decision import USUAL
from t2jax.fitting._errors import Linear, covariance_of, linearised
from t2jax.fitting._estimators import BetaBinomial, Estimator, Huber, LeastAbsoluteDeviations, LeastSquares
from t2jax.fitting._families import COUNTS, Family, family_of, log_binomial, template_of
from t2jax.fitting._notes import notes_on, notes_on_few, notes_on_range, one_valued
from t2jax.fitting._result import Fit, Run, Settings
from t2jax.fitting._search import Problem, Progress, search, width_of
from t2jax.fitting._table import NONNEGATIVE, Column, Table, read_table
from t2jax.fitting._vertex import CLOSEST, onto_rows
from t2jax.literature import with_fields
from t2jax.quantities import Provenance

__all__ = ["fit", "fit_table", "read_rows"]


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
    chosen = _estimator(settings.estimator, family, table)
    width = width_of(chosen)
    with jax.enable_x64(True):
        template = in_float64(settings.model)
        coordinates = Coordinates.of(
            template,
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
        data_of_rows, heavy = _padded(table, weights_of_rows)
        problem = Problem(
            coordinates,
            {name: jnp.asarray(column) for name, column in data_of_rows.items()},
            family,
            on_log=isinstance(chosen, Huber | LeastAbsoluteDeviations),
            counted=isinstance(chosen, BetaBinomial),
        )
        first = _starts(template, family, table, coordinates, settings.starts, settings.seed)
        found = search(problem, first, heavy, width, progress)
        absolute, optimal = isinstance(chosen, LeastAbsoluteDeviations), False
        if absolute:
            found, optimal = onto_rows(problem, found, heavy, width)
        problem, found, zeros = at_zero(problem, found, heavy, width, table)
        if absolute and zeros:
            found, optimal = onto_rows(problem, found, heavy, width, shaken=False)
        linear = linearised(problem, found.z, heavy, CLOSEST if absolute else width)
        labels = table.labels.get("groups")
        covariance, loose = covariance_of(
            linear,
            heavy,
            chosen,
            None if labels is None else _lengthened(labels, len(heavy)),
            [problem.coordinates.kinds[i] is Kind.REAL for i in problem.coordinates.free],
            len(wanted),
        )
    free = problem.coordinates.free_names
    loose = sorted({*loose, *(free.index(name) for name in one_valued(family, table) if name in free)})
    coefficients = linear.coefficients.copy()
    for name, column in family.per_row:  # a law of repeated data gets the largest corpus it was fitted on
        coefficients[problem.coordinates.names.index(name)] = np.max(table[column.name])
    slopes = linear.slopes[list(problem.coordinates.free)]
    # What is not identified stays out of the errors of what is.
    known = np.where(np.isnan(covariance), 0.0, covariance)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = slopes @ known @ slopes.T
    few = bool(np.all(np.isnan(covariance))) and len(loose) < len(free)
    if few:  # as many coefficients as independent rows, or more: residuals say nothing of the noise
        spread[:] = np.nan
    # With an exponent its amplitude is lost, which is the size of the term in the middle of the data times N₀^α. So is
    # one too large for a number.
    lost = np.flatnonzero(np.any(slopes[:, loose] != 0, axis=1) | (~np.isfinite(np.diag(spread)) & (not few)))
    spread[lost, :] = spread[:, lost] = np.nan
    rows = len(table)
    objective, log_likelihood = _objective(chosen, linear, found.value, table, weights_of_rows)
    fitted = Fit(
        model=None,
        estimator=chosen,
        names=problem.coordinates.names,
        values=coefficients,
        free=free,
        kinds=problem.coordinates.kinds,
        covariance=spread,
        at_boundary=tuple(name for name in wanted if name in zeros or name in {free[i] for i in lost}),
        objective=objective,
        log_likelihood=log_likelihood,
        residuals=linear.residuals[:rows],
        starts=len(first),
        share_at_best=found.share,
        converged=optimal or linear.converged(loose),
        notes=(
            *notes_on(template, family, table),
            *(notes_on_few(table, heavy, len(wanted)) if few else ()),
            *notes_on_range(problem.coordinates.names, coefficients),
        ),
        source=_named(table),
        rows=rows,
        run=Run(problem, found.z, found.others, table, heavy, width, settings),
    )
    return replace(fitted, model=_model(problem.coordinates, coefficients, table, family, chosen))


def read_rows(
    family: Family, data: Any, groups: Any, weights: Any, columns: Mapping[str, str] | None
) -> tuple[Table, np.ndarray]:
    """The columns that the fit needs, labels called "groups" if there are any, and a weight for every row."""
    rename = dict(columns or {})
    labels = [groups] if isinstance(groups, str) else []
    extra = [Column("weights", "weight of the row", NONNEGATIVE)] if isinstance(weights, str) else []
    if extra:
        rename["weights"] = weights

    possible = {one.name for one in (*family.inputs, family.observed, *(COUNTS if family.counted else ()))}

    def read(wanted: Sequence[Column]) -> Table:
        # Other names of what another table of this family would need are not amiss.
        idle = possible - {one.name for one in wanted}
        return read_table(data, wanted, rename={a: b for a, b in rename.items() if a not in idle}, labels=labels)

    always = [*(column for _, column in family.per_row), *extra]
    counted = False
    if family.counted:  # counts or pass@k: what must be there depends on what is
        either = [replace(one, optional=True) for one in (*family.inputs, family.observed, *COUNTS)]
        table = read([*always, *either])
        counted = any(one.name in table.columns for one in COUNTS)
    needs = [*family.inputs, *always, family.observed]
    if counted:
        needs = [*(one for one in family.inputs if one.name != "samples"), *always, *COUNTS]
    if not family.counted or any(one.name not in table.columns for one in needs):
        table = read(needs)  # the second time for the message that names what is missing
    names = [one.name for one in needs]
    table = replace(table, columns={name: column for name, column in table.columns.items() if name in names})
    if counted:
        _check_counts(table)
    if labels:
        table = replace(table, labels={"groups": table.labels[groups]})
    elif groups is not None:
        table = replace(table, labels={"groups": _one_each("groups", np.asarray(groups), table)})
    if isinstance(weights, str):
        heavy = table["weights"]
        table = replace(table, columns={name: a for name, a in table.columns.items() if name != "weights"})
    elif weights is None:
        heavy = np.ones(len(table))
    else:
        heavy = _one_each("weights", np.asarray(weights, np.float64), table)
    if not np.all(np.isfinite(heavy) & (heavy >= 0)) or not np.any(heavy > 0):
        raise ValueError("weights must be finite, zero or positive, and not all zero")
    return table, heavy


def _one_each(name: str, values: np.ndarray, table: Table) -> np.ndarray:
    if values.shape != (len(table),):
        raise ValueError(f"{name} must be one for each of the {len(table)} rows, got shape {values.shape}")
    return values


def _check_counts(table: Table) -> None:
    wrong = np.flatnonzero(table["num_correct"] > table["num_samples"])
    if len(wrong):
        c, n = (table[name][wrong[0]] for name in ("num_correct", "num_samples"))
        more = f" (and {len(wrong) - 1} more such rows)" if len(wrong) > 1 else ""
        raise ValueError(
            f"{table.where(int(wrong[0]))}: num_correct must not exceed num_samples, got {c:.15g} of {n:.15g}{more}"
        )


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


def _padded(table: Table, weights: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows filled up to a multiple of 64 by rows without weight: tables of nearly one size share what was compiled."""
    size = -(-len(table) // 64) * 64
    columns = {name: _lengthened(column, size) for name, column in table.columns.items()}
    return columns, np.concatenate([weights, np.zeros(size - len(table))])


def _lengthened(column: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([column, np.repeat(column[-1:], size - len(column))])


def _starts(template: Any, family: Family, table: Table, coordinates: Coordinates, given: Any, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if given is None or isinstance(given, int):
        count = family.many if given is None else given
        if isinstance(given, bool) or count < 1:
            raise ValueError(f"starts must be a whole number of at least 1, or models to begin at, got {given!r}")
        drawn = family.starts(template, family.observed.name, table, count, rng)
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
