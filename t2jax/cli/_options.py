"""What can be typed: the options of every command, as plain numbers and names, and what is wrong with them.

Loads tyro, which the `cli` extra installs, but not JAX.
"""

import io
import textwrap
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any

import tyro

from t2jax._io.usage import UsageError, meant
from t2jax.cli._arguments import Flag
from t2jax.cli._command import ANSWERED, Command, float64, say, status
from t2jax.cli._cost import Cost
from t2jax.cli._fit_options import Fit
from t2jax.cli._frontier_options import Frontier
from t2jax.cli._plot_options import PlotFile, check_plot
from t2jax.cli._plugins import Plugged
from t2jax.cli._scenario_options import HasFields, typed_in, with_fields
from t2jax.cli._sweep_options import Sweep
from t2jax.cli._terminal import restyled
from t2jax.planning._field import Field
from t2jax.planning._fields import FOR_MONEY, TABLE
from t2jax.planning._figure_table import ALLOCATION, FLOPS, MONEY_FIGURES, in_words
from t2jax.planning._scenario import checked_scenario
from t2jax.planning._spelling import as_option

__all__ = ["COMMANDS", "FOR_MONEY", "Cost", "Fit", "Frontier", "List", "Plan", "Sweep", "parse"]

_EXAMPLE = "t2jax plan --total-flops 1e24 --queries 1e9 --output-tokens 500"


_PLAN_WORDS = {
    "allocations": textwrap.fill(
        f"The optimum and each baseline have {in_words((*ALLOCATION, *FLOPS))}, outside_fit, why_none. With a fitted "
        "file uncertainty has level, method (ensemble, delta), members, solved, and [low, high] of params, tokens, "
        "samples and value. What there is none of is null.",
        104,
    ),
    "money": textwrap.fill(
        f"With --hardware allocations have {in_words(MONEY_FIGURES, last=' and ')} in place of FLOPs, and kv_cache "
        "says how large it is taken to be.",
        110,
    ),
}


class Plan(HasFields, Plugged, Command):
    """How large a model, on how many tokens, sampled how many times per query: the optimum for a budget.

    One budget for everything, the answers of its whole life included:
      t2jax plan --total-flops 1e24 --queries 1e9 --output-tokens 500

    Two budgets, training once and inference per token served, as in the Train-to-Test paper:
      t2jax plan --train-flops 2.56e19 --inference-flops 2e9

    The cheapest way to a target, here 60 % of the problems solved:
      t2jax plan --target 0.6 --queries 1e9 --output-tokens 500

    The classical compute-optimal model of a loss law:
      t2jax plan --law besiroglu2024 --train-flops 5.88e23

    Money on real devices, at a price that you give, instead of FLOPs:
      t2jax plan --hardware h100-sxm --usd-per-hour 2.5 --usd 5M --queries 1e9 --output-tokens 500

    Training costs 6ND FLOPs; Q queries of P prompt and T output tokens cost 2NQ(P + kT).
      Numbers may end in K, M, B or T. Exit status: 0 answered, 1 no solution, 2 bad usage.

    A JSON file of coefficients holds, for example,
      {"kind": "Chinchilla", "E": 1.82, "A": 482, "B": 2085, "alpha": 0.348, "beta": 0.366}
      {"kind": "T2Loss", "law": "besiroglu2024", "G": 1, "gamma": 0.3}
      or is what t2jax fit --out wrote: then the answer has 90 % intervals.

    The object that --json prints has
      version, command, schema, status, reason, inputs (as given), objective (sense, quantity, of, title,
      higher_is_better, kind, sources, unique_tokens, unit, sampled), optimum, baselines (chinchilla, one_sample),
      notes, and prices, a list of (constraint, limit, used, binding, price: d objective / d ln limit), and plot, the
      file of the picture.
      {allocations}
      {money}
    """

    words = _PLAN_WORDS

    plot: PlotFile = None
    """Draw the plan, too: a .png, .pdf or .svg file. Never overwritten."""
    json: Flag = False
    """Print one JSON object, at full precision."""

    @staticmethod
    def rows() -> Sequence[Field]:
        return TABLE

    def run(self, words: Sequence[str]) -> int:
        checked_scenario(typed_in(self), as_option, example=f"; for example\n  {_EXAMPLE}")
        check_plot(self.plot)
        with float64():
            from t2jax.cli._plan import answer

            report = {**answer(self).to_dict(), "plot": self.plot}
        from t2jax.planning._report import plan_text

        say("plan", report, as_json=self.json, text=plan_text if report["reason"] is None else None)
        return status(report)


@dataclass(frozen=True, kw_only=True)
class List(Plugged, Command):
    """The published laws and tasks that plan knows: what they are, where they were fitted and who found them.

    Use one with t2jax plan --task NAME or t2jax plan --law NAME. With --hardware the accelerators that cost knows.
    """

    hardware: Flag = False
    """The accelerators instead: peak FLOP/s, memory, bandwidth, power and source."""

    json: Flag = False
    """Print one JSON array, with coefficients and notes."""

    def run(self, words: Sequence[str]) -> int:
        from t2jax.cli import _listing as listing, _terminal as terminal

        if self.hardware:
            with float64():
                if self.json:
                    terminal.say_json(listing.hardware_rows())
                else:
                    terminal.say(listing.hardware_as_text())
        elif self.json:
            terminal.say_json(listing.rows())
        else:
            terminal.say(listing.as_text())
        return ANSWERED


COMMANDS: dict[str, type[Command]] = {
    "plan": Plan,
    "frontier": Frontier,
    "sweep": Sweep,
    "fit": Fit,
    "cost": Cost,
    "list": List,
}


def parse(argv: list[str]) -> Any:
    """The command that was typed. Raises `UsageError`, or SystemExit as tyro does once help or a fault is printed."""
    for i, word in enumerate(argv):
        if len(word) > _LONGEST_WORD:
            raise UsageError(f"argument {i + 1} has {len(word):,} characters: at most {_LONGEST_WORD:,} are read")
    held = io.StringIO()  # tyro repeats what was typed, whatever it is
    try:
        with redirect_stderr(held):
            return _parsed(argv)
    finally:
        if held.getvalue():
            restyled(held.getvalue(), trusted=all(word.isprintable() for word in argv))


_LONGEST_WORD = 4_096
"""Characters: what a path may have on Linux."""


def _parsed(argv: list[str]) -> Any:
    if argv and argv[0] in COMMANDS:
        return tyro.cli(with_fields(COMMANDS[argv[0]]), prog=f"t2jax {argv[0]}", args=argv[1:])
    names = ", ".join(COMMANDS)
    if not argv:
        raise UsageError(f"no command: give one of {names}; for example\n  {_EXAMPLE}")
    if argv[0] not in ("-h", "--help"):
        near = meant(argv[0], COMMANDS)
        raise UsageError(f"no command is called {argv[0]!r}{near}{'' if near else ': they are ' + names}")
    built = {name: with_fields(command) for name, command in COMMANDS.items()}
    subcommands: list[Any] = [
        Annotated[command, tyro.conf.subcommand(name, description=_in_short(command))]
        for name, command in built.items()
    ]
    commands: Any = reduce(or_, subcommands)  # for help
    return tyro.cli(commands, prog="t2jax", description=_DESCRIPTION, args=argv)


_DESCRIPTION = f"""How to spend compute on a language model, from training run to solved task:
  {_EXAMPLE}

t2jax plan --help shows every option, and so for the others; t2jax --version the version."""


def _in_short(command: type) -> str:
    return (command.__doc__ or "").split("\n")[0]
