"""Random problems next to kinks: limits within 1e-9 … 1e-2 of what is used without them, every route and precision.

Feasibility is computed again outside the library, optima are compared with closed forms and with what the looser and
the tighter problem say, derivatives with closed forms on both sides of the kink. T2JAX_TEST_SCALE draws more.
"""

import os

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

import t2jax as t2

SCALE = int(os.environ.get("T2JAX_TEST_SCALE", "1"))
LANES = 4096
PRECISIONS = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def offsets(rng: np.random.Generator, size: int, least: float = 1e-9) -> np.ndarray:
    """Logarithms of a limit over what is used without it."""
    return problems.log_uniform(rng, least, 1e-2, size) * rng.choice([-1.0, 1.0], size)


def holds(violation: np.ndarray, dtype: type) -> None:
    """Within the tolerance on a constraint's logarithm everywhere, and to rounding but for one in a thousand."""
    assert np.max(violation) <= (1e-8 if dtype == np.float64 else 1e-3)
    assert np.mean(violation > (1e-11 if dtype == np.float64 else 6e-5)) < 1e-3


def training_and_inference(d: problems.Data) -> t2.Solution:
    """A Chinchilla law under 6ND ≤ train and 2NQ ≤ serve."""
    serve = t2.InferenceFLOPs(d["queries"])
    return t2.minimize(problems.law_of(d), [problems.train_of(d) <= d["train"], serve <= d["serve"]], throw=False)


def beside_the_kink(seed: int, size: int, least: float = 1e-9) -> tuple[problems.Data, np.ndarray]:
    rng = np.random.default_rng(seed)
    d = problems.draw(seed, size)
    n, _, _ = problems.chinchilla_optimum(d)
    away = offsets(rng, size, least)
    return d | {"train": d["total"], "serve": 2 * n * d["queries"] * np.exp(away)}, away


@pytest.mark.slow
@PRECISIONS
def test_a_second_budget_that_hardly_binds_or_hardly_does_not(dtype):
    d, away = beside_the_kink(0, 24 * LANES * SCALE)
    found = problems.Batched(training_and_inference, lanes=LANES)(d, dtype)
    assert problems.solved(found).all()
    n, t = (np.asarray(a, float) for a in (found.allocation.params, found.allocation.tokens))
    holds(np.log(np.maximum(6 * n * t / d["train"], 2 * n * d["queries"] / d["serve"])), dtype)
    # In closed form: N is where training alone has it, or where the second budget ends.
    free, _, _ = problems.chinchilla_optimum(d)
    right = free * np.exp(np.minimum(away, 0.0))
    # Without a second budget the optimum is flat, and float32 knows log N to the root of its rounding.
    np.testing.assert_allclose(n, right, rtol=1e-8 if dtype == np.float64 else 3e-2)
    value = problems.loss({**d, "G": 0.0}, right, d["train"] / (6 * right), 1.0)
    np.testing.assert_allclose(found.value, value, rtol=1e-11 if dtype == np.float64 else 1e-4)


@pytest.mark.slow
def test_derivatives_are_those_of_the_point_returned():
    """Elasticities of N in both budgets: β/(α + β) and 0 where only training binds, 0 and 1 where both do."""

    def elasticities(d):
        def log_params(logs):
            limits = {"train": jnp.exp(logs[0]), "serve": jnp.exp(logs[1])}
            return jnp.log(training_and_inference(d | limits).allocation.params)

        return jax.grad(log_params)(jnp.log(jnp.stack([d["train"], d["serve"]])))

    d, away = beside_the_kink(1, 4 * LANES * SCALE)
    found = problems.Batched(elasticities, lanes=LANES)(d)
    alone = d["beta"] / (d["alpha"] + d["beta"])
    right = np.where(away[:, None] > 0, np.stack([alone, 0 * alone], 1), np.array([0.0, 1.0]))
    np.testing.assert_allclose(found, right, atol=1e-6)


def test_a_constraint_that_nearly_binds_has_no_derivative():
    law, train = t2.published("besiroglu2024"), t2.TrainingFLOPs()

    def params(flops, serve):
        return t2.minimize(law, [train <= flops, t2.InferenceFLOPs(1e9) <= serve]).allocation.params

    at = (6.38806e21, 1.4387317e19)
    for gradient in (jax.grad(params, (0, 1)), jax.jit(jax.grad(params, (0, 1)))):
        of_train, of_serve = gradient(*at)
        assert float(of_serve) == 0.0  # a slack of 3.5e-4
        assert float(of_train * at[0] / params(*at)) == pytest.approx(0.3658 / (0.3478 + 0.3658), rel=1e-6)


def capped(d: problems.Data, found: t2.Solution, rng: np.random.Generator) -> problems.Data:
    """The same problems with caps next to what they used, on half of the coordinates."""
    a, size = found.allocation, len(d["total"])
    caps = {}
    for name, used in (("max_params", a.params), ("max_tokens", a.tokens), ("max_samples", a.samples)):
        cap = np.asarray(used, float) * np.exp(offsets(rng, size))
        caps[name] = np.where(rng.random(size) < 0.5, cap, problems.NO_CAP)
    return d | caps | {"max_samples": np.maximum(caps["max_samples"], 1.0)}


ROUTES = {
    "one budget": (problems.one_budget, {"prompts": True}, True, 24),
    "two budgets": (problems.two_budgets, {"prompts": True, "two": True}, False, 12),
    "accuracy": (problems.accuracy_two_budgets, {"prompts": True, "two": True}, True, 2),
}


@pytest.mark.slow
@PRECISIONS
@pytest.mark.parametrize("route", ROUTES)
def test_caps_that_hardly_bind_or_hardly_do_not(route, dtype):
    """Solved and feasible; no better than without caps, and no worse than where every cap is met by moving a little."""
    solve, drawn, share_prompt, batches = ROUTES[route]
    rng = np.random.default_rng(2)
    size = batches * LANES * SCALE
    d = problems.draw(2, size, **drawn)
    if route == "accuracy":
        d["theta"] = np.array(problems.THETA) * np.exp(0.2 * rng.normal(size=(size, 5)))
        d["theta"][:, 2] = 1.0
    batched = problems.Batched(lambda d: solve(d, throw=False), lanes=LANES)
    free = batched(d)
    assert problems.solved(free).all()
    if route == "accuracy":  # what float32 can hold, and its square
        kept = np.flatnonzero((free.value > 1e-15) & (free.value < 1 - 1e-15))
        kept = np.resize(kept, size)
        d, free = jax.tree.map(lambda a: a[kept], (d, free))
    d = capped(d, free, rng)
    found = batched(d, dtype)
    assert problems.solved(found).all()
    n, t, k = (np.asarray(a, float) for a in jax.tree.leaves(found.allocation))
    holds(np.log1p(problems.violation(d, n, t, k, share_prompt=share_prompt)), dtype)
    if route == "accuracy":
        return
    digits = 1e-9 if dtype == np.float64 else 1e-4
    assert np.all(found.value >= np.asarray(free.value) * (1 - digits))
    # The point without caps, moved under them along each coordinate, keeps every budget: an optimum is no worse.
    at = [np.asarray(a, float) for a in jax.tree.leaves(free.allocation)]
    moved = [np.minimum(a, d[name]) for a, name in zip(at, ("max_params", "max_tokens", "max_samples"), strict=True)]
    assert np.all(found.value <= problems.loss(d, *moved) * (1 + digits))


@pytest.mark.slow
@PRECISIONS
def test_exhausted_data_have_an_optimum(dtype):
    """From far below one epoch to millions of them, never worse than a grid along 6ND = C and below it."""
    size = 2 * LANES * SCALE
    rng = np.random.default_rng(3)
    d = problems.draw(3, size)
    d |= {
        "unique": problems.log_uniform(rng, 1e7, 1e12, size),
        "R_D": rng.uniform(5, 30, size),
        "R_N": rng.uniform(2, 10, size),
    }
    d["total"] = np.minimum(6 * d["unique"] ** 2 * problems.log_uniform(rng, 1e-3, 1e8, size), 1e34)

    def law(d):
        return t2.DataConstrained(problems.law_of(d), d["unique"], d["R_D"], d["R_N"])

    def solve(d):
        return t2.minimize(law(d), [problems.train_of(d) <= d["total"]], throw=False)

    found = problems.Batched(solve, lanes=LANES)(d, dtype)
    assert problems.solved(found).all()
    n, t = (np.asarray(a, float) for a in (found.allocation.params, found.allocation.tokens))
    holds(np.log(6 * n * t / d["total"]), dtype)

    def effective(total, base, decay):
        return base * (1 + decay * -np.expm1(-(total / base - 1) / decay))

    # Muennighoff's formulas again, in NumPy, at 400 sizes for each of the first thousand problems.
    one = {name: a[:1000, None] for name, a in d.items()}
    sizes = np.sqrt(one["total"] / 6) * np.exp(np.linspace(-8, 8, 400))
    unique = np.minimum(one["total"] / 6 / sizes, one["unique"])
    scale = one["alpha"] * one["A"] / (one["beta"] * one["B"])
    base = np.minimum(sizes, (scale * unique ** one["beta"]) ** (1 / one["alpha"]))
    many = effective(sizes, base, one["R_N"]), effective(one["total"] / 6 / sizes, unique, one["R_D"])
    grid = problems.loss({**one, "G": 0.0}, *many, 1.0).min(axis=1)
    assert np.all(found.value[:1000] <= grid * (1 + (1e-9 if dtype == np.float64 else 1e-5)))


def test_exhausted_data_are_said():
    law = t2.published("muennighoff2023", unique_tokens=1e8)
    assert float(law.floor) == pytest.approx(3.8790367500, abs=1e-10)
    for flops in (1e22, 1e23, 1e26):
        found = t2.minimize(law, [t2.TrainingFLOPs() <= flops])
        assert float(found.value) == pytest.approx(3.8790367500, abs=1e-9)
        (remark,) = found.remarks
        assert remark.startswith(
            "the 100M unique tokens are exhausted: the loss is at its floor, 3.87904 nats, and 6.8e+18"
        )
        assert f"  note: {remark}" in str(found).splitlines()
    assert t2.minimize(law, [t2.TrainingFLOPs() <= 1e18]).remarks == ()
    cheapest = t2.minimize(t2.TrainingFLOPs(), [law <= 1.001 * float(law.floor)])
    assert law.least_flops(1e-3) == pytest.approx(float(cheapest.value), rel=1e-4)
    large = t2.published("muennighoff2023", unique_tokens=1e9)
    assert bool(t2.minimize(large, [t2.TrainingFLOPs() <= 3.548e23]).ok)


def test_an_objective_that_ignores_a_variable_has_an_optimum():
    """2·N·Q of the least N: 6ND has room for any D."""
    found = t2.minimize(t2.InferenceFLOPs(1e9), [t2.params >= 1e9, t2.TrainingFLOPs() <= 1e30])
    assert float(found.value) == pytest.approx(2e18, rel=1e-12)


@PRECISIONS
def test_an_equality_from_both_sides(dtype):
    """D/N = 20: N = √(C/120), and the two prices do not hide their difference."""
    ratio = t2.quantity(lambda a: a.tokens / a.params, name="ratio")

    def solve(flops):
        law, train = t2.Chinchilla(*problems.BESIROGLU.values()), t2.TrainingFLOPs()
        return t2.minimize(law, [train <= flops, ratio <= 20.0, ratio >= 20.0], throw=False)

    with jax.enable_x64(dtype == np.float64):
        budgets = np.geomspace(1e18, 1e28, 1000)
        found = jax.jit(jax.vmap(solve))(jnp.asarray(budgets, dtype))
    assert problems.solved(found).all()
    digits = 1e-8 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(found.allocation.params, np.sqrt(budgets / 120), rtol=digits)
    # d L / d log(D/N) at 6ND = C, from the law: half the difference of both terms' slopes.
    n, t = np.sqrt(budgets / 120), 20 * np.sqrt(budgets / 120)
    price = 0.5 * (0.3478 * 482.01 / n**0.3478 - 0.3658 * 2085.43 / t**0.3658)
    both = np.asarray(found.shadow_prices[1]) + np.asarray(found.shadow_prices[2])
    np.testing.assert_allclose(both, price, rtol=1e-3, atol=1e-6 if dtype == np.float64 else 1e-4)
    # Neither is large with the other cancelling it: the slopes that they hold are those of either term.
    largest = 0.5 * (0.3478 * 482.01 / n**0.3478 + 0.3658 * 2085.43 / t**0.3658)
    for one in found.shadow_prices[1:]:
        assert np.all(np.abs(one) <= 2 * largest)


def test_the_better_of_two_optima_of_accuracy():
    """Pass rates that vary less at a higher loss: a second optimum at 82 % of the budget."""
    law = t2.Chinchilla(1.60616, 4069.87, 7850.49, 0.450019, 0.478087)
    task = t2.T2Accuracy(law, (2.73441, 5.2748, 1.0, -1.88252, 1.19615))
    cost = t2.TrainingFLOPs() + t2.InferenceFLOPs(2.02774e9, 0, 266.108)
    found = t2.maximize(task, [cost <= 2.65252e26, t2.samples <= 87.3942])
    known = t2.Allocation(2.299e12, 5.696e8, 87.3942)
    assert float(cost(known)) < 2.65252e26
    assert 1 - float(found.value) <= (1 - float(task(known))) * (1 + 1e-6) < 1.84e-5


@pytest.mark.slow
@pytest.mark.parametrize("wild", [False, True])
def test_accuracy_is_never_worse_than_a_grid(wild):
    """θ around fitted ones and far from them; a grid of k, N and D, D also below what the budget leaves."""
    size, compared = LANES * SCALE, 200 * SCALE
    rng = np.random.default_rng(4)
    d = problems.draw(4, size, caps=True)
    if wild:
        columns = rng.uniform(0.3, 4, size), problems.log_uniform(rng, 0.5, 12, size), rng.choice([1.0, 0.9, 0.5], size)
        d["theta"] = np.stack([*columns, rng.uniform(-4, 3, size), rng.uniform(-2, 4, size)], 1)
    else:
        d["theta"] = np.array([2.7, 5, 1, -1.9, 1.2]) + rng.normal(size=(size, 5)) * np.array([0.5, 1.5, 0, 0.5, 0.7])
        d["theta"][:, 1] = np.maximum(d["theta"][:, 1], 0.5)
        d |= {"total": problems.log_uniform(rng, 1e20, 1e27, size), "E": rng.uniform(1.4, 2.0, size)}
    found = problems.Batched(lambda d: problems.accuracy_one_budget(d, throw=False), lanes=LANES)(d)
    assert np.mean(problems.solved(found)) > 0.995

    def score(d, log):
        return t2.T2Accuracy(problems.law_of(d), d["theta"]).score(log)

    @jax.jit
    def best_of_grid(d):
        most = jnp.minimum(jnp.sqrt(d["total"] / 6) * 1e4, d["max_params"])
        k = jnp.linspace(0.0, 1.0, 30) * jnp.log(jnp.clip(d["max_samples"], 1.0, 1e9))
        n = jnp.linspace(jnp.log(1e3), jnp.log(most), 100)
        k, n, less = (a.ravel() for a in jnp.meshgrid(k, n, jnp.linspace(0.0, 25.0, 40), indexing="ij"))
        left = d["total"] - 2 * jnp.exp(n) * d["queries"] * (d["prompt"] + jnp.exp(k) * d["output"])
        t = jnp.log(jnp.minimum(jnp.maximum(left, 1.0) / 6 / jnp.exp(n), d["max_tokens"])) - less
        log = eqx.tree_at(lambda a: (a.params, a.tokens, a.samples), t2.Allocation(1.0, 1.0, 1.0), (n, t, k))
        return jnp.max(jnp.where(left > 0, score(d, log), -jnp.inf))

    part = {name: jnp.asarray(a[:compared]) for name, a in d.items()}
    grid = np.asarray(jax.lax.map(best_of_grid, part))
    logs = jax.tree.map(lambda a: jnp.log(a[:compared]), found.allocation)
    ours = np.asarray(jax.vmap(score)(part, logs))
    ok = problems.solved(found)[:compared]
    assert np.all(ours[ok] >= grid[ok] - 1e-6 * (1 + np.abs(grid[ok])))
