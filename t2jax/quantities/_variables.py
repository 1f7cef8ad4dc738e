"""Variables: the numbers that are decided on, each a quantity like any other."""

import re
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from t2jax.quantities._declared import Declaration, declaration, declare, declare_again, declared, field_of, undeclared
from t2jax.quantities._powers import PowerTerm, coordinate
from t2jax.quantities._quantity import Quantity
from t2jax.quantities._scales import Curvature

__all__ = ["Variable", "params", "samples", "tokens"]


class Variable(Quantity):
    """A positive number to decide on, and the quantity that it is: `params`, `tokens`, `samples`, or one of your own.

    ```python
    thinking_tokens = t2.Variable("thinking_tokens", symbol="T", unit="tokens", lower=1.0, start=1e3)
    answering = t2.quantity(lambda a: 2e9 * a.params * a.samples * (100 + a.thinking_tokens), name="answering")
    t2.minimize(loss, [t2.TrainingFLOPs() + answering <= 1e24, thinking_tokens <= 32e3])
    ```

    name: what a decision calls it, `a.thinking_tokens`, and reports do. symbol: the letter in equations; the name
    unless given. unit: what it is counted in, where its name does not say that. lower: what is implied wherever it is
    optimised: it is at least that. start: where a search begins; unless given, at ten times the lower bound, or at 1.
    integer: it is a whole number wherever it is optimised.

    `minimize` decides on the variables that its quantities depend on. Declared again, the last declaration counts.
    `samples[3]` is the fourth of several, where a decision has a vector of them. Raises ValueError for what is no name
    or no positive number, and for `params`, `tokens` and `samples`, which t2jax declares.
    """

    name: str = eqx.field(static=True)

    def __init__(
        self,
        name: str,
        *,
        symbol: str | None = None,
        unit: str = "",
        lower: Any = None,
        start: Any = None,
        integer: bool = False,
    ):
        element = isinstance(name, str) and re.fullmatch(r"\w+\[\d+\]", name)
        if not element:
            declare(name, symbol, unit, lower, start, integer)
        elif field_of(name) not in declared():
            raise ValueError(undeclared(field_of(name)))
        self.name = name

    @property
    def declaration(self) -> Declaration:
        """What was declared of it: symbol, unit, lower bound, start, whether it is whole."""
        return declaration(self.name)

    def score(self, log: Any) -> Float[Array, "..."]:
        if not hasattr(log, field_of(self.name)):
            raise TypeError(f"{type(log).__name__} has no coordinate {self.name!r}")
        return coordinate(log, self.name)

    def __getitem__(self, element: int) -> "Variable":
        if isinstance(element, bool) or not isinstance(element, int) or element < 0 or "[" in self.name:
            raise TypeError(f"{self.name}[i] takes a whole number of at least 0, got {element!r}")
        return Variable(f"{self.name}[{element}]")

    def __reduce__(self) -> tuple[Any, ...]:
        return _declared_there, (self.name, self.declaration)

    __iter__ = None  # elements have names, but no end

    def power_terms(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(1.0, 0.0, {self.name: 1.0}),)

    @property
    def curvature(self) -> Curvature:
        return Curvature.AFFINE

    @property
    def label(self) -> str:
        return self.name


def _declared_there(name: str, one: Declaration) -> Variable:
    """A variable that comes from another process, which may have declared what this one has not."""
    declare_again(one)
    variable = object.__new__(Variable)
    object.__setattr__(variable, "name", name)
    return variable


params = Variable("params", symbol="N", start=1e9)
tokens = Variable("tokens", symbol="D", start=2e10)
samples = Variable("samples", symbol="k", lower=1.0, start=16.0)
