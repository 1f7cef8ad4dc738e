"""What a fit gives back: the law, how sure each coefficient is, how well it describes the rows, and a summary."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from t2jax._io import validate
from t2jax._io.convert import Converted, ResultColumn
from t2jax._io.display import Displayed, Grid
from t2jax._io.text import human
from t2jax.fitting._boundary import Boundary, BoundaryKind
from t2jax.fitting._coordinates import Coordinates, Kind, as_leaf
from t2jax.fitting._decision import log_decision
from t2jax.fitting._estimators import Estimator
from t2jax.fitting._families import log_prediction
from t2jax.fitting._resamples import refitted
from t2jax.fitting._search import Problem, Progress, narrowing
from t2jax.fitting._table import Table
from t2jax.quantities import Allocation
from t2jax.tasks import BetaPassRate

__all__ = ["Fit", "Run", "Settings"]


@dataclass(frozen=True, eq=False)
class Settings:
    """What `fit` was asked for, but for the data."""

    model: Any
    estimator: Estimator | None
    starts: Any
    fixed: tuple[str, ...]
    seed: int
    columns: Mapping[str, str] | None


@dataclass(frozen=True, eq=False)
class Run:
    """What a fit was made from, to make it again from other rows or weights. others: (m, p), optima of other basins."""

    problem: Problem
    z: np.ndarray
    others: np.ndarray
    table: Table
    weights: np.ndarray
    width: float
    settings: Settings


@dataclass(frozen=True, eq=False)
class Fit(Displayed, Converted):
    """A model fitted to data.

    model: with the fitted coefficients, in JAX's precision of the caller. names, values: all its coefficients,
    float64; free: the names of those that were fitted. at_boundary: those of them that the data do not identify (E
    → 0, a runaway exponent, a Beta at a point mass): their digits mean nothing. boundaries: why, of each of these by
    name: `.kind`, `.sentence`, and the number that it was seen by, `.measured`; empty for a file that is older than
    they are. covariance: of the free coefficients, NaN at the boundary, and all NaN where there are no more
    independent rows than coefficients. objective: the estimator's sum. log_likelihood: where the estimator is one,
    else None. residuals: of every row, log observed − log predicted (for least squares without logarithms, for counts
    of pass rates). starts, share_at_best: how many were tried, and the share of them that reached the
    objective. converged: does the next Newton step promise nothing? notes: what to be careful about, in sentences.
    ensemble: refits to resampled data, if it was read from a file that has them.
    """

    model: Any
    estimator: Estimator
    names: tuple[str, ...]
    values: np.ndarray
    free: tuple[str, ...]
    kinds: tuple[Kind, ...]
    covariance: np.ndarray
    at_boundary: tuple[str, ...]
    objective: float
    log_likelihood: float | None
    residuals: np.ndarray
    starts: int
    share_at_best: float
    converged: bool
    notes: tuple[str, ...]
    source: str
    rows: int
    ensemble: Any = None
    run: Run | None = field(default=None, repr=False)
    boundaries: Mapping[str, Boundary] = field(default_factory=dict)

    @property
    def given(self) -> tuple[str, ...]:
        """Names of what is a column of the data, not a coefficient: the model has its largest value."""
        return tuple(name for name, _ in self.run.problem.family.per_row) if self.run else ()

    @property
    def coefficients(self) -> dict[str, float]:
        """Every coefficient by its name."""
        return {name: float(value) for name, value in zip(self.names, self.values, strict=True)}

    @property
    def standard_errors(self) -> dict[str, float]:
        """Of every fitted coefficient, from the covariance; NaN at the boundary, and where there are none."""
        return dict(zip(self.free, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    @property
    def states(self) -> dict[str, str]:
        """What became of every coefficient: fitted, not identified, fixed, at its boundary, or a column of the data."""
        return {name: self._state(name) for name in self.names}

    def _state(self, name: str) -> str:
        if name in self.free:
            return "not identified" if name in self.at_boundary else "fitted"
        return "at its boundary" if name in self.at_boundary else "a column" if name in self.given else "fixed"

    @property
    def has_errors(self) -> bool:
        """Does any coefficient have a standard error? With no more rows, or groups, than coefficients none does."""
        return bool(np.any(np.isfinite(np.diag(self.covariance))))

    @property
    def status(self) -> str:
        """ "solved", or what to be careful about."""
        if not self.converged:
            return "not converged"
        return f"at the boundary: {', '.join(self.at_boundary)} not identified" if self.at_boundary else "solved"

    def interval(self, level: float = 0.9) -> dict[str, tuple[float, float]]:
        """(low, high) of every fitted coefficient at this confidence, from its standard error.

        Symmetric in the logarithm of a positive coefficient and in the log odds of a share, so never out of range.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be strictly between 0 and 1, got {level!r}")
        z = NormalDist().inv_cdf(0.5 + level / 2)
        found: dict[str, tuple[float, float]] = {}
        for name, error in self.standard_errors.items():
            i = self.names.index(name)
            value, kind = float(self.values[i]), self.kinds[i]
            if kind is Kind.POSITIVE and value > 0:
                factor = np.exp(z * error / value)
                found[name] = (value / factor, value * factor)
            elif kind is Kind.SHARE and 0 < value < 1:
                odds, wide = np.log(value / (1 - value)), z * error / (value * (1 - value))
                low, high = (float(1 / (1 + np.exp(-one))) for one in (odds - wide, odds + wide))
                found[name] = (low, high)
            else:
                found[name] = (value - z * error, value + z * error)
        return found

    def predict(self, params: Any = None, tokens: Any = None, samples: Any = 1.0, **others: Any) -> Any:
        """What the fitted model says: the loss in nats, or pass@k, at N, D and k, numbers or arrays that broadcast.

        others: what else a law of your own reads of a decision, by name.
        """
        if isinstance(self.model, BetaPassRate):
            return self.model.pass_at_k(samples)
        if params is None or tokens is None:
            raise ValueError("predict needs params and tokens")
        if not others:
            return self.model(Allocation(params, tokens, samples))
        usual = {"params": params, "tokens": tokens, "samples": samples}
        every = {name: jnp.asarray(validate.positive(name, one)) for name, one in {**usual, **others}.items()}
        logs = dict(zip(every, jnp.broadcast_arrays(*map(jnp.log, every.values())), strict=True))
        return jnp.exp(self.model.log_value(log_decision(logs)))

    def bootstrap(self, n: int, *, key: Any, groups: Any = None, progress: Progress = None) -> Any:
        """The same model fitted to `n` resamples of the data: one whose coefficients have a leading axis n.

        key: a JAX random key. groups: one label a row; whole groups are resampled, as rows of one run are correlated
        (unless given, the groups of the fit). progress: called with (done, n). Coefficients at the boundary stay there.
        Ready for `eqx.filter_vmap(lambda law: t2.minimize(law, ...))(ensemble)`. Source: Efron 1979.
        """
        run = self.run_for("resample")
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"n must be a whole number of resamples, got {n!r}")
        labels = run.table.labels.get("groups") if groups is None else np.asarray(groups)
        rows = len(run.table)
        if labels is not None and labels.shape != (rows,):
            raise ValueError(f"groups must be one label for each of the {rows} rows, got shape {labels.shape}")
        place = np.arange(rows) if labels is None else np.unique(labels, return_inverse=True)[1]
        count = int(np.max(place)) + 1
        if count == 1:
            raise ValueError("one group alone cannot be resampled: every resample is the data themselves")
        validate.memory(f"{n:,} resamples of {rows:,} rows", 8.0 * n * (count + rows + len(run.weights)))
        with jax.enable_x64(True):
            seed = np.asarray(jax.random.bits(key, (4,), "uint32"))
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), n)
        weights = np.zeros((n, len(run.weights)))
        weights[:, :rows] = drawn[:, place] * run.weights[:rows]
        with jax.enable_x64(True):
            widths = [one for one in narrowing(run.width) if one <= max(10 * run.width, 0.02)]
            z = refitted(run.problem, np.concatenate([run.z[None], run.others]), weights, widths, progress)
            coefficients = [np.asarray(one) for one in _coefficients(run.problem.coordinates, z)]
        columns = [as_leaf(np.broadcast_to(one, n)) for one in coefficients]
        return Coordinates.of(self.model, {}, (), ()).built(columns)  # with the fit as its source

    def to_json(self, path: str | Path, *, ensemble: Any = None, overwrite: bool = False) -> None:
        """Write the law with its uncertainty to a file that `from_json` and `t2jax plan --law` read.

        ensemble: the answer of `bootstrap`, to keep beside it. overwrite: a file that is there, too. Raises TypeError
        for a class that is not registered, FileExistsError for a file that is there.
        """
        from t2jax.fitting._files import write

        write(self, Path(path), ensemble, overwrite=overwrite)

    @staticmethod
    def from_json(path: str | Path) -> "Fit":
        """The fit that `to_json` wrote, without its data: it cannot be resampled again."""
        from t2jax.fitting._files import read

        return read(Path(path))

    def predict_rows(self, table: Table) -> np.ndarray:
        """What the fitted model says of every row of a table, in float64."""
        run = self.run_for("predict rows with")
        with jax.enable_x64(True):
            data = {name: jnp.asarray(column) for name, column in table.columns.items()}
            model = run.problem.coordinates.model([jnp.asarray(one) for one in run.z])
            return np.exp(np.asarray(log_prediction(model, run.problem.family, data)))

    def run_for(self, purpose: str) -> Run:
        """The data and settings of the fit. Raises ValueError for one that was read from a file, which has none."""
        if self.run is None:
            raise ValueError(f"cannot {purpose} a fit that was read from a file: its data are not there")
        return self.run

    def _columns(self) -> list[ResultColumn]:
        """A row for each coefficient: its value, standard error, 90 % interval, and state (see `states`)."""
        errors, intervals = self.standard_errors, self.interval(0.9)
        known = {name: error for name, error in errors.items() if np.isfinite(error) and name not in self.at_boundary}
        low, high = ([intervals[name][side] if name in known else None for name in self.names] for side in (0, 1))
        four = partial(human, digits=4)
        return [
            ResultColumn("coefficient", self.names),
            ResultColumn("value", self.values, written=partial(human, digits=5)),
            ResultColumn("standard_error", [known.get(name) for name in self.names], "standard error"),
            ResultColumn("low", low, "90 % interval from", four),
            ResultColumn("high", high, "to", four),
            ResultColumn("state", list(self.states.values())),
        ]

    def _parts(self) -> list[str | Grid]:
        told = (*_quality(self), *_residual_table(self), *_boundaries(self), *_notes(self))
        return [*_heading(self), _coefficient_table(self), *told]


def _coefficients(coordinates: Coordinates, z: np.ndarray) -> list[Any]:
    return coordinates.coefficients([jnp.asarray(column) for column in z.T])


def _heading(fit: Fit) -> list[str]:
    return [f"{type(fit.model).__name__} fitted to {fit.source}, {fit.rows:,} rows, {fit.estimator}: {fit.status}"]


def _coefficient_table(fit: Fit) -> Grid:
    errors, intervals = fit.standard_errors, fit.interval(0.9)
    lines = [["", "value", "standard error", "90 % interval"]]
    for name, state in fit.states.items():
        value = fit.coefficients[name]
        if state != "fitted":
            lines.append([name, human(value, 4), "", state])
        else:
            low, high = intervals[name]
            known = np.isfinite(errors[name])
            shown = [human(errors[name], 3), f"{human(low, 4)} – {human(high, 4)}"] if known else ["none", "none"]
            lines.append([name, human(value, 5), *shown])
    return Grid(lines, header=True)


def _quality(fit: Fit) -> list[str]:
    share = f"{fit.share_at_best:.0%}" if fit.share_at_best >= 0.005 else "fewer than 1%"
    tried = f"{share} of {fit.starts:,} starts reached it"
    likelihood = "" if fit.log_likelihood is None else f"; log likelihood {fit.log_likelihood:.4f}"
    return [f"  objective {fit.objective:.7g}; {tried}{likelihood}"]


def _residual_table(fit: Fit) -> list[str | Grid]:
    """Residuals by fifths of the rows, from the least compute to the most."""
    if fit.run is None or not len(fit.residuals):
        return []
    table, r = fit.run.table, fit.residuals
    counted = fit.run.problem.counted
    on_log = fit.run.problem.on_log and not counted
    unit = "of the log" if on_log else "of the pass rate" if counted or "pass_at_k" in table.columns else "in nats"
    if "params" in table.columns:
        order = np.argsort(6 * table["params"] * table["tokens"], kind="stable")
        flops = 6 * table["params"] * table["tokens"]
    else:
        return [f"  residuals {unit}: mean {np.mean(r):+.2g}, root mean square {np.sqrt(np.mean(r**2)):.2g}"]
    lines = [["training FLOPs", "rows", "mean", "root mean square", "largest"]]
    for part in np.array_split(order, min(5, len(order))):
        worst = part[np.argmax(np.abs(r[part]))]
        span = f"{flops[part[0]]:.1e} – {flops[part[-1]]:.1e}"
        shown = [f"{np.mean(r[part]):+.2g}", f"{np.sqrt(np.mean(r[part] ** 2)):.2g}", f"{r[worst]:+.2g}"]
        lines.append([span, f"{len(part):,}", *shown])
    worst = int(np.argmax(np.abs(r)))
    return [
        f"  residuals {unit} (observed − predicted); the largest is at {table.where(worst)}",
        Grid(lines, header=True, indent="    "),
    ]


def _boundaries(fit: Fit) -> list[str]:
    """Why coefficients are at a boundary, unless a note says it for all of a column."""
    return [f"  {one}" for one in fit.boundaries.values() if one.kind is not BoundaryKind.ONE_VALUE]


def _notes(fit: Fit) -> list[str]:
    return [f"  note: {note}" for note in fit.notes]
