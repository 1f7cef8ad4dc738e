"""Optima of pass@k, and of users' own functions with several maxima, against dense grids."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import problems as p
import pytest

import t2jax as t2
from t2jax._numerics.special import log_failure_terms

ONE, TWO = p.Batched(p.accuracy_one_budget), p.Batched(p.accuracy_two_budgets)
SHAPE = {**p.NUMBERS, "theta": np.array(p.THETA)}


def draw(seed, size, *, two, caps, prompts=True):
    """Laws around besiroglu2024, tasks around the one fitted to GSM8K, 1e18 to 1e27 FLOPs."""
    rng = np.random.default_rng(seed)
    data = p.draw(seed, size, prompts=prompts)
    for name, spread in (("E", 0.15), ("alpha", 0.15), ("beta", 0.15)):
        data[name] = p.BESIROGLU[name] * rng.uniform(1 - spread, 1 + spread, size)
    for name in "AB":
        data[name] = p.BESIROGLU[name] * np.exp(rng.uniform(-1, 1, size))
    budget = p.log_uniform(rng, 1e18, 1e27, size)
    usual = np.sqrt(budget / 6 / 20)
    data["total"] = budget
    if two:
        params = usual * p.log_uniform(rng, 1e-2, 1.0, size)
        per_sample = 2 * params * data["queries"] * (data["prompt"] + data["output"])
        data |= {
            "total": np.full(size, p.NO_CAP),
            "train": budget,
            "serve": per_sample * p.log_uniform(rng, 1.0, 1e6, size),
        }
    if caps:
        for name, scale in (("max_params", usual), ("max_tokens", 20 * usual), ("max_samples", 1e4)):
            cap = np.maximum(1.0, scale * p.log_uniform(rng, 1e-2, 10.0, size))
            data[name] = np.where(rng.random(size) < 0.5, cap, p.NO_CAP)
    theta = rng.uniform([0.6, 1.5, 0.3, -3.0, 0.0], [1.5, 6.0, 1.0, 1.0, 3.0], (size, 5))
    return data | {"theta": theta}


def log_odds(d, n, t, k):
    """Of pass@k, written out in NumPy; where θ5 numbers make a or b overflow, −inf."""
    theta = d["theta"]
    loss = d["E"] + d["A"] / n ** d["alpha"] + d["B"] / t ** d["beta"]
    with np.errstate(all="ignore"):
        steep, log_nu = theta[1] * (loss - theta[0]), theta[3] + theta[4] * loss
        a = np.exp(log_nu + np.log(theta[2]) - np.logaddexp(0, steep))
        b = np.exp(log_nu + np.logaddexp(np.log1p(-theta[2]), steep) - np.logaddexp(0, steep))
        log_fail = log_failure_terms(*np.broadcast_arrays(a, b, k), xp=np)
        odds = np.log(-np.expm1(log_fail)) - log_fail
    return np.where(np.isnan(odds), -np.inf, odds)


def grid_best(d, *, two, points=120):
    """The best log odds on a grid of N and k, then on two finer ones around it; D is what budgets and caps leave."""
    budget = d["train"] if two else d["total"]
    low = np.array([np.log(1e2), 0.0])
    high = np.log([min(d["max_params"], budget / 6), min(d["max_samples"], 1e15)])
    best = -np.inf
    for _ in range(3):
        n, k = np.exp(np.meshgrid(*np.linspace(low, high, points).T, indexing="ij"))
        serving = p.serve_flops(d, n, k)
        left = np.where(serving <= d["serve"], budget, 0.0) if two else budget - serving
        t = np.minimum(left / (6 * n), d["max_tokens"])
        values = np.where(t > 1.0, log_odds(d, n, np.maximum(t, 1.0), k), -np.inf)
        at = np.unravel_index(np.argmax(values), values.shape)
        best = max(best, values[at])
        centre, width = np.log([n[at], k[at]]), 3 * (high - low) / points
        low, high = np.maximum(low, centre - width), np.minimum(high, centre + width)
    return best


@pytest.mark.slow
@pytest.mark.parametrize("two", [False, True], ids=["one budget", "two budgets"])
@pytest.mark.parametrize("caps", [False, True], ids=["free", "capped"])
def test_never_worse_than_a_dense_grid(two, caps):
    """400 problems in all; compared on log odds, where 1 − 1e-12 is as good a number as 1e-12."""
    data = draw(5, 100, two=two, caps=caps)
    found = (TWO if two else ONE)(data)
    assert np.all(p.solved(found))
    assert found.residual.max() <= 1e-8
    a = found.allocation
    assert p.violation(data, a.params, a.tokens, a.samples).max() <= 1e-9
    for i in range(100):
        one = {name: values[i] for name, values in data.items()}
        ours = float(log_odds(one, a.params[i], a.tokens[i], a.samples[i]))
        assert ours >= grid_best(one, two=two) - 1e-9
        assert float(found.value[i]) == pytest.approx(1 / (1 + np.exp(-ours)), rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("two", [False, True], ids=["one budget", "two budgets"])
@pytest.mark.parametrize("caps", [False, True], ids=["free", "capped"])
def test_every_problem_of_a_sweep_is_solved(two, caps):
    data = draw(7, 1024, two=two, caps=caps)
    found = (TWO if two else ONE)(data)
    assert int((~p.solved(found)).sum()) == 0
    assert found.residual.max() <= 1e-8


@pytest.mark.slow
def test_in_float32():
    """Of tasks that someone could have: not best solved by 1e17 samples of a model of a thousand parameters."""
    data = draw(9, 256, two=False, caps=True)
    data["queries"] = np.minimum(data["queries"], 1e-14 * data["total"])
    data["max_samples"] = np.minimum(data["max_samples"], 1e6)
    wide, narrow = ONE(data), ONE(data, np.float32)
    assert narrow.value.dtype == np.float32
    assert np.all(p.solved(narrow))
    assert narrow.residual.max() <= 1e-3
    a = narrow.allocation
    allocation = (np.asarray(one, float) for one in (a.params, a.tokens, a.samples))
    assert p.violation(data, *allocation).max() <= 2e-3
    np.testing.assert_allclose(np.asarray(narrow.value, float), wide.value, rtol=1e-3)


def test_the_task_fitted_to_real_counts():
    """On the narrow ridge of the fitted GSM8K task, from 1e19 to 1e27 FLOPs."""
    budgets = np.logspace(19, 27, 9)
    data = p.numbers(9, total=budgets, queries=1e6, prompt=100.0, output=300.0)
    data |= {"theta": np.tile(p.THETA, (9, 1))}
    found = ONE(data)
    assert np.all(p.solved(found))
    assert np.all(np.diff(found.value) > 0)
    for i in range(9):
        one = {name: values[i] for name, values in data.items()}
        at = (found.allocation.params[i], found.allocation.tokens[i], found.allocation.samples[i])
        assert float(log_odds(one, *at)) >= grid_best(one, two=False) - 1e-9


def test_batches_singles_and_failed_lanes():
    data = draw(11, 32, two=False, caps=True)
    before = ONE(data)
    broken = {name: values.copy() for name, values in data.items()}
    broken["theta"][3, 1] = np.nan
    broken["min_samples"][7], broken["max_samples"][7] = 10.0, 5.0
    after = ONE(broken)
    kept = np.setdiff1d(np.arange(32), [3, 7])
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(one[kept], other[kept])
    assert list(np.asarray(after.status == t2.Status.not_finite).nonzero()[0]) == [3]
    assert list(np.asarray(after.status == t2.Status.infeasible).nonzero()[0]) == [7]
    assert np.all(np.isnan(after.value[[3, 7]]))
    single = p.accuracy_one_budget({name: jnp.asarray(values[0]) for name, values in data.items()})
    assert float(single.value) == pytest.approx(float(before.value[0]), rel=1e-9)
    assert str(single).splitlines()[0] == "maximum of T2Accuracy: solved"


@pytest.mark.slow
def test_cheapest_way_to_a_pass_rate():
    """min FLOPs with pass@k ≥ target, where the target is what a budget buys: costs that budget."""

    def cheapest(d):
        task = t2.T2Accuracy(p.law_of(d), d["theta"])
        return t2.minimize(p.train_of(d) + p.serve_of(d), [task >= d["target"]])

    data = draw(13, 64, two=False, caps=False)
    primal = ONE(data)
    usual = (primal.value > 1e-6) & (primal.value < 1 - 1e-6)
    assert usual.sum() > 30
    data = {name: values[usual] for name, values in data.items()}
    value, price = primal.value[usual], primal.shadow_prices[0][usual]
    dual = p.Batched(cheapest, lanes=64)(data | {"target": value})
    assert np.all(p.solved(dual))
    np.testing.assert_allclose(dual.value, data["total"], rtol=1e-7)
    # d C / d log target = C · target / (d target / d log C)
    np.testing.assert_allclose(dual.shadow_prices[0], dual.value * value / price, rtol=1e-5)


@pytest.mark.slow
def test_a_function_with_several_maxima():
    """A user's ripples on a power law, in N and in k: never worse than a dense grid, at 64 budgets and 4 periods."""

    def ripple(period, a):
        log_n, log_k = jnp.log(a.params), jnp.log(a.samples)
        waves = 0.3 * jnp.sin(period * log_n) + 0.2 * jnp.cos(log_k)
        return jnp.exp(0.1 * log_n + waves - 0.01 * log_k**2)

    def solve(d):
        own = t2.quantity(jax.tree_util.Partial(ripple, d["period"]), name="ripple")
        return t2.maximize(own, [t2.params <= d["most"], t2.params >= 1e6, t2.samples <= 1e6])

    most, period = (a.ravel() for a in np.meshgrid(np.logspace(7, 12, 16), [0.5, 0.8, 1.1, 1.4]))
    found = p.Batched(solve, lanes=64)({"most": most, "period": period})
    assert np.all(p.solved(found))
    for i in range(64):
        n = np.linspace(np.log(1e6), np.log(most[i]), 20_001)
        k = np.linspace(0, np.log(1e6), 20_001)
        best = (0.1 * n + 0.3 * np.sin(period[i] * n)).max() + (0.2 * np.cos(k) - 0.01 * k**2).max()
        assert np.log(found.value[i]) >= best - 1e-6


def test_a_start_chooses_among_maxima():
    wave = t2.quantity(lambda a: 2.0 + jnp.sin(3 * jnp.log(a.params)), name="wave")
    bounds = [t2.params >= 1.0, t2.params <= 1e3]
    found = t2.maximize(wave, bounds, start=t2.Allocation(10.0, 1.0))
    assert float(found.value) == pytest.approx(3.0, rel=1e-12)


def test_lowers_for_every_platform():
    shapes = {name: jax.ShapeDtypeStruct((16, *np.shape(value)), jnp.float64) for name, value in SHAPE.items()}
    exported = jax.export.export(jax.jit(jax.vmap(p.accuracy_one_budget)), platforms=("cpu", "cuda", "tpu"))(shapes)
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_users_own_probability():
    """A logistic curve of the loss, maximised on log odds: the optimum of the loss itself."""
    law = t2.Chinchilla(**p.BESIROGLU)
    right = t2.quantity(lambda a: jax.nn.sigmoid(10.0 * (3.5 - law(a))), name="right", probability=True)
    found = t2.maximize(right, [t2.TrainingFLOPs() <= 1e23])
    n, _, loss = p.chinchilla_optimum(p.BESIROGLU | {"total": 1e23})
    assert float(found.allocation.params) == pytest.approx(n, rel=1e-6)
    assert float(found.value) == pytest.approx(1 / (1 + np.exp(-10 * (3.5 - loss))), rel=1e-14)
