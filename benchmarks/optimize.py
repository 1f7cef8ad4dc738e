"""Batches of optima against SciPy's SLSQP, which solves the same problems one by one in the same run.

Three problems, each in float64 and float32, each in a fresh process of its own (so that its peak memory is its own):
T2Loss with one budget and three caps, T2Loss with one budget, T2Accuracy with one budget. Budgets are drawn at random
from 1e18 to 1e27 FLOPs, log-uniformly and unsorted; the caps bind for about a third of them. On a CPU every core is a
device of its own and gets its share of the batch: XLA runs one program on one core.
"""

import json
import math
import sys
import time
from typing import Any

from common import Row, arguments, cores, finish, in_fresh_process, interleaved, needs, seconds

QUERIES, OUTPUT_TOKENS = 1e6, 500.0
G, GAMMA = 1.0, 0.3
CAPS = (2e12, 15e12, 16384.0)  # parameters, tokens, samples
BARS = {"T2Loss, 1 budget, 3 caps": 250, "T2Loss, 1 budget": None, "T2Accuracy, 1 budget": 60}
GIB = 2.0**30
ROUNDOFF = {"float64": 1e-9, "float32": 3e-5}
"""How much worse than SLSQP a value may be, and how far over a constraint. A logarithm of FLOPs is near 60, so rounding
it to float32 is 4e-6, and a budget is compared with a sum of several."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=1_000_000, help="problems solved at once")
    parser.add_argument("--one", nargs=2, metavar=("CASE", "DTYPE"), help="one case only, in this process, as JSON")
    options = parser.parse_args()
    needs("scipy", "test")
    if options.one:
        print(json.dumps(measure(*options.one, batch=options.batch, quick=options.quick)))
        return
    batch = 20_000 if options.quick else options.batch
    rows = []
    for case, bar in BARS.items():
        for dtype in ("float64",) if options.quick else ("float64", "float32"):
            command = [__file__, "--one", case, dtype, "--batch", str(batch), *(["--quick"] if options.quick else [])]
            result = json.loads(in_fresh_process(*command, cpu_devices=cores()).stdout)
            print(summary(case, dtype, batch, result), flush=True)
            rows += rows_of(f"{case}, {dtype}", result, bar)
    finish("optimize", rows, options)


def rows_of(name: str, result: dict[str, Any], bar: float | None) -> list[Row]:
    speed = ("ratio", ">=", bar) if bar else None
    return [
        Row(name, result["rate"], "solves/s", result["baseline"], "SLSQP", speed),
        Row(f"{name}: peak memory of the batch", result["memory"], "GiB", bar=("value", "<=", 2.0)),
        Row(f"{name}: compile", result["compile"], "s"),
        Row(f"{name}: worse than SLSQP at most by", result["worse"], "", bar=("value", "<=", result["allowed"])),
        Row(f"{name}: over a constraint at most by", result["excess"], "", bar=("value", "<=", result["allowed"])),
        Row(f"{name}: not solved", result["failed"], "problems", bar=("value", "<=", 0.0)),
    ]


def summary(case: str, dtype: str, batch: int, r: dict[str, Any]) -> str:
    return (
        f"{case}, {dtype}, batch {batch:,}: {r['rate'] / r['baseline']:.0f} times SLSQP\n"
        f"  {r['rate']:,.0f} solves/s, SLSQP {r['baseline']:,.0f}/s "
        f"({r['problems']} problems, {r['failures']} without success)\n"
        f"  compile {r['compile']:.2f} s, first run {r['first']:.2f} s, steady state {r['steady']:.2f} s\n"
        f"  peak memory {r['peak']:.2f} GiB, of which the process before the batch {r['before']:.2f} GiB\n"
        f"  not solved {r['failed']} {r['failed_budgets']}, at a cap {r['capped']:.1%}\n"
        f"  against SLSQP: worse at most by {r['worse']:.1e}, better at most by {r['better']:.1e}, "
        f"over a constraint at most by {r['excess']:.1e}"
    )


def measure(case: str, dtype: str, *, batch: int, quick: bool) -> dict[str, Any]:
    """Everything about one case, in this process."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import oracles

    import t2jax as t2

    jax.config.update("jax_enable_x64", dtype == "float64")
    cost = t2.TrainingFLOPs() + t2.InferenceFLOPs(queries=QUERIES, output_tokens=OUTPUT_TOKENS)
    accuracy, capped = case.startswith("T2Accuracy"), "caps" in case
    task = t2.published("pythia-gsm8k") if accuracy else t2.T2Loss(t2.published("besiroglu2024"), G, GAMMA)
    caps = [q <= cap for q, cap in zip((t2.params, t2.tokens, t2.samples), CAPS, strict=True)] if capped else []
    optimum = t2.maximize if accuracy else t2.minimize
    batch -= batch % len(jax.devices())
    draws = np.random.default_rng(0).uniform(math.log(1e18), math.log(1e27), batch)
    lanes = jax.sharding.PartitionSpec("lanes")
    mesh = jax.make_mesh((len(jax.devices()),), ("lanes",), axis_types=(jax.sharding.AxisType.Auto,))
    budgets = jax.device_put(jnp.asarray(np.exp(draws), dtype), jax.sharding.NamedSharding(mesh, lanes))
    before = peak_memory()  # with SciPy, which `oracles` has loaded

    start = time.perf_counter()
    solve = jax.vmap(lambda c: optimum(task, [cost <= c, *caps]))
    solve = jax.shard_map(solve, mesh=mesh, in_specs=lanes, out_specs=lanes, check_vma=False)
    solve = jax.jit(solve).lower(budgets).compile()
    compiled = time.perf_counter() - start
    first = seconds(lambda: jax.block_until_ready(solve(budgets)))
    solutions = jax.block_until_ready(solve(budgets))
    peak = peak_memory()
    x = np.log(np.stack([np.asarray(a, np.float64) for a in jax.tree.leaves(solutions.allocation)]))
    failed = ~np.asarray(solutions.ok)
    failed_budgets = np.asarray(budgets, np.float64)[failed][:5].tolist()
    del solutions

    problems, rounds = (20, 3) if quick else (200, 5)
    objective = slsqp_objective(task)
    log_serve = math.log(2.0 * QUERIES * OUTPUT_TOKENS)
    # float32 rounds the budgets: these are the ones it was asked about.
    tasks = [oracles.Budget(math.log(c), log_serve) for c in np.asarray(budgets[:problems], np.float64).tolist()]

    def one_by_one() -> list[tuple[Any, bool]]:
        with jax.enable_x64(True):
            return [oracles.solve(objective, budget, CAPS if capped else None) for budget in tasks]

    theirs = one_by_one()
    steady, theirs_seconds = interleaved(rounds, lambda: jax.block_until_ready(solve(budgets)), one_by_one)
    with jax.enable_x64(True):
        gaps = [objective(ours)[0] - objective(other)[0] for ours, (other, _) in zip(x.T, theirs, strict=False)]
    over = [-budget.room(ours) for budget, ours in zip(tasks, x.T, strict=False)]
    beyond_cap = x - np.log(CAPS)[:, None] if capped else np.full_like(x, -np.inf)
    return {
        "rate": batch / steady,
        "baseline": problems / theirs_seconds,
        "problems": problems,
        "failures": sum(not success for _, success in theirs),
        "compile": compiled,
        "first": first,
        "steady": steady,
        "before": before / GIB,
        "peak": peak / GIB,
        "memory": (peak - before) / GIB,
        "failed": int(failed.sum()),
        "failed_budgets": failed_budgets,
        "capped": float((beyond_cap > -1e-6).any(axis=0).mean()),
        "worse": max(gaps),
        "better": -min(gaps),
        "excess": float(max(*over, np.nanmax(beyond_cap))),
        "allowed": ROUNDOFF[dtype],
    }


def slsqp_objective(task: Any) -> Any:
    """The task for SLSQP, with the very coefficients that t2jax has, which in float32 are rounded."""
    import oracles

    law = oracles.Chinchilla(*(float(getattr(task.law, name)) for name in ("E", "A", "B", "alpha", "beta")))
    if hasattr(task, "theta"):
        return oracles.Failure(law, oracles.log_odds([float(one) for one in task.theta]))
    return oracles.LogLoss(law, float(task.G), float(task.gamma))


def peak_memory() -> float:
    """The largest resident size of this process so far, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
