"""Optima of convex problems against closed forms, SciPy and brute force; statuses, batches, devices, users' own."""

# ruff: noqa: SIM300 (constraints read quantity <= limit)

import functools
import json
import time

import equinox as eqx
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import problems as p
import pytest
from hypothesis import given, settings, strategies as st
from jax.sharding import NamedSharding, PartitionSpec
from scipy.optimize import brentq, minimize_scalar

import t2jax as t2

ONE, TWO, CHEAPEST = p.Batched(p.one_budget), p.Batched(p.two_budgets), p.Batched(p.cheapest)
CHINCHILLA = p.Batched(p.chinchilla)
WHOLE = p.Batched(functools.partial(p.one_budget, integer_samples=True))
PRECISIONS = pytest.mark.parametrize("dtype", [np.float64, np.float32])
TOLERANCE = {np.float64: 1e-8, np.float32: 1e-3}


def at(solution):
    """N, D, k in float64."""
    a = solution.allocation
    return tuple(np.asarray(one, float) for one in (a.params, a.tokens, a.samples))


def ended(solution, status):
    return np.asarray(solution.status == status)


# Closed forms and printed optima

REFERENCES = [
    (ONE, {"total": 1e23}, (8.60398884e9, 1.01853096e12, 2755.66525), 2.16350107),
    (
        TWO,
        {"total": p.NO_CAP, "train": 2.56e19, "serve": 2e9, "queries": 1.0},
        (116951714, 3.64822927e10, 8.55053736),
        3.38134159,
    ),
]


@PRECISIONS
@pytest.mark.parametrize(("structure", "given", "allocation", "value"), REFERENCES)
def test_reference_optima(structure, given, allocation, value, dtype):
    found = structure(p.numbers(1, **given), dtype)
    assert found.value.dtype == dtype
    if dtype == np.float64:
        p.as_printed([found.value[0], *(a[0] for a in at(found))], value, *allocation)
    else:
        assert float(found.value[0]) == pytest.approx(value, rel=1e-6)
        assert [float(a[0]) for a in at(found)] == pytest.approx(allocation, rel=1e-3)


@PRECISIONS
def test_chinchilla_on_one_training_budget(dtype):
    laws = [
        (1.69, 406.4, 410.7, 0.34, 0.28),
        (1.8172, 482.01, 2085.43, 0.3478, 0.3658),
        (0, 1.6e7, 9.8e8, 0.937, 0.935),
    ]
    laws += [(1.87, 521.0, 1488.0, 0.35, 0.35), (1.5083, 100.0, 150.0, 0.2425, 0.2425), (1.0, 50.0, 5e6, 0.7, 0.25)]
    budgets = np.logspace(15, 30, 31)
    e, a, b, alpha, beta, total = np.array([(*law, c) for law in laws for c in budgets]).T
    data = p.numbers(len(e), E=e, A=a, B=b, alpha=alpha, beta=beta, total=total)
    found = CHINCHILLA(data, dtype)
    n, d, loss = p.chinchilla_optimum(data)
    close = {np.float64: 1e-11, np.float32: 2e-4}[dtype]
    assert np.all(p.solved(found))
    np.testing.assert_allclose(at(found)[0], n, rtol=close)
    np.testing.assert_allclose(at(found)[1], d, rtol=close)
    np.testing.assert_allclose(found.value, loss, rtol={np.float64: 1e-13, np.float32: 1e-5}[dtype])
    assert np.all(found.allocation.samples == 1.0)  # exactly: nothing depends on k
    # Along the optimum N ∝ C^(β/(α+β)) and D ∝ C^(α/(α+β)).
    slope = -(alpha * a / n**alpha * beta + beta * b / d**beta * alpha) / (alpha + beta)
    np.testing.assert_allclose(found.shadow_prices[0], slope, rtol={np.float64: 1e-11, np.float32: 1e-3}[dtype])


def test_three_published_laws_at_the_budget_of_chinchilla():
    laws = {
        (1.69, 406.4, 410.7, 0.34, 0.28): (3.2491e10, 3.01622e12, 1.929987),
        (np.exp(0.5267228), np.exp(6.0073404), np.exp(6.0179186), 0.33917084, 0.2849083): (
            4.07427e10,
            2.40534e12,
            1.917695,
        ),
        (1.81686, 482.00572, 2085.43420, 0.34781, 0.36585): (7.3122e10, 1.34023e12, 1.973397),
    }
    e, a, b, alpha, beta = np.array(list(laws)).T
    found = CHINCHILLA(p.numbers(3, E=e, A=a, B=b, alpha=alpha, beta=beta, total=5.88e23))
    p.as_printed(np.transpose([*at(found)[:2], found.value]), *(one for row in laws.values() for one in row))


@PRECISIONS
def test_chinchilla_in_25_digits(shared, dtype):
    """high_precision.json: N, D, L and the scale G of N* = G·(C/6)^(β/(α+β)), from the budget alone."""
    rows = json.loads((shared / "reference" / "high_precision.json").read_text())["chinchilla_closed_form"]
    names = {"besiroglu_rounded": "besiroglu2024", "hoffmann_rounded": "hoffmann2022"}
    for row in rows:
        law = t2.published(names[row["law"]])
        data = {name: [float(getattr(law, name))] for name in ("E", "A", "B", "alpha", "beta")}
        budget = float(row["C"])
        found = CHINCHILLA(p.numbers(1, total=budget, **data), dtype)
        close = {np.float64: 2e-14, np.float32: 5e-6}[dtype]
        wanted = [float(row[name]) for name in ("N", "D", "loss")]
        assert [float(at(found)[0][0]), float(at(found)[1][0]), float(found.value[0])] == pytest.approx(
            wanted, rel=close
        )
        power = float(law.beta / (law.alpha + law.beta))
        assert float(at(found)[0][0]) / (budget / 6) ** power == pytest.approx(float(row["G"]), rel=close)


@pytest.mark.slow
def test_other_laws_on_one_training_budget():
    """Kaplan, over-training and repeated data against a search over log N in float64."""
    kaplan, over = t2.Kaplan(6.4e13, 1.8e13, 0.076, 0.103), t2.Overtraining(1.5083, 141.2773, 189.5155, 0.12124)
    repeated = t2.published("muennighoff2023", unique_tokens=25e9)
    budgets = np.array([1e19, 1e21, 1e23])

    def all_three(c):
        return [t2.minimize(law, [t2.TrainingFLOPs() <= c]) for law in (kaplan, over, repeated)]

    found = p.Batched(all_three, lanes=4)(budgets)
    for law, solution in zip((kaplan, over, repeated), found, strict=True):
        search = jax.jit(jax.vmap(lambda s, c, law=law: law.loss(jnp.exp(s), c / 6 / jnp.exp(s)), (0, None)))
        for i, c in enumerate(budgets):
            grid = np.linspace(np.log(1e6), np.log(1e13), 100_001)
            values = search(grid, c)
            best = float(values.min())
            assert float(solution.value[i]) <= best * (1 + 1e-12)
            assert float(solution.value[i]) == pytest.approx(best, rel=1e-8)
            assert np.log(at(solution)[0][i]) == pytest.approx(float(grid[values.argmin()]), abs=2e-3)


# Random sweeps


@PRECISIONS
@pytest.mark.parametrize("caps", [False, True], ids=["free", "capped"])
@pytest.mark.parametrize("prompts", [False, True], ids=["", "prompts"])
@pytest.mark.parametrize("two", [False, True], ids=["one budget", "two budgets"])
def test_every_problem_of_a_sweep_is_solved(two, prompts, caps, dtype):
    """2,048 problems from 1e15 to 1e30 FLOPs: solved, within budgets and bounds, the conditions met."""
    data = p.draw(7, 2048, prompts=prompts, caps=caps, two=two)
    found = (TWO if two else ONE)(data, dtype)
    assert {leaf.dtype for leaf in jax.tree.leaves(found) if np.issubdtype(leaf.dtype, np.floating)} == {
        np.dtype(dtype)
    }
    assert int((~p.solved(found)).sum()) == 0
    assert found.residual.max() <= TOLERANCE[dtype]
    assert p.violation(data, *at(found), share_prompt=not two).max() <= {np.float64: 1e-9, np.float32: 2e-3}[dtype]
    # Values are those of the formula at the allocation returned.
    close = {np.float64: 1e-12, np.float32: 1e-4}[dtype]
    np.testing.assert_allclose(np.asarray(found.value, float), p.loss(data, *at(found)), rtol=close)


# Once not solved: residuals of 1e-7 where a cap binds with a price near zero.
HARD = [
    {
        "E": 1.3350123952971864,
        "A": 125973.22364403273,
        "B": 82.808542689247,
        "alpha": 0.2708310307558813,
        "beta": 0.6394823918249706,
        "G": 1.105845826278625,
        "gamma": 0.6777256119832991,
        "total": 5.332718698587986e25,
        "queries": 36708.661382066544,
        "max_params": 3233379886213.121,
        "max_tokens": 1906291581673.5815,
        "max_samples": 2684.5348693948613,
    },
    {
        "E": 0.544965535542961,
        "A": 3284.859411863303,
        "B": 4614.040257439712,
        "alpha": 0.5746034110842715,
        "beta": 0.473724414031433,
        "G": 0.5505296675652773,
        "gamma": 0.6350718559751531,
        "total": 1e36,
        "train": 5.72576219587927e29,
        "serve": 188102516029.5138,
        "queries": 29293.952714925737,
    },
    {
        "E": 1.9835669209316618,
        "A": 26583.022558912253,
        "B": 4702271.985387742,
        "alpha": 0.5477000454144922,
        "beta": 0.473963753544268,
        "G": 0.2963041997605235,
        "gamma": 0.6700998075874416,
        "total": 1e36,
        "train": 1.3279182440982932e18,
        "serve": 1.6550129336092598e16,
        "queries": 41032.72103639404,
        "max_params": 1921781.0237081028,
        "max_tokens": 5922640.11939648,
        "max_samples": 95608.8701934677,
    },
]


@PRECISIONS
def test_hard_problems(dtype):
    data = {name: np.array([one.get(name, default) for one in HARD]) for name, default in p.NUMBERS.items()}
    for solve, rows in ((ONE, [0]), (TWO, [1, 2])):
        found = solve({name: values[rows] for name, values in data.items()}, dtype)
        assert np.all(p.solved(found)), found.residual


@PRECISIONS
def test_where_a_cap_just_begins_to_bind(dtype):
    """The price of the cap on k passes through zero here: float32 cannot tell by its multiplier whether it binds."""
    caps = {"max_params": 2e12, "max_tokens": 15e12, "max_samples": 16384.0}
    budgets = np.geomspace(1.2e24, 1.3e24, 20_000)
    found = ONE(p.numbers(len(budgets), total=budgets, queries=1e6, output=500.0, **caps), dtype)
    assert np.all(p.solved(found))
    at_cap = np.abs(at(found)[2] / caps["max_samples"] - 1) < 1e-6
    assert 0.3 < at_cap.mean() < 0.9


def test_gains_from_parameters_equal_gains_from_tokens_and_samples():
    """αA/N^α = βB/D^β + γG/k^γ wherever no bound is active and prompts cost nothing."""
    data = p.draw(11, 4096)
    found = ONE(data)
    n, d, k = at(found)
    free = k > 1 + 1e-6
    assert free.sum() > 2000
    of_params = data["alpha"] * data["A"] / n ** data["alpha"]
    of_tokens = data["beta"] * data["B"] / d ** data["beta"]
    of_samples = data["gamma"] * data["G"] / k ** data["gamma"]
    np.testing.assert_allclose((of_tokens + of_samples)[free], of_params[free], rtol=1e-8)
    # The budget is spent, to rounding.
    spent = (p.train_flops(n, d) + p.serve_flops(data, n, k)) / data["total"]
    np.testing.assert_allclose(spent, 1.0, rtol=1e-12)
    # What the budget is worth: each side's gain over its share of the budget.
    share = p.train_flops(n, d) / data["total"]
    np.testing.assert_allclose(found.shadow_prices[0][free], -(of_tokens / share)[free], rtol=1e-7)


@pytest.mark.parametrize("two", [False, True], ids=["one budget", "two budgets"])
def test_never_worse_than_slsqp(two):
    """200 problems each: SciPy started at a plain guess, and started at our own answer, finds nothing better."""
    data = p.draw(13, 200, prompts=True, caps=True, two=two)
    found = (TWO if two else ONE)(data)
    ours, reached, near = p.loss(data, *at(found)), 0, 0
    for i in range(200):
        one = {name: float(values[i]) for name, values in data.items()}
        budget = one["train"] if two else one["total"]
        guess = np.log([0.3 * np.sqrt(budget / 6), 0.3 * np.sqrt(budget / 6), 2.0])
        for start in (guess, np.log([float(a[i]) for a in at(found)])):
            x = np.exp(p.slsqp(one, start, share_prompt=not two))
            if not np.all(np.isfinite(x)) or p.violation(one, *x, share_prompt=not two) > 1e-10:
                continue
            reached += 1
            assert ours[i] <= p.loss(one, *x) * (1 + 1e-9)
            near += p.loss(one, *x) <= ours[i] * (1 + 1e-6)
    # The oracle is one: it mostly gets to where we are.
    assert reached > 300
    assert near > 240


@pytest.mark.slow
def test_cheapest_way_to_a_target_is_the_dual():
    """The loss that a budget buys costs that budget, with the same allocation."""
    data = p.draw(17, 512, prompts=True)
    primal = ONE(data)
    dual = CHEAPEST(data | {"target": primal.value})
    # Where the loss is E but for 1e-6 of it, a rounding error of it is one of 1e-10 in the budget.
    weight = np.asarray(-primal.shadow_prices[0] / primal.value, float)
    assert np.all(p.solved(dual))
    assert np.max(np.abs(dual.value / data["total"] - 1) * weight) < 1e-13
    steady = weight > 1e-4
    assert steady.sum() > 300
    np.testing.assert_allclose(np.array(at(dual))[:, steady], np.array(at(primal))[:, steady], rtol=1e-7)
    # Prices are reciprocal: d log C / d log L = 1 / (d log L / d log C).
    np.testing.assert_allclose((dual.shadow_prices[0] / dual.value * -weight)[steady], 1.0, rtol=1e-7)


@pytest.mark.slow
@PRECISIONS
def test_cheapest_way_with_caps(dtype):
    data = p.draw(19, 1024, prompts=True, caps=True)
    primal = ONE(data)
    # Targets short of the best there is: what exactly reaches it is a single point.
    data["target"] = data["E"] + 1.02 * (primal.value - data["E"])
    found = CHEAPEST(data, dtype)
    assert int((~p.solved(found)).sum()) == 0
    assert np.all(found.value <= data["total"] * (1 + TOLERANCE[dtype]))
    reached = p.loss(data, *at(found)) / data["target"]
    assert reached.max() <= 1 + {np.float64: 1e-9, np.float32: 1e-3}[dtype]


def test_inference_aware_chinchilla():
    """Sardana et al. 2024: min 6ND + 2N·D_inf for a loss; their first-order condition solved for D."""
    e, a, b, alpha, beta = 1.69, 406.4, 410.7, 0.336, 0.283
    demand = np.array([1e7, 1e9, 1e11, 1e12, 1e13, 1e15])
    losses = np.full(6, 2.1)
    data = p.numbers(6, E=e, A=a, B=b, alpha=alpha, beta=beta, G=1e-30, queries=demand, target=losses)
    found = CHEAPEST(data)
    assert np.all(p.solved(found))
    n, d, k = at(found)
    np.testing.assert_allclose(k, 1.0, rtol=1e-12)
    for i in range(6):

        def condition(log_d, i=i):
            t = np.exp(log_d)
            return (
                (beta * b / alpha + b) * t**-beta
                + demand[i] * beta * b / (3 * alpha) * t ** (-beta - 1)
                + e
                - losses[i]
            )

        assert d[i] == pytest.approx(np.exp(brentq(condition, 10, 60, xtol=1e-14, rtol=1e-14)), rel=1e-8)
    # And the demand it answers to: D_inf = 3D(αA N^−α/(βB D^−β) − 1).
    np.testing.assert_allclose(3 * d * (alpha * a * n**-alpha / (beta * b * d**-beta) - 1), demand, rtol=1e-6, atol=1e5)


# What binds, and what nothing depends on


def test_bounds_hold_to_the_last_bit():
    data = p.numbers(6, total=1e23, max_samples=[100, 64, p.NO_CAP, p.NO_CAP, p.NO_CAP, 1.0])
    data |= {
        "max_params": np.array([p.NO_CAP, 1e9, 1e9, p.NO_CAP, 3e9, p.NO_CAP]),
        "max_tokens": np.array([p.NO_CAP, p.NO_CAP, 3e11, 2e11, 3e11, p.NO_CAP]),
        "min_samples": np.array([1, 1, 1, 5000.0, 1, 1]),
    }
    found = ONE(data)
    n, d, k = at(found)
    np.testing.assert_allclose(k[[0, 1, 5]], [100, 64, 1], rtol=1e-15)
    np.testing.assert_allclose(n[[1, 2, 4]], [1e9, 1e9, 3e9], rtol=1e-14)
    np.testing.assert_allclose(d[[2, 3, 4]], [3e11, 2e11, 3e11], rtol=1e-14)
    assert np.all(np.array(found.slacks) >= -1e-13)
    for slack, price in zip(found.slacks, found.shadow_prices, strict=True):
        assert np.all((slack < 1e-13) | (price == 0.0))
        assert np.all(np.isfinite(price))
    # A cap that binds hurts: raising it lowers the loss; raising a floor raises it.
    budget, max_n, max_d, max_k, min_k = (np.asarray(price) for price in found.shadow_prices)
    assert np.all(budget[[0, 1, 3, 5]] < 0)
    assert np.all(max_k[[0, 1, 5]] < 0)
    assert np.all(max_n[[1, 2]] < 0)
    assert np.all(max_d[[2, 3]] < 0)
    assert min_k[3] > 0
    assert np.all(min_k[[0, 1, 2, 4]] == 0)


def test_a_budget_that_caps_leave_over():
    """With N, D and k capped the budget may not bind: then it has no price and some slack."""
    found = ONE(p.numbers(1, total=1e30, max_params=1e9, max_tokens=1e11, max_samples=10.0))
    assert [float(a[0]) for a in at(found)] == pytest.approx([1e9, 1e11, 10.0], rel=1e-13)
    assert float(found.shadow_prices[0][0]) == 0.0
    spent = 6e20 + 2e9 * 1e9 * 10
    assert float(found.slacks[0][0]) == pytest.approx(np.log(1e30 / spent), rel=1e-12)


# Whole k


@pytest.mark.slow
def test_whole_samples_are_the_best_of_all():
    """Against every k from 1 to 200, N and D optimal for each."""
    rng = np.random.default_rng(23)
    drawn = p.draw(29, 400, prompts=True)
    drawn["queries"] = drawn["total"] ** 0.55 * p.log_uniform(rng, 1e-2, 1e2, 400)
    drawn["max_samples"] = np.where(rng.random(400) < 0.3, rng.uniform(1.0, 20.0, 400), p.NO_CAP)
    drawn["min_samples"] = np.where(rng.random(400) < 0.3, rng.uniform(1.0, 5.0, 400), 1.0)
    k = at(ONE(drawn))[2]
    fits = (k < 150) & (np.floor(drawn["max_samples"]) >= np.ceil(drawn["min_samples"]))
    some = np.flatnonzero(fits & (k > 1.01))[:50]
    assert len(some) == 50
    data = {name: values[some] for name, values in drawn.items()}
    found = WHOLE(data)
    assert np.all(p.solved(found))
    whole = at(found)[2]
    assert np.all(whole == np.round(whole))
    every = np.arange(1.0, 201.0)
    each = {name: np.repeat(values, 200) for name, values in data.items()}
    tried = np.tile(every, 50)
    allowed = (tried <= each["max_samples"]) & (tried >= each["min_samples"])
    brute = p.Batched(p.one_budget, lanes=2048)(each | {"max_samples": tried, "min_samples": tried})
    values = np.where(allowed & p.solved(brute), brute.value, np.inf).reshape(50, 200)
    np.testing.assert_allclose(found.value, values.min(axis=1), rtol=1e-13)
    np.testing.assert_array_equal(whole, every[values.argmin(axis=1)])
    assert len(set(whole)) > 10


@pytest.mark.slow
def test_a_cap_on_whole_samples_has_the_price_of_real_ones():
    """A derivative by a cap is 0 between whole numbers, which would say that more samples buy nothing."""
    data = p.numbers(4, total=1e23, max_samples=[100.0, 100.7, 1e6, 100.0], min_samples=[1.0, 1.0, 4000.5, 1.0])
    whole = WHOLE(data)
    real = ONE(data | {"max_samples": np.array([100.0, 100.0, 1e6, 100.0]), "min_samples": np.array([1, 1, 4001, 1.0])})
    np.testing.assert_array_equal(at(whole)[2], [100.0, 100.0, 4001.0, 100.0])
    np.testing.assert_allclose(whole.shadow_prices, real.shadow_prices, rtol=1e-9, atol=1e-15)
    assert whole.shadow_prices[3][0] < -1e-3  # of samples <= 100
    assert whole.shadow_prices[4][2] > 1e-6  # of samples >= 4000.5


def test_no_whole_number_between_the_bounds():
    found = WHOLE(p.numbers(3, min_samples=[2.2, 2.2, 3.0], max_samples=[2.8, 3.8, 3.0]))
    assert list(ended(found, t2.Status.infeasible)) == [True, False, False]
    assert list(at(found)[2][1:]) == [3.0, 3.0]


# Batches


def test_one_by_one_is_the_same():
    """Single problems are compiled with other options, and search with Hessians by differences."""
    data = p.draw(31, 100, prompts=True, caps=True)
    batch = ONE(data)
    for i in range(100):
        single = p.one_budget({name: jnp.asarray(values[i]) for name, values in data.items()})
        assert single.value.shape == ()
        np.testing.assert_allclose(np.array(at(single)), np.array(at(batch))[:, i], rtol=1e-9)
        assert float(single.value) == pytest.approx(float(batch.value[i]), rel=1e-12)
        np.testing.assert_allclose(single.shadow_prices, np.array(batch.shadow_prices)[:, i], rtol=1e-7, atol=1e-12)


def test_eager_compiled_and_in_pieces_are_the_same():
    """20,000 lanes, many pieces: wrong code of a JAX release (as 0.10.2's) shows here."""
    data = p.draw(37, 20_000, prompts=True)
    batch = {name: jnp.asarray(values) for name, values in data.items()}
    eager = jax.vmap(p.bare)(batch)
    compiled = jax.jit(jax.vmap(p.bare))(batch)
    small = p.Batched(p.bare, lanes=2000)(data)
    assert all(np.all(p.solved(one)) for one in (eager, compiled, small))
    for other in (compiled, small):
        for a, b in zip(at(eager), at(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8)
        np.testing.assert_allclose(eager.value, other.value, rtol=1e-12)
        np.testing.assert_allclose(eager.shadow_prices[0], other.shadow_prices[0], rtol=1e-9)


def test_over_budgets_and_laws_at_once():
    """vmap of filter_vmap, every law against its closed form at every budget."""
    a, beta = np.array([300.0, 482.01, 600.0, 900.0]), np.array([0.3, 0.3658, 0.4, 0.33])
    laws = eqx.filter_vmap(lambda a, beta: t2.Chinchilla(1.8, a, 2085.43, 0.35, beta))(
        jnp.asarray(a), jnp.asarray(beta)
    )
    budgets = jnp.array([1e18, 1e21, 1e24])
    train = t2.TrainingFLOPs()

    def of_laws(c):
        return eqx.filter_vmap(lambda law: t2.minimize(law, [train <= c]))(laws)

    def by_plain_vmap(c):
        return jax.vmap(jax.vmap(lambda law, c: t2.minimize(law, [train <= c]), (0, None)), (None, 0))(laws, c)

    both, alone, plain = jax.jit(
        lambda c: (jax.vmap(of_laws)(c), of_laws(c[1]), by_plain_vmap(c)), compiler_options=p.QUICK
    )(budgets)
    assert both.value.shape == (3, 4)
    expected = np.array(
        [
            [
                p.chinchilla_optimum({"E": 1.8, "A": a[j], "B": 2085.43, "alpha": 0.35, "beta": beta[j], "total": c})[0]
                for j in range(4)
            ]
            for c in np.asarray(budgets)
        ]
    )
    np.testing.assert_allclose(at(both)[0], expected, rtol=1e-10)
    np.testing.assert_allclose(at(alone)[0], expected[1], rtol=1e-10)
    np.testing.assert_allclose(at(plain)[0], expected, rtol=1e-10)
    assert str(both) == "12 solutions of shape (3, 4) for Chinchilla: 12 solved"


def test_a_failed_lane_leaves_its_neighbours_alone():
    data = p.draw(41, 64, prompts=True, caps=True)
    before = ONE(data)
    assert np.all(p.solved(before))
    broken = {name: values.copy() for name, values in data.items()}
    broken["A"][3] = np.nan
    broken["total"][4] = np.nan
    broken["gamma"][5] = np.inf
    broken["min_samples"][10], broken["max_samples"][10] = 10.0, 5.0
    broken["total"][20] = 1e80
    for name in ("max_params", "max_tokens", "max_samples"):
        broken[name][20] = 1e40
    broken["E"][30] = -5.0
    after = ONE(broken)
    lost = [3, 4, 5, 10, 20, 30]
    kept = np.setdiff1d(np.arange(64), lost)
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(one[kept], other[kept])
    assert not np.any(p.solved(after)[lost])
    for array in (*at(after), after.value, *after.shadow_prices, *after.slacks):
        assert np.all(np.isnan(array[lost]))
        assert np.all(np.isfinite(array[kept]))
    assert np.all(ended(after, t2.Status.not_finite)[[3, 4, 5]])
    assert ended(after, t2.Status.infeasible)[10]
    assert ended(after, t2.Status.unbounded)[20]


def test_batches_never_raise():
    found = jax.vmap(p.chinchilla)({name: jnp.asarray(v) for name, v in p.numbers(2, total=[1e20, np.nan]).items()})
    assert list(np.asarray(found.ok)) == [True, False]
    assert str(found) == "2 solutions of shape (2,) for Chinchilla: 1 solved"


# Statuses and messages of single problems

LAW, TRAIN = t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658), t2.TrainingFLOPs()
TASK = t2.T2Loss(LAW, 1.0, 0.3)
UNBOUNDED = "unbounded: nothing limits {}; add a budget or a bound".format
INFEASIBLE = "infeasible: no allocation satisfies all constraints"


@pytest.mark.parametrize(
    ("quantity", "constraints", "message"),
    [
        (LAW, [], UNBOUNDED("params, tokens")),
        (LAW, [t2.params <= 1e9], UNBOUNDED("tokens")),
        (TASK, [TRAIN <= 1e20], UNBOUNDED("samples")),
        (TRAIN, [], UNBOUNDED("params, tokens")),  # nothing keeps them above 0
        (t2.tokens, [TRAIN <= 1e20], UNBOUNDED("tokens")),
        (t2.InferenceFLOPs(), [LAW <= 1.8172], INFEASIBLE),  # E itself: only without end
        (TRAIN, [LAW <= 1.8172], INFEASIBLE),
        (LAW, [t2.params <= 1e9, t2.params >= 1e10, t2.tokens <= 1e9], INFEASIBLE),
        (LAW, [TRAIN <= 1e20, t2.params >= 1e11, t2.tokens >= 1e11], INFEASIBLE),
        (TRAIN, [LAW <= 1.7], INFEASIBLE),  # below E
    ],
)
def test_problems_without_a_solution(quantity, constraints, message):
    with pytest.raises(t2.NoSolutionError) as caught:
        t2.minimize(quantity, constraints)
    assert str(caught.value) == message
    solution = caught.value.solution
    assert not bool(solution.ok)
    assert np.all(np.isnan(np.array([solution.value, *at(solution)])))
    quiet = t2.minimize(quantity, constraints, throw=False)
    assert quiet.reason == str(caught.value)
    assert str(quiet).splitlines()[0] == f"minimum of {quantity.label}: {quiet.reason}"


def test_numbers_that_are_not_finite():
    nan = t2.quantity(lambda a: a.params * jnp.nan, name="broken")
    with pytest.raises(t2.NoSolutionError) as caught:
        t2.minimize(nan, [t2.params <= 1e9, t2.params >= 1.0])
    assert str(caught.value) == "not finite: the objective or a constraint is NaN or infinite at the allocation found"


def test_what_nothing_depends_on_rests_at_its_lower_bound():
    assert float(t2.minimize(LAW, [TRAIN <= 1e20]).allocation.samples) == 1.0
    assert float(t2.minimize(LAW, [TRAIN <= 1e20, t2.samples >= 4]).allocation.samples) == 4.0
    only = t2.minimize(t2.params * 1.0, [t2.params >= 2.0])
    assert [float(a) for a in at(only)] == [2.0, 0.0, 1.0]


def test_how_a_solution_prints():
    law = t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
    assert str(t2.minimize(law, [TRAIN <= 1e20, t2.samples >= 4])).splitlines() == [
        "minimum of Chinchilla: solved",
        "  Chinchilla         2.553",
        "  params            853.5M",
        "  tokens            19.53B",
        "  samples            4.000",
        "  tokens per param   22.88",
        "  constraint            limit  slack  d value / d log limit",
        "  TrainingFLOPs <=  1.000e+20  binds                -0.1313",
        "  samples >=            4.000  binds                      0",
    ]
    seen = []
    jax.jit(lambda c: seen.append(str(t2.minimize(law, [TRAIN <= c, t2.samples >= 4]))))(1e20)
    assert seen == ["Solution(minimum of Chinchilla, traced)"]


def test_solutions_outside_the_fitted_range_say_so():
    law = t2.published("besiroglu2024")
    found = t2.minimize(law, [TRAIN <= 5.88e23, t2.samples >= 4])
    assert found.extrapolations == (
        "params 73B is above the fitted range 57.3M–16.2B of besiroglu2024",
        "tokens 1.34T is above the fitted range 819M–318B of besiroglu2024",
    )
    assert not bool(found.in_fit_range)
    assert f"  note: {found.extrapolations[0]}" in str(found).splitlines()


# Bad input


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: t2.minimize(LAW, [True]), TypeError, "subject_to takes constraints such as train <= 1e24, got True"),
        (lambda: t2.minimize(LAW, [1e20]), TypeError, "subject_to takes constraints such as train <= 1e24, got 1e+20"),
        (lambda: t2.minimize(LAW, [None]), TypeError, "subject_to takes constraints such as train <= 1e24, got None"),
        (lambda: t2.maximize(LAW, [True]), TypeError, "subject_to takes constraints such as train <= 1e24, got True"),
        (
            lambda: t2.minimize(3, [TRAIN <= 1e20]),
            TypeError,
            "minimize takes a quantity first (wrap a function with t2jax.quantity), got 3",
        ),
        (
            lambda: t2.maximize("law", [TRAIN <= 1e20]),
            TypeError,
            "maximize takes a quantity first (wrap a function with t2jax.quantity), got 'law'",
        ),
        (
            lambda: t2.minimize(LAW, [TRAIN <= jnp.array([1e20, 1e21])]),
            ValueError,
            "the limit of TrainingFLOPs has shape (2,), not one number: "
            "for a batch of limits use jax.vmap over minimize",
        ),
        (
            lambda: t2.minimize(LAW, [t2.params <= jnp.array([1e9, 1e10]), t2.tokens <= 1e10]),
            ValueError,
            "the limit of params has shape (2,), not one number: for a batch of limits use jax.vmap over minimize",
        ),
        (
            lambda: t2.minimize(t2.Chinchilla(np.ones(3), 2.0, 3.0, 0.3, 0.3), [TRAIN <= 1e20]),
            ValueError,
            "Chinchilla has shape (3,) at a single allocation, not one number: for an ensemble of coefficients or "
            "budgets use jax.vmap or eqx.filter_vmap over minimize",
        ),
        (
            lambda: t2.minimize(LAW, [TRAIN <= 1e20], start="here"),
            TypeError,
            "start must be an Allocation or another module of positive numbers, got 'here'",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("nothing", [None, 3, TRAIN], ids=str)
def test_constraints_that_are_no_list(nothing):
    with pytest.raises(TypeError, match="subject_to takes"):
        t2.minimize(LAW, nothing)


def test_a_single_constraint_needs_no_list():
    """As the function's own code has it."""
    assert float(t2.minimize(LAW, TRAIN <= 1e20).value) == float(t2.minimize(LAW, [TRAIN <= 1e20]).value)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("start", [3.0, {"params": 1e9}], ids=str)
def test_a_start_that_is_no_decision(start):
    with pytest.raises(TypeError, match="start must be an Allocation or another module of positive numbers, got"):
        t2.minimize(LAW, [TRAIN <= 1e20], start=start)


def test_whole_samples_need_samples():
    class Width(eqx.Module):
        width: jax.Array

    width = t2.quantity(lambda a: a.width, name="width")
    with pytest.raises(TypeError, match=r"^integer_samples needs a decision with .*samples, got Width$"):
        t2.minimize(width, [width >= 2.0], start=Width(jnp.array(3.0)), integer_samples=True)


# Laws of nature

PROBLEMS = st.integers(0, 10**6)
FEW = settings(max_examples=12, deadline=None, derandomize=True, database=None)


def values_of(data):
    found = ONE(data)
    assert np.all(p.solved(found))
    return np.asarray(found.value, float)


@FEW
@given(PROBLEMS, st.floats(1.0, 1e6))
def test_more_budget_is_never_worse(seed, factor):
    data = p.draw(seed, 64, prompts=True, caps=True)
    assert np.all(values_of(data | {"total": data["total"] * factor}) <= values_of(data) * (1 + 1e-12))


@FEW
@given(PROBLEMS, st.floats(1.0, 1e3), st.sampled_from(["max_params", "max_tokens", "max_samples"]))
def test_a_wider_cap_is_never_worse(seed, factor, name):
    data = p.draw(seed, 64, prompts=True, caps=True)
    wider = np.where(data[name] < p.NO_CAP, data[name] * factor, p.NO_CAP)
    assert np.all(values_of(data | {name: wider}) <= values_of(data) * (1 + 1e-12))


@FEW
@given(PROBLEMS)
def test_units_change_nothing(seed):
    """N in billions and D in trillions, coefficients and factors to match."""
    data = p.draw(seed, 64, prompts=True, caps=True)
    scaled = data | {
        "A": data["A"] / 1e9 ** data["alpha"],
        "B": data["B"] / 1e12 ** data["beta"],
        "train_factor": data["train_factor"] * 1e21,
        "serve_factor": data["serve_factor"] * 1e9,
        "max_params": data["max_params"] / 1e9,
        "max_tokens": data["max_tokens"] / 1e12,
    }
    plain, other = ONE(data), ONE(scaled)
    np.testing.assert_allclose(other.value, plain.value, rtol=1e-12)
    n, d, k = at(other)
    np.testing.assert_allclose((n * 1e9, d * 1e12, k), at(plain), rtol=1e-6)


@FEW
@given(PROBLEMS)
def test_the_budget_binds(seed):
    data = p.draw(seed, 64, prompts=True)
    n, d, k = at(ONE(data))
    np.testing.assert_allclose(p.train_flops(n, d) + p.serve_flops(data, n, k), data["total"], rtol=1e-12)


@FEW
@given(PROBLEMS, st.floats(1.0, 1e4))
def test_samples_never_rise_when_serving_gets_dearer(seed, factor):
    data = p.draw(seed, 64)
    cheap, dear = ONE(data), ONE(data | {"queries": data["queries"] * factor})
    assert np.all(at(dear)[2] <= at(cheap)[2] * (1 + 1e-7))
    assert np.all(dear.value >= cheap.value * (1 - 1e-12))


# Devices


def test_lowers_for_every_platform():
    shapes = {name: jax.ShapeDtypeStruct((16,), jnp.float64) for name in p.NUMBERS}
    exported = jax.export.export(jax.jit(jax.vmap(p.one_budget)), platforms=("cpu", "cuda", "tpu"))
    assert exported({name: shapes[name] for name in p.NUMBERS}).platforms == ("cpu", "cuda", "tpu")


@pytest.mark.slow
def test_sharded_over_devices():
    data = p.draw(43, 64, prompts=True, caps=True)
    expected = ONE(data)
    mesh = jax.make_mesh((2,), ("lanes",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = PartitionSpec("lanes")
    batch = {name: jax.device_put(jnp.asarray(v), NamedSharding(mesh, spec)) for name, v in data.items()}
    for solve in (
        jax.vmap(p.one_budget),
        jax.shard_map(jax.vmap(p.one_budget), mesh=mesh, in_specs=spec, out_specs=spec),
    ):
        found = jax.jit(solve, compiler_options=p.QUICK)(batch)
        np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
        np.testing.assert_allclose(at(found), at(expected), rtol=1e-8)


# Users' own problems


class PowerLaw(eqx.Module):
    floor: jax.Array
    scales: jax.Array
    exponents: jax.Array

    def __call__(self, a):
        x = jnp.stack([a.params, a.tokens])
        return self.floor + jnp.sum(self.scales * x**-self.exponents)


@pytest.mark.slow
def test_users_own_law_and_cost():
    """A module, a closure and a partial, promised convex or not, find what the built-in ones do."""
    scales, exponents = jnp.array([482.01, 2085.43]), jnp.array([0.3478, 0.3658])
    module = PowerLaw(jnp.array(1.8172), scales, exponents)
    cost = t2.quantity(lambda a: 6.0 * a.params * a.tokens, name="flops", convex=True)
    n, d, loss = p.chinchilla_optimum(p.BESIROGLU | {"total": 1e22})
    for own in (
        t2.quantity(module, convex=True),
        t2.quantity(module),
        t2.quantity(functools.partial(lambda law, a: law(a), module), convex=True, name="partial"),
    ):
        found = t2.minimize(own, [cost <= 1e22])
        assert [float(found.allocation.params), float(found.allocation.tokens)] == pytest.approx([n, d], rel=1e-9)
        assert float(found.value) == pytest.approx(loss, rel=1e-12)
        assert float(found.allocation.samples) == 1.0
        assert str(found).splitlines()[0] == f"minimum of {own.label}: solved"
        assert "flops <=" in str(found)


@pytest.mark.slow
@PRECISIONS
def test_users_own_flops_in_either_precision(dtype):
    """Second derivatives of log f must not hold f²: 1e30 FLOPs are an ordinary number in float32."""
    budgets = np.geomspace(1e18, 1e30, 13).astype(dtype)
    own = t2.quantity(lambda a: 6.0 * a.params * a.tokens, name="flops")
    with jax.enable_x64(dtype == np.float64):
        law = t2.published("besiroglu2024")

        def loss(log_c):
            found = t2.minimize(law, [own <= jnp.exp(log_c)])
            return found.value, found

        def of(log_c):
            """(the solution, d L/d log C, d²L/d(log C)²), in one program."""
            slope = lambda x: jax.grad(loss, has_aux=True)(x)  # noqa: E731
            (first, found), (second, _) = jax.jvp(slope, (log_c,), (jnp.ones_like(log_c),))
            return found, first, second

        single = [t2.minimize(law, [own <= c]) for c in budgets[::4]]
        found, slopes, bends = jax.jit(jax.vmap(of), compiler_options=p.QUICK)(np.log(budgets))
    n, _, value = p.chinchilla_optimum(p.BESIROGLU | {"total": budgets.astype(float)})
    close = {np.float64: 1e-10, np.float32: 1e-4}[dtype]
    assert found.value.dtype == dtype
    assert np.all(p.solved(found))
    np.testing.assert_allclose(at(found)[0], n, rtol=close)
    np.testing.assert_allclose([float(one.allocation.params) for one in single], n[::4], rtol=close)
    power = 0.3478 * 0.3658 / (0.3478 + 0.3658)
    np.testing.assert_allclose(slopes, -power * (value - p.BESIROGLU["E"]), rtol=close)
    np.testing.assert_allclose(bends, power**2 * (value - p.BESIROGLU["E"]), rtol=10 * close)


def test_what_is_no_number_is_named():
    nothing = t2.quantity(lambda a: None, name="energy")
    with pytest.raises(TypeError, match=r"^energy must return a positive number for an allocation, got None(\n|$)"):
        t2.minimize(t2.published("besiroglu2024"), [nothing <= 1.0])


@pytest.mark.slow
def test_users_own_law_batches():
    laws = PowerLaw(
        jnp.array([1.8, 1.5]),
        jnp.array([[482.01, 2085.43], [300.0, 500.0]]),
        jnp.array([[0.3478, 0.3658], [0.33, 0.3]]),
    )
    found = eqx.filter_vmap(lambda law: t2.minimize(t2.quantity(law, convex=True), [TRAIN <= 1e22]))(laws)
    for i in range(2):
        (a, b), (alpha, beta) = np.asarray(laws.scales[i]), np.asarray(laws.exponents[i])
        n, _, _ = p.chinchilla_optimum({"E": 0.0, "A": a, "B": b, "alpha": alpha, "beta": beta, "total": 1e22})
        assert float(found.allocation.params[i]) == pytest.approx(n, rel=1e-9)


class Shares(eqx.Module):
    """A decision on four numbers, with their floor."""

    shares: jax.Array
    extra: jax.Array

    @staticmethod
    def lower_bounds():
        return {"extra": 2.0}


class Size(eqx.Module):
    width: jax.Array
    depth: jax.Array


def test_decisions_of_another_kind():
    # min 1/x + 8/y² on xy = 100: x = y³/16·… in closed form from 1/x = 16/y².
    cost = t2.quantity(lambda a: 1 / a.width + 8 / a.depth**2, name="cost", convex=True)
    area = t2.quantity(lambda a: a.width * a.depth, name="area", convex=True)
    found = t2.minimize(cost, [area <= 100.0], start=Size(jnp.array(1.0), jnp.array(1.0)))
    depth = 1600.0 ** (1 / 3)
    assert float(found.allocation.depth) == pytest.approx(depth, rel=1e-9)
    assert float(found.allocation.width) == pytest.approx(100 / depth, rel=1e-9)
    assert isinstance(found.allocation, Size)
    assert "width" in str(found)

    # min Σ cᵢ/xᵢ on Σ xᵢ = 10, x₄ ≥ 2: x ∝ √c where no floor binds, and three of them share what is left where it does.
    weights = jnp.array([1.0, 4.0, 9.0])
    total = t2.quantity(lambda a: jnp.sum(a.shares) + a.extra, name="total", convex=True)
    for last, shares, extra in ((64.0, [10 / 14, 20 / 14, 30 / 14], 80 / 14), (0.01, [8 / 6, 16 / 6, 24 / 6], 2.0)):
        spread = t2.quantity(
            lambda a, last=last: jnp.sum(weights / a.shares) + last / a.extra, name="spread", convex=True
        )
        found = t2.minimize(spread, [total <= 10.0], start=Shares(jnp.ones(3), jnp.array(3.0)))
        np.testing.assert_allclose(found.allocation.shares, shares, rtol=1e-9)
        assert float(found.allocation.extra) == pytest.approx(extra, rel=1e-9)


def test_new_numbers_do_not_compile_again():
    first = t2.minimize(LAW, [TRAIN <= 1e20])
    begun = time.perf_counter()
    for c in (1e21, 1e22, 1e23):
        assert float(t2.minimize(t2.Chinchilla(1.7, 480.0, 2000.0, 0.35, 0.36), [TRAIN <= c]).value) < float(
            first.value
        )
    assert time.perf_counter() - begun < 1.0


def test_golden_section_agrees_on_the_reference_problem():
    """An oracle without gradients: for each k the best N, for the best k."""
    one = p.NUMBERS | {"total": 1e23}

    def best_of(log_k):
        k = np.exp(log_k)

        def of_params(log_n):
            n = np.exp(log_n)
            left = 1e23 - p.serve_flops(one, n, k)
            return p.loss(one, n, left / (6 * n), k) if left > 0 else 1e3

        return minimize_scalar(of_params, bounds=(15, 30), method="bounded", options={"xatol": 1e-10}).fun

    best = minimize_scalar(best_of, bounds=(0, 12), method="bounded", options={"xatol": 1e-8}).fun
    assert float(ONE(p.numbers(1, total=1e23)).value[0]) == pytest.approx(best, rel=1e-11)
