"""Columns of one length with their source: what `dataset` returns and `fit` takes."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from t2jax.datasets.catalogue import Entry
from t2jax.display import Displayed, Grid
from t2jax.report import human

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
                cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
                raise ValueError(f"{path}, line {reader.line_num}: has {cells}, the header has {len(header)}")
            rows.append(row)

    if not rows:
        raise ValueError(f"{path} has no rows")
    return Dataset({name: _typed(column) for name, column in zip(header, zip(*rows, strict=True), strict=True)}, about)


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
