"""pass@k from counts, with error bars over problems, beside the curve of a fitted distribution."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from t2jax.fitting import Fit
from t2jax.plot._reading import along
from t2jax.plot._style import axes_for, finish, log_axis, mark, next_look
from t2jax.tasks import BetaPassRate, pass_at_k as unbiased

__all__ = ["pass_at_k"]


def pass_at_k(
    num_samples: Any,
    num_correct: Any,
    *,
    fit: Any = None,
    k: Any = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Mean unbiased pass@k over the problems of a benchmark against k, with its standard error over problems.

    num_samples: n, samples drawn per problem. num_correct: c ≤ n, of these right. Whole numbers of shape (problems,),
    n also one number. fit: a `BetaPassRate`, or a `Fit` of one, drawn as a curve. k: whole numbers of samples, none
    above any n, where pass@k is not defined; unless given, powers of 2 and the least n. label, ax: as elsewhere.

    Returns the axes. Raises ValueError for counts and k that are none of these, TypeError for another fit.
    """
    c = np.atleast_1d(np.asarray(num_correct))
    if c.ndim != 1 or not c.size:
        raise ValueError(f"num_correct must be of shape (problems,), got shape {np.shape(num_correct)}")
    if np.shape(num_samples) not in ((), c.shape):
        raise ValueError(f"num_samples must be a number or of shape {c.shape}, got shape {np.shape(num_samples)}")
    n = np.broadcast_to(np.asarray(num_samples), c.shape)
    curve = _curve(fit)
    ks = _default(n) if k is None else np.unique(along("k", np.atleast_1d(k)))
    if ks.size and ks.max() > n.min():
        raise ValueError(f"k must not exceed any num_samples, the least of which is {n.min():g}, got {ks.max():g}")
    each = np.asarray(unbiased(n[:, None], c[:, None], ks[None]), dtype=np.float64)
    mean = each.mean(axis=0)
    error = each.std(axis=0, ddof=1) / np.sqrt(len(c)) if len(c) > 1 else np.full(len(ks), np.nan)
    ax = axes_for(ax)
    log_axis(ax.xaxis)
    style = next_look(ax)
    bars = ax.errorbar(
        ks, mean, error, color=style.colour, marker=style.marker, markersize=5, linestyle="none", capsize=3
    )
    mark(bars[0])
    bars.set_label(label or f"mean over {len(c):,} problems, ± standard error")
    if curve is not None:
        line = np.geomspace(ks.min(), max(ks.max(), ks.min() * 2), 200)
        called = f"Beta({float(curve.a):.3g}, {float(curve.b):.3g})" + (f", {label}" if label else "")
        ax.plot(line, np.asarray(curve.pass_at_k(line)), color=style.colour, linestyle=style.line, label=called)
    return finish(ax, "samples per query k", "pass@k")


def _default(n: np.ndarray) -> np.ndarray:
    least = int(n.min())
    if least < 1:
        raise ValueError("num_samples must be at least 1 for every problem")
    return np.unique([*(2 ** np.arange(int(np.log2(least)) + 1)), least])


def _curve(fit: Any) -> BetaPassRate | None:
    if fit is None:
        return None
    model = fit.model if isinstance(fit, Fit) else fit
    if not isinstance(model, BetaPassRate):
        raise TypeError(f"fit must be a BetaPassRate or a Fit of one, got {type(model).__name__}")
    if np.ndim(model.a) or np.ndim(model.b):
        raise ValueError("fit must be one distribution, got a batch of them")
    return model
