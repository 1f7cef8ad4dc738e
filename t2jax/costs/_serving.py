"""Serving a model on real devices as a roofline: speed, latency, memory, money and energy, each a quantity.

A device computes F·mfu FLOP/s and reads BW·mbu bytes/s. Processing a prompt takes computing, writing an answer token by
token takes reading: the weights once for a whole batch, and each sequence's KV cache.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._io.text import aligned, human
from t2jax._numerics.logs import log_sum
from t2jax.costs._architecture import Architecture, as_architecture
from t2jax.costs._hardware import Hardware
from t2jax.quantities import Curvature, PowerTerm, Quantity, is_traced, log_of_sum

__all__ = ["Bill", "Serving", "ServingQuantity"]


class Serving(eqx.Module):
    """Replicas of a model that answer queries: what `minimize` may bound or minimise of them, as quantities.

    ```python
    serve = t2.Serving(t2.accelerator("h100-sxm"), batch=64, prompt_tokens=1000, output_tokens=500, mfu=0.5, mbu=0.7,
                       queries_per_month=1e8, usd_per_hour=2.5)  # a price of the user's, per device
    t2.minimize(law, [train <= 1e23, serve.time_per_output_token <= 0.05, serve.usd_per_month <= 1e5,
                      serve.replica_memory <= serve.memory_available])
    ```

    One decode step of a replica gives each of b sequences a token. With c = P + T/2 tokens of context on average, h
    attention width times layers and s = c·w_kv·2h/g bytes of cache a sequence, it takes

        computing  b·(2N + 4·c·h) / (n·η·F·mfu)    and reading  (w·N + b·s) / (n·η·BW·mbu),

    seconds, which overlap: the step takes (computing^p + reading^p)^(1/p). p = ∞ is the roofline's maximum, perfect
    overlap; p = 1 is the sum, none. The usual p = 32 is at most 2.2 % above the maximum, where both are equal, and the
    maximum to four digits where one is a quarter longer. It has no corner: an optimum may lie right in one, where
    Newton's method finds no slope of zero, and with p = ∞ such a problem ends as "not converged".

    hardware: of one device, `accelerator(name)` or `Hardware(...)`. batch: b > 0, sequences in flight on a replica;
        None makes it a coordinate of the decision, then any module of positive numbers with `params`, `batch` and what
        else is used, given to `minimize` as `start=`; k is 1 where it has no `samples`. prompt_tokens: P ≥ 0.
    output_tokens: T > 0, per sample; a query takes k samples. queries_per_month: needed for what is per month.
    usd_per_hour: of one device, for money, and of no default: prices change by the week.
    devices: n > 0 per replica. tensor_parallel_efficiency: η in (0, 1], of n devices' computing and reading.
    dtype: of the arithmetic, a key of `hardware.peak_flops`. bytes_per_param: w. bytes_per_kv: w_kv. Weights of 4 bits
        that are computed in bf16 are dtype "bf16" and 0.5 bytes.
    architecture: h and g from N, `ShapeLaw()` or a `FixedShape`. mfu, mbu: in (0, 1], the part of peak computing and of
        peak bandwidth that is reached; 1 is the roof itself, which no server reaches.
    memory_fraction: in (0, 1], of the devices' memory for weights and cache; vLLM's usual 0.9. utilization: in (0, 1],
        the part of paid-for time that works. share_prompt: do k samples of a query share its prompt's processing?
        Caches are counted per sequence in any case. overlap_order: p ≥ 1.

    Dense models: of a mixture of experts the weights in memory and those that compute are not one N. Queueing,
    networks and speculative decoding are left out. Raises ValueError and TypeError for numbers that are none of these.
    """

    hardware: Hardware
    batch: Float[Array, "..."] | None
    prompt_tokens: Float[Array, "..."]
    output_tokens: Float[Array, "..."]
    queries_per_month: Float[Array, "..."] | None
    usd_per_hour: Float[Array, "..."] | None
    devices: Float[Array, "..."]
    bytes_per_param: Float[Array, "..."]
    bytes_per_kv: Float[Array, "..."]
    architecture: Architecture
    mfu: Float[Array, "..."]
    mbu: Float[Array, "..."]
    tensor_parallel_efficiency: Float[Array, "..."]
    memory_fraction: Float[Array, "..."]
    utilization: Float[Array, "..."]
    dtype: str = eqx.field(static=True)
    share_prompt: bool = eqx.field(static=True)
    overlap_order: float = eqx.field(static=True)

    def __init__(
        self,
        hardware: Any,
        *,
        output_tokens: Any,
        prompt_tokens: Any = 0.0,
        batch: Any = None,
        queries_per_month: Any = None,
        usd_per_hour: Any = None,
        devices: Any = 1.0,
        dtype: str = "bf16",
        bytes_per_param: Any = 2.0,
        bytes_per_kv: Any = 2.0,
        architecture: Any = None,
        mfu: Any = 1.0,
        mbu: Any = 1.0,
        tensor_parallel_efficiency: Any = 1.0,
        memory_fraction: Any = 0.9,
        utilization: Any = 1.0,
        share_prompt: bool = True,
        overlap_order: float = 32.0,
    ):
        if not isinstance(hardware, Hardware):
            raise TypeError(f"Serving takes a Hardware first, such as t2jax.accelerator('h100-sxm'), got {hardware!r}")
        if not isinstance(share_prompt, bool):
            raise TypeError(f"share_prompt must be True or False, got {share_prompt!r}")
        if isinstance(overlap_order, bool) or not isinstance(overlap_order, int | float) or not overlap_order >= 1:
            raise ValueError(f"overlap_order must be a number of at least 1, or math.inf, got {overlap_order!r}")
        hardware.peak(dtype)
        self.hardware, self.dtype = hardware, dtype
        self.batch = _optional("batch", batch)
        self.prompt_tokens = validate.nonnegative("prompt_tokens", prompt_tokens)
        self.output_tokens = validate.positive("output_tokens", output_tokens)
        self.queries_per_month = _optional("queries_per_month", queries_per_month)
        self.usd_per_hour = _optional("usd_per_hour", usd_per_hour)
        self.devices = validate.positive("devices", devices)
        self.bytes_per_param = validate.positive("bytes_per_param", bytes_per_param)
        self.bytes_per_kv = validate.positive("bytes_per_kv", bytes_per_kv)
        self.architecture = as_architecture(architecture)
        self.mfu, self.mbu = validate.share("mfu", mfu), validate.share("mbu", mbu)
        self.tensor_parallel_efficiency = validate.share("tensor_parallel_efficiency", tensor_parallel_efficiency)
        self.memory_fraction = validate.share("memory_fraction", memory_fraction)
        self.utilization = validate.share("utilization", utilization)
        self.share_prompt, self.overlap_order = share_prompt, float(overlap_order)

    @property
    def memory_available(self) -> Float[Array, "..."]:
        """Bytes of a replica for weights and cache: devices · memory · memory_fraction."""
        return self.devices * self.hardware.memory_bytes * self.memory_fraction

    @property
    def replica_memory(self) -> "ServingQuantity":
        """Bytes that a replica needs: w·N + b·(P + T)·w_kv·2h/g, every sequence at its full length."""
        return ServingQuantity(self, _log_memory, "replica_memory")

    @property
    def time_per_output_token(self) -> "ServingQuantity":
        """Seconds between a sequence's tokens: one decode step."""
        return ServingQuantity(self, _log_step, "time_per_output_token")

    @property
    def time_to_first_token(self) -> "ServingQuantity":
        """Seconds to process a prompt alone: (2N·P + 2P²·h) FLOPs, while the weights are read once. No queueing.

        Its first token comes out of that. A prompt has at least one token, also where P = 0.
        """
        return ServingQuantity(self, _log_first_token, "time_to_first_token")

    @property
    def tokens_per_second(self) -> "ServingQuantity":
        """Output tokens per second of a replica that decodes: b / step.

        A ratio, of which no curvature is declared: where it will do, bound `time_per_output_token` or a cost instead.
        """
        return ServingQuantity(self, _log_speed, "tokens_per_second", Curvature.UNKNOWN)

    @property
    def replica_hours(self) -> "ServingQuantity":
        """Hours that replicas are paid for in a month: Q·(prefill + k·T·step/b) / utilization.

        prefill is computing alone, (2N·P + 2P²·h) FLOPs once per query or once per sample: prompts are processed in
        batches that share the reading of weights.
        """
        _needed("replica_hours", queries_per_month=self.queries_per_month)
        return ServingQuantity(self, _log_hours, "replica_hours")

    @property
    def usd_per_month(self) -> "ServingQuantity":
        """replica_hours · devices · usd_per_hour."""
        _needed("usd_per_month", queries_per_month=self.queries_per_month, usd_per_hour=self.usd_per_hour)
        return ServingQuantity(self, _log_usd, "usd_per_month")

    @property
    def usd_per_million_tokens(self) -> "ServingQuantity":
        """Dollars for a million output tokens of all samples, their prompts' processing included."""
        _needed("usd_per_million_tokens", usd_per_hour=self.usd_per_hour)
        return ServingQuantity(self, _log_usd_per_million, "usd_per_million_tokens")

    @property
    def energy_kwh(self) -> "ServingQuantity":
        """Kilowatt-hours a month of the boards at full power in all paid-for hours: an upper bound, cooling apart."""
        _needed("energy_kwh", queries_per_month=self.queries_per_month)
        if self.hardware.power_watts is None:
            raise ValueError(
                f"energy_kwh needs the power of {self.hardware.name}, which its maker does not publish: "
                "describe it with Hardware(..., power_watts=...)"
            )
        return ServingQuantity(self, _log_energy, "energy_kwh")

    def bill(self, allocation: Any) -> "Bill":
        """All figures at one decision, as numbers. Prints as a table with units.

        Raises ValueError where the model does not fit the replica's memory. Not for traced code or batches: there call
        the quantities, and constrain `replica_memory <= memory_available`.
        """
        needed, room = self.replica_memory(allocation), self.memory_available
        if is_traced(needed) or needed.ndim:
            raise TypeError("a bill is for one decision outside jit and vmap: call the quantities instead")
        if float(needed) > float(room):
            times = float(needed) / float(room / self.devices)
            more = f"at least {math.ceil(times)} devices" if math.isfinite(times) else "many more devices"
            weights = float(allocation.params * self.bytes_per_param)
            cache = max(float(needed) - weights, 0.0)
            raise ValueError(
                f"the model does not fit: a replica needs {_gb(needed)} ({_gb(weights)} of weights, "
                f"{_gb(cache)} of KV cache) and has {_gb(room)} on {float(self.devices):g} x "
                f"{self.hardware.name}: use {more}, a smaller batch or fewer bytes per number"
            )
        priced, monthly = self.usd_per_hour is not None, self.queries_per_month is not None
        metered = monthly and self.hardware.power_watts is not None
        return Bill(
            tokens_per_second=float(self.tokens_per_second(allocation)),
            time_to_first_token=float(self.time_to_first_token(allocation)),
            time_per_output_token=float(self.time_per_output_token(allocation)),
            replica_memory=float(needed),
            memory_available=float(room),
            usd_per_million_tokens=float(self.usd_per_million_tokens(allocation)) if priced else None,
            replica_hours=float(self.replica_hours(allocation)) if monthly else None,
            usd_per_month=float(self.usd_per_month(allocation)) if priced and monthly else None,
            energy_kwh=float(self.energy_kwh(allocation)) if metered else None,
        )


class ServingQuantity(Quantity):
    """One figure of a `Serving`. Sums of power laws, their norms and powers of one are convex in logarithms."""

    serving: Serving
    log_of: Callable[[Serving, Any], Any] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    kind: Curvature = eqx.field(static=True, default=Curvature.CONVEX)

    def score(self, log: Any) -> Float[Array, "..."]:
        needed = ["params"] + (["batch"] if self.serving.batch is None and self.log_of is not _log_first_token else [])
        for coordinate in needed:
            if not hasattr(log, coordinate):
                raise TypeError(
                    f"{self.name}: {type(log).__name__} has no coordinate {coordinate!r}"
                    + (": give Serving a batch, or decide on one with start=" if coordinate == "batch" else "")
                )
        return self.log_of(self.serving, log)

    @property
    def curvature(self) -> Curvature:
        return self.kind

    @property
    def label(self) -> str:
        return self.name


class Bill(NamedTuple):
    """What serving one decision comes to: tokens/s, seconds, bytes, dollars, hours, kWh; None where not asked for."""

    tokens_per_second: float
    time_to_first_token: float
    time_per_output_token: float
    replica_memory: float
    memory_available: float
    usd_per_million_tokens: float | None
    replica_hours: float | None
    usd_per_month: float | None
    energy_kwh: float | None

    def __str__(self) -> str:
        rows = [
            ["tokens per second of a replica", human(self.tokens_per_second)],
            ["time to first token", f"{human(1e3 * self.time_to_first_token)} ms"],
            ["time per output token", f"{human(1e3 * self.time_per_output_token)} ms"],
            ["memory of a replica", f"{_gb(self.replica_memory)} of {_gb(self.memory_available)}"],
        ]
        optional = (
            ("per million output tokens", self.usd_per_million_tokens, "USD"),
            ("replica hours a month", self.replica_hours, "h"),
            ("per month", self.usd_per_month, "USD"),
            ("energy a month", self.energy_kwh, "kWh"),
        )
        rows += [[name, f"{human(value)} {unit}"] for name, value, unit in optional if value is not None]
        return aligned(rows)


# The logarithm of each figure, where the decision has the logarithms `log`.


def _log_compute_rate(s: Serving) -> Array:
    """FLOP/s of a replica."""
    return jnp.log(s.devices * s.tensor_parallel_efficiency * s.mfu) + jnp.log(s.hardware.peak(s.dtype))


def _log_read_rate(s: Serving) -> Array:
    """Bytes per second of a replica."""
    return jnp.log(s.devices * s.tensor_parallel_efficiency * s.mbu) + jnp.log(s.hardware.bandwidth)


def _log_batch(s: Serving, log: Any) -> Array:
    return log.batch if s.batch is None else jnp.log(s.batch)


def _prefill(s: Serving, tokens: Array, log_rate: Array | float) -> tuple[PowerTerm, ...]:
    """2N·P + 2P²·h, for each sequence that is processed."""
    _, h, by_h = s.architecture.width_times_layers()
    two = math.log(2.0) - log_rate
    return PowerTerm(tokens, two, {"params": 1.0}), PowerTerm(tokens * tokens, h + two, by_h)


def _log_memory(s: Serving, log: Any) -> Array:
    return _weights_and_cache(s, s.prompt_tokens + s.output_tokens, log)


def _weights_and_cache(s: Serving, tokens: Array, log: Any) -> Array:
    """w·N + b·tokens·w_kv·2h/g bytes."""
    _, kv, by_kv = s.architecture.kv_numbers()
    cache = PowerTerm(tokens, kv + jnp.log(s.bytes_per_kv), by_kv).log_rest(log) + _log_batch(s, log)
    return log_sum((s.bytes_per_param, log.params), (tokens, cache))


def _overlapped(s: Serving, computing: Array, reading: Array) -> Array:
    """log (computing^p + reading^p)^(1/p)."""
    p = s.overlap_order
    if math.isinf(p):
        return jnp.maximum(computing, reading)
    return jnp.logaddexp(p * computing, p * reading) / p


def _log_step(s: Serving, log: Any) -> Array:
    context = s.prompt_tokens + 0.5 * s.output_tokens
    _, h, by_h = s.architecture.width_times_layers()
    per_token = (PowerTerm(2.0, 0.0, {"params": 1.0}), PowerTerm(4.0 * context, h, by_h))
    computing = _log_batch(s, log) + log_of_sum(per_token, log) - _log_compute_rate(s)
    return _overlapped(s, computing, _weights_and_cache(s, context, log) - _log_read_rate(s))


def _log_first_token(s: Serving, log: Any) -> Array:
    prompt = jnp.maximum(s.prompt_tokens, 1.0)
    computing = log_of_sum(_prefill(s, prompt, _log_compute_rate(s)), log)
    return _overlapped(s, computing, jnp.log(s.bytes_per_param) + log.params - _log_read_rate(s))


def _log_speed(s: Serving, log: Any) -> Array:
    return _log_batch(s, log) - _log_step(s, log)


def _log_query(s: Serving, log: Any) -> Array:
    """Seconds of a replica that one query takes, all its samples included."""
    samples = _log_samples(log)
    once = jnp.zeros_like(samples) if s.share_prompt else samples
    prompt = _prefill(s, s.prompt_tokens, _log_compute_rate(s))
    answers = samples + _log_step(s, log) - _log_batch(s, log)
    return log_sum(*((one.coefficient, one.log_rest(log) + once) for one in prompt), (s.output_tokens, answers))


def _log_samples(log: Any) -> Array:
    """k, or one where the decision has no samples."""
    return log.samples if hasattr(log, "samples") else jnp.zeros_like(log.params)


def _log_hours(s: Serving, log: Any) -> Array:
    return _log_query(s, log) + jnp.log(_given(s.queries_per_month)) - jnp.log(s.utilization) - math.log(3600.0)


def _log_usd_per_replica_hour(s: Serving) -> Array:
    return jnp.log(s.devices) + jnp.log(_given(s.usd_per_hour))


def _log_usd(s: Serving, log: Any) -> Array:
    return _log_hours(s, log) + _log_usd_per_replica_hour(s)


def _log_usd_per_million(s: Serving, log: Any) -> Array:
    per_query = _log_query(s, log) - jnp.log(s.utilization) - math.log(3600.0) + _log_usd_per_replica_hour(s)
    return per_query - jnp.log(s.output_tokens) - _log_samples(log) + math.log(1e6)


def _log_energy(s: Serving, log: Any) -> Array:
    return _log_hours(s, log) + jnp.log(s.devices) + jnp.log(_given(s.hardware.power_watts)) - math.log(1e3)


def _optional(name: str, value: Any) -> Any:
    return None if value is None else validate.positive(name, value)


def _given(value: Any) -> Array:
    """A number that the door has seen to be there."""
    assert value is not None
    return value


def _needed(figure: str, **arguments: Any) -> None:
    for name, value in arguments.items():
        if value is None:
            raise ValueError(f"{figure} needs {name}: give it to Serving")


def _gb(size: Any) -> str:
    return f"{float(size) / 1e9:,.1f} GB"
