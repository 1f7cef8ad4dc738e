"""The figures of `--plot`: one that explains a plan, and one of a frontier."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from t2jax._io.text import human
from t2jax._io.usage import UsageError, refuse_existing
from t2jax.cli._frontier import TITLES
from t2jax.cli._plan import Problem
from t2jax.cli._plan_text import LIMITS, flops, shown_baselines
from t2jax.literature import known_models
from t2jax.plot import plane
from t2jax.plot._labels import Labels
from t2jax.plot._style import COLOURS, INK, finish, human_axis, log_axis, look, rounded, series
from t2jax.quantities import Allocation, Constraint

__all__ = ["draw_frontier", "draw_plan"]

_SERVED = {"flops": ("train_flops", "inference_flops", "total_flops"), "usd": ("training_usd", "serving_usd", "usd")}
_BASELINES = {"chinchilla": "Chinchilla-optimal", "one_sample": "one sample"}
_LEAST_SPAN = 1e4
"""From the smallest to the largest N, and D, on the plane: what else might be bought is to be seen, too."""


def draw_plan(problem: Problem, said: dict[str, Any], path: str) -> None:
    """The plane with the limits, the optimum, the baselines and known models; beside it what each of them spends."""
    figure = Figure(figsize=(13, 5.4), layout=ConstrainedLayoutEngine(wspace=0.06))
    left, right = figure.subplots(1, 2, squeeze=False, width_ratios=(1.5, 1)).flat
    plans = {"optimum": said["optimum"]}
    plans |= {_BASELINES[key]: said["baselines"][key] for key in shown_baselines(said)}
    plans = {name: one for name, one in plans.items() if one["why_none"] is None}
    _plane(left, problem, plans)
    _bill(right, problem, plans)
    _save(figure, path)


def _plane(ax: Axes, problem: Problem, plans: dict[str, dict[str, Any]]) -> None:
    best = plans["optimum"]
    k = best["samples"] if problem.for_task else 1.0
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
    if problem.for_task:
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
        called = [f"{name}, k {rounded(plans[name]['samples'])}" for name in group] if problem.for_task else group
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
        reached = "pass@k" if problem.higher_is_better else "loss"
        of = reached if name == "target" else LIMITS[name]
        found[f"{of} {'≤' if constraint.upper else '≥'} {shown}"] = constraint
    if problem.plan.target is not None:
        total = _SERVED[problem.unit][2]
        amount = best[total] if best[total] is not None else float(problem.cost()(_allocation(best)))
        found[f"as dear as the optimum, {_amount(problem, amount)}"] = problem.cost() <= amount
    return found


def _allocation(one: dict[str, Any]) -> Allocation:
    return Allocation(one["params"], one["tokens"], one["samples"])


def _amount(problem: Problem, value: float) -> str:
    return f"{human(value)} USD" if problem.unit == "usd" else f"{flops(value)} FLOPs"


def _bill(ax: Axes, problem: Problem, plans: dict[str, dict[str, Any]]) -> None:
    """Training and serving of each plan: stacked where they are of one sum, side by side where not."""
    training, serving, total = _SERVED[problem.unit]
    rows = list(plans)[::-1]
    of = "USD" if problem.unit == "usd" else "FLOPs"
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
        finish(ax, "compute (FLOPs)", "")
    ax.grid(False, axis="y")
    ax.legend(fontsize=10.5, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0)


def _reached(problem: Problem, one: dict[str, Any]) -> str:
    if problem.higher_is_better:
        return f"pass@k {100 * one['pass_at_k']:.3g}%"
    return f"{'task loss' if problem.for_task else 'loss'} {one['value']:.4g}"


def draw_frontier(said: dict[str, Any], path: str) -> None:
    """N, D, k and what is reached, against what varies, one above the other; dashed where nothing was fitted."""
    rows, varied = said["rows"], said["varied"]
    solved = [row["status"] == "solved" for row in rows]
    known = [row["status"] == "solved" and row["in_fit_range"] for row in rows]
    for_task = said["of"] != "loss_nats"
    third = ("samples", "samples per query k") if for_task else ("tokens_per_param", "tokens per parameter D/N")
    quality = {
        "pass_at_k": ("pass_at_k", "pass@k"),
        "task_loss_nats": ("value", "task loss −log pass@k (nats)"),
        "loss_nats": ("loss_nats", "loss (nats per token)"),
    }[said["of"]]
    if varied == "target":  # what is reached was asked for: what it costs is the answer
        quality = ("total_flops_used", "compute (FLOPs)")
    x = np.array([row[varied] for row in rows], dtype=float)
    figure = Figure(figsize=(10.5, 7.2), layout="constrained")
    panels = [("params", "parameters N"), ("tokens", "training tokens D"), third, quality]
    for ax, (key, title) in zip(figure.subplots(2, 2, squeeze=False, sharex=True).flat, panels, strict=True):
        y = np.array(
            [row[key] if ok and row[key] is not None else np.nan for ok, row in zip(solved, rows, strict=True)]
        )
        log_axis(ax.xaxis)
        if key in ("value", "loss_nats", "pass_at_k"):
            human_axis(ax.yaxis)
        else:
            log_axis(ax.yaxis)
        inside = np.where(known, y, np.nan)
        if solved != known:
            ax.plot(x, y, color=COLOURS[0], linestyle=":", linewidth=2, label="outside the fitted range")
        if any(known):
            series(ax, x, inside, "within it" if solved != known else None)
        finish(ax, _XTITLES.get(varied, TITLES.get(varied, varied)), title)
        if ax is not figure.axes[0] and (legend := ax.get_legend()):
            legend.remove()
    for ax in figure.axes[:2]:
        ax.set_xlabel("")
    _save(figure, path)


_XTITLES = {
    "total_flops": "compute of training and inference (FLOPs)",
    "train_flops": "training compute (FLOPs)",
    "inference_flops": "inference compute (FLOPs)",
    "target": "target",
}


def _save(figure: Figure, path: str) -> None:
    """Whole or not at all. Raises `UsageError`."""
    out = Path(path)
    aside = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        figure.savefig(aside, format=out.suffix.lower().removeprefix("."), dpi=160)
        refuse_existing(path)  # again: it may have come since the options were looked at
        os.replace(aside, out)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    finally:
        aside.unlink(missing_ok=True)
