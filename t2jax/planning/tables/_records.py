"""Scenarios from JSON lines and from .xlsx, a record at a time, every cell as the text that a CSV would have."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t2jax._io.delimited import title_fault
from t2jax._io.records import json_records, records
from t2jax._io.usage import UsageError
from t2jax.planning._fields import COLUMNS

__all__ = ["Row", "TextRecords"]


@dataclass(frozen=True)
class Row:
    """A row and where it stands, or the fault for which it cannot be read."""

    place: int
    cells: list[str | None]
    fault: str | None = None


class TextRecords:
    """The rows of a .jsonl or .xlsx file. names: of its columns. count: of its rows. unit: what places count."""

    def __init__(self, path: Path):
        """Raises ValueError for what is no such file, `UsageError` where a library is missing."""
        self._path = path
        self._sheet: list[tuple[int, list[Any]]] | None = None
        self.unit = "line"
        try:
            self.names, self.count = self._of_lines() if path.suffix.lower() == ".jsonl" else self._of_sheet()
        except ImportError as error:
            raise UsageError(str(error)) from None

    def rows(self) -> Iterator[Row]:
        if self._sheet is not None:
            for place, cells in self._sheet:
                yield Row(place, [_text(cell) for cell in cells])
            return
        for record in json_records(self._path):
            yield Row(record.line, [_text(record.cells.get(name)) for name in self.names], record.fault)

    def _of_lines(self) -> tuple[list[str], int]:
        names: dict[str, None] = {}
        count, first = 0, None
        for record in json_records(self._path):
            names.update(dict.fromkeys(record.cells))
            count += 1
            first = first or record
        if first is not None and not names:
            raise ValueError(
                f"{self._path.name} has no line with a scenario; line {first.line}: {first.fault or 'is {}'}"
            )
        return list(names), count

    def _of_sheet(self) -> tuple[list[str], int]:
        found = records(self._path)
        self.unit = found.unit
        begins, header = next(found.rows, (0, []))
        names, rows = [name.strip() for name in header], list(found.rows)
        if title := title_fault(names, rows[:10], COLUMNS, at=begins, unit=found.unit):
            raise ValueError(f"{self._path.name}, {title}")
        filled = [i for i, name in enumerate(names) if name or any(cells[i] is not None for _, cells in rows)]
        if nameless := [i for i in filled if not names[i]]:
            raise ValueError(f"{self._path.name}: column {nameless[0] + 1} of the header has no name")
        self._sheet = [(place, [cells[i] for i in filled]) for place, cells in rows]
        return [names[i] for i in filled], len(rows)


def _text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))  # spreadsheets know no whole numbers
    return json.dumps(cell) if isinstance(cell, bool | int | float | list | dict) else str(cell)
