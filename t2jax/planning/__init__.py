"""Scenario → plan: its fields and rules, the problem, and tables of thousands. Fields and rules load no JAX."""

from typing import TYPE_CHECKING

from t2jax._io.lazy import attach

if TYPE_CHECKING:
    from t2jax.planning._batch import plan_batch as plan_batch
    from t2jax.planning._rules import break_even_tokens as break_even_tokens
    from t2jax.planning._rules import capacity_floor as capacity_floor
    from t2jax.planning._rules import compute_overhead as compute_overhead
    from t2jax.planning._rules import inference_aware_optimum as inference_aware_optimum
    from t2jax.planning._rules import inference_factor as inference_factor
    from t2jax.planning._rules import overtraining_ratio as overtraining_ratio
    from t2jax.planning._rules import serving_years as serving_years

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_batch": ("plan_batch",),
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
