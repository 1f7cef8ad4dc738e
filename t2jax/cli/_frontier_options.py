"""The options of `t2jax frontier`, and what is wrong with them: those of a plan, one of them a range."""

from collections.abc import Sequence
from typing import Any

from t2jax.cli._arguments import Flag
from t2jax.cli._command import ANSWERED, NO_SOLUTION, Command, float64, say
from t2jax.cli._plot_options import PlotFile, check_plot
from t2jax.cli._plugins import Plugged
from t2jax.cli._scenario_options import Scenario, typed_in
from t2jax.cli._sweep_options import FileName
from t2jax.planning._spelling import as_option
from t2jax.planning._varied import Varied, checked_range
from t2jax.planning.tables._files import check_ending

__all__ = ["Frontier", "checked_frontier"]


class Frontier(Scenario, Plugged, Command):
    """The optimum along a range of budgets, or of anything else: how N, D and k grow.

    One of the numbers is a range, START:STOP:COUNT, in equal ratios:
      t2jax frontier --total-flops 1e20:1e27:200 --queries 1e9 --output-tokens 500
      t2jax frontier --train-flops 1e18:1e26:9 --law besiroglu2024
      t2jax frontier --target 0.1:0.9:9 --queries 1e9 --out frontier.csv

    The object that --json prints has version, command, inputs, varied (the name of what varies) and rows, each with
      what varies and the columns of t2jax sweep.

    Exit status: 0 answered, 1 no solution anywhere, 2 bad usage.
    """

    out: FileName = None
    """A .csv, .tsv or .parquet file for every row at full precision. Never overwritten."""
    plot: PlotFile = None
    """Draw N, D, k and what is reached against the range: a .png, .pdf or .svg file. Never overwritten."""
    json: Flag = False
    """Print one JSON object, at full precision."""

    def run(self, words: Sequence[str]) -> int:
        varied, scenario = checked_frontier(self)
        with float64():
            from t2jax.cli._frontier import answer

            found = answer(self, varied, scenario)
        from t2jax.planning._frontier_report import frontier_text

        said = {**found.to_dict(), "out": self.out, "plot": self.plot}
        say("frontier", said, as_json=self.json, text=frontier_text)
        return ANSWERED if found.ok else NO_SOLUTION


def checked_frontier(frontier: Frontier) -> tuple[Varied, dict[str, Any]]:
    """What varies, and the rest of the scenario. Raises `UsageError`."""
    varied, scenario = checked_range(typed_in(frontier), as_option)
    if frontier.out is not None:
        check_ending(frontier.out, "--out")
    check_plot(frontier.plot)
    return varied, scenario
