"""What an option may hold: numbers as people write them, names, flags. Loads tyro, but neither JAX nor NumPy."""

import math
from typing import Annotated

import tyro

from t2jax.planning.scenario import number
from t2jax.planning.usage import UsageError

__all__ = ["Flag", "Name", "Number", "check_number", "check_share", "check_typed", "read_number", "typed", "whole"]


class _NoNumber(float):
    """A NaN that remembers what was typed: `check_number`, which knows the option's name, refuses it."""

    word: str

    def __new__(cls, word: str) -> "_NoNumber":
        value = super().__new__(cls, "nan")
        value.word = word
        return value


def read_number(words: list[str]) -> float:
    """'7B' → 7e9; a NaN that `check_number` refuses for what is no number."""
    try:
        return number(words[0])
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


def check_typed(option: str, value: float) -> None:
    """Raises `UsageError` for what is no number."""
    if isinstance(value, _NoNumber):
        raise UsageError(f"{option} must be a number such as 1e24, 7B or 15T, got {value.word!r}")


def typed(value: float) -> str | None:
    """What was typed in place of a number; None for a number."""
    return value.word if isinstance(value, _NoNumber) else None


def check_number(option: str, value: float, *, zero: bool = False) -> None:
    """Raises `UsageError` for what is no number, not finite, negative, or zero where `zero` is not accepted."""
    check_typed(option, value)
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise UsageError(f"{option} must be {'zero or positive,' if zero else 'positive'} and finite, got {value:g}")


def check_share(option: str, value: float) -> None:
    """Raises `UsageError` for what is not a part of something: above 0 and at most 1."""
    check_typed(option, value)
    if not 0 < value <= 1:
        raise UsageError(f"{option} must be above 0 and at most 1, got {value:g}")


def whole(option: str, value: float, *, least: int, most: int | None = None) -> int:
    """The whole number that was typed. Raises `UsageError` for what is none, below `least` or above `most`."""
    if isinstance(value, _NoNumber):
        raise UsageError(f"{option} must be a whole number, got {value.word!r}")
    if not math.isfinite(value) or value < least or value != math.floor(value):
        raise UsageError(f"{option} must be a whole number of at least {least}, got {value:g}")
    if most is not None and value > most:
        raise UsageError(f"{option} must be at most {most:,}, got {value:g}")
    return int(value)
