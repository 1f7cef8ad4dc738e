"""`t2jax frontier`: the optimum along a range, as a table that a person reads, as JSON, or in a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from t2jax._io.output import arrow
from t2jax._io.text import aligned
from t2jax._io.usage import UsageError, refuse_existing
from t2jax.cli._sweep import defaults_of
from t2jax.cli._sweep_options import Frontier, Span
from t2jax.planning._aim import Aim
from t2jax.planning._batch import RESULTS, answered
from t2jax.planning._fields import DEFAULT_TASK, NAMES, field
from t2jax.planning._figure_table import figure
from t2jax.planning._law_files import same_named_file
from t2jax.planning._objective import objective
from t2jax.planning._reasons import lacks_demand
from t2jax.planning._spelling import as_option
from t2jax.planning.tables._files import write_table

__all__ = ["answer", "frontier_text"]

_ALL = 40
"""As many rows are shown; of more about half as many, evenly spread."""


def answer(frontier: Frontier, span: Span) -> dict[str, Any]:
    """What `--json` prints. Raises `UsageError`."""
    out = None if frontier.out is None else Path(frontier.out)
    if out is not None:
        refuse_existing(out)
    fixed = {name: value for name, value in defaults_of(frontier).items() if name != span.name}
    varies = {span.name, *fixed}
    G, gamma, unique_tokens = (1.0 if name in varies else None for name in ("G", "gamma", "unique_tokens"))
    task, _ = objective(frontier.task, frontier.law, G=G, gamma=gamma, unique_tokens=unique_tokens, spelled=as_option)
    if fault := lacks_demand(varies, for_task=Aim.of(task).for_task, spelled=as_option):
        raise UsageError(fault)
    try:
        pa = arrow()
        points = np.geomspace(span.start, span.stop, span.count)
        plans = answered(pa.table({span.name: points}), fixed, {})
        if out is not None:
            write_table([plans], out)
    except ImportError:
        raise UsageError('t2jax frontier needs pyarrow: pip install "t2jax[io]"') from None
    except OSError as error:
        raise UsageError(str(error)) from None
    return {
        "inputs": {
            **{name: getattr(frontier, name) for name in fixed},
            span.name: {"start": span.start, "stop": span.stop, "count": span.count},
            **({} if frontier.law or frontier.task else {"task": DEFAULT_TASK}),
        },
        "varied": span.name,
        "of": Aim.of(task).name,
        "sources": [f"{source.name}: {source.citation}".rstrip(": ") for source in task.provenances()],
        "rows": plans.select([span.name, *RESULTS]).to_pylist(),
        "out": frontier.out,
        "plot": frontier.plot,
    }


def frontier_text(said: dict[str, Any]) -> str:
    """The frontier as a table, and what to know of it."""
    rows, varied = said["rows"], said["varied"]
    solved = [row for row in rows if row["status"] == "solved"]
    shown = solved
    if len(solved) > _ALL:
        shown = [solved[i] for i in np.linspace(0, len(solved) - 1, _ALL // 2).round().astype(int)]
    varies = field(varied)
    of, for_task = said["of"], said["of"] != "loss_nats"
    names = ("params", "tokens", *(["samples"] if for_task else []), "tokens_per_param")
    columns: list[_Column] = [(varies.title, lambda row: varies.written(row[varied])), *map(_column, names)]
    if not for_task:
        columns.append(_column("loss_nats"))
    elif of == "task_loss_nats":
        columns.append(_column(of, "value"))
    elif of != "pass_at_k":
        columns.append((of, lambda row: f"{row['value']:.4g}"))
    if any(row["pass_at_k"] is not None for row in solved):
        columns.append((figure("pass_at_k").symbol, lambda row: f"{100 * row['pass_at_k']:.4g}%"))
    if any(row["inference_flops_used"] is not None and row["total_flops_used"] is not None for row in rows):
        columns.append(("training", lambda row: f"{100 * row['train_flops_used'] / row['total_flops_used']:.3g}%"))
    total, total_written = _column("total_flops_used")
    if varied == "target":
        columns.append((total, total_written))
    elif any(row["total_flops_used"] and abs(row["total_flops_used"] / row[varied] - 1) > 1e-6 for row in solved):
        columns.append((f"{total} used", total_written))
    cells = [[f"{title} " for title, _ in columns]]
    cells += [[f"{written(row)} " for _, written in columns] for row in shown]
    for line, row in zip(cells[1:], shown, strict=True):
        line[1] = line[1].rstrip() + (" " if row["in_fit_range"] else "*")

    lines = [_title(said)]
    if shown:
        lines.append(aligned(cells))
        if not all(row["in_fit_range"] for row in shown):
            lines.append("  *: N, D or k is outside the range that was fitted")
        if len(shown) < len(solved):
            lines.append(f"  {len(shown)} of {len(solved):,} rows; --out and --json give all")
    for status, first, count in _unsolved(rows):
        where = f"{varies.title} {varies.written(first[varied])}"
        begins = f"{count} rows have no solution, for example" if count > 1 else "no solution for"
        lines.append(f"  {begins} {where}: {status.replace('_', ' ')}: {first['reason']}")
    if said["out"] is not None:
        lines.append(f"All {len(rows):,} rows are in {said['out']}")
    if said["plot"] is not None and solved:
        lines.append(f"The picture is in {said['plot']}")
    return "\n".join(lines)


_Column = tuple[str, Callable[[Mapping[str, Any]], str]]
"""What stands above it, and how a row's cell is written."""


def _column(name: str, key: str | None = None) -> _Column:
    """Of a figure of the table. key: where it is in a row, if not by its name."""
    one = figure(name)
    return one.symbol, lambda row: one.written(row[key or name])


def _title(said: dict[str, Any]) -> str:
    inputs = said["inputs"]
    given = [f"{as_option(key)} {_given(key, value)}".rstrip() for key, value in inputs.items()]
    lines = [f"Compute-optimal frontier: {' '.join(given)}"]
    lines += [f"  source  {source}" for source in said["sources"]]
    names = [inputs[name] for name in NAMES if name in inputs]
    return "\n".join([*lines, *(f"  note    {note}" for note in filter(None, map(same_named_file, names)))])


def _given(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"{_short(value['start'])}:{_short(value['stop'])}:{value['count']}"
    return "" if value is True else value if isinstance(value, str) else _short(value)


def _short(value: float) -> str:
    return f"{value:g}".replace("e+0", "e").replace("e+", "e")


def _unsolved(rows: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], int]]:
    found: dict[str, tuple[dict[str, Any], int]] = {}
    for row in rows:
        if row["status"] != "solved":
            first, count = found.get(row["status"], (row, 0))
            found[row["status"]] = first, count + 1
    return [(status, first, count) for status, (first, count) in found.items()]
