"""The picture of a frontier: what is decided and what is reached, against what varies."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from t2jax.planning._fields import field
from t2jax.planning._figure_table import figure
from t2jax.plot._saving import saved
from t2jax.plot._style import COLOURS, finish, human_axis, log_axis, series

if TYPE_CHECKING:
    from t2jax.planning._frontier import Frontier

__all__ = ["draw_frontier"]

_HUMAN = ("value", "loss_nats", "pass_at_k")
"""Figures whose axis is linear."""


def draw_frontier(frontier: "Frontier", path_or_ax: Any) -> Figure | Axes:
    """N, D, k and what is reached, against what varies, one above the other; dotted where nothing was fitted.

    On axes N, D and k together; in a file, which must not exist yet, each of its own. Raises `UsageError` where it
    cannot be written.
    """
    lines = _Lines.of(frontier)
    if isinstance(path_or_ax, Axes):
        return _together(lines, path_or_ax)
    picture = Figure(figsize=(10.5, 7.2), layout="constrained")
    panels = zip(picture.subplots(2, 2, squeeze=False, sharex=True).flat, lines.panels, strict=True)
    for ax, (key, title) in panels:
        _panel(ax, lines, key, title)
    for ax in picture.axes[1:]:
        if legend := ax.get_legend():
            legend.remove()
    for ax in picture.axes[:2]:
        ax.set_xlabel("")
    saved(picture, os.fspath(path_or_ax))
    return picture


@dataclass(frozen=True)
class _Lines:
    """What is drawn. x: what varies. panels: the key of a row and the axis' title. solved, known: has a row a solution,
    and is it within what was fitted?"""

    rows: list[dict[str, Any]]
    x: np.ndarray
    xlabel: str
    panels: list[tuple[str, str]]
    solved: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, frontier: "Frontier") -> "_Lines":
        rows = frontier.rows
        solved = np.array([row["status"] == "solved" for row in rows])
        known = solved & np.array([bool(row["in_fit_range"]) for row in rows])
        decided = ("params", "tokens", "samples" if frontier.sampled else "tokens_per_param")
        panels = [*((name, figure(name).axis) for name in decided), _quality(frontier, rows[0])]
        x = np.array([row[frontier.varied] for row in rows], dtype=float)
        return cls(rows, x, field(frontier.varied).axis, panels, solved, known)

    def column(self, key: str) -> np.ndarray:
        """NaN where a row has no solution, or no such figure."""
        each = [row[key] if ok else None for ok, row in zip(self.solved, self.rows, strict=True)]
        return np.array([np.nan if one is None else one for one in each], dtype=float)


def _quality(frontier: "Frontier", row: dict[str, Any]) -> tuple[str, str]:
    """What is reached, its key and title."""
    if frontier.varied == "target":  # what is reached was asked for: what it costs is the answer
        return "total_flops_used", figure("total_flops").axis
    reached = {"task_loss_nats": "value"}.get(frontier.of, frontier.of)
    if reached in row:
        return reached, figure(frontier.of).axis
    return "value", frontier.of  # of a user's own task


def _panel(ax: Axes, lines: _Lines, key: str, title: str) -> None:
    y = lines.column(key)
    extrapolates = bool((lines.solved != lines.known).any())
    log_axis(ax.xaxis)
    if key in _HUMAN:
        human_axis(ax.yaxis)
    else:
        log_axis(ax.yaxis)
    if extrapolates:
        ax.plot(lines.x, y, color=COLOURS[0], linestyle=":", linewidth=2, label="outside the fitted range")
    if lines.known.any():
        series(ax, lines.x, np.where(lines.known, y, np.nan), "within it" if extrapolates else None)
    finish(ax, lines.xlabel, title)


def _together(lines: _Lines, ax: Axes) -> Axes:
    """What is counted, on axes of the user's."""
    log_axis(ax.xaxis)
    log_axis(ax.yaxis)
    for key, title in lines.panels[:3]:
        y = lines.column(key)
        style = series(ax, lines.x, np.where(lines.known, y, np.nan), title)
        ax.plot(lines.x, np.where(lines.known, np.nan, y), color=style.colour, linestyle=":", linewidth=2)
    finish(ax, lines.xlabel, "optimum")
    return ax
