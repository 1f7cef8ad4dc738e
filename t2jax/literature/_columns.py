"""Columns of one length with their source: what `dataset` returns and `fit` takes."""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from t2jax._io.display import Displayed, Grid
from t2jax._io.text import human
from t2jax.literature._catalogue import Entry

__all__ = ["Dataset", "from_csv"]


class Dataset(Displayed, Mapping[str, np.ndarray]):
    """Columns by name, read-only: numbers as float64 (NaN where a cell is empty), text as strings. `fit` takes it.

    about: what it is, its source and licence, one entry of `list_datasets()`. rows: how many.
    `dict(data)` is what dataframes are made of.
    """

    def __init__(self, columns: Mapping[str, Any], about: Entry):
        self._columns = {name: np.array(column) for name, column in columns.items()}
        for column in self._columns.values():
            column.flags.writeable = False
        self.about = about
        self.rows = len(next(iter(self._columns.values())))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise KeyError(f"{self.about.name} has no column {name!r}. It has {', '.join(self._columns)}")
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def take(self, rows: Any) -> "Dataset":
        """The rows of a mask or of an array of indices."""
        return Dataset({name: column[rows] for name, column in self.items()}, self.about)

    def where(self, **wanted: Any) -> "Dataset":
        """The rows whose columns equal what is given: `counts.where(benchmark="GSM8K", model="pythia-12b")`.

        Raises ValueError where there are none, KeyError for a column that is not there.
        """
        kept = np.ones(self.rows, bool)
        for name, value in wanted.items():
            kept &= self[name] == value
            if not kept.any():
                known = ", ".join(map(str, np.unique(self[name])[:12]))
                raise ValueError(f"no row of {self.about.name} has {name} = {value!r}; it holds {known}")
        return self.take(kept)

    def join(self, other: Mapping[str, Any], on: Sequence[str]) -> "Dataset":
        """Each row with the columns of the row of `other` that is equal to it in the columns `on`.

        `counts.join(t2.dataset("pythia_checkpoints"), on=("model", "step"))` says how large each model is.
        Raises ValueError where `other` has no such row, or more than one.
        """
        place: dict[tuple[Any, ...], int] = {}
        for i, key in enumerate(zip(*(np.asarray(other[name]).tolist() for name in on), strict=True)):
            if place.setdefault(key, i) != i:
                raise ValueError(f"more than one row to join has {_said(on, key)}")
        keys = list(zip(*(self[name].tolist() for name in on), strict=True))
        for key in keys:
            if key not in place:
                raise ValueError(f"no row to join has {_said(on, key)}")
        found = np.array([place[key] for key in keys])
        added = {name: np.asarray(other[name])[found] for name in other if name not in self}
        return Dataset({**self, **added}, self.about)

    def _parts(self) -> list[str | Grid]:
        texts = tuple(i for i, column in enumerate(self.values()) if column.dtype.kind == "U")
        rows = [[_cell(column[i]) for column in self.values()] for i in range(min(self.rows, 5))]
        more = [f"  … {self.rows - 5:,} more rows"] if self.rows > 5 else []
        entry = self.about
        source = f"  {entry.citation}; licence: {entry.licence}"
        head = f"{entry.name}: {self.rows:,} rows, each {entry.about}"
        return [head, source, Grid([list(self), *rows], header=True, left=texts), *more]

    def __repr__(self) -> str:
        return str(self)


def from_csv(path: Path, entry: Entry) -> Dataset:
    """Every column of a .csv file with a header, cited as the data set's source only where its bytes are known.

    Raises ValueError with the line that has too few or too many cells.
    """
    content = path.read_bytes()
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8") from None
    header, rows = next(reader, []), []
    for row in reader:
        if len(row) != len(header):
            cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
            raise ValueError(f"{path}, line {reader.line_num}: has {cells}, the header has {len(header)}")
        rows.append(row)
    if hashlib.sha256(content).hexdigest() != entry.copy_sha256:
        entry = replace(entry, citation=f"local copy {path}, with other bytes than are known of {entry.citation}")
    if not rows:
        raise ValueError(f"{path} has no rows")
    return Dataset({name: _typed(column) for name, column in zip(header, zip(*rows, strict=True), strict=True)}, entry)


def _typed(cells: Sequence[str]) -> np.ndarray:
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return np.array(cells)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if np.isnan(value):
        return "–"
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e6 else human(value, 4)


def _said(on: Sequence[str], key: Sequence[Any]) -> str:
    return ", ".join(f"{name} = {_cell(value)}" for name, value in zip(on, key, strict=True))
