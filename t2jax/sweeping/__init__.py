"""Many scenarios: grids, tables, devices, processes, and results on disk that survive whatever ends a run."""

from t2jax.sweeping._grid import Grid, grid
from t2jax.sweeping._sweep import Swept, sweep

__all__ = ["Grid", "Swept", "grid", "sweep"]
