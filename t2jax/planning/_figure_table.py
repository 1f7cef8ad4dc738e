"""The table of result figures: a row for each number that a plan has, whoever shows it. Loads no JAX and no NumPy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from t2jax._io.text import fixed, flops, gigabytes, human, milliseconds, percent, times, whole_or_significant

__all__ = ["ALLOCATION", "FIGURES", "FLOPS", "MONEY_FIGURES", "OF_TABLES", "RESULTS", "Figure", "figure", "in_words"]


@dataclass(frozen=True)
class Figure:
    """One number of a result.

    group: "allocation", what is said of every allocation; "flops" and "usd", what it takes, in either unit; "quality",
    what may be planned for and is the `value`. title: beside it in a printed plan. symbol: above it where there is
    little room. axis: of a picture, with the unit. help: what it is, in brackets behind its name; empty where the name
    says it. meaning: more of that, for documentation of Python. written: how it is printed.
    """

    name: str
    group: Literal["allocation", "flops", "usd", "quality"]
    title: str
    symbol: str = ""
    axis: str = ""
    unit: str = ""
    help: str = ""
    meaning: str = ""
    written: Callable[[float], str] = human

    def __post_init__(self) -> None:
        for name, otherwise in (("symbol", self.title), ("axis", self.title), ("meaning", self.help)):
            object.__setattr__(self, name, getattr(self, name) or otherwise)


FIGURES: tuple[Figure, ...] = (
    Figure("params", "allocation", "parameters N", "N"),
    Figure("tokens", "allocation", "training tokens D", "D", unit="tokens"),
    Figure("samples", "allocation", "samples per query k", "k", written=whole_or_significant),
    Figure("tokens_per_param", "allocation", "tokens per parameter", "D/N", "tokens per parameter D/N"),
    Figure(
        "overtraining_ratio",
        "allocation",
        "over-training D/D*(N)",
        "D/D*(N)",
        meaning="D over the tokens for which N is compute-optimal",
        written=times,
    ),
    Figure(
        "loss_nats",
        "allocation",
        "loss (nats per token)",
        "loss",
        unit="nats per token",
        help="of the loss law",
        written=fixed(4),
    ),
    Figure("pass_at_k", "allocation", "pass@k", meaning="exp −loss for a `T2Loss`", written=percent),
    Figure("value", "allocation", "value", help="of what is planned for", written=fixed(4)),
    Figure(
        "task_loss_nats",
        "quality",
        "task loss −log pass@k",
        "−log pass@k",
        "task loss −log pass@k (nats)",
        unit="nats",
        written=fixed(4),
    ),
    Figure("train_flops", "flops", "training FLOPs", axis="training compute (FLOPs)", unit="FLOPs", written=flops),
    Figure(
        "inference_flops", "flops", "inference FLOPs", axis="inference compute (FLOPs)", unit="FLOPs", written=flops
    ),
    Figure("total_flops", "flops", "total FLOPs", "FLOPs", "compute (FLOPs)", unit="FLOPs", written=flops),
    Figure("training_usd", "usd", "training, USD", unit="USD"),
    Figure("serving_usd", "usd", "serving, USD", unit="USD"),
    Figure("usd", "usd", "total dollars", axis="cost (USD)", unit="USD"),
    Figure("usd_per_solved_task", "usd", "USD per solved task", unit="USD"),
    Figure("training_device_hours", "usd", "device hours of training", unit="hours"),
    Figure("time_per_output_token", "usd", "time per output token", unit="s", help="seconds", written=milliseconds),
    Figure("time_to_first_token", "usd", "time to first token", unit="s", help="seconds", written=milliseconds),
    Figure("replica_memory", "usd", "memory of a replica", unit="bytes", help="bytes", written=gigabytes),
)


def figure(name: str) -> Figure:
    """The row of this name; that of the FLOPs themselves for a column such as train_flops_used. Raises KeyError."""
    plain = name.removesuffix("_used")
    for one in FIGURES:
        if one.name == plain:
            return one
    raise KeyError(name)


def _of(group: str) -> tuple[str, ...]:
    return tuple(one.name for one in FIGURES if one.group == group)


ALLOCATION = _of("allocation")
"""What is said of an allocation; FLOPS and MONEY_FIGURES: what it takes."""
FLOPS = _of("flops")
MONEY_FIGURES = _of("usd")
OF_TABLES = (*ALLOCATION, *(f"{name}_used" for name in FLOPS))
"""The numbers in each row of a table of plans, where the budgets have the plain names."""
RESULTS = (*OF_TABLES, "in_fit_range", "status", "reason")
"""The columns of a table of plans that were not in the table of scenarios."""


def in_words(names: Sequence[str], *, fully: bool = False, last: str = ", ") -> str:
    """'params, loss_nats (of the loss law), a and b (seconds)': names with what they are, in brackets.

    fully: as documentation of Python says it. last: what stands before the last of them.
    """
    parts: list[str] = []
    for help, group in groupby(names, lambda name: _said_of(name, fully)):
        parts += [f"{' and '.join(group)} ({help})"] if help else list(group)  # noqa: B031
    return last.join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def _said_of(name: str, fully: bool) -> str:
    try:
        one = figure(name)
    except KeyError:  # no number: in_fit_range, status, reason
        return ""
    return one.meaning if fully else one.help
