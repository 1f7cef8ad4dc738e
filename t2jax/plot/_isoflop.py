"""Loss against model size at a fixed number of training FLOPs, as Chinchilla's second approach draws it."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from t2jax.costs import TrainingFLOPs
from t2jax.optimize import NoSolutionError, minimize
from t2jax.plot._reading import along, quality_title
from t2jax.plot._style import INK, axes_for, finish, human_axis, log_axis, look, rounded, show_legend
from t2jax.quantities import Allocation, Quantity, Scale, samples

__all__ = ["isoflop"]

_WIDE = 12.0
"""How far a curve goes to both sides of its optimum, as a factor of N."""
_POINTS = 241


def isoflop(law: Quantity, budgets: Any, *, runs: Mapping[str, Any] | None = None, ax: Axes | None = None) -> Axes:
    """Loss against N where D = C/(6N), one curve for each C, with each optimum marked and joined to the next.

    law: a loss law, or a task loss (then at k = 1). budgets: training FLOPs C, of shape (n,). runs: columns params,
    tokens and loss of one length, drawn as points in the colour of the budget that is nearest to 6ND. ax: as elsewhere.

    Returns the axes. Raises ValueError where a budget has no optimum or columns do not fit together,
    TypeError for what is no law. Source: Hoffmann et al. 2022, arXiv:2203.15556, figure 3.
    """
    if not isinstance(law, Quantity):
        raise TypeError(f"law must be a loss law, got {type(law).__name__}")
    if law.scale is not Scale.LOG:
        raise ValueError(f"law must be a loss, and {law.label} is a probability: draw its .law")
    budgets = np.sort(along("budgets", budgets))
    points = None if runs is None else _runs(runs)
    optima = np.array([_optimum(law, budget) for budget in budgets])
    ax = axes_for(ax)
    log_axis(ax.xaxis)
    human_axis(ax.yaxis)
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(budgets)))
    nearest = None if points is None else _nearest(budgets, 6 * points[0] * points[1])
    for i, (budget, best, colour) in enumerate(zip(budgets, optima, colours, strict=True)):
        low, high = best / _WIDE, best * _WIDE
        if points is not None and np.any(nearest == i):
            mine = [column[nearest == i] for column in points]
            ax.scatter(mine[0], mine[2], color=colour, marker=look(i).marker, s=22, alpha=0.75, linewidth=0)
            low, high = min(low, mine[0].min() / 1.3), max(high, mine[0].max() * 1.3)
        sizes = np.geomspace(low, high, _POINTS)
        ax.plot(sizes, _loss(law, sizes, budget), color=colour, linewidth=1.8, label=rounded(budget))
    lowest = [_loss(law, np.array([best]), budget)[0] for best, budget in zip(optima, budgets, strict=True)]
    ax.plot(
        optima, lowest, color=INK, linestyle="--", linewidth=1.2, marker="o", markersize=6, label="optimum", zorder=3
    )
    finish(ax, "parameters N", quality_title(law.label, law.scale))
    many: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if len(budgets) > 6 else {}
    show_legend(ax, title="training FLOPs", **many)
    return ax


def _loss(law: Quantity, params: np.ndarray, budget: float) -> np.ndarray:
    return np.asarray(law(Allocation(params, budget / (6.0 * params))), dtype=np.float64)


def _optimum(law: Quantity, budget: float) -> float:
    """N*. One budget after the other: a single problem compiles faster than a batch, and only once."""
    try:
        return float(minimize(law, [TrainingFLOPs() <= budget, samples <= 1]).allocation.params)
    except NoSolutionError as error:
        raise ValueError(f"at {budget:g} training FLOPs {law.label} has no optimum: {error}") from None


def _nearest(budgets: np.ndarray, flops: np.ndarray) -> np.ndarray:
    return np.argmin(np.abs(np.log(flops)[:, None] - np.log(budgets)[None]), axis=1)


def _runs(runs: Mapping[str, Any]) -> list[np.ndarray]:
    if not isinstance(runs, Mapping):
        raise TypeError(f"runs must be a mapping with params, tokens and loss, got {type(runs).__name__}")
    missing = [name for name in ("params", "tokens", "loss") if name not in runs]
    if missing:
        raise ValueError(f"runs lacks {', '.join(missing)}: it has {', '.join(map(str, runs))}")
    columns = [along(f"runs[{name!r}]", runs[name]) for name in ("params", "tokens", "loss")]
    if len({len(column) for column in columns}) > 1:
        sizes = ", ".join(str(len(column)) for column in columns)
        raise ValueError(f"params, tokens and loss of runs must have one length, got {sizes}")
    return columns
