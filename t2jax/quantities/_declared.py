"""What is known of each variable that may be decided on, by its name. Loads no JAX, so that lists of them are quick."""

import keyword
import math
from collections.abc import Iterable
from dataclasses import dataclass

from t2jax._io.usage import meant

__all__ = [
    "USUAL",
    "Declaration",
    "declaration",
    "declare",
    "declare_again",
    "declared",
    "field_of",
    "in_order",
    "symbol_of",
    "undeclared",
]


@dataclass(frozen=True)
class Declaration:
    """A variable of a decision: a positive number that quantities depend on.

    name: the field of the decision that it is. symbol: the letter in equations, such as N. unit: what it is counted in;
    empty where the name says that. lower: what it is implied to be at least, wherever it is optimised; None if only
    positive. start: where a search begins. integer: is it a whole number wherever it is optimised?
    """

    name: str
    symbol: str
    unit: str
    lower: float | None
    start: float
    integer: bool


USUAL = (
    Declaration("params", "N", "", None, 1e9, False),
    Declaration("tokens", "D", "", None, 2e10, False),
    Declaration("samples", "k", "", 1.0, 16.0, False),  # no query is answered with less than one sample
)
"""The variables of every `Allocation`, in its order."""

_DECLARED = {one.name: one for one in USUAL}
_TAKEN = ("others", "tokens_per_param", "lower_bounds")  # what an `Allocation` calls something else


def declare(
    name: str, symbol: str | None, unit: str, lower: float | None, start: float | None, integer: bool
) -> Declaration:
    """Take note of a variable. Declared again, as where a cell of a notebook is run again, the last one counts."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise ValueError(f"a variable's name must be a name such as 'thinking_tokens', got {name!r}")
    if name in _TAKEN:
        raise ValueError(f"{name!r} is no name for a variable: an Allocation calls something else that")
    for what, text in (("symbol", symbol), ("unit", unit)):
        if text is not None and not isinstance(text, str):
            raise TypeError(f"the {what} of {name} must be text, got {text!r}")
    if not isinstance(integer, bool):
        raise TypeError(f"integer of {name} must be True or False, got {integer!r}")
    least = None if lower is None else _positive(f"the lower bound of {name}", lower)
    begin = max(1.0, 10.0 * (least or 0.0)) if start is None else _positive(f"the start of {name}", start)
    if least is not None and begin < least:
        raise ValueError(f"the start of {name}, {begin:g}, is below its lower bound {least:g}")
    one = Declaration(name, symbol or name, unit, least, begin, integer)
    if name in (usual.name for usual in USUAL) and one != _DECLARED[name]:
        raise ValueError(f"{name} is declared by t2jax itself, as t2jax.{name}: choose another name")
    _DECLARED[name] = one
    return one


def declaration(name: str) -> Declaration:
    """What was declared of the variable that this coordinate, such as `tokens` or `samples[3]`, is or is part of."""
    field = field_of(name)
    return _DECLARED.get(field) or Declaration(field, field, "", None, 1.0, False)  # as of another process' result


def declare_again(one: Declaration) -> None:
    """Take note of a variable that another process has declared; what is known of it here counts more."""
    _DECLARED.setdefault(one.name, one)


def declared() -> tuple[str, ...]:
    """The names of all variables, in the order in which they were declared."""
    return tuple(_DECLARED)


def field_of(coordinate: str) -> str:
    """The field of the decision that a coordinate is part of: `samples` of `samples[3]`."""
    return coordinate.partition("[")[0]


def in_order(coordinates: Iterable[str]) -> tuple[str, ...]:
    """The fields of these coordinates, each once: in the order of their declarations, then what has none."""
    fields = dict.fromkeys(map(field_of, coordinates))
    return (*(name for name in _DECLARED if name in fields), *(name for name in fields if name not in _DECLARED))


def symbol_of(name: str) -> str:
    """The letter of a variable in equations; the name itself of one that is not declared."""
    return _DECLARED[name].symbol if name in _DECLARED else name


def undeclared(name: str) -> str:
    """The message for a name that no variable has."""
    near = meant(name, _DECLARED)
    return f"no variable is called {name!r}{near or f': declare it first, t2jax.Variable({name!r})'}"


def _positive(what: str, value: float) -> float:
    if isinstance(value, bool | str | bytes) or value is None:
        raise TypeError(f"{what} must be a number, got {value!r}")
    try:
        number = float(value)
    except TypeError as error:
        raise TypeError(f"{what} must be a number, got {value!r}") from error
    if not 0 < number < math.inf:
        raise ValueError(f"{what} must be positive and finite, got {value!r}")
    return number
