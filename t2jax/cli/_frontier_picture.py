"""The figure of `t2jax frontier --plot`: what is decided and what is reached, against what varies."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from t2jax.planning._fields import field
from t2jax.planning._figure_table import figure
from t2jax.plot._saving import saved
from t2jax.plot._style import COLOURS, finish, human_axis, log_axis, series

__all__ = ["draw_frontier"]


def draw_frontier(said: dict[str, Any], path: str) -> None:
    """N, D, k and what is reached, against what varies, one above the other; dashed where nothing was fitted."""
    rows, varied = said["rows"], said["varied"]
    solved = [row["status"] == "solved" for row in rows]
    known = [row["status"] == "solved" and row["in_fit_range"] for row in rows]
    for_task = said["of"] != "loss_nats"
    reached = {"task_loss_nats": "value"}.get(said["of"], said["of"])
    if varied == "target":  # what is reached was asked for: what it costs is the answer
        quality = ("total_flops_used", figure("total_flops").axis)
    elif reached in rows[0]:
        quality = (reached, figure(said["of"]).axis)
    else:  # of a user's own task
        quality = ("value", said["of"])
    x = np.array([row[varied] for row in rows], dtype=float)
    picture = Figure(figsize=(10.5, 7.2), layout="constrained")
    decided = ("params", "tokens", "samples" if for_task else "tokens_per_param")
    panels = [*((name, figure(name).axis) for name in decided), quality]
    for ax, (key, title) in zip(picture.subplots(2, 2, squeeze=False, sharex=True).flat, panels, strict=True):
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
        finish(ax, field(varied).axis, title)
        if ax is not picture.axes[0] and (legend := ax.get_legend()):
            legend.remove()
    for ax in picture.axes[:2]:
        ax.set_xlabel("")
    saved(picture, path)
