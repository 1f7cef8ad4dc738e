"""How near the limit: T² losses under one total budget against the best that can be had elsewhere, in the same run.

The practical limit is a kernel for this one problem, written by hand in Numba: Newton's method on the same equation,
scalar by scalar in registers, on every core. Beside it SciPy's SLSQP, cvxpy's parametrised geometric programme, both
one by one, and optimistix' BFGS under `vmap` in the two variables that are left when the budget is spent. Then the
other kinds of problems, whose bars are of the speed itself, and the derivatives. Four million budgets are solved in
four batches: in smaller ones two cores wait for each other. N, D, k, the loss and the status of each are computed. On
a CPU every core is a device.
"""

import json
import math
import statistics
from typing import Any

from common import Row, arguments, cores, finish, in_fresh_process, interleaved, needs, seconds

QUERIES, OUTPUT_TOKENS, G, GAMMA = 1e6, 500.0, 1.0, 0.3
CAPS = (2e12, 15e12, 16384.0)
BATCH = 1 << 20


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--one", nargs=2, metavar=("CASE", "DTYPE"), help="one case only, in this process, as JSON")
    options = parser.parse_args()
    for module, extra in (
        ("scipy", "test"),
        ("numba", "benchmarks"),
        ("cvxpy", "benchmarks"),
        ("optimistix", "benchmarks"),
    ):
        needs(module, extra)
    if options.one:
        case, dtype = options.one
        print(json.dumps([vars(row) for row in CASES[case](dtype, options.quick)]))
        return
    rows = []
    for case in CASES:
        for dtype in ("float64", "float32") if case == "one budget" else ("float64",):
            command = [__file__, "--one", case, dtype, *(["--quick"] if options.quick else [])]
            found = json.loads(in_fresh_process(*command, cpu_devices=cores()).stdout)
            rows += [Row(**row | {"bar": tuple(row["bar"]) if row["bar"] else None}) for row in found]
            print(f"{case}, {dtype}: done", flush=True)
    finish("limit", rows, options)


def one_budget(dtype: str, quick: bool) -> list[Row]:
    import jax
    import numpy as np

    import t2jax as t2

    jax.config.update("jax_enable_x64", dtype == "float64")
    law, cost = t2.published("besiroglu2024"), total()
    total_lanes = BATCH // 2 if quick else 4 * BATCH
    draws = np.exp(np.random.default_rng(0).uniform(math.log(1e18), math.log(1e27), total_lanes)).astype(dtype)
    batches = [on_all_cores(one) for one in draws.reshape(-1, min(BATCH, total_lanes))]
    task = t2.T2Loss(law, G, GAMMA)
    compiled, solve = compiled_for(lambda c: outcome(t2.minimize(task, [cost <= c])), batches[0])

    def ours() -> Any:
        return [jax.block_until_ready(solve(batch)) for batch in batches][-1]

    coefficients = [float(getattr(law, name)) for name in ("E", "A", "B", "alpha", "beta")]
    kernel = numba_kernel(np.dtype(dtype))

    def theirs() -> Any:
        for batch in draws.reshape(-1, min(BATCH, total_lanes)):
            answers = kernel(batch, *coefficients, G, GAMMA, 2.0 * QUERIES * OUTPUT_TOKENS)
        return answers

    first = seconds(ours)
    last, known = ours(), theirs()  # and Numba compiles
    gap = float(np.max(np.abs(np.log(np.asarray(last[0].params, np.float64)) - np.log(known[:, 0].astype(np.float64)))))
    steady, numba_seconds = interleaved(3 if quick else 5, ours, theirs)
    rate, name = total_lanes / steady, f"T2Loss, 1 budget, {dtype}"
    bar = ("value", ">=", 20e6 if dtype == "float64" else 80e6)
    rows = [
        Row(f"{name}, {total_lanes:,} budgets", rate, "solves/s", bar=bar),
        Row(name, rate, "solves/s", total_lanes / numba_seconds, "Numba kernel", ("ratio", ">=", 0.7)),
        Row(
            f"{name}: log N differs from the kernel's at most by",
            gap,
            "",
            bar=("value", "<=", 1e-11 if dtype == "float64" else 1e-4),
        ),
        Row(f"{name}: compile", compiled, "s", bar=("value", "<=", 2.0)),
        Row(f"{name}: first run", first, "s"),
    ]
    if dtype == "float64":
        budgets = draws[: 20 if quick else 200].tolist()
        rows += [
            Row(name, rate, "solves/s", slsqp_rate(coefficients, budgets), "SLSQP", ("ratio", ">=", 25_000)),
            Row(name, rate, "solves/s", cvxpy_rate(coefficients, budgets[:20]), "cvxpy DGP, parametrised"),
            Row(
                name,
                rate,
                "solves/s",
                optimistix_rate(coefficients, draws[: 2000 if quick else 20_000]),
                "optimistix BFGS, vmapped",
            ),
        ]
    return rows


def others(dtype: str, quick: bool) -> list[Row]:
    import jax
    import jax.numpy as jnp
    import numpy as np

    import t2jax as t2

    jax.config.update("jax_enable_x64", dtype == "float64")
    law, cost = t2.published("besiroglu2024"), total()
    task, accuracy = t2.T2Loss(law, G, GAMMA), t2.published("pythia-gsm8k")
    caps = [q <= cap for q, cap in zip((t2.params, t2.tokens, t2.samples), CAPS, strict=True)]
    own = t2.quantity(
        lambda a: 1.8172 + 482.01 * a.params**-0.3478 + 2085.43 * a.tokens**-0.3658 + a.samples**-0.3, convex=True
    )
    own_cost = t2.quantity(
        lambda a: a.params * (6.0 * a.tokens + 2.0 * QUERIES * OUTPUT_TOKENS * a.samples), convex=True
    )
    draws = np.exp(np.random.default_rng(0).uniform(math.log(1e18), math.log(1e27), BATCH)).astype(dtype)
    budgets = on_all_cores(draws[: BATCH // 32] if quick else draws)
    rows = []
    for name, fn, bar in (
        ("T2Loss, 1 budget, 3 caps", lambda c: t2.minimize(task, [cost <= c, *caps]), 5e6),
        ("user's quantities, 1 budget, 3 caps", lambda c: t2.minimize(own, [own_cost <= c, *caps]), 1e6),
        ("T2Accuracy, 1 budget", lambda c: t2.maximize(accuracy, [cost <= c]), 3e5),
    ):
        compiled, solve = compiled_for(lambda c, fn=fn: outcome(fn(c)), budgets)
        first = seconds(lambda solve=solve: jax.block_until_ready(solve(budgets)))
        failed = int(np.sum(~np.asarray(solve(budgets)[2])))
        (steady,) = interleaved(5, lambda solve=solve: jax.block_until_ready(solve(budgets)))
        rows += [
            Row(f"{name}, {dtype}", budgets.size / steady, "solves/s", bar=("value", ">=", bar)),
            Row(f"{name}: not solved", failed, "problems", bar=("value", "<=", 0.0)),
            Row(f"{name}: compile", compiled, "s"),
            Row(f"{name}: first run", first, "s"),
        ]

    def allocation(c: Any, coefficients: Any) -> Any:
        E, A, B, alpha, beta = coefficients
        found = t2.minimize(t2.T2Loss(t2.Chinchilla(E, A, B, alpha, beta), G, GAMMA), [cost <= c]).allocation
        return jnp.stack([jnp.log(one) for one in jax.tree.leaves(found)])

    at = jnp.asarray([float(getattr(law, name)) for name in ("E", "A", "B", "alpha", "beta")], dtype)
    # In the batches of a sweep: one call for all returns 120 MiB, and to get such memory from the kernel takes longer
    # than to compute what goes into it.
    quarters = [on_all_cores(one) for one in np.asarray(budgets).reshape(4, -1)]
    _, solve = compiled_for(lambda c: allocation(c, at), quarters[0])
    _, derive = compiled_for(lambda c: jax.jacfwd(allocation, argnums=1)(c, at), quarters[0])

    def timed(fn: Any) -> Any:
        return lambda: [jax.block_until_ready(fn(one)) for one in quarters][-1]

    for fn in (solve, derive):
        timed(fn)()
    times = interleaved(5, timed(derive), timed(solve))
    name = f"derivatives by 5 coefficients, {dtype}, {budgets.size:,} budgets"
    rows.append(Row(name, times[0], "s", times[1], "the solve", ("ratio", "<=", 4.0)))
    return rows


CASES = {"one budget": one_budget, "others": others}


def total() -> Any:
    import t2jax as t2

    return t2.TrainingFLOPs() + t2.InferenceFLOPs(queries=QUERIES, output_tokens=OUTPUT_TOKENS)


def outcome(found: Any) -> tuple[Any, Any, Any]:
    return found.allocation, found.value, found.ok


def on_all_cores(values: Any) -> Any:
    import jax

    mesh = jax.make_mesh((len(jax.devices()),), ("lanes",), axis_types=(jax.sharding.AxisType.Auto,))
    return jax.device_put(values, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("lanes")))


def compiled_for(fn: Any, lanes: Any) -> tuple[float, Any]:
    """(seconds to compile, fn of every lane, each device its share)."""
    import jax

    spec, mesh = lanes.sharding.spec, lanes.sharding.mesh
    mapped = jax.shard_map(jax.vmap(fn), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    found = []
    return seconds(lambda: found.append(jax.jit(mapped).lower(lanes).compile())), found[0]


def numba_kernel(dtype: Any) -> Any:
    import numba
    import numpy as np

    one, tolerance = dtype.type(1), dtype.type(1e-7 if dtype == np.float64 else 1e-3)

    @numba.njit(parallel=True, error_model="numpy")
    def solve(budgets, E, A, B, alpha, beta, G, gamma, serve):
        out = np.empty((budgets.size, 5), budgets.dtype)
        E, A, B, alpha, beta = one * E, one * A, one * B, one * alpha, one * beta
        G, gamma, serve = one * G, one * gamma, one * serve
        a, w = np.log(alpha * A), one / alpha
        by_d, by_k = one / (beta + one), one / (gamma + one)
        fall_d, fall_k = w + by_d * (one - w), w + by_k * (one - w)
        train_0, serve_0 = np.log(one * 6), np.log(serve)
        gain_d, gain_k = np.log(beta * B) - train_0, np.log(gamma * G) - serve_0
        for i in numba.prange(budgets.size):
            limit = np.log(budgets[i])
            at_d = w * a + train_0 - limit + by_d * (gain_d + limit - w * a)
            held = w * a + serve_0 - limit
            at_k = held + by_k * (gain_k + limit - w * a)
            u = max(at_d / fall_d, at_k / fall_k, held / w)
            for _ in range(20):
                free_k, held_k = at_k - fall_k * u, held - w * u
                size_d, size_k = np.exp(at_d - fall_d * u), np.exp(max(free_k, held_k))
                spent = size_d + size_k
                moved = spent * np.log(spent) / (fall_d * size_d + (fall_k if free_k > held_k else w) * size_k)
                u += moved
                if not moved > tolerance:
                    break
            n = (a - u) * w
            d = (gain_d + limit - u - n) * by_d
            k = max((gain_k + limit - u - n) * by_k, 0 * one)
            out[i, 0], out[i, 1], out[i, 2] = np.exp(n), np.exp(d), np.exp(k)
            out[i, 3] = E + A * np.exp(-alpha * n) + B * np.exp(-beta * d) + G * np.exp(-gamma * k)
            left = np.exp(train_0 + n + d - limit) + np.exp(serve_0 + n + k - limit) - one
            out[i, 4] = one if abs(left) < tolerance else 0 * one
        return out

    return solve


def slsqp_rate(coefficients: list[float], budgets: list[float]) -> float:
    import oracles

    loss = oracles.LogLoss(oracles.Chinchilla(*coefficients), G, GAMMA)
    problems = [oracles.Budget(math.log(c), math.log(2.0 * QUERIES * OUTPUT_TOKENS)) for c in budgets]
    times = [seconds(lambda: [oracles.solve(loss, problem, None) for problem in problems]) for _ in range(3)]
    return len(budgets) / statistics.median(times)


def cvxpy_rate(coefficients: list[float], budgets: list[float]) -> float:
    import cvxpy

    E, A, B, alpha, beta = coefficients
    N, D, k = (cvxpy.Variable(pos=True) for _ in range(3))
    limit = cvxpy.Parameter(pos=True)
    loss = E + A * N**-alpha + B * D**-beta + G * k**-GAMMA
    spent = 6 * N * D + 2 * QUERIES * OUTPUT_TOKENS * N * k
    problem = cvxpy.Problem(cvxpy.Minimize(loss), [spent / limit <= 1, k >= 1])

    def solve(budget: float) -> None:
        limit.value = budget
        problem.solve(gp=True)

    solve(budgets[0])
    return len(budgets) / seconds(lambda: [solve(budget) for budget in budgets])


def optimistix_rate(coefficients: list[float], budgets: Any) -> float:
    import jax
    import jax.numpy as jnp
    import optimistix

    E, A, B, alpha, beta = coefficients
    solver = optimistix.BFGS(rtol=1e-10, atol=1e-10)

    def loss(y: Any, log_c: Any) -> Any:
        """Of log N and log k; D takes what is left of the budget, all but e^y of it where that is too much."""
        n, k = y[0], jax.nn.softplus(y[1])
        share = 2 * QUERIES * OUTPUT_TOKENS * jnp.exp(n + k - log_c)
        left = jnp.log1p(-jnp.minimum(share, 1 - 1e-9)) + log_c - n - math.log(6.0)
        return jnp.log(E + A * jnp.exp(-alpha * n) + B * jnp.exp(-beta * left) + G * jnp.exp(-GAMMA * k))

    def solve(c: Any) -> Any:
        log_c = jnp.log(c)
        start = jnp.stack([0.45 * log_c - 2.0, jnp.ones_like(log_c)])
        return optimistix.minimise(loss, solver, start, args=log_c, max_steps=256, throw=False).value

    mapped = jax.jit(jax.vmap(solve))
    lanes = jnp.asarray(budgets)
    jax.block_until_ready(mapped(lanes))
    return len(budgets) / seconds(lambda: jax.block_until_ready(mapped(lanes)))


if __name__ == "__main__":
    main()
