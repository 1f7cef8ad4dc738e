"""A grid of scenarios that is never written out: any of its rows come from its axes by integer arithmetic."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from t2jax._io.text import aligned
from t2jax.sweeping._rows import checked_axis

__all__ = ["Grid", "grid"]


class Grid:
    """The rows of a cartesian product of named axes, the last axis fastest; see `grid`.

    `len`, `names`, `shape`; `grid[7]` is one scenario, a dict of floats, and `grid[7:9]` a dict of arrays of float64.
    """

    def __init__(self, axes: Mapping[str, np.ndarray]):
        self.columns = axes

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(len(axis) for axis in self.columns.values())

    def __len__(self) -> int:
        return math.prod(self.shape)

    def __getitem__(self, rows: int | slice) -> dict[str, Any]:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._run(start, max(start, stop))
            flat = np.arange(start, stop, step, dtype=np.int64)
            digits = np.unravel_index(flat, self.shape)
            return {name: axis[digit] for (name, axis), digit in zip(self.columns.items(), digits, strict=True)}
        if not isinstance(rows, int | np.integer):
            raise TypeError(f"a grid takes a row or a slice of rows, got {rows!r}")
        if not -len(self) <= rows < len(self):
            raise IndexError(f"row {rows} of a grid of {len(self):,} rows")
        row = int(rows) % len(self)
        return {name: float(column[0]) for name, column in self._run(row, row + 1).items()}

    def _run(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Rows start … stop − 1: runs of one value and cycles of an axis, as a division for each row takes longer."""
        columns, stride = {}, len(self)
        for name, axis in self.columns.items():
            stride //= len(axis)  # so many rows one after another have the same value
            first = start // stride
            values = _cycle(axis, first % len(axis), -(-stop // stride) - first)
            begin = start - first * stride
            if stride >= stop - start:  # at most two values: never build the whole of a long run
                turn = min(stride - begin, stop - start)
                columns[name] = np.repeat(values, [turn, stop - start - turn][: len(values)])
            else:
                runs = np.broadcast_to(values[:, None], (len(values), stride)).reshape(-1)
                columns[name] = runs[begin : begin + stop - start]
        return columns

    def __repr__(self) -> str:
        rows = []
        for name, axis in self.columns.items():
            low, high = f"{axis.min():.6g}", f"{axis.max():.6g}"
            rows.append([name, f"{len(axis):,}", low, *(["–", high] if high != low else [])])
        return f"grid of {len(self):,} scenarios\n{aligned(rows)}"


def _cycle(axis: np.ndarray, first: int, count: int) -> np.ndarray:
    """`count` values of the axis from `first` on, over and over."""
    if first + count <= len(axis):
        return axis[first : first + count]
    turns = -(-(first + count) // len(axis))
    return np.broadcast_to(axis, (turns, len(axis))).reshape(-1)[first : first + count]


def grid(**axes: Any) -> Grid:
    """Every combination of the axes' values, the last axis fastest; a billion of them take no memory.

    ```python
    scenarios = t2.grid(budget=np.geomspace(1e20, 1e26, 100_000), queries=[1e6, 1e9], G=1.0)
    len(scenarios), scenarios[0]  # (200000, {"budget": 1e20, "queries": 1e6, "G": 1.0})
    ```

    axes: for each name a number, or a list or one-dimensional array of them, finite; whole numbers become floating.
    Raises TypeError or ValueError, with the axis, for anything else.
    """
    if not axes:
        raise ValueError("a grid has one axis or more: grid(budget=[1e21, 1e22], queries=1e9)")
    checked = {}
    for name, values in axes.items():
        axis = checked_axis(f"axis {name!r}", values)
        axis = np.array(axis, np.float64)  # a copy: the caller may write to what was given
        if not len(axis):
            raise ValueError(f"axis {name!r} is empty: give one number or more")
        if not np.isfinite(axis).all():
            raise ValueError(f"axis {name!r} must be finite, got {axis[~np.isfinite(axis)][0]}")
        axis.flags.writeable = False
        checked[name] = axis
    if math.prod(map(len, checked.values())) >= 2**63:
        raise ValueError("a grid has fewer than 2**63 rows")
    return Grid(checked)
