"""Problem → solution: one entry point, `minimize` (and `maximize`)."""

from t2jax.optimize._minimize import maximize, minimize
from t2jax.optimize._solution import NoSolutionError, Solution, Status

__all__ = ["NoSolutionError", "Solution", "Status", "maximize", "minimize"]
