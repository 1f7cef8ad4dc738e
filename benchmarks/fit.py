"""Fits and what follows from them, against SciPy's L-BFGS-B, which descends from the same 4,500 starts one by one.

The Chinchilla fit of the literature (Huber's loss of log residuals, δ = 1e-3), 1,000 refits to resampled runs, a T2Loss
fit, the interval of the optimum. SciPy descends from a random sample of the starts; its time for all is scaled from it.
The runs are $T2JAX_DATA/chinchilla_besiroglu.csv, by default of ../shared/data; where there is none, synthetic ones.
"""

import csv
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, Row, arguments, finish, in_fresh_process, needs, seconds

DELTA, NEAR = 1e-3, 1e-4  # of Huber's loss; how far above the best objective, relatively, is still the optimum
TRUTH = (1.8172, 482.01, 2085.43, 0.3478, 0.3658)  # E, A, B, α, β of Besiroglu et al. 2024
Runs = dict[str, np.ndarray]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--first", action="store_true", help="only the first calls, in this process, as JSON")
    parser.add_argument("--scipy", type=int, metavar="SAMPLE", help="only SciPy, from so many starts, as JSON")
    options = parser.parse_args()
    needs("scipy", "test")
    starts, refits = (200, 50) if options.quick else (4500, 1000)
    if options.first:
        print(json.dumps({name: seconds(call) for name, call in calls_of(starts, refits).items()}))
    elif options.scipy:
        print(json.dumps({name: one_by_one(how, options.scipy) for name, how in DESCENTS.items()}))
    else:
        finish("fit", measure(starts, refits, options.quick), options)


def measure(starts: int, refits: int, quick: bool) -> list[Row]:
    name, data = runs()
    print(f"{len(data['loss'])} runs: {name}", flush=True)
    sample, rounds, fresh = (5, 1, 1) if quick else (100, 5, 3)
    command = [__file__, "--first", *(["--quick"] if quick else [])]
    firsts = [json.loads(in_fresh_process(*command).stdout) for _ in range(fresh)]
    first = {call: statistics.median(one[call] for one in firsts) for call in firsts[0]}
    calls = calls_of(starts, refits)
    found, *_ = [call() for call in calls.values()]  # compiles
    # For SciPy: more threads do not help on 5 by 5, and hurt on busy cores. What this process has loaded keeps its own.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    taken, scipy = [], []
    for _ in range(rounds):
        taken.append([seconds(call) for call in calls.values()])
        scipy.append(json.loads(in_fresh_process(__file__, "--scipy", str(sample)).stdout))
    steady = dict(zip(calls, (statistics.median(column) for column in zip(*taken, strict=True)), strict=True))
    print(f"t2jax: {starts:,} starts in {steady['fit']:.2f} s, objective {found.objective:.10e}")
    best = min([found.objective, *(value for result in scipy[0].values() for value in result["objectives"])])
    speed, quality = [], []
    for descent, bar in zip(DESCENTS, (("ratio", ">=", 300.0), None), strict=True):
        each = statistics.median(result[descent]["seconds"] for result in scipy) / sample
        objectives = np.array(scipy[0][descent]["objectives"])
        least, share = float(objectives.min()), float(np.mean(objectives <= best * (1 + NEAR)))
        print(
            f"L-BFGS-B, {descent}: {sample} of the starts at {1e3 * each:.1f} ms, so {starts * each:.1f} s for "
            f"{starts:,}; objective {least:.10e}, reached by {share:.0%}"
        )
        against = f"L-BFGS-B, {descent}"
        speed.append(Row("Chinchilla fit", starts / steady["fit"], "starts/s", 1 / each, against, bar))
        quality.append(Row(f"share of starts that reach the optimum: {against}", 100 * share, "%"))
        quality.append(Row("objective", found.objective, "", least, against, ("ratio", "<=", 1 + 1e-9)))
    return [
        *speed,
        Row(f"Chinchilla fit, {starts:,} starts", steady["fit"], "s", bar=("value", "<=", 2.0)),
        Row("the same, first call of a process", first["fit"], "s", bar=("value", "<=", 10.0)),
        Row("share of starts that reach the optimum: t2jax", 100 * found.share_at_best, "%"),
        *quality,
        Row(f"{refits:,} bootstrap refits", steady["bootstrap"], "s", bar=("value", "<=", 5.0)),
        Row("the same, first call", first["bootstrap"], "s"),
        Row("T2Loss fit, 500 starts, 600 rows", steady["T2Loss"], "s"),
        Row("the same, first call", first["T2Loss"], "s"),
        Row(f"optimum_interval, {refits:,} members", steady["interval"], "s"),
        Row("the same, first call", first["interval"], "s"),
    ]


def calls_of(starts: int, refits: int) -> dict[str, Callable[[], Any]]:
    """What is timed, in this order: two calls use what those before them found. `import t2jax` loads JAX when it is
    needed, so a process's first fit has that on its clock; printing the fit is, too, and reading the runs is not."""
    import t2jax as t2

    (_, data), table, kept = runs(), synthetic(600), {}
    table["samples"] = 2.0 ** np.random.default_rng(1).integers(0, 10, 600)
    table["loss"] += table["samples"] ** -0.3

    def fit() -> Any:
        kept["fit"] = t2.fit(t2.Chinchilla, data, starts=starts)
        str(kept["fit"])
        return kept["fit"]

    def bootstrap() -> None:
        import jax

        kept["laws"] = jax.block_until_ready(kept["fit"].bootstrap(refits, key=jax.random.key(0)))

    def problem(law: Any) -> Any:
        return t2.minimize(law, [t2.TrainingFLOPs() <= 1e23])

    return {
        "fit": fit,
        "bootstrap": bootstrap,
        "T2Loss": lambda: t2.fit(t2.T2Loss, table, starts=500),
        "interval": lambda: t2.optimum_interval(kept["fit"], problem, ensemble=kept["laws"]),
    }


def runs() -> tuple[str, Runs]:
    """240 training runs, and what they are."""
    folder = Path(os.environ.get("T2JAX_DATA") or HERE.parent.parent / "shared" / "data")
    path = folder / "chinchilla_besiroglu.csv"
    if not path.exists():
        return f"synthetic, as there is no {path}", synthetic(240)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["besiroglu_excluded"] == "0"]
    return path.name, {name: np.array([float(row[name]) for row in rows]) for name in ("params", "tokens", "loss")}


def synthetic(count: int) -> Runs:
    """Runs of 1e18 to 1e22 FLOPs on 5 to 100 tokens per parameter, with 0.5 % noise."""
    rng = np.random.default_rng(0)
    flops, ratio = (np.exp(rng.uniform(*np.log(span), count)) for span in ((1e18, 1e22), (5.0, 100.0)))
    n = np.sqrt(flops / (6 * ratio))
    e, a, b, alpha, beta = TRUTH
    loss = e + a / n**alpha + b / (ratio * n) ** beta
    return {"params": n, "tokens": ratio * n, "loss": loss * np.exp(rng.normal(0.0, 0.005, count))}


# --- SciPy's L-BFGS-B, in log A, log B, log E, α, β -------------------------------------------------------------------

Descent = tuple[Callable[[np.ndarray], Any], float, dict[str, Any]]
"""An objective, what it is multiplied by, and the arguments of `minimize`."""


def one_by_one(how: Callable[[Runs], Descent], sample: int) -> dict[str, Any]:
    """Seconds and objectives of descents from a random sample of the starts: the literature's, as t2jax has them, with
    exponents of 0.1 in place of 0."""
    from scipy.optimize import minimize

    sizes, exponents = np.arange(0.0, 30.0, 5.0), (0.1, 0.5, 1.0, 1.5, 2.0)
    grid = np.stack(np.meshgrid(sizes, sizes, np.arange(-1.0, 1.5, 0.5), exponents, exponents), -1).reshape(-1, 5)
    picked = np.random.default_rng(0).choice(grid, sample, replace=False)
    objective, scale, arguments = how({name: np.log(column) for name, column in runs()[1].items()})
    with np.errstate(all="ignore"):  # steps that overflow
        start = time.perf_counter()
        found = [minimize(objective, one, method="L-BFGS-B", **arguments).fun / scale for one in picked]
        return {"seconds": time.perf_counter() - start, "objectives": found}


def as_scripts_do(logs: Runs) -> Descent:
    """As replications call it, with finite differences and every default; only the logarithms are taken beforehand."""

    def objective(u: np.ndarray) -> float:
        a, b, e, alpha, beta = u
        predicted = np.log(np.exp(a - alpha * logs["params"]) + np.exp(b - beta * logs["tokens"]) + np.exp(e))
        r = np.abs(logs["loss"] - predicted)
        return np.sum(np.where(r <= DELTA, 0.5 * r**2, DELTA * (r - 0.5 * DELTA)))

    return objective, 1.0, {}


def by_gradients(logs: Runs) -> Descent:
    """As well as we know how to call it: gradients by hand, no overflow, tight tolerances, and an objective near 1, for
    which those are made, in place of 1e-3."""
    log_n, log_d, log_loss, scale, most = logs["params"], logs["tokens"], logs["loss"], 1e3, 300.0

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        a, b, e, alpha, beta = u.tolist()
        of_n, of_d = np.exp(np.minimum(a - alpha * log_n, most)), np.exp(np.minimum(b - beta * log_d, most))
        floor = np.exp(min(e, most))
        total = of_n + of_d + floor
        r = np.log(total) - log_loss
        clipped = np.minimum(np.maximum(r, -DELTA), DELTA)
        slope = clipped * (scale / total)
        of_n *= slope
        of_d *= slope
        slopes = (of_n.sum(), of_d.sum(), floor * slope.sum(), -(of_n @ log_n), -(of_d @ log_d))
        return scale * (clipped @ (r - 0.5 * clipped)), np.array(slopes)

    return objective, scale, {"jac": True, "options": {"ftol": 1e-12, "gtol": 1e-8}}


DESCENTS = {"finite differences and defaults": as_scripts_do, "gradients by hand, scaled": by_gradients}


if __name__ == "__main__":
    main()
