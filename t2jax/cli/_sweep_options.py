"""The options of `t2jax sweep`, and what is wrong with them: those of a plan, and of files."""

import textwrap
from collections.abc import Sequence
from typing import Annotated

import tyro

from t2jax._io.usage import UsageError
from t2jax.cli._arguments import Flag, Number, text, whole
from t2jax.cli._command import ANSWERED, NO_SOLUTION, STOPPED, Command, float64, say
from t2jax.cli._plugins import Plugged
from t2jax.cli._scenario_options import Scenario, check_values
from t2jax.planning._figure_table import RESULTS
from t2jax.planning.tables._files import check_ending

__all__ = ["FileName", "Sweep", "checked_sweep"]

FileName = Annotated[str | None, text("FILE"), tyro.conf.arg(help_behavior_hint="")]
_Names = Annotated[tuple[str, ...], tyro.conf.arg(metavar="COLUMN", help_behavior_hint="")]
_MOST_ROWS = 10_000_000


_SWEEP_WORDS = {
    "columns": textwrap.fill(
        f"The plans have all columns of the table and {', '.join(RESULTS[:-1])} and {RESULTS[-1]}. A row that cannot "
        "be read gets the status bad_input, and its reason names the line; the others are answered.",
        114,
        subsequent_indent="  ",
    )
}


class Sweep(Scenario, Plugged, Command):
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
    out: FileName = None
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

    def run(self, words: Sequence[str]) -> int:
        sweep, batch_size = checked_sweep(self)
        with float64():
            from t2jax.cli._interrupts import in_order
            from t2jax.cli._sweep import Stopped, answer, asides, sweep_text
            from t2jax.cli._terminal import complain

            try:
                with in_order():
                    said = answer(sweep, batch_size, words)
            except Stopped as stopped:
                complain(str(stopped))
                return STOPPED
        for line in asides(sweep, said):
            complain(line)
        say("sweep", said, as_json=sweep.json, text=sweep_text)
        if said["solved"]:
            return ANSWERED
        complain("no row has a solution")
        return NO_SOLUTION


def checked_sweep(sweep: Sweep) -> tuple[Sweep, int]:
    """And its batch size. Raises `UsageError`."""
    check_values(sweep)
    if sweep.out is None:
        raise UsageError("say where the plans go with --out, for example --out plans.parquet")
    check_ending(sweep.out, "--out")
    size = 65536.0 if sweep.batch_size is None else sweep.batch_size
    return sweep, whole("--batch-size", size, least=1, most=_MOST_ROWS)
