"""How sure a plan is: the uncertainty of a fitted law carried through the optimum, one solve after another.

Every solve is the same compiled problem with other coefficients, about a millisecond each. `t2jax.optimum_interval`
asks for one batched solve instead, which takes seconds to compile.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from statistics import NormalDist
from typing import Any

import jax
import numpy as np

from t2jax._io.convert import Converted, ResultColumn
from t2jax.fitting import Fit
from t2jax.fitting._coordinates import Kind
from t2jax.literature import per_row_of
from t2jax.planning._intervals import intervals_text, shown_as

__all__ = ["Optimum", "Progress", "Uncertainty", "caveats", "uncertainty"]

LEVEL = 0.9
MOST = 1_000
"""More members of an ensemble are left out: they would say the same."""
_STEP, _STEP_OF_WHOLE = 1e-3, 1.0
"""Of a standard error, for differences: the optimum is exact to 1e-8. A whole k moves in steps, so that it has no
derivative, but a slope over a standard error to either side."""

Optimum = Mapping[str, float]
"""params, tokens, samples (of a task) and value."""
Solve = Callable[[np.ndarray], Optimum | None]
Progress = Callable[[int, int], None] | None


@dataclass(frozen=True)
class Uncertainty(Converted):
    """Intervals of the optimum, each [low, high], None where there is none. It prints as in a plan.

    level: the share of cases that an interval holds. method: "ensemble" of resampled fits, or "delta". members, solved:
    of an ensemble, how many there are and how many have an optimum. names: of the numbers that have an interval.
    quantity, title: what the value is, for JSON and for people.
    """

    level: float
    method: str
    members: int | None
    solved: int | None
    params: list[float] | None
    tokens: list[float] | None
    samples: list[float] | None
    value: list[float] | None
    names: tuple[str, ...] = ("params", "tokens", "samples", "value")
    quantity: str = "value"
    title: str = "value"

    def to_dict(self) -> dict[str, Any]:
        """JSON's types only: the "uncertainty" of what `t2jax plan --json` prints."""
        return {name: getattr(self, name) for name in _KEYS}

    def _columns(self) -> list[ResultColumn]:
        """A row for each number of the optimum, with the ends of its interval."""
        ends = [getattr(self, name) or (None, None) for name in self.names]
        words = {name: shown_as(name, self.quantity, self.title)[0] for name in self.names}
        low, high = zip(*ends, strict=True)
        return [
            ResultColumn("name", self.names, " ", words=words),
            ResultColumn("low", low, f"{self.level:.0%} interval from"),
            ResultColumn("high", high, "to"),
        ]

    def __str__(self) -> str:
        return intervals_text(self.to_dict(), self.names, self.quantity, self.title)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


_KEYS = ("level", "method", "members", "solved", "params", "tokens", "samples", "value")


def uncertainty(
    fit: Fit,
    best: Optimum,
    solve: Solve,
    *,
    whole: bool,
    probability: bool,
    quantity: str = "value",
    title: str = "value",
    progress: Progress = None,
) -> Uncertainty:
    """Intervals of everything in `best`: by the fit's ensemble where it has one, else by the delta method.

    solve: from values of the fit's free coefficients to the optimum, None where there is none. whole: k is.
    probability: the value is one, so that its interval is symmetric in log odds. quantity, title: what it is called.
    """
    of_value = (_log_odds, _of_log_odds) if probability else (np.log, np.exp)
    scales = {name: of_value if name == "value" else (np.log, np.exp) for name in best}
    found: dict[str, Any] = {"level": LEVEL, "method": "delta", "members": None, "solved": None}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if fit.ensemble is not None:
            rows = _members(fit)[:MOST]
            solved = _solved(solve, rows, progress)
            found |= {"method": "ensemble", "members": len(rows), "solved": len(solved)}
            tails = (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)
            ends = {name: np.quantile([one[name] for one in solved], tails) for name in best} if solved else {}
        else:
            z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
            errors = _errors(fit, best, solve, scales, _STEP_OF_WHOLE if whole else _STEP)
            ends = {
                name: of_line(to_line(best[name]) + z * errors[name] * np.array([-1.0, 1.0]))
                for name, (to_line, of_line) in scales.items()
            }
    if whole and "samples" in ends:
        ends["samples"] = np.maximum(np.round(ends["samples"]), 1.0)
    for name in ("params", "tokens", "samples", "value"):
        known = name in ends and bool(np.all(np.isfinite(ends[name])))
        found[name] = ends[name].tolist() if known else None
    return Uncertainty(**found, names=tuple(best), quantity=quantity, title=title)


def caveats(fit: Fit, name: str) -> list[str]:
    """What the intervals leave out, in sentences. name: of the file."""
    found = []
    boundary = list(fit.at_boundary)
    if boundary:
        one = len(boundary) == 1
        found.append(
            f"{', '.join(boundary)} of {name} {'was' if one else 'were'} at the boundary of the fit and "
            f"{'counts' if one else 'count'} as known: the intervals leave {'its' if one else 'their'} uncertainty out"
        )
    # A law inside that was held as a whole is one thing. Unique tokens are given, not fitted.
    columns = [name for name, _ in per_row_of(fit.model)]
    held = [one for one in fit.names if one not in (*fit.free, *boundary, *columns)]
    inside = [one for one in fit.names if one.startswith("law.")]
    if inside and set(inside) <= {*held, *columns}:
        held = ["the loss law", *(one for one in held if one not in inside)]
    if held:
        count = "counts" if len(held) == 1 else "count"
        found.append(
            f"{', '.join(held)} of {name} {'was' if len(held) == 1 else 'were'} fixed in the fit and {count} as known"
        )
    if not fit.has_errors and fit.ensemble is None:
        found.append(f"the fit in {name} has no standard errors: it has no more independent rows than coefficients")
    if not fit.converged:
        found.append(f"the fit in {name} did not converge")
    return found


def _errors(fit: Fit, best: Optimum, solve: Solve, scales: Mapping[str, Any], step: float) -> dict[str, float]:
    """Standard errors of everything in `best`, on the real line: √(gᵀΣg), by central differences.

    Along the principal axes of the covariance, one standard error long, of the coefficients on the real line: there
    a step is never out of range, and correlations of 0.999 do no harm.
    """
    here, slopes = _on_the_line(fit)
    known = np.isfinite(np.diag(fit.covariance)) & np.isfinite(slopes)
    scale = np.where(known, slopes, 0.0)
    if not fit.has_errors:
        return dict.fromkeys(best, np.nan)
    variances, axes = np.linalg.eigh(np.where(np.isnan(fit.covariance), 0.0, fit.covariance) * np.outer(scale, scale))
    found = dict.fromkeys(best, 0.0)
    for variance, axis in zip(variances, axes.T, strict=True):
        if not variance > 0:
            continue
        ends = [solve(_off_the_line(fit, here, side * np.sqrt(variance) * axis)) for side in (-step, step)]
        width = step * sum(end is not None for end in ends)
        low, high = (best if end is None else end for end in ends)
        for name, (to_line, _) in scales.items():
            rise = to_line(high[name]) - to_line(low[name])
            found[name] += (rise / width) ** 2 if width else np.nan
    return {name: float(np.sqrt(one)) for name, one in found.items()}


def _on_the_line(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """(the free coefficients with positive ones as logarithms and shares as log odds, d of these / d coefficient)."""
    values = np.array([fit.coefficients[name] for name in fit.free])
    real, slopes = values.copy(), np.ones_like(values)
    for kind, to_real, slope in (
        (Kind.POSITIVE, np.log, 1.0 / values),
        (Kind.SHARE, _log_odds, 1.0 / (values * (1.0 - values))),
    ):
        of_kind = _of_kind(fit, kind)
        real[of_kind], slopes[of_kind] = to_real(values[of_kind]), slope[of_kind]
    return real, slopes


def _off_the_line(fit: Fit, here: np.ndarray, move: np.ndarray) -> np.ndarray:
    """The coefficients where the fitted ones have moved by so much."""
    there = here + move
    positive, share = (_of_kind(fit, kind) for kind in (Kind.POSITIVE, Kind.SHARE))
    there[positive] = np.exp(there[positive])
    there[share] = _of_log_odds(there[share])
    return there


def _of_kind(fit: Fit, kind: Kind) -> np.ndarray:
    return np.array([fit.kinds[fit.names.index(name)] is kind for name in fit.free])


def _solved(solve: Solve, rows: np.ndarray, progress: Progress) -> list[Optimum]:
    """The optima of all rows that have one."""
    solved = []
    for i, row in enumerate(rows):
        one = solve(row)
        solved += [] if one is None else [one]
        if progress is not None:
            progress(i + 1, len(rows))
    return solved


def _members(fit: Fit) -> np.ndarray:
    """The fitted coefficients of every member, (n, p)."""
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(fit.ensemble)]
    every = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
    return every[:, [fit.names.index(name) for name in fit.free]]


def _log_odds(p: Any) -> Any:
    return np.log(p) - np.log1p(-p)


def _of_log_odds(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))
