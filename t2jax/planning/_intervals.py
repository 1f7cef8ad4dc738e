"""Intervals of an optimum as a person reads them, from what `--json` prints of them. Loads no JAX and no NumPy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from t2jax._io.text import aligned, fixed
from t2jax.planning._allocations import TOTAL
from t2jax.planning._figure_table import figure

__all__ = ["intervals_text", "shown_as"]


def intervals_text(found: Mapping[str, Any], names: Sequence[str], quantity: str, title: str) -> str:
    """A line for each of `names`, and where the intervals come from. quantity, title: of the objective, the value."""
    rows = []
    for name in names:
        label, written = shown_as(name, quantity, title)
        low, high = ("–", "") if found[name] is None else map(written, found[name])
        rows.append([label, low, *(["–", high] if high and high != low else [])])
    lines = [f"How sure the optimum is ({100 * found['level']:g} % intervals from {_how(found)})", aligned(rows)]
    if found["method"] == "ensemble" and (left_out := found["members"] - found["solved"]):
        lines.append(f"  {left_out:,} of the {found['members']:,} resampled fits have no optimum and are left out")
    return "\n".join(lines)


def shown_as(name: str, quantity: str, title: str) -> tuple[str, Callable[[float], str]]:
    """What a person calls a number of the optimum, and how it is written."""
    try:
        of = figure(TOTAL.get(quantity, quantity) if name == "value" else name)
    except KeyError:  # of a user's own task
        return title, fixed(4)
    return of.title, of.written


def _how(found: Mapping[str, Any]) -> str:
    if found["method"] == "ensemble":
        return f"{found['members']:,} resampled fits"
    return "the fit's standard errors, by the delta method"
