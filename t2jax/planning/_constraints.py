"""The limits of a plan as constraints, by the name of the field that sets each: one plan's numbers, or traced ones."""

import math
from collections.abc import Mapping
from typing import Any

from t2jax.planning._fields import field
from t2jax.quantities import Constraint, Quantity

__all__ = ["caps", "spending_limits", "target_reached"]


def spending_limits(costs: Mapping[str, Quantity | None], limits: Mapping[str, Any]) -> dict[str, Constraint]:
    """Budgets on what is spent: of the costs that there are, those that have a finite limit."""
    return {
        name: cost <= limits[name]
        for name, cost in costs.items()
        if cost is not None and name in limits and not _infinite(limits[name])
    }


def target_reached(quality: Quantity, target: Any, *, higher_is_better: bool) -> dict[str, Constraint]:
    return {"target": quality >= target if higher_is_better else quality <= target}


def caps(limits: Mapping[str, Any]) -> dict[str, Constraint]:
    """Those of the table of fields, where they are finite."""
    rows = ((name, field(name).constraint) for name in limits)
    return {
        name: constraint(limits[name])
        for name, constraint in rows
        if constraint is not None and not _infinite(limits[name])
    }


def _infinite(limit: Any) -> bool:
    """Is it no limit? A traced number is one, whatever its value."""
    return isinstance(limit, float) and math.isinf(limit)
