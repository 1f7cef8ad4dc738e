"""A table of scenarios, one a row: which columns it may have, and how their cells become numbers, names and flags.

The columns are those of the table of fields (see `_fields`), called as the options of `t2jax plan` with underscores,
and every one may be absent.

An empty cell, or null, means "not given". Numbers are numbers, or text as options are typed: 1e24, 70B, 15T. Other
columns pass through, but for those that look misspelt (see `_header`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from t2jax._io.usage import meant, quoted
from t2jax.planning._fields import COLUMNS, FLAGS, NAMES, NUMBERS
from t2jax.planning._law_files import is_file_name
from t2jax.planning._scenario import acceptable, number_fault
from t2jax.planning._spelling import as_column
from t2jax.planning.tables._cells import numbers_of, texts_of

__all__ = ["Scenarios", "checked_defaults", "read_scenarios"]

_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")
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
        if name not in COLUMNS:
            raise TypeError(f"there is no default {name!r}{meant(name, COLUMNS)}")
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


def read_scenarios(
    table: Any, defaults: Mapping[str, Any], faults: Mapping[int, str], *, files: bool = True
) -> Scenarios:
    """The cells of a pyarrow table.

    faults: rows that are known to be unreadable, with the reason. files: may a cell name one?
    """
    rows, found = table.num_rows, dict(faults)
    numbers, given = {}, {}
    for name in NUMBERS:
        numbers[name], given[name] = np.full(rows, np.nan), np.zeros(rows, bool)
        if name in table.column_names:
            numbers[name], given[name], unread = numbers_of(table.column(name))
            for row, text in unread:
                found.setdefault(row, f"{name} must be a number such as 1e24, 7B or 15T, got {text}")
            wrong = given[name] & ~acceptable(name, numbers[name])
            for row in np.flatnonzero(wrong).tolist():
                found.setdefault(row, number_fault(name, float(numbers[name][row]), as_column) or "")
    names, known = {}, {}
    for name in NAMES:
        known[name], names[name] = _texts(table, name, "a published name, or a JSON file", found)
        given[name] = names[name] >= 0
        if not files:
            wrong = [is_file_name(word) for word in known[name]]
            _refuse(wrong, known[name], names[name], f"{name} must be a published name (no files are read)", found)
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


def _texts(table: Any, name: str, wanted: str, faults: dict[int, str]) -> tuple[list[Any], np.ndarray]:
    """The distinct texts of a column, and for each row which one it is; −1 for none."""
    if name not in table.column_names:
        return [], np.full(table.num_rows, -1)
    known, codes, unread = texts_of(table.column(name))
    for row, shown in unread:
        faults.setdefault(row, f"{name} must be {wanted}, got {shown}")
    return known, codes


def _flags(table: Any, name: str, default: bool, faults: dict[int, str]) -> np.ndarray:
    known, codes = _texts(table, name, "true or false", faults)
    wrong = [word.lower() not in (*_YES, *_NO) for word in known]
    _refuse(wrong, known, codes, f"{name} must be true or false", faults)
    meaning = np.array([word.lower() in _YES for word in known] + [default], bool)
    return meaning[codes]  # −1, the last, is the default


def _refuse(wrong: list[bool], known: list[Any], codes: np.ndarray, rule: str, faults: dict[int, str]) -> None:
    """Note the rows whose text is wrong, a flag for each that is known."""
    for row in np.flatnonzero(np.array([*wrong, False], bool)[codes]).tolist():
        faults.setdefault(row, f"{rule}, got {quoted(known[codes[row]])}")
