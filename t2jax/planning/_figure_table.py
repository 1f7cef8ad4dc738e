"""The table of result figures: a row for each number that a plan has, whoever shows it. Loads no JAX and no NumPy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from t2jax._io.text import fixed, flops, gigabytes, human, milliseconds, percent, times, whole_or_significant

__all__ = ["ALLOCATION", "FIGURES", "FLOPS", "MONEY_FIGURES", "OF_TABLES", "Figure", "figure"]


@dataclass(frozen=True)
class Figure:
    """One number of a result.

    group: "allocation", what is said of every allocation; "flops" and "usd", what it takes, in either unit; "quality",
    what may be planned for and is the `value`. help: what it is, for documentation, empty where the name says it.
    title: beside it in a printed plan. symbol: above it where there is little room. axis: of a picture, with the unit.
    written: how it is printed.
    """

    name: str
    group: Literal["allocation", "flops", "usd", "quality"]
    title: str
    symbol: str = ""
    axis: str = ""
    unit: str = ""
    help: str = ""
    written: Callable[[float], str] = human

    def __post_init__(self) -> None:
        for name in ("symbol", "axis"):
            if not getattr(self, name):
                object.__setattr__(self, name, self.title)


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
        help="D over the tokens for which N is compute-optimal",
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
    Figure("pass_at_k", "allocation", "pass@k", help="exp −loss for a `T2Loss`", written=percent),
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
