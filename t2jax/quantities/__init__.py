"""The algebra: decisions, quantities of a decision, constraints, sources of coefficients, and equations in print."""

from typing import TYPE_CHECKING

from t2jax._io.lazy import attach

if TYPE_CHECKING:
    from t2jax.quantities._allocation import Allocation as Allocation
    from t2jax.quantities._allocation import Constraint as Constraint
    from t2jax.quantities._allocation import Coordinate as Coordinate
    from t2jax.quantities._allocation import Curvature as Curvature
    from t2jax.quantities._allocation import Quantity as Quantity
    from t2jax.quantities._allocation import Scale as Scale
    from t2jax.quantities._allocation import Scaled as Scaled
    from t2jax.quantities._allocation import is_array as is_array
    from t2jax.quantities._allocation import is_number as is_number
    from t2jax.quantities._allocation import is_traced as is_traced
    from t2jax.quantities._allocation import params as params
    from t2jax.quantities._allocation import samples as samples
    from t2jax.quantities._allocation import tokens as tokens
    from t2jax.quantities._custom import Custom as Custom
    from t2jax.quantities._custom import quantity as quantity
    from t2jax.quantities._equations import Equation as Equation
    from t2jax.quantities._equations import Say as Say
    from t2jax.quantities._equations import equation_of as equation_of
    from t2jax.quantities._equations import law_parts as law_parts
    from t2jax.quantities._equations import minus as minus
    from t2jax.quantities._equations import plus as plus
    from t2jax.quantities._powers import PowerTerm as PowerTerm
    from t2jax.quantities._powers import log_of_sum as log_of_sum
    from t2jax.quantities._powers import log_shares as log_shares
    from t2jax.quantities._powers import merged as merged
    from t2jax.quantities._provenance import Provenance as Provenance
    from t2jax.quantities._provenance import Range as Range

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_allocation": (
            "Allocation",
            "Constraint",
            "Coordinate",
            "Curvature",
            "Quantity",
            "Scale",
            "Scaled",
            "is_array",
            "is_number",
            "is_traced",
            "params",
            "samples",
            "tokens",
        ),
        "_custom": (
            "Custom",
            "quantity",
        ),
        "_equations": (
            "Equation",
            "Say",
            "equation_of",
            "law_parts",
            "minus",
            "plus",
        ),
        "_powers": (
            "PowerTerm",
            "log_of_sum",
            "log_shares",
            "merged",
        ),
        "_provenance": (
            "Provenance",
            "Range",
        ),
    },
)
