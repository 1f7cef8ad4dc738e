"""Names beside points, placed so that none lies on another, on a point or outside the axes."""

import itertools
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox, Transform

from t2jax.plot.style import INK

__all__ = ["Labels"]

_DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]
_DISTANCES = (6, 14, 24, 36, 50)
"""Points from the thing to its name."""


class Labels(Artist):
    """A collection of names on axes. They are placed anew whenever the figure is drawn, at its size of that moment."""

    def __init__(self, ax: Axes, transform: Transform | None = None):
        super().__init__()
        self._ax, self._where = ax, transform or ax.transData
        self._texts: list[Any] = []
        self.set_zorder(3.5)  # before the names themselves are drawn
        self.set_in_layout(False)
        ax.add_artist(self)

    def add(self, text: str, x: float, y: float, **style: Any) -> None:
        """Name a point, at coordinates of the transform. The first ones choose their places first."""
        style = {"fontsize": 9, "color": INK, **style}
        drawn = self._ax.annotate(
            text,
            (x, y),
            xycoords=self._where,
            xytext=(_DISTANCES[0], 0),
            textcoords="offset points",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3},
            zorder=4,
            **style,
        )
        drawn.set_in_layout(False)
        drawn.set_path_effects([effects.withStroke(linewidth=2.5, foreground="white", alpha=0.85)])
        self._texts.append(drawn)

    def draw(self, renderer: Any) -> None:
        """Moves the names, and draws nothing itself: they are artists of the axes."""
        frame = self._ax.get_window_extent(renderer)
        pixels = renderer.points_to_pixels(1.0)
        spots = [self._where.transform(one.xy) for one in self._texts]
        taken = [Bbox.from_bounds(x - 4 * pixels, y - 4 * pixels, 8 * pixels, 8 * pixels) for x, y in spots]
        for i, (text, spot) in enumerate(zip(self._texts, spots, strict=True)):
            text.set_visible(bool(frame.contains(*spot)))
            if not text.get_visible():
                continue
            others = taken[:i] + taken[i + 1 :]
            best, where = np.inf, None
            for distance, (dx, dy) in itertools.product(_DISTANCES, _DIRECTIONS):
                self._put(text, distance, dx, dy)
                box = _of_text(text, renderer).padded(1.5 * pixels)
                inside = _area(Bbox.intersection(box, frame))
                crowded = sum(_area(Bbox.intersection(box, other)) for other in others)
                cost = crowded + 3 * (_area(box) - inside)
                if cost < best - 1e-9:
                    best, where = cost, (distance, dx, dy)
                if best <= 1e-9:
                    break
            if where is not None:
                self._put(text, *where)
                taken.append(_of_text(text, renderer).padded(1.5 * pixels))

    @staticmethod
    def _put(text: Any, distance: float, dx: int, dy: int) -> None:
        length = distance / np.hypot(dx, dy)
        text.set_position((dx * length, dy * length))
        text.set_ha({1: "left", 0: "center", -1: "right"}[dx])
        text.set_va({1: "bottom", 0: "center", -1: "top"}[dy])
        if text.arrow_patch is not None:
            text.arrow_patch.set_visible(distance > _DISTANCES[1])


def _of_text(text: Any, renderer: Any) -> Bbox:
    """The box of the words, without the line that leads to the point."""
    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)


def _area(box: Bbox | None) -> float:
    return 0.0 if box is None else float(box.width * box.height)
