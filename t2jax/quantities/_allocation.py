"""The decision (N, D, k) and the algebra of its quantities: `+`, `*` by a number, `<=`, `>=`.

A quantity is computed from the *logarithms* of the decision, so that 1e30 FLOPs are an ordinary number in float32 and
power laws are convex. Users rarely see that: calling a quantity takes and returns plain numbers.
"""

import abc
import enum
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._io.text import human
from t2jax._xla.logs import log, log_sum
from t2jax.quantities._powers import PowerTerm, coordinate
from t2jax.quantities._provenance import Provenance

__all__ = [
    "Allocation",
    "Constraint",
    "Coordinate",
    "Curvature",
    "Quantity",
    "Scale",
    "is_array",
    "is_number",
    "is_traced",
    "params",
    "samples",
    "tokens",
]


class Allocation(eqx.Module):
    """How much of each: the decision that every quantity is a function of.

    params: N, the number of model parameters. tokens: D, training tokens. samples: k, samples drawn per query, real.
    Each a positive number or an array of them, of shapes that broadcast. k ≥ 1 is implied wherever one is optimised.
    """

    params: Float[Array, "..."]
    tokens: Float[Array, "..."]
    samples: Float[Array, "..."]

    def __init__(self, params: Any, tokens: Any, samples: Any = 1.0):
        self.params = validate.positive("params", params)
        self.tokens = validate.positive("tokens", tokens)
        self.samples = validate.positive("samples", samples)

    @property
    def tokens_per_param(self) -> Float[Array, "..."]:
        """D / N. Chinchilla's rule of thumb is 20."""
        return self.tokens / self.params

    @staticmethod
    def lower_bounds() -> dict[str, float]:
        """What is implied for every decision of this kind: no query is answered with less than one sample."""
        return {"samples": 1.0}


class Curvature(enum.IntEnum):
    """What is known of a quantity's score as a function of the logarithms of the decision."""

    AFFINE = 0
    CONVEX = 1
    SINGLE = 2  # not convex, but under convex constraints with no better optimum out of sight, wherever anyone looked
    UNKNOWN = 3


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


class Quantity(eqx.Module):
    """A pure function from an allocation to a positive number, with its coefficients as leaves.

    Subclasses say `score`; where it is known they also say `curvature` and, for probabilities, `scale`.
    """

    __array_ufunc__ = None  # so that a NumPy number on the left leaves the operation to us

    @abc.abstractmethod
    def score(self, log: Any) -> Float[Array, "..."]:
        """The quantity on its `scale` (its logarithm unless said otherwise) where the decision has these logarithms."""

    @property
    def scale(self) -> Scale:
        return Scale.LOG

    @property
    def curvature(self) -> Curvature:
        return Curvature.UNKNOWN

    def power_terms(self) -> tuple[PowerTerm, ...] | None:
        """The sum of power laws of the coordinates that the quantity is; None where it is not known to be one."""
        return None

    @property
    def label(self) -> str:
        """What reports call it."""
        return type(self).__name__

    def provenances(self) -> tuple[Provenance, ...]:
        """Where the coefficients come from, for every part that says so."""
        return tuple(dict.fromkeys(p for part in self._inner() for p in _provenances_of(part)))

    def remarks(self, allocation: Any) -> tuple[str, ...]:
        """What is worth knowing of the quantity, or of its parts, at a single allocation: a sentence each."""
        every = (
            sentence for part in self._inner() if isinstance(part, Quantity) for sentence in part.remarks(allocation)
        )
        return tuple(dict.fromkeys(every))

    def _inner(self) -> list[Any]:
        fields = (getattr(self, name) for name in self.__dataclass_fields__)
        return [part for value in fields for part in (value if isinstance(value, tuple) else (value,))]

    def log_value(self, log: Any) -> Float[Array, "..."]:
        """The natural logarithm of the quantity where the decision has these logarithms."""
        return self.scale.to_log(self.score(log))

    def __call__(self, allocation: Any) -> Float[Array, "..."]:
        """The quantity at an allocation, in its own unit; broadcasts over the allocation's shapes."""
        return self.scale.to_value(self.score(jax.tree.map(jnp.log, allocation)))

    def __add__(self, other: Any) -> "Quantity":
        if isinstance(other, Quantity):
            return Sum((*_parts(self), *_parts(other)))
        if is_number(other):
            if isinstance(other, int | float) and other == 0:  # so that Python's sum() works
                return self
            return Sum((*_parts(self), Constant(validate.positive("an added constant", other))))
        return NotImplemented

    __radd__ = __add__

    def __mul__(self, factor: Any) -> "Quantity":
        if isinstance(factor, Quantity):
            raise TypeError("quantities multiply by numbers only: write the product of two as t2jax.quantity(fn)")
        if not is_number(factor):
            return NotImplemented
        factor = validate.positive(f"the factor of {self.label}", factor)
        return Scaled(self.quantity, self.factor * factor) if isinstance(self, Scaled) else Scaled(self, factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> "Quantity":
        if not is_number(divisor):
            return NotImplemented
        return self * (1.0 / validate.positive(f"the divisor of {self.label}", divisor))

    def __le__(self, limit: Any) -> "Constraint":
        return Constraint(self, limit, upper=True)

    def __ge__(self, limit: Any) -> "Constraint":
        return Constraint(self, limit, upper=False)

    def __lt__(self, limit: Any) -> "Constraint":
        raise TypeError(f"{self.label} < … is not a closed constraint: use <= or >=")

    def __gt__(self, limit: Any) -> "Constraint":
        raise TypeError(f"{self.label} > … is not a closed constraint: use <= or >=")

    def __str__(self) -> str:
        return self.label


class Constraint(eqx.Module):
    """`quantity <= limit` or `quantity >= limit`: at most, or at least, that much."""

    quantity: Quantity
    limit: Float[Array, "..."]
    upper: bool = eqx.field(static=True)

    def __init__(self, quantity: Quantity, limit: Any, upper: bool):
        if isinstance(limit, Quantity):
            raise TypeError(f"a constraint compares a quantity with a number, not {quantity.label} with {limit.label}")
        name = f"the limit of {quantity.label}"
        check = validate.positive if quantity.scale is Scale.LOG else validate.probability
        self.quantity, self.limit, self.upper = quantity, check(name, limit), upper

    @property
    def label(self) -> str:
        return f"{self.quantity.label} {'<=' if self.upper else '>='}"

    def violation(self, log: Any) -> Float[Array, "..."]:
        """How far beyond the limit, on the quantity's scale: at most 0 where the constraint holds."""
        excess = self.quantity.score(log) - self.quantity.scale.of_value(self.limit)
        return excess if self.upper else -excess

    @property
    def convex(self) -> bool:
        """Is the feasible set known to be convex in the logarithms?"""
        return self.quantity.curvature is Curvature.AFFINE or (
            self.upper and self.quantity.curvature is Curvature.CONVEX
        )

    def __bool__(self) -> bool:
        raise TypeError(
            f"`{self}` has no truth value: write bounds on both sides as two constraints, "
            f"[{self.quantity.label} >= low, {self.quantity.label} <= high]"
        )

    def __str__(self) -> str:
        shown = human(float(self.limit)) if self.limit.ndim == 0 and not is_traced(self.limit) else "…"
        return f"{self.label} {shown}"


class Coordinate(Quantity):
    """One coordinate of the decision, by the name of its field; `samples[3]` where a portfolio has one k per task."""

    name: str = eqx.field(static=True)

    def score(self, log: Any) -> Float[Array, "..."]:
        if not hasattr(log, self.name.partition("[")[0]):
            raise TypeError(f"{type(log).__name__} has no coordinate {self.name!r}")
        return coordinate(log, self.name)

    def __getitem__(self, element: int) -> "Coordinate":
        if isinstance(element, bool) or not isinstance(element, int) or element < 0 or "[" in self.name:
            raise TypeError(f"{self.name}[i] takes a whole number of at least 0, got {element!r}")
        return Coordinate(f"{self.name}[{element}]")

    __iter__ = None  # elements have names, but no end

    def power_terms(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(1.0, 0.0, {self.name: 1.0}),)

    @property
    def curvature(self) -> Curvature:
        return Curvature.AFFINE

    @property
    def label(self) -> str:
        return self.name


params = Coordinate("params")
tokens = Coordinate("tokens")
samples = Coordinate("samples")


class Constant(Quantity):
    """The same everywhere: a fixed overhead."""

    value: Float[Array, "..."]

    def score(self, log: Any) -> Float[Array, "..."]:
        return jnp.log(self.value)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(1.0, jnp.log(self.value), {}),)

    @property
    def curvature(self) -> Curvature:
        return Curvature.AFFINE

    @property
    def label(self) -> str:
        return "constant" if self.value.ndim or is_traced(self.value) else human(float(self.value))


class Scaled(Quantity):
    """A quantity times a number."""

    quantity: Quantity
    factor: Float[Array, "..."]

    def score(self, log: Any) -> Float[Array, "..."]:
        return jnp.log(self.factor) + self.quantity.log_value(log)

    def power_terms(self) -> tuple[PowerTerm, ...] | None:
        terms, times = self.quantity.power_terms(), jnp.log(self.factor)
        return None if terms is None else tuple(one._replace(log_factor=one.log_factor + times) for one in terms)

    @property
    def curvature(self) -> Curvature:
        return self.quantity.curvature if self.quantity.scale is Scale.LOG else Curvature.UNKNOWN

    @property
    def label(self) -> str:
        times = "factor" if self.factor.ndim or is_traced(self.factor) else human(float(self.factor))
        inner = f"({self.quantity.label})" if isinstance(self.quantity, Sum) else self.quantity.label
        return f"{times} * {inner}"


class Sum(Quantity):
    """Quantities added up."""

    parts: tuple[Quantity, ...]

    def score(self, log: Any) -> Float[Array, "..."]:
        logs = [part.log_value(log) for part in self.parts]
        return log_sum(*[(1.0, one) for one in logs])

    def power_terms(self) -> tuple[PowerTerm, ...] | None:
        every = [part.power_terms() for part in self.parts]
        known = [terms for terms in every if terms is not None]
        return tuple(term for terms in known for term in terms) if len(known) == len(every) else None

    @property
    def curvature(self) -> Curvature:
        # log-sum-exp of convex functions is convex; a probability's logarithm is another function than its score.
        known = all(part.scale is Scale.LOG for part in self.parts)
        return max(Curvature.CONVEX, *(part.curvature for part in self.parts)) if known else Curvature.UNKNOWN

    @property
    def label(self) -> str:
        return " + ".join(part.label for part in self.parts)


def _parts(one: Quantity) -> tuple[Quantity, ...]:
    return one.parts if isinstance(one, Sum) else (one,)


def _provenances_of(part: Any) -> tuple[Provenance, ...]:
    if isinstance(part, Provenance):
        return (part,)
    return part.provenances() if isinstance(part, Quantity) else ()


def is_number(value: Any) -> bool:
    """A Python number, or an array of any shape."""
    return not isinstance(value, bool | str) and (isinstance(value, int | float) or hasattr(value, "dtype"))


def is_array(value: Any) -> bool:
    """An array of JAX or NumPy, traced or not, or one number of NumPy's."""
    return isinstance(value, jax.Array | np.ndarray | np.generic)


def is_traced(value: Any) -> bool:
    """Is it known only once a compiled program runs?"""
    return isinstance(value, jax.core.Tracer)
