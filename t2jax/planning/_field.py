"""What a row of the table of fields says: see `_fields` for the table itself. Loads no JAX and no NumPy."""

import inspect
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from t2jax._io.text import human
from t2jax.planning._spelling import Spelling

__all__ = [
    "AT_LEAST_ONE",
    "NONNEGATIVE",
    "POSITIVE",
    "SHARE",
    "Domain",
    "Field",
    "Group",
    "Kind",
    "described",
    "documented",
]


@dataclass(frozen=True)
class Domain:
    """Which numbers a field may hold. holds: of a number, or of each of an array. words: what a wrong one must be."""

    holds: Callable[[Any], Any]
    words: Callable[[float], str]


POSITIVE = Domain(lambda x: (x > 0) & (x < math.inf), lambda _: "positive and finite")
NONNEGATIVE = Domain(lambda x: (x >= 0) & (x < math.inf), lambda _: "zero or positive, and finite")
AT_LEAST_ONE = Domain(
    lambda x: (x >= 1) & (x < math.inf), lambda x: "at least 1" if 0 < x < 1 else "positive and finite"
)
SHARE = Domain(lambda x: (x > 0) & (x <= 1), lambda _: "above 0 and at most 1")


class Kind(Enum):
    """What a field holds; the value is what the help of the command line calls it."""

    NUMBER = "NUMBER"
    LAW = "NAME|FILE.json"
    DEVICE = "NAME"
    DTYPE = "STR"
    FLAG = ""


Group = Literal["budget", "demand", "objective", "cap", "devices", "money", "model"]


@dataclass(frozen=True)
class Field:
    """One thing that a scenario may say.

    help: with other fields in braces, as each face spells them its own way. domain: of a number. default: what holds
    where it is not given, None for nothing. title: short, above a column. limit: what it limits, beside its price.
    axis: of a picture, with the unit. written: how a value is printed. column: may a table have it? constraint: of a
    cap, from the number, which may be traced, to what it allows, such as `lambda limit: t2jax.params <= limit`; a
    limit from below is one, too.
    """

    name: str
    group: Group
    help: str
    kind: Kind = Kind.NUMBER
    domain: Domain = POSITIVE
    default: Any = None
    symbol: str = ""
    unit: str = ""
    title: str = ""
    limit: str = ""
    axis: str = ""
    written: Callable[[float], str] = human
    column: bool = True
    constraint: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        title = self.title or self.name
        for name, value in (("title", title), ("limit", self.limit or title), ("axis", self.axis or title)):
            object.__setattr__(self, name, value)

    @property
    def sign(self) -> str:
        """Of a limit: from which side it bounds what it is on, as its constraint says."""
        if self.constraint is None:
            return "≤"
        limit = self.constraint(1.0)
        return "=" if limit.equal else "≤" if limit.upper else "≥"

    def help_for(self, spelled: Spelling) -> str:
        """The help, as one face writes the names of fields."""
        return self.help.format_map(_Spelled(spelled))


class _Spelled(dict[str, str]):
    """Every name, as it is spelled."""

    def __init__(self, spelled: Spelling) -> None:
        super().__init__()
        self._spelled = spelled

    def __missing__(self, name: str) -> str:
        return self._spelled(name)


def described(rows: Iterable[Field], spelled: Spelling) -> str:
    """A line for each field, with its help: for documentation."""
    return "\n".join(f"{one.name}: {one.help_for(spelled)}" for one in rows)


def documented(docstring: str, **words: str) -> str:
    """A docstring with words in place of {their name}, which begins its line: they are as far indented."""
    text = inspect.cleandoc(docstring)
    for name, said in words.items():
        (before,) = re.findall(rf"^( *)\{{{name}\}}", text, re.MULTILINE)
        text = text.replace(f"{{{name}}}", said.replace("\n", f"\n{before}"))
    return text
