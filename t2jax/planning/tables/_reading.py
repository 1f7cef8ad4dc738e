"""Tables of scenarios from files, piece by piece: memory is that of a piece, whatever the file's size (a sheet's: all).

A row that cannot be read is kept, with the reason, and so is every other. CSV is read a block of lines at a time: by
Arrow, which is fast, where nothing is unusual, and else by Python's csv, which says what is wrong and on which line.
"""

import csv
import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from t2jax._io.delimited import delimiter_of, is_delimited, title_fault
from t2jax._io.output import arrow
from t2jax._io.records import ENDINGS, listed_endings
from t2jax.planning._fields import COLUMNS
from t2jax.planning._spelling import Spelling, as_column
from t2jax.planning.tables._header import check_columns
from t2jax.planning.tables._records import Row, TextRecords

__all__ = ["Piece", "Source"]

BLOCK = 1 << 20
"""Bytes of text at a time, and more than any line has."""
_ROWS = 65_536
_LOOKED_AT = 10
"""Rows below the first, for a header that stands below a title."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows of a file.

    places: where each stands, a line from 1 or a row from 0. faults: reasons, for rows that cannot be read. share: how
    much of the file has been read with it.
    """

    table: Any
    places: np.ndarray
    faults: dict[int, str]
    share: float


class Source:
    """A file with a table of scenarios, of any of the `ENDINGS`. names: its columns. unit: what places count.

    pass_through: columns that are not read, however they are called. spelled: how that is said in messages. Raises
    FileNotFoundError, or ValueError for what is no such table: no header, a name twice, of a result, or misspelt.
    """

    def __init__(self, path: Any, *, pass_through: Collection[str] = (), spelled: Spelling = as_column):
        arrow()
        self.path = Path(path)
        self.unit = "row"
        self._delimiter = ""
        if self.path.is_dir():
            raise ValueError(f"{path} is a folder, not a file")
        if not self.path.exists():
            raise FileNotFoundError(f"there is no file {path}")
        if not self.path.is_file():
            raise ValueError(f"{path} is a device or a pipe, not a file")
        if self.path.suffix.lower() not in ENDINGS:
            raise ValueError(f"{self.path.name} must end in {listed_endings()}")
        self._records: TextRecords | None = None
        if is_delimited(self.path):
            self.names, self.unit = self._header(), "line"
        elif self.path.suffix.lower() == ".parquet":
            self.names = self._schema()
        else:
            self._records = TextRecords(self.path)
            self.names, self.unit = self._records.names, self._records.unit
        check_columns(self.names, pass_through, spelled, within=f"{self.path.name}: ")

    def place(self, place: int) -> str:
        """'line 7' of text, 'row 7' of a sheet, as it shows it, or, counted from 0, of Parquet."""
        return f"{self.unit} {place}"

    def pieces(self, rows: int) -> Iterator[Piece]:
        """All rows in order, so many at a time. The same file gives the same pieces."""
        pa = arrow()
        kept: list[Piece] = []
        for piece in self._read(rows):
            kept.append(piece)
            while sum(len(one.places) for one in kept) >= rows:
                whole = _joined(pa, kept)
                yield _part(whole, 0, rows)
                rest = _part(whole, rows, len(whole.places))
                kept = [rest] if len(rest.places) else []
        if kept and (whole := _joined(pa, kept)).places.size:
            yield whole

    def columns(self, names: list[str]) -> Iterator[Any]:
        """Tables with these columns of all rows, in order."""
        for piece in self._read(_ROWS, names):
            yield piece.table.select(names)

    def _read(self, rows: int, columns: list[str] | None = None) -> Iterator[Piece]:
        if self._records is not None:
            return self._recorded(self._records)
        return self._chunks() if self._delimiter else self._batches(rows, columns)

    # --- JSON lines and sheets ----------------------------------------------------------------------------------------

    def _recorded(self, records: TextRecords) -> Iterator[Piece]:
        rows, done = records.rows(), 0
        while some := list(itertools.islice(rows, _ROWS)):
            done += len(some)
            yield self._piece(some, done / records.count)

    def _piece(self, rows: list[Row], share: float) -> Piece:
        pa = arrow()
        columns = list(zip(*(row.cells for row in rows), strict=True)) or [()] * len(self.names)
        table = pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], self.names)
        faults = {i: row.fault for i, row in enumerate(rows) if row.fault is not None}
        return Piece(table, np.array([row.place for row in rows], np.int64), faults, share)

    # --- Parquet ------------------------------------------------------------------------------------------------------

    def _parquet(self) -> Any:
        pa, parquet = arrow(), arrow("pyarrow.parquet")
        try:
            return parquet.ParquetFile(self.path, buffer_size=BLOCK, pre_buffer=False)
        except (OSError, pa.ArrowInvalid) as error:
            raise ValueError(f"cannot read {self.path.name} as Parquet: {error}") from None

    def _schema(self) -> list[str]:
        try:
            return list(self._parquet().schema_arrow.names)
        except UnicodeDecodeError:
            raise ValueError(f"{self.path.name} has names of columns that are not UTF-8") from None

    def _batches(self, rows: int, columns: list[str] | None = None) -> Iterator[Piece]:
        pa, file, begun = arrow(), self._parquet(), 0
        total = file.metadata.num_rows
        with file:
            try:
                for batch in file.iter_batches(batch_size=rows, columns=columns):
                    places = np.arange(begun, begun + batch.num_rows)
                    begun += batch.num_rows
                    yield Piece(pa.Table.from_batches([batch]), places, {}, begun / max(total, 1))
            except (OSError, pa.ArrowInvalid) as error:
                raise ValueError(f"cannot read {self.path.name}, row {begun} and what follows: {error}") from None

    # --- Text ---------------------------------------------------------------------------------------------------------

    def _header(self) -> list[str]:
        with self.path.open("rb") as file:
            self._delimiter = delimiter_of(self.path, next(_Lines(file, self.path.name, 1), ""))
            file.seek(0)
            lines = _Lines(file, self.path.name, 1)
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            try:
                cells = next(reader, [])
            except csv.Error as error:
                raise ValueError(f"{self.path.name}, line 1: not valid CSV: {error}") from None
            self._begin, self._first, undecodable = file.tell(), lines.line, lines.undecodable
            title = title_fault(cells, _first_rows(reader, lines), COLUMNS, at=1)
        names = [name.strip() for name in cells]
        if undecodable:
            raise ValueError(f"{self.path.name} is not a text file in UTF-8: line 1 is not")
        if not any(names):
            raise ValueError(f"{self.path.name} {'has no header in its first line' if cells else 'is empty'}")
        if title is not None:
            raise ValueError(f"{self.path.name}, {title}")
        if "" in names:
            raise ValueError(f"{self.path.name}: column {names.index('') + 1} of the header has no name")
        return names

    def _chunks(self) -> Iterator[Piece]:
        size = self.path.stat().st_size
        line = self._first
        with self.path.open("rb") as file:
            file.seek(self._begin)
            while block := file.read(BLOCK):
                begun = file.tell() - len(block)
                end = block.rfind(b"\n") + 1
                if not end and len(block) == BLOCK:
                    raise ValueError(_too_long(self.path.name, line))
                block = block[: end or len(block)]
                count = block.count(b"\n") + (not end)
                table = self._at_once(block, count)
                if table is not None:
                    file.seek(begun + len(block))
                    yield Piece(table, np.arange(line, line + count), {}, file.tell() / size)
                    line += count
                    continue
                file.seek(begun)
                lines = _Lines(file, self.path.name, line)
                table, places, faults = self._row_by_row(lines, line + count)
                line = lines.line
                yield Piece(table, places, faults, file.tell() / size)

    def _at_once(self, block: bytes, lines: int) -> Any:
        """The rows of a block where each line is one, by Arrow; None where it is not so plain."""
        pa, text = arrow(), arrow("pyarrow.csv")
        if not _is_plain(block, self._delimiter.encode()):
            return None
        kinds = dict.fromkeys(self.names, pa.string())
        try:
            table = text.read_csv(
                pa.BufferReader(block),
                text.ReadOptions(column_names=self.names, use_threads=False, block_size=len(block) + 1),
                text.ParseOptions(delimiter=self._delimiter),
                text.ConvertOptions(column_types=kinds, strings_can_be_null=False),
            )
        except pa.ArrowInvalid:  # cells too many or too few, or not UTF-8
            return None
        return table if table.num_rows == lines else None

    def _row_by_row(self, lines: "_Lines", end: int) -> tuple[Any, np.ndarray, dict[int, str]]:
        """The rows that begin before line `end`, by Python's csv. Blank lines are none."""
        pa = arrow()
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        rows: list[list[str | None]] = []
        places: list[int] = []
        faults: dict[int, str] = {}
        width = len(self.names)
        while lines.line < end:
            begun, fault = lines.line, None
            lines.undecodable = False
            row: list[str | None] | None
            try:
                row = next(reader, None)  # ty: ignore[invalid-assignment]
            except csv.Error as error:  # the reader goes on with the next line
                more = f", up to line {lines.line - 1}" if lines.line > begun + 1 else ""
                row, fault = [], f"not valid CSV: {error}{more}"
            if row is None:
                break
            if not row and fault is None:
                continue
            if lines.undecodable:
                fault = fault or "is not text in UTF-8"
            if len(row) != width and fault is None:
                fault = f"has {len(row)} cell{'' if len(row) == 1 else 's'}, the header has {width}"
            if fault is not None:
                faults[len(rows)] = fault
                row = [*row, *[None] * width][:width]
            rows.append(row)
            places.append(begun)
        columns = list(zip(*rows, strict=True)) or [()] * width
        arrays = [pa.array(column, pa.string()) for column in columns]
        return pa.Table.from_arrays(arrays, self.names), np.array(places, np.int64), faults


class _Lines:
    """The lines of a file as text, and the number of the next one."""

    def __init__(self, file: Any, name: str, line: int):
        self._file, self._name, self.line = file, name, line
        self.undecodable = False
        """Was a line not UTF-8? Such bytes are shown as �."""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(BLOCK)
        if not line:
            raise StopIteration
        if len(line) == BLOCK and not line.endswith(b"\n"):
            raise ValueError(_too_long(self._name, self.line))
        if self.line == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        self.line += 1
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.undecodable = True
            return line.decode(errors="replace")


def _first_rows(reader: Any, lines: _Lines) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of some rows after the header, as far as they can be read."""
    for _ in range(_LOOKED_AT):
        line = lines.line
        try:
            cells = next(reader, None)
        except (csv.Error, ValueError):
            return
        if cells is None:
            return
        yield line, cells


def _is_plain(block: bytes, delimiter: bytes) -> bool:
    """Do Arrow and Python's csv, strictly, read the same here? Where a cell is odd, Arrow would guess what it means.

    Each line is at most as long as a cell of csv may be, and a carriage return is before a line's end only. Quotes open
    and close in turn: one that opens is the first letter of a cell, one that closes its last, or the next quote follows
    at once, which makes the two a letter of the cell.
    """
    if block.count(b"\r") != block.count(b"\r\n"):
        return False
    letters = np.frombuffer(b"\n" + block.replace(b"\r\n", b"\n").removesuffix(b"\n") + b"\n", np.uint8)
    if np.diff(np.flatnonzero(letters == ord("\n"))).max() > csv.field_size_limit():
        return False
    quotes = np.flatnonzero(letters == ord('"'))
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    before, after = letters[opening - 1], letters[closing + 1]
    doubled = opening[1:] == closing[:-1] + 1
    opens = np.isin(before, (ord("\n"), ord(delimiter)))
    closes = np.isin(after, (ord("\n"), ord(delimiter)))
    opens[1:] |= doubled
    closes[:-1] |= doubled
    return bool(opens.all() and closes.all())


def _too_long(name: str, line: int) -> str:
    return f"{name}, line {line} has more than {BLOCK:,} bytes: this is no table with a scenario in each line"


def _joined(pa: Any, pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    faults, begun = {}, 0
    for piece in pieces:
        faults |= {begun + row: reason for row, reason in piece.faults.items()}
        begun += len(piece.places)
    table = pa.concat_tables([piece.table for piece in pieces])
    return Piece(table, np.concatenate([piece.places for piece in pieces]), faults, pieces[-1].share)


def _part(piece: Piece, start: int, end: int) -> Piece:
    faults = {row - start: reason for row, reason in piece.faults.items() if start <= row < end}
    return Piece(piece.table.slice(start, end - start), piece.places[start:end], faults, piece.share)
