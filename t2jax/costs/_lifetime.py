"""The bill of a model's whole life: training with what goes wrong on the way, serving, and what one solved task costs.

`Training` says what N and D cost on real devices, `Serving` what answers do; `Lifetime` adds them up. All figures are
quantities, so each may be minimised or bounded.
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._io.text import aligned, human
from t2jax.costs._hardware import Hardware
from t2jax.costs._serving import Bill, Serving
from t2jax.quantities import Curvature, PowerTerm, Quantity, is_traced, log_of_sum

__all__ = ["Lifetime", "LifetimeBill", "PerSolvedTask", "Training", "TrainingQuantity"]


class Training(eqx.Module):
    """Training runs on devices that are paid by the hour, as quantities of N and D.

    ```python
    training = t2.Training(t2.accelerator("h100-sxm"), usd_per_hour=2.5, mfu=0.4, overhead=0.1)  # a price of the user's
    t2.minimize(law, [training.usd <= 5e6, training.device_hours / (24 * 1024) <= 60])  # 60 days on 1,024 devices
    ```

    hardware: of one device, `accelerator(name)` or `Hardware(...)`. mfu: in (0, 1], the part of its peak that the run
        computes with: PaLM 540B reached 0.46 (arXiv:2204.02311, §4.1), Llama 3 405B 0.38 to 0.43 (arXiv:2407.21783,
        table 4). Needed, as 1 is what nobody reaches.
    usd_per_hour: of one device, for `usd`; there is no default, as prices change by the week. An example with its date:
        DeepSeek-V3's report assumes 2 USD for an hour of an H800 (arXiv:2412.19437, table 1, December 2024).
    dtype: of the arithmetic, a key of `hardware.peak_flops`. overhead: ≥ 0, device hours beyond those of the final run,
        relative to them: restarts, failed runs, what was tried before. post_training_usd: ≥ 0, of the stages after
        pretraining, whatever N is. flops_per_param_token: the factor 6.
    Raises ValueError and TypeError for numbers that are none of these.
    """

    hardware: Hardware
    mfu: Float[Array, "..."]
    usd_per_hour: Float[Array, "..."] | None
    overhead: Float[Array, "..."]
    post_training_usd: Float[Array, "..."]
    flops_per_param_token: Float[Array, "..."]
    dtype: str = eqx.field(static=True)

    def __init__(
        self,
        hardware: Any,
        *,
        mfu: Any,
        usd_per_hour: Any = None,
        dtype: str = "bf16",
        overhead: Any = 0.0,
        post_training_usd: Any = 0.0,
        flops_per_param_token: Any = 6.0,
    ):
        if not isinstance(hardware, Hardware):
            raise TypeError(f"Training takes a Hardware first, such as t2jax.accelerator('h100-sxm'), got {hardware!r}")
        hardware.peak(dtype)
        self.hardware, self.dtype = hardware, dtype
        self.mfu = validate.share("mfu", mfu)
        self.usd_per_hour = None if usd_per_hour is None else validate.positive("usd_per_hour", usd_per_hour)
        self.overhead = validate.nonnegative("overhead", overhead)
        self.post_training_usd = validate.nonnegative("post_training_usd", post_training_usd)
        self.flops_per_param_token = validate.positive("flops_per_param_token", flops_per_param_token)

    @property
    def device_hours(self) -> "TrainingQuantity":
        """(1 + overhead)·6ND / (F·mfu) / 3600. Divided by 24 and the number of devices: days of wall-clock time."""
        return TrainingQuantity(self._log_hours(), jnp.zeros_like(self.overhead), "device_hours")

    @property
    def usd(self) -> "TrainingQuantity":
        """device_hours · usd_per_hour + post_training_usd."""
        if self.usd_per_hour is None:
            raise ValueError("usd needs usd_per_hour: give it to Training")
        return TrainingQuantity(self._log_hours() + jnp.log(self.usd_per_hour), self.post_training_usd, "training_usd")

    @property
    def energy_kwh(self) -> "TrainingQuantity":
        """Kilowatt-hours of the boards at full power in all device hours: an upper bound, cooling apart."""
        if self.hardware.power_watts is None:
            raise ValueError(
                f"energy_kwh needs the power of {self.hardware.name}, which its maker does not publish: "
                "describe it with Hardware(..., power_watts=...)"
            )
        per_hour = jnp.log(self.hardware.power_watts) - math.log(1e3)
        return TrainingQuantity(self._log_hours() + per_hour, jnp.zeros_like(self.overhead), "training_energy_kwh")

    def _log_hours(self) -> Array:
        """Of one parameter and token. In logarithms: 6 / 1e15 / 3600 squared is no number in float32."""
        rate = jnp.log(self.hardware.peak(self.dtype)) + jnp.log(self.mfu) + math.log(3600.0)
        return jnp.log(self.flops_per_param_token) + jnp.log1p(self.overhead) - rate


class TrainingQuantity(Quantity):
    """e^log_per_param_token · N·D + fixed."""

    log_per_param_token: Float[Array, "..."]
    fixed: Float[Array, "..."]
    name: str = eqx.field(static=True)

    def score(self, log: Any) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        run = PowerTerm(1.0, self.log_per_param_token, {"params": 1.0, "tokens": 1.0})
        return run, PowerTerm(self.fixed, 0.0, {})

    @property
    def curvature(self) -> Curvature:
        return Curvature.CONVEX

    @property
    def label(self) -> str:
        return self.name


class PerSolvedTask(Quantity):
    """cost / (tasks · quality): what one task costs that is solved, those that are not included.

    cost: a quantity, such as dollars or FLOPs of all tasks. quality: a quantity, the expected fraction that is solved,
    such as `T2Accuracy`. tasks: > 0. A ratio, whose curvature is not known: it is searched from several starts.
    """

    cost: Quantity
    quality: Quantity
    tasks: Float[Array, "..."]

    def __init__(self, cost: Any, quality: Any, tasks: Any = 1.0):
        for name, value in (("cost", cost), ("quality", quality)):
            if not isinstance(value, Quantity):
                raise TypeError(f"{name} must be a quantity (wrap a function with t2jax.quantity), got {value!r}")
        self.cost, self.quality, self.tasks = cost, quality, validate.positive("tasks", tasks)

    def score(self, log: Any) -> Float[Array, "..."]:
        return self.cost.log_value(log) - self.quality.log_value(log) - jnp.log(self.tasks)

    @property
    def label(self) -> str:
        return f"({self.cost.label}) per task solved"


class Lifetime(eqx.Module):
    """A model that is trained once and then serves for some months.

    ```python
    life = t2.Lifetime(training, serving, months=24)
    t2.maximize(task, [life.usd <= 5e6])          # the most for a sum
    t2.minimize(life.usd_per_solved_task(task), [t2.samples <= 1e6])  # the least for one success
    ```

    training, serving: with `usd_per_hour` each, and `queries_per_month`. months: > 0, of serving.
    """

    training: Training
    serving: Serving
    months: Float[Array, "..."]

    def __init__(self, training: Any, serving: Any, months: Any):
        if not isinstance(training, Training) or not isinstance(serving, Serving):
            raise TypeError(f"Lifetime takes a Training and a Serving, got {training!r} and {serving!r}")
        self.training, self.serving, self.months = training, serving, validate.positive("months", months)

    @property
    def usd(self) -> Quantity:
        """training.usd + months · serving.usd_per_month."""
        return self.training.usd + self.serving.usd_per_month * self.months

    @property
    def tasks(self) -> Float[Array, "..."]:
        """Queries in all months, each one task."""
        if self.serving.queries_per_month is None:
            raise ValueError("tasks needs queries_per_month: give it to Serving")
        return self.serving.queries_per_month * self.months

    def usd_per_solved_task(self, quality: Quantity) -> PerSolvedTask:
        """Dollars of training and serving per task solved; `quality` is the expected fraction, as T2Accuracy is."""
        return PerSolvedTask(self.usd, quality, self.tasks)

    def bill(self, allocation: Any, quality: Quantity | None = None) -> "LifetimeBill":
        """All of it at one decision, as numbers. Prints as a table. Raises as `Serving.bill`."""
        serving = self.serving.bill(allocation)
        months = float(self.months)
        training = self.training.usd(allocation)
        if is_traced(training) or training.ndim:
            raise TypeError("a bill is for one decision outside jit and vmap: call the quantities instead")
        metered = self.training.hardware.power_watts is not None
        total = float(training) + months * float(self.serving.usd_per_month(allocation))
        return LifetimeBill(
            months=months,
            training_device_hours=float(self.training.device_hours(allocation)),
            training_usd=float(training),
            training_energy_kwh=float(self.training.energy_kwh(allocation)) if metered else None,
            serving=serving,
            serving_usd=total - float(training),
            usd=total,
            solved=None if quality is None else float(quality(allocation)),
            usd_per_solved_task=None if quality is None else float(self.usd_per_solved_task(quality)(allocation)),
        )


class LifetimeBill(NamedTuple):
    """What one decision comes to over its life: device hours, dollars, kWh; `solved` is a fraction of the tasks."""

    months: float
    training_device_hours: float
    training_usd: float
    training_energy_kwh: float | None
    serving: Bill
    serving_usd: float
    usd: float
    solved: float | None
    usd_per_solved_task: float | None

    def __str__(self) -> str:
        rows = [
            ["training", f"{human(self.training_usd)} USD", f"{self.training_usd / self.usd:.1%}"],
            ["  device hours", f"{human(self.training_device_hours)} h"],
        ]
        if self.training_energy_kwh is not None:
            rows.append(["  energy, at most", f"{human(self.training_energy_kwh)} kWh"])
        rows += [
            [
                f"serving, months: {self.months:g}",
                f"{human(self.serving_usd)} USD",
                f"{1 - self.training_usd / self.usd:.1%}",
            ],
            ["all of it", f"{human(self.usd)} USD"],
        ]
        if self.solved is not None and self.usd_per_solved_task is not None:
            rows += [
                ["tasks solved", f"{self.solved:.2%}"],
                ["per task solved", f"{human(self.usd_per_solved_task)} USD"],
            ]
        return f"{aligned(rows)}\nserving:\n{self.serving}"
