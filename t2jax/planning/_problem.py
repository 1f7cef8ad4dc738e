"""The optimisation problem of a scenario: what is planned for, under which limits, at which costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from t2jax._io.usage import UsageError
from t2jax.fitting._coordinates import in_float64
from t2jax.optimize import Solution, maximize, minimize
from t2jax.planning._aim import Aim
from t2jax.planning._baselines import measure
from t2jax.planning._coefficients import fit_of
from t2jax.planning._constraints import caps, target_reached
from t2jax.planning._costing import Compute, Costing, Limits, Point, infinite
from t2jax.planning._fields import DEFAULT_TASK, OTHER_CAPS
from t2jax.planning._money import Money
from t2jax.planning._objective import objective
from t2jax.planning._reasons import lacks_demand, out_of_reach, serves, target_fault, without_end
from t2jax.planning._scenario import fields_set
from t2jax.planning._spelling import Spelling
from t2jax.quantities import Allocation, Constraint, Quantity

__all__ = ["Problem", "where"]

_NO_CAP = 1e38
"""More samples than the optimiser looks at. With it k = 1 is the same compiled problem with another limit."""


@dataclass(frozen=True)
class Problem:
    """A scenario with its coefficients looked up.

    task: what is planned for. law: the loss law inside or the task itself, None where there is none. fitted: the
    `Fit` of the law or task, where its file has one.
    """

    scenario: Mapping[str, Any]
    task: Quantity
    law: Quantity | None
    limits: Limits
    costing: Costing
    fitted: Any
    spelled: Spelling

    @classmethod
    def of(cls, scenario: Mapping[str, Any], spelled: Spelling) -> "Problem":
        """scenario: every field, None where it is not given. Raises `UsageError` where the fields make no problem."""
        numbers = {name: scenario[name] for name in ("G", "gamma", "unique_tokens")}
        task = in_float64(objective(scenario["task"], scenario["law"], **numbers, spelled=spelled)[0])
        law = Aim.of(task).law
        named = scenario["law"] or scenario["task"] or DEFAULT_TASK
        given = fields_set(scenario)
        lacking = lacks_demand(given, sampled=Aim.of(task).sampled, spelled=spelled)
        if lacking is not None:
            raise UsageError(lacking)
        if Aim.of(task).probability and scenario["target"] is not None and scenario["target"] >= 1:
            raise UsageError(target_fault(scenario["target"], spelled))
        paid = scenario["hardware"] is not None
        limits = Limits(
            total=infinite(scenario["usd"] if paid else scenario["total_flops"]),
            train=infinite(scenario["train_flops"]),
            inference=infinite(scenario["inference_flops"]),
            params=infinite(scenario["max_params"]),
            tokens=infinite(scenario["max_tokens"]),
            samples=infinite(scenario["max_samples"]),
        )
        costing = Money.of(scenario, spelled=spelled) if paid else Compute.of(scenario, limits, serves=serves(given))
        return cls(scenario, task, law, limits, costing, fit_of(named) if isinstance(named, str) else None, spelled)

    @property
    def aim(self) -> Aim:
        return Aim.of(self.task)

    @property
    def whole(self) -> bool:
        """Is k a whole number?"""
        return self.scenario["integer_samples"] and self.aim.sampled

    @property
    def objective(self) -> dict[str, Any]:
        """What is optimised, and whose coefficients say so."""
        to_target = self.scenario["target"] is not None
        sources, aim, unique = self.task.provenances(), self.aim, getattr(self.law, "unique_tokens", None)
        return {
            "sense": "maximize" if aim.higher_is_better and not to_target else "minimize",
            "quantity": self.costing.unit if to_target else aim.name,
            "of": aim.name,
            "title": aim.title,
            "unit": aim.unit,
            "sampled": aim.sampled,
            "higher_is_better": aim.higher_is_better,
            "kind": type(self.task).__name__,
            "sources": [{"name": p.name, "citation": p.citation, "note": p.note} for p in sources],
            "unique_tokens": None if unique is None else float(unique),
        }

    # --- Why there is no answer: (status, reason) ---------------------------------------------------------------------

    def without_end(self) -> tuple[str, str] | None:
        """("unbounded", what to add) if nothing limits the answer. Money pays for all of it, and a target ends it."""
        if self.scenario["hardware"] is not None:
            return None
        return without_end(fields_set(self.scenario), sampled=self.aim.sampled, spelled=self.spelled)

    def out_of_reach(self) -> tuple[str, str] | None:
        """("infeasible", the best there is) if not even unlimited spending reaches the target within the caps."""
        target = self.scenario["target"]
        if target is None:
            return None
        limits = self.reach
        most = [np.array([min(limit, 1e30)]) for limit in (limits.params, limits.tokens, limits.samples)]
        best = float(measure(self.task, self.law, *most).value[0])
        if not self.aim.missed(target, best):
            return None
        capped = math.isfinite(min(limits.params, limits.tokens, limits.samples))
        return out_of_reach(target, best, what=self.aim.at_best, capped=capped)

    # --- What is solved -----------------------------------------------------------------------------------------------

    @property
    def reach(self) -> Limits:
        """What limits the models that are looked at beside the optimum."""
        return self.costing.within(self.limits)

    def constraints(self, most_samples: float) -> dict[str, Constraint]:
        """By the name of the field that sets the limit."""
        constraints, target = self.costing.budgets(), self.scenario["target"]
        if target is not None:
            constraints |= target_reached(self.task, target, higher_is_better=self.aim.higher_is_better)
        # A plain law gains nothing by more than one sample, and a budget for inference may leave k free.
        return constraints | caps(
            {
                "max_params": self.limits.params,
                "max_tokens": self.limits.tokens,
                "max_samples": min(most_samples, _NO_CAP) if self.aim.sampled else 1.0,
                **{name: infinite(self.scenario[name]) for name in OTHER_CAPS},
            }
        )

    def beyond(self, point: Point) -> str | None:
        """What this allocation is beyond of caps on something else than N, D and k; None where it is within them."""
        for name, constraint in caps({name: infinite(self.scenario[name]) for name in OTHER_CAPS}).items():
            if float(constraint.violation(jax.tree.map(jnp.log, Allocation(*point)))) > 1e-9:
                return name
        return None

    def solve(self, most_samples: float) -> Solution:
        constraints = list(self.constraints(most_samples).values())
        if self.scenario["target"] is not None:
            return minimize(self.costing.total, constraints, integer_samples=self.whole, throw=False)
        optimise = maximize if self.aim.higher_is_better else minimize
        return optimise(self.task, constraints, integer_samples=self.whole, throw=False)

    # --- With other coefficients --------------------------------------------------------------------------------------

    @property
    def named(self) -> Any:
        """The law or task that the scenario names."""
        return self.task if self.scenario["law"] is None else self.law

    def with_coefficients(self, named: Any) -> "Problem":
        """The same problem with another law or task of the same structure in place of the one that is named."""
        if self.scenario["law"] is None:
            return replace(self, task=named, law=named.law)
        task = named if self.scenario["G"] is None else eqx.tree_at(lambda task: task.law, self.task, named)
        return replace(self, task=task, law=named)

    def optimum_of(self, values: np.ndarray) -> dict[str, float] | None:
        """The optimum at these values of the fitted coefficients, None where there is none.

        The structure and the dtypes are the same: nothing is compiled again.
        """
        leaves, treedef = jax.tree.flatten(self.named)
        every = np.concatenate([np.ravel(np.asarray(leaf)) for leaf in leaves])
        every[[self.fitted.names.index(name) for name in self.fitted.free]] = values
        parts = np.split(every, np.cumsum([np.size(leaf) for leaf in leaves])[:-1])
        shaped = [np.reshape(one, np.shape(leaf)) for one, leaf in zip(parts, leaves, strict=True)]
        solution = self.with_coefficients(jax.tree.unflatten(treedef, shaped)).solve(self.limits.samples)
        return self.decided(solution) if bool(solution.ok) else None

    def decided(self, solution: Solution) -> dict[str, float]:
        """What has an interval: params, tokens, samples of a task, and the value."""
        n, d, k = where(solution)
        return {
            "params": n,
            "tokens": d,
            **({"samples": k} if self.aim.sampled else {}),
            "value": float(solution.value),
        }


def where(solution: Solution) -> Point:
    a = solution.allocation
    return float(a.params), float(a.tokens), float(a.samples)
