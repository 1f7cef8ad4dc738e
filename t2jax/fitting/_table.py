"""Measurements as a person has them (columns in memory, or a file) become checked columns of float64.

Every message says which file, which line and which column. Loads neither JAX nor, unless it must, pyarrow.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from t2jax._io.cells import Cells, Choose, Title, cells_of_file, cells_of_memory, located, number_in, numbers_in
from t2jax._io.delimited import comma_note
from t2jax._io.text import aligned, human, nearest
from t2jax.literature import COUNTS, KINDS, LOSS, PASS, Dataset

__all__ = ["FINITE", "NATURAL", "NONNEGATIVE", "POSITIVE", "SHARE", "Column", "Rule", "Table", "read_table"]


@dataclass(frozen=True)
class Rule:
    """Which numbers a column may hold: in words, and as a test of each number of an array. None may accept NaN."""

    words: str
    holds: Callable[[np.ndarray], np.ndarray]


FINITE = Rule("finite", np.isfinite)
_ANY = Rule("a number, or empty", lambda x: np.ones(len(x), bool))
POSITIVE = Rule("positive and finite", lambda x: np.isfinite(x) & (x > 0))
NONNEGATIVE = Rule("zero or positive, and finite", lambda x: np.isfinite(x) & (x >= 0))
NATURAL = Rule("a whole number, zero or more", lambda x: np.isfinite(x) & (x >= 0) & (x == np.floor(x)))
SHARE = Rule("between 0 and 1", lambda x: (x >= 0) & (x <= 1))


@dataclass(frozen=True)
class Column:
    """A column that a model needs; `meaning` is its quantity and unit, for messages: "N, model parameters"."""

    name: str
    meaning: str
    accepts: Rule
    optional: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of float64 and of labels, all of one length: `table["loss"]`, `table.where(row)`. `fit` takes it.

    columns: of numbers, by name. labels: as they are, text for example. others: names of columns that were not read.
    source: the name of the file or data set; None for other data in memory. places: where each row stands in the data;
    unit: what they count, a "line" (an editor's, from 1) or a "row" (a sheet's from 1, else from 0). notes: what was
    assumed of the data, in sentences. len(table): how many rows.
    """

    columns: Mapping[str, np.ndarray]
    others: tuple[str, ...]
    source: str | None
    labels: Mapping[str, np.ndarray]
    places: np.ndarray
    unit: str = "row"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.labels[name] if name in self.labels and name not in self.columns else self.columns[name]

    def __str__(self) -> str:
        """How many rows of what, from where to where."""
        rows = [["", "from", "to"]]
        rows += [[name, *_ends(column)] for name, column in self.columns.items()]
        rows += [[name, "text", ""] for name in self.labels]
        head = f"{self.source or 'data in memory'}: {len(self):,} rows"
        return "\n".join([head, aligned(rows), *(f"  note: {note}" for note in self.notes)])

    def where(self, row: int) -> str:
        """Where this row of the table stands in the data: 'runs.csv, line 7' or 'row 5'."""
        place = f"{self.unit} {self.places[row]}"
        return f"{self.source}, {place}" if self.source else place

    def take(self, rows: Any) -> "Table":
        """The rows of a mask or of an array of indices; they keep their places."""
        columns, labels = ({name: x[rows] for name, x in part.items()} for part in (self.columns, self.labels))
        return replace(self, columns=columns, labels=labels, places=self.places[rows])


def read_table(
    data: Any,
    wanted: Sequence[Column | str] | None = None,
    *,
    rename: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
) -> Table:
    """Any table that `t2jax` reads, as checked columns: all of them, or those that are wanted.

    ```python
    runs = t2.read_table("runs.xlsx")
    print(runs)  # its columns, from where to where, and what was assumed of the file
    t2.fit(t2.Chinchilla, runs)
    ```

    data: a mapping of names to arrays or lists, a data set, a dataframe of pandas or polars, a pyarrow table or another
        that exports Arrow (`__arrow_c_stream__`), or the path of a .csv (separated by commas, semicolons or tabs),
        .tsv, .jsonl, .xlsx or .parquet file, also of one in the folder that the environment's T2JAX_DATA names. Cells
        of text in a file are read as numbers, such as 1e24 or 7B; in memory and in Parquet text is no number.
    wanted: names of columns of finite numbers, without an empty cell. Unless given all columns are read: as float64
        where each filled cell is a number (NaN where one is empty), else as labels.
    rename: the name in the data of a wanted column that is called otherwise there, as {"samples": "k"}.
    labels: names in the data of columns to read as they are, text or numbers.

    Returns a `Table`, whose `notes` say what was assumed: cells between semicolons, the first of several sheets, empty
    cells. Nothing is guessed that may be wrong: a title above the header and a decimal comma are errors that say what
    to change. Raises `ValueError` (`TypeError` for what is no table, `FileNotFoundError`) with the place of the first
    cell that is wrong and the number of those that follow; `ImportError` where the file needs the extra `io`.
    """
    asked = [Column(one, "a number", FINITE) if isinstance(one, str) else one for one in wanted or ()]
    name_of = _names_of(asked, rename)
    needed = [column for column in asked if not column.optional or column.name in (rename or ())]
    file = Path(data) if isinstance(data, str | Path) else None
    source = _source_of(data, file)

    def choose(names: list[str], title: Title = lambda wanted: None, unread: str = "") -> list[str]:
        """Which of the data's columns to read. title: says if what seems to be the header is none."""
        subject = source or "the data"
        for name in names:
            if name and names.count(name) > 1:
                raise ValueError(f'{subject} has more than one column "{name}"')
        meanings = dict.fromkeys(labels, "label") | {name_of[c.name]: c.meaning for c in needed}
        missing = [name for name in meanings if name not in names]
        if missing:
            if fault := title([*meanings, *name_of.values()]):
                raise ValueError(f"{subject}, {fault}")
            named = f"column{'s' if len(missing) > 1 else ''} "
            named += ", ".join(f'"{name}" ({meanings[name]})' for name in missing)
            near = _meant(missing, [name for name in names if name not in (*name_of.values(), *labels)])
            it_has = f"It has {_listed(names)}{f'; {unread}' if unread else ''}"
            raise ValueError(f"{subject} has no {named}{near or '.'} {it_has}")
        if wanted is None:
            filled = [name for name in names if name]
            if len(filled) == 1 and (fault := title([]) or title(_usual_names())):
                raise ValueError(f"{subject}, {fault}")
            return filled
        return [name for name in dict.fromkeys([*name_of.values(), *labels]) if name in names]

    given = _cells_of(data, file, choose)
    if not len(given.places):
        raise ValueError(f"{source or 'the data'} has no rows")
    table = Table({}, (), source, {}, given.places, given.unit)
    if wanted is None:
        asked, labels = _told_apart(given, labels, table)
        name_of = {column.name: column.name for column in asked}

    columns, bad = {}, []
    for column in asked:
        name = name_of[column.name]
        if name in given.cells:
            columns[column.name] = numbers_in(given.cells[name], given.has_text)
            wrong = np.flatnonzero(~column.accepts.holds(columns[column.name]))
            bad += [(row, name, column.accepts) for row in wrong.tolist()]
    if bad:
        row, name, rule = min(bad, key=lambda one: one[0])  # in one row, the first in the order of `wanted`
        more = f" (and {len(bad) - 1} more bad cell{'s' if len(bad) > 2 else ''})" if len(bad) > 1 else ""
        raise ValueError(f'{table.where(row)}, column "{name}": {_fault(given.cells[name][row], rule, given)}{more}')
    return replace(
        table,
        columns=columns,
        others=tuple(name for name in given.names if name and name not in given.cells),
        labels={name: _labels(given.cells[name], given.has_text) for name in labels},
        notes=(*given.assumed, *_empty(columns)),
    )


def _names_of(asked: Sequence[Column], rename: Mapping[str, str] | None) -> dict[str, str]:
    """What the data call each column."""
    renamed, known = dict(rename or {}), [column.name for column in asked]
    for name in renamed:
        if name not in known:
            near = _meant([name], known) or f": needed are {_listed(known)}"
            raise ValueError(f'rename: no column "{name}" is needed{near}')
    return {name: renamed.get(name, name) for name in known}


def _source_of(data: Any, file: Path | None) -> str | None:
    if isinstance(data, Table):
        return data.source
    return data.about.name if isinstance(data, Dataset) else None if file is None else file.name


def _cells_of(data: Any, file: Path | None, choose: Choose) -> Cells:
    if file is not None:
        return cells_of_file(located(file), choose)
    if not isinstance(data, Table):
        return cells_of_memory(data, choose)
    given = cells_of_memory({**data.labels, **data.columns}, choose)  # which keep their places
    return replace(given, places=data.places, unit=data.unit, assumed=data.notes)


def _usual_names() -> list[str]:
    """Names of columns that fits need."""
    return sorted({row.name for kind in KINDS.values() for row in (*kind.inputs, *kind.per_row, *COUNTS, PASS, LOSS)})


def _told_apart(given: Cells, labels: Sequence[str], table: Table) -> tuple[list[Column], list[str]]:
    """(columns of numbers, names of labels). Raises ValueError for one of numbers with a decimal comma."""
    numeric, texts = [], list(labels)
    for name, cells in given.cells.items():
        if name in labels:
            continue
        odd = [] if cells.dtype.kind in "iuf" else [i for i, cell in enumerate(cells) if _is_odd(cell, given.has_text)]
        if not odd:
            numeric.append(Column(name, "a number", _ANY))
        elif given.has_commas and all(isinstance(cells[i], str) and comma_note(cells[i]) for i in odd):
            more = f" (and {len(odd) - 1} more bad cell{'s' if len(odd) > 2 else ''})" if len(odd) > 1 else ""
            fault = _fault(cells[odd[0]], _ANY, given)
            raise ValueError(f'{table.where(odd[0])}, column "{name}": {fault}{more}')
        else:
            texts.append(name)
    return numeric, texts


def _is_odd(cell: Any, has_text: bool) -> bool:
    """Is it filled, with no number?"""
    return cell is not None and bool(str(cell).strip()) and number_in(cell, has_text) is None


def _empty(columns: Mapping[str, np.ndarray]) -> list[str]:
    """That there are empty cells."""
    counts = {name: int(np.sum(np.isnan(column))) for name, column in columns.items()}
    return [
        f'column "{name}" has {count:,} cell{"" if count == 1 else "s"} without a number, which {_IS[count == 1]} NaN'
        for name, count in counts.items()
        if count
    ]


_IS = {True: "is", False: "are"}


def _ends(column: np.ndarray) -> list[str]:
    known = column[np.isfinite(column)]
    return [human(float(end), 4) for end in (known.min(), known.max())] if len(known) else ["–", "–"]


def _labels(cells: np.ndarray, has_text: bool) -> np.ndarray:
    if has_text and not all(isinstance(cell, float | int) for cell in cells):
        return np.array([cell if isinstance(cell, str) else "" if cell is None else str(cell) for cell in cells])
    return np.array(cells.tolist()) if has_text else np.array(cells)


def _fault(cell: Any, rule: Rule, given: Cells) -> str:
    shown = str(cell).strip()
    if cell is None or not shown:
        return f"must be {rule.words}, but is empty"
    shown = shown if len(shown) <= 40 else shown[:39] + "…"
    if number_in(cell, given.has_text) is None:
        note = comma_note(cell) if given.has_commas and isinstance(cell, str) else ""
        return f"must be a number, got {repr(shown) if isinstance(cell, str) else shown}{note}"
    return f"must be {rule.words}, got {shown}"


def _meant(given: Iterable[str], known: Iterable[str]) -> str:
    """': did you mean …?' with the name nearest to each that was given, or nothing where none is near."""
    names = list(known)
    near = [f'"{one}"' for name in given for one in nearest(name, names, most=1)]
    return f": did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "") or "none"
