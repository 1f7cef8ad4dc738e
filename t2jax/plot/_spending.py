"""Where the compute or the money goes: what each part of the bill takes at every plan, stacked."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes

from t2jax.optimize import Solution
from t2jax.plot._reading import along, solution
from t2jax.plot._style import axes_for, finish, human_axis, log_axis, look
from t2jax.quantities import Quantity

__all__ = ["spending"]

_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo", "+++", "***")


def spending(
    x: Any,
    plans: Solution,
    costs: Mapping[str, Quantity],
    *,
    share: bool = False,
    xlabel: str = "budget (FLOPs)",
    unit: str = "FLOPs",
    ax: Axes | None = None,
) -> Axes:
    """The costs of every plan as stacked areas, in the order of the mapping from the bottom up.

    x: positive numbers of shape (n,). plans: a `Solution` of shape (n,); failed lanes are gaps. costs: a mapping from
    names to quantities of one unit, such as {"training": TrainingFLOPs(), "serving": InferenceFLOPs(...)}. share: of
    their sum, instead of as they are; over many orders of magnitude only shares can be read. xlabel: what x is.
    unit: of the costs. ax: as elsewhere.

    Returns the axes. Raises ValueError or TypeError for shapes that do not fit and for costs that are none.
    """
    x = along("x", x)
    plans = solution("plans", plans, x.shape)
    if not isinstance(costs, Mapping) or not costs:
        raise TypeError(f"costs must be a mapping from names to quantities, got {costs!r}")
    for name, cost in costs.items():
        if not isinstance(cost, Quantity):
            raise TypeError(f"costs[{name!r}] must be a quantity such as TrainingFLOPs(), got {cost!r}")
    ok = np.asarray(plans.ok)
    parts = [np.where(ok, np.asarray(jax.vmap(cost.__call__)(plans.allocation)), np.nan) for cost in costs.values()]
    total = np.sum(parts, axis=0)
    heights = [100 * part / total for part in parts] if share else parts
    ax = axes_for(ax)
    log_axis(ax.xaxis)
    base = np.zeros(len(x))
    for i, (name, height) in enumerate(zip(costs, heights, strict=True)):
        ax.fill_between(
            x,
            base,
            base + height,
            facecolor=look(i).colour,
            edgecolor="white",
            alpha=0.85,
            hatch=_HATCHES[i % len(_HATCHES)],
            linewidth=0.5,
            label=str(name),
        )
        base = base + height
    human_axis(ax.yaxis)
    known = x[np.isfinite(total)]
    if len(known) > 1:
        ax.set_xlim(known.min(), known.max())
    ax.set_ylim(0, 100 if share else None)
    return finish(ax, xlabel, f"share of all {unit} (%)" if share else f"cost ({unit})")
