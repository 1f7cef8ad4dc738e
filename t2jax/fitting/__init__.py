"""Laws from runs: fits, how sure they are, and how sure the optimum is."""

from t2jax.fitting.estimators import BetaBinomial, Huber, LeastAbsoluteDeviations, LeastSquares
from t2jax.fitting.fit import fit
from t2jax.fitting.holdout import Holdout, holdout
from t2jax.fitting.isoflop import Envelope, Interpolation, IsoFLOP, Polynomial, envelope, isoflop
from t2jax.fitting.optimum import Interval, OptimumInterval, optimum_interval
from t2jax.fitting.result import Fit

__all__ = [
    "BetaBinomial",
    "Envelope",
    "Fit",
    "Holdout",
    "Huber",
    "Interpolation",
    "Interval",
    "IsoFLOP",
    "LeastAbsoluteDeviations",
    "LeastSquares",
    "OptimumInterval",
    "Polynomial",
    "envelope",
    "fit",
    "holdout",
    "isoflop",
    "optimum_interval",
]
