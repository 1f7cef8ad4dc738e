"""Tables of other libraries, by the Arrow interchange: pandas and polars are neither imported nor needed."""

import importlib
from typing import Any

import numpy as np

__all__ = ["arrow_table", "with_none"]


def arrow_table(data: Any) -> Any:
    """What exports Arrow (`__arrow_c_stream__`), as a pyarrow table; None for what does not.

    Raises ImportError where pyarrow is missing, ValueError for a table that has no form in Arrow.
    """
    if not hasattr(data, "__arrow_c_stream__"):
        return None
    try:
        pa = importlib.import_module("pyarrow")  # type checkers would ask for it, and it may be absent
    except ImportError as error:
        kind = type(data).__name__
        raise ImportError(f'reading a {kind} by its Arrow export needs pyarrow: pip install "t2jax[io]"') from error
    try:
        return pa.table(data)
    except (pa.ArrowException, TypeError) as error:
        raise ValueError(f"the {type(data).__name__} has no form in Arrow: {error}") from error


def with_none(column: Any) -> Any:
    """A column in which a missing cell is None, whatever the library marks it with; NaN among floats stays.

    To NumPy they would be what a mask hides, NaN, or an object of the library's own.
    """
    if isinstance(column, np.ma.MaskedArray):
        return column.tolist()
    nulls = getattr(column, "null_count", 0)  # of pyarrow; of polars, where it is a method
    if nulls() if callable(nulls) else nulls:
        return column.to_pylist() if hasattr(column, "to_pylist") else column.to_list()
    if hasattr(column, "isna"):  # of pandas
        missing = np.asarray(column.isna())
        if missing.any() and not (isinstance(column.dtype, np.dtype) and column.dtype.kind == "f"):
            cells = np.array(column, dtype=object)
            cells[missing] = None
            return cells
    return column
