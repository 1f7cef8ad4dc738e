"""The bill of a model: what it costs to train and to serve over its life on real devices, by part."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import jax

from t2jax._io.convert import Converted, ResultColumn
from t2jax._io.text import human
from t2jax._io.usage import UsageError
from t2jax._io.version import version
from t2jax.costs import Lifetime, LifetimeBill
from t2jax.fitting._coordinates import in_float64
from t2jax.planning._bill_fields import bill_fields, checked_bill
from t2jax.planning._inputs import as_given, name_of
from t2jax.planning._money import kv_cache, lifetime
from t2jax.planning._objective import looked_up
from t2jax.planning._report import assumed
from t2jax.planning._signature import takes
from t2jax.planning._spelling import Spelling, as_argument
from t2jax.quantities import Allocation, Scale

__all__ = ["SCHEMA", "Bill", "bill", "billed"]

SCHEMA = 1
"""The version of what `Bill.to_dict` gives, which changes when a key changes its meaning or is taken away."""
_AS_ARGUMENT = replace(as_argument, help="help(t2.bill)")


@dataclass(frozen=True)
class Bill(Converted):
    """The answer of `bill`. It prints as `t2jax cost` does.

    inputs: every field, with its default where it was not given. usd: of training and of all months of serving.
    solved: the share of the tasks that the model solves, and usd_per_solved_task, None without a task. life: all parts
    as numbers: device hours, dollars and energy of training, and the serving of a month. notes: what to be careful
    about.
    """

    inputs: dict[str, Any]
    hardware: dict[str, str]
    kv_cache: str
    life: LifetimeBill
    notes: tuple[str, ...]
    spelled: Spelling

    @property
    def usd(self) -> float:
        return self.life.usd

    @property
    def solved(self) -> float | None:
        return self.life.solved

    @property
    def usd_per_solved_task(self) -> float | None:
        return self.life.usd_per_solved_task

    def to_dict(self) -> dict[str, Any]:
        """JSON's types only: what `t2jax cost --json` prints."""
        return {
            "schema": SCHEMA,
            "version": version(),
            "command": "cost",
            "inputs": self.inputs,
            "hardware": self.hardware,
            "kv_cache": self.kv_cache,
            **self._by_part(),
            "outside_fit": list(self.notes),
        }

    def _by_part(self) -> dict[str, Any]:
        life = self.life
        return {
            "training": {
                "device_hours": life.training_device_hours,
                "usd": life.training_usd,
                "energy_kwh": life.training_energy_kwh,
            },
            "serving": {**life.serving._asdict(), "usd": life.serving_usd},
            "usd": life.usd,
            "solved": life.solved,
            "usd_per_solved_task": life.usd_per_solved_task,
        }

    def _columns(self) -> Sequence[ResultColumn]:
        """A row for each figure, with the part of the bill that it is of; serving is that of a month, but for usd."""
        parts = self._by_part()
        rows = [(part, name, value) for part in ("training", "serving") for name, value in parts[part].items()]
        rows += [("all", name, parts[name]) for name in ("usd", "solved", "usd_per_solved_task")]
        names = ("part", "figure", "value")
        return [ResultColumn(name, values) for name, values in zip(names, zip(*rows, strict=True), strict=True)]

    def __str__(self) -> str:
        i = self.inputs
        return "\n".join(
            [
                f"{human(i['params'])} parameters, {human(i['tokens'])} tokens, samples per query: {i['samples']:g}, "
                f"on {self.hardware['name']} at {i['usd_per_hour']:g} USD an hour",
                str(self.life),
                *(f"note: {sentence}" for sentence in self.notes),
                *assumed(self.to_dict(), self.spelled),
            ]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


@takes(bill_fields(), Bill)
def bill(**fields: Any) -> Bill:
    """What a model costs over its life: training and serving on real devices, by part.

    ```python
    bill = t2.bill(params="8B", tokens="15T", hardware="h100-sxm", usd_per_hour=2.5, queries_per_month="100M",
                   prompt_tokens=1000, output_tokens=500, months=24)
    print(bill)
    bill.usd, bill.life.serving.usd_per_million_tokens
    ```

    It is what `t2jax cost` computes, in float64 whatever JAX is set to, and takes the options of that name; numbers may
    be text such as "8B". task and hardware are names, files or objects. Training takes 6ND FLOPs at a part of the
    devices' peak; serving is a roofline: a decode step takes as long as computing or reading weights and KV cache,
    whichever is longer.

    Arguments; params, tokens, hardware, usd_per_hour, queries_per_month and output_tokens are needed:
        {arguments}

    Raises `UsageError` for arguments that make no bill, or a model that does not fit its devices.
    """
    with jax.enable_x64(True):
        return billed(checked_bill(fields, _AS_ARGUMENT, called="a bill"), _AS_ARGUMENT)


def billed(fields: Mapping[str, Any], spelled: Spelling) -> Bill:
    """The bill of checked fields, in float64. Raises `UsageError` for what cannot be billed."""
    task = None if fields["task"] is None else _task(fields["task"], spelled)
    life = lifetime(
        fields,
        queries_per_month=fields["queries_per_month"],
        prompt_tokens=fields["prompt_tokens"],
        output_tokens=fields["output_tokens"],
        months=fields["months"],
        spelled=spelled,
    )
    model = fields["params"], fields["tokens"], fields["samples"]
    figures = _figures(life, Allocation(*model), task, fields, spelled)
    sources = () if task is None else task.provenances()
    device = life.training.hardware
    return Bill(
        inputs={one.name: as_given(one, fields[one.name]) for one in bill_fields()},
        hardware={"name": device.name, "source": device.source},
        kv_cache=kv_cache(fields),
        life=figures,
        notes=tuple(sentence for source in sources for sentence in source.outside(*model)),
        spelled=spelled,
    )


def _task(given: Any, spelled: Spelling) -> Any:
    """The task, which says how many are solved."""
    task = in_float64(looked_up(given))
    if task.scale is not Scale.LOG_ODDS:
        called = spelled.assign("task", name_of(given))
        raise UsageError(f"{called} does not say how many tasks are solved: give one of kind T2Accuracy")
    return task


def _figures(
    life: Lifetime, model: Allocation, task: Any, fields: Mapping[str, Any], spelled: Spelling
) -> LifetimeBill:
    try:
        figures = life.bill(model, task)
    except ValueError as error:
        own = f"{spelled('kv_heads')}, {spelled('head_dim')} and {spelled('layers')}"
        cache = "" if fields["kv_heads"] else f". KV cache: {kv_cache(fields)}; {own} give its own"
        raise UsageError(f"{error}{cache}") from None
    if not all(math.isfinite(one) for one in [*figures, *figures.serving] if isinstance(one, float)):
        raise UsageError("the bill goes beyond the largest number there is, 1.8e308: give smaller numbers")
    return figures
