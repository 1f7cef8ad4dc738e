"""Names beside points, placed so that none lies on another, on a point or outside the axes."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox, Transform

from t2jax.plot.style import INK

__all__ = ["Labels"]

_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (2, 1), (-2, 1), (2, -1), (-2, -1))
_DISTANCES = (6, 10, 16, 24, 34, 46, 60, 80)
"""Points from the thing to its name."""
_LED = 14
"""From farther away a line leads to the thing."""
_CROSSED, _FAR = 15.0, 4.0
"""What a line through something costs, and a point of distance, beside each square point of something covered."""


@dataclass
class _Name:
    text: Annotation
    clear: float
    """Half the size of the thing that is named, in points."""


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
        self, text: str, x: float, y: float, *, within: Transform | None = None, clear: float = 4, bold: bool = False
    ) -> None:
        """Name a thing, at coordinates of a transform (the data's), and keep `clear` points around it free.

        The first ones choose their places first.
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
        self._names.append(_Name(drawn, clear))

    def draw(self, renderer: Any) -> None:
        """Moves the names, and draws nothing itself: they are artists of the axes."""
        point = renderer.points_to_pixels(1.0)
        frame = _scaled(self._on.get_window_extent(renderer), point)
        spots = [_transform(name.text).transform(name.text.xy) / point for name in self._names]
        things = [_around(spot, name.clear) for spot, name in zip(spots, self._names, strict=True)]
        words: list[Bbox] = []
        lines: list[np.ndarray] = []
        for i, (name, spot) in enumerate(zip(self._names, spots, strict=True)):
            name.text.set_visible(bool(frame.contains(*spot)))
            if not name.text.get_visible():
                continue
            others = things[:i] + things[i + 1 :]
            best: tuple[float, Any] = (math.inf, None)
            for distance, direction in itertools.product(_DISTANCES, _DIRECTIONS):
                _put(name, distance, direction)
                box = _scaled(_of_words(name.text, renderer), point).padded(1.5)
                line = _line(spot, box) if distance > _LED else np.empty((0, 2))
                crowded = 5 * (_area(box) - _shared(box, frame))
                crowded += sum(5 * _shared(box, one) + _CROSSED * _inside(line, one) for one in words)
                crowded += sum(5 * _shared(box, one) + _CROSSED * _inside(line, one) for one in others)
                crowded += _CROSSED * sum(_inside(one, box) for one in lines)
                cost = crowded + _FAR * distance
                if cost < best[0]:
                    best = cost, (distance, direction, box, line)
                if crowded < 1e-6:
                    break
            distance, direction, box, line = best[1]
            _put(name, distance, direction)
            if name.text.arrow_patch is not None:
                name.text.arrow_patch.set_visible(distance > _LED)
            words.append(box)
            lines.append(line)


def _put(name: _Name, distance: float, direction: tuple[int, int]) -> None:
    dx, dy = direction
    length = (distance + name.clear - 4) / math.hypot(dx, dy)
    name.text.set_position((dx * length, dy * length))
    name.text.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
    name.text.set_verticalalignment("bottom" if dy > 0 else "top" if dy < 0 else "center")


def _transform(text: Annotation) -> Transform:
    assert isinstance(text.xycoords, Transform)
    return text.xycoords


def _of_words(text: Annotation, renderer: Any) -> Bbox:
    """The box of the words, without the line that leads to the thing."""
    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)


def _scaled(box: Bbox, pixels: float) -> Bbox:
    return Bbox(np.asarray(box.get_points()) / pixels)


def _around(spot: np.ndarray, half: float) -> Bbox:
    return Bbox([spot - half, spot + half])


def _line(spot: np.ndarray, box: Bbox) -> np.ndarray:
    """Points of the line from a thing to the middle of its name, up to the box of the name."""
    middle = np.mean(np.asarray(box.get_points()), axis=0)
    points = spot + np.linspace(0.1, 1, 19)[:, None] * (middle - spot)
    return points[~_held(points, box)]


def _inside(points: np.ndarray, box: Bbox) -> int:
    return int(np.sum(_held(points, box)))


def _held(points: np.ndarray, box: Bbox) -> np.ndarray:
    return np.all((points >= box.min) & (points <= box.max), axis=1)


def _shared(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else _area(both)


def _area(box: Bbox) -> float:
    return float(box.width * box.height)
