"""Costs in dollars on real devices: training at a share of peak, serving by a roofline, a replica that must fit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from t2jax._io.text import unknown
from t2jax._io.usage import UsageError
from t2jax.costs import (
    Architecture,
    CacheShape,
    Hardware,
    Lifetime,
    Serving,
    Training,
    accelerator,
    list_accelerators,
)
from t2jax.planning._costing import Costing, Limits, Point
from t2jax.planning._spelling import Spelling
from t2jax.quantities import Allocation, Constraint, Quantity

__all__ = ["Money", "kv_cache", "lifetime"]

_MANY = 1e9
"""Samples at which a bill's slope in k has all its digits, however long the prompt."""


@dataclass(frozen=True)
class Money(Costing):
    """Dollars. A model must fit its replica's memory, whether or not anybody asks."""

    life: Lifetime
    usd: float | None
    max_time_per_token: float | None
    cache: str
    """How large the KV cache is taken to be, in words."""

    unit: ClassVar[str] = "usd"
    spends: ClassVar[tuple[str, ...]] = (
        "training_usd",
        "serving_usd",
        "usd",
        "usd_per_solved_task",
        "training_device_hours",
        "time_per_output_token",
        "time_to_first_token",
        "replica_memory",
    )

    @classmethod
    def of(cls, scenario: Mapping[str, Any], *, spelled: Spelling) -> "Money":
        """Raises `UsageError` for what the devices cannot be."""
        # One "month" is the whole life: `queries` counts all of it.
        life = lifetime(
            scenario,
            queries_per_month=scenario["queries"],
            prompt_tokens=scenario["prompt_tokens"] or 0.0,
            output_tokens=scenario["output_tokens"],
            months=1.0,
            share_prompt=not scenario["no_share_prompt"],
            spelled=spelled,
        )
        found = cls(life, scenario["usd"], scenario["max_time_per_token"], kv_cache(scenario))
        if not 0 < found._flops_per_usd < math.inf:
            price, overhead = spelled("usd_per_hour"), spelled("overhead")
            raise UsageError(f"what a FLOP costs goes beyond the numbers there are: check {price} and {overhead}")
        if not math.isfinite(life.serving.memory_available):
            devices = spelled("devices")
            raise UsageError(f"the memory of a replica goes beyond the numbers there are: give fewer {devices}")
        return found

    @property
    def total(self) -> Quantity:
        return self.life.usd

    def budgets(self) -> dict[str, Constraint]:
        serving = self.life.serving
        found = {"memory": serving.replica_memory <= serving.memory_available}
        if self.usd is not None:
            found["usd"] = self.total <= self.usd
        if self.max_time_per_token is not None:
            found["max_time_per_token"] = serving.time_per_output_token <= self.max_time_per_token
        return found

    def within(self, limits: Limits) -> Limits:
        """With the largest model that fits the memory and is as fast as asked: both grow with N."""
        low, high = 1e-3, 1e30
        for _ in range(4):  # each time 512 times closer, so to rounding
            sizes = np.geomspace(low, high, 512)
            fits = np.asarray(_fits(self.life, sizes, self.max_time_per_token or math.inf))
            low, high = np.max(np.where(fits, sizes, low)), np.min(np.where(fits, high, sizes))
        return replace(limits, params=min(limits.params, float(low)))

    def training(self, params: Any, tokens: Any) -> Any:
        return 6.0 * params * tokens / self._flops_per_usd + self._post_training

    def serving(self, params: Any, samples: Any) -> Any:
        return np.asarray(_serving_usd(self.life, params, samples))

    def samples_for(self, params: Any, cost: Any) -> Any:
        """A bill is linear in k."""
        one, many = (self.serving(params, np.full_like(params, k)) for k in (1.0, _MANY))
        return 1.0 + (cost - one) * ((_MANY - 1.0) / (many - one))

    def training_flops_for(self, cost: float) -> float:
        return (cost - self._post_training) * self._flops_per_usd

    @cached_property
    def _flops_per_usd(self) -> float:
        run = float(self.life.training.device_hours(Allocation(1e9, 1e9))) * float(
            np.asarray(self.life.training.usd_per_hour)
        )
        return 6e18 / run if run > 0 else math.inf

    @cached_property
    def _post_training(self) -> float:
        return float(self.life.training.post_training_usd)

    def spending(self, point: Point, solved: float | None) -> dict[str, float | None]:
        where, serving = Allocation(*point), self.life.serving
        usd = float(self.life.usd(where))
        training = float(self.life.training.usd(where))
        return {
            "training_usd": training,
            "serving_usd": usd - training,
            "usd": usd,
            "usd_per_solved_task": usd / (solved * float(self.life.tasks)) if solved else None,
            "training_device_hours": float(self.life.training.device_hours(where)),
            "time_per_output_token": float(serving.time_per_output_token(where)),
            "time_to_first_token": float(serving.time_to_first_token(where)),
            "replica_memory": float(serving.replica_memory(where)),
        }

    def limit_and_used(self, name: str, spent: Mapping[str, Any]) -> tuple[float | None, float | None] | None:
        if name == "memory":
            return float(self.life.serving.memory_available), spent["replica_memory"]
        if name == "max_time_per_token":
            return self.max_time_per_token, spent["time_per_output_token"]
        return None

    def source(self) -> dict[str, Any]:
        device = self.life.training.hardware
        return {"hardware": {"name": device.name, "source": device.source}, "kv_cache": self.cache}

    def fault(self) -> str | None:
        left = math.inf if self.usd is None else self.usd - self._post_training
        return None if left > 0 else "post-training takes all of it"


@eqx.filter_jit
def _serving_usd(life: Lifetime, params: Any, samples: Any) -> Any:
    where = Allocation(params, params, samples)  # whatever the tokens
    return life.serving.usd_per_month(where) * life.months


@eqx.filter_jit
def _fits(life: Lifetime, params: Any, most_seconds: float) -> Any:
    where, serving = Allocation(params, params), life.serving
    fast = serving.time_per_output_token(where) <= most_seconds
    return fast & (serving.replica_memory(where) <= serving.memory_available)


def lifetime(
    devices: Mapping[str, Any],
    *,
    queries_per_month: Any,
    prompt_tokens: Any,
    output_tokens: Any,
    months: Any,
    spelled: Spelling,
    **serving: Any,
) -> Lifetime:
    """Training and serving on the devices of a scenario. Raises `UsageError` for what they cannot be."""
    device = _device(devices["hardware"], spelled)
    if devices["dtype"] not in device.peak_flops:
        known = ", ".join(sorted(device.peak_flops))
        raise UsageError(
            f"{device.name} has no peak in {devices['dtype']!r}, only in {known}: give one with {spelled('dtype')}"
        )
    training = Training(
        device,
        mfu=devices["mfu"],
        usd_per_hour=devices["usd_per_hour"],
        dtype=devices["dtype"],
        overhead=devices["overhead"],
        post_training_usd=devices["post_training_usd"],
    )
    served = Serving(
        device,
        batch=devices["batch"],
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        queries_per_month=queries_per_month,
        usd_per_hour=devices["usd_per_hour"],
        devices=devices["devices"],
        dtype=devices["dtype"],
        bytes_per_param=devices["bytes_per_param"],
        bytes_per_kv=devices["bytes_per_kv"],
        mfu=devices["serving_mfu"],
        mbu=devices["serving_mbu"],
        utilization=devices["utilization"],
        architecture=_architecture(devices),
        **serving,
    )
    return Lifetime(training, served, months)


def _device(hardware: Any, spelled: Spelling) -> Hardware:
    if isinstance(hardware, Hardware):
        return hardware
    try:
        return accelerator(hardware)
    except ValueError:
        known = [one.name for one in list_accelerators()]
        lists = "t2jax list --hardware" if spelled("hardware").startswith("-") else "t2.list_accelerators()"
        raise UsageError(unknown("accelerator", hardware, known, lists)) from None


def _architecture(devices: Mapping[str, Any]) -> Architecture | None:
    """None: as the library assumes."""
    if devices["kv_heads"] is None:
        return None
    return CacheShape(devices["kv_heads"], devices["head_dim"], devices["layers"])


def kv_cache(devices: Mapping[str, Any]) -> str:
    """How large the cache is taken to be, in words."""
    if devices["kv_heads"] is None:
        return "4 query heads per KV head at every size; layers and width follow from N"
    heads = f"{devices['kv_heads']:g} KV heads of {devices['head_dim']:g} numbers"
    if devices["layers"] is None:
        return f"{heads} in layers that follow from N"
    return f"{devices['layers']:g} layers of {heads}"
