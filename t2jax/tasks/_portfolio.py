"""One model that serves several tasks: N and D are shared, each task has its own k, its own volume and its own weight.

The decision is an `Allocation` whose `samples` is a vector, one k per task.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._numerics.logs import log_sum
from t2jax.costs import InferenceFLOPs
from t2jax.quantities import Allocation, Curvature, PowerTerm, Provenance, Quantity, Scale, in_order, log_of_sum
from t2jax.tasks._base import Task

__all__ = ["Portfolio", "PortfolioCost", "PortfolioQuality", "Workload"]


class Workload(eqx.Module):
    """One task of a portfolio: what it is, how often it is asked, and how much it counts.

    task: a quality of (N, D, k), such as `T2Loss` or `T2Accuracy`; in a portfolio all are losses, or all probabilities.
    weight: > 0, relative to the others'. queries, prompt_tokens, output_tokens, share_prompt: as of `InferenceFLOPs`.
    """

    task: Quantity
    weight: Float[Array, "..."]
    inference: InferenceFLOPs

    def __init__(
        self,
        task: Any,
        *,
        queries: Any = 1.0,
        prompt_tokens: Any = 0.0,
        output_tokens: Any = 1.0,
        share_prompt: bool = True,
        weight: Any = 1.0,
    ):
        if not isinstance(task, Quantity):
            raise TypeError(f"a workload takes a task first, such as T2Loss(law, G, gamma), got {task!r}")
        self.task, self.weight = task, validate.positive("weight", weight)
        self.inference = InferenceFLOPs(queries, prompt_tokens, output_tokens, share_prompt)


class Portfolio(eqx.Module):
    """Several tasks of one model: their weighted mean quality and the sum of what serving them takes.

    ```python
    law = t2.published("besiroglu2024")
    tasks = t2.Portfolio([
        t2.Workload(t2.T2Loss(law, 1.0, 0.3), queries=1e9, output_tokens=500),
        t2.Workload(t2.T2Loss(law, 0.2, 0.9), queries=1e7, output_tokens=8000, weight=3.0),
    ])
    t2.minimize(tasks.quality, [t2.TrainingFLOPs() + tasks.inference <= 1e24, t2.samples[1] <= 64.0], start=tasks.start)
    ```

    Where each task adds power laws to the loss of *one* law object, as `T2Loss` does, and the only limits are one
    budget and bounds, all of it is one equation in one unknown, however many tasks there are. Other portfolios go to
    the general method, whose programs grow with the square of the number of variables: a handful of tasks.

    Uncertain demand is a portfolio, too. Scenarios s with probabilities p_s, N and D chosen now and k once demand is
    known, are workloads of weight p_s and p_s·Q_s queries: mean quality under a budget for the mean cost.
    Raises ValueError for none, and for tasks on different scales.
    """

    workloads: tuple[Workload, ...]
    law: Quantity | None  # that all tasks share; kept once, so that it is one

    def __init__(self, workloads: Sequence[Any]):
        self.workloads = tuple(workloads)
        if not self.workloads:
            raise ValueError("a portfolio needs at least one workload")
        for one in self.workloads:
            if not isinstance(one, Workload):
                raise TypeError(f"a portfolio takes workloads, got {one!r}")
        if len({one.task.scale for one in self.workloads}) > 1:
            raise ValueError("the tasks of a portfolio are all losses or all probabilities: their mean has no meaning")
        laws = [None if _added(one) is None else one.task.law for one in self.workloads]
        self.law = laws[0] if all(law is laws[0] for law in laws) else None

    @property
    def quality(self) -> "PortfolioQuality":
        """Σ w_i·quality_i(N, D, k_i) / Σ w_i: a mean loss in nats, or a mean probability."""
        return PortfolioQuality(self)

    @property
    def inference(self) -> "PortfolioCost":
        """Σ_i 2·N·Q_i·(P_i + k_i·T_i), FLOPs."""
        return PortfolioCost(self)

    @property
    def start(self) -> Allocation:
        """Where `minimize` may begin: also what says that there is one k per task."""
        return Allocation(1e9, 2e10, jnp.full(len(self.workloads), 16.0))


class PortfolioQuality(Quantity):
    """The weighted mean of the tasks' qualities."""

    portfolio: Portfolio

    def score(self, log: Any) -> Float[Array, "..."]:
        terms = self.power_terms()
        if terms is not None:
            return log_of_sum(terms, log)
        shares, each = _shares(self.portfolio), [one.task for one in self.portfolio.workloads]
        scores = [task.score(_seen_by(i, log)) for i, task in enumerate(each)]
        if self.scale is Scale.LOG:
            return log_sum(*zip(shares, scores, strict=True))
        # The log odds of a mean: means of p and of 1 − p, each without cancellation.
        solved = log_sum(*((w, jax.nn.log_sigmoid(s)) for w, s in zip(shares, scores, strict=True)))
        missed = log_sum(*((w, jax.nn.log_sigmoid(-s)) for w, s in zip(shares, scores, strict=True)))
        return solved - missed

    def power_terms(self) -> tuple[PowerTerm, ...] | None:
        law = self.portfolio.law
        common = None if law is None else law.power_terms()
        if common is None:
            return None
        own = [
            _of_task(term, i)._replace(coefficient=share * term.coefficient)
            for i, (share, one) in enumerate(zip(_shares(self.portfolio), self.portfolio.workloads, strict=True))
            for term in _added(one) or ()
        ]
        return *common, *own

    @property
    def variables(self) -> tuple[str, ...]:
        return in_order(name for one in self.portfolio.workloads for name in one.task.variables)

    def provenances(self) -> tuple[Provenance, ...]:
        return tuple(dict.fromkeys(p for one in self.portfolio.workloads for p in one.task.provenances()))

    @property
    def scale(self) -> Scale:
        return self.portfolio.workloads[0].task.scale

    @property
    def curvature(self) -> Curvature:
        worst = max(one.task.curvature for one in self.portfolio.workloads)
        # A sum of convex functions' exponentials; of probabilities nothing is known beyond one.
        return max(Curvature.CONVEX, worst) if self.scale is Scale.LOG else Curvature.UNKNOWN

    @property
    def label(self) -> str:
        return f"mean {self.portfolio.workloads[0].task.label} of {len(self.portfolio.workloads)}"


class PortfolioCost(Quantity):
    """Inference FLOPs of all tasks."""

    portfolio: Portfolio

    def score(self, log: Any) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        each = enumerate(self.portfolio.workloads)
        return tuple(_of_task(term, i) for i, one in each for term in one.inference.power_terms())

    @property
    def curvature(self) -> Curvature:
        return Curvature.CONVEX

    @property
    def label(self) -> str:
        return f"InferenceFLOPs of {len(self.portfolio.workloads)}"


def _seen_by(task: int, log: Any) -> Any:
    """The decision as one task sees it, with a k of its own."""
    return eqx.tree_at(lambda decision: decision.samples, log, log.samples[..., task])


def _added(workload: Workload) -> tuple[PowerTerm, ...] | None:
    """What a task adds to a loss law, None where it is no such sum."""
    return workload.task.added_terms() if isinstance(workload.task, Task) else None


def _of_task(term: PowerTerm, task: int) -> PowerTerm:
    """The same of the k of one task."""
    exponents = {f"samples[{task}]" if name == "samples" else name: power for name, power in term.exponents.items()}
    return term._replace(exponents=exponents)


def _shares(portfolio: Portfolio) -> list[Array]:
    total = sum(one.weight for one in portfolio.workloads)
    return [one.weight / total for one in portfolio.workloads]
