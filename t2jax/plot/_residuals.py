"""What a fit leaves over, against the size of the runs: a trend says that the law is of the wrong form there."""

import numpy as np
from matplotlib.axes import Axes

from t2jax.fitting import Fit
from t2jax.plot._style import BAND, COLOURS, INK, axes_for, finish, log_axis

__all__ = ["residuals"]

_AGAINST = {
    "flops": "training compute 6ND (FLOPs)",
    "params": "parameters N",
    "tokens": "training tokens D",
    "samples": "samples per query k",
}


def residuals(fit: Fit, *, against: str = "flops", ax: Axes | None = None) -> Axes:
    """Residuals (observed − predicted, of the log where the fit is on logs) of every row, with 0 and ± their rms.

    fit: what `fit` returned, with its data. against: "flops", "params", "tokens" or "samples". ax: as elsewhere.

    Returns the axes. Raises ValueError for data without the column, and for a fit that was read from a file.
    """
    if not isinstance(fit, Fit):
        raise TypeError(f"fit must be a Fit, as t2jax.fit returns, got {type(fit).__name__}")
    if against not in _AGAINST:
        raise ValueError(f"against must be one of {', '.join(_AGAINST)}, got {against!r}")
    run = fit.run_for("draw the residuals of")
    needed = ("params", "tokens") if against == "flops" else (against,)
    missing = [name for name in needed if name not in run.table.columns]
    if missing:
        raise ValueError(
            f"the data of this fit have no {' and no '.join(missing)}: they have {', '.join(run.table.columns)}"
        )
    x = 6 * run.table["params"] * run.table["tokens"] if against == "flops" else run.table[against]
    r = np.asarray(fit.residuals, dtype=np.float64)
    rms = float(np.sqrt(np.mean(r**2)))
    ax = axes_for(ax)
    log_axis(ax.xaxis)
    ax.axhline(0.0, color=INK, linewidth=1)
    ax.axhspan(-rms, rms, color=COLOURS[0], alpha=BAND, linewidth=0, label=f"± root mean square, {rms:.2g}")
    ax.scatter(x, r, color=COLOURS[0], s=18, alpha=0.7, linewidth=0, label=f"{len(r):,} rows")
    return finish(ax, _AGAINST[against], f"residual, {_unit(fit)}")


def _unit(fit: Fit) -> str:
    run = fit.run_for("draw the residuals of")
    if run.problem.counted:
        return "pass rate"
    what = "pass@k" if "pass_at_k" in run.table.columns else "loss"
    return f"log {what}" if run.problem.on_log else what if what == "pass@k" else "loss (nats)"
