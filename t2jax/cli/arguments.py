"""What an option may hold: numbers as people write them, names, flags. Loads tyro, but neither JAX nor NumPy."""

import math
from typing import Annotated

import tyro

from t2jax.cli.usage import UsageError

__all__ = ["Flag", "Name", "Number", "check_number", "read_number", "whole"]

_SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


class _NoNumber(float):
    """A NaN that remembers what was typed: `check_number`, which knows the option's name, refuses it."""

    word: str

    def __new__(cls, word: str) -> "_NoNumber":
        value = super().__new__(cls, "nan")
        value.word = word
        return value


def read_number(words: list[str]) -> float:
    """'7B' → 7e9; a NaN that `check_number` refuses for what is no number."""
    word = words[0].strip()
    scale = _SUFFIXES.get(word[-1:].upper(), 1.0)
    try:
        return float(word[:-1] if scale > 1 else word) * scale
    except ValueError:
        return _NoNumber(words[0])


Number = Annotated[
    float | None,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="NUMBER",
        instance_from_str=read_number,
        is_instance=lambda value: value is None or isinstance(value, float),
        str_from_instance=lambda value: [str(value)],
    ),
    tyro.conf.arg(help_behavior_hint=""),
]
Name = Annotated[str | None, tyro.conf.arg(metavar="NAME|FILE.json", help_behavior_hint="")]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")]


def check_number(option: str, value: float, *, zero: bool = False) -> None:
    """Raises `UsageError` for what is no number, not finite, negative, or zero where `zero` is not accepted."""
    if isinstance(value, _NoNumber):
        raise UsageError(f"{option} must be a number such as 1e24, 7B or 15T, got {value.word!r}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise UsageError(f"{option} must be {'zero or positive,' if zero else 'positive'} and finite, got {value:g}")


def whole(option: str, value: float, *, least: int) -> int:
    """The whole number that was typed. Raises `UsageError` for what is none, or below `least`."""
    if isinstance(value, _NoNumber):
        raise UsageError(f"{option} must be a whole number, got {value.word!r}")
    if not math.isfinite(value) or value < least or value != math.floor(value):
        raise UsageError(f"{option} must be a whole number of at least {least}, got {value:g}")
    return int(value)
