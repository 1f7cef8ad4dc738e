"""What an option may hold: numbers as people write them, names, flags. Loads tyro, but neither JAX nor NumPy."""

import math
import sys
from typing import Annotated, Any

import tyro

from t2jax._io.numbers import number
from t2jax._io.usage import UsageError

__all__ = [
    "Flag",
    "Name",
    "Number",
    "check_number",
    "check_share",
    "check_typed",
    "read_number",
    "text",
    "typed",
    "whole",
]


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


def text(metavar: str) -> Any:
    """A word as it is: tyro's own reading of `str | None` makes no text of the word None."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: value is None or isinstance(value, str),
        str_from_instance=lambda value: [str(value)],
    )


Name = Annotated[str | None, text("NAME|FILE.json"), tyro.conf.arg(help_behavior_hint="")]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")]


def check_typed(option: str, value: float) -> None:
    """Raises `UsageError` for what is no number, or one so small that devices count it as zero."""
    if isinstance(value, _NoNumber):
        raise UsageError(f"{option} must be a number such as 1e24, 7B or 15T, got {value.word!r}")
    if 0 < abs(value) < sys.float_info.min:
        raise UsageError(f"{option} must be zero or of a size of at least {sys.float_info.min:.3g}, got {value:g}")


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
