"""Bad usage, and the names that were meant."""

import json
import os
from collections.abc import Iterable
from typing import Any

from t2jax._io.text import LONGEST, nearest

__all__ = ["UsageError", "as_json", "meant", "printable", "quoted", "refuse_existing"]


class UsageError(ValueError):
    """What was typed, or a file that was named, cannot be used. The message is for the person who typed it."""


def refuse_existing(path: str | os.PathLike[str]) -> None:
    """Nothing is overwritten. Raises `UsageError` where something, if only a broken link, has the name."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists: choose another name, or remove it")


def printable(text: str, most: int = 200) -> str:
    """The text on one line and not too long, with what is no character on paper, such as ESC, as a Python escape."""
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text[: most + 1]
    )
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def quoted(word: str) -> str:
    """A word as a person typed it, in quotes; not all of it where it is long."""
    return repr(word if len(word) <= 40 else f"{word[:39]}…")


def as_json(value: Any) -> str:
    """A value of a JSON file as it stands there; not all of it where it is long."""
    try:
        return printable(json.dumps(value, ensure_ascii=False), 60)
    except RecursionError:
        return "what is nested too deeply"


def meant(given: str, known: Iterable[str]) -> str:
    """': did you mean …?' with the nearest names, or those that contain it; nothing where none is near."""
    names = {name.lower(): name for name in known}.values()
    near = nearest(given, names)
    if 3 <= len(given) <= LONGEST:
        near += [name for name in names if given.lower() in name.lower() and name not in near]
    return f": did you mean {' or '.join(near[:3])}?" if near else ""
