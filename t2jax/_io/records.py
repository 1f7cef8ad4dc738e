"""Rows of a table in a file, whatever its kind: CSV, TSV, JSON lines and Excel's .xlsx; first the names of columns.

Every row comes with the place where it stands: the line of a text, as an editor counts it, or the row that a
spreadsheet shows. What cannot be read is a ValueError that says where. Loads nothing but Python's own modules, and
python-calamine for .xlsx.
"""

import csv
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t2jax._io.delimited import delimiter_of

__all__ = ["ENDINGS", "Record", "Records", "json_records", "listed_endings", "records"]

_NOT_TEXT = "{} is not a text file in UTF-8"


@dataclass(frozen=True)
class Records:
    """Rows of a file, each as (place, cells), the header first; blank rows are left out.

    Cells are as the file has them: text, or numbers where it knows them. unit: what places count, a "line" of a text
    from 1, or a "row" of a sheet from 1. delimiter: of text. unread: which part of the file is not read, in words.
    """

    rows: Iterator[tuple[int, list[Any]]]
    unit: str
    delimiter: str | None = None
    unread: str = ""


@dataclass(frozen=True)
class Record:
    """A line of JSON lines: its cells by name, or the fault for which it has none."""

    line: int
    cells: dict[str, Any]
    fault: str | None = None


def records(path: Path) -> Records:
    """The rows of a file. Raises ValueError for what it is not, ImportError where a library is missing."""
    return _READERS[path.suffix.lower()](path)


# --- Text with a delimiter --------------------------------------------------------------------------------------------


def _delimited(path: Path) -> Records:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = delimiter_of(path, next((line for line in file if line.strip()), ""))
    except UnicodeDecodeError:
        raise ValueError(_NOT_TEXT.format(path.name)) from None
    return Records(_delimited_rows(path, delimiter), "line", delimiter)


def _delimited_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[Any]]]:
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1  # a cell in quotes may go over several lines
    except UnicodeDecodeError:
        raise ValueError(_NOT_TEXT.format(path.name)) from None
    except csv.Error as error:
        raise ValueError(f"{path.name}, line {line}: not valid CSV: {error}") from None


# --- JSON lines -------------------------------------------------------------------------------------------------------


def _json_lines(path: Path) -> Records:
    return Records(_json_rows(path), "line")


def _json_rows(path: Path) -> Iterator[tuple[int, list[Any]]]:
    names: dict[str, None] = {}  # of all lines: they need not have the same
    for record in json_records(path):
        if record.fault is not None:
            raise ValueError(f"{path.name}, line {record.line}: {record.fault}")
        names.update(dict.fromkeys(record.cells))
    if names:
        yield 0, list(names)
    for record in json_records(path):
        yield record.line, [record.cells.get(name) for name in names]


def json_records(path: Path) -> Iterator[Record]:
    """The lines that are not blank."""
    with path.open("rb") as file:
        for line, content in enumerate(file, 1):
            content = (content.removeprefix(b"\xef\xbb\xbf") if line == 1 else content).rstrip()
            if content:
                yield _record(line, content)


def _record(line: int, content: bytes) -> Record:
    try:
        cells = json.loads(content.decode(), object_pairs_hook=_once_each)
        if rb"\u" in content:  # half a pair of surrogates is no text
            json.dumps(cells, ensure_ascii=False).encode()
    except UnicodeError:
        return Record(line, {}, "is not text in UTF-8")
    except json.JSONDecodeError as error:
        return Record(line, {}, f"not valid JSON: {error.msg}, at column {error.colno}")
    except RecursionError:
        return Record(line, {}, "is nested too deeply")
    except ValueError as error:  # a key twice, or an integer with thousands of digits
        return Record(line, {}, str(error))
    if not isinstance(cells, dict):
        return Record(line, {}, 'is not a JSON object such as {"params": 1e9}')
    return Record(line, cells)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    cells = dict(pairs)
    if len(cells) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f'has "{next(name for name in names if names.count(name) > 1)}" more than once')
    return cells


# --- Spreadsheets -----------------------------------------------------------------------------------------------------


def _sheet(path: Path) -> Records:
    try:
        # Not an import statement: type checkers would ask for it, and it may be absent.
        calamine = importlib.import_module("python_calamine")
    except ImportError as error:
        raise ImportError('reading .xlsx needs python-calamine: pip install "t2jax[io]"') from error
    try:
        workbook = calamine.CalamineWorkbook.from_path(str(path))
        names = workbook.sheet_names
        rows = workbook.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (calamine.CalamineError, OSError, IndexError) as error:
        raise ValueError(f"cannot read {path.name} as .xlsx: {error}") from None
    others = ", ".join(f'"{name}"' for name in names[1:4]) + (", …" if len(names) > 4 else "")
    return Records(
        _sheet_rows(rows), "row", unread=f'of its sheets only "{names[0]}" is read, not {others}' if others else ""
    )


def _sheet_rows(rows: list[list[Any]]) -> Iterator[tuple[int, list[Any]]]:
    is_header = True
    for place, row in enumerate(rows, 1):
        cells = [None if cell == "" else cell for cell in row]
        if any(cell is not None for cell in cells):
            yield place, ["" if cell is None else str(cell) for cell in cells] if is_header else cells
            is_header = False


_READERS: dict[str, Callable[[Path], Records]] = {
    ".csv": _delimited,
    ".tsv": _delimited,
    ".jsonl": _json_lines,
    ".xlsx": _sheet,
}
ENDINGS = (*_READERS, ".parquet")
"""Of files with tables."""


def listed_endings() -> str:
    """For messages and help: ".csv, .tsv, … or .parquet"."""
    return f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
