"""The algebra of a decision's quantities: `+`, `*`, `/` and `**`, and the constraints `<=`, `>=` and `==`.

A quantity is computed from the *logarithms* of the decision, so that 1e30 FLOPs are an ordinary number in float32 and
power laws are convex. Users rarely see that: calling a quantity takes and returns plain numbers.
"""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._io.text import human
from t2jax._numerics.logs import log_sum
from t2jax.quantities._declared import in_order
from t2jax.quantities._dependence import fields_read
from t2jax.quantities._powers import PowerTerm, multiplied
from t2jax.quantities._provenance import Provenance
from t2jax.quantities._scales import Curvature, Scale, is_array, is_number, is_traced

__all__ = ["Constraint", "Product", "Quantity", "Scaled", "compared"]


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

    @property
    def few_optima(self) -> bool:
        """Has no optimum under convex constraints ever been seen out of sight of another, though it is not convex?

        An observation, not a theorem: the search then begins with one start, and looks about from what it finds.
        """
        return False

    def power_terms(self) -> tuple[PowerTerm, ...] | None:
        """The sum of power laws of the coordinates that the quantity is; None where it is not known to be one."""
        return None

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that it depends on, by name: those of its power terms, else what a trace of it reads."""
        terms = self.power_terms()
        return fields_read(self) if terms is None else in_order(name for term in terms for name in term.exponents)

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
            if not (_monomial(self) and _monomial(factor)):
                raise TypeError("quantities multiply by numbers only: write the product of two as t2jax.quantity(fn)")
            return _product((self, 1.0), (factor, 1.0))
        if not is_number(factor):
            return NotImplemented
        factor = validate.positive(f"the factor of {self.label}", factor)
        return Scaled(self.quantity, self.factor * factor) if isinstance(self, Scaled) else Scaled(self, factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> "Quantity":
        if isinstance(divisor, Quantity):
            if self.scale is not Scale.LOG or not _monomial(divisor):
                raise TypeError(
                    f"{self.label} / {divisor.label}: quantities are divided by numbers and by products of powers such "
                    "as params only: write the ratio as t2jax.quantity(fn)"
                )
            return _product((self, 1.0), (divisor, -1.0))
        if not is_number(divisor):
            return NotImplemented
        return self * (1.0 / validate.positive(f"the divisor of {self.label}", divisor))

    def __rtruediv__(self, number: Any) -> "Quantity":
        if not is_number(number):
            return NotImplemented
        return self**-1.0 if isinstance(number, int | float) and number == 1 else self**-1.0 * number

    def __pow__(self, power: Any) -> "Quantity":
        if isinstance(power, bool) or not isinstance(power, int | float):
            return NotImplemented
        if not _monomial(self):
            raise TypeError(
                f"{self.label} is no product of powers, so it has none itself: write it as t2jax.quantity(fn)"
            )
        if not np.isfinite(power):
            raise ValueError(f"the power of {self.label} must be finite, got {power}")
        return _product((self, float(power)))

    def __le__(self, limit: Any) -> "Constraint":
        return compared(self, limit, upper=True)

    def __ge__(self, limit: Any) -> "Constraint":
        return compared(self, limit, upper=False)

    def __eq__(self, other: object) -> Any:
        """`quantity == number` is a constraint. So is `==` of two, unless they are the same one: then it is True."""
        if is_number(other):
            return compared(self, other, upper=True, equal=True)
        if not isinstance(other, Quantity):
            return NotImplemented
        same = eqx.tree_equal(self, other)
        if _probability(self, other) or (not is_traced(same) and bool(same)):
            return same
        return compared(self, other, upper=True, equal=True, of_two=True)

    __hash__ = eqx.Module.__hash__

    def __lt__(self, limit: Any) -> "Constraint":
        raise TypeError(f"{self.label} < … is not a closed constraint: use <= or >=")

    def __gt__(self, limit: Any) -> "Constraint":
        raise TypeError(f"{self.label} > … is not a closed constraint: use <= or >=")

    def __str__(self) -> str:
        return self.label


class Constraint(eqx.Module):
    """`quantity <= limit`, `quantity >= limit` or `quantity == limit`: at most, at least, or exactly that much."""

    quantity: Quantity
    limit: Float[Array, "..."]
    upper: bool = eqx.field(static=True)
    equal: bool = eqx.field(static=True)
    of_two: bool = eqx.field(static=True)  # `==` of two quantities, which Python, too, asks for: are they the same?

    def __init__(
        self, quantity: Quantity, limit: Any, upper: bool = True, *, equal: bool = False, of_two: bool = False
    ):
        if isinstance(limit, Quantity):
            raise TypeError(f"a constraint compares a quantity with a number, not {quantity.label} with {limit.label}")
        name = f"the limit of {quantity.label}"
        check = validate.positive if quantity.scale is Scale.LOG else validate.probability
        self.quantity, self.limit, self.upper = quantity, check(name, limit), upper
        self.equal, self.of_two = equal, of_two

    @property
    def label(self) -> str:
        return f"{self.quantity.label} {'==' if self.equal else '<=' if self.upper else '>='}"

    def violation(self, log: Any) -> Float[Array, "..."]:
        """How far beyond the limit, on the quantity's scale: at most 0 where the constraint holds, 0 of an equality."""
        excess = self.quantity.score(log) - self.quantity.scale.of_value(self.limit)
        return excess if self.upper else -excess

    @property
    def convex(self) -> bool:
        """Is the feasible set known to be convex in the logarithms?"""
        if self.equal or self.quantity.scale is not Scale.LOG:
            known = Curvature.AFFINE if self.equal or not self.upper else Curvature.CONVEX
            return self.quantity.curvature <= known
        bounded = self.quantity if self.upper else _product((self.quantity, -1.0))
        return bounded.curvature <= Curvature.CONVEX

    def __bool__(self) -> bool:
        if self.of_two:
            return False
        if self.equal:
            raise TypeError(f"`{self}` has no truth value: it is a constraint, for the list of them")
        raise TypeError(
            f"`{self}` has no truth value: write bounds on both sides as two constraints, "
            f"[{self.quantity.label} >= low, {self.quantity.label} <= high]"
        )

    def __str__(self) -> str:
        shown = human(float(self.limit)) if self.limit.ndim == 0 and not is_traced(self.limit) else "…"
        return f"{self.label} {shown}"


def compared(left: Quantity, right: Any, upper: bool, **how: Any) -> Constraint:
    """The constraint that compares two: of two quantities it is their ratio that is bounded, by a number."""
    if not isinstance(right, Quantity):
        return Constraint(left, right, upper, **how)
    if _probability(left, right):
        raise TypeError(f"a constraint compares a quantity with a number, not {left.label} with {right.label}")
    kinds = [leaf.dtype for leaf in jax.tree.leaves((left, right)) if is_array(leaf)]
    limit: Any = np.ones((), jnp.result_type(*kinds) if kinds else float)  # nobody asked for another precision
    if isinstance(right, Scaled):
        right, limit = right.quantity, right.factor
    if isinstance(left, Scaled):
        left, limit = left.quantity, limit / left.factor
    ratio = _product((left, 1.0), (right, -1.0))
    if not ratio.variables:
        raise ValueError(f"{left.label} is compared with itself: there is nothing to decide")
    return Constraint(ratio, limit, upper, **how)


def _probability(*quantities: Quantity) -> bool:
    return any(one.scale is not Scale.LOG for one in quantities)


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
    def variables(self) -> tuple[str, ...]:
        return self.quantity.variables

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
    def variables(self) -> tuple[str, ...]:
        return in_order(name for part in self.parts for name in part.variables)

    @property
    def label(self) -> str:
        return " + ".join(part.label for part in self.parts)


class Product(Quantity):
    """Powers of quantities, multiplied: `tokens / params`, `params**2 * tokens`, and the ratio of two that compare."""

    factors: tuple[Quantity, ...]
    powers: tuple[float, ...] = eqx.field(static=True)

    def score(self, log: Any) -> Float[Array, "..."]:
        logs = [one.log_value(log) for one in self.factors]
        total = self.powers[0] * logs[0]
        for power, one in zip(self.powers[1:], logs[1:], strict=True):
            total = total + power * one
        return total

    def power_terms(self) -> tuple[PowerTerm, ...] | None:
        """Those of its one sum, each times all else; None where there is more than one, or a sum is divided by."""
        sums: tuple[PowerTerm, ...] = (PowerTerm(1.0, 0.0, {}),)
        for factor, power in zip(self.factors, self.powers, strict=True):
            terms = factor.power_terms()
            if terms is None or (len(terms) > 1 and (power != 1.0 or len(sums) > 1)):
                return None
            sums = tuple(multiplied(one, other, power) for one in sums for other in terms)
        return sums

    @property
    def curvature(self) -> Curvature:
        known = Curvature.AFFINE
        for factor, power in zip(self.factors, self.powers, strict=True):
            bends = factor.curvature if factor.scale is Scale.LOG else Curvature.UNKNOWN
            known = max(known, bends if power > 0 or bends is Curvature.AFFINE else Curvature.UNKNOWN)
        return known if known <= Curvature.CONVEX else Curvature.UNKNOWN

    @property
    def variables(self) -> tuple[str, ...]:
        return in_order(name for factor in self.factors for name in factor.variables)

    @property
    def label(self) -> str:
        above, below = ([], [])
        for factor, power in zip(self.factors, self.powers, strict=True):
            base = f"({factor.label})" if isinstance(factor, Sum | Scaled) else factor.label
            (above if power > 0 else below).append(base if abs(power) == 1.0 else f"{base}**{abs(power):g}")
        return " / ".join([" * ".join(above) or "1", *below])


def _product(*powers_of: tuple[Quantity, float]) -> Quantity:
    """Quantities to these powers, multiplied. A number among them comes first; powers of one quantity are one."""
    numbers: list[Array] = []
    powers: dict[Any, tuple[Quantity, float]] = {}
    for quantity, power in powers_of:
        if isinstance(quantity, Scaled) and quantity.quantity.scale is Scale.LOG:
            numbers.append(quantity.factor**power)
            quantity = quantity.quantity
        inner = quantity if isinstance(quantity, Product) else Product((quantity,), (1.0,))
        for one, each in zip(inner.factors, inner.powers, strict=True):
            key = id(one) if jax.tree.leaves(one) else (type(one), one.label)  # a variable, whichever object says so
            powers[key] = one, powers.get(key, (one, 0.0))[1] + power * each
    kept = [(one, power) for one, power in powers.values() if power]
    product = Product(tuple(one for one, _ in kept), tuple(power for _, power in kept))
    if not kept:
        product = Constant(validate.positive("one", 1.0))
    elif len(kept) == 1 and kept[0][1] == 1.0:
        product = kept[0][0]
    return Scaled(product, jnp.asarray(math.prod(numbers))) if numbers else product


def _monomial(one: Quantity) -> bool:
    """Is it known to be a product of powers of the variables?"""
    terms = one.power_terms() if one.scale is Scale.LOG else None
    return terms is not None and len(terms) == 1


def _parts(one: Quantity) -> tuple[Quantity, ...]:
    return one.parts if isinstance(one, Sum) else (one,)


def _provenances_of(part: Any) -> tuple[Provenance, ...]:
    if isinstance(part, Provenance):
        return (part,)
    return part.provenances() if isinstance(part, Quantity) else ()
