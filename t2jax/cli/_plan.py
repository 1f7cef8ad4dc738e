"""What `t2jax plan` computes: the optimum, the two baselines of the same budget, and what more of anything would buy.

The answer is a plain dictionary: the command line prints it as JSON, or as text (see `plan_text`).
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from t2jax._io.usage import UsageError
from t2jax.cli._baseline import Demand, Limits, balanced_tokens, measure, sampled_with_the_rest
from t2jax.cli._options import FOR_MONEY, Plan
from t2jax.cli._progress import progress
from t2jax.cli._scenario_options import given
from t2jax.costs import InferenceFLOPs, TrainingFLOPs
from t2jax.laws import DataConstrained
from t2jax.optimize import Solution, maximize, minimize
from t2jax.planning._coefficients import fit_of, not_identified
from t2jax.planning._law_files import same_named_file
from t2jax.planning._objective import objective
from t2jax.planning._scenario import (
    ALLOCATION,
    DEFAULT_TASK,
    FLOPS,
    as_option,
    lacks_demand,
    missed_target,
    out_of_reach,
    serves,
    target_fault,
    too_small,
    without_end,
)
from t2jax.quantities import Constraint, Quantity, Scale, params, samples, tokens
from t2jax.tasks import Task

__all__ = ["Point", "Problem", "answer"]

_NO_CAP = 1e38
"""More samples than the optimiser looks at. With it k = 1 is the same compiled problem with another limit."""

Point = tuple[float, float, float]


def answer(problem: "Problem") -> dict[str, Any]:
    """Everything there is to say: JSON's types only. `status` is "solved" or says why there is no solution."""
    plan = problem.plan
    said: dict[str, Any] = {
        "status": "solved",
        "reason": None,
        "inputs": problem.inputs,
        **problem.rests_on,
        "objective": problem.objective,
    }
    without = {"optimum": None, "baselines": None, "prices": [], "uncertainty": None, "notes": []}
    reason = problem.without_end() or problem.out_of_reach() or not_identified(plan.law or plan.task)
    if reason:
        status, said["reason"] = reason
        return {**said, **without, "status": status}

    # Nearly all of the time goes to compiling, and XLA compiles for both at once. A thread has a precision of its own.
    with ThreadPoolExecutor(max_workers=1) as pool:
        sampled = pool.submit(jax.enable_x64(True)(problem.chinchilla))
        solution = problem.solve(problem.limits.samples)
    if not bool(solution.ok):
        # A reason begins with its status: "infeasible: no allocation satisfies all constraints; …".
        status, said["reason"] = solution.reason.split(": ", 1)
        if status == "infeasible" and plan.target is not None:
            said["reason"] = missed_target(plan.target)
        return {**said, **without, "status": status}
    if min(_where(solution)[:2]) < 1:
        said["reason"] = too_small(plan.target)
        return {**said, **without, "status": "infeasible"}

    columns = [_where(solution), sampled.result(), problem.one_sample()]
    optimum, chinchilla, one_sample = problem.described(columns)
    prices = problem.prices(solution, optimum)
    return {
        **said,
        "optimum": optimum,
        "baselines": {"chinchilla": chinchilla, "one_sample": one_sample},
        "prices": prices,
        "uncertainty": problem.uncertainty(solution),
        "notes": problem.notes(solution, optimum, prices),
    }


@dataclass(frozen=True)
class Problem:
    """A plan with its coefficients looked up: what is optimised, under which limits, for which demand."""

    plan: Plan
    task: Quantity
    law: Quantity | None
    task_name: str | None
    law_name: str | None
    limits: Limits
    demand: Demand
    fitted: Any
    """The `Fit` of the law or task, where its file has one."""

    @classmethod
    def of(cls, plan: Plan) -> "Problem":
        """Raises `UsageError` where the options do not make a problem."""
        task, law, names = _looked_up(plan)
        fitted = fit_of(plan.law or plan.task or DEFAULT_TASK)
        for_task = isinstance(task, Task)
        lacking = lacks_demand(given(plan), for_task=for_task, spelled=as_option)
        if lacking is not None:
            raise UsageError(lacking)
        if task.scale is Scale.LOG_ODDS and plan.target is not None and plan.target >= 1:
            raise UsageError(target_fault(plan.target, as_option))
        prompt, output = plan.prompt_tokens or 0.0, plan.output_tokens or 1.0
        shared, each = (0.0, prompt + output) if plan.no_share_prompt else (prompt, output)
        none = math.inf
        limits = Limits(
            total=none if plan.total_flops is None else plan.total_flops,
            train=none if plan.train_flops is None else plan.train_flops,
            inference=none if plan.inference_flops is None else plan.inference_flops,
            params=none if plan.max_params is None else plan.max_params,
            tokens=none if plan.max_tokens is None else plan.max_tokens,
            samples=none if plan.max_samples is None else plan.max_samples,
        )
        demand = Demand((plan.queries or 1.0) if serves(given(plan)) else 0.0, shared, each)
        return cls(plan, task, law, *names, limits, demand, fitted)

    unit: ClassVar[str] = "flops"
    """What the budget is counted in."""
    spends: ClassVar[tuple[str, ...]] = FLOPS
    """The names of what an allocation takes."""

    @property
    def inputs(self) -> dict[str, Any]:
        """As given, with the names that were looked up."""
        said = {**asdict(self.plan), "task": self.task_name, "law": self.law_name}
        return {name: value for name, value in said.items() if name not in ("json", "plot", *FOR_MONEY)}

    @property
    def rests_on(self) -> dict[str, Any]:
        """What else there is to say of where costs come from."""
        return {}

    @property
    def for_task(self) -> bool:
        return isinstance(self.task, Task)

    @property
    def higher_is_better(self) -> bool:
        return isinstance(self.task, Task) and self.task.higher_is_better

    @property
    def quantity(self) -> str:
        return self.task.value_name if isinstance(self.task, Task) else "loss_nats"

    @property
    def objective(self) -> dict[str, Any]:
        """What is optimised, and whose coefficients say so."""
        to_target = self.plan.target is not None
        sources = self.task.provenances()
        return {
            "sense": "maximize" if self.higher_is_better and not to_target else "minimize",
            "quantity": self.unit if to_target else self.quantity,
            "of": self.quantity,
            "title": self.task.value_title if isinstance(self.task, Task) else "loss",
            "higher_is_better": self.higher_is_better,
            "kind": type(self.task).__name__,
            "sources": [{"name": p.name, "citation": p.citation, "note": p.note} for p in sources],
            "unique_tokens": float(self.law.unique_tokens) if isinstance(self.law, DataConstrained) else None,
        }

    def without_end(self) -> tuple[str, str] | None:
        """("unbounded", what to add) if nothing limits the answer."""
        return without_end(given(self.plan), for_task=self.for_task, spelled=as_option)

    def out_of_reach(self) -> tuple[str, str] | None:
        """("infeasible", the best there is) if not even unlimited FLOPs reach the target within the caps."""
        target, limits = self.plan.target, self.reach
        if target is None:
            return None
        most = [np.array([min(limit, 1e30)]) for limit in (limits.params, limits.tokens, limits.samples)]
        best = float(measure(self.task, self.law, *most).value[0])
        if (best > target) if self.higher_is_better else (best < target):
            return None
        capped = math.isfinite(min(limits.params, limits.tokens, limits.samples))
        return out_of_reach(target, best, probability=self.higher_is_better, capped=capped)

    def solve(self, most_samples: float) -> Solution:
        constraints = list(self.constraints(most_samples).values())
        whole = self.plan.integer_samples and self.for_task
        if self.plan.target is not None:
            return minimize(self.cost(), constraints, integer_samples=whole, throw=False)
        optimise = maximize if self.higher_is_better else minimize
        return optimise(self.task, constraints, integer_samples=whole, throw=False)

    def cost(self) -> Quantity:
        """Of training and serving together."""
        serve = self._serve()
        return TrainingFLOPs() if serve is None else TrainingFLOPs() + serve

    def budgets(self) -> dict[str, Constraint]:
        """On what is spent, by the name of the option that sets the limit."""
        serve, limits = self._serve(), self.limits
        found: dict[str, Constraint] = {}
        if math.isfinite(limits.total):
            found["total_flops"] = self.cost() <= limits.total
        if math.isfinite(limits.train):
            found["train_flops"] = TrainingFLOPs() <= limits.train
        if math.isfinite(limits.inference) and serve is not None:
            found["inference_flops"] = serve <= limits.inference
        return found

    @property
    def reach(self) -> Limits:
        """What limits the models that are looked at beside the optimum."""
        return self.limits

    def constraints(self, most_samples: float) -> dict[str, Constraint]:
        """By the name of the option that sets the limit."""
        limits, found = self.limits, self.budgets()
        if self.plan.target is not None:
            target = self.plan.target
            found["target"] = self.task >= target if self.higher_is_better else self.task <= target
        if math.isfinite(limits.params):
            found["max_params"] = params <= limits.params
        if math.isfinite(limits.tokens):
            found["max_tokens"] = tokens <= limits.tokens
        # A plain law gains nothing by more than one sample, and a budget for inference may leave k free.
        found["max_samples"] = samples <= (min(most_samples, _NO_CAP) if self.for_task else 1.0)
        return found

    def _serve(self) -> InferenceFLOPs | None:
        if not self.demand.queries:
            return None
        plan = self.plan
        return InferenceFLOPs(
            self.demand.queries, plan.prompt_tokens or 0.0, plan.output_tokens or 1.0, not plan.no_share_prompt
        )

    def chinchilla(self) -> Point | str:
        if self.law is None:
            return "the task has no loss law to train by"
        return sampled_with_the_rest(
            self.task,
            self.law,
            self.reach,
            self.demand,
            sampled=self.for_task,
            whole=self.plan.integer_samples,
            better=1.0 if self.higher_is_better else -1.0,
            target=self.plan.target,
        )

    def one_sample(self) -> Point | str:
        solution = self.solve(1.0)
        if bool(solution.ok):
            return _where(solution)
        return "does not reach the target" if self.plan.target is not None else solution.reason

    def described(self, points: Sequence[Point | str]) -> list[dict[str, Any]]:
        """What there is to say of each allocation, or why there is none."""
        there = [point for point in points if not isinstance(point, str)]
        ns, ds, ks = (np.array(one) for one in zip(*there, strict=True))
        measured = measure(self.task, self.law, ns, ds, ks)
        balanced = balanced_tokens(self.law, ns)
        numbers = iter(zip(measured.value, measured.loss, balanced, strict=True))
        return [
            self._none(point) if isinstance(point, str) else self._allocation(point, *next(numbers)) for point in points
        ]

    def _none(self, why: str) -> dict[str, Any]:
        return {**dict.fromkeys((*ALLOCATION, *self.spends)), "outside_fit": [], "why_none": why}

    def _allocation(self, point: Point, value: float, loss: float, balanced: float) -> dict[str, Any]:
        n, d, k = point
        value, loss, balanced = float(value), float(loss), float(balanced)
        passed = self.task.pass_at_k(value) if isinstance(self.task, Task) else None
        passed = None if passed is None else float(passed)
        found = {
            "params": n,
            "tokens": d,
            "samples": k,
            "tokens_per_param": d / n,
            "overtraining_ratio": d / balanced,
            "loss_nats": loss,
            "pass_at_k": passed,
            "value": value,
            **self.spending(point, passed),
        }
        outside = [s for p in self.task.provenances() for s in p.outside(n, d, k if self.for_task else 1.0)]
        known = {key: a if a is None or math.isfinite(a) else None for key, a in found.items()}
        return {**known, "outside_fit": list(dict.fromkeys(outside)), "why_none": None}

    def spending(self, point: Point, passed: float | None) -> dict[str, float | None]:
        """What an allocation takes, by the names of `spends`. passed: the share of tasks that it solves."""
        n, d, k = point
        train = self.demand.train_flops(n, d)
        inference = self.demand.inference_flops(n, k) if self.demand.queries else None
        # Training once and inference per token are not of one sum.
        per_token = inference is not None and self.plan.queries is None
        total = None if per_token else train + (inference or 0.0)
        return dict(zip(self.spends, (train, inference, total), strict=True))

    def limit_and_used(self, name: str, optimum: dict[str, Any]) -> tuple[float | None, float | None]:
        """Of a constraint: what was set, and what the optimum takes of it."""
        used = optimum["value"] if name == "target" else optimum[name.removeprefix("max_")]
        return getattr(self.plan, name), used

    def prices(self, solution: Solution, optimum: dict[str, Any]) -> list[dict[str, Any]]:
        rows = []
        for name, price, slack in zip(
            self.constraints(self.limits.samples), solution.shadow_prices, solution.slacks, strict=True
        ):
            if name == "max_samples" and (math.isinf(self.limits.samples) or not self.for_task):
                continue
            limit, used = self.limit_and_used(name, optimum)
            rows.append(
                {
                    "constraint": name,
                    "limit": limit,
                    "used": used,
                    "binding": abs(float(slack)) < 1e-6,
                    "price": float(price) + 0.0 if math.isfinite(price) else None,  # no −0
                }
            )
        return rows

    def uncertainty(self, solution: Solution) -> dict[str, Any] | None:
        """Intervals of the optimum, where the law or task was fitted and its file says how well."""
        if self.fitted is None:
            return None
        from t2jax.cli._uncertainty import uncertainty

        named = self.task if self.plan.law is None else self.law
        leaves, treedef = jax.tree.flatten(named)
        sizes = [np.size(leaf) for leaf in leaves]
        every = np.concatenate([np.ravel(np.asarray(leaf)) for leaf in leaves])
        free = [self.fitted.names.index(name) for name in self.fitted.free]

        def solve(values: np.ndarray) -> dict[str, float] | None:
            """With other coefficients, and the same structure and dtypes: nothing is compiled again."""
            moved = every.copy()
            moved[free] = values
            parts = np.split(moved, np.cumsum(sizes)[:-1])
            shaped = [np.reshape(one, np.shape(leaf)) for one, leaf in zip(parts, leaves, strict=True)]
            found = self._with(jax.tree.unflatten(treedef, shaped)).solve(self.limits.samples)
            return self._optimum(found) if bool(found.ok) else None

        whole = self.plan.integer_samples and self.for_task
        probability = self.task.scale is Scale.LOG_ODDS and self.plan.target is None
        best = self._optimum(solution)
        with progress("how sure", "solves") as tell:
            return uncertainty(self.fitted, best, solve, whole=whole, probability=probability, progress=tell)

    def _with(self, named: Any) -> "Problem":
        """The same problem with other coefficients of what --law or --task named."""
        if self.plan.law is None:
            return replace(self, task=named, law=named.law)
        task = named if self.plan.G is None else eqx.tree_at(lambda task: task.law, self.task, named)
        return replace(self, task=task, law=named)

    def _optimum(self, solution: Solution) -> dict[str, float]:
        n, d, k = _where(solution)
        return {"params": n, "tokens": d, **({"samples": k} if self.for_task else {}), "value": float(solution.value)}

    def notes(self, solution: Solution, optimum: dict[str, Any], prices: list[dict[str, Any]]) -> list[str]:
        found = [*solution.remarks, *solution.extrapolations]
        found += filter(None, [same_named_file(name) for name in (self.plan.law, self.plan.task) if name])
        for source in self.task.provenances():
            if source.convention == "non-embedding":
                found.append(f"{source.name} counts non-embedding parameters: N is that number here")
        k = optimum["samples"]
        if self.for_task and self.plan.integer_samples:
            found.append(f"prices are those at k = {k:.0f}")
            if any(row["constraint"] == "max_samples" and row["price"] is None for row in prices):
                found.append("prices of k are not defined for whole k")
        elif self.for_task and abs(k - round(k)) > 1e-9 * k:
            found.append("k is a real number here: --integer-samples finds the best whole one")
        if self.fitted is not None:
            from t2jax.cli._uncertainty import caveats

            found += caveats(self.fitted, str(self.law_name or self.task_name))
        return found


def _looked_up(plan: Plan) -> tuple[Quantity, Quantity | None, tuple[str | None, str | None]]:
    """(what is planned for, its loss law, (name of the task, name of the law))."""
    found = objective(
        plan.task, plan.law, G=plan.G, gamma=plan.gamma, unique_tokens=plan.unique_tokens, spelled=as_option
    )
    return *found, (None if plan.law else plan.task or DEFAULT_TASK, plan.law)


def _where(solution: Solution) -> Point:
    a = solution.allocation
    return float(a.params), float(a.tokens), float(a.samples)
