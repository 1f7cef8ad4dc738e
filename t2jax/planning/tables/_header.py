"""The names of a table's columns: those of scenarios, those that the results will have, and those that pass through."""

import functools
import re
from collections import Counter
from collections.abc import Collection, Sequence

from t2jax._io.text import nearest
from t2jax._io.usage import printable
from t2jax.planning._fields import COLUMNS
from t2jax.planning._figure_table import OF_TABLES as FIGURES, RESULTS
from t2jax.planning._spelling import Spelling, as_column

__all__ = ["FIGURES", "RESULTS", "check_columns", "passed_through"]

_NEAR = 0.8
"""Share of letters in common from which on a name is taken for a misspelt one: n_queries is, num_queries is not."""


def check_columns(
    names: Sequence[str], pass_through: Collection[str] = (), spelled: Spelling = as_column, *, within: str = ""
) -> None:
    """Raises ValueError for names that the results could not stand beside, and for those that look misspelt.

    A column that is nearly called as a field would pass through unread, and its cap or budget would be ignored without
    a word; `pass_through` names those that are meant to. within: the table's name, to begin messages with.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f'{within}the table has more than one column "{printable(name, 60)}"')
        if name in RESULTS:
            raise ValueError(
                f'{within}the table has a column "{name}", which is the name of a result: rename it. '
                f"Results are called {', '.join(RESULTS)}"
            )
    there = set(names)
    for name in pass_through:
        if name not in there:
            listed = ", ".join(printable(one, 60) for one in names[:20])
            raise ValueError(
                f'{within}{spelled("pass_through")} names "{printable(name, 60)}", but the columns are {listed}'
                f"{', …' if len(names) > 20 else ''}"
            )
    absent = tuple(field for field in COLUMNS if field not in there)
    for name in passed_through(names, pass_through):
        field = None if name in pass_through else _misspelt(name, absent)
        if field is not None:
            shown = printable(name, 60)
            raise ValueError(
                f'{within}the table has a column "{shown}": did you mean {field}? Rename it; or, if it is to pass '
                f'through unread, say so with {spelled("pass_through")} "{shown}"'
            )


def passed_through(names: Sequence[str], pass_through: Collection[str]) -> list[str]:
    """The columns that are not read."""
    return [name for name in names if name not in COLUMNS or name in pass_through]


@functools.lru_cache(maxsize=1 << 14)  # of the many pieces of a table the names are the same
def _misspelt(name: str, absent: tuple[str, ...]) -> str | None:
    """Which of the fields that the table lacks this column is nearly called as. If it has one, the other is another."""
    words = _words(name)
    for field in absent:
        if sorted(words) == sorted(_words(field)) or "".join(words) == "".join(_words(field)):
            return field
    if len(name) > 2 * max(map(len, absent), default=0):
        return None
    near = nearest("_".join(words), absent, most=1, likeness=_NEAR)
    return near[0] if near else None


def _words(name: str) -> list[str]:
    """maxParams, Max-Params, "max params " → ["max", "params"]."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
