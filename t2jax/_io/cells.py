"""Cells of a person's table, from columns in memory or a file of any kind, before anyone says what they mean.

Loads neither JAX nor, unless it must, pyarrow.
"""

import importlib
import itertools
import numbers
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from t2jax._io.delimited import title_fault
from t2jax._io.interchange import arrow_table, with_none
from t2jax._io.numbers import number
from t2jax._io.records import ENDINGS, listed_endings, records

__all__ = ["Cells", "Choose", "Title", "cells_of_file", "cells_of_memory", "located", "number_in", "numbers_in"]

Title = Callable[[list[str]], str | None]
"""Says if what seems to be the header is a title, where a header may have these names."""
Choose = Callable[..., list[str]]
"""Which of the data's columns to read: (all names, title=, unread=) → names."""


@dataclass(frozen=True, eq=False)
class Cells:
    """All names of the data, the cells of the chosen columns, each row's place.

    has_text: is text such as 7B a number here? has_commas: may it be one with a decimal comma, not two cells? assumed:
    what was taken for granted of the file, in words.
    """

    names: list[str]
    cells: Mapping[str, np.ndarray]
    places: np.ndarray
    unit: str = "row"
    has_text: bool = False
    has_commas: bool = False
    assumed: tuple[str, ...] = ()


def cells_of_memory(data: Any, choose: Choose) -> Cells:
    """Of a mapping, a dataframe or what exports Arrow. Raises TypeError for what is no table."""
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
    return Cells(names, cells, np.arange(max(map(len, cells.values()), default=0)))


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


def located(path: Path) -> Path:
    """The path itself, or one that is not there in the folder that T2JAX_DATA names."""
    folder = os.environ.get("T2JAX_DATA")
    if folder and not path.exists() and (Path(folder) / path).exists():
        return Path(folder) / path
    return path


def cells_of_file(path: Path, choose: Choose) -> Cells:
    """Of a file, by its ending. Raises FileNotFoundError, or ValueError for what is no such table."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path.name} must end in {listed_endings()}")
    return _from_parquet(path, choose) if path.suffix.lower() == ".parquet" else _from_records(path, choose)


def _from_parquet(path: Path, choose: Choose) -> Cells:
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
    return Cells(names, {name: _array(name, table.column(name)) for name in chosen}, np.arange(table.num_rows))


def _from_records(path: Path, choose: Choose) -> Cells:
    found = records(path)
    begins, header = next(found.rows, (0, []))
    if not header:
        raise ValueError(f"{path.name} is empty")
    names = [name.strip() for name in header]

    def title(wanted: list[str]) -> str | None:
        """That the header is a title; `wanted`: names that a header may have, or none where they are not known."""
        known = wanted or _names_below(path)
        following = itertools.islice(records(path).rows, 1, None)
        try:
            return title_fault(names, following, known, at=begins, unit=found.unit) if known else None
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
    return Cells(
        names,
        columns,
        np.array(places),
        found.unit,
        has_text=True,
        has_commas=found.delimiter != ",",
        assumed=tuple(one for one in (_parted(path, found.delimiter), found.unread) if one),
    )


def _names_below(path: Path) -> list[str]:
    """The cells of the first row below the header, where they are several texts and none is a number."""
    _, cells = next(itertools.islice(records(path).rows, 1, None), (0, []))
    if len(cells) == 1 and isinstance(cells[0], str):  # below a title without the delimiter
        cells = max((cells[0].split(mark) for mark in _UNUSUAL), key=len)
    texts = [cell.strip() for cell in cells if isinstance(cell, str) and number_in(cell, has_text=True) is None]
    return texts if len(texts) == len(cells) > 1 else []


_UNUSUAL = {";": "semicolons", "\t": "tabs"}
"""What separates cells of a .csv where it is no comma."""


def _parted(path: Path, delimiter: str | None) -> str:
    is_unusual = path.suffix.lower() == ".csv" and delimiter in _UNUSUAL
    return f"cells are separated by {_UNUSUAL[str(delimiter)]}" if is_unusual else ""


def _objects(cells: list[Any]) -> np.ndarray:
    """Of one dimension, even where the cells are lists."""
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return column


def numbers_in(cells: np.ndarray, has_text: bool) -> np.ndarray:
    """The cells as float64, NaN where a cell is no number."""
    if cells.dtype.kind in "iuf":
        return cells.astype(np.float64)  # a copy: the caller may write to what was given
    if has_text and all(type(cell) is str for cell in cells):
        try:
            return np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:  # some cell is no number: go through them one by one
            pass
    read = (number_in(cell, has_text) for cell in cells)
    return np.fromiter((np.nan if x is None else x for x in read), np.float64, len(cells))


def number_in(cell: Any, has_text: bool) -> float | None:
    """The cell as a number; None where it is none."""
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
