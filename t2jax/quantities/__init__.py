"""The algebra: decisions, quantities of a decision, constraints, sources of coefficients, and equations in print."""

from typing import TYPE_CHECKING

from t2jax._io.lazy import attach

if TYPE_CHECKING:
    from t2jax.quantities._allocation import (
        Allocation as Allocation,
        Constraint as Constraint,
        Coordinate as Coordinate,
        Curvature as Curvature,
        Quantity as Quantity,
        Scale as Scale,
        Scaled as Scaled,
        is_array as is_array,
        is_number as is_number,
        is_traced as is_traced,
        params as params,
        samples as samples,
        tokens as tokens,
    )
    from t2jax.quantities._custom import Custom as Custom, quantity as quantity
    from t2jax.quantities._equations import (
        Equation as Equation,
        Say as Say,
        equation_of as equation_of,
        law_parts as law_parts,
        minus as minus,
        plain_equation as plain_equation,
        plus as plus,
    )
    from t2jax.quantities._powers import (
        PowerTerm as PowerTerm,
        log_of_sum as log_of_sum,
        log_shares as log_shares,
        merged as merged,
    )
    from t2jax.quantities._provenance import Provenance as Provenance, Range as Range

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
            "plain_equation",
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
