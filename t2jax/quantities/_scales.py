"""What is known of a quantity as a function of the logarithms of the decision: its scale, and how it bends."""

import enum
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._numerics.logs import log

__all__ = ["Curvature", "Scale", "is_array", "is_known_zero", "is_number", "is_traced", "known_zero"]


class Curvature(enum.IntEnum):
    """What is known of a quantity's score as a function of the logarithms of the decision."""

    AFFINE = 0
    CONVEX = 1
    UNKNOWN = 2


class Scale(enum.Enum):
    """The scale a quantity is optimised on: its logarithm, or its log odds where it is a probability.

    Log odds never saturate: 1 − 1e-12 is as good a number as 1e-12.
    """

    LOG = "log"
    LOG_ODDS = "log odds"

    def of_value(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Value → score."""
        return log(value) if self is Scale.LOG else log(value) - jnp.log1p(-value)

    def to_value(self, score: Float[Array, "..."]) -> Float[Array, "..."]:
        """Score → value."""
        return jnp.exp(score) if self is Scale.LOG else jax.nn.sigmoid(score)

    def to_log(self, score: Float[Array, "..."]) -> Float[Array, "..."]:
        """Score → log value."""
        return score if self is Scale.LOG else jax.nn.log_sigmoid(score)


def is_number(value: Any) -> bool:
    """A Python number, or an array of any shape."""
    return not isinstance(value, bool | str) and (isinstance(value, int | float) or hasattr(value, "dtype"))


def is_array(value: Any) -> bool:
    """An array of JAX or NumPy, traced or not, or one number of NumPy's."""
    return isinstance(value, jax.Array | np.ndarray | np.generic)


def is_traced(value: Any) -> bool:
    """Is it known only once a compiled program runs?"""
    return isinstance(value, jax.core.Tracer)


def known_zero(dtype: Any) -> Any:
    """A 0 that a program which is being compiled knows, unlike what is an argument of it.

    Sums of powers leave out terms with such a coefficient (`merged`), as that of prompts of no tokens.
    """
    return np.zeros((), dtype)[()]


def is_known_zero(value: Any) -> bool:
    """Is it one real number that is 0, and known to be so before any program runs? As `known_zero` is."""
    is_one = not is_traced(value) and eqx.is_inexact_array_like(value) and not np.ndim(value)
    return is_one and not np.asarray(value)
