"""A file of scenarios to a file of plans, piece by piece, so that a run that is stopped can be taken up.

Plans go to a folder of Parquet parts (see `output`). For a CSV the parts stand beside it until all are there; then they
become one file, written aside and renamed.
"""

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from t2jax.sweeping.output import Output, arrow
from t2jax.sweeping.plans import answered
from t2jax.sweeping.reading import Piece, Source

__all__ = ["Tally", "answer_table", "parts_beside", "write_table"]


@dataclass
class Tally:
    """How rows ended: of each status how many, and where the first stands, with its reason."""

    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, plans: Any, places: np.ndarray, place: Callable[[int], str]) -> None:
        """The rows of a table that has the columns status and reason."""
        statuses = arrow("pyarrow.compute").dictionary_encode(plans.column("status")).combine_chunks()
        codes, names = statuses.indices.to_numpy(), statuses.dictionary.to_pylist()
        self.rows += len(codes)
        for code, name in enumerate(names):
            rows = np.flatnonzero(codes == code)
            self.counts[name] = self.counts.get(name, 0) + len(rows)
            if name != "solved" and name not in self.first:
                row = int(rows[0])
                where = place(int(places[row]))
                reason = str(plans.column("reason")[row].as_py())
                self.first[name] = where, reason.removeprefix(f"{where}: ")

    @property
    def solved(self) -> int:
        return self.counts.get("solved", 0)


def answer_table(
    source: Source,
    out: Path,
    defaults: Mapping[str, Any],
    *,
    batch_size: int,
    settings: Mapping[str, Any],
    resume: bool,
    tell: Callable[[int, int], None] | None = None,
) -> Tally:
    """Answer every row of the source, beside its columns, in `out`: a .csv or .tsv file, or a folder of Parquet parts.

    defaults: as `plan_batch` takes them, checked. settings: what else decides the results; the input's bytes, the
    columns, defaults and batch size are added. tell: called with (rows done, about how many there are).

    Raises FileExistsError and ValueError as `Output.begin` does, ValueError for a source without rows or that breaks
    off, OSError where nothing can be written. What is finished of an interrupted run stays.
    """
    pieces = source.pieces(batch_size)
    first = next(pieces, None)
    if first is None:
        raise ValueError(f"{source.path.name} has no rows")
    as_text = out.suffix.lower() in (".csv", ".tsv")
    folder = parts_beside(out) if as_text else out
    whole = as_text and os.path.lexists(out)
    if whole and not (resume and folder.is_dir()):
        raise FileExistsError(f"{out} exists: choose another name, or remove it")
    if as_text:
        _check_as_text(first.table, out)
    settings = {
        **settings,
        "input_sha256": _hash(source.path),
        "columns": source.names,
        "defaults": {name: _shown(value) for name, value in defaults.items()},
        "batch_size": batch_size,
    }
    output = Output.begin(folder, settings=settings, resume=resume)
    tally, part = Tally(), 0
    for part, piece in enumerate(_with(first, pieces)):
        if output.done(part):
            plans = arrow("pyarrow.parquet").read_table(_file(output.folder, part), columns=["status", "reason"])
        else:
            plans = answered(piece.table, defaults, piece.faults, _placed(source, piece.places))
            output.write(part, plans)
        tally.add(plans, piece.places, source.place)
        if tell is not None:
            tell(tally.rows, max(tally.rows, round(tally.rows / piece.share)))
    output.finish(parts=part + 1, rows=tally.rows)
    if as_text:
        parquet = arrow("pyarrow.parquet")
        write_table((parquet.read_table(_file(folder, i)) for i in range(part + 1)), out)
        shutil.rmtree(folder)
    return tally


def parts_beside(out: Path) -> Path:
    """Where the parts of a CSV stand until it is whole."""
    return out.with_name(f"{out.name}.parts")


def write_table(tables: Iterable[Any], out: Path) -> None:
    """Tables of one schema as one file, by its ending: .csv, .tsv or .parquet. It is whole or not there."""
    aside = out.with_name(f"{out.name}.{os.getpid()}.aside")
    try:
        with aside.open("wb") as file:
            (_write_parquet if out.suffix.lower() == ".parquet" else _write_text)(tables, file, out)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, out)
    finally:
        aside.unlink(missing_ok=True)


def _write_parquet(tables: Iterable[Any], file: Any, out: Path) -> None:
    parquet, writer = arrow("pyarrow.parquet"), None
    for table in tables:
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _write_text(tables: Iterable[Any], file: Any, out: Path) -> None:
    pa, text = arrow(), arrow("pyarrow.csv")
    delimiter = "\t" if out.suffix.lower() == ".tsv" else ","
    options = text.WriteOptions(include_header=False, delimiter=delimiter)
    begun = False
    for table in tables:
        if not begun:
            header = io.StringIO()
            csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(table.column_names)
            file.write(header.getvalue().encode())
            begun = True
        for i, kept in enumerate(table.schema):
            if pa.types.is_string(kept.type):  # an empty cell, as it was read, not ""
                column = table.column(i)
                empty = arrow("pyarrow.compute").equal(column, "")
                blank = arrow("pyarrow.compute").if_else(empty, None, column)
                table = table.set_column(i, kept, blank)
        text.write_csv(table, file, options)


def _check_as_text(table: Any, out: Path) -> None:
    """Raises ValueError for columns that no CSV can hold."""
    pa, text = arrow(), arrow("pyarrow.csv")
    for one in table.schema:
        try:
            text.write_csv(pa.table({"x": pa.array([], one.type)}), io.BytesIO())
        except pa.ArrowException as error:
            raise ValueError(
                f'column "{one.name}" of type {one.type} cannot be written to {out.name}: use .parquet'
            ) from error


def _placed(source: Source, places: np.ndarray) -> Callable[[int], str]:
    return lambda row: source.place(int(places[row]))


def _shown(default: Any) -> Any:
    """A default as the manifest keeps it: of a file its bytes count, not its name."""
    if isinstance(default, str) and Path(default).is_file():
        return {"sha256": _hash(Path(default))}
    return default if isinstance(default, bool | float | str) else repr(default)


def _with(first: Piece, others: Iterable[Piece]) -> Iterable[Piece]:
    yield first
    yield from others


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file(folder: Path, part: int) -> Path:
    (found,) = folder.glob(f"part-{part:08d}-*.parquet")
    return found
