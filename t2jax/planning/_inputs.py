"""A scenario as JSON says what was asked: names as they were given, objects by what they call themselves."""

from typing import Any

__all__ = ["as_given", "named"]


def as_given(value: Any) -> Any:
    """An object in place of a name, by its own name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    source = getattr(value, "provenance", None)
    return getattr(value, "name", None) or (source.name if source is not None else type(value).__name__)


def named(value: Any) -> str:
    """What JSON says of a law, task or device, by its name."""
    return value
