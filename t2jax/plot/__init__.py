"""Pictures: each function draws on `ax`, or on a figure of its own, and gives back the axes. Needs matplotlib."""

try:
    import matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('t2jax.plot needs matplotlib: pip install "t2jax[plot]"') from error

from t2jax.plot._frontier import frontier, overtraining
from t2jax.plot._isoflop import isoflop
from t2jax.plot._pareto import pareto
from t2jax.plot._passk import pass_at_k
from t2jax.plot._plane import plane
from t2jax.plot._residuals import residuals
from t2jax.plot._spending import spending

__all__ = ["frontier", "isoflop", "overtraining", "pareto", "pass_at_k", "plane", "residuals", "spending"]
