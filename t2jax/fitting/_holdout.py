"""Forecast check: fit below a cut, score above it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from t2jax._io.text import aligned, human
from t2jax.fitting._families import family_of
from t2jax.fitting._fit import fit_table
from t2jax.fitting._result import Fit
from t2jax.fitting._rows import read_rows
from t2jax.fitting._table import Table

__all__ = ["Holdout", "holdout"]

_BY = ("flops", "tokens_per_param", "params", "tokens", "samples")


@dataclass(frozen=True, eq=False)
class Holdout:
    """How well a law fitted to the rows up to `cut` predicts those above it.

    by: the measure that was cut. fit: of the rows below. observed, predicted: of the rows above, in the data's order.
    relative_error: mean |predicted/observed − 1| above, relative_error_within the same below. bias: mean of
    predicted/observed − 1 above: positive where the law promises too high a loss.
    """

    by: str
    cut: float
    fit: Fit
    observed: np.ndarray
    predicted: np.ndarray
    relative_error_within: float

    @property
    def relative_error(self) -> float:
        return float(np.mean(np.abs(self.predicted / self.observed - 1)))

    @property
    def bias(self) -> float:
        return float(np.mean(self.predicted / self.observed - 1))

    def __str__(self) -> str:
        model = type(self.fit.model).__name__
        head = f"{model} fitted to {self.fit.rows:,} rows with {self.by} ≤ {human(self.cut)}: {self.fit.status}"
        rows = [
            ["", "rows", "mean relative error", "bias"],
            ["fitted", f"{self.fit.rows:,}", f"{self.relative_error_within:.2%}", ""],
            ["held out", f"{len(self.observed):,}", f"{self.relative_error:.2%}", f"{self.bias:+.2%}"],
        ]
        return f"{head}\n{aligned(rows)}"


def holdout(fit: Fit, data: Any = None, *, by: str = "flops", cut: float | None = None) -> Holdout:
    """Fit again below a cut, with the settings of `fit`, and compare its forecast with the rows above.

    fit: says what to fit and how. data: as for `t2jax.fit`; unless given, the rows of the fit. by: "flops" (6·N·D),
    "tokens_per_param", "params", "tokens" or "samples". cut: the largest value to fit on; unless given, the one with a
    fifth of the rows above it. The T² paper's protocol is a fit to the Chinchilla range and a forecast of overtrained
    checkpoints: by="tokens_per_param".

    Raises ValueError where no rows are above the cut, too few below, or for a fit to counts: sum them to pass@k first.
    """
    run = fit.run_for("hold out rows of")
    family = family_of(run.settings.model)
    if data is None:
        table, weights = run.table, run.weights[: len(run.table)]
    else:
        table, weights = read_rows(family, data, None, None, run.settings.columns)
    if run.problem.counted:
        raise ValueError("a fit to counts is not scored by relative error: hold out rows of mean pass_at_k instead")
    if by not in _BY:
        raise ValueError(f"by must be one of {', '.join(_BY)}, got {by!r}")
    measure = _measure(table, by)
    cut = float(np.quantile(measure, 0.8)) if cut is None else float(cut)
    below = measure <= cut
    if np.all(below):
        raise ValueError(f"no row has {by} above {cut:g}: the largest is {np.max(measure):g}")
    if not np.any(below):
        raise ValueError(f"no row has {by} up to {cut:g}: the smallest is {np.min(measure):g}")
    fitted = fit_table(run.settings, table.take(below), weights[below])
    predicted = fitted.predict_rows(table)
    observed = table[family.observed.name]
    error = np.abs(predicted / observed - 1)
    return Holdout(by, cut, fitted, observed[~below], predicted[~below], float(np.mean(error[below])))


def _measure(table: Table, by: str) -> np.ndarray:
    if by == "flops":
        return 6 * table["params"] * table["tokens"]
    if by == "tokens_per_param":
        return table["tokens"] / table["params"]
    if by not in table.columns:
        raise ValueError(f"the data of this fit have no {by}")
    return table[by]
