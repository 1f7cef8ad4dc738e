"""What can be typed: the options of every command, as plain numbers and names, and what is wrong with them.

Loads tyro, which the `cli` extra installs, but not JAX.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from t2jax.cli.arguments import Flag, Name, Number, check_typed
from t2jax.cli.fit_options import Fit
from t2jax.planning.scenario import NAMES, NUMBERS, as_option, contradiction, number_fault
from t2jax.planning.usage import UsageError

__all__ = ["Fit", "List", "Plan", "checked", "given", "parse"]

_EXAMPLE = "t2jax plan --total-flops 1e24 --queries 1e9 --output-tokens 500"


@dataclass(frozen=True)
class Plan:
    """How large a model, on how many tokens, sampled how many times per query: the optimum for a budget.

    One budget for everything, the answers of its whole life included:
      t2jax plan --total-flops 1e24 --queries 1e9 --output-tokens 500

    Two budgets, training once and inference per token served, as in the Train-to-Test paper:
      t2jax plan --train-flops 2.56e19 --inference-flops 2e9

    The cheapest way to a target, here 60 % of the problems solved:
      t2jax plan --target 0.6 --queries 1e9 --output-tokens 500

    The classical compute-optimal model of a loss law:
      t2jax plan --law besiroglu2024 --train-flops 5.88e23

    Training costs 6ND FLOPs; Q queries of P prompt and T output tokens cost 2NQ(P + kT).
      Numbers may end in K, M, B or T. Exit status: 0 answered, 1 no solution, 2 bad usage.

    A JSON file of coefficients holds, for example,
      {"kind": "Chinchilla", "E": 1.82, "A": 482, "B": 2085, "alpha": 0.348, "beta": 0.366}
      {"kind": "T2Loss", "law": "besiroglu2024", "G": 1, "gamma": 0.3}
      or is what t2jax fit --out wrote: then the answer has 90 % intervals.

    The object that --json prints has
      version, command, status, reason, inputs (as given), objective (sense, quantity, of, kind, sources,
      unique_tokens), optimum, baselines (chinchilla, one_sample), notes, and prices, a list of
      (constraint, limit, used, binding, price: d objective / d ln limit).
      The optimum and each baseline have params, tokens, samples, tokens_per_param, overtraining_ratio,
      loss_nats (of the loss law), pass_at_k, value (of what is planned for), train_flops, inference_flops,
      total_flops, outside_fit, why_none. With a fitted file uncertainty has level, method (ensemble, delta),
      members, solved, and [low, high] of params, tokens, samples and value. What there is none of is null.
    """

    total_flops: Number = None
    """Budget for training and inference together."""
    train_flops: Number = None
    """Budget for training."""
    inference_flops: Number = None
    """Budget for inference: per token served, or for all of --queries where they are given."""
    target: Number = None
    """Instead of a total budget: the pass@k (such as 0.6) or loss to reach at the least FLOPs."""
    queries: Number = None
    """Q, queries answered over the life of the model (1 with --inference-flops)."""
    prompt_tokens: Number = None
    """P, prompt tokens of a query (0)."""
    output_tokens: Number = None
    """T, tokens of one sampled answer (1: then Q counts tokens)."""
    no_share_prompt: Flag = False
    """The k samples of a query do not share its prompt: 2NQk(P + T)."""
    task: Name = None
    """What to be good at, as t2jax list shows, or a JSON file (pythia-gsm8k)."""
    law: Name = None
    """A loss law instead of a task; with --G and --gamma it becomes one."""
    G: Number = None
    """With --law: plan for the task loss L(N, D) + G/k^gamma."""
    gamma: Number = None
    """With --law and --G."""
    unique_tokens: Number = None
    """With --law muennighoff2023, or a file of kind DataConstrained: distinct tokens there are, the rest repeats."""
    max_params: Number = None
    """Largest N, for example what fits the hardware."""
    max_tokens: Number = None
    """Largest D, for example what data there are."""
    max_samples: Number = None
    """Largest k."""
    integer_samples: Flag = False
    """The best whole k."""
    json: Flag = False
    """Print one JSON object, at full precision."""


@dataclass(frozen=True)
class List:
    """The published laws and tasks that plan knows: what they are, where they were fitted and who found them.

    Use one with t2jax plan --task NAME or t2jax plan --law NAME.
    """

    json: Flag = False
    """Print one JSON array, with coefficients and notes."""


def parse(argv: list[str]) -> Plan | Fit | List:
    """The command that was typed. Raises SystemExit as tyro does, and `UsageError` for numbers that are none."""
    for name, command in (("plan", Plan), ("fit", Fit), ("list", List)):
        if argv[:1] == [name]:
            return tyro.cli(command, prog=f"t2jax {name}", args=argv[1:])
    commands: Any = (  # help, or a command that there is not
        Annotated[Plan, tyro.conf.subcommand("plan", description=_in_short(Plan))]
        | Annotated[Fit, tyro.conf.subcommand("fit", description=_in_short(Fit))]
        | Annotated[List, tyro.conf.subcommand("list", description=_in_short(List))]
    )
    return tyro.cli(commands, prog="t2jax", description=_DESCRIPTION, args=argv)


_DESCRIPTION = f"""How to spend compute on a language model, from training run to solved task:
  {_EXAMPLE}

t2jax plan --help and t2jax fit --help show every option, t2jax --version the version."""


def _in_short(command: type) -> str:
    return (command.__doc__ or "").split("\n")[0]


def checked(plan: Plan) -> Plan:
    """The same, if it makes sense before any law is looked at. Raises `UsageError`."""
    for name in NUMBERS:
        value = getattr(plan, name)
        if value is not None:
            check_typed(as_option(name), value)
            _refuse(number_fault(name, value, as_option))
    _refuse(contradiction(given(plan), as_option, example=f"; for example\n  {_EXAMPLE}"))
    return plan


def given(plan: Plan) -> set[str]:
    """The names of the options that say anything."""
    return {name for name in (*NUMBERS, *NAMES) if getattr(plan, name) is not None}


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise UsageError(fault)
