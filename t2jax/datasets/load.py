"""From a name to columns: a local copy if there is one, else the original, fetched once, checked and kept."""

import difflib
import os
from pathlib import Path

from t2jax.datasets.catalogue import CATALOGUE, Entry
from t2jax.datasets.columns import Dataset, from_csv

__all__ = ["NoDataError", "dataset"]


class NoDataError(FileNotFoundError):
    """A data set is neither here nor could it be fetched. The message says how to get it."""


def dataset(name: str) -> Dataset:
    """The measurements of this name, as columns that `fit` takes.

    name: one of `list_datasets()`. `NAME.csv` in the folder that the environment's T2JAX_DATA names is used first.
    Raises ValueError for an unknown name, NoDataError where the data cannot be had.

    ```python
    runs = t2jax.dataset("chinchilla_besiroglu")
    fit = t2jax.fit(t2jax.Chinchilla, runs.where(besiroglu_excluded=0))
    ```
    """
    if name not in CATALOGUE:
        near = difflib.get_close_matches(str(name).lower(), CATALOGUE, n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ValueError(f"no data set is called {name!r}: {meant}list_datasets() shows all {len(CATALOGUE)}")
    entry = CATALOGUE[name]
    folder = os.environ.get("T2JAX_DATA")
    if folder and (path := Path(folder) / f"{name}.csv").is_file():
        return from_csv(path, entry)
    raise NoDataError(_missing(entry))


def _missing(entry: Entry) -> str:
    return f"{entry.name} is not here: set T2JAX_DATA to a folder with {entry.name}.csv"
