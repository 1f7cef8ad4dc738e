"""Bad usage, and the names that were meant."""

import difflib
import os
from collections.abc import Iterable

__all__ = ["UsageError", "meant", "refuse_existing"]


class UsageError(ValueError):
    """What was typed, or a file that was named, cannot be used. The message is for the person who typed it."""


def refuse_existing(path: str | os.PathLike[str]) -> None:
    """Nothing is overwritten. Raises `UsageError` where something, if only a broken link, has the name."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists: choose another name, or remove it")


def meant(given: str, known: Iterable[str]) -> str:
    """': did you mean …?' with the nearest names, or those that contain it; nothing where none is near."""
    by_lower = {name.lower(): name for name in known}
    word = given.lower()
    near = difflib.get_close_matches(word, by_lower, n=3, cutoff=0.6)
    if len(word) >= 3:
        near += [name for name in by_lower if word in name and name not in near]
    return f": did you mean {' or '.join(by_lower[one] for one in near[:3])}?" if near else ""
