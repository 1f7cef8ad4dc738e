"""The options of `t2jax cost`, and what is wrong with them. Loads tyro, but neither JAX nor NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from t2jax._io.usage import UsageError
from t2jax.cli._arguments import Flag, Name, Number, check_number, check_share, text
from t2jax.planning._scenario import as_option

__all__ = ["DEVICE_NAMES", "Cost", "Devices", "check_devices", "checked_cost"]

Word = Annotated[str | None, text("NAME"), tyro.conf.arg(help_behavior_hint="")]


@dataclass(frozen=True, kw_only=True)
class Devices:
    """What a model is trained and served on, and at what price: the options that `cost` and `plan --hardware` share."""

    hardware: Word = None
    """The device, as t2jax list --hardware shows."""
    usd_per_hour: Number = None
    """The price of one device for an hour; there is no default, as prices change by the week."""
    dtype: str = "bf16"
    """Of the arithmetic: bf16, fp8, int8, where the device has it."""
    mfu: Number = 0.4
    """Of training: the part of peak computing that is reached (0.4)."""
    overhead: Number = 0.0
    """Device hours of failed runs, restarts and trials, relative to the final run's (0)."""
    post_training_usd: Number = 0.0
    """Of the stages after pretraining (0)."""
    batch: Number = 64.0
    """Sequences in flight on a replica (64)."""
    devices: Number = 1.0
    """Devices of a replica (1)."""
    bytes_per_param: Number = 2.0
    """Of the weights in memory (2)."""
    bytes_per_kv: Number = 2.0
    """Of a number in the KV cache (2)."""
    kv_heads: Number = None
    """With --head-dim: KV heads of a layer. Without, a KV head for every 4 query heads is assumed, at every size."""
    head_dim: Number = None
    """With --kv-heads: numbers of a head."""
    layers: Number = None
    """With these: layers that keep keys and values; else they follow from N."""
    serving_mfu: Number = 0.5
    """Of serving: the part of peak computing that is reached (0.5)."""
    serving_mbu: Number = 0.7
    """Of serving: the part of peak bandwidth that is reached (0.7)."""
    utilization: Number = 0.5
    """The part of paid-for time in which replicas work (0.5)."""


DEVICE_NAMES = tuple(Devices.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class Cost(Devices):
    """What a model costs over its life: training and serving on real devices, by part.

    An 8B model of 15T tokens that answers 100M queries a month for two years:
      t2jax cost --params 8B --tokens 15T --hardware h100-sxm --usd-per-hour 2.5
        --queries-per-month 100M --prompt-tokens 1000 --output-tokens 500 --months 24

    Training takes 6ND FLOPs at a part of the devices' peak (--mfu); serving is a roofline: a decode step takes as
      long as computing or reading weights and KV cache, whichever is longer. Numbers may end in K, M, B or T.
      t2jax list --hardware shows the devices. Exit status: 0 answered, 2 bad usage or a model that does not fit.

    The object that --json prints has version, command, inputs, hardware (name, source), kv_cache (what is assumed),
      training (device_hours, usd, energy_kwh), serving (tokens_per_second of a replica, time_to_first_token and
      time_per_output_token in seconds, replica_memory and memory_available in bytes, usd_per_million_tokens, and
      replica_hours, usd_per_month and energy_kwh of a month; usd of all months), usd, solved and usd_per_solved_task,
      and outside_fit, where the task was not fitted. What there is none of is null.
    """

    params: Number = None
    """N, parameters."""
    tokens: Number = None
    """D, tokens it is trained on."""
    samples: Number = 1.0
    """k, samples drawn per query (1)."""
    queries_per_month: Number = None
    """Q, queries answered in a month."""
    prompt_tokens: Number = 0.0
    """P, prompt tokens of a query (0)."""
    output_tokens: Number = None
    """T, tokens of one sampled answer."""
    months: Number = 12.0
    """How long it serves (12)."""
    task: Name = None
    """What it is to solve, as t2jax list shows: for what one solved task costs."""
    json: Flag = False
    """Print one JSON object, at full precision."""


_NEEDED = ("params", "tokens", "hardware", "usd_per_hour", "queries_per_month", "output_tokens")
_MAY_BE_ZERO = ("prompt_tokens", "overhead", "post_training_usd")
_SHARES = ("mfu", "serving_mfu", "serving_mbu", "utilization")


def checked_cost(cost: Cost) -> Cost:
    """The same, if every number is one and nothing is missing. Raises `UsageError`."""
    missing = [as_option(name) for name in _NEEDED if getattr(cost, name) is None]
    if missing:
        raise UsageError(f"cost needs {', '.join(missing)}; t2jax cost --help has an example")
    check_devices(
        cost, ("params", "tokens", "samples", "queries_per_month", "prompt_tokens", "output_tokens", "months")
    )
    return cost


def check_devices(options: Devices, others: Sequence[str] = ()) -> None:
    """Raises `UsageError` where a number of the devices, or of these other options, is none."""
    numbers = [name for name, field in Devices.__dataclass_fields__.items() if field.type is Number]
    for name in (*numbers, *others):
        value = getattr(options, name)
        if name in _SHARES:
            check_share(as_option(name), value)
        elif value is not None:
            check_number(as_option(name), value, zero=name in _MAY_BE_ZERO)
    if (options.kv_heads is None) != (options.head_dim is None):
        raise UsageError("--kv-heads and --head-dim belong together: the KV cache has both in every layer")
    if options.layers is not None and options.kv_heads is None:
        raise UsageError("--layers is of the KV cache: give --kv-heads and --head-dim, too")
