"""`plan_batch`: a table of scenarios in, the same table with an answer in every row out.

Rows are grouped by structure, each group is cut into pieces of one size, and each piece is one call of a compiled
program (see `programs`). What differs within a structure, coefficients included, are numbers.
"""

import functools
import os
import textwrap
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from t2jax._io.interchange import arrow_table
from t2jax._io.output import arrow
from t2jax._io.usage import UsageError, printable
from t2jax.optimize import Status
from t2jax.planning._aim import Aim
from t2jax.planning._coefficients import not_identified
from t2jax.planning._field import described, documented
from t2jax.planning._fields import NAMES, NUMBERS, TABLE
from t2jax.planning._figure_table import in_words
from t2jax.planning._figures import figures_at
from t2jax.planning._law_files import ReadFile, read_law_file
from t2jax.planning._objective import objective
from t2jax.planning._programs import ENDS, LANES, NO_CAP, NO_LIMIT, Form, Structure, run, without_sources
from t2jax.planning._reasons import (
    contradiction,
    lacks_demand,
    missed_target,
    out_of_reach,
    serves,
    target_fault,
    too_small,
    without_end,
)
from t2jax.planning._spelling import as_column
from t2jax.planning.tables._header import FIGURES, RESULTS, check_columns
from t2jax.planning.tables._scenarios import Scenarios, checked_defaults, read_scenarios
from t2jax.quantities import Quantity

__all__ = ["RESULTS", "answered", "plan_batch"]


def plan_batch(batch: Any, *, files: bool = True, pass_through: Collection[str] = (), **defaults: Any) -> Any:
    """The optimal allocation of every row of a table of scenarios: t2jax plan, for thousands of rows at once.

    ```python
    import pyarrow as pa

    scenarios = pa.table({"name": ["small", "large"], "total_flops": [1e22, 1e25]})
    plans = t2.plan_batch(scenarios, queries=1e9, output_tokens=500)
    ```

    batch: a pyarrow RecordBatch or Table, a dataframe of pandas or polars, or another table that exports Arrow
        (`__arrow_c_stream__`). Its columns are called as the options of `t2jax plan`, with underscores. Each may be
        absent; null or an empty text means "not given". Numbers may be text such as 1e24 or 70B. Others pass through,
        but for those that look misspelt. They are
        {columns}
    files: may a cell of task or law name a JSON file, of at most 10 MB? False for tables of strangers.
    pass_through: columns that are not read, however they are called.
    defaults: by the same names, for cells that are not given; task and law may be objects. A default gives way in a
        row that asks for something else instead: `law` to a task, `total_flops` to a target, and the reverse.

    Returns what was given, as pyarrow, with the columns
        {results}.
    in_fit_range: is N, D, k within what was fitted on? status is "solved", "infeasible", "unbounded", "not_converged",
    "not_finite" or "bad_input", and the reason of all but the first is in words. What there is none of is null.
    A bad row keeps no other from its answer.

    It is pure: the same rows give the same answers, in float64 whatever JAX is set to, and nothing is kept but compiled
    programs. So other systems can call it on pieces of a table, each piece at least some thousand rows long:

    ```python
    ray.data.read_parquet("scenarios").map_batches(
        t2.plan_batch, batch_format="pyarrow", batch_size=16384, fn_kwargs={"queries": 1e9}
    )
    spark.read.parquet("scenarios").mapInArrow(lambda batches: map(t2.plan_batch, batches), schema)
    ```

    where Spark's schema is that of `plan_batch(first_rows).schema`, in Spark's types.

    Raises TypeError for what is no table or no default, ValueError for a default that is out of range, or a table with
    two columns of one name, with one that is called as a result, or with one that is nearly called as a field.
    """
    pa = arrow()
    if not isinstance(batch, pa.RecordBatch | pa.Table):
        table = arrow_table(batch)
        if table is None:
            raise TypeError(
                f"plan_batch takes a pyarrow RecordBatch or Table, got {type(batch).__name__}: dataframes of pandas or "
                "polars, and other tables that export Arrow (__arrow_c_stream__), are taken, too"
            )
        batch = table
    given = checked_defaults(defaults)
    if isinstance(pass_through, str):
        raise TypeError(f"pass_through must be a list of columns, got {pass_through!r}")
    check_columns(batch.column_names, pass_through)
    return answered(batch, given, {}, files=files, pass_through=pass_through)


if plan_batch.__doc__:  # not with python -OO
    plan_batch.__doc__ = documented(
        plan_batch.__doc__,
        columns=described([one for one in TABLE if one.column], as_column),
        results=textwrap.fill(in_words(RESULTS, fully=True, last=" and "), 112, break_on_hyphens=False),
    )


def answered(
    batch: Any,
    defaults: Mapping[str, Any],
    faults: Mapping[int, str],
    place: Any = None,
    *,
    files: bool = True,
    pass_through: Collection[str] = (),
    read: ReadFile = read_law_file,
) -> Any:
    """As `plan_batch`, after its checks.

    faults: rows that could not be read, with the reason. place: row → where it stands in a file, for reasons. read: the
    bytes of a law's file.
    """
    with jax.enable_x64(True):
        scenarios = read_scenarios(batch.drop_columns(list(pass_through)), defaults, faults, files=files)
        answers = _Answers.of(batch.num_rows)
        for row, reason in scenarios.faults.items():
            answers.refuse([row], reason)
        groups: dict[Structure, list[_Rows]] = {}
        for rows in _sorted(scenarios, answers, read):
            groups.setdefault(rows.structure, []).append(rows)
        # XLA compiles on every core at once.
        solve = functools.partial(_solve, scenarios=scenarios, answers=answers)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(solve, groups.keys(), groups.values()))
    return answers.beside(batch, place)


@dataclass
class _Answers:
    """The result columns, filled in by and by."""

    figures: dict[str, np.ndarray]
    inside: np.ndarray
    status: np.ndarray
    reason: np.ndarray

    @classmethod
    def of(cls, rows: int) -> "_Answers":
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


@dataclass
class _Rows:
    """Rows that plan for one law or task in one form."""

    rows: np.ndarray
    structure: Structure
    coefficients: list[np.ndarray]
    task: Quantity
    given: set[str] = field(default_factory=set)


def _sorted(scenarios: Scenarios, answers: _Answers, read: ReadFile) -> list[_Rows]:
    """Rows that make a problem, by what is given, by law and task. The others are refused, with the reason."""
    size = len(answers.status)
    given = [~np.isnan(scenarios.numbers[name]) for name in NUMBERS]
    keys = [*given, *scenarios.names.values(), scenarios.flags["integer_samples"]]
    readable = np.array([status is None for status in answers.status], bool)
    code = np.zeros(size, np.int64)  # one number for each combination
    for key in keys:
        distinct, ranks = np.unique(key, return_inverse=True)
        _, code = np.unique(code * len(distinct) + ranks, return_inverse=True)
    order = np.flatnonzero(readable)
    order = order[np.argsort(code[order], kind="stable")]
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        if len(rows):
            try:
                found += _problem(rows, scenarios, answers, read)
            except UsageError as error:
                answers.refuse(rows, str(error))
    return found


def _problem(rows: np.ndarray, scenarios: Scenarios, answers: _Answers, read: ReadFile) -> list[_Rows]:
    """The problem of rows with one combination of columns; nothing where there is none. Raises `UsageError`."""
    first = int(rows[0])
    named = {
        name: scenarios.known[name][scenarios.names[name][first]] for name in NAMES if scenarios.names[name][first] >= 0
    }
    given = {name for name in NUMBERS if not np.isnan(scenarios.numbers[name][first])} | set(named)
    if fault := contradiction(given, as_column):
        raise UsageError(fault)
    # One number in place of those of all rows, until they are stacked.
    numbers = {name: 1.0 if name in given else None for name in ("G", "gamma", "unique_tokens")}
    task, law = objective(
        named.get("task"),
        named.get("law"),
        G=numbers["G"],
        gamma=numbers["gamma"],
        unique_tokens=numbers["unique_tokens"],
        spelled=as_column,
        read=read,
    )
    if fault := lacks_demand(given, for_task=Aim.of(task).for_task, spelled=as_column):
        raise UsageError(fault)
    if Aim.of(task).probability and "target" in given:
        target = scenarios.numbers["target"][rows]
        for row in rows[target >= 1].tolist():
            answers.refuse([row], target_fault(float(scenarios.numbers["target"][row]), as_column))
        rows = rows[target < 1]
    if not len(rows):
        return []
    ending = without_end(given, for_task=Aim.of(task).for_task, spelled=as_column)
    ending = ending or not_identified(named.get("law") or named.get("task"), read)
    if ending:
        answers.refuse(rows, ending[1], ending[0])
        return []
    whole = bool(scenarios.flags["integer_samples"][first]) and Aim.of(task).for_task
    form = Form.of(given, serves=serves(given), whole=whole)
    bare = without_sources(task)
    structure, coefficients = Structure.of(bare, form)
    places = {jax.tree_util.keystr(path): i for i, (path, _) in enumerate(jax.tree_util.tree_leaves_with_path(bare))}
    lanes = [np.broadcast_to(one, (len(rows), *one.shape)) for one in coefficients]
    within = "" if law is task else ".law"
    for name, path in (("G", ".G"), ("gamma", ".gamma"), ("unique_tokens", f"{within}.unique_tokens")):
        if name in given:
            lanes[places[path]] = scenarios.numbers[name][rows]
    return [_Rows(rows, structure, lanes, task, given)]


def _solve(structure: Structure, members: list[_Rows], scenarios: Scenarios, answers: _Answers) -> None:
    """Fill in the answers of all rows of one structure."""
    rows = np.concatenate([one.rows for one in members])
    coefficients = [np.concatenate(parts) for parts in zip(*[one.coefficients for one in members], strict=True)]
    numbers = _limits(structure.form, rows, scenarios)
    if not Aim.of(members[0].task).for_task:
        numbers["samples"] = np.ones(len(rows))  # nothing is gained by more, and a budget may leave k free
    pieces = []
    for start in range(0, len(rows), LANES):
        # A short piece is filled up with its first row: no lane takes longer than those that are asked for.
        lanes = np.arange(start, start + LANES)
        lanes[len(rows) - start :] = start
        piece = [one[lanes] for one in coefficients], {name: one[lanes] for name, one in numbers.items()}
        with jax.enable_x64(True):  # a thread has a precision of its own
            pieces.append(run(structure, *piece))
    found = {name: np.concatenate([np.asarray(piece[name]) for piece in pieces])[: len(rows)] for name in pieces[0]}
    with jax.enable_x64(True):
        _record(structure.form, members, rows, numbers, found, scenarios, answers)


def _limits(form: Form, rows: np.ndarray, scenarios: Scenarios) -> dict[str, np.ndarray]:
    """The numbers of a program."""

    def column(name: str, absent: float) -> np.ndarray:
        values = scenarios.numbers[name][rows]
        return np.where(np.isnan(values), absent, values)

    prompt, output = column("prompt_tokens", 0.0), column("output_tokens", 1.0)
    shared = ~scenarios.flags["no_share_prompt"][rows]
    total, train = column("total_flops", NO_LIMIT), column("train_flops", NO_LIMIT)
    return {
        "total": total,
        "train": train if form.serves else np.minimum(train, total),
        "inference": column("inference_flops", NO_LIMIT),
        "target": column("target", 0.5),
        "queries": column("queries", 1.0),
        "shared": np.where(shared, prompt, 0.0),
        "each": np.where(shared, output, prompt + output),
        "params": np.minimum(column("max_params", NO_CAP), NO_CAP),
        "tokens": np.minimum(column("max_tokens", NO_CAP), NO_CAP),
        "samples": np.minimum(column("max_samples", NO_CAP), NO_CAP),
        **{one.name: column(one.name, NO_LIMIT) for one in form.caps},
    }


def _record(
    form: Form,
    members: list[_Rows],
    rows: np.ndarray,
    numbers: Mapping[str, np.ndarray],
    found: Mapping[str, np.ndarray],
    scenarios: Scenarios,
    answers: _Answers,
) -> None:
    aim = Aim.of(members[0].task)
    n, d, k, value = (found[name] for name in ("params", "tokens", "samples", "value"))
    train, serve = found["train"], found["serve"]
    # Training once and inference per token are not of one sum.
    per_token = np.isnan(scenarios.numbers["queries"][rows])
    figures = {
        **figures_at(
            n,
            d,
            k,
            value=value,
            loss=found["loss"],
            balanced_tokens=found["balanced"],
            pass_at_k=aim.pass_at_k(value),
        ),
        "train_flops_used": train,
        "total_flops_used": np.where(per_token, np.nan, train + serve) if form.serves else train,
    }
    if form.serves:
        figures["inference_flops_used"] = serve
    for name, column in figures.items():
        if column is not None:
            answers.figures[name][rows] = column
    for one in members:
        where = [answers.figures[name][one.rows] for name in ("params", "tokens", "samples")]
        answers.inside[one.rows] = True
        for source in one.task.provenances():
            answers.inside[one.rows] &= source.holds(*where)

    answers.status[rows] = "solved"
    for i, end in enumerate(ENDS):
        failed = found["end"] == i
        if end is not Status.solved and failed.any():
            status, reason = Status[end].split(": ", 1)
            answers.refuse(rows[failed], reason, status.replace(" ", "_"))
    if not form.target:
        small = (found["end"] == 0) & (np.minimum(n, d) < 1)
        answers.refuse(rows[small], too_small(None), "infeasible")
        return
    target, best = numbers["target"], found["best"]
    missed = aim.missed(target, best)
    capped = np.any([~np.isnan(scenarios.numbers[f"max_{name}"][rows]) for name in ("params", "tokens", "samples")], 0)
    for i in np.flatnonzero(missed | (found["end"] != 0) | ~(np.minimum(n, d) >= 1)).tolist():
        row, goal = [int(rows[i])], float(target[i])
        if missed[i]:
            status, reason = out_of_reach(goal, float(best[i]), what=aim.at_best, capped=bool(capped[i]))
            answers.refuse(row, reason, status)
        elif answers.status[row[0]] == "infeasible":
            answers.refuse(row, missed_target(goal), "infeasible")
        elif answers.status[row[0]] == "solved":
            answers.refuse(row, too_small(goal), "infeasible")
