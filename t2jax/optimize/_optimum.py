"""Where a search ended, whatever the method."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector

__all__ = ["Optimum", "tolerance"]


class Optimum(NamedTuple):
    """Where the search ended. The first five carry derivatives; the rest are flags and figures, as floats."""

    x: Vector
    multipliers: Vector
    value: Scalar
    violations: Vector
    slopes: Vector
    active: Vector
    at_lower: Vector
    at_upper: Vector
    free: Vector
    relevant: Vector
    residual: Scalar
    violation: Scalar
    unbounded: Vector  # of each variable: does nothing limit what it gains?
    steps: Scalar


def tolerance(dtype: Any) -> float:
    """The largest KKT residual, and violation of a constraint on its log scale, that counts as solved."""
    return 1e-8 if dtype == jnp.float64 else 1e-3
