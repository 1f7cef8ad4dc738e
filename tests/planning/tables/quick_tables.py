"""Sweeps of a small table whose plans take no time, for what happens to files."""

import hashlib
import os

import pyarrow as pa

from t2jax.planning.tables import _tables as tables
from t2jax.planning.tables._header import FIGURES
from t2jax.planning.tables._reading import Source
from t2jax.planning.tables._tables import answer_table

ROWS = 5


def quick(batch, defaults, faults, place, **options):
    """In place of real plans, which take long: columns of the same names and types, which depend on each row."""
    found = [int(hashlib.md5(repr(row).encode()).hexdigest()[:8], 16) / 7 for row in batch.to_pylist()]
    for name in FIGURES:
        batch = batch.append_column(name, pa.array(found))
    batch = batch.append_column("in_fit_range", pa.array([one > 1e8 for one in found]))
    solved = [one > 1e8 for one in found]
    batch = batch.append_column("status", pa.array(["solved" if one else "infeasible" for one in solved]))
    return batch.append_column("reason", pa.array([None if one else 'too "far"' for one in solved], pa.string()))


def set_up(folder, monkeypatch):
    """A working folder with a table of five rows, and `quick` plans. Nothing waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(tables, "answered", quick)
    monkeypatch.chdir(folder)
    (folder / "in.csv").write_text("name,train_flops\n" + "".join(f'"row {i}",{i}e22\n' for i in range(1, ROWS + 1)))
    return folder


def run(out, *, resume=True, batch_size=3, **settings):
    path = tables.Path(out)
    return answer_table(Source("in.csv"), path, {}, batch_size=batch_size, settings=settings, resume=resume)


def content(path):
    if path.is_dir():
        return {one.name: one.read_bytes() for one in path.iterdir()}
    return path.read_bytes()


def line(out, *more):
    return ["sweep", "in.csv", "--out", str(out), "--batch-size", "3", *more]
