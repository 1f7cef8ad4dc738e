"""`t2jax cost`: a model and a demand → a bill, by part. Loads JAX."""

import math
from typing import Any

import t2jax as t2
from t2jax._io.text import human, unknown
from t2jax._io.usage import UsageError
from t2jax.cli._cost_options import Cost, Devices, assumed, kv_cache
from t2jax.costs import Architecture, CacheShape, LifetimeBill
from t2jax.planning._coefficients import law_or_task
from t2jax.quantities import Scale

__all__ = ["answer", "cost_text", "lifetime"]


def answer(cost: Cost) -> tuple[dict[str, Any], LifetimeBill]:
    """The bill as `--json` prints it, and the bill. Raises `UsageError` for what cannot be billed."""
    task = None if cost.task is None else law_or_task(cost.task)
    if task is not None and task.scale is not Scale.LOG_ODDS:
        raise UsageError(f"--task {cost.task} does not say how many tasks are solved: give one of kind T2Accuracy")
    life = lifetime(
        cost,
        queries_per_month=cost.queries_per_month,
        prompt_tokens=cost.prompt_tokens,
        output_tokens=cost.output_tokens,
        months=cost.months,
    )
    try:
        bill = life.bill(t2.Allocation(cost.params, cost.tokens, cost.samples), task)
    except ValueError as error:
        cache = (
            "" if cost.kv_heads else f". KV cache: {kv_cache(cost)}; --kv-heads, --head-dim and --layers give its own"
        )
        raise UsageError(f"{error}{cache}") from None
    figures = [*bill, *bill.serving]
    if not all(math.isfinite(one) for one in figures if isinstance(one, float)):
        raise UsageError("the bill goes beyond the largest number there is, 1.8e308: give smaller numbers")
    device = life.training.hardware
    said = {
        "inputs": {name: getattr(cost, name) for name in cost.__dataclass_fields__ if name != "json"},
        "hardware": {"name": device.name, "source": device.source},
        "kv_cache": kv_cache(cost),
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


def lifetime(
    options: Devices, *, queries_per_month: Any, prompt_tokens: Any, output_tokens: Any, months: Any, **serving: Any
) -> t2.Lifetime:
    """Training and serving on the devices that were typed. Raises `UsageError` for what they cannot be."""
    device = _device(str(options.hardware))
    if options.dtype not in device.peak_flops:
        known = ", ".join(sorted(device.peak_flops))
        raise UsageError(f"{device.name} has no peak in {options.dtype!r}, only in {known}: give one with --dtype")
    training = t2.Training(
        device,
        mfu=options.mfu,
        usd_per_hour=options.usd_per_hour,
        dtype=options.dtype,
        overhead=options.overhead,
        post_training_usd=options.post_training_usd,
    )
    served = t2.Serving(
        device,
        batch=options.batch,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        queries_per_month=queries_per_month,
        usd_per_hour=options.usd_per_hour,
        devices=options.devices,
        dtype=options.dtype,
        bytes_per_param=options.bytes_per_param,
        bytes_per_kv=options.bytes_per_kv,
        mfu=options.serving_mfu,
        mbu=options.serving_mbu,
        utilization=options.utilization,
        architecture=_architecture(options),
        **serving,
    )
    return t2.Lifetime(training, served, months)


def _device(name: str) -> t2.Hardware:
    try:
        return t2.accelerator(name)
    except ValueError:
        known = [one.name for one in t2.list_accelerators()]
        raise UsageError(unknown("accelerator", name, known, "t2jax list --hardware")) from None


def _architecture(options: Devices) -> Architecture | None:
    """None: as the library assumes."""
    if options.kv_heads is None:
        return None
    return CacheShape(options.kv_heads, options.head_dim, options.layers)


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
