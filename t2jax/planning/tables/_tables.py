"""A file of scenarios to a file of plans, piece by piece, so that a run that is stopped can be taken up.

Plans go to a folder of Parquet parts (see `output`). For a CSV the parts stand beside it until all are there; then they
become one file, written among them and given its name, and are removed.
"""

import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from t2jax._io.output import Output, arrow, discard
from t2jax.planning._batch import answered
from t2jax.planning._law_files import is_file_name
from t2jax.planning.tables._files import check_as_text, is_as_text, is_text, write_table
from t2jax.planning.tables._frozen import FrozenFiles
from t2jax.planning.tables._reading import Piece, Source

__all__ = ["Tally", "answer_table", "parts_beside"]


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
    files: bool = True,
    pass_through: Collection[str] = (),
    tell: Callable[[int, int], None] | None = None,
) -> Tally:
    """Answer every row of the source, beside its columns, in `out`: a .csv or .tsv file, or a folder of Parquet parts.

    defaults, files, pass_through: as `plan_batch` takes them, checked. settings: what else decides the results; the
    input's bytes, the columns, defaults, batch size and the bytes of law files are added. tell: called with (rows done,
    about how many there are). What is finished of an interrupted run stays, and `resume` takes it up; where `out` is
    finished, it is checked to be what this run gives.

    Raises FileExistsError and ValueError as `Output.begin` does, ValueError for a source without rows or that breaks
    off, or a law's file that changes; OSError where nothing can be written.
    """
    pieces = source.pieces(batch_size)
    first = next(pieces, None)
    if first is None:
        raise ValueError(f"{source.path.name} has no rows")
    is_there = is_text(out) and os.path.lexists(out)
    if is_there and not resume:
        raise FileExistsError(f"{out} exists: choose another name, or remove it")
    if is_text(out):
        check_as_text(first.table, out)
    laws = FrozenFiles.named_in(source, defaults, files=files, pass_through=pass_through)
    settings = {
        **settings,
        "input_sha256": _hash(source.path),
        "columns": source.names,
        "defaults": {name: _shown(value, laws) for name, value in defaults.items()},
        "files": files,
        "pass_through": sorted(pass_through),
        "batch_size": batch_size,
        **laws.settings,
    }
    answer = functools.partial(answered, defaults=defaults, files=files, pass_through=pass_through, read=laws.read)
    run = _Run(source, itertools.chain([first], pieces), answer, tell)
    if is_there:
        _check_finished(run, out, settings)
        return run.tally
    output = Output.begin(parts_beside(out) if is_text(out) else out, settings=settings, resume=resume)
    for part, plans, is_new in run.parts(output, ["status", "reason"]):
        if is_new:
            output.write(part, plans)
    output.finish(parts=run.count, rows=run.tally.rows)
    if is_text(out):
        _join(output, run.count, out)
    return run.tally


def parts_beside(out: Path) -> Path:
    """Where the parts of a CSV stand until it is whole."""
    return out.with_name(f"{out.name}.parts")


@dataclass
class _Run:
    """The pieces of a source, answered one after the other. count: parts so far."""

    source: Source
    pieces: Iterator[Piece]
    answer: Callable[..., Any]
    tell: Callable[[int, int], None] | None
    tally: Tally = field(default_factory=Tally)
    count: int = 0

    def parts(self, output: Output | None, columns: list[str] | None) -> Iterator[tuple[int, Any, bool]]:
        """(part, plans, whether they were computed): of those that the output has, these columns, None for all."""
        for part, piece in enumerate(self.pieces):
            is_new = output is None or not output.done(part)
            if is_new:
                plans = self.answer(piece.table, faults=piece.faults, place=_placed(self.source, piece.places))
            else:
                plans = arrow("pyarrow.parquet").read_table(output.file(part), columns=columns)
            self.count = part + 1
            yield part, plans, is_new
            self.tally.add(plans, piece.places, self.source.place)
            if self.tell is not None:
                self.tell(self.tally.rows, max(self.tally.rows, round(self.tally.rows / piece.share)))


def _join(output: Output, parts: int, out: Path) -> None:
    """The parts as one text file, in their place."""
    parquet, folder = arrow("pyarrow.parquet"), output.folder
    kept = f"all parts are in {folder}"
    tables = (parquet.read_table(output.file(part)) for part in range(parts))
    try:
        write_table(tables, out, beside=folder, full=f"{kept}; make room, continue with resume=True")
    except FileExistsError as error:
        raise FileExistsError(f"{error}; {kept}: continue with resume=True") from None
    discard(folder)


def _check_finished(run: _Run, out: Path, settings: Mapping[str, Any]) -> None:
    """Compare a text file with what this run gives, as nothing else tells what it is; then remove what parts are left.

    Raises FileExistsError where it is something else.
    """
    folder = parts_beside(out)
    try:
        left = Output.join(folder, settings=settings)
    except FileNotFoundError:
        left = None
    if not out.is_file() or not is_as_text((plans for _, plans, _ in run.parts(left, None)), out):
        raise FileExistsError(f"{out} exists and is not what this run gives: choose another name, or remove it")
    discard(folder)


def _placed(source: Source, places: np.ndarray) -> Callable[[int], str]:
    return lambda row: source.place(int(places[row]))


def _shown(default: Any, laws: FrozenFiles) -> Any:
    """A default as the manifest keeps it: of a file its bytes count, not its name."""
    if isinstance(default, str) and is_file_name(default):
        return {"sha256": laws.hashes[default]}
    return default if isinstance(default, bool | float | str) else repr(default)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
