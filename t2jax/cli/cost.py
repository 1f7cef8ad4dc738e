"""`t2jax cost`: a model and a demand → a bill, by part. Loads JAX."""

from typing import Any

import t2jax as t2
from t2jax.cli.cost_options import Cost, Devices, assumed
from t2jax.lifetime import LifetimeBill
from t2jax.planning.coefficients import law_or_task
from t2jax.planning.usage import UsageError
from t2jax.report import human

__all__ = ["answer", "cost_text", "lifetime"]


def answer(cost: Cost) -> tuple[dict[str, Any], LifetimeBill]:
    """The bill as `--json` prints it, and the bill. Raises `UsageError` for what cannot be billed."""
    task = None if cost.task is None else law_or_task(cost.task)
    if task is not None and not isinstance(task, t2.T2Accuracy):
        raise UsageError(f"--task {cost.task} does not say how many tasks are solved: give one of kind T2Accuracy")
    try:
        life = lifetime(
            cost,
            queries_per_month=cost.queries_per_month,
            prompt_tokens=cost.prompt_tokens,
            output_tokens=cost.output_tokens,
            months=cost.months,
        )
        bill = life.bill(t2.Allocation(cost.params, cost.tokens, cost.samples), task)
    except ValueError as error:
        raise UsageError(str(error)) from None
    device = life.training.hardware
    said = {
        "inputs": {name: getattr(cost, name) for name in cost.__dataclass_fields__ if name != "json"},
        "hardware": {"name": device.name, "source": device.source},
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
    """Training and serving on the devices that were typed. Raises ValueError for what they cannot be."""
    device = t2.accelerator(options.hardware or "")
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
        **serving,
    )
    return t2.Lifetime(training, served, months)


def cost_text(said: dict[str, Any], bill: LifetimeBill) -> str:
    """The bill as a person reads it, with what it rests on."""
    i = said["inputs"]
    return "\n".join(
        [
            f"{human(i['params'])} parameters, {human(i['tokens'])} tokens, samples per query: {i['samples']:g}, "
            f"on {said['hardware']['name']} at {i['usd_per_hour']:g} USD an hour",
            str(bill),
            *(f"note: {sentence}" for sentence in said["outside_fit"]),
            *assumed(i, said["hardware"]["source"]),
        ]
    )
