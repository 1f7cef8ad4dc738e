"""Loss or pass@k over (N, D): what a budget can buy, where the optimum is, and where known models are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.lines import Line2D

from t2jax.optimize import Solution
from t2jax.plot._labels import Labels
from t2jax.plot._reading import along, points_of, quality_title, solution
from t2jax.plot._style import INK, axes_for, finish, log_axis, look, pale, rounded, short
from t2jax.quantities import Allocation, Constraint, Quantity, Scale

__all__ = ["plane"]

_GRID = 161
_LEVELS = 11


def plane(
    quality: Quantity,
    *,
    params: tuple[float, float] = (1e7, 1e12),
    tokens: tuple[float, float] = (1e9, 1e14),
    samples: float = 1.0,
    budgets: Sequence[Constraint] | Mapping[str, Constraint] = (),
    models: Any = None,
    optimum: Solution | Allocation | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A map of loss or pass@k over parameters and training tokens, at a fixed number of samples per query.

    quality: a loss law, a task, or any other quantity of (N, D, k). params, tokens: the ends of the axes. samples: k.
    budgets: constraints such as `train + serve <= 1e24`, or a mapping from names to them; the line of each is where N
    and D use its limit up at these samples. models: `known_models()` or some of its rows, or a mapping name → (N, D);
    those on the plane are drawn. optimum: a `Solution` or an `Allocation`, drawn as a star; of a batch of shape (n,) a
    path. Budgets bind at its k, which is that of the lines only if `samples` is. ax: as elsewhere; a colour bar takes
    some of its room.

    Returns the axes. Raises ValueError or TypeError for what is none of these.
    """
    if not isinstance(quality, Quantity):
        raise TypeError(f"quality must be a quantity such as a law or a task, got {type(quality).__name__}")
    ends = [_ends(name, given) for name, given in (("params", params), ("tokens", tokens))]
    if not along("samples", [samples])[0] >= 1:
        raise ValueError(f"samples must be at least 1, got {samples!r}")
    lines = _checked_budgets(budgets)
    points = [] if models is None else points_of(models)
    best = None if optimum is None else _star(optimum)

    N, D = np.meshgrid(*(np.geomspace(*pair, _GRID) for pair in ends))
    values = _over(quality.__call__, N, D, samples)
    ax = axes_for(ax, (7.6, 5.4))
    log_axis(ax.xaxis)
    log_axis(ax.yaxis)
    levels = _levels(values, quality.scale)
    better = quality.scale is not Scale.LOG  # pass@k; of a loss or a cost less is better
    colours = pale(light_is_high=better)
    bands = BoundaryNorm(levels, colours.N, extend="both")  # the same step of colour from each band to the next
    filled = ax.contourf(N, D, values, levels, cmap=colours, norm=bands, extend="both")
    ax.contour(N, D, values, levels, colors="white", linewidths=0.6)
    figure = ax.figure
    assert figure is not None  # as Matplotlib before 3.10 allows
    bar = figure.colorbar(filled, ax=ax, ticks=levels, format=lambda value, _: short(value), pad=0.02)
    bar.set_label(quality_title(quality.label, quality.scale), size=12)
    bar.ax.tick_params(labelsize=10)

    names = Labels.of(ax)
    if best is not None:
        ax.plot(*best[:2], color=INK, marker="*", markersize=17, markerfacecolor="#E69F00", linewidth=1.2, zorder=5)
        if len(best[0]) == 1:
            n, d, k = (float(one[0]) for one in best)
            names.add(_of_optimum(n, d, k), n, d, clear=11, bold=True)
    for name, n, d in points:
        if not (ends[0][0] < n < ends[0][1] and ends[1][0] < d < ends[1][1]):
            continue
        ax.plot([n], [d], color=INK, marker="o", markersize=4, linestyle="none", zorder=3)
        names.add(name, n, d)
    handles = []
    for i, (name, budget) in enumerate(lines.items()):
        style = look(i)
        over = _over(_excess(budget), N, D, samples)
        if over.min() < 0 < over.max():
            ax.contour(N, D, over, [0.0], colors=[style.colour], linestyles=[style.line], linewidths=2, zorder=2)
        handles.append(Line2D([], [], color=style.colour, linestyle=style.line, linewidth=2, label=name))
    ax.set(xlim=ends[0], ylim=ends[1])
    finish(ax, "parameters N", "training tokens D")
    ax.grid(False)
    if handles:
        ax.legend(handles=handles, fontsize=10, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)
    return ax


def _over(fn: Callable[[Allocation], Any], N: np.ndarray, D: np.ndarray, samples: float) -> np.ndarray:
    """A function of an allocation at every point, one by one for it, so that anybody's own works, too."""
    where = Allocation(N.ravel(), D.ravel(), np.full(N.size, samples))
    return np.asarray(jax.vmap(fn)(where), dtype=np.float64).reshape(N.shape)


def _excess(budget: Constraint) -> Callable[[Allocation], Any]:
    """Below 0 where N and D are within the limit."""
    return lambda allocation: budget.violation(jax.tree.map(jax.numpy.log, allocation))


def _levels(values: np.ndarray, scale: Scale) -> np.ndarray:
    """About a dozen short numbers that cut the map into areas of like size."""
    known = values[np.isfinite(values)]
    if not known.size:
        raise ValueError("quality is NaN or infinite all over the plane")
    at = np.quantile(known, np.linspace(0.02, 0.98, _LEVELS))
    for digits in (2, 3, 4, 6):
        levels = np.unique([float(f"{one:.{digits - 1}e}") for one in at])
        if len(levels) >= _LEVELS - 3:
            break
    if len(levels) < 2:
        raise ValueError(f"quality is the same all over the plane, {known[0]:g}")
    return levels


def _star(optimum: Solution | Allocation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if isinstance(optimum, Allocation):
        a, ok = optimum, np.ones(np.shape(optimum.params) or (1,), bool)
    else:
        shape = np.shape(optimum.value) if isinstance(optimum, Solution) else ()
        a = solution("optimum", optimum, shape if len(shape) < 2 else ()).allocation
        ok = np.atleast_1d(np.asarray(optimum.ok))
    parts = [np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in (a.params, a.tokens, a.samples)]
    if any(one.shape != ok.shape for one in parts):
        raise ValueError(f"N, D and k of optimum must have one shape, got {', '.join(str(one.shape) for one in parts)}")
    if not ok.any():
        raise ValueError("optimum has no solution to draw: see its status")
    N, D, k = (np.where(ok, one, np.nan) for one in parts)
    return N, D, k


def _of_optimum(params: float, tokens: float, samples: float) -> str:
    sampled = f", k {rounded(samples)}" if samples > 1 else ""
    return f"optimum\nN {rounded(params)}, D {rounded(tokens)}{sampled}"


def _named(budget: Constraint) -> str:
    return f"{budget.quantity.label} {'≤' if budget.upper else '≥'} {rounded(float(budget.limit))}"


def _checked_budgets(budgets: Any) -> dict[str, Constraint]:
    """By name."""
    given = [budgets] if isinstance(budgets, Constraint) else list(budgets)
    if isinstance(budgets, Mapping):
        given = list(budgets.values())
    for one in given:
        if not isinstance(one, Constraint):
            raise TypeError(f"budgets must be constraints such as TrainingFLOPs() <= 1e24, got {one!r}")
        if np.ndim(one.limit):
            raise ValueError(f"each of budgets must have one limit, got an array of shape {np.shape(one.limit)}")
    return dict(zip(budgets if isinstance(budgets, Mapping) else map(_named, given), given, strict=True))


def _ends(name: str, given: Any) -> tuple[float, float]:
    pair = along(name, given)
    if len(pair) != 2 or not pair[0] < pair[1]:
        raise ValueError(f"{name} must be (low, high), got {given!r}")
    return float(pair[0]), float(pair[1])
