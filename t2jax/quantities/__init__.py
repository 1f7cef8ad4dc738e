"""The algebra: decisions, quantities of a decision, constraints, sources of coefficients, and equations in print."""

from typing import TYPE_CHECKING

from t2jax._io.lazy import attach

if TYPE_CHECKING:
    from t2jax.quantities._allocation import Allocation as Allocation, name_of as name_of
    from t2jax.quantities._custom import Custom as Custom, quantity as quantity
    from t2jax.quantities._declared import (
        USUAL as USUAL,
        Declaration as Declaration,
        declaration as declaration,
        declared as declared,
        field_of as field_of,
        in_order as in_order,
        undeclared as undeclared,
    )
    from t2jax.quantities._equal import equal as equal
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
    from t2jax.quantities._quantity import (
        Constraint as Constraint,
        Product as Product,
        Quantity as Quantity,
        Scaled as Scaled,
    )
    from t2jax.quantities._scales import (
        Curvature as Curvature,
        Scale as Scale,
        is_array as is_array,
        is_known_zero as is_known_zero,
        is_number as is_number,
        is_traced as is_traced,
        known_zero as known_zero,
    )
    from t2jax.quantities._variables import Variable as Variable, params as params, samples as samples, tokens as tokens

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_allocation": (
            "Allocation",
            "name_of",
        ),
        "_custom": (
            "Custom",
            "quantity",
        ),
        "_declared": (
            "USUAL",
            "Declaration",
            "declaration",
            "declared",
            "field_of",
            "in_order",
            "undeclared",
        ),
        "_equal": ("equal",),
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
        "_quantity": (
            "Constraint",
            "Product",
            "Quantity",
            "Scaled",
        ),
        "_scales": (
            "Curvature",
            "Scale",
            "is_array",
            "is_known_zero",
            "is_number",
            "is_traced",
            "known_zero",
        ),
        "_variables": (
            "Variable",
            "params",
            "samples",
            "tokens",
        ),
    },
)
