"""Cells of whatever type Arrow has, as numbers or as texts. What a cell cannot be read as is said, never raised."""

from collections.abc import Callable
from typing import Any

import numpy as np

from t2jax._io.delimited import comma_note
from t2jax._io.numbers import SUFFIXES, number
from t2jax._io.output import arrow
from t2jax._io.usage import printable, quoted

__all__ = ["Unread", "numbers_of", "texts_of"]

Unread = list[tuple[int, str]]
"""Rows whose cell is no number, or no text, and how it looks."""

_SUFFIX = f"[{''.join(SUFFIXES)}{''.join(SUFFIXES).lower()}]"
_PLAIN = rf"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?{_SUFFIX}?$"


def numbers_of(column: Any) -> tuple[np.ndarray, np.ndarray, Unread]:
    """The values, NaN where none is given; whether each is given; and what is no number. Text may be such as 70B."""
    pa = arrow()
    values, given, unread, begun = [np.empty(0)], [np.empty(0, bool)], [], 0
    for chunk in _chunks(column):
        kind = chunk.type
        if _is_numeric(kind):
            there = _numpy(chunk.is_valid())
            cast = _numpy(arrow("pyarrow.compute").cast(chunk, pa.float64(), safe=False))
            found = np.where(there, cast, np.nan), there, []
        elif _is_text(kind):
            found = _typed_numbers(chunk)
        else:
            found = np.full(len(chunk), np.nan), np.zeros(len(chunk), bool), _all(chunk)
        values.append(found[0])
        given.append(found[1])
        unread += [(begun + row, shown) for row, shown in found[2]]
        begun += len(chunk)
    return np.concatenate(values), np.concatenate(given), unread


def texts_of(column: Any) -> tuple[list[str], np.ndarray, Unread]:
    """The distinct texts, for each row which one it is (−1 for none), and what is no text. Numbers are as printed."""
    pa, pc = arrow(), arrow("pyarrow.compute")
    known: dict[str, int] = {}
    codes, unread, begun = [np.empty(0, np.int64)], [], 0
    for chunk in _chunks(column):
        bad: Unread = []
        if _is_numeric(chunk.type) or pa.types.is_boolean(chunk.type):
            text = pc.cast(chunk, pa.large_string())
        elif _is_text(chunk.type):
            text, bad = _text(chunk)
        else:
            text, bad = pa.nulls(len(chunk), pa.large_string()), _all(chunk)
        coded = text.dictionary_encode()
        places = [known.setdefault(word, len(known)) for word in coded.dictionary.to_pylist()]
        indices = _numpy(pc.fill_null(pc.cast(coded.indices, pa.int64()), -1))
        codes.append(np.array([*places, -1], np.int64)[indices])
        unread += [(begun + row, shown) for row, shown in bad]
        begun += len(chunk)
    return list(known), np.concatenate(codes), unread


def _chunks(column: Any) -> list[Any]:
    """Arrays of a type that says how cells are read, not how they are kept."""
    pa = arrow()
    return [_unwrapped(chunk) for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else [column])]


def _unwrapped(array: Any) -> Any:
    pa, pc = arrow(), arrow("pyarrow.compute")
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _unwrapped(array.storage)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return pc.cast(array, pa.large_binary())
    if pa.types.is_dictionary(kind):
        values, places = array.dictionary, array.indices
    elif pa.types.is_run_end_encoded(kind):
        rows = np.arange(array.offset, array.offset + len(array))
        values, places = array.values, pa.array(np.searchsorted(_numpy(array.run_ends), rows, side="right"))
    else:
        return array
    try:
        return _unwrapped(values).take(places)
    except pa.ArrowNotImplementedError:  # of what is neither number nor text
        return array


def _is_numeric(kind: Any) -> bool:
    types = arrow().types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)


def _is_text(kind: Any) -> bool:
    """Of any width, or bytes: some programs keep text as those."""
    types = arrow().types
    asked: tuple[Callable[[Any], bool], ...] = (
        types.is_string,
        types.is_large_string,
        types.is_binary,
        types.is_large_binary,
        types.is_fixed_size_binary,
    )
    return any(ask(kind) for ask in asked)


def _text(array: Any) -> tuple[Any, Unread]:
    """Trimmed text, null where there is nothing but blanks, and the rows that are not UTF-8."""
    pa, pc = arrow(), arrow("pyarrow.compute")
    unread: Unread = []
    raw = pc.cast(array, pa.large_binary()) if not pa.types.is_fixed_size_binary(array.type) else None
    raw = pc.cast(pc.cast(array, pa.binary()), pa.large_binary()) if raw is None else raw
    try:
        text = pc.cast(raw, pa.large_string())
    except pa.ArrowInvalid:
        words: list[str | None] = []
        for row, content in enumerate(raw.to_pylist()):
            try:
                words.append(None if content is None else content.decode())
            except UnicodeDecodeError:
                words.append(None)
                unread.append((row, f"{quoted(content[:80].decode(errors='replace'))}, which is not UTF-8"))
        text = pa.array(words, pa.large_string())
    text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), None, text), unread


def _typed_numbers(array: Any) -> tuple[np.ndarray, np.ndarray, Unread]:
    """Of numbers that are written as options are typed."""
    pa, pc = arrow(), arrow("pyarrow.compute")
    text, unread = _text(array)
    given = _numpy(text.is_valid())
    try:
        return _numpy(pc.cast(text, pa.float64())), given, unread
    except pa.ArrowInvalid:
        pass
    plain = _numpy(pc.fill_null(pc.match_substring_regex(text, _PLAIN), False))
    digits = pc.if_else(pa.array(plain), pc.replace_substring_regex(text, f"{_SUFFIX}$", ""), None)
    try:
        values = _numpy(pc.cast(digits, pa.float64())).copy()
    except pa.ArrowInvalid:  # more digits than Arrow reads
        values, plain = np.full(len(text), np.nan), np.zeros(len(text), bool)
    last = pc.utf8_upper(pc.utf8_slice_codeunits(text, -1))
    for letter, scale in SUFFIXES.items():
        values[_numpy(pc.fill_null(pc.equal(last, letter), False))] *= scale
    given = given.copy()
    for row in np.flatnonzero(given & ~plain).tolist():
        word = text[row].as_py()
        try:
            values[row] = number(word)
        except ValueError:
            given[row] = False
            unread.append((row, f"{quoted(word)}{comma_note(word)}"))
    return values, given, unread


def _all(array: Any) -> Unread:
    """Every cell that is there, of a type that is neither number nor text."""
    return [(row, _shown(array, row)) for row in np.flatnonzero(_numpy(array.is_valid())).tolist()]


def _shown(array: Any, row: int) -> str:
    kind = printable(f"a {array.type}", 60)
    if arrow().types.is_nested(array.type):  # as large as can be
        return kind
    try:
        return printable(str(array[row].as_py()), 40)
    except Exception:  # Python has no such value: a year beyond 9999, an unknown time zone
        return kind


def _numpy(column: Any) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)
