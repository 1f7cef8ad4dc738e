"""Names beside points, placed so that none lies on another, on a point or outside the axes."""

import math
from dataclasses import dataclass
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Transform

from t2jax.plot._style import INK

__all__ = ["Labels"]

_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (2, 1), (-2, 1), (2, -1), (-2, -1))
_DISTANCES = (6, 10, 16, 24, 34, 46, 60, 80)
"""Points from the thing to its name."""
_PLACES = np.array([(distance, *way) for distance in _DISTANCES for way in _DIRECTIONS], dtype=float)
_ROOM = 1.5
"""Points that are kept free around words."""
_LED = 14
"""From farther away a line leads to the thing."""
_CROSSED, _FAR = 15.0, 4.0
"""What a line through something costs, and a point of distance, beside each square point of something covered."""


@dataclass
class _Name:
    text: Annotation
    clear: float
    """Half the size of the thing that is named, in points."""
    beside: bool


class Labels(Artist):
    """The names on some axes. They are placed anew whenever the figure is drawn, at its size of that moment."""

    def __init__(self, ax: Axes) -> None:
        super().__init__()
        self._on = ax
        self._names: list[_Name] = []
        self.set_zorder(3.5)  # before the names themselves are drawn
        self.set_in_layout(False)

    @classmethod
    def of(cls, ax: Axes) -> "Labels":
        """Those of the axes, whoever put them there: all are placed together."""
        there = [one for one in ax.artists if isinstance(one, cls)]
        if there:
            return there[0]
        new = cls(ax)
        ax.add_artist(new)
        return new

    def add(
        self,
        text: str,
        x: float,
        y: float,
        *,
        within: Transform | None = None,
        clear: float = 4,
        bold: bool = False,
        beside: bool = True,
    ) -> None:
        """Name a thing, at coordinates of a transform (the data's), and keep `clear` points around it free.

        beside: may the name stand at its height? Not for a line. The first ones choose their places first.
        """
        drawn = self._on.annotate(
            text,
            (x, y),
            xycoords=within or self._on.transData,
            xytext=(_DISTANCES[0], 0),
            textcoords="offset points",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3},
            zorder=4,
            color=INK,
            fontsize=10 if bold else 9.5,
            fontweight="bold" if bold else "normal",
        )
        drawn.set_in_layout(False)
        drawn.set_path_effects([effects.withStroke(linewidth=2.5, foreground="white", alpha=0.85)])
        self._names.append(_Name(drawn, clear, beside))

    def draw(self, renderer: Any) -> None:
        """Moves the names, and draws nothing itself: they are artists of the axes."""
        point = renderer.points_to_pixels(1.0)
        frame = np.array([self._on.get_window_extent(renderer).extents]) / point
        spots = np.array([_transform(name.text).transform(name.text.xy) for name in self._names]) / point
        half = np.array([[name.clear] for name in self._names])
        things = np.hstack([spots - half, spots + half])
        words, lines = np.empty((0, 4)), np.empty((0, 2))
        for i, (name, spot) in enumerate(zip(self._names, spots, strict=True)):
            there = bool(np.all((spot >= frame[0, :2]) & (spot <= frame[0, 2:])))
            name.text.set_visible(there)
            if not there:
                continue
            size = np.asarray(Text.get_window_extent(name.text, renderer).size) / point
            boxes = _boxes(spot, size, name.clear)
            led = _leads(spot, boxes)
            others = np.vstack([np.delete(things, i, axis=0), words])
            cost = 10 * (np.prod(size + 2 * _ROOM) - _shared(boxes, frame)[:, 0]) + 10 * _shared(boxes, others).sum(1)
            cost += _CROSSED * (_held(led, others).sum((1, 2)) + _held(lines[None], boxes[:, None]).sum((1, 2)))
            cost[(_PLACES[:, 2] == 0) & (not name.beside)] = np.inf
            best = int(np.argmin(cost + _FAR * _PLACES[:, 0]))
            _put(name, *_PLACES[best])
            if name.text.arrow_patch is not None:
                name.text.arrow_patch.set_visible(bool(_PLACES[best, 0] > _LED))
            words = np.vstack([words, boxes[best]])
            lines = np.vstack([lines, led[best][np.isfinite(led[best, :, 0])]])


def _put(name: _Name, distance: float, dx: float, dy: float) -> None:
    length = (distance + name.clear - 4) / math.hypot(dx, dy)
    name.text.set_position((dx * length, dy * length))
    name.text.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
    name.text.set_verticalalignment("bottom" if dy > 0 else "top" if dy < 0 else "center")


def _transform(text: Annotation) -> Transform:
    assert isinstance(text.xycoords, Transform)
    return text.xycoords


def _boxes(spot: np.ndarray, size: np.ndarray, clear: float) -> np.ndarray:
    """(left, bottom, right, top) of the words at every place, as `_put` would have them."""
    distance, way = _PLACES[:, :1], _PLACES[:, 1:]
    anchor = spot + way * (distance + clear - 4) / np.hypot(way[:, :1], way[:, 1:])
    low = anchor - size * (1 - np.sign(way)) / 2
    return np.hstack([low - _ROOM, low + size + _ROOM])


def _leads(spot: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Points of the line from a thing to the middle of each box, NaN inside the box and where there is no line."""
    middle = 0.5 * (boxes[:, :2] + boxes[:, 2:])
    points = spot + np.linspace(0.1, 1, 19)[:, None] * (middle - spot)[:, None]
    inside = np.all((points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:]), axis=2)
    none = inside | (_PLACES[:, :1] <= _LED)
    return np.where(none[..., None], np.nan, points)


def _held(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Is each point, (…, p, 2), in each box? Shape (…, p, b)."""
    at = points[..., None, :]
    return np.all((at >= boxes[..., None, :, :2]) & (at <= boxes[..., None, :, 2:]), axis=-1)


def _shared(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The area that each box has in common with each of the others."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.prod(np.maximum(high - low, 0.0), axis=-1)
