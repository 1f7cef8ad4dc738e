"""What `t2jax sweep` and `t2jax frontier` take: the options of a plan, of files, and ranges."""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from t2jax._io.numbers import number
from t2jax._io.usage import UsageError
from t2jax.cli._arguments import Flag, Number, text, whole
from t2jax.cli._plot_options import PlotFile, check_plot
from t2jax.cli._plugins import Plugged
from t2jax.cli._scenario_options import Scenario, check_values, given, typed_in
from t2jax.planning._fields import NUMBERS, field
from t2jax.planning._figure_table import RESULTS
from t2jax.planning._reasons import contradiction
from t2jax.planning._scenario import checked_value
from t2jax.planning._spelling import as_option

__all__ = ["Frontier", "Span", "Sweep", "checked_frontier", "checked_sweep"]

_File = Annotated[str | None, text("FILE"), tyro.conf.arg(help_behavior_hint="")]
_Names = Annotated[tuple[str, ...], tyro.conf.arg(metavar="COLUMN", help_behavior_hint="")]
_MOST_POINTS = 1_000_000
_MOST_ROWS = 10_000_000


_SWEEP_WORDS = {
    "columns": textwrap.fill(
        f"The plans have all columns of the table and {', '.join(RESULTS[:-1])} and {RESULTS[-1]}. A row that cannot "
        "be read gets the status bad_input, and its reason names the line; the others are answered.",
        114,
        subsequent_indent="  ",
    )
}


class Sweep(Scenario, Plugged):
    """Plan for every row of a table of scenarios, in bounded memory; a run that is stopped can be taken up.

    For example, with the demand given once for all rows:
      t2jax sweep scenarios.csv --out plans.parquet --queries 1e9 --output-tokens 500

    The table is a .csv, .tsv, .jsonl, .xlsx or .parquet file, a scenario in each row. Its columns are called as the
      options below, with underscores, such as total_flops or max_params. Each may be absent; an empty cell means "not
      given". Flags are true or false. An option is the default for cells that are not given; it gives way where a row
      asks for something else instead: law for task, target for total_flops.

    Other columns, such as a name, pass through and are listed. One that is nearly called as an option is refused, as
      its cap or budget would be ignored: rename it, or give --pass-through.

    {columns}

    With --resume a finished output is checked: a folder by its sums, a .csv or .tsv by answering its rows again.

    Exit status: 0 answered, bad rows counted; 1 no row has a solution; 2 bad usage; 130 stopped.
    """

    words = _SWEEP_WORDS

    scenarios: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TABLE", help_behavior_hint="")]
    """A .csv, .tsv, .jsonl, .xlsx or .parquet file."""
    out: _File = None
    """Where the plans go: a .csv or .tsv file, or NAME.parquet, a folder of Parquet files. Never overwritten."""
    resume: Flag = False
    """Go on with a run that was stopped, with the same options: to the same bytes as if it had not been."""
    pass_through: tyro.conf.UseAppendAction[_Names] = ()
    """A column that is not read, however it is called; may be given again."""
    no_files: Flag = False
    """Cells of task and law name no JSON files, only what is published: for tables of strangers."""
    batch_size: Number = None
    """Rows at a time (65,536)."""
    json: Flag = False
    """Print the summary as one JSON object."""


class Frontier(Scenario, Plugged):
    """The optimum along a range of budgets, or of anything else: how N, D and k grow.

    One of the numbers is a range, START:STOP:COUNT, in equal ratios:
      t2jax frontier --total-flops 1e20:1e27:200 --queries 1e9 --output-tokens 500
      t2jax frontier --train-flops 1e18:1e26:9 --law besiroglu2024
      t2jax frontier --target 0.1:0.9:9 --queries 1e9 --out frontier.csv

    The object that --json prints has version, command, inputs, varied (the name of what varies) and rows, each with
      what varies and the columns of t2jax sweep.

    Exit status: 0 answered, 1 no solution anywhere, 2 bad usage.
    """

    out: _File = None
    """A .csv, .tsv or .parquet file for every row at full precision. Never overwritten."""
    plot: PlotFile = None
    """Draw N, D, k and what is reached against the range: a .png, .pdf or .svg file. Never overwritten."""
    json: Flag = False
    """Print one JSON object, at full precision."""


@dataclass(frozen=True)
class Span:
    """start … stop in `count` equal ratios, of the option `name`."""

    name: str
    start: float
    stop: float
    count: int


def checked_sweep(sweep: Sweep) -> tuple[Sweep, int]:
    """And its batch size. Raises `UsageError`."""
    check_values(sweep)
    if sweep.out is None:
        raise UsageError("say where the plans go with --out, for example --out plans.parquet")
    if Path(sweep.out).suffix.lower() not in (".parquet", ".csv", ".tsv"):
        raise UsageError(f"--out must end in .parquet, .csv or .tsv, got {sweep.out}")
    size = 65536.0 if sweep.batch_size is None else sweep.batch_size
    return sweep, whole("--batch-size", size, least=1, most=_MOST_ROWS)


def checked_frontier(frontier: Frontier) -> Span:
    """The range. Raises `UsageError`."""
    words = {name: value for name, value in typed_in(frontier).items() if name in NUMBERS and isinstance(value, str)}
    ranges = [name for name, word in words.items() if ":" in word]
    if len(ranges) != 1:
        many = f"{' and '.join(as_option(name) for name in ranges)} are ranges" if ranges else "nothing is a range"
        raise UsageError(f"{many}: give one of the numbers as START:STOP:COUNT, for example --total-flops 1e20:1e27:50")
    span = _span(ranges[0], words[ranges[0]])
    check_values(frontier, but=span.name)
    fault = contradiction(given(frontier), as_option, example="; for example --total-flops 1e20:1e27:50")
    if fault:
        raise UsageError(fault)
    if frontier.out is not None and Path(frontier.out).suffix.lower() not in (".parquet", ".csv", ".tsv"):
        raise UsageError(f"--out must end in .parquet, .csv or .tsv, got {frontier.out}")
    check_plot(frontier.plot)
    return span


def _span(name: str, word: str) -> Span:
    parts = word.split(":")
    option = as_option(name)
    accepted = f"{option} takes START:STOP:COUNT, for example 1e20:1e27:50"
    if len(parts) != 3:
        raise UsageError(f"{accepted}, got {word!r}")
    try:
        start, stop, count = (number(part) for part in parts)
    except ValueError:
        raise UsageError(f"{accepted}, got {word!r}") from None
    for end in (start, stop):
        checked_value(field(name), end, lambda _: f"an end of {option}")
    if min(start, stop) <= 0 or start == stop:
        raise UsageError(f"the ends of {option} must be positive and differ, got {word!r}")
    points = whole(f"COUNT of {option}", count, least=2)
    if points > _MOST_POINTS:
        raise UsageError(f"COUNT of {option} must be at most {_MOST_POINTS:,}, got {points:,}: use t2jax sweep")
    return Span(name, start, stop, points)
