"""`t2jax plan --hardware`: a plan in money on real devices, like any other but for what its costs are made of."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

import t2jax as t2
from t2jax._io.usage import UsageError
from t2jax.cli._baseline import Demand, Limits
from t2jax.cli._cost import lifetime
from t2jax.cli._cost_options import kv_cache
from t2jax.cli._options import Plan
from t2jax.cli._plan import Point, Problem
from t2jax.quantities import Constraint, Quantity

__all__ = ["PaidProblem"]


@dataclass(frozen=True)
class _Paid(Demand):
    """What serving costs at the price of training, in training FLOPs: so the baselines need not know of money."""

    life: t2.Lifetime
    flops_per_usd: float

    def inference_flops(self, params: Any, samples: Any) -> Any:
        return self.flops_per_usd * np.asarray(_serving_usd(self.life, params, samples))

    def samples(self, params: Any, flops: Any) -> Any:
        """The k that so much pays for: a bill is linear in k."""
        one, two = (self.inference_flops(params, np.full_like(params, k)) for k in (1.0, 2.0))
        return 1.0 + (flops - one) / (two - one)


@eqx.filter_jit
def _serving_usd(life: t2.Lifetime, params: Any, samples: Any) -> Any:
    where = t2.Allocation(params, params, samples)  # whatever the tokens
    return life.serving.usd_per_month(where) * life.months


@eqx.filter_jit
def _fits(life: t2.Lifetime, params: Any, most_seconds: float) -> Any:
    where, serving = t2.Allocation(params, params), life.serving
    fast = serving.time_per_output_token(where) <= most_seconds
    return fast & (serving.replica_memory(where) <= serving.memory_available)


@dataclass(frozen=True)
class PaidProblem(Problem):
    """With dollars, seconds and bytes in place of FLOPs."""

    life: t2.Lifetime

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
    def of(cls, plan: Plan) -> "PaidProblem":
        problem = Problem.of(plan)
        # One "month" is the whole life: --queries counts all of it.
        life = lifetime(
            plan,
            queries_per_month=plan.queries,
            prompt_tokens=plan.prompt_tokens or 0.0,
            output_tokens=plan.output_tokens,
            months=1.0,
            share_prompt=not plan.no_share_prompt,
        )
        at = t2.Allocation(1e9, 1e9)
        run = float(life.training.device_hours(at)) * float(plan.usd_per_hour or 0.0)
        rate = 6e18 / run if run > 0 else math.inf
        if not 0 < rate < math.inf:
            raise UsageError("what a FLOP costs goes beyond the numbers there are: check --usd-per-hour and --overhead")
        if not math.isfinite(life.serving.memory_available):
            raise UsageError("the memory of a replica goes beyond the numbers there are: give fewer --devices")
        paid = _Paid(**vars(problem.demand), life=life, flops_per_usd=rate)
        problem = replace(problem, demand=paid)
        return cls(*(getattr(problem, field.name) for field in fields(Problem)), life=life)

    @property
    def inputs(self) -> dict[str, Any]:
        said = {
            name: getattr(self.plan, name) for name in self.plan.__dataclass_fields__ if name not in ("json", "plot")
        }
        return {**said, "task": self.task_name, "law": self.law_name}

    @property
    def rests_on(self) -> dict[str, Any]:
        device = self.life.training.hardware
        return {"hardware": {"name": device.name, "source": device.source}, "kv_cache": kv_cache(self.plan)}

    def without_end(self) -> None:
        """--usd pays for all of it, and a target ends it."""

    def cost(self) -> Quantity:
        return self.life.usd

    def budgets(self) -> dict[str, Constraint]:
        """A model must fit its replica, whether or not anybody asks."""
        serving, plan = self.life.serving, self.plan
        found = {"memory": serving.replica_memory <= serving.memory_available}
        if plan.usd is not None:
            found["usd"] = self.cost() <= plan.usd
        if plan.max_time_per_token is not None:
            found["max_time_per_token"] = serving.time_per_output_token <= plan.max_time_per_token
        return found

    @property
    def reach(self) -> Limits:
        """With the largest model that fits the memory and is as fast as asked: both grow with N."""
        low, high = 1e-3, 1e30
        for _ in range(4):  # each time 512 times closer, so to rounding
            sizes = np.geomspace(low, high, 512)
            fits = np.asarray(_fits(self.life, sizes, self.plan.max_time_per_token or math.inf))
            low, high = np.max(np.where(fits, sizes, low)), np.min(np.where(fits, high, sizes))
        return replace(self.limits, total=self._left() * self._rate, params=min(self.limits.params, float(low)))

    @property
    def _rate(self) -> float:
        assert isinstance(self.demand, _Paid)
        return self.demand.flops_per_usd

    def _left(self) -> float:
        """Dollars for the run and for serving."""
        return (self.plan.usd or math.inf) - float(self.life.training.post_training_usd)

    def chinchilla(self) -> Point | str:
        return super().chinchilla() if self._left() > 0 else "post-training takes all of it"

    def spending(self, point: Point, passed: float | None) -> dict[str, float | None]:
        where, serving = t2.Allocation(*point), self.life.serving
        usd = float(self.life.usd(where))
        training = float(self.life.training.usd(where))
        return {
            "training_usd": training,
            "serving_usd": usd - training,
            "usd": usd,
            "usd_per_solved_task": usd / (passed * float(self.life.tasks)) if passed else None,
            "training_device_hours": float(self.life.training.device_hours(where)),
            "time_per_output_token": float(serving.time_per_output_token(where)),
            "time_to_first_token": float(serving.time_to_first_token(where)),
            "replica_memory": float(serving.replica_memory(where)),
        }

    def limit_and_used(self, name: str, optimum: dict[str, Any]) -> tuple[float | None, float | None]:
        if name == "memory":
            return float(self.life.serving.memory_available), optimum["replica_memory"]
        if name == "max_time_per_token":
            return self.plan.max_time_per_token, optimum["time_per_output_token"]
        return super().limit_and_used(name, optimum)
