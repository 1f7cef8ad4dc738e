"""What tells one text table from another: its delimiter, a title above its header, and decimal commas.

The delimiter is read off the header. What cannot be known is not guessed: a message says what the file looks like.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["comma_note", "delimiter_of", "is_delimited", "title_fault"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_OTHERS = (";", "\t")
"""Of a .csv whose header has no comma. Spreadsheets separate by semicolons where the comma is the decimal mark."""

_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d*([eE][+-]?\d+)?[KMBTkmbt]?")
_MAYBE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}[KMBTkmbt]?")
_LONGEST = 60
"""Letters of a title that a message shows."""


def is_delimited(path: Path) -> bool:
    """Does the name end as that of a text table with a delimiter?"""
    return path.suffix.lower() in _DELIMITERS


def delimiter_of(path: Path, header: str) -> str:
    """The delimiter of a file with this ending and this line as its header."""
    usual = _DELIMITERS[path.suffix.lower()]
    bare = re.sub(r'"[^"]*"?', "", header)  # without what is in quotes
    if usual == "," and "," not in bare:
        return next((one for one in _OTHERS if one in bare), usual)
    return usual


def comma_note(word: str) -> str:
    """For a message about a text that is no number: what it looks like if it has a comma, and what to write."""
    word = word.strip()
    if not _DECIMAL_COMMA.fullmatch(word):
        return ""
    point = word.replace(".", "").replace(",", ".")
    if _MAYBE_THOUSANDS.fullmatch(word):
        return f", which has a decimal comma (write {point}) or one between thousands (write {word.replace(',', '')})"
    return f", which looks like a decimal comma: write {point}"


def title_fault(
    header: Sequence[Any],
    following: Iterable[tuple[int, Sequence[Any]]],
    known: Collection[str],
    *,
    at: int,
    unit: str = "line",
) -> str | None:
    """That the first row is a title, and which of those that follow is the header; None where it does not look so.

    header: cells of the first row, which stands at `at`. following: (place, cells) of some rows after it, split by a
    delimiter that may be the wrong one. known: names that a header may have. unit: what places count.
    """
    filled = [str(cell).strip() for cell in header if cell is not None and str(cell).strip()]
    if set(filled) & set(known):
        return None
    for place, cells in following:
        names = _names_in(cells, known)
        if names is not None and len(names) > len(filled):
            title = ", ".join(filled)
            title = title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…"
            above = f"the {place - at} {unit}s above it" if place - at > 1 else f"the {unit} above it"
            return (
                f"{unit} {at} looks like a title ({title!r}), and {unit} {place} like the header "
                f"({', '.join(names[:4])}{', …' if len(names) > 4 else ''}): remove {above}"
            )
    return None


def _names_in(cells: Sequence[Any], known: Collection[str]) -> list[str] | None:
    """The filled cells of a row that has two of the known names, or the only one, by whichever delimiter."""
    joined = [str(cell).strip() for cell in cells if cell is not None]
    for delimiter in (None, ",", *_OTHERS):
        split = joined if delimiter is None else [part.strip() for cell in joined for part in cell.split(delimiter)]
        names = [name for name in split if name]
        if len(set(names) & set(known)) >= min(2, len(known)):
            return names
    return None
