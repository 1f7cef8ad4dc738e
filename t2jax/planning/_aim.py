"""What a plan aims at, as its quantity says of itself: a task, or a loss law alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from t2jax.quantities import Quantity, Scale
from t2jax.tasks import Task

__all__ = ["Aim"]


@dataclass(frozen=True)
class Aim:
    """sampled: does it depend on k? higher_is_better: is it maximised? probability: does it lie between 0 and 1? name,
    title, unit: what JSON and people call its value, and what that is in, "" for a number without a unit. law: the loss
    law inside, None where there is none."""

    quantity: Quantity
    sampled: bool
    higher_is_better: bool
    probability: bool
    name: str
    title: str
    unit: str
    law: Quantity | None

    @classmethod
    def of(cls, quantity: Quantity) -> "Aim":
        probability = quantity.scale is Scale.LOG_ODDS
        if isinstance(quantity, Task):
            named = quantity.value_name, quantity.value_title, quantity.unit
            sampled = "samples" in quantity.variables
            return cls(quantity, sampled, quantity.higher_is_better, probability, *named, quantity.law)
        return cls(quantity, False, False, probability, "loss_nats", "loss", "nats", quantity)

    def pass_at_k(self, value: Any) -> Any:
        """The share of tasks solved where the quantity has this value, in NumPy; None where it does not say."""
        passed = self.quantity.pass_at_k(value) if isinstance(self.quantity, Task) else None
        return None if passed is None else np.asarray(passed)

    def missed(self, target: Any, best: Any) -> Any:
        """Is the target out of reach where this is the best there is?"""
        return best <= target if self.higher_is_better else best >= target

    @property
    def at_best(self) -> str:
        """What the best there is is, in words before the number."""
        if self.higher_is_better:
            return f"{self.title} is at most"
        known = self.name in ("loss_nats", "task_loss_nats")
        return f"{'the loss' if known else self.title} is never below"
