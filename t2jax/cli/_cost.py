"""`t2jax cost`: a model and a demand → a bill, by part. Loads JAX."""

import math
from typing import Any

import t2jax as t2
from t2jax._io.text import human
from t2jax._io.usage import UsageError
from t2jax.cli._cost_options import Cost
from t2jax.costs import LifetimeBill
from t2jax.planning._coefficients import law_or_task
from t2jax.planning._money import kv_cache, lifetime
from t2jax.planning._report import assumed
from t2jax.planning._spelling import as_option
from t2jax.quantities import Scale

__all__ = ["answer", "cost_text"]


def answer(cost: Cost) -> tuple[dict[str, Any], LifetimeBill]:
    """The bill as `--json` prints it, and the bill. Raises `UsageError` for what cannot be billed."""
    task = None if cost.task is None else law_or_task(cost.task)
    if task is not None and task.scale is not Scale.LOG_ODDS:
        raise UsageError(f"--task {cost.task} does not say how many tasks are solved: give one of kind T2Accuracy")
    devices = vars(cost)
    life = lifetime(
        devices,
        queries_per_month=cost.queries_per_month,
        prompt_tokens=cost.prompt_tokens,
        output_tokens=cost.output_tokens,
        months=cost.months,
        spelled=as_option,
    )
    try:
        bill = life.bill(t2.Allocation(cost.params, cost.tokens, cost.samples), task)
    except ValueError as error:
        cache = (
            ""
            if cost.kv_heads
            else f". KV cache: {kv_cache(devices)}; --kv-heads, --head-dim and --layers give its own"
        )
        raise UsageError(f"{error}{cache}") from None
    figures = [*bill, *bill.serving]
    if not all(math.isfinite(one) for one in figures if isinstance(one, float)):
        raise UsageError("the bill goes beyond the largest number there is, 1.8e308: give smaller numbers")
    device = life.training.hardware
    said = {
        "inputs": {name: getattr(cost, name) for name in cost.__dataclass_fields__ if name != "json"},
        "hardware": {"name": device.name, "source": device.source},
        "kv_cache": kv_cache(devices),
        "training": {
            "device_hours": bill.training_device_hours,
            "usd": bill.training_usd,
            "energy_kwh": bill.training_energy_kwh,
        },
        "serving": {**bill.serving._asdict(), "usd": bill.serving_usd},
        "usd": bill.usd,
        "solved": bill.solved,
        "usd_per_solved_task": bill.usd_per_solved_task,
        "outside_fit": [
            sentence
            for source in (() if task is None else task.provenances())
            for sentence in source.outside(cost.params, cost.tokens, cost.samples)
        ],
    }
    return said, bill


def cost_text(said: dict[str, Any], bill: LifetimeBill) -> str:
    """The bill as a person reads it, with what it rests on."""
    i = said["inputs"]
    return "\n".join(
        [
            f"{human(i['params'])} parameters, {human(i['tokens'])} tokens, samples per query: {i['samples']:g}, "
            f"on {said['hardware']['name']} at {i['usd_per_hour']:g} USD an hour",
            str(bill),
            *(f"note: {sentence}" for sentence in said["outside_fit"]),
            *assumed(said),
        ]
    )
