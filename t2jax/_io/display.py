"""What a result shows, said once as lines and tables: aligned text where it is printed, HTML in a notebook."""

import abc
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from t2jax._io.text import aligned

__all__ = ["Displayed", "Grid", "as_html", "as_text"]


@dataclass(frozen=True)
class Grid:
    """Rows of cells. header: is the first row the names of the columns? left: columns of words; numbers stand right."""

    rows: Sequence[Sequence[str]]
    header: bool = False
    left: tuple[int, ...] = (0,)
    indent: str = "  "


class Displayed(abc.ABC):
    """Prints as text, and shows in a notebook as HTML, the lines and tables that `_parts` says."""

    @abc.abstractmethod
    def _parts(self) -> Sequence[str | Grid]:
        """What to show, from top to bottom."""

    def __str__(self) -> str:
        return as_text(self._parts())

    def _repr_html_(self) -> str:
        return as_html(self._parts())


def as_text(parts: Sequence[str | Grid]) -> str:
    """Lines as they are, tables with straight columns."""
    return "\n".join(part if isinstance(part, str) else aligned(part.rows, part.indent, part.left) for part in parts)


def as_html(parts: Sequence[str | Grid]) -> str:
    """A `div` of paragraphs and tables, without colours or sizes of its own: the notebook's theme has them."""
    inner = (f"<p>{_marked(part.strip())}</p>" if isinstance(part, str) else _table(part) for part in parts)
    return "\n".join(["<div>", *inner, "</div>"])


def _table(grid: Grid) -> str:
    widest = max(map(len, grid.rows), default=0)
    lines = ["<table>"] if grid.header else ["<table>", "<tbody>"]
    for i, row in enumerate(grid.rows):
        in_head = grid.header and i == 0
        cells = [_cell(cell, j, in_head, j in grid.left) for j, cell in enumerate([*row, *[""] * (widest - len(row))])]
        line = f"<tr>{''.join(cells)}</tr>"
        lines += ["<thead>", line, "</thead>", "<tbody>"] if in_head else [line]
    return "\n".join([*lines, "</tbody>", "</table>"])


def _cell(text: str, column: int, in_head: bool, left: bool) -> str:
    style = f' style="text-align: {"left" if left else "right"}"'
    if in_head:
        return f'<th scope="col"{style}>{_marked(text)}</th>'
    if column == 0:
        return f'<th scope="row"{style}>{_marked(text)}</th>'
    return f"<td{style}>{_marked(text)}</td>"


def _marked(text: str) -> str:
    """Escaped, with N^0.3478 and N^(a/b) as superscripts."""
    return re.sub(r"\^(?:\(([^()]*)\)|([\w.,+-]*\w))", lambda found: f"<sup>{found[1] or found[2]}</sup>", escape(text))
