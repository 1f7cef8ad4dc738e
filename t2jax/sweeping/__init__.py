"""Many scenarios: grids, tables, devices, processes, and results on disk that survive whatever ends a run."""
