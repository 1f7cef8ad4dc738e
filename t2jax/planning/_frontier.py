"""A frontier: the optimum along the values of one field, row by row as `plan_batch` has them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax

from t2jax._io.convert import Converted, ResultColumn
from t2jax._io.display import Displayed, Grid
from t2jax._io.output import arrow
from t2jax._io.usage import UsageError, refuse_existing
from t2jax._io.version import version
from t2jax.optimize import NoSolutionError
from t2jax.planning._aim import Aim
from t2jax.planning._batch import answered
from t2jax.planning._fields import DEFAULT_TASK, FLAGS, NAMES, NUMBERS, TABLE, field
from t2jax.planning._figure_table import OF_TABLES, RESULTS, figure
from t2jax.planning._frontier_report import frontier_parts, same_named_files, solved_rows, unsolved
from t2jax.planning._inputs import as_given
from t2jax.planning._objective import objective
from t2jax.planning._reasons import lacks_demand
from t2jax.planning._scenario import fields_set
from t2jax.planning._signature import takes
from t2jax.planning._spelling import Spelling, as_argument
from t2jax.planning._varied import Varied, checked_range
from t2jax.planning.tables._files import check_ending, write_table

__all__ = ["SCHEMA", "Frontier", "along", "frontier"]

SCHEMA = 1
"""The version of what `Frontier.to_dict` gives, which changes when a key changes its meaning or is taken away."""


@dataclass(frozen=True, eq=False)
class Frontier(Displayed, Converted):
    """The answer of `frontier`. It prints as the command line does.

    inputs: the fields of the scenario that say anything. varied: the name of the one that varies. of: what is planned
    for; sampled: does that depend on k? sources: whose coefficients say so. rows: for each value of what varies, that
    and the columns that `plan_batch` adds; table: the same as a pyarrow Table. notes: what to be careful about, and why
    rows have no solution.
    """

    inputs: dict[str, Any]
    varied: str
    of: str
    sampled: bool
    sources: tuple[str, ...]
    table: Any
    spelled: Spelling

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        return self.table.to_pylist()

    @property
    def ok(self) -> bool:
        """Has any row a solution?"""
        return bool(solved_rows(self.rows))

    @property
    def notes(self) -> tuple[str, ...]:
        outside = sum(not row["in_fit_range"] for row in solved_rows(self.rows))
        many = f"{outside:,} row{'' if outside == 1 else 's'}"
        fitted = [f"N, D or k is outside the range that was fitted in {many}"] if outside else []
        return (*same_named_files(self.inputs), *fitted, *unsolved(self.rows, self.varied))

    def to_dict(self) -> dict[str, Any]:
        """JSON's types only: what `t2jax frontier --json` prints."""
        return {
            "schema": SCHEMA,
            "version": version(),
            "command": "frontier",
            "inputs": self.inputs,
            "varied": self.varied,
            "of": self.of,
            "sampled": self.sampled,
            "sources": list(self.sources),
            "rows": self.rows,
            "out": None,
            "plot": None,
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write every row at full precision, as a .csv, .tsv or .parquet file that does not exist yet.

        Raises `UsageError` where it cannot be written.
        """
        check_ending(os.fspath(path), "the file of a frontier")
        refuse_existing(path)
        try:
            write_table([self.table], Path(path))
        except OSError as error:
            raise UsageError(str(error)) from None

    def plot(self, path_or_ax: Any) -> Any:
        """Draw the frontier. Needs matplotlib.

        path_or_ax: a .png, .pdf or .svg file that does not exist yet, for N, D, k (of a loss law D/N) and what is
        reached, each on axes of its own; or axes of matplotlib, for N, D and k in one. Returns the figure or the axes.
        """
        from t2jax.planning._frontier_picture import draw_frontier

        return draw_frontier(self, path_or_ax)

    _upright = True

    def _columns(self) -> Sequence[ResultColumn]:
        """A row for each value of what varies: every figure that there is, the status, and why there is no solution."""
        columns = {name: self.table.column(name).to_pylist() for name in RESULTS}
        varies = field(self.varied)
        found = [ResultColumn(self.varied, self.table.column(self.varied).to_pylist(), varies.title, varies.written)]
        for name in OF_TABLES:
            if any(value is not None for value in columns[name]):
                one = figure(name)
                found.append(ResultColumn(name, columns[name], one.title, one.written))
        found.append(ResultColumn("in_fit_range", columns["in_fit_range"], "in the fitted range"))
        found.append(ResultColumn("status", columns["status"]))
        return [*found, ResultColumn("reason", columns["reason"])] if any(columns["reason"]) else found

    def _parts(self) -> Sequence[str | Grid]:
        return frontier_parts(self.to_dict(), self.spelled)

    def __repr__(self) -> str:
        return str(self)


@takes([one for one in TABLE if one.column], Frontier)
def frontier(**scenario: Any) -> Frontier:
    """The optimum along a range of budgets, or of anything else: how N, D and k grow.

    ```python
    frontier = t2.frontier(total_flops=np.geomspace(1e20, 1e27, 200), queries=1e9, output_tokens=500)
    print(frontier)
    frontier.to_pandas().plot("total_flops", "params", loglog=True)
    ```

    One of the numbers is a range: a sequence, or text such as "1e20:1e27:200", START:STOP:COUNT in equal ratios. It is
    what `t2jax frontier` computes, in float64 whatever JAX is set to, and takes the options of that name; numbers may
    be text such as "7B". task and law are names, files or objects. Rows are solved together, as `plan_batch` does.

    Arguments, all of them optional:
        {arguments}

    Raises `UsageError` for arguments that make no problem, `NoSolutionError` where no row has a solution, and
    ImportError without pyarrow.
    """
    varied, checked = checked_range(scenario, as_argument)
    with jax.enable_x64(True):
        found = along(varied, checked, as_argument)
    if not found.ok:
        first = found.rows[0]
        raise NoSolutionError(f"{first['status']}: {first['reason']}", None)
    return found


def along(varied: Varied, scenario: Mapping[str, Any], spelled: Spelling) -> Frontier:
    """The frontier of a scenario, in float64. Raises `UsageError` where the fields make no problem."""
    fixed = {name: scenario[name] for name in (*NUMBERS, *NAMES) if scenario.get(name) is not None}
    fixed |= {name: True for name in FLAGS if scenario[name]}
    task = _task(varied, fixed, spelled)
    try:
        pa = arrow()
    except ImportError:
        raise ImportError('a frontier needs pyarrow: pip install "t2jax[io]"') from None
    plans = answered(pa.table({varied.name: varied.points}), fixed, {})
    inputs = {name: as_given(field(name), value) for name, value in fixed.items()} | {varied.name: varied.to_json()}
    if not {"law", "task"} & set(fixed):
        inputs["task"] = DEFAULT_TASK
    sources = tuple(f"{source.name}: {source.citation}".rstrip(": ") for source in task.provenances())
    aim, rows = Aim.of(task), plans.select([varied.name, *RESULTS])
    return Frontier(inputs, varied.name, aim.name, aim.sampled, sources, rows, spelled)


def _task(varied: Varied, fixed: Mapping[str, Any], spelled: Spelling) -> Any:
    """What is planned for: one number stands for those of all rows. Raises `UsageError` where demand is lacking."""
    given = {varied.name, *fields_set(fixed)}
    numbers: dict[str, Any] = {name: 1.0 if name in given else None for name in ("G", "gamma", "unique_tokens")}
    task, _ = objective(fixed.get("task"), fixed.get("law"), **numbers, spelled=spelled)
    if fault := lacks_demand(given, sampled=Aim.of(task).sampled, spelled=spelled):
        raise UsageError(fault)
    return task
