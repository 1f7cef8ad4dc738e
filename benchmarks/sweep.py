"""Sweeps against what lies under them: the disk, pyarrow, NumPy. Each in a fresh process, for its peak memory.

To Parquet: 10 columns of float64, 3 of a grid and 7 results, of a closed form (so that files are what is measured) and
of T2Loss under one budget. Beside it, in the same run: pyarrow alone, which writes the same table with the same options
to as many files, flushed; and the disk, a plain write of as many bytes in one file, flushed. To a reduction: a grid of
1e8 points, loss by budget, demand and model size, of which the best size is kept for each budget and demand; NumPy does
the same in pieces. On a CPU every core is a device of its own.
"""

import json
import math
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Row, arguments, cores, finish, in_fresh_process, interleaved, needs, seconds

GIB = 2.0**30
ROWS_PER_SECOND = 2e6
CASES = ("closed form", "T2Loss, 1 budget", "reduction")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=float, default=1e7, help="rows written to disk (a tenth of them for T2Loss)")
    parser.add_argument("--points", type=float, default=1e8, help="points of the grid that is reduced")
    parser.add_argument("--one", choices=CASES, help="one case only, in this process, as JSON")
    options = parser.parse_args()
    needs("pyarrow", "io")
    if options.quick:
        options.rows, options.points = 2e5, 1e6
    if options.one:
        measured = reduction(options.points) if options.one == "reduction" else to_disk(options.one, options.rows)
        print(json.dumps(measured))
        return
    rows = []
    for case in CASES:
        command = [__file__, "--one", case, "--rows", str(options.rows), "--points", str(options.points)]
        result = json.loads(in_fresh_process(*command, cpu_devices=cores()).stdout)
        print(case, {name: float(f"{value:.4g}") for name, value in result.items()}, flush=True)
        rows += reduction_rows(result) if case == "reduction" else disk_rows(case, result)
    finish("sweep", rows, options)


def disk_rows(case: str, r: dict[str, float]) -> list[Row]:
    name, bar = f"sweep to Parquet, 10 columns, {case}", None
    if case == "closed form":  # the disk may be slower than any program
        bar = ("value", ">=", ROWS_PER_SECOND) if r["disk"] >= ROWS_PER_SECOND else ("ratio", ">=", 0.9)
    return [
        Row(name, r["rate"], "rows/s", r["disk"], "the disk", bar),
        Row(f"{name}: beside pyarrow alone", r["rate"], "rows/s", r["pyarrow"], "pyarrow"),
        Row(f"{name}: computed but not written", r["computed"], "rows/s"),
        Row(f"{name}: peak memory of the process", r["memory"], "GiB"),
    ]


def reduction_rows(r: dict[str, float]) -> list[Row]:
    name = f"grid of {r['points']:.0e} points to the best per row".replace("e+0", "e")
    return [
        Row(name, r["rate"], "points/s", r["numpy"], "NumPy"),
        Row(f"{name}: peak memory of the process", r["memory"], "GiB", bar=("value", "<=", 1.0)),
        Row(f"{name}: rows that differ from NumPy's", r["differ"], "rows", bar=("value", "<=", 0.0)),
    ]


def to_disk(case: str, rows: float) -> dict[str, float]:
    """Rows a second of the whole call, with its compilation, and of what lies under it."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import pyarrow.parquet as pq

    import t2jax as t2
    from t2jax.sweeping._sweep import BATCH

    jax.config.update("jax_enable_x64", True)
    law, train = t2.published("besiroglu2024"), t2.TrainingFLOPs()
    task = t2.T2Loss(law, 1.0, 0.3)

    def closed_form(s: dict[str, Any]) -> dict[str, Any]:
        params = jnp.sqrt(s["budget"] / 120)
        tokens = 20 * params
        samples = s["queries"] / s["output_tokens"]
        return {
            "params": params,
            "tokens": tokens,
            "samples": samples,
            "loss": law.loss(params, tokens),
            "train": 6 * params * tokens,
            "serve": 2 * params * samples,
            "cost": 6 * params * tokens + 2 * params * samples,
        }

    def optimum(s: dict[str, Any]) -> dict[str, Any]:
        serve = t2.InferenceFLOPs(queries=s["queries"], output_tokens=s["output_tokens"])
        plan = t2.minimize(task, [train + serve <= s["budget"]])
        a = plan.allocation
        return {
            "params": a.params,
            "tokens": a.tokens,
            "samples": a.samples,
            "loss": plan.value,
            "price": plan.shadow_prices[0],
            "train": train(a),
            "serve": serve(a),
        }

    fn = closed_form if case == "closed form" else optimum
    rows = rows if case == "closed form" else rows / 10
    grid = t2.grid(
        budget=np.geomspace(1e18, 1e27, round(rows / 1000)),
        queries=np.geomspace(1e3, 1e9, 50),
        output_tokens=np.geomspace(50, 5000, 20),
    )
    folder = Path(tempfile.mkdtemp(prefix="t2jax-benchmark-"))
    out = folder / "swept.parquet"

    def swept() -> None:
        shutil.rmtree(out, ignore_errors=True)
        t2.sweep(fn, grid, out=out)

    def computed() -> None:
        t2.sweep(fn, grid, out=lambda scenarios, results: None)

    try:
        swept()
        peak = peak_memory()
        size = sum(one.stat().st_size for one in out.iterdir())
        table = pq.read_table(out)
        assert (table.num_rows, table.num_columns) == (len(grid), 10)

        def by_pyarrow() -> None:
            for start in range(0, len(table), BATCH):
                part = folder / "part.parquet"
                pq.write_table(table.slice(start, BATCH), part, compression="snappy", use_dictionary=False)
                flush(part)

        def by_disk() -> None:
            block = os.urandom(1 << 24)
            with (folder / "plain").open("wb") as file:
                for _ in range(-(-size // len(block))):
                    file.write(block)
            flush(folder / "plain")

        ours, alone, disk, not_written = interleaved(3, swept, by_pyarrow, by_disk, computed)
    finally:
        shutil.rmtree(folder)
    return {
        "rate": len(grid) / ours,
        "pyarrow": len(grid) / alone,
        "disk": len(grid) / disk,
        "computed": len(grid) / not_written,
        "bytes_a_row": size / len(grid),
        "memory": peak / GIB,
    }


def reduction(points: float) -> dict[str, float]:
    """Points a second of the whole call, with its compilation; peak memory before anything else is done."""
    import jax
    import numpy as np

    import t2jax as t2

    jax.config.update("jax_enable_x64", True)
    law = t2.published("besiroglu2024")
    sizes, demands = np.geomspace(1e7, 1e12, 128), np.geomspace(1e9, 1e15, 100)
    grid = t2.grid(budget=np.geomspace(1e20, 1e26, math.ceil(points / 12_800)), served_tokens=demands, params=sizes)
    best = np.empty(len(grid) // len(sizes), np.int64)
    done = 0

    def keep_best(scenarios: dict[str, Any], losses: Any) -> None:
        nonlocal done
        found = losses.reshape(-1, len(sizes)).argmin(axis=1)
        best[done : done + len(found)] = found
        done += len(found)

    def loss(s: dict[str, Any]) -> Any:
        tokens = (s["budget"] - 2 * s["params"] * s["served_tokens"]) / (6 * s["params"])
        return law.E + law.A * s["params"] ** -law.alpha + law.B * jax.numpy.maximum(tokens, 1.0) ** -law.beta

    batch = 2_048 * len(sizes)
    start = time.perf_counter()
    t2.sweep(loss, grid, batch_size=batch, out=keep_best)
    spent, peak = time.perf_counter() - start, peak_memory()
    E, A, B, alpha, beta = (float(getattr(law, name)) for name in ("E", "A", "B", "alpha", "beta"))
    differ, some = 0, range(0, len(grid) // 10, batch)  # NumPy needs not do it all

    def by_numpy() -> None:
        nonlocal differ
        for start in some:
            s = grid[start : start + batch]
            tokens = (s["budget"] - 2 * s["params"] * s["served_tokens"]) / (6 * s["params"])
            losses = E + A * s["params"] ** -alpha + B * np.maximum(tokens, 1.0) ** -beta
            found = losses.reshape(-1, len(sizes)).argmin(axis=1)
            differ += int(np.sum(found != best[start // len(sizes) :][: len(found)]))

    numpys = seconds(by_numpy)
    return {
        "points": float(len(grid)),
        "rate": len(grid) / spent,
        "numpy": min(len(some) * batch, len(grid)) / numpys,
        "memory": peak / GIB,
        "differ": float(differ),
    }


def flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def peak_memory() -> float:
    """The largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
