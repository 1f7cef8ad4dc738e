"""How the optimum moves: along budgets, and along what is asked of the model later."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from t2jax.optimize import Solution
from t2jax.plot._labels import Labels
from t2jax.plot._reading import along, level_in, points_of, shown, solution, title_of
from t2jax.plot._style import BAND, FAINT, axes_for, finish, human_axis, log_axis, series, short
from t2jax.quantities import Scale

__all__ = ["frontier", "overtraining"]


def frontier(
    budgets: Any,
    plans: Solution,
    *,
    show: str = "params",
    ensemble: Solution | None = None,
    level: float = 0.9,
    label: str | None = None,
    xlabel: str = "training compute (FLOPs)",
    reference: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """The compute-optimal frontier: N*, D*, k*, D*/N* or the value, against the budget, with an interval if known.

    budgets: positive numbers of shape (n,), rising or falling. plans: a `Solution` of shape (n,), such as
    `jax.vmap(solve)(budgets)` gives; failed lanes are gaps. show: "params", "tokens", "samples", "tokens_per_param" or
    "value". ensemble: a `Solution` of shape (m, n), of m laws (`Fit.bootstrap`) at the n budgets; between its quantiles
    is the band of this level. label: what the legend calls it. xlabel: what the budgets are, with their unit.
    reference: something to compare with, drawn dashed: a number, numbers of shape (n,), a `Solution`, or a mapping from
    names to any of these. ax: axes to draw on; call it again with the same axes to compare.

    Returns the axes. Raises ValueError or TypeError for shapes and names that are none of these.
    """
    x = along("budgets", budgets)
    y = shown(solution("plans", plans, x.shape), show)
    tails = level_in(level)
    lines = _references(reference, x, show)
    band = None if ensemble is None else _band(shown(solution("ensemble", ensemble, (None, *x.shape)), show), tails)
    ax = axes_for(ax)
    log_axis(ax.xaxis)
    if show != "value" or "FLOPs" in plans.objective_label:
        log_axis(ax.yaxis)
    elif plans.objective_scale is Scale.LOG:
        human_axis(ax.yaxis)
    name = label if label is not None or not lines else "optimum"
    style = series(ax, x, y, name)
    if band is not None:
        named = f"{100 * level:g} % interval" + (f", {label}" if label else "")
        ax.fill_between(x, band[0], band[1], color=style.colour, alpha=BAND, linewidth=0, label=named)
    for i, (called, values) in enumerate(lines.items()):
        dashes = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))[i % 3]
        ax.plot(x, values, color=FAINT, linestyle=dashes, linewidth=1.5, label=called)
    return finish(ax, xlabel, title_of(plans, show))


def overtraining(
    demand: Any,
    plans: Solution,
    *,
    per: float = 20.0,
    label: str | None = None,
    xlabel: str = "inference tokens",
    models: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """The over-training ratio (D/N)/20 of the best plan against what will be asked of it.

    demand: positive numbers of shape (n,), such as tokens served. plans: a `Solution` of shape (n,); failed lanes are
    gaps. per: the tokens per parameter that count as 1 (20, Chinchilla's rule of thumb). models: a few, as in
    `plane`; a line at each one's ratio, with its name. label, xlabel, ax: as in `frontier`.

    Returns the axes. Raises ValueError or TypeError for shapes that do not fit and for a `per` that is not positive.
    """
    x = along("demand", demand)
    y = shown(solution("plans", plans, x.shape), "tokens_per_param") / along("per", [per])[0]
    points = [] if models is None else points_of(models)
    ax = axes_for(ax)
    log_axis(ax.xaxis)
    log_axis(ax.yaxis)
    series(ax, x, y, label)
    names = Labels.of(ax)
    for name, params, tokens in points:
        ratio = tokens / params / per
        ax.axhline(ratio, color=FAINT, linewidth=0.8, linestyle=":", zorder=1)
        names.add(name, 0.99, ratio, within=ax.get_yaxis_transform(), clear=1, beside=False)
    return finish(ax, xlabel, f"over-training ratio (D/N) / {short(per)}")


def _band(members: np.ndarray, tails: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles over the members that were solved; NaN where fewer than two were."""
    low, high = np.full((2, members.shape[1]), np.nan)
    for i, column in enumerate(members.T):
        known = column[np.isfinite(column)]
        if len(known) >= 2:
            low[i], high[i] = np.quantile(known, tails)
    return low, high


def _references(reference: Any, x: np.ndarray, show: str) -> dict[str, np.ndarray]:
    if reference is None:
        return {}
    named = reference if isinstance(reference, Mapping) else {"reference": reference}
    found = {}
    for name, one in named.items():
        if isinstance(one, Solution):
            found[str(name)] = shown(solution(f"reference {name!r}", one, x.shape), show)
            continue
        values = np.asarray(one, dtype=np.float64)
        if values.shape not in ((), x.shape):
            raise ValueError(f"reference {name!r} must be a number or of shape {x.shape}, got shape {values.shape}")
        found[str(name)] = np.broadcast_to(values, x.shape)
    return found
