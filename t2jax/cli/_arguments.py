"""What an option may hold: numbers as people write them, names, flags. Loads tyro, but neither JAX nor NumPy."""

from collections.abc import Mapping
from typing import Annotated, Any

import tyro

from t2jax._io.numbers import number
from t2jax._io.usage import UsageError
from t2jax.planning._field import POSITIVE, Kind
from t2jax.planning._scenario import checked_number, checked_whole

__all__ = ["Flag", "Number", "as_typed", "check_number", "option", "read_number", "text", "whole"]


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


def text(metavar: str) -> Any:
    """A word as it is: tyro's own reading of `str | None` makes no text of the word None."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: value is None or isinstance(value, str),
        str_from_instance=lambda value: [str(value)],
    )


_NUMBER = Annotated[
    float | None,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=Kind.NUMBER.value,
        instance_from_str=read_number,
        is_instance=lambda value: value is None or isinstance(value, float),
        str_from_instance=lambda value: [str(value)],
    ),
]
_FLAG = Annotated[bool, tyro.conf.FlagCreatePairsOff]
_TYPES: Mapping[Kind, Any] = {
    Kind.NUMBER: _NUMBER,
    Kind.FLAG: _FLAG,
    **{kind: Annotated[str | None, text(kind.value)] for kind in (Kind.LAW, Kind.DEVICE, Kind.DTYPE)},
}

Number = Annotated[_NUMBER, tyro.conf.arg(help_behavior_hint="")]
Flag = Annotated[_FLAG, tyro.conf.arg(help_behavior_hint="")]


def option(kind: Kind, help: str) -> Any:
    """The type of an option for tyro. Its default is said in the help, where there is one."""
    holds: Any = _TYPES[kind]
    return Annotated[holds, tyro.conf.arg(help=help, help_behavior_hint="")]


def as_typed(value: Any) -> Any:
    """The word where what was typed is no number; else the value."""
    return value.word if isinstance(value, _NoNumber) else value


def check_number(option: str, value: float) -> None:
    """Raises `UsageError` for what is no number, or not positive and finite."""
    checked_number(option, as_typed(value), POSITIVE)


def whole(option: str, value: float, *, least: int, most: int | None = None) -> int:
    """The whole number that was typed. Raises `UsageError` for what is none, below `least` or above `most`."""
    if isinstance(value, _NoNumber):
        raise UsageError(f"{option} must be a whole number, got {value.word!r}")
    return checked_whole(option, value, least=least, most=most)
