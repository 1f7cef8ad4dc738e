"""Problem → solution: one entry point, `minimize` (and `maximize`)."""

from t2jax.optimize._method import Method
from t2jax.optimize._minimize import maximize, minimize
from t2jax.optimize._options import SolverOptions
from t2jax.optimize._solution import NoSolutionError, Solution, Status

__all__ = ["Method", "NoSolutionError", "Solution", "SolverOptions", "Status", "maximize", "minimize"]
