"""Scenarios from arrays, and what is asked of the numbers of any scenario."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["Rows", "check_fit", "checked_axis", "hash_of"]

_CHUNK = 1 << 20


class Rows:
    """A mapping of names to numbers, all of one length. `rows[3:7]` is a dict of views."""

    def __init__(self, columns: Any):
        if not isinstance(columns, Mapping):
            raise TypeError(f"scenarios must be a grid or a mapping of names to arrays, got {type(columns).__name__}")
        self.columns = {str(name): checked_axis(f"scenario {name!r}", column) for name, column in columns.items()}
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name!r} has {length:,}" for name, length in lengths.items())
            raise ValueError(f"scenarios must be of one length: {listed}")
        if not max(lengths.values(), default=0):
            raise ValueError("there are no scenarios: give each name an array with one number or more")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, rows: slice) -> dict[str, np.ndarray]:
        return {name: column[rows] for name, column in self.columns.items()}


def checked_axis(what: str, values: Any) -> np.ndarray:
    """A number, or a list or array of them, as a one-dimensional floating array.

    Raises TypeError or ValueError, with messages that begin with `what`.
    """
    if isinstance(values, int | float):
        values = [values]
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{what} must be one-dimensional, got rows of unequal shapes") from None
    if array.dtype.kind == "b" or (isinstance(values, list) and any(isinstance(one, bool) for one in values)):
        raise TypeError(f"{what} must hold real numbers, got true and false: give 0.0 and 1.0")
    if array.dtype.kind == "O" and all(isinstance(one, int | float) for one in array.ravel()):
        array = np.array([_floating(one) for one in array.ravel()]).reshape(array.shape)  # integers beyond 64 bits
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{what} must hold real numbers, got {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{what} must be one-dimensional, got shape {array.shape}")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def check_fit(columns: Mapping[str, np.ndarray], dtype: np.dtype) -> None:
    """Raises ValueError where a number becomes zero or infinite in this dtype: 1e39 FLOPs in float32."""
    for name, column in columns.items():
        if column.dtype.itemsize <= dtype.itemsize:
            continue
        for start in range(0, len(column), _CHUNK):
            given = column[start : start + _CHUNK]
            with np.errstate(over="ignore", under="ignore"):
                kept = given.astype(dtype)
            lost = (np.isinf(kept) & ~np.isinf(given)) | ((kept == 0) & (given != 0))
            if lost.any():
                raise ValueError(
                    f"scenario {name!r} holds {given[lost][0]:g}, which does not fit {dtype.name}: enable float64 "
                    "(jax_enable_x64) or change units"
                )


def hash_of(columns: Mapping[str, np.ndarray]) -> str:
    """A hash of the names, and of the numbers as they are given."""
    found = hashlib.sha256()
    for name, column in columns.items():
        found.update(f"{name!r} {column.dtype} {len(column)} ".encode())
        for start in range(0, len(column), _CHUNK):
            found.update(column[start : start + _CHUNK].tobytes())
    return found.hexdigest()[:32]


def _floating(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf
