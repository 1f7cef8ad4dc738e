"""Measurements as a person has them (columns in memory, or a file) become checked columns of float64.

Every message says which file, which line and which column. Loads neither JAX nor, unless it must, pyarrow.
"""

import importlib
import numbers
import os
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from t2jax._io.delimited import comma_note, title_fault
from t2jax._io.interchange import arrow_table, with_none
from t2jax._io.numbers import number
from t2jax._io.records import ENDINGS, listed_endings, records
from t2jax._io.text import nearest
from t2jax.literature import Dataset

__all__ = ["FINITE", "NATURAL", "NONNEGATIVE", "POSITIVE", "SHARE", "Column", "Rule", "Table", "read_table"]


@dataclass(frozen=True)
class Rule:
    """Which numbers a column may hold: in words, and as a test of each number of an array. None may accept NaN."""

    words: str
    holds: Callable[[np.ndarray], np.ndarray]


FINITE = Rule("finite", np.isfinite)
POSITIVE = Rule("positive and finite", lambda x: np.isfinite(x) & (x > 0))
NONNEGATIVE = Rule("zero or positive, and finite", lambda x: np.isfinite(x) & (x >= 0))
NATURAL = Rule("a whole number, zero or more", lambda x: np.isfinite(x) & (x >= 0) & (x == np.floor(x)))
SHARE = Rule("between 0 and 1", lambda x: (x >= 0) & (x <= 1))


@dataclass(frozen=True)
class Column:
    """A column that a model needs; `meaning` is its quantity and unit, for messages: "N, model parameters"."""

    name: str
    meaning: str
    accepts: Rule
    optional: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of float64 and of labels, all of one length."""

    columns: Mapping[str, np.ndarray]
    others: tuple[str, ...]  # further columns of the data, unread
    source: str | None  # the name of the file or data set; None for other data in memory
    labels: Mapping[str, np.ndarray]
    places: np.ndarray  # where each row stands in the data
    unit: str = "row"  # what `places` counts: "line" (an editor's, from 1) or "row" (a sheet's from 1, else from 0)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def where(self, row: int) -> str:
        """Where this row of the table stands in the data: 'runs.csv, line 7' or 'row 5'."""
        place = f"{self.unit} {self.places[row]}"
        return f"{self.source}, {place}" if self.source else place

    def take(self, rows: Any) -> "Table":
        """The rows of a mask or of an array of indices; they keep their places."""
        columns, labels = ({name: x[rows] for name, x in part.items()} for part in (self.columns, self.labels))
        return replace(self, columns=columns, labels=labels, places=self.places[rows])


def read_table(
    data: Any,
    wanted: Sequence[Column],
    *,
    rename: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
) -> Table:
    """The wanted columns of `data`, each cell a number that its column accepts.

    data: a mapping of names to arrays or lists, a data set, a dataframe of pandas or polars, a pyarrow table or another
        that exports Arrow (`__arrow_c_stream__`), or the path of a .csv (separated by commas, semicolons or tabs),
        .tsv, .jsonl, .xlsx or .parquet file, also of one in the folder that the environment's T2JAX_DATA names. Cells
        of text in a file are read as numbers, such as 1e24 or 7B; in memory and in Parquet text is no number.
    rename: the name in the data of a wanted column that is called otherwise there, as {"samples": "k"}.
    labels: names in the data of columns to read as they are, text or numbers.

    An optional column may be absent, unless `rename` names it. Raises `ValueError` (`TypeError` for what is no table,
    `FileNotFoundError`) with the place of the first cell that is wrong and the number of those that follow.
    """
    renamed, known = dict(rename or {}), [column.name for column in wanted]
    for name in renamed:
        if name not in known:
            near = _meant([name], known) or f": needed are {_listed(known)}"
            raise ValueError(f'rename: no column "{name}" is needed{near}')
    name_of = {name: renamed.get(name, name) for name in known}
    needed = [column for column in wanted if not column.optional or column.name in renamed]
    file = Path(data) if isinstance(data, str | Path) else None
    source = data.about.name if isinstance(data, Dataset) else None if file is None else file.name

    def choose(names: list[str], title: _Title = lambda wanted: None, unread: str = "") -> list[str]:
        """Which of the data's columns to read. title: says if what seems to be the header is none."""
        subject = source or "the data"
        for name in names:
            if name and names.count(name) > 1:
                raise ValueError(f'{subject} has more than one column "{name}"')
        meanings = dict.fromkeys(labels, "label") | {name_of[c.name]: c.meaning for c in needed}
        missing = [name for name in meanings if name not in names]
        if missing:
            if fault := title([*meanings, *name_of.values()]):
                raise ValueError(f"{subject}, {fault}")
            named = f"column{'s' if len(missing) > 1 else ''} "
            named += ", ".join(f'"{name}" ({meanings[name]})' for name in missing)
            near = _meant(missing, [name for name in names if name not in (*name_of.values(), *labels)])
            it_has = f"It has {_listed(names)}{f'; {unread}' if unread else ''}"
            raise ValueError(f"{subject} has no {named}{near or '.'} {it_has}")
        return [name for name in dict.fromkeys([*name_of.values(), *labels]) if name in names]

    given = _from_memory(data, choose) if file is None else _from_file(_located(file), choose)
    if not len(given.places):
        raise ValueError(f"{source or 'the data'} has no rows")

    columns, bad = {}, []
    for column in wanted:
        name = name_of[column.name]
        if name in given.cells:
            columns[column.name] = _numbers(given.cells[name], given.has_text)
            wrong = np.flatnonzero(~column.accepts.holds(columns[column.name]))
            bad += [(row, name, column.accepts) for row in wrong.tolist()]
    table = Table(
        columns=columns,
        others=tuple(name for name in given.names if name and name not in given.cells),
        source=source,
        labels={name: _labels(given.cells[name], given.has_text) for name in labels},
        places=given.places,
        unit=given.unit,
    )
    if bad:
        row, name, rule = min(bad, key=lambda one: one[0])  # in one row, the first in the order of `wanted`
        more = f" (and {len(bad) - 1} more bad cell{'s' if len(bad) > 2 else ''})" if len(bad) > 1 else ""
        raise ValueError(f'{table.where(row)}, column "{name}": {_fault(given.cells[name][row], rule, given)}{more}')
    return table


# --- From data to cells -----------------------------------------------------------------------------------------------

_Title = Callable[[list[str]], str | None]
_Choose = Callable[..., list[str]]


@dataclass(frozen=True, eq=False)
class _Cells:
    """All names of the data, the cells of the chosen columns, each row's place.

    has_text: is text such as 7B a number here? has_commas: may it be one with a decimal comma, not two cells?
    """

    names: list[str]
    cells: Mapping[str, np.ndarray]
    places: np.ndarray
    unit: str = "row"
    has_text: bool = False
    has_commas: bool = False


def _from_memory(data: Any, choose: _Choose) -> _Cells:
    if hasattr(data, "column_names") and hasattr(data, "column"):  # of pyarrow
        names, get = list(data.column_names), data.column
    elif isinstance(data, Mapping) or (hasattr(data, "columns") and hasattr(data, "__getitem__")):
        keys = list(data if isinstance(data, Mapping) else data.columns)
        key_of = {str(key): key for key in keys}
        names, get = [str(key) for key in keys], lambda name: data[key_of[name]]
    elif (table := arrow_table(data)) is not None:
        names, get = list(table.column_names), table.column
    else:
        accepted = "a mapping of names to columns, a dataframe, a pyarrow table or the path of a .csv or .parquet file"
        raise TypeError(f"data must be {accepted}, got {type(data).__name__}")
    cells = {name: _array(name, get(name)) for name in choose(names)}
    if len({len(column) for column in cells.values()}) > 1:
        lengths = ", ".join(f'"{name}" has {len(column)}' for name, column in cells.items())
        raise ValueError(f"columns must be of one length: {lengths}")
    return _Cells(names, cells, np.arange(max(map(len, cells.values()), default=0)))


def _array(name: str, column: Any) -> np.ndarray:
    column = with_none(column)
    try:
        array = np.asarray(column)
    except ValueError:
        raise ValueError(f'column "{name}" must be one-dimensional, got rows of unequal shapes') from None
    if array.ndim != 1:
        raise ValueError(f'column "{name}" must be one-dimensional, got shape {array.shape}')
    if array.dtype.kind in "US" and isinstance(column, Sequence):
        return np.array(column, dtype=object)  # else numbers beside a text would turn into text
    return array


def _located(path: Path) -> Path:
    """The path itself, or one that is not there in the folder that T2JAX_DATA names."""
    folder = os.environ.get("T2JAX_DATA")
    if folder and not path.exists() and (Path(folder) / path).exists():
        return Path(folder) / path
    return path


def _from_file(path: Path, choose: _Choose) -> _Cells:
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path.name} must end in {listed_endings()}")
    return _from_parquet(path, choose) if path.suffix.lower() == ".parquet" else _from_records(path, choose)


def _from_parquet(path: Path, choose: _Choose) -> _Cells:
    try:
        # Not an import statement: type checkers would ask for pyarrow, which may be absent.
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError('reading Parquet needs pyarrow: pip install "t2jax[io]"') from error
    invalid = importlib.import_module("pyarrow").ArrowInvalid
    try:
        with parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            chosen = choose(names)
            table = file.read(columns=chosen)  # reads "loss.mean", too, where "loss" is asked for
    except (OSError, invalid) as error:
        raise ValueError(f"cannot read {path.name} as Parquet: {error}") from None
    return _Cells(names, {name: _array(name, table.column(name)) for name in chosen}, np.arange(table.num_rows))


def _from_records(path: Path, choose: _Choose) -> _Cells:
    found = records(path)
    begins, header = next(found.rows, (0, []))
    if not header:
        raise ValueError(f"{path.name} is empty")
    names = [name.strip() for name in header]

    def title(wanted: list[str]) -> str | None:
        try:
            return title_fault(names, found.rows, wanted, at=begins, unit=found.unit)
        except ValueError:  # further down it is no table
            return None

    chosen = choose(names, title, found.unread)
    kept: dict[str, list[Any]] = {name: [] for name in chosen}
    targets = [(cells, names.index(name)) for name, cells in kept.items()]
    places = array("q")
    for place, row in found.rows:
        if len(row) != len(names):
            cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
            raise ValueError(f"{path.name}, line {place}: has {cells}, the header has {len(names)}")
        places.append(place)
        for cells, i in targets:
            cells.append(row[i])
    columns = {name: _objects(cells) for name, cells in kept.items()}
    return _Cells(names, columns, np.array(places), found.unit, has_text=True, has_commas=found.delimiter != ",")


def _objects(cells: list[Any]) -> np.ndarray:
    """Of one dimension, even where the cells are lists."""
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return column


# --- From cells to numbers --------------------------------------------------------------------------------------------


def _numbers(cells: np.ndarray, has_text: bool) -> np.ndarray:
    """The cells as float64, NaN where a cell is no number."""
    if cells.dtype.kind in "iuf":
        return cells.astype(np.float64)  # a copy: the caller may write to what was given
    if has_text and all(type(cell) is str for cell in cells):
        try:
            return np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:  # some cell is no number: go through them one by one
            pass
    read = (_number(cell, has_text) for cell in cells)
    return np.fromiter((np.nan if x is None else x for x in read), np.float64, len(cells))


def _number(cell: Any, has_text: bool) -> float | None:
    # timedelta64 calls itself a real number; bfloat16 does not.
    is_number = isinstance(cell, numbers.Real | Decimal) and not isinstance(cell, bool | np.timedelta64)
    try:
        if has_text and isinstance(cell, str):
            return number(cell)
        return float(cell) if is_number or getattr(cell, "dtype", None) == "bfloat16" else None
    except ValueError:
        return None
    except OverflowError:  # a whole number of Python that float64 does not hold
        return np.inf


def _labels(cells: np.ndarray, has_text: bool) -> np.ndarray:
    if has_text and not all(isinstance(cell, float | int) for cell in cells):
        return np.array([cell if isinstance(cell, str) else str(cell) for cell in cells])
    return np.array(cells.tolist()) if has_text else np.array(cells)


def _fault(cell: Any, rule: Rule, given: _Cells) -> str:
    shown = str(cell).strip()
    if cell is None or not shown:
        return f"must be {rule.words}, but is empty"
    shown = shown if len(shown) <= 40 else shown[:39] + "…"
    if _number(cell, given.has_text) is None:
        note = comma_note(cell) if given.has_commas and isinstance(cell, str) else ""
        return f"must be a number, got {repr(shown) if isinstance(cell, str) else shown}{note}"
    return f"must be {rule.words}, got {shown}"


def _meant(given: Iterable[str], known: Iterable[str]) -> str:
    """': did you mean …?' with the name nearest to each that was given, or nothing where none is near."""
    names = list(known)
    near = [f'"{one}"' for name in given for one in nearest(name, names, most=1)]
    return f": did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "") or "none"
