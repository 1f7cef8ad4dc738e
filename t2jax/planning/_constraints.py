"""The limits of a plan as constraints, by the name of the field that sets each: one plan's numbers, or traced ones."""

import math
from collections.abc import Mapping
from typing import Any

from t2jax.quantities import Constraint, Quantity, params, samples, tokens

__all__ = ["CAPS", "caps", "spending_limits", "target_reached"]

CAPS = {"max_params": params, "max_tokens": tokens, "max_samples": samples}
"""What each cap is on."""


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
    """On N, D and k, where they are finite."""
    return {name: of <= limits[name] for name, of in CAPS.items() if name in limits and not _infinite(limits[name])}


def _infinite(limit: Any) -> bool:
    """Is it no limit? A traced number is one, whatever its value."""
    return isinstance(limit, float) and math.isinf(limit)
