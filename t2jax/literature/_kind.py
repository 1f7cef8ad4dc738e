"""What there is to say of one class of laws or tasks: its coefficients, what a fit of it needs, how it is called.

Loads no JAX: the class itself is imported when it is asked for.
"""

import enum
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Column", "Domain", "Field", "Kind", "Role", "Term"]


class Domain(enum.Enum):
    """Which numbers a coefficient, or the cells of a column, may be: the value says it in words."""

    POSITIVE = "positive"
    NONNEGATIVE = "zero or positive"
    SHARE = "above 0 and at most 1"
    PROBABILITY = "strictly between 0 and 1"
    UNIT = "between 0 and 1"
    COUNT = "a whole number, zero or more"
    REAL = "finite"

    def holds(self, value: float) -> bool:
        """Is it one of them?"""
        return math.isfinite(value) and _HOLDS[self](value)


_HOLDS: Mapping[Domain, Callable[[float], bool]] = {
    Domain.POSITIVE: lambda value: value > 0,
    Domain.NONNEGATIVE: lambda value: value >= 0,
    Domain.SHARE: lambda value: 0 < value <= 1,
    Domain.PROBABILITY: lambda value: 0 < value < 1,
    Domain.UNIT: lambda value: 0 <= value <= 1,
    Domain.COUNT: lambda value: value >= 0 and value == math.floor(value),
    Domain.REAL: lambda value: True,
}


class Role(enum.Enum):
    """What a kind is for."""

    LAW = "law"  # a loss of N and D: t2jax plan --law
    TASK = "task"  # a quality at N, D and k: t2jax plan --task
    RATES = "pass rates of one model's problems"  # it knows nothing of N and D
    ERROR = "benchmark error from loss"

    @property
    def plans(self) -> bool:
        """Can a plan be made for it?"""
        return self in (Role.LAW, Role.TASK)


@dataclass(frozen=True)
class Field:
    """A coefficient of a class, by the name of its argument.

    domain: of a number; None where only the class itself knows. typical: such a number, or list of them, for examples.
    entries: the domain of each number of a list. law: the kinds of law that may stand here instead of a number, () for
    every one. unit: of a number that has one.
    """

    name: str
    domain: Domain | None = Domain.POSITIVE
    typical: float | tuple[float, ...] = 1.0
    unit: str = ""
    entries: tuple[Domain | None, ...] | None = None
    law: tuple[str, ...] | None = None

    @property
    def is_law(self) -> bool:
        return self.law is not None

    def numbers(self) -> tuple[tuple[str, Domain | None], ...]:
        """Every number of the field by its name, "E" or "theta[2]", with its domain; none of a law."""
        if self.is_law:
            return ()
        if self.entries is None:
            return ((self.name, self.domain),)
        return tuple((f"{self.name}[{i}]", domain) for i, domain in enumerate(self.entries))


@dataclass(frozen=True)
class Column:
    """A column of the table that a fit needs; `meaning` is its quantity and unit: "N, model parameters"."""

    name: str
    meaning: str
    domain: Domain = Domain.POSITIVE
    optional: bool = False


@dataclass(frozen=True)
class Term:
    """A power law inside: amplitude·column^(−power·exponent). Its size in the middle of the data is what is fitted."""

    amplitude: str
    column: str
    exponent: str
    power: float = 1.0

    def within(self, field: str) -> "Term":
        """The same term of a law that is the field of another."""
        return Term(f"{field}.{self.amplitude}", self.column, f"{field}.{self.exponent}", self.power)


@dataclass(frozen=True, eq=False)
class Kind:
    """A row of the registry.

    name: of the class, which is the "kind" of its JSON. module: where the class is. typed: what follows
    `t2jax fit --model`; empty where nothing is fitted. formula: in help, in letters that every terminal has. inputs:
    columns that it is a function of. observed: the column that it predicts. counted: may counts of right samples stand
    in its place? per_row: fields that are columns of the table, not coefficients. terms: its power laws, but for those
    of a law inside. begins: does the class alone say enough to begin a fit? link: the scale on which the value is
    optimised, "log" or "log odds". title: of its value, on axes. options: of a first plan with it.
    """

    name: str
    module: str
    role: Role
    fields: tuple[Field, ...]
    typed: str = ""
    formula: str = ""
    inputs: tuple[Column, ...] = ()
    observed: Column | None = None
    counted: bool = False
    per_row: tuple[Column, ...] = ()
    terms: tuple[Term, ...] = ()
    begins: bool = True
    link: str = "log"
    higher_is_better: bool = False
    title: str = ""
    options: str = "--train-flops 1e23"
    starts: Any = None
    """Of a class that was registered: models, or a function that makes them."""
    registered: type | None = None
    """The class, where it was registered and not imported by name."""

    @property
    def is_own(self) -> bool:
        """Is it a class of t2jax?"""
        return self.registered is None

    def load(self) -> Any:
        """The class. Loads JAX."""
        if self.registered is not None:
            return self.registered
        return getattr(importlib.import_module(self.module), self.name)

    def keeps_source(self) -> bool:
        """Has the class a field for its provenance? Loads JAX."""
        return "provenance" in self.load().__dataclass_fields__

    def field(self, name: str) -> Field:
        """The field of this name."""
        return next(one for one in self.fields if one.name == name)

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.fields)
