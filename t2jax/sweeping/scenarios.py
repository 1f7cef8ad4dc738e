"""A table of scenarios, one a row: which columns it may have, and how their cells become numbers, names and flags.

The columns are called as the options of `t2jax plan`, with underscores, and every one may be absent:

    total_flops, train_flops, inference_flops      budgets
    target                                         instead of a total budget: the pass@k or loss to reach most cheaply
    queries, prompt_tokens, output_tokens          the demand; no_share_prompt (true or false): prompts are not shared
    max_params, max_tokens, max_samples            caps; integer_samples (true or false): k is whole
    task, law                                      a published name or a JSON file
    G, gamma, unique_tokens                        with law

An empty cell, or null, means "not given". Numbers are numbers, or text as options are typed: 1e24, 70B, 15T. Other
columns pass through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from t2jax.planning.scenario import FLAGS, NAMES, NUMBERS, acceptable, as_column, number, number_fault
from t2jax.planning.usage import meant
from t2jax.sweeping.output import arrow

__all__ = ["Scenarios", "checked_defaults", "read_scenarios"]

_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")
_PLAIN = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[KMBTkmbt]?$"
# A default gives way to a cell that asks for something else instead.
_INSTEAD = {
    "target": ("total_flops",),
    "total_flops": ("target",),
    "law": ("task",),
    "task": ("law", "G", "gamma", "unique_tokens"),
}


@dataclass(frozen=True, eq=False)
class Scenarios:
    """The cells of a table with defaults filled in. `faults` has a reason for each row that cannot be read.

    numbers: float64, NaN where nothing is given. names: for each row, where its task or law stands in `known`; −1 where
    none is given. flags: booleans.
    """

    numbers: Mapping[str, np.ndarray]
    names: Mapping[str, np.ndarray]
    known: Mapping[str, list[Any]]
    flags: Mapping[str, np.ndarray]
    faults: dict[int, str]


def checked_defaults(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are given, numbers as floats. Raises TypeError or ValueError for what no cell may hold."""
    found = {}
    for name, value in defaults.items():
        if name not in (*NUMBERS, *NAMES, *FLAGS):
            raise TypeError(f"there is no default {name!r}{meant(name, (*NUMBERS, *NAMES, *FLAGS))}")
        if value is None:
            continue
        if name in FLAGS and not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}")
        if name in NUMBERS:
            if isinstance(value, bool | str) or not hasattr(value, "__float__"):
                raise TypeError(f"{name} must be a number, got {value!r}")
            value = float(value)
            if fault := number_fault(name, value, as_column):
                raise ValueError(fault)
        found[name] = value
    return found


def read_scenarios(table: Any, defaults: Mapping[str, Any], faults: Mapping[int, str]) -> Scenarios:
    """The cells of a pyarrow table. faults: rows that are known to be unreadable, with the reason."""
    rows, found = table.num_rows, dict(faults)
    numbers, given = {}, {}
    for name in NUMBERS:
        numbers[name], given[name] = np.full(rows, np.nan), np.zeros(rows, bool)
        if name in table.column_names:
            numbers[name], given[name], unread = _numbers(table.column(name))
            for row, text in unread:
                found.setdefault(row, f"{name} must be a number such as 1e24, 7B or 15T, got {text}")
            wrong = given[name] & ~acceptable(name, numbers[name])
            for row in np.flatnonzero(wrong).tolist():
                found.setdefault(row, number_fault(name, float(numbers[name][row]), as_column) or "")
    names, known = {}, {}
    for name in NAMES:
        known[name], names[name] = _texts(table, name)
        given[name] = names[name] >= 0
    for name, default in defaults.items():
        if name in FLAGS:
            continue
        free = ~given[name]
        for other, displaced in _INSTEAD.items():
            if name in displaced and other not in defaults:
                free &= ~given[other]
        if name in NUMBERS:
            numbers[name] = np.where(free, default, numbers[name])
        else:
            names[name] = np.where(free, len(known[name]), names[name])
            known[name] = [*known[name], default]
    flags = {name: _flags(table, name, defaults.get(name, False), found) for name in FLAGS}
    return Scenarios(numbers, names, known, flags, found)


def _numbers(column: Any) -> tuple[np.ndarray, np.ndarray, list[tuple[int, str]]]:
    """The values, whether each is given, and the rows whose text is no number."""
    pa, pc = arrow(), arrow("pyarrow.compute")
    column = _plain(column)
    kind, rows = column.type, len(column)
    if pa.types.is_null(kind):
        return np.full(rows, np.nan), np.zeros(rows, bool), []
    given = ~_numpy(pc.is_null(column))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = _numpy(pc.cast(column, pa.float64(), safe=False))
        return np.where(given, values, np.nan), given, []
    if not pa.types.is_string(kind):
        unread = [(row, str(column[row].as_py())) for row in np.flatnonzero(given).tolist()]
        return np.full(rows, np.nan), np.zeros(rows, bool), unread
    text = _trimmed(column)
    given = ~_numpy(pc.is_null(text))
    try:
        return _numpy(pc.cast(text, pa.float64())), given, []
    except pa.ArrowInvalid:
        pass
    plain = _numpy(pc.fill_null(pc.match_substring_regex(text, _PLAIN), False))
    digits = pc.if_else(pa.array(plain), pc.replace_substring_regex(text, "[KMBTkmbt]$", ""), None)
    try:
        values = _numpy(pc.cast(digits, pa.float64())).copy()
    except pa.ArrowInvalid:  # more digits than Arrow reads
        values, plain = np.full(rows, np.nan), np.zeros(rows, bool)
    last = pc.utf8_upper(pc.utf8_slice_codeunits(text, -1))
    for letter, scale in (("K", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12)):
        values[_numpy(pc.fill_null(pc.equal(last, letter), False))] *= scale
    unread = []
    for row in np.flatnonzero(given & ~plain).tolist():
        word = text[row].as_py()
        try:
            values[row] = number(word)
        except ValueError:
            given[row] = False
            unread.append((row, _quoted(word)))
    return values, given, unread


def _texts(table: Any, name: str) -> tuple[list[Any], np.ndarray]:
    """The distinct texts of a column, and for each row which one it is; −1 for none."""
    pa, pc = arrow(), arrow("pyarrow.compute")
    if name not in table.column_names:
        return [], np.full(table.num_rows, -1)
    column = _plain(table.column(name))
    if not pa.types.is_string(column.type):
        column = pc.cast(column, pa.string())
    coded = _trimmed(column).dictionary_encode()
    return coded.dictionary.to_pylist(), _numpy(pc.fill_null(pc.cast(coded.indices, pa.int64()), -1))


def _flags(table: Any, name: str, default: bool, faults: dict[int, str]) -> np.ndarray:
    known, codes = _texts(table, name)
    meaning = np.array([word.lower() in _YES for word in known] + [default], bool)
    for code, word in enumerate(known):
        if word.lower() not in (*_YES, *_NO):
            for row in np.flatnonzero(codes == code).tolist():
                faults.setdefault(row, f"{name} must be true or false, got {_quoted(word)}")
    return meaning[codes]  # −1, the last, is the default


def _plain(column: Any) -> Any:
    """One array; text, however it is kept, as strings."""
    pa, pc = arrow(), arrow("pyarrow.compute")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or kind != column.type:
        return pc.cast(column, pa.string() if not pa.types.is_primitive(kind) else kind)
    return column


def _trimmed(column: Any) -> Any:
    """Null where there is nothing but blanks."""
    pc = arrow("pyarrow.compute")
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(text, ""), None, text)


def _numpy(column: Any) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)


def _quoted(word: str) -> str:
    return repr(word if len(word) <= 40 else word[:39] + "…")
