"""What a scenario function returns, as named columns: scalars by their path in its result, statuses as words."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path

from t2jax._io.output import arrow
from t2jax.optimize import Status

__all__ = ["arrow_table", "column_names", "status_words", "words_of"]


def column_names(result: Any) -> tuple[str, ...]:
    """The name of each leaf: `allocation.params`, `shadow_prices.0`; `result` where it is the only one and has no path.

    Raises ValueError where two leaves would have one name.
    """
    paths = [keystr(path, simple=True, separator=".") for path, _ in tree_flatten_with_path(result)[0]]
    # An item of an enumeration is a module with its number inside.
    names = tuple(path.removesuffix("._value") or "result" for path in paths)
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"fn returns two results that would be called {twice[0]!r} in the output: rename one")
    return names


def words_of(result: Any) -> tuple[tuple[str, ...] | None, ...]:
    """For each leaf the words that its numbers stand for, None where it is a number."""
    nodes = jax.tree.leaves(result, is_leaf=lambda node: isinstance(node, Status))
    return tuple(status_words() if isinstance(node, Status) else None for node in nodes)


def status_words() -> tuple[str, ...]:
    """The word of each `Status` by its number: "solved", "infeasible", …, the message up to its colon."""
    items = [jax.tree.map(lambda _, code=code: np.asarray(code), Status.solved) for code in range(len(Status))]
    return tuple(Status[item].partition(":")[0] for item in items)


def arrow_table(
    scenarios: Mapping[str, np.ndarray],
    results: Sequence[np.ndarray],
    names: Sequence[str],
    words: Sequence[tuple[str, ...] | None],
) -> Any:
    """Scenarios and, beside them, the leaves of the results as one pyarrow table."""
    pa = arrow()
    columns = {name: pa.array(column) for name, column in scenarios.items()}
    for name, leaf, means in zip(names, results, words, strict=True):
        if means is not None:
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(leaf), pa.array(means))
        else:
            # Arrow has no bfloat16, and float16 few readers.
            columns[name] = pa.array(
                leaf if leaf.dtype.kind in "biu" or leaf.itemsize >= 4 else leaf.astype(np.float32)
            )
    return pa.table(columns)
