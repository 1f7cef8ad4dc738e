"""One scenario, checked wherever it is written: which names there are, what each may hold, what goes together.

Loads no JAX and no NumPy.
"""

import math
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from t2jax._io.numbers import number
from t2jax._io.usage import UsageError, meant, printable
from t2jax.planning._field import Domain, Field, Kind
from t2jax.planning._fields import TABLE, field
from t2jax.planning._reasons import contradiction, money_fault
from t2jax.planning._spelling import Spelling

__all__ = [
    "acceptable",
    "check_names",
    "checked_number",
    "checked_scenario",
    "checked_value",
    "checked_whole",
    "fields_set",
    "number_fault",
]


def checked_scenario(given: Mapping[str, Any], spelled: Spelling, *, example: str = "") -> dict[str, Any]:
    """Every field by its name, with a number, a name or object, or a flag; its default where it is not given.

    given: None is "not given". Numbers may be text such as "7B". spelled: how the person wrote the names. example: what
    to say after "no budget". Raises `UsageError`, with the first thing that is wrong.
    """
    check_names(given, [one.name for one in TABLE], spelled)
    scenario = {one.name: checked_value(one, given.get(one.name), spelled) for one in TABLE}
    named = fields_set(scenario)
    if fault := money_fault(named, spelled) or contradiction(named, spelled, example=example):
        raise UsageError(fault)
    return scenario


def check_names(given: Collection[str], known: Collection[str], spelled: Spelling) -> None:
    """Raises `UsageError` for the first name that there is not, with the nearest that there is."""
    for name in given:
        if name not in known:
            raise UsageError(f"there is no {spelled(printable(name, 60))}{meant(name, known)}")


def fields_set(scenario: Mapping[str, Any]) -> set[str]:
    """The names of the fields that say anything."""
    return {name for name, value in scenario.items() if _says_something(value, field(name).default)}


def _says_something(value: Any, default: Any) -> bool:
    return value is not None if default is None else value != default


# --- Values -----------------------------------------------------------------------------------------------------------


def checked_value(one: Field, value: Any, spelled: Callable[[str], str]) -> Any:
    """What the field holds; its default for None. Raises `UsageError` for what it may not hold."""
    return one.default if value is None else _CHECKS[one.kind](one, value, spelled)


def checked_number(called: str, value: Any, domain: Domain) -> float:
    """The number that `value` is or says. called: how the person wrote its name. Raises `UsageError`."""
    read = _as_float(value)
    if read is None:
        raise UsageError(f"{called} must be a number such as 1e24, 7B or 15T, got {_shown(value)}")
    if 0 < abs(read) < sys.float_info.min:  # devices count it as zero
        least = f"zero or of a size of at least {sys.float_info.min:.3g}"
        raise UsageError(f"{called} must be {least}, got {read:g}")
    if fault := _fault(called, read, domain):
        raise UsageError(fault)
    return read


def checked_whole(called: str, value: float, *, least: int, most: int | None = None, instead: str = "") -> int:
    """The whole number that `value` is. instead: what takes more. Raises `UsageError`."""
    if not math.isfinite(value) or value < least or value != math.floor(value):
        raise UsageError(f"{called} must be a whole number of at least {least}, got {value:g}")
    if most is not None and value > most:
        use, shown = (f": use {instead}", f"{int(value):,}") if instead else ("", f"{value:g}")
        raise UsageError(f"{called} must be at most {most:,}, got {shown}{use}")
    return int(value)


def _number(one: Field, value: Any, spelled: Callable[[str], str]) -> float:
    return checked_number(spelled(one.name), value, one.domain)


def _as_float(value: Any) -> float | None:
    """None for what is no number."""
    if _is_truth(value) or getattr(value, "ndim", 0) != 0:
        return None
    try:
        return number(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        return None
    except OverflowError:  # a whole number that no float holds
        return float("inf")


def _law(one: Field, value: Any, spelled: Callable[[str], str]) -> Any:
    if isinstance(value, str) and not value.strip():
        raise UsageError("the name of the law or task is empty: give a published name (see t2jax list) or a JSON file")
    return value


def _any(one: Field, value: Any, spelled: Callable[[str], str]) -> Any:
    return value


def _flag(one: Field, value: Any, spelled: Callable[[str], str]) -> bool:
    if not _is_truth(value):
        raise UsageError(f"{spelled(one.name)} must be True or False, got {_shown(value)}")
    return bool(value)


def _is_truth(value: Any) -> bool:
    """Python's or NumPy's."""
    return isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", None) == "b"


_CHECKS: Mapping[Kind, Callable[[Field, Any, Callable[[str], str]], Any]] = {
    Kind.NUMBER: _number,
    Kind.LAW: _law,
    Kind.DEVICE: _any,
    Kind.DTYPE: _any,
    Kind.FLAG: _flag,
}


def _shown(value: Any) -> str:
    return printable(repr(value), 60)


def acceptable(name: str, value: Any) -> Any:
    """Is it a number that this field may hold? Of a float, or of each number of an array."""
    return field(name).domain.holds(value)


def number_fault(name: str, value: float, spelled: Callable[[str], str]) -> str | None:
    """Why the field may not hold this number; None where it may."""
    return _fault(spelled(name), value, field(name).domain)


def _fault(called: str, value: float, domain: Domain) -> str | None:
    return None if domain.holds(value) else f"{called} must be {domain.words(value)}, got {value:g}"
