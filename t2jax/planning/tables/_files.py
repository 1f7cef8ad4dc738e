"""Tables as one file, by its ending: .csv, .tsv or .parquet. It is whole or not there, and is never written over."""

import csv
import functools
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from t2jax._io.disk import explained, is_aside, place, written_aside
from t2jax._io.output import arrow
from t2jax._io.usage import UsageError, printable

__all__ = ["check_as_text", "check_ending", "is_as_text", "is_text", "write_table"]


def is_text(path: Path) -> bool:
    """Is a file of this name CSV or TSV?"""
    return path.suffix.lower() in (".csv", ".tsv")


def check_ending(path: str, called: str) -> None:
    """Raises `UsageError` for a name that is not that of a table. called: what takes it."""
    if Path(path).suffix.lower() not in (".parquet", ".csv", ".tsv"):
        raise UsageError(f"{called} must end in .parquet, .csv or .tsv, got {path}")


def write_table(tables: Iterable[Any], out: Path, *, beside: Path | None = None, full: str = "make room") -> None:
    """Tables of one schema as one file.

    beside: a folder on the same disk where it is written aside. full: what to say where there is no space. Raises
    FileExistsError where something has its name at the end.
    """
    folder = beside or out.parent
    with explained(out, full=full):
        if folder.is_dir():
            for name in os.listdir(folder):  # by a process that was killed
                if name.startswith(f"{out.name}.") and is_aside(name):
                    (folder / name).unlink(missing_ok=True)
        with written_aside(folder, out.name, functools.partial(place, path=out)) as file:
            (_write_text if is_text(out) else _write_parquet)(tables, file, out)


def is_as_text(tables: Iterable[Any], out: Path) -> bool:
    """Are these the bytes of a text file, as `write_table` writes them? Asks for no table after a difference."""
    with out.open("rb") as file:
        same = _Same(file)
        try:
            _write_text(tables, same, out)
        except _Different:
            return False
        return not file.read(1)


def check_as_text(table: Any, out: Path) -> None:
    """Raises ValueError for columns that no CSV can hold."""
    pa, text = arrow(), arrow("pyarrow.csv")
    for i, one in enumerate(table.schema):
        column = table.column(i).slice(0, 0)
        if pa.types.is_timestamp(one.type):  # only a value shows whether there is its zone
            column = pa.array([0]).cast(one.type)
        try:
            text.write_csv(pa.table({"x": _as_written(column)}), io.BytesIO())
        except pa.ArrowException as error:
            raise ValueError(
                f'column "{printable(one.name, 60)}" of type {printable(str(one.type), 60)} cannot be written to '
                f"{out.name}: use .parquet"
            ) from error


def _as_written(column: Any) -> Any:
    """Bytes as the text that they may be, and nothing where there is nothing, as it was read, not \"\"."""
    pa, pc = arrow(), arrow("pyarrow.compute")
    kind = column.type
    if pa.types.is_fixed_size_binary(kind):
        column, kind = column.cast(pa.binary()), pa.binary()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        kind = pa.string() if pa.types.is_binary(kind) else pa.large_string()
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        column = pa.chunked_array([chunk.view(kind) for chunk in chunks], kind)
    return pc.if_else(pc.equal(column, ""), None, column) if pa.types.is_string(kind) else column


class _Different(Exception):  # noqa: N818
    pass


class _Same(io.RawIOBase):
    """Takes what is written to it only as long as it is what a file holds."""

    def __init__(self, file: Any):
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        if self._file.read(len(content)) != bytes(content):
            raise _Different
        return len(content)


def _write_parquet(tables: Iterable[Any], file: Any, out: Path) -> None:
    parquet, writer = arrow("pyarrow.parquet"), None
    for table in tables:
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _write_text(tables: Iterable[Any], file: Any, out: Path) -> None:
    delimiter = "\t" if out.suffix.lower() == ".tsv" else ","
    options = arrow("pyarrow.csv").WriteOptions(include_header=False, delimiter=delimiter)
    begun = False
    for table in tables:
        if not begun:
            header = io.StringIO()
            csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(table.column_names)
            file.write(header.getvalue().encode())
            begun = True
        columns = [_as_written(table.column(i)) for i in range(table.num_columns)]
        content = arrow().BufferOutputStream()
        arrow("pyarrow.csv").write_csv(arrow().Table.from_arrays(columns, table.column_names), content, options)
        file.write(content.getvalue())
