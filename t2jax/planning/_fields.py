"""The table of scenario fields: a row for each thing that a scenario may say, and nowhere else is there a list of them.

Options of the command line, columns of tables, arguments in Python, help, titles, keys of JSON and documentation come
from this table. What a field means stands where the problem is built. Loads no JAX and no NumPy.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from t2jax._io.text import flops, significant
from t2jax.planning._field import AT_LEAST_ONE, NONNEGATIVE, SHARE, Field, Kind
from t2jax.planning._figure_table import RESULTS

__all__ = [
    "COLUMNS",
    "DEFAULT_TASK",
    "FLAGS",
    "FOR_MONEY",
    "NAMES",
    "NUMBERS",
    "OTHER_CAPS",
    "TABLE",
    "Names",
    "add_field",
    "field",
]

DEFAULT_TASK = "pythia-gsm8k"


def _at_most(variable: str) -> Callable[[Any], Any]:
    # Found when a plan is made: a table that is read for help loads no JAX.
    return lambda limit: getattr(import_module("t2jax.quantities"), variable) <= limit


TABLE: list[Field] = [
    Field(
        "total_flops",
        "budget",
        "Budget for training and inference together.",
        unit="FLOPs",
        title="FLOPs",
        limit="total FLOPs",
        axis="compute of training and inference (FLOPs)",
        written=flops,
    ),
    Field(
        "train_flops",
        "budget",
        "Budget for training.",
        unit="FLOPs",
        title="training FLOPs",
        axis="training compute (FLOPs)",
        written=flops,
    ),
    Field(
        "inference_flops",
        "budget",
        "Budget for inference: per token served, or for all of {queries} where they are given.",
        unit="FLOPs",
        title="inference FLOPs",
        axis="inference compute (FLOPs)",
        written=flops,
    ),
    Field(
        "target",
        "budget",
        "Instead of a total budget: the pass@k (such as 0.6) or loss to reach at the least FLOPs.",
        written=significant(4),
    ),
    Field(
        "queries",
        "demand",
        "Q, queries answered over the life of the model (1 with {inference_flops}).",
        symbol="Q",
    ),
    Field(
        "prompt_tokens",
        "demand",
        "P, prompt tokens of a query (0).",
        domain=NONNEGATIVE,
        symbol="P",
        unit="tokens",
        title="prompt tokens",
    ),
    Field(
        "output_tokens",
        "demand",
        "T, tokens of one sampled answer (1: then Q counts tokens).",
        symbol="T",
        unit="tokens",
        title="output tokens",
    ),
    Field(
        "no_share_prompt",
        "demand",
        "The k samples of a query do not share its prompt: 2NQk(P + T).",
        Kind.FLAG,
        default=False,
    ),
    Field("task", "objective", f"What to be good at, as t2jax list shows, or a JSON file ({DEFAULT_TASK}).", Kind.LAW),
    Field("law", "objective", "A loss law instead of a task; with {G} and {gamma} it becomes one.", Kind.LAW),
    Field(
        "G",
        "objective",
        "With {law}: plan for the task loss L(N, D) + G/k^gamma.",
        symbol="G",
        written=significant(4),
    ),
    Field("gamma", "objective", "With {law} and {G}.", symbol="gamma", written=significant(4)),
    Field(
        "unique_tokens",
        "objective",
        "With {law} muennighoff2023, or a file of kind DataConstrained: distinct tokens there are, the rest repeats.",
        unit="tokens",
        title="unique tokens",
    ),
    Field(
        "max_params",
        "cap",
        "Largest N, for example what fits the hardware.",
        domain=AT_LEAST_ONE,
        symbol="N",
        title="max N",
        limit="parameters",
        constraint=_at_most("params"),
    ),
    Field(
        "max_tokens",
        "cap",
        "Largest D, for example what data there are.",
        domain=AT_LEAST_ONE,
        symbol="D",
        unit="tokens",
        title="max D",
        limit="training tokens",
        constraint=_at_most("tokens"),
    ),
    Field(
        "max_samples",
        "cap",
        "Largest k.",
        domain=AT_LEAST_ONE,
        symbol="k",
        title="max k",
        limit="samples per query",
        constraint=_at_most("samples"),
    ),
    Field("integer_samples", "cap", "The best whole k.", Kind.FLAG, default=False),
    # What a model is trained and served on, and at what price: no columns of tables yet.
    Field("hardware", "devices", "The device, as t2jax list --hardware shows.", Kind.DEVICE, column=False),
    Field(
        "usd_per_hour",
        "devices",
        "The price of one device for an hour; there is no default, as prices change by the week.",
        unit="USD",
        column=False,
    ),
    Field(
        "dtype",
        "devices",
        "Of the arithmetic: bf16, fp8, int8, where the device has it. (default: bf16)",
        Kind.DTYPE,
        default="bf16",
        column=False,
    ),
    Field(
        "mfu",
        "devices",
        "Of training: the part of peak computing that is reached (0.4).",
        domain=SHARE,
        default=0.4,
        column=False,
    ),
    Field(
        "overhead",
        "devices",
        "Device hours of failed runs, restarts and trials, relative to the final run's (0).",
        domain=NONNEGATIVE,
        default=0.0,
        column=False,
    ),
    Field(
        "post_training_usd",
        "devices",
        "Of the stages after pretraining (0).",
        domain=NONNEGATIVE,
        default=0.0,
        unit="USD",
        column=False,
    ),
    Field("batch", "devices", "Sequences in flight on a replica (64).", default=64.0, column=False),
    Field("devices", "devices", "Devices of a replica (1).", default=1.0, column=False),
    Field("bytes_per_param", "devices", "Of the weights in memory (2).", default=2.0, unit="bytes", column=False),
    Field("bytes_per_kv", "devices", "Of a number in the KV cache (2).", default=2.0, unit="bytes", column=False),
    Field(
        "kv_heads",
        "devices",
        "With {head_dim}: KV heads of a layer. Without, a KV head for every 4 query heads is assumed, at every size.",
        column=False,
    ),
    Field("head_dim", "devices", "With {kv_heads}: numbers of a head.", column=False),
    Field("layers", "devices", "With these: layers that keep keys and values; else they follow from N.", column=False),
    Field(
        "serving_mfu",
        "devices",
        "Of serving: the part of peak computing that is reached (0.5).",
        domain=SHARE,
        default=0.5,
        column=False,
    ),
    Field(
        "serving_mbu",
        "devices",
        "Of serving: the part of peak bandwidth that is reached (0.7).",
        domain=SHARE,
        default=0.7,
        column=False,
    ),
    Field(
        "utilization",
        "devices",
        "The part of paid-for time in which replicas work (0.5).",
        domain=SHARE,
        default=0.5,
        column=False,
    ),
    Field(
        "usd",
        "money",
        "With {hardware}: money for training and for serving {queries}. A model must fit its replica's memory.",
        unit="USD",
        limit="dollars",
        column=False,
    ),
    Field(
        "max_time_per_token",
        "money",
        "With {hardware}: seconds between the tokens of an answer, at most.",
        unit="s",
        limit="seconds per output token",
        column=False,
    ),
]


def field(name: str) -> Field:
    """The row of this name. Raises KeyError."""
    for one in TABLE:
        if one.name == name:
            return one
    raise KeyError(name)


def add_field(new: Field) -> None:
    """One more field, after those of its group: an option, a column, an argument and a key of JSON from now on.

    ```python
    from t2jax.planning import Field, add_field

    run = t2.Training(t2.accelerator("h100-sxm"), mfu=0.4, usd_per_hour=2.5)
    add_field(Field("max_run_usd", "cap", "The dearest training.", unit="USD", constraint=lambda usd: run.usd <= usd))
    t2.plan(train_flops=1e24, law="besiroglu2024", max_run_usd="1M")
    ```

    A cap with a `constraint` limits plans and rows of tables; what another field means, code that builds problems says.
    In a module that is named by --plugin the command line has the option, too. Raises ValueError for a name that there
    is.
    """
    if any(one.name == new.name for one in TABLE) or new.name in RESULTS:
        raise ValueError(f"there is a field or result {new.name} already")
    last = max((i for i, one in enumerate(TABLE) if one.group == new.group), default=len(TABLE) - 1)
    TABLE.insert(last + 1, new)


class Names(Sequence[str]):
    """The names of those rows that are chosen, in the order of the table; of those that were added, too."""

    def __init__(self, chosen: Callable[[Field], bool]) -> None:
        self._chosen = chosen

    def __iter__(self) -> Iterator[str]:
        return (one.name for one in TABLE if self._chosen(one))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: Any) -> Any:
        return tuple(self)[index]

    def __contains__(self, name: object) -> bool:
        return any(one == name for one in self)

    def __repr__(self) -> str:
        return repr(tuple(self))


_OF_N_D_K = ("max_params", "max_tokens", "max_samples")

COLUMNS = Names(lambda one: one.column)
"""What a table may say."""
NUMBERS = Names(lambda one: one.column and one.kind is Kind.NUMBER)
NAMES = Names(lambda one: one.column and one.kind is Kind.LAW)
FLAGS = Names(lambda one: one.column and one.kind is Kind.FLAG)
FOR_MONEY = Names(lambda one: one.group in ("devices", "money"))
"""What only a plan in money has."""
OTHER_CAPS = Names(lambda one: one.constraint is not None and one.name not in _OF_N_D_K)
"""Caps on something else than N, D and k."""
