"""A function of positive numbers, evaluated from their logarithms: its powers become exponentials.

On a CPU XLA's power of float64 takes twelve times as long as its exponential, and each derivative is another power.
Where the logarithm of the base is known, as that of every coordinate of a decision is, x^y is exp(y·log x), and so are
its derivatives.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

__all__ = ["evaluated", "from_logs"]


def from_logs(fn: Callable[[Any], Any], logs: Any) -> Any:
    """fn(exp(logs)), for a traceable fn from a tree of arrays to one array; logs: that tree, of any shapes.

    Logarithms are known of the arguments, of their products, quotients, powers and roots, of positive numbers in the
    source, and of all these reshaped or stacked.
    """
    values = jax.tree.map(jnp.exp, logs)
    # A function of its own: JAX 0.10 compares those it has traced with `==`, which a module answers by its arrays.
    closed = jax.make_jaxpr(lambda values: fn(values))(values)
    known = list(zip(jax.tree.leaves(values), jax.tree.leaves(logs), strict=True))
    ((value, _),) = evaluated(closed.jaxpr, closed.consts, known)
    return value


_Known = tuple[Any, Any]
"""A value, and its logarithm or None."""

_POWERS = {"cbrt": 1 / 3, "rsqrt": -0.5, "sqrt": 0.5, "square": 2.0}
_SHAPING = {"broadcast_in_dim", "concatenate", "convert_element_type", "copy", "expand_dims", "reshape", "slice"}
_SHAPING |= {"squeeze", "stack", "transpose"}


def evaluated(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[_Known]) -> list[_Known]:
    """What a traced function returns: each of its values, and its logarithm where that is known."""
    known: dict[Any, _Known] = dict(zip(jaxpr.constvars, ((a, None) for a in constants), strict=True))
    known |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> _Known:
        return _of_number(atom.val) if isinstance(atom, core.Literal) else known[atom]

    for equation in jaxpr.eqns:
        found = _applied(equation, [read(atom) for atom in equation.invars])
        known |= dict(zip(equation.outvars, found, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _of_number(number: Any) -> _Known:
    positive = jnp.ndim(number) == 0 and jnp.issubdtype(jnp.result_type(number), jnp.floating) and number > 0
    return number, jnp.asarray(math.log(number), jnp.result_type(number)) if positive else None


def _applied(equation: Any, operands: Sequence[_Known]) -> list[_Known]:
    primitive, params = equation.primitive, equation.params
    values, logs = [value for value, _ in operands], [log for _, log in operands]
    if primitive.name in ("jit", "pjit"):
        return evaluated(params["jaxpr"].jaxpr, params["jaxpr"].consts, operands)

    def usual() -> Any:
        return primitive.bind(*values, **primitive.get_bind_params(params))

    def exponential(log: Any) -> list[_Known]:
        return [(jnp.exp(log), log)]

    match primitive.name, logs:
        case "pow", (jax.Array() as log, _):
            return exponential(jnp.asarray(values[1], log.dtype) * log)
        case "integer_pow", (jax.Array() as log,):
            return exponential(params["y"] * log)
        case name, (jax.Array() as log,) if name in _POWERS:
            return exponential(_POWERS[name] * log)
        case "mul", (jax.Array() as a, jax.Array() as b):
            return [(usual(), a + b)]
        case "div", (jax.Array() as a, jax.Array() as b):
            return [(usual(), a - b)]
        case "exp", _:
            return [(usual(), values[0])]
        case "log", (jax.Array() as log,):
            return [(log, None)]
        case name, _ if name in _SHAPING and all(log is not None for log in logs):
            return [(usual(), primitive.bind(*logs, **params))]
        case _:
            found = usual()
            return [(one, None) for one in (found if primitive.multiple_results else [found])]
