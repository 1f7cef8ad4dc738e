"""Where the results of a sweep go: to memory, to a function, or to a folder on disk."""

import abc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from t2jax._io.output import Output, versions
from t2jax.sweeping._columns import arrow_table, column_names, words_of
from t2jax.sweeping._grid import Grid
from t2jax.sweeping._lanes import Lanes
from t2jax.sweeping._processes import together
from t2jax.sweeping._rows import Rows, hash_of

__all__ = ["Call", "Disk", "Memory", "Sink"]


class Sink(abc.ABC):
    """Takes up the results of each batch, in a thread of its own."""

    path: Path | None = None

    def has(self, batch: int) -> bool:
        """Is this batch there, from an earlier run?"""
        return False

    @abc.abstractmethod
    def take(self, batch: int, scenarios: Mapping[str, np.ndarray], results: Any) -> None:
        """Take up the results of a batch, which may still be under way; those of lanes past the scenarios are cut."""

    def finish(self) -> Any:
        """All batches have been taken up. Returns all the results, where they are kept in memory."""
        return None

    def stopped(self) -> str | None:
        """What to tell a person who stops the sweep."""
        return None


class Memory(Sink):
    """Arrays of NumPy in the structure of fn's results."""

    def __init__(self, structure: Any, rows: int, batch_size: int):
        self._all = jax.tree.map(lambda leaf: np.empty(rows, leaf.dtype), structure)
        self._batch_size = batch_size

    def take(self, batch: int, scenarios: Mapping[str, np.ndarray], results: Any) -> None:
        start = batch * self._batch_size
        for kept, leaf in zip(jax.tree.leaves(self._all), _cut(scenarios, results), strict=True):
            kept[start : start + len(leaf)] = leaf

    def finish(self) -> Any:
        return self._all


class Call(Sink):
    """A function of (scenarios, results), called with one batch after another."""

    def __init__(self, function: Callable[[Any, Any], Any], structure: Any):
        self._function, self._structure = function, jax.tree.structure(structure)

    def take(self, batch: int, scenarios: Mapping[str, np.ndarray], results: Any) -> None:
        self._function(scenarios, jax.tree.unflatten(self._structure, _cut(scenarios, results)))


class Disk(Sink):
    """A folder with a part for each batch. Process 0 begins and finishes it; each writes the batches it computes."""

    def __init__(self, path: Path, rows: Grid | Rows, lanes: Lanes, batch_size: int, resume: bool):
        self.path = path
        self._rows, self._parts = len(rows), -(-len(rows) // batch_size)
        self._names, self._words = column_names(lanes.structure), words_of(lanes.structure)
        for name in self._names:
            if name in rows.names:
                raise ValueError(f"fn returns {name!r}, the name of a scenario's number: rename it in what fn returns")
        settings = {
            "inputs": hash_of(rows.columns),
            "function": lanes.fingerprint(),
            "rows": self._rows,
            "batch_size": batch_size,
            "dtype": lanes.dtype.name,
            "platform": lanes.platform,
            **versions("t2jax", "jax", "jaxlib", "pyarrow"),
        }
        first = jax.process_index() == 0
        begun = together(lambda: Output.begin(path, settings=settings, resume=resume) if first else None)
        self._output: Output = together(lambda: begun or Output.join(path, settings=settings))

    def has(self, batch: int) -> bool:
        return self._output.done(batch)

    def take(self, batch: int, scenarios: Mapping[str, np.ndarray], results: Any) -> None:
        self._output.write(batch, arrow_table(scenarios, _cut(scenarios, results), self._names, self._words))

    def finish(self) -> None:
        first = jax.process_index() == 0
        together(lambda: self._output.finish(parts=self._parts, rows=self._rows) if first else None)

    def stopped(self) -> str:
        return f"stopped. What is done is in {self._output.folder}: go on with resume=True"


def _cut(scenarios: Mapping[str, np.ndarray], results: Any) -> list[np.ndarray]:
    """The leaves of the results, as many as there are scenarios. Waits for them."""
    count = len(next(iter(scenarios.values())))
    return [np.asarray(leaf)[:count] for leaf in jax.tree.leaves(results)]
