"""How every picture looks, set on the axes that are drawn on: nothing global is changed.

Colours are those of Okabe and Ito, which people who see no red or no green tell apart; each series also has a line
and a marker of its own, for print without colour.
"""

import math
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter

from t2jax._io.text import UNITS

__all__ = [
    "BAND",
    "COLOURS",
    "FAINT",
    "INK",
    "Look",
    "axes_for",
    "finish",
    "human_axis",
    "log_axis",
    "look",
    "mark",
    "next_look",
    "pale",
    "rounded",
    "series",
    "short",
    "show_legend",
]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe & Ito 2008, "Color Universal Design", the ones that stand out on white first."""
INK, FAINT = "#222222", "#8A8A8A"
BAND = 0.2
"""The opacity of an interval."""
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_SIZES = {"label": 12, "tick": 11, "legend": 10.5}
_SERIES = "t2jax series"


@dataclass(frozen=True)
class Look:
    """What tells one series from another."""

    colour: str
    line: Any
    marker: str


def look(i: int) -> Look:
    """Of the i-th series."""
    return Look(COLOURS[i % len(COLOURS)], _LINES[i % len(_LINES)], _MARKERS[i % len(_MARKERS)])


def axes_for(ax: Axes | None, size: tuple[float, float] = (6.4, 4.4)) -> Axes:
    """The axes to draw on: those given, or the only ones of a new figure of this size in inches."""
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib axes or None, got {ax!r}")
    return ax


def mark(artist: Any) -> Any:
    """Counts an artist as a series, so that the next one on the same axes looks different."""
    artist.set_gid(_SERIES)
    return artist


def next_look(ax: Axes) -> Look:
    """Of a series that is added to the axes."""
    return look(sum(one.get_gid() == _SERIES for one in ax.get_children()))


def series(ax: Axes, x: np.ndarray, y: np.ndarray, label: str | None = None) -> Look:
    """A line unlike those on the axes, with markers where points are few, or have no neighbour to be joined to."""
    style = next_look(ax)
    there = np.isfinite(y)
    padded = np.concatenate([[False], there, [False]])
    alone = there & ~padded[:-2] & ~padded[2:]
    marked = np.flatnonzero(there if there.sum() <= 12 else alone).tolist()
    drawn: dict[str, Any] = {"marker": style.marker, "markersize": 5, "markevery": marked} if marked else {}
    mark(ax.plot(x, y, color=style.colour, linestyle=style.line, linewidth=2, label=label, **drawn)[0])
    return style


def finish(ax: Axes, xlabel: str, ylabel: str) -> Axes:
    """Names, sizes and a light grid. A label that the axes have already is kept."""
    ax.set_xlabel(ax.get_xlabel() or xlabel, fontsize=_SIZES["label"])
    ax.set_ylabel(ax.get_ylabel() or ylabel, fontsize=_SIZES["label"])
    ax.tick_params(which="both", labelsize=_SIZES["tick"], color=FAINT)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, which="major", color="#DDDDDD", linewidth=0.7)
    ax.set_axisbelow(True)
    show_legend(ax)
    return ax


def show_legend(ax: Axes, **where: Any) -> None:
    """A legend of everything on the axes that has a name; none where nothing has."""
    handles, names = ax.get_legend_handles_labels()
    if handles:
        size = _SIZES["legend"]
        ax.legend(handles, names, fontsize=size, title_fontsize=size, framealpha=0.9, edgecolor="none", **where)


# --- Axes of numbers over many orders of magnitude --------------------------------------------------------------------


def short(value: float) -> str:
    """1e7 → '10M', 1.5e13 → '15T', 1e24 → '1e24', 2000 → '2,000', 1e-4 → '1e-4': a tick of an axis."""
    size = abs(value)
    if size == 0 or not math.isfinite(value):
        return f"{value:g}"
    if size >= 1e15 * (1 - 1e-9) or size < 1e-3 * (1 - 1e-9):
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    for unit, letter in UNITS:
        if size >= unit * (1 - 1e-9):
            return f"{value / unit:.4g}{letter}"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.4g}"


def rounded(value: float) -> str:
    """As `short`, of three digits: a name in a picture."""
    return short(float(f"{value:.3g}"))


class _Decades(Locator):
    """Of one axis: powers of ten, every second or third one where they are many, 2 and 5 as well where they are few."""

    def __init__(self, of: Axis):
        self._of = of

    def __call__(self) -> Any:
        return self.tick_values(*self._of.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Any:
        low, high = sorted((vmin, vmax))
        if not 0 < low < high < math.inf:
            return []
        decades = math.log10(high / low)
        most = max(2, min(9, self._of.get_tick_space()))
        if decades < 0.7:
            return [tick for tick in MaxNLocator(min(most, 6)).tick_values(low, high) if tick > 0]
        factors = (1, 2, 5) if 3 * decades <= most else (1, 3) if 2 * decades <= min(most, 5) else (1,)
        step = max(1, math.ceil((decades + 1) / most))
        first = math.floor(math.log10(low)) // step * step
        powers = range(first, math.ceil(math.log10(high)) + 1, step)
        return [factor * 10.0**power for power in powers for factor in factors]


def log_axis(axis: Axis) -> None:
    """A logarithmic scale with ticks that people read."""
    axis.axes.set(**{"xscale" if axis is axis.axes.xaxis else "yscale": "log"})
    axis.set_major_locator(_Decades(axis))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_locator(LogLocator(subs=tuple(range(2, 10)), numticks=12))
    axis.set_minor_formatter(NullFormatter())


def human_axis(axis: Axis) -> None:
    """A linear scale whose ticks have units."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def pale(*, light_is_high: bool) -> Colormap:
    """A map from dark to light that everybody sees in order, so light that black text stands out on all of it."""
    colours = 0.45 * plt.get_cmap("GnBu")(np.linspace(0, 1, 64))[:, :3] + 0.55
    return LinearSegmentedColormap.from_list("pale", colours[::-1] if light_is_high else colours)
