"""A KKT point: the one record of where a method is, or ended, that all methods and what is said of them share."""

from typing import NamedTuple

from t2jax._numerics.dense import Scalar, Vector

__all__ = ["Binds", "Box", "Point"]


class Box(NamedTuple):
    """lower ≤ x ≤ upper, all finite. A variable that is not `free` stays where it starts, and so does one that nothing
    depends on."""

    lower: Vector
    upper: Vector
    free: Vector


class Binds(NamedTuple):
    """What is taken to bind: each constraint, each variable's lower and its upper bound."""

    active: Vector
    at_lower: Vector
    at_upper: Vector


class Point(NamedTuple):
    """Variables and prices, and how well they meet the KKT conditions; all of it evaluated at this x.

    residual: the largest violation of any condition. violation: that of constraints and bounds alone.
    """

    x: Vector
    multipliers: Vector
    binds: Binds
    value: Scalar
    violations: Vector  # of each constraint: g ≤ 0 where it holds
    slopes: Vector  # of the Lagrangian
    residual: Scalar
    violation: Scalar
