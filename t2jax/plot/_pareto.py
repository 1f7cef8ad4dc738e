"""Cost against quality: which points nothing else beats in both."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from t2jax.optimize import Solution
from t2jax.plot._reading import along, shown, title_of
from t2jax.plot._style import axes_for, finish, human_axis, log_axis, look, mark, next_look

__all__ = ["pareto"]


def pareto(
    cost: Any,
    quality: Any,
    *,
    label: str | None = None,
    xlabel: str = "cost (FLOPs)",
    ylabel: str | None = None,
    smaller_is_better: bool | None = None,
    baselines: Mapping[str, Any] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The Pareto front of cost and quality: its points joined by steps, the others, which are dominated, faint.

    cost: positive numbers of shape (n,). quality: numbers of shape (n,), where NaN is left out, or the `Solution` whose
    value it is. smaller_is_better: True for a loss, False for pass@k; a Solution says so itself. label: what the legend
    calls the front. xlabel, ylabel: with their units. baselines: a mapping from names to (cost, quality), numbers or
    arrays, drawn with markers of their own. ax: as elsewhere.

    Returns the axes. Raises ValueError where shapes do not fit or nothing says which way is better.
    """
    x = along("cost", cost)
    if isinstance(quality, Solution):
        y, ylabel = shown(quality, "value"), ylabel or title_of(quality, "value")
        better = not quality.maximised
        if smaller_is_better is not None and smaller_is_better != better:
            raise ValueError(f"smaller_is_better is {smaller_is_better}, but quality is a {_sense(better)}")
    else:
        y, better = np.asarray(quality, dtype=np.float64), smaller_is_better
    if y.shape != x.shape:
        raise ValueError(f"quality must have cost's shape {x.shape}, got shape {y.shape}")
    if better is None:
        raise ValueError("say smaller_is_better=True where quality is a loss, False where it is pass@k")
    beside = _baselines(baselines)
    best = _front(x, y, smaller=better)
    if not len(best):
        raise ValueError("quality is NaN everywhere")
    ax = axes_for(ax)
    log_axis(ax.xaxis)
    human_axis(ax.yaxis)
    style = next_look(ax)
    others = np.setdiff1d(np.flatnonzero(np.isfinite(y)), best)
    if len(others):
        ax.scatter(x[others], y[others], color=style.colour, marker=style.marker, s=18, alpha=0.3, linewidth=0)
    line = ax.plot(
        x[best],
        y[best],
        color=style.colour,
        linestyle=style.line,
        drawstyle="steps-post",
        marker=style.marker,
        markersize=5,
        linewidth=1.8,
        label=label or "Pareto front",
    )
    mark(line[0])
    for i, (name, (at, reached)) in enumerate(beside.items()):
        other = look(i + 1)
        ax.plot(at, reached, color=other.colour, marker=other.marker, markersize=7, linestyle="none", label=name)
    return finish(ax, xlabel, ylabel or "quality")


def _front(cost: np.ndarray, quality: np.ndarray, *, smaller: bool) -> np.ndarray:
    """Indices of the points that no other beats, by rising cost: of those with one cost only the best."""
    better = quality if smaller else -quality
    kept, best = [], np.inf
    for i in np.lexsort((better, cost)):
        if better[i] < best:
            kept.append(i)
            best = better[i]
    return np.array(kept, dtype=int)


def _sense(smaller: bool) -> str:
    return "minimum" if smaller else "maximum"


def _baselines(baselines: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if baselines is None:
        return {}
    if not isinstance(baselines, Mapping):
        raise TypeError(f"baselines must be a mapping from names to (cost, quality), got {baselines!r}")
    found = {}
    for name, pair in baselines.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"baselines[{name!r}] must be (cost, quality), got {pair!r}")
        at, reached = np.atleast_1d(pair[0]), np.atleast_1d(np.asarray(pair[1], dtype=np.float64))
        at = along(f"the cost of {name}", at)
        if at.shape != reached.shape:
            raise ValueError(f"cost and quality of {name} must have one shape, got {at.shape} and {reached.shape}")
        found[str(name)] = at, reached
    return found
