"""What a plan's costs are made of: the plan is given it, and does not know whether they are FLOPs or dollars."""

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from t2jax.costs import InferenceFLOPs, TrainingFLOPs
from t2jax.planning._constraints import spending_limits
from t2jax.quantities import Constraint, Quantity

__all__ = ["Compute", "Costing", "Limits", "Point", "infinite"]

Point = tuple[float, float, float]
"""N, D, k."""


@dataclass(frozen=True)
class Limits:
    """Upper limits, infinite where there is none: on costs in the costing's unit, and on N, D and k."""

    total: float
    train: float
    inference: float
    params: float
    tokens: float
    samples: float


class Costing(abc.ABC):
    """What training and serving cost, which limits there are on it, and how an allocation's spending is reported."""

    unit: ClassVar[str]
    """"flops" or "usd"."""
    spends: ClassVar[tuple[str, ...]]
    """The figures of what an allocation spends."""

    @property
    @abc.abstractmethod
    def total(self) -> Quantity:
        """Of training and serving together."""

    @abc.abstractmethod
    def budgets(self) -> dict[str, Constraint]:
        """On what is spent, by the name of the field that sets the limit."""

    @abc.abstractmethod
    def within(self, limits: Limits) -> Limits:
        """The same limits, with those on N that costs imply: for models that are looked at beside the optimum."""

    @abc.abstractmethod
    def training(self, params: Any, tokens: Any) -> Any:
        """What training costs, for arrays of one shape."""

    @abc.abstractmethod
    def serving(self, params: Any, samples: Any) -> Any:
        """What serving costs, for arrays of one shape."""

    @abc.abstractmethod
    def samples_for(self, params: Any, cost: Any) -> Any:
        """The k that so much serving cost pays for."""

    @abc.abstractmethod
    def training_flops_for(self, cost: float) -> float:
        """The training FLOPs that so much buys where all of it is spent on training."""

    @abc.abstractmethod
    def spending(self, point: Point, solved: float | None) -> dict[str, float | None]:
        """What an allocation takes, by the names of `spends`. solved: the share of tasks that it solves."""

    @abc.abstractmethod
    def limit_and_used(self, name: str, spent: Mapping[str, Any]) -> tuple[float | None, float | None] | None:
        """Of a limit that costs imply: what it is, and what the optimum takes of it; None for one that a field sets."""

    @abc.abstractmethod
    def source(self) -> dict[str, Any]:
        """What else there is to say of where costs come from."""

    @abc.abstractmethod
    def fault(self) -> str | None:
        """Why nothing is left for a model whatever it is; None where something is."""


@dataclass(frozen=True)
class Compute(Costing):
    """FLOPs: 6ND for training; for serving 2NQ(P + kT), or nothing.

    per_query: is the inference cost that of one query, so that it is not of one sum with training?
    """

    limits: Limits
    train: TrainingFLOPs
    serve: InferenceFLOPs | None
    per_query: bool

    unit: ClassVar[str] = "flops"
    spends: ClassVar[tuple[str, ...]] = ("train_flops", "inference_flops", "total_flops")

    @classmethod
    def of(cls, scenario: Mapping[str, Any], limits: Limits, *, serves: bool) -> "Compute":
        serve = None
        if serves:
            serve = InferenceFLOPs(
                scenario["queries"] or 1.0,
                scenario["prompt_tokens"] or 0.0,
                scenario["output_tokens"] or 1.0,
                not scenario["no_share_prompt"],
            )
        return cls(limits, TrainingFLOPs(), serve, scenario["queries"] is None)

    @property
    def total(self) -> Quantity:
        return self.train if self.serve is None else self.train + self.serve

    def budgets(self) -> dict[str, Constraint]:
        costs = {"total_flops": self.total, "train_flops": self.train, "inference_flops": self.serve}
        limits = self.limits.total, self.limits.train, self.limits.inference
        return spending_limits(costs, dict(zip(costs, limits, strict=True)))

    def within(self, limits: Limits) -> Limits:
        return limits

    def training(self, params: Any, tokens: Any) -> Any:
        return self.train.flops(params, tokens)

    def serving(self, params: Any, samples: Any) -> Any:
        return np.zeros_like(params) if self.serve is None else self.serve.flops(params, samples)

    def samples_for(self, params: Any, cost: Any) -> Any:
        return np.full_like(params, np.inf) if self.serve is None else self.serve.samples_for(params, cost)

    def training_flops_for(self, cost: float) -> float:
        return cost

    def spending(self, point: Point, solved: float | None) -> dict[str, float | None]:
        n, d, k = point
        train = float(self.training(n, d))
        inference = None if self.serve is None else float(self.serving(n, k))
        apart = inference is not None and self.per_query
        total = None if apart else train + (inference or 0.0)
        return dict(zip(self.spends, (train, inference, total), strict=True))

    def limit_and_used(self, name: str, spent: Mapping[str, Any]) -> None:
        """Every limit is a field's."""

    def source(self) -> dict[str, Any]:
        return {}

    def fault(self) -> None:
        """FLOPs buy a model, however small."""


def infinite(limit: float | None) -> float:
    """The limit; infinity where there is none."""
    return math.inf if limit is None else limit
