"""A frontier as a person reads it, from the dictionary that `--json` prints: a title, a table, what to know of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from t2jax._io.display import Grid, as_text
from t2jax._io.text import significant
from t2jax.planning._fields import NAMES, field
from t2jax.planning._figure_table import figure
from t2jax.planning._inputs import named
from t2jax.planning._law_files import same_named_file
from t2jax.planning._spelling import Spelling, as_option
from t2jax.planning._varied import Varied, short

__all__ = ["frontier_parts", "frontier_text", "same_named_files", "solved_rows", "unsolved"]

_Row = Mapping[str, Any]

_ALL = 40
"""As many rows are shown; of more about half as many, evenly spread."""


def frontier_text(said: Mapping[str, Any], spelled: Spelling = as_option) -> str:
    """All of it. spelled: how the person wrote the names of fields."""
    return as_text(frontier_parts(said, spelled))


def frontier_parts(said: Mapping[str, Any], spelled: Spelling) -> list[str | Grid]:
    """The lines and the table, from top to bottom."""
    rows, solved = said["rows"], solved_rows(said["rows"])
    shown = _thinned(solved)
    parts: list[str | Grid] = [f"Compute-optimal frontier: {_asked(said['inputs'], spelled)}"]
    parts += [f"  source  {source}" for source in said["sources"]]
    parts += [f"  note    {note}" for note in same_named_files(said["inputs"])]
    if shown:
        parts.append(Grid(_cells(said, shown), header=True))
        if not all(row["in_fit_range"] for row in shown):
            parts.append("  *: N, D or k is outside the range that was fitted")
        if len(shown) < len(solved):
            parts.append(f"  {len(shown)} of {len(solved):,} rows; {spelled.all_rows}")
    parts += [f"  {sentence}" for sentence in unsolved(rows, said["varied"])]
    if said["out"] is not None:
        parts.append(f"All {len(rows):,} rows are in {said['out']}")
    if said["plot"] is not None and solved:
        parts.append(f"The picture is in {said['plot']}")
    return parts


def _asked(inputs: Mapping[str, Any], spelled: Spelling) -> str:
    """The scenario, as it is typed."""
    words = []
    for name, value in inputs.items():
        if value is True:
            words.append(spelled.switch(name))
        elif name in NAMES:
            words.append(spelled.assign(name, named(value)))
        else:
            words.append(spelled.assign(name, short(value) if isinstance(value, float) else Varied.in_words(value)))
    return spelled.between.join(words)


def same_named_files(inputs: Mapping[str, Any]) -> list[str]:
    """What to say of published names that are also those of files."""
    names = [inputs[name] for name in NAMES if isinstance(inputs.get(name), str)]
    return [note for note in map(same_named_file, names) if note]


def solved_rows(rows: Sequence[_Row]) -> list[_Row]:
    return [row for row in rows if row["status"] == "solved"]


def _thinned(rows: list[_Row]) -> list[_Row]:
    if len(rows) <= _ALL:
        return rows
    few = _ALL // 2 - 1
    # As NumPy's linspace and round have it: halves go to the even neighbour.
    return [rows[round(i * ((len(rows) - 1) / few))] for i in range(few)] + rows[-1:]


def unsolved(rows: Sequence[_Row], varied: str) -> list[str]:
    """A sentence for every reason why there are rows without a solution."""
    varies, first, count = field(varied), {}, {}
    for row in rows:
        if (status := row["status"]) != "solved":
            first.setdefault(status, row)
            count[status] = count.get(status, 0) + 1
    sentences = []
    for status, row in first.items():
        begins = f"{count[status]} rows have no solution, for example" if count[status] > 1 else "no solution for"
        at = f"{varies.title} {varies.written(row[varies.name])}"
        sentences.append(f"{begins} {at}: {status.replace('_', ' ')}: {row['reason']}")
    return sentences


# --- The table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """heading: what stands above it. written: how a row's cell is."""

    heading: str
    written: Callable[[_Row], str]

    @classmethod
    def of(cls, name: str, key: str | None = None) -> "_Column":
        """Of a figure of the table. key: where it is in a row, if not by its name."""
        one = figure(name)
        return cls(one.symbol, lambda row: one.written(row[key or name]))


def _cells(said: Mapping[str, Any], shown: Sequence[_Row]) -> list[list[str]]:
    """The header and a line for each row, each cell with room for a star behind it; one is behind what varies."""
    columns = [*_varied(said), *_decided(said), *_reached(said), *_spent(said)]
    lines = [[f"{column.heading} " for column in columns]]
    for row in shown:
        cells = [f"{column.written(row)} " for column in columns]
        cells[1] = cells[1].rstrip() + (" " if row["in_fit_range"] else "*")
        lines.append(cells)
    return lines


def _varied(said: Mapping[str, Any]) -> Iterator[_Column]:
    varies = field(said["varied"])
    yield _Column(varies.title, lambda row: varies.written(row[varies.name]))


def _decided(said: Mapping[str, Any]) -> Iterator[_Column]:
    yield _Column.of("params")
    yield _Column.of("tokens")
    if said["sampled"]:
        yield _Column.of("samples")
    yield _Column.of("tokens_per_param")


def _reached(said: Mapping[str, Any]) -> Iterator[_Column]:
    """The value, by what is planned for, and the pass@k that belongs to it."""
    of = said["of"]
    if of == "loss_nats":
        yield _Column.of(of)
    elif of == "task_loss_nats":
        yield _Column.of(of, "value")
    elif of != "pass_at_k":
        written = significant(4)
        yield _Column(of, lambda row: written(row["value"]))
    if any(row["pass_at_k"] is not None for row in solved_rows(said["rows"])):
        yield _Column(figure("pass_at_k").symbol, lambda row: f"{100 * row['pass_at_k']:.4g}%")


def _spent(said: Mapping[str, Any]) -> Iterator[_Column]:
    """The share of training, and what it takes in all where the range does not say that."""
    rows, varied = said["rows"], said["varied"]
    if any(row["inference_flops_used"] is not None and row["total_flops_used"] is not None for row in rows):
        yield _Column("training", lambda row: f"{100 * row['train_flops_used'] / row['total_flops_used']:.3g}%")
    total = _Column.of("total_flops_used")
    if varied == "target":
        yield total
    elif any(_differ(row["total_flops_used"], row[varied]) for row in solved_rows(rows)):
        yield _Column(f"{total.heading} used", total.written)


def _differ(used: float | None, given: float) -> bool:
    return bool(used) and abs(used / given - 1) > 1e-6 if given else bool(used)
