"""From a name to columns: a local copy if there is one, else the source's files, fetched once, checked and kept."""

import importlib
import os
from pathlib import Path
from typing import Any

from t2jax._io.text import unknown
from t2jax.literature._catalogue import CATALOGUE, Entry, File
from t2jax.literature._columns import Dataset, from_csv
from t2jax.literature._convert import CONVERSIONS

__all__ = ["NoDataError", "dataset"]

_SERVER = "https://raw.githubusercontent.com"


class NoDataError(FileNotFoundError):
    """A data set is not here and could not be fetched. The message is one line and says how to get it."""


def dataset(name: str) -> Dataset:
    """The measurements of this name, as columns that `fit` takes.

    name: one of `list_datasets()`, which shows source and licence; `.about` of the answer has its columns and units.

    `NAME.csv` in the folder that the environment's T2JAX_DATA names comes first; with other bytes than are known of
    the data set, its citation says that it is a local copy. Else the files of the source are fetched from GitHub at a
    pinned commit, compared with their SHA-256, and kept in the user's cache: the next call needs no network. That
    takes the extra `data` (pooch, pyarrow). Some data sets come from a local copy only.

    Raises ValueError for an unknown name, NoDataError where the data cannot be had.

    ```python
    runs = t2jax.dataset("chinchilla_besiroglu")
    fit = t2jax.fit(t2jax.Chinchilla, runs.where(besiroglu_excluded=0))
    ```
    """
    if name not in CATALOGUE:
        raise ValueError(unknown("data set", name, CATALOGUE, "list_datasets()"))
    entry = CATALOGUE[name]
    folder = os.environ.get("T2JAX_DATA")
    if folder and (path := Path(folder) / f"{name}.csv").is_file():
        return from_csv(path, entry)
    if not entry.files:
        raise NoDataError(
            f"no data set {name}: {_local(entry)}; t2jax does not make it from its source, {entry.upstream}"
        )
    try:
        pooch = importlib.import_module("pooch")
        importlib.import_module("pyarrow")
    except ImportError as error:
        raise NoDataError(f'no data set {name}: pip install "t2jax[data]" to fetch it, or {_local(entry)}') from error
    paths = [_fetched(pooch, file, entry) for file in entry.files]
    return Dataset(CONVERSIONS[name](*paths), entry)


def _fetched(pooch: Any, file: File, entry: Entry) -> Path:
    """The file in the cache, from the network if it is not there whole."""
    url = f"{_SERVER}/{file.repository}/{file.commit}/{file.path}"
    try:
        # The hash in the name: another version of a file is another file.
        kept = f"{file.sha256[:12]}-{Path(file.path).name}"
        return Path(pooch.retrieve(url, f"sha256:{file.sha256}", kept, pooch.os_cache("t2jax")))
    except (OSError, ValueError) as error:  # no network, no room, or not the bytes that are meant
        failed = f"fetching {url} failed ({type(error).__name__})"
        raise NoDataError(
            f"no data set {entry.name}: {failed}; try again with a network, or {_local(entry)}"
        ) from error


def _local(entry: Entry) -> str:
    return f"set T2JAX_DATA to a folder that has {entry.name}.csv"
