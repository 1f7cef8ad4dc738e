"""Pictures: each function draws on `ax`, or on a figure of its own, and gives back the axes. Needs matplotlib."""

try:
    import matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('t2jax.plot needs matplotlib: pip install "t2jax[plot]"') from error

from t2jax.plot.frontier import frontier, overtraining
from t2jax.plot.isoflop import isoflop
from t2jax.plot.pareto import pareto
from t2jax.plot.passk import pass_at_k
from t2jax.plot.plane import plane
from t2jax.plot.residuals import residuals
from t2jax.plot.spending import spending

__all__ = ["frontier", "isoflop", "overtraining", "pareto", "pass_at_k", "plane", "residuals", "spending"]
