"""Problem → solution: one entry point, `minimize` (and `maximize`)."""

from t2jax.optimize.solution import NoSolutionError, Solution, Status
from t2jax.optimize.solve import maximize, minimize

__all__ = ["NoSolutionError", "Solution", "Status", "maximize", "minimize"]
