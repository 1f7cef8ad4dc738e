"""Sums of power laws, c·xᵃ·yᵇ + …: what most losses and costs are, and what the optimiser has a shortcut for."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._numerics.logs import log, log_sum
from t2jax.quantities._scales import is_known_zero

__all__ = ["PowerTerm", "coordinate", "log_of_sum", "log_shares", "merged", "multiplied"]


def coordinate(logs: Any, name: str) -> Any:
    """A decision's coordinate by its name, which may be that of an element: "params", "samples[3]"."""
    field, _, element = name.partition("[")
    value = getattr(logs, field)
    return value[..., int(element.rstrip("]"))] if element else value


class PowerTerm(NamedTuple):
    """c · e^z · Π xᵢ^aᵢ of the decision's coordinates xᵢ, by name.

    coefficient: c ≥ 0. log_factor: z, for factors that are positive and may be large. exponents: a plain number where
    nothing can change it, as the 1 of N in 6·N·D.
    """

    coefficient: Any
    log_factor: Any
    exponents: dict[str, Any]

    def log_rest(self, logs: Any) -> Any:
        """z + Σ aᵢ·log xᵢ: the logarithm of all but the coefficient."""
        total = self.log_factor
        for name, exponent in self.exponents.items():
            total = total + exponent * coordinate(logs, name)
        return total


def log_of_sum(terms: Sequence[PowerTerm], logs: Any) -> Float[Array, "..."]:
    """The logarithm of the sum where the decision has these logarithms."""
    if len(terms) == 1:  # a monomial is linear in logarithms
        return log(terms[0].coefficient) + terms[0].log_rest(logs)
    return log_sum(*((term.coefficient, term.log_rest(logs)) for term in terms))


def log_shares(terms: Sequence[PowerTerm], logs: Any) -> tuple[Float[Array, "..."], list[Float[Array, "..."]]]:
    """(log of the sum, each term's share of it): shares are the sum's slopes, exponents apart."""
    rests = [term.log_rest(logs) for term in terms]
    shift = rests[0]
    for rest in rests[1:]:
        shift = jnp.maximum(shift, rest)
    shift = jax.lax.stop_gradient(shift)
    sizes = [term.coefficient * jnp.exp(rest - shift) for term, rest in zip(terms, rests, strict=True)]
    total = sum(sizes)
    return shift + log(total), [size / total for size in sizes]


def merged(terms: Sequence[PowerTerm]) -> list[PowerTerm]:
    """The same sum with terms of equal, fixed exponents added up: two workloads of one model are one.

    Terms whose coefficient is known to be 0 (`is_known_zero`), as that of prompts of no tokens, are left out.
    """
    found: dict[Any, PowerTerm] = {}
    for term in terms:
        if is_known_zero(term.coefficient):
            continue
        fixed = all(isinstance(a, int | float) for a in term.exponents.values())
        key = tuple(sorted(term.exponents.items())) if fixed else id(term)
        if key in found:
            first = found[key]
            shift = jax.lax.stop_gradient(jnp.maximum(first.log_factor, term.log_factor))
            both = [one.coefficient * jnp.exp(one.log_factor - shift) for one in (first, term)]
            term = PowerTerm(both[0] + both[1], shift, term.exponents)
        found[key] = term
    return list(found.values())


def multiplied(one: PowerTerm, other: PowerTerm, power: float) -> PowerTerm:
    """A term times another to a power; a coefficient of the other's is above 0 unless the power is 1."""
    exponents = dict(one.exponents)
    for name, exponent in other.exponents.items():
        exponents[name] = exponents.get(name, 0.0) + power * exponent
    if power == 1.0:
        return PowerTerm(one.coefficient * other.coefficient, one.log_factor + other.log_factor, exponents)
    return PowerTerm(
        one.coefficient, one.log_factor + power * (jnp.log(other.coefficient) + other.log_factor), exponents
    )
