"""The picture of a plan: the plane of N and D with its limits, and what each allocation spends."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from t2jax._io.text import flops, human
from t2jax.literature import known_models
from t2jax.planning._allocations import shown_baselines
from t2jax.planning._figure_table import figure
from t2jax.planning._problem import Problem
from t2jax.planning._report import limit_title
from t2jax.plot import plane
from t2jax.plot._labels import Labels
from t2jax.plot._saving import saved
from t2jax.plot._style import COLOURS, INK, finish, human_axis, log_axis, look, rounded
from t2jax.quantities import Allocation, Constraint

if TYPE_CHECKING:
    from t2jax.planning._plan import Plan

__all__ = ["draw_plan"]

_SERVED = {"flops": ("train_flops", "inference_flops", "total_flops"), "usd": ("training_usd", "serving_usd", "usd")}
_BASELINES = {"chinchilla": "Chinchilla-optimal", "one_sample": "one sample"}
_LEAST_SPAN = 1e4
"""From the smallest to the largest N, and D, on the plane: what else might be bought is to be seen, too."""


def draw_plan(plan: "Plan", path_or_ax: Any) -> Figure | Axes:
    """The plane with the limits, the optimum, the baselines and known models; beside it what each of them spends.

    On axes the plane alone; in a file, which must not exist yet, both. Raises `UsageError` where it cannot be written.
    """
    report, problem = plan.to_dict(), plan.problem
    plans = {"optimum": report["optimum"]}
    plans |= {_BASELINES[key]: report["baselines"][key] for key in shown_baselines(report)}
    plans = {name: one for name, one in plans.items() if one["why_none"] is None}
    if isinstance(path_or_ax, Axes):
        _plane(path_or_ax, problem, plans)
        return path_or_ax
    figure = Figure(figsize=(13, 5.4), layout=ConstrainedLayoutEngine(wspace=0.06))
    left, right = figure.subplots(1, 2, squeeze=False, width_ratios=(1.5, 1)).flat
    _plane(left, problem, plans)
    _bill(right, problem, plans)
    saved(figure, os.fspath(path_or_ax))
    return figure


def _plane(ax: Axes, problem: Problem, plans: dict[str, dict[str, Any]]) -> None:
    best = plans["optimum"]
    k = best["samples"] if problem.aim.sampled else 1.0
    at = Allocation(best["params"], best["tokens"], k)
    params, tokens = (_span([one[key] for one in plans.values()]) for key in ("params", "tokens"))
    plane(
        problem.task,
        params=params,
        tokens=tokens,
        samples=k,
        budgets=_limits(problem, best),
        models=known_models(),
        optimum=at,
        ax=ax,
    )
    if problem.aim.sampled:
        ax.set_title(f"at k = {rounded(k)}", fontsize=11, loc="right", pad=4)
    names = Labels.of(ax)
    placed: dict[tuple[str, str], list[str]] = {}
    for name, one in plans.items():  # baselines may be one model, or the optimum's
        placed.setdefault((rounded(one["params"]), rounded(one["tokens"])), []).append(name)
    for group in placed.values():
        if "optimum" in group:
            continue
        n, d = plans[group[0]]["params"], plans[group[0]]["tokens"]
        ax.plot(n, d, marker="D", markersize=8, color=COLOURS[1], markeredgecolor=INK, zorder=5)
        called = [f"{name}, k {rounded(plans[name]['samples'])}" for name in group] if problem.aim.sampled else group
        names.add("\n".join(called), n, d, clear=6, bold=True)


def _span(values: list[float]) -> tuple[float, float]:
    low, high = min(values) / 5, max(values) * 5
    wider = max(1.0, (_LEAST_SPAN / (high / low)) ** 0.5)
    return low / wider, high * wider


def _limits(problem: Problem, best: dict[str, Any]) -> dict[str, Constraint]:
    """What can be drawn of a plan's limits: all but that on k; for a target what reaching it costs, too."""
    found = {}
    for name, constraint in problem.constraints(problem.limits.samples).items():
        if name == "max_samples":
            continue
        limit = float(constraint.limit)
        shown = f"{limit / 1e9:.3g} GB" if name == "memory" else rounded(limit)
        reached = problem.aim.title if problem.aim.higher_is_better else "loss"
        of = reached if name == "target" else limit_title(name)
        found[f"{of} {'≤' if constraint.upper else '≥'} {shown}"] = constraint
    if problem.scenario["target"] is not None:
        total = _SERVED[problem.costing.unit][2]
        amount = best[total] if best[total] is not None else float(problem.costing.total(_allocation(best)))
        found[f"as dear as the optimum, {_amount(problem, amount)}"] = problem.costing.total <= amount
    return found


def _allocation(one: dict[str, Any]) -> Allocation:
    return Allocation(one["params"], one["tokens"], one["samples"])


def _amount(problem: Problem, value: float) -> str:
    return f"{human(value)} USD" if problem.costing.unit == "usd" else f"{flops(value)} FLOPs"


def _bill(ax: Axes, problem: Problem, plans: dict[str, dict[str, Any]]) -> None:
    """Training and serving of each plan: stacked where they are of one sum, side by side where not."""
    training, serving, total = _SERVED[problem.costing.unit]
    rows = list(plans)[::-1]
    of = "USD" if problem.costing.unit == "usd" else "FLOPs"
    ax.set_yticks(range(len(rows)), [f"{name}\n{_reached(problem, plans[name])}" for name in rows])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    summed = all(plans[name][total] is not None for name in rows)
    parts = {"training": training, "serving": serving}
    if summed:
        base = np.zeros(len(rows))
        for i, (name, key) in enumerate(parts.items()):
            width = np.array([plans[row][key] or 0.0 for row in rows])
            if width.any():
                ax.barh(range(len(rows)), width, left=base, height=0.5, color=look(i).colour, edgecolor="white",
                        hatch=("", "///")[i], label=name)  # fmt: skip
            base = base + width
        for row, (name, width) in enumerate(zip(rows, base, strict=True)):
            share = f", {100 * plans[name][training] / width:.3g}% training" if plans[name][serving] else ""
            ax.annotate(f"{_amount(problem, width)}{share}", (0, row + 0.27), xytext=(2, 2),
                        textcoords="offset points", fontsize=10, color=INK)  # fmt: skip
        ax.set_xlim(0, 1.02 * float(np.max(base)))
        human_axis(ax.xaxis)
        finish(ax, f"cost ({of})", "")
    else:
        log_axis(ax.xaxis)
        for i, (name, key) in enumerate({"training": training, "inference, per query": serving}.items()):
            style = look(i)
            ax.plot([plans[row][key] for row in rows], range(len(rows)), color=style.colour, marker=style.marker,
                    markersize=9, linestyle="none", label=name)  # fmt: skip
        ax.margins(x=0.1)
        finish(ax, figure("total_flops").axis, "")
    ax.grid(False, axis="y")
    ax.legend(fontsize=10.5, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0)


def _reached(problem: Problem, one: dict[str, Any]) -> str:
    if problem.aim.probability:
        return f"{problem.aim.title} {100 * one['value']:.3g}%"
    return f"{problem.aim.title} {one['value']:.4g}"
