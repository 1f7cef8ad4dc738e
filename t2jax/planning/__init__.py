"""Scenario → plan: its fields and rules, the problem, and tables of thousands. Fields and rules load no JAX."""

from typing import TYPE_CHECKING

from t2jax._io.lazy import attach

if TYPE_CHECKING:
    from t2jax._io.usage import UsageError as UsageError
    from t2jax.planning._batch import plan_batch as plan_batch
    from t2jax.planning._bill import Bill as Bill, bill as bill
    from t2jax.planning._field import Field as Field
    from t2jax.planning._fields import add_field as add_field
    from t2jax.planning._frontier import Frontier as Frontier, frontier as frontier
    from t2jax.planning._plan import Plan as Plan, plan as plan
    from t2jax.planning._rules import (
        break_even_tokens as break_even_tokens,
        capacity_floor as capacity_floor,
        compute_overhead as compute_overhead,
        inference_aware_optimum as inference_aware_optimum,
        inference_factor as inference_factor,
        overtraining_ratio as overtraining_ratio,
        serving_years as serving_years,
    )

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_batch": ("plan_batch",),
        "_bill": ("Bill", "bill"),
        "_field": ("Field",),
        "_fields": ("add_field",),
        "_frontier": ("Frontier", "frontier"),
        "_plan": ("Plan", "plan"),
        "_scenario": ("UsageError",),
        "_rules": (
            "break_even_tokens",
            "capacity_floor",
            "compute_overhead",
            "inference_aware_optimum",
            "inference_factor",
            "overtraining_ratio",
            "serving_years",
        ),
    },
)
