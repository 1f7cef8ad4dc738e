"""Equality as a constraint, between two quantities or a quantity and a number."""

from typing import Any

from t2jax.quantities._quantity import Constraint, Quantity, compared
from t2jax.quantities._scales import is_number

__all__ = ["equal"]


def equal(left: Any, right: Any) -> Constraint:
    """The constraint that two quantities, or a quantity and a number, are equal.

    ```python
    t2.equal(t2.tokens, 20 * t2.params)
    t2.tokens / t2.params == 20
    ```

    Between products of powers, as of `params` and `tokens`, it leaves a convex problem convex. Others, as a loss that
    is to be 2, are searched for like any problem that is not, and the solution says so. Its price, d value / d log of
    the right side, has either sign.
    Raises TypeError for what is neither a quantity nor a number, and for probabilities on both sides.
    """
    if not isinstance(left, Quantity):
        left, right = right, left
    if not isinstance(left, Quantity) or not (isinstance(right, Quantity) or is_number(right)):
        raise TypeError(f"equal takes a quantity and another or a number, got {left!r} and {right!r}")
    return compared(left, right, upper=True, equal=True)
