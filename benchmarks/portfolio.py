"""Portfolios of 16 tasks against SciPy's SLSQP, which solves the same problems one by one in the same run.

Every problem has its own budget and demand for each task; the tasks share a law. SLSQP works in logarithms of
(N, D, k_1, …, k_16) with gradients by hand in NumPy, written from the formulas.
"""

import math
import time
from typing import Any

from common import Row, arguments, finish, interleaved, needs

TASKS, BAR = 16, 20_000


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=100_000, help="portfolios solved at once")
    options = parser.parse_args()
    needs("scipy", "test")
    finish("portfolio", measure(4096 if options.quick else options.batch, 5 if options.quick else 50), options)


def measure(batch: int, problems: int) -> list[Row]:
    import jax
    import jax.numpy as jnp
    import numpy as np

    import t2jax as t2

    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    law = t2.published("besiroglu2024")
    G, gamma = rng.uniform(0.1, 3.0, TASKS), rng.uniform(0.2, 0.9, TASKS)
    output, weight = np.exp(rng.uniform(np.log(10.0), np.log(1e4), TASKS)), rng.uniform(0.1, 3.0, TASKS)
    budgets = np.exp(rng.uniform(np.log(1e21), np.log(1e26), batch))
    queries = np.exp(rng.uniform(np.log(1e6), np.log(1e10), (batch, TASKS)))

    def best(budget: jax.Array, queries: jax.Array) -> t2.Solution:
        tasks = t2.Portfolio(
            [
                t2.Workload(
                    t2.T2Loss(law, G[i], gamma[i]), queries=queries[i], output_tokens=output[i], weight=weight[i]
                )
                for i in range(TASKS)
            ]
        )
        return t2.minimize(tasks.quality, [t2.TrainingFLOPs() + tasks.inference <= budget], start=tasks.start)

    given = jnp.asarray(budgets), jnp.asarray(queries)
    start = time.perf_counter()
    solve = jax.jit(jax.vmap(best)).lower(*given).compile()
    compiled = time.perf_counter() - start
    solutions = jax.block_until_ready(solve(*given))
    share = weight / weight.sum()
    programmes = [
        _programme(law, share * G, gamma, math.log(budgets[i]), queries[i] * output)
        for i in range(min(problems, batch))
    ]
    theirs = [solve_one() for solve_one in programmes]
    ours, others = interleaved(
        3, lambda: jax.block_until_ready(solve(*given)), lambda: [solve_one() for solve_one in programmes]
    )
    worse = max(float(v) - other for v, other in zip(solutions.value, theirs, strict=False))
    what = f"T2Loss, {TASKS} tasks, float64"
    return [
        Row(what, batch / ours, "portfolios/s", len(programmes) / others, "SLSQP", ("value", ">=", BAR)),
        Row(f"{what}: compile", compiled, "s"),
        Row(f"{what}: worse than SLSQP at most by", worse, "nats", bar=("value", "<=", 1e-9)),
        Row(f"{what}: not solved", float((~solutions.ok).sum()), "problems", bar=("value", "<=", 0.0)),
    ]


def _programme(law: Any, G: Any, gamma: Any, log_budget: float, served: Any) -> Any:
    """One problem for SLSQP: a function without arguments that returns the least loss it finds."""
    import numpy as np
    from scipy.optimize import Bounds, minimize

    E, A, B, alpha, beta = (float(getattr(law, name)) for name in ("E", "A", "B", "alpha", "beta"))

    def loss(x: Any) -> tuple[float, Any]:
        of_n, of_d, of_k = A * math.exp(-alpha * x[0]), B * math.exp(-beta * x[1]), G * np.exp(-gamma * x[2:])
        slope = np.concatenate([[-alpha * of_n, -beta * of_d], -gamma * of_k])
        return E + of_n + of_d + of_k.sum(), slope

    def parts(x: Any) -> Any:
        return np.concatenate([[6.0 * math.exp(x[1])], 2.0 * served * np.exp(x[2:])])

    def room(x: Any) -> float:
        return log_budget - x[0] - math.log(parts(x).sum())

    def slope(x: Any) -> Any:
        sizes = parts(x)
        return -np.concatenate([[1.0], sizes / sizes.sum()])

    n = 0.5 * (log_budget - math.log(240.0))
    k = np.clip(log_budget - math.log(4.0 * TASKS) - n - np.log(served), 0.0, 30.0)
    start = np.concatenate([[n, n + math.log(20.0)], k])
    bounds = Bounds([math.log(1e6), math.log(1e8), *[0.0] * TASKS], [60.0] * (2 + TASKS))

    def solve_one() -> float:
        found = minimize(
            loss,
            start,
            jac=True,
            method="SLSQP",
            bounds=bounds,
            constraints={"type": "ineq", "fun": room, "jac": slope},
            options={"ftol": 1e-13, "maxiter": 300},
        )
        return float(found.fun) if room(found.x) > -1e-9 else math.inf

    return solve_one


if __name__ == "__main__":
    main()
