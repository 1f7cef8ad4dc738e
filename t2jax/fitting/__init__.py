"""Laws from runs: fits, how sure they are, and how sure the optimum is."""

from t2jax.fitting._boundary import Boundary, BoundaryKind
from t2jax.fitting._estimators import BetaBinomial, Huber, LeastAbsoluteDeviations, LeastSquares
from t2jax.fitting._fit import fit
from t2jax.fitting._holdout import Holdout, holdout
from t2jax.fitting._isoflop import Envelope, Interpolation, IsoFLOP, Polynomial, envelope, isoflop
from t2jax.fitting._optimum import Interval, OptimumInterval, optimum_interval
from t2jax.fitting._result import Fit
from t2jax.fitting._table import Table, read_table

__all__ = [
    "BetaBinomial",
    "Boundary",
    "BoundaryKind",
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
    "Table",
    "envelope",
    "fit",
    "holdout",
    "isoflop",
    "optimum_interval",
    "read_table",
]
