"""Users' functions as the programs that they trace to: functions of one program are one and the same.

A program's identity is what it computes: its operations in order, what each reads, and every number in it. Numbers in
arrays that a function closes over are arguments where they have the problem's precision, so they do not count.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, Float

from t2jax._xla.from_logs import evaluated
from t2jax.quantities._quantity import Quantity
from t2jax.quantities._scales import Curvature, Scale

__all__ = ["Program", "Traced"]


class Program:
    """A traced function of arrays. Programs that compute the same are equal."""

    def __init__(self, jaxpr: Any, lifted: Sequence[int]):
        self.jaxpr = jaxpr
        self.lifted = tuple(lifted)  # which constants are arguments
        held = [None if i in self.lifted else one for i, one in enumerate(jaxpr.consts)]
        self.key = (_of_jaxpr(jaxpr.jaxpr), _of(held), self.lifted)
        self._hash = hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Program) and self._hash == other._hash
        return self is other or (same and self.key == other.key)

    def __call__(self, constants: Sequence[Any], arguments: Sequence[tuple[Any, Any]]) -> Array:
        """The value, of arguments that are each a value and its logarithm or None."""
        fresh = iter(constants)
        consts = [next(fresh) if i in self.lifted else one for i, one in enumerate(self.jaxpr.consts)]
        ((value, _),) = evaluated(self.jaxpr.jaxpr, consts, arguments)
        return value


class Traced(Quantity):
    """A user's function of an allocation, by its program; what it is called is left to the function."""

    program: Program = eqx.field(static=True)
    constants: tuple[Any, ...]  # arrays that it closes over
    arrays: tuple[Any, ...]  # and those that are its leaves
    on: Scale = eqx.field(static=True)
    bends: Curvature = eqx.field(static=True)

    def score(self, log: Any) -> Float[Array, "..."]:
        logs = jax.tree.leaves(log)
        arguments = [*((one, None) for one in self.arrays), *((jnp.exp(one), one) for one in logs)]
        return self.on.of_value(self.program(self.constants, arguments))

    @property
    def scale(self) -> Scale:
        return self.on

    @property
    def curvature(self) -> Curvature:
        return self.bends

    @property
    def label(self) -> str:
        return "a user's function"  # whose name is no part of the program that functions alike share


# What a program is, as something to compare: variables are numbered as they come.


def _of_jaxpr(jaxpr: Any) -> Hashable:
    number: dict[Any, int] = {}

    def named(variables: Sequence[Any]) -> tuple[Hashable, ...]:
        for one in variables:
            number[one] = len(number)
        return tuple(one.aval for one in variables)

    def read(atom: Any) -> Hashable:
        return (_of(atom.val), atom.aval) if isinstance(atom, core.Literal) else number[atom]

    inputs = named([*jaxpr.constvars, *jaxpr.invars]), len(jaxpr.constvars)
    equations = []
    for one in jaxpr.eqns:
        operands = tuple(map(read, one.invars))
        equations.append((one.primitive, operands, named(one.outvars), _of(one.params)))
    return inputs, tuple(equations), tuple(map(read, jaxpr.outvars))


def _of(value: Any) -> Hashable:
    """What is equal only where the value is, to the last bit and of one type. What is not known is equal to itself."""
    match value:
        case core.Jaxpr() | core.ClosedJaxpr():
            return _of_jaxpr(getattr(value, "jaxpr", value)), _of(getattr(value, "consts", ()))
        case dict():
            return tuple((name, _of(one)) for name, one in sorted(value.items()))
        case tuple() | list():
            return type(value), tuple(map(_of, value))
        case float() | complex():
            return type(value), repr(value)
        case np.ndarray() | np.generic() | jax.Array() if not isinstance(value, jax.core.Tracer):
            numbers = np.asarray(value)
            return type(value), numbers.shape, numbers.dtype, numbers.tobytes()
        case Hashable():
            return type(value), value
        case _:
            return _Itself(value)


class _Itself:
    """Equal where it is the very same object, which lives as long as this does."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.value is self.value
