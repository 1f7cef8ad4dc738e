"""Where a search ended, whatever the method."""

from typing import NamedTuple

from t2jax._numerics.dense import Scalar, Vector
from t2jax.optimize.methods._point import Point

__all__ = ["Optimum"]


class Optimum(NamedTuple):
    """The best point, and what is known of its variables. Flags are floats here, as derivative rules take no others."""

    point: Point
    free: Vector  # is the variable where its slope says, not at a bound?
    relevant: Vector  # does anything depend on it?
    unbounded: Vector  # does nothing limit what it gains?
    steps: Scalar
