"""Problem → solution: one entry point, `minimize` (and `maximize`)."""

from t2jax.optimize.solution import NoSolution, Solution, Status
from t2jax.optimize.solve import maximize, minimize

__all__ = ["NoSolution", "Solution", "Status", "maximize", "minimize"]
