"""What can be typed: the options of every command, as plain numbers and names, and what is wrong with them.

Loads tyro, which the `cli` extra installs, but not JAX.
"""

import io
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any

import tyro

from t2jax._io.usage import UsageError, meant
from t2jax.cli._arguments import Flag, Number, check_typed
from t2jax.cli._cost_options import Cost, Devices, check_devices
from t2jax.cli._fit_options import Fit
from t2jax.cli._plot_options import PlotFile, check_plot
from t2jax.cli._scenario_options import Scenario, check_names, given
from t2jax.cli._sweep_options import Frontier, Sweep
from t2jax.cli._terminal import restyled
from t2jax.planning._scenario import FOR_MONEY, NUMBERS, as_option, contradiction, number_fault

__all__ = ["FOR_MONEY", "Cost", "Fit", "Frontier", "List", "Plan", "Sweep", "checked", "parse"]

_EXAMPLE = "t2jax plan --total-flops 1e24 --queries 1e9 --output-tokens 500"


@dataclass(frozen=True, kw_only=True)
class Plan(Devices, Scenario):
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
      version, command, status, reason, inputs (as given), objective (sense, quantity, of, title,
      higher_is_better, kind, sources, unique_tokens), optimum, baselines (chinchilla, one_sample), notes,
      and prices, a list of (constraint, limit, used, binding, price: d objective / d ln limit), and plot, the
      file of the picture.
      The optimum and each baseline have params, tokens, samples, tokens_per_param, overtraining_ratio,
      loss_nats (of the loss law), pass_at_k, value (of what is planned for), train_flops, inference_flops,
      total_flops, outside_fit, why_none. With a fitted file uncertainty has level, method (ensemble, delta),
      members, solved, and [low, high] of params, tokens, samples and value. What there is none of is null.
      With --hardware allocations have training_usd, serving_usd, usd, usd_per_solved_task, training_device_hours,
      time_per_output_token and time_to_first_token (seconds) and replica_memory (bytes) in place of FLOPs, and
      kv_cache says how large it is taken to be.
    """

    usd: Number = None
    """With --hardware: money for training and for serving --queries. A model must fit its replica's memory."""
    max_time_per_token: Number = None
    """With --hardware: seconds between the tokens of an answer, at most."""
    plot: PlotFile = None
    """Draw the plan, too: a .png, .pdf or .svg file. Never overwritten."""
    json: Flag = False
    """Print one JSON object, at full precision."""


@dataclass(frozen=True)
class List:
    """The published laws and tasks that plan knows: what they are, where they were fitted and who found them.

    Use one with t2jax plan --task NAME or t2jax plan --law NAME. With --hardware the accelerators that cost knows.
    """

    hardware: Flag = False
    """The accelerators instead: peak FLOP/s, memory, bandwidth, power and source."""

    json: Flag = False
    """Print one JSON array, with coefficients and notes."""


_COMMANDS: dict[str, Any] = {"plan": Plan, "frontier": Frontier, "sweep": Sweep, "fit": Fit, "cost": Cost, "list": List}


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
    if argv and argv[0] in _COMMANDS:
        return tyro.cli(_COMMANDS[argv[0]], prog=f"t2jax {argv[0]}", args=argv[1:])
    names = ", ".join(_COMMANDS)
    if not argv:
        raise UsageError(f"no command: give one of {names}; for example\n  {_EXAMPLE}")
    if argv[0] not in ("-h", "--help"):
        near = meant(argv[0], _COMMANDS)
        raise UsageError(f"no command is called {argv[0]!r}{near}{'' if near else ': they are ' + names}")
    subcommands: list[Any] = [
        Annotated[command, tyro.conf.subcommand(name, description=_in_short(command))]
        for name, command in _COMMANDS.items()
    ]
    commands: Any = reduce(or_, subcommands)  # for help
    return tyro.cli(commands, prog="t2jax", description=_DESCRIPTION, args=argv)


_DESCRIPTION = f"""How to spend compute on a language model, from training run to solved task:
  {_EXAMPLE}

t2jax plan --help shows every option, and so for the others; t2jax --version the version."""


def _in_short(command: type) -> str:
    return (command.__doc__ or "").split("\n")[0]


def checked(plan: Plan) -> Plan:
    """The same, if it makes sense before any law is looked at. Raises `UsageError`."""
    check_names(plan)
    for name in NUMBERS:
        value = getattr(plan, name)
        if value is not None:
            check_typed(as_option(name), value)
            _refuse(number_fault(name, value, as_option))
    check_plot(plan.plot)
    if plan.hardware is not None:
        _check_money(plan)
        return plan
    for name in FOR_MONEY:
        if getattr(plan, name) != Plan.__dataclass_fields__[name].default:
            raise UsageError(f"{as_option(name)} is for a plan in money: give --hardware, too")
    _refuse(contradiction(given(plan), as_option, example=f"; for example\n  {_EXAMPLE}"))
    return plan


def _check_money(plan: Plan) -> None:
    missing = [n for n in ("usd_per_hour", "queries", "output_tokens") if getattr(plan, n) is None]
    if missing:
        raise UsageError(f"--hardware needs {', '.join(map(as_option, missing))}; t2jax plan --help has an example")
    if (plan.usd is None) == (plan.target is None):
        raise UsageError(
            "--hardware plans for the best that --usd buys or for the least dollars of a --target: give one"
        )
    check_devices(plan, [name for name in ("usd", "max_time_per_token") if getattr(plan, name) is not None])
    others = [n for n in ("total_flops", "train_flops", "inference_flops") if getattr(plan, n) is not None]
    if others:
        raise UsageError(f"--hardware counts in dollars: leave out {' and '.join(map(as_option, others))}")
    paid = set() if plan.usd is None else {"total_flops"}  # --usd is the budget that the rules ask for
    _refuse(contradiction(given(plan) | paid, as_option))


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise UsageError(fault)
