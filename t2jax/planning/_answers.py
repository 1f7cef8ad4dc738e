"""The answers of a table, column by column: filled in for the rows of one structure at a time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from t2jax._io.output import arrow
from t2jax._io.usage import printable
from t2jax.optimize import Status
from t2jax.planning._aim import Aim
from t2jax.planning._figures import figures_at
from t2jax.planning._programs import ENDS, Form
from t2jax.planning._reasons import missed_target, out_of_reach, too_small
from t2jax.planning.tables._header import FIGURES
from t2jax.quantities import Provenance

__all__ = ["Answers", "Found"]


@dataclass(frozen=True)
class Found:
    """What a program found for rows of one form, see `run`. numbers: what it was given.

    per_token: is inference that of one token, so that it is not of one sum with training? capped: is N, D or k?
    """

    form: Form
    aim: Aim
    numbers: Mapping[str, np.ndarray]
    columns: Mapping[str, np.ndarray]
    per_token: np.ndarray
    capped: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    @property
    def figures(self) -> dict[str, Any]:
        """The columns of a table of plans; None for one that there is not."""
        value, train, serve = self["value"], self["train"], self["serve"]
        sizes = (self[name] for name in ("params", "tokens", "samples"))
        passed = self.aim.pass_at_k(value)
        said = figures_at(*sizes, value=value, loss=self["loss"], balanced_tokens=self["balanced"], pass_at_k=passed)
        if not self.form.serves:
            return {**said, "train_flops_used": train, "total_flops_used": train}
        total = np.where(self.per_token, np.nan, train + serve)
        return {**said, "train_flops_used": train, "total_flops_used": total, "inference_flops_used": serve}

    @property
    def small(self) -> np.ndarray:
        """Is the model of less than one parameter or token, or of no size at all?"""
        return ~(np.minimum(self["params"], self["tokens"]) >= 1)


@dataclass
class Answers:
    """The result columns, filled in by and by."""

    figures: dict[str, np.ndarray]
    inside: np.ndarray
    status: np.ndarray
    reason: np.ndarray

    @classmethod
    def of(cls, rows: int) -> "Answers":
        empty = np.full(rows, None, object)
        return cls({name: np.full(rows, np.nan) for name in FIGURES}, np.zeros(rows, bool), empty, empty.copy())

    def refuse(self, rows: Any, reason: str, status: str = "bad_input") -> None:
        # Whatever a cell or a file holds, a reason is one line of text.
        self.status[rows], self.reason[rows] = status, printable(reason, 1000)

    def beside(self, batch: Any, place: Callable[[int], str] | None) -> Any:
        pa = arrow()
        unsolved = self.status != "solved"
        if place is not None:
            for row in np.flatnonzero(self.status == "bad_input").tolist():
                self.reason[row] = f"{place(row)}: {self.reason[row]}"
        for name, values in self.figures.items():
            batch = batch.append_column(name, pa.array(values, mask=unsolved | ~np.isfinite(values)))
        batch = batch.append_column("in_fit_range", pa.array(self.inside, mask=unsolved))
        batch = batch.append_column("status", pa.array(self.status, pa.string()))
        return batch.append_column("reason", pa.array(self.reason, pa.string()))

    def record(self, rows: np.ndarray, found: Found) -> None:
        """The figures of these rows and how each ended."""
        for name, column in found.figures.items():
            if column is not None:
                self.figures[name][rows] = column
        self.status[rows] = "solved"
        for i, end in enumerate(ENDS):
            failed = found["end"] == i
            if end is not Status.solved and failed.any():
                status, reason = Status[end].split(": ", 1)
                self.refuse(rows[failed], reason, status.replace(" ", "_"))
        if found.form.target:
            self._record_targets(rows, found)
        else:
            self.refuse(rows[(found["end"] == 0) & found.small], too_small(None), "infeasible")

    def _record_targets(self, rows: np.ndarray, found: Found) -> None:
        """Why targets are not reached: by nothing at all, not within the limits, or by no model that there can be."""
        targets, best = found.numbers["target"], found["best"]
        missed = found.aim.missed(targets, best)
        for i in np.flatnonzero(missed | (found["end"] != 0) | found.small).tolist():
            row, target = [int(rows[i])], float(targets[i])
            if missed[i]:
                capped = bool(found.capped[i])
                status, reason = out_of_reach(target, float(best[i]), what=found.aim.at_best, capped=capped)
                self.refuse(row, reason, status)
            elif self.status[row[0]] == "infeasible":
                self.refuse(row, missed_target(target), "infeasible")
            elif self.status[row[0]] == "solved":
                self.refuse(row, too_small(target), "infeasible")

    def note_ranges(self, rows: np.ndarray, sources: Iterable[Provenance]) -> None:
        """Are these rows within what was fitted on?"""
        sizes = [self.figures[name][rows] for name in ("params", "tokens", "samples")]
        self.inside[rows] = True
        for source in sources:
            self.inside[rows] &= source.holds(*sizes)
