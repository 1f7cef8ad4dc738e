"""A plan: the optimum of a scenario, the two baselines of the same budget, and what more of anything would buy."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from t2jax._io.convert import Converted, ResultColumn
from t2jax._io.version import version
from t2jax.optimize import NoSolutionError, Solution
from t2jax.planning._baselines import Sampling, balanced_tokens, measure, sampled_with_the_rest
from t2jax.planning._coefficients import not_identified
from t2jax.planning._costing import Point
from t2jax.planning._fields import DEFAULT_TASK, FOR_MONEY, OTHER_CAPS, TABLE, field
from t2jax.planning._figure_table import FIGURES
from t2jax.planning._figures import Figures, figures_at
from t2jax.planning._inputs import as_given
from t2jax.planning._law_files import same_named_file
from t2jax.planning._problem import Problem, where
from t2jax.planning._reasons import missed_target, too_small
from t2jax.planning._scenario import checked_scenario
from t2jax.planning._signature import takes
from t2jax.planning._spelling import as_argument
from t2jax.planning._uncertainty import Progress, Uncertainty, caveats, uncertainty
from t2jax.quantities import Allocation, Constraint

__all__ = ["SCHEMA", "Baselines", "Plan", "Price", "plan", "planned"]

SCHEMA = 1
"""The version of what `Plan.to_dict` gives, which changes when a key changes its meaning or is taken away."""
_ALLOCATIONS = {"chinchilla": "Chinchilla-optimal", "one_sample": "one sample (k = 1)"}


@dataclass(frozen=True)
class Baselines:
    """What people do today under the same limits.

    chinchilla: the compute-optimal model, sampled with what is left. one_sample: the optimum for k = 1.
    """

    chinchilla: Figures
    one_sample: Figures


@dataclass(frozen=True)
class Price:
    """What more of a limit would buy.

    constraint: the field that sets it. limit, used: what was set, and what the optimum takes of it. binding: is all of
    it taken? price: d objective / d ln limit, None where there is none.
    """

    constraint: str
    limit: float | None
    used: float | None
    binding: bool
    price: float | None


@dataclass(frozen=True)
class Plan(Converted):
    """The answer of `plan`. It prints as the command line does.

    status: "solved", or why there is no answer, with the reason in words. inputs: every field of the scenario.
    objective: what is optimised, and whose coefficients say so. optimum: the best allocation, with all its figures.
    baselines: what people do today. prices: what more of each limit would buy. uncertainty: intervals of the optimum,
    where the law or task was fitted. notes: what to be careful about. solution: what the optimiser returned.
    """

    status: str
    reason: str | None
    inputs: dict[str, Any]
    objective: dict[str, Any]
    costs_from: dict[str, Any]
    optimum: Figures | None
    baselines: Baselines | None
    prices: tuple[Price, ...]
    uncertainty: Uncertainty | None
    notes: tuple[str, ...]
    solution: Solution | None
    problem: Problem

    @property
    def ok(self) -> bool:
        return self.reason is None

    def to_dict(self) -> dict[str, Any]:
        """JSON's types only: what `t2jax plan --json` prints."""
        spends = self.problem.costing.spends
        baselines = self.baselines and {
            name: getattr(self.baselines, name).to_dict(spends) for name in ("chinchilla", "one_sample")
        }
        return {
            "schema": SCHEMA,
            "version": version(),
            "command": "plan",
            "status": self.status,
            "reason": self.reason,
            "inputs": self.inputs,
            **self.costs_from,
            "objective": self.objective,
            "optimum": self.optimum and self.optimum.to_dict(spends),
            "baselines": baselines,
            "prices": [asdict(price) for price in self.prices],
            "uncertainty": self.uncertainty and self.uncertainty.to_dict(),
            "notes": list(self.notes),
            "plot": None,
        }

    _upright = False

    def _columns(self) -> list[ResultColumn]:
        """A row for each allocation, the optimum and the baselines: every figure, and why there is none."""
        allocations = {} if self.baselines is None else {"optimum": self.optimum, **vars(self.baselines)}
        rows = {name: one.to_dict(self.problem.costing.spends) for name, one in allocations.items() if one is not None}
        columns = [ResultColumn("allocation", list(rows), words=_ALLOCATIONS)]
        for one in FIGURES:
            values = [row.get(one.name) for row in rows.values()]
            if any(value is not None for value in values):
                columns.append(ResultColumn(one.name, values, one.title, one.written))
        reasons = [row["why_none"] for row in rows.values()]
        return [*columns, ResultColumn("why_none", reasons, "why none")] if any(reasons) else columns

    def plot(self, path_or_ax: Any) -> Any:
        """Draw the plan. Needs matplotlib.

        path_or_ax: a .png, .pdf or .svg file that does not exist yet, for the plane of N and D with what each
        allocation spends beside it; or axes of matplotlib, for the plane alone. Returns the figure or the axes.
        """
        from t2jax.planning._picture import draw_plan

        with jax.enable_x64(True):  # whatever JAX is set to now
            return draw_plan(self, path_or_ax)

    def __str__(self) -> str:
        from t2jax.planning._report import plan_text

        if not self.ok:
            return f"no solution: {self.status}: {self.reason}"
        return plan_text(self.to_dict(), self.problem.spelled)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


@takes(TABLE, Plan)
def plan(**scenario: Any) -> Plan:
    """What to train and how to use it: the optimal plan of a scenario.

    ```python
    plan = t2.plan(total_flops=1e24, queries=1e9, output_tokens=500)
    print(plan)
    plan.optimum.params, plan.prices[0].price
    ```

    It is what `t2jax plan` computes, in float64 whatever JAX is set to, and takes the options of that name; numbers
    may be text such as "7B". task, law and hardware are names, files or objects.

    Arguments, all of them optional:
        {arguments}

    Raises `UsageError` for arguments that make no problem, and `NoSolutionError` where it has no solution.
    """
    with jax.enable_x64(True):
        found = planned(Problem.of(checked_scenario(scenario, as_argument), as_argument))
    if found.reason is not None:
        raise NoSolutionError(f"{found.status}: {found.reason}", found.solution)
    return found


def planned(problem: Problem, *, progress: Progress = None) -> Plan:
    """The plan of a problem, in float64. Everything there is to say of it, also where it has no solution."""
    status, reason = problem.without_end() or problem.out_of_reach() or _not_identified(problem) or ("solved", None)
    if reason is not None:
        return _unsolved(problem, status, reason)
    # Nearly all of the time goes to compiling, and XLA compiles for both at once. A thread has a precision of its own.
    with ThreadPoolExecutor(max_workers=1) as pool:
        sampled = pool.submit(jax.enable_x64(True)(_chinchilla), problem)
        solution = problem.solve(problem.limits.samples)
    target = problem.scenario["target"]
    if not bool(solution.ok):
        # A reason begins with its status: "infeasible: no allocation satisfies all constraints; …".
        status, reason = solution.reason.split(": ", 1)
        missed = status == "infeasible" and target is not None
        return _unsolved(problem, status, missed_target(target) if missed else reason, solution)
    if min(where(solution)[:2]) < 1:
        return _unsolved(problem, "infeasible", too_small(target), solution)

    optimum, chinchilla, one_sample = _figures(problem, [where(solution), sampled.result(), _one_sample(problem)])
    prices = tuple(_prices(problem, solution, optimum))
    intervals = None
    if problem.fitted is not None:
        intervals = uncertainty(
            problem.fitted,
            problem.decided(solution),
            problem.optimum_of,
            whole=problem.whole,
            probability=problem.aim.probability and target is None,
            quantity=problem.objective["quantity"],
            title=problem.objective["title"],
            progress=progress,
        )
    notes = tuple(_notes(problem, solution, optimum, prices))
    answer = (optimum, Baselines(chinchilla, one_sample), prices, intervals, notes, solution)
    return Plan("solved", None, *_asked(problem), *answer, problem)


def _unsolved(problem: Problem, status: str, reason: str, solution: Solution | None = None) -> Plan:
    return Plan(status, reason, *_asked(problem), None, None, (), None, (), solution, problem)


def _asked(problem: Problem) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The scenario as it was given, with the names that were looked up; the objective; where costs come from."""
    names = {"task": problem.scenario["task"], "law": problem.scenario["law"]}
    if not any(names.values()):
        names["task"] = DEFAULT_TASK
    paid = problem.scenario["hardware"] is not None
    asked = {**problem.scenario, **names}
    inputs = {one.name: as_given(one, asked[one.name]) for one in TABLE if paid or one.name not in FOR_MONEY}
    return inputs, problem.objective, problem.costing.source()


def _not_identified(problem: Problem) -> tuple[str, str] | None:
    return not_identified(problem.scenario["law"] or problem.scenario["task"])


def _chinchilla(problem: Problem) -> Point | str:
    fault = problem.costing.fault()
    if fault is not None:
        return fault
    if problem.law is None:
        return "the task has no loss law to train by"
    sampling = Sampling(
        problem.task,
        problem.law,
        problem.reach,
        problem.costing,
        depends=problem.aim.sampled,
        whole=problem.scenario["integer_samples"],
        better=1.0 if problem.aim.higher_is_better else -1.0,
        target=problem.scenario["target"],
    )
    sampled = sampled_with_the_rest(sampling)
    beyond = None if isinstance(sampled, str) else problem.beyond(sampled)
    return sampled if beyond is None else f"such a model is beyond the limit on {field(beyond).limit}"


def _one_sample(problem: Problem) -> Point | str:
    solution = problem.solve(1.0)
    if bool(solution.ok):
        return where(solution)
    return "does not reach the target" if problem.scenario["target"] is not None else solution.reason


def _figures(problem: Problem, points: Sequence[Point | str]) -> list[Figures]:
    """What there is to say of each allocation, or why there is none."""
    ns, ds, ks = (np.array(one) for one in zip(*(p for p in points if not isinstance(p, str)), strict=True))
    measured = measure(problem.task, problem.law, ns, ds, ks)
    columns = figures_at(
        ns,
        ds,
        ks,
        value=measured.value,
        loss=measured.loss,
        balanced_tokens=balanced_tokens(problem.law, ns),
        pass_at_k=problem.aim.pass_at_k(measured.value),
    )
    there = iter([{name: one if one is None else one[i] for name, one in columns.items()} for i in range(len(ns))])
    return [
        Figures(why_none=point) if isinstance(point, str) else _with_spending(problem, point, next(there))
        for point in points
    ]


def _with_spending(problem: Problem, point: Point, figures: Mapping[str, Any]) -> Figures:
    numbers = {**figures, **problem.costing.spending(point, figures["pass_at_k"])}
    known: dict[str, Any] = {
        name: float(a) if a is not None and math.isfinite(a) else None for name, a in numbers.items()
    }
    n, d, k = point
    outside = [s for p in problem.task.provenances() for s in p.outside(n, d, k if problem.aim.sampled else 1.0)]
    return Figures(**known, outside_fit=tuple(dict.fromkeys(outside)))


def _prices(problem: Problem, solution: Solution, optimum: Figures) -> list[Price]:
    prices = []
    constraints = problem.constraints(problem.limits.samples)
    for name, price, slack in zip(constraints, solution.shadow_prices, solution.slacks, strict=True):
        if name == "max_samples" and (math.isinf(problem.limits.samples) or not problem.aim.sampled):
            continue
        implied = problem.costing.limit_and_used(name, vars(optimum))
        if implied is None:
            implied = problem.scenario[name], _used(name, constraints[name], optimum)
        known = float(price) + 0.0 if math.isfinite(price) else None  # no −0
        prices.append(Price(name, *implied, abs(float(slack)) < 1e-6, known))
    return prices


def _used(name: str, constraint: Constraint, optimum: Figures) -> float | None:
    """What the optimum takes of a limit that a field sets."""
    if name in OTHER_CAPS:
        return float(constraint.quantity(Allocation(optimum.params, optimum.tokens, optimum.samples)))
    return optimum.value if name == "target" else getattr(optimum, name.removeprefix("max_"))


def _notes(problem: Problem, solution: Solution, optimum: Figures, prices: Sequence[Price]) -> list[str]:
    named = [problem.scenario["law"], problem.scenario["task"]]
    notes = [*solution.remarks, *solution.extrapolations]
    notes += filter(None, [same_named_file(name) for name in named if isinstance(name, str)])
    for source in problem.task.provenances():
        if source.convention == "non-embedding":
            notes.append(f"{source.name} counts non-embedding parameters: N is that number here")
    k = optimum.samples
    if problem.whole:
        notes.append(f"prices are those at k = {k:.0f}")
        if any(price.constraint == "max_samples" and price.price is None for price in prices):
            notes.append("prices of k are not defined for whole k")
    elif problem.aim.sampled and k is not None and abs(k - round(k)) > 1e-9 * k:
        whole = problem.spelled.switch("integer_samples")
        notes.append(f"k is a real number here: {whole} finds the best whole one")
    if problem.fitted is not None:
        notes += caveats(problem.fitted, str(next(filter(None, named), DEFAULT_TASK)))
    return notes
