"""`plan_batch`: a table of scenarios in, the same table with an answer in every row out.

Rows are grouped by structure, each group is cut into pieces of one size, and each piece is one call of a compiled
program (see `programs`). What differs within a structure, coefficients included, are numbers.
"""

import functools
import os
import textwrap
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from t2jax._io.interchange import arrow_table
from t2jax._io.output import arrow
from t2jax.planning._aim import Aim
from t2jax.planning._answers import Answers, Found
from t2jax.planning._field import described, documented
from t2jax.planning._fields import TABLE
from t2jax.planning._figure_table import in_words
from t2jax.planning._groups import Rows, grouped
from t2jax.planning._law_files import ReadFile, read_law_file
from t2jax.planning._programs import LANES, NO_CAP, NO_LIMIT, Form, Structure, run
from t2jax.planning._spelling import as_column
from t2jax.planning.tables._header import RESULTS, check_columns
from t2jax.planning.tables._scenarios import Scenarios, checked_defaults, read_scenarios

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
        answers = Answers.of(batch.num_rows)
        for row, reason in scenarios.faults.items():
            answers.refuse([row], reason)
        groups: dict[Structure, list[Rows]] = {}
        for rows in grouped(scenarios, answers, read):
            groups.setdefault(rows.structure, []).append(rows)
        # XLA compiles on every core at once.
        solve = functools.partial(_solve, scenarios=scenarios, answers=answers)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(solve, groups.keys(), groups.values()))
    return answers.beside(batch, place)


def _solve(structure: Structure, members: list[Rows], scenarios: Scenarios, answers: Answers) -> None:
    """Fill in the answers of all rows of one structure."""
    rows = np.concatenate([one.rows for one in members])
    coefficients = [np.concatenate(parts) for parts in zip(*[one.coefficients for one in members], strict=True)]
    numbers = _limits(structure.form, rows, scenarios)
    if not Aim.of(members[0].task).sampled:
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
    given = scenarios.numbers
    answer = Found(
        structure.form,
        Aim.of(members[0].task),
        numbers,
        found,
        per_token=np.isnan(given["queries"][rows]),
        capped=np.any([~np.isnan(given[f"max_{name}"][rows]) for name in ("params", "tokens", "samples")], 0),
    )
    with jax.enable_x64(True):
        answers.record(rows, answer)
        for one in members:
            answers.note_ranges(one.rows, one.task.provenances())


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
