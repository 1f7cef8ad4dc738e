"""The one-dimensional route of separable power laws: when it is taken, and that its answers are the general ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import problems as p
import pytest

import t2jax as t2
from t2jax.optimize._problem import Layout, Problem
from t2jax.optimize.methods._multiplier import STEPS
from t2jax.optimize.methods._separable import Separable, separable

TRAIN = t2.TrainingFLOPs()
SERVE = t2.InferenceFLOPs(queries=1e6, output_tokens=500)
LAW = t2.Chinchilla(1.8, 482.0, 2085.0, 0.35, 0.37)
TASK = t2.T2Loss(LAW, 1.0, 0.3)


def problem(objective, constraints, **changed):
    layout = Layout.of(t2.Allocation(1.0, 1.0, 1.0))
    known = {"implied": (("samples", 1.0),), "layout": layout, "maximise": False, "whole": ()}
    return Problem(objective, tuple(constraints), **(known | changed))


def value(quantity, a):
    return quantity(a)


def general(quantity):
    """The same quantity as the optimiser would see a user's function: of its structure nothing is known."""
    return t2.quantity(functools.partial(value, quantity), convex=True)


SEPARABLE = {
    "T2, one budget": (TASK, [TRAIN + SERVE <= 1e24]),
    "caps": (TASK, [TRAIN + SERVE <= 1e24, t2.params <= 1e9, 2 * t2.tokens <= 1e13, t2.samples <= 64.0]),
    "floors": (TASK, [TRAIN + SERVE <= 1e24, t2.params >= 1e9, t2.tokens >= 1e11]),
    "Chinchilla": (LAW, [TRAIN <= 1e24]),
    "serving a law": (LAW, [TRAIN + t2.InferenceFLOPs(1e9, 100, 500) <= 1e24]),
    "two workloads and a factor": (2.0 * TASK, [1.3 * (TRAIN + SERVE + t2.InferenceFLOPs(1e6, 10, 50)) <= 1e24]),
    "samples in no cost": (TASK, [TRAIN <= 1e24, t2.samples <= 64.0]),
    "Gadre": (t2.Overtraining(1.5, 100.0, 150.0, 0.13), [TRAIN + SERVE <= 1e24]),
}
GENERAL = {
    "two budgets of one another": (TASK, [TRAIN + SERVE <= 1e24, TRAIN <= 1e23]),
    "a user's cost": (TASK, [general(TRAIN) <= 1e24]),
    "a cost with no hub": (TASK, [TRAIN + 1e12 * t2.samples <= 1e24]),
    "samples without limit": (TASK, [TRAIN <= 1e24]),
    "the dual": (TRAIN + SERVE, [TASK <= 2.6]),
    "Kaplan": (t2.Kaplan(1.5e14, 3.1e13, 0.076, 0.103), [TRAIN <= 1e24]),
    "an ensemble": (t2.Chinchilla(1.8, 482.0, 2085.0, np.array([0.3, 0.4]), 0.37), [TRAIN <= 1e24]),
}
WHY = {
    "two budgets of one another": "it takes one budget beside bounds of variables, and there are 2",
    "a user's cost": "is not known to be a sum of power laws",
    "a cost with no hub": "no variable in every term",
    "samples without limit": "costs nothing and has no limit",
    "the dual": "T2Loss does not grow with each single variable",
    "Kaplan": "Kaplan is not known to be a sum of power laws",
    "an ensemble": "an ensemble that is not mapped over",
}


@pytest.mark.parametrize("name", SEPARABLE)
def test_taken(name):
    assert isinstance(separable(problem(*SEPARABLE[name])), Separable)


@pytest.mark.parametrize("name", GENERAL)
def test_left_to_the_general_method(name):
    """And it says why."""
    assert WHY[name] in separable(problem(*GENERAL[name]))


def test_left_to_the_general_method_where_more_is_asked():
    assert separable(problem(TASK, [TRAIN + SERVE <= 1e24], whole=(2,))) == "whole numbers were asked for"
    assert separable(problem(TASK, [TRAIN + SERVE <= 1e24], maximise=True)) == "it minimises, and this is a maximum"


LIMITS = {
    # (lowest, highest) N, D, k; what is no limit is far away.
    "none": ((1e-30, 1e30), (1e-30, 1e30), (1e-30, 1e30)),
    "caps": ((1e-30, 1e11), (1e-30, 1e13), (1e-30, 64.0)),
    "floors": ((1e8, 1e30), (1e10, 1e30), (4.0, 1e30)),
    "k fixed": ((1e-30, 1e30), (1e-30, 1e30), (8.0, 8.0)),
}


def wild(lanes, seed=0):
    """Coefficients, budget, demand and limits far beyond any that was fitted, as many lanes for each kind of limits."""
    rng = np.random.default_rng(seed)
    uniform = lambda low, high: rng.uniform(low, high, lanes)  # noqa: E731
    log_uniform = lambda low, high: np.exp(uniform(np.log(low), np.log(high)))  # noqa: E731
    limits = np.repeat(np.array(list(LIMITS.values())), -(-lanes // len(LIMITS)), axis=0)[:lanes]
    return {
        "E": uniform(0.0, 2.5),
        "A": log_uniform(10.0, 1e7),
        "B": log_uniform(10.0, 1e7),
        "G": log_uniform(0.1, 10.0),
        "alpha": uniform(0.2, 0.95),
        "beta": uniform(0.2, 0.95),
        "gamma": uniform(0.2, 0.95),
        "budget": log_uniform(1e15, 1e30),
        "queries": log_uniform(1.0, 1e12),
        "prompt": np.where(uniform(0.0, 1.0) < 0.5, 0.0, log_uniform(1.0, 1e4)),
        **{f"{side}_{name}": limits[:, i, j] for i, name in enumerate("NDk") for j, side in enumerate(("low", "high"))},
    }


def solved(of, s, limited=True):
    task = t2.T2Loss(t2.Chinchilla(s["E"], s["A"], s["B"], s["alpha"], s["beta"]), s["G"], s["gamma"])
    cost = t2.TrainingFLOPs() + t2.InferenceFLOPs(s["queries"], s["prompt"], 500.0)
    bounds = []
    for coordinate, name in ((t2.params, "N"), (t2.tokens, "D"), (t2.samples, "k")):
        bounds += [coordinate >= s[f"low_{name}"], coordinate <= s[f"high_{name}"]]
    return t2.minimize(of(task), [of(cost) <= s["budget"], *(bounds if limited else [])])


def itself(quantity):
    return quantity


@pytest.fixture(scope="module")
def answers():
    scenarios = {name: jnp.asarray(a) for name, a in wild(600).items()}
    return scenarios, jax.jit(jax.vmap(lambda s: solved(itself, s)))(scenarios)


def clear(scenarios, found):
    """Where every term is more than a millionth of the loss: others have no digits where only the loss is seen."""
    s, a = scenarios, found.allocation
    shares = [s["A"] * a.params ** -s["alpha"], s["B"] * a.tokens ** -s["beta"], s["G"] * a.samples ** -s["gamma"]]
    return np.asarray(found.ok) & (np.min(np.asarray(shares) / np.asarray(found.value), axis=0) > 1e-6)


@pytest.mark.slow
def test_answers_as_the_general_method(answers):
    scenarios, one = answers
    other = jax.jit(jax.vmap(lambda s: solved(general, s)), compiler_options=p.QUICK)(scenarios)
    np.testing.assert_array_equal(one.ok, other.ok)
    infeasible = np.asarray(one.violation) > 1e-8
    np.testing.assert_array_equal(np.asarray(one.ok), ~infeasible)
    assert 10 < infeasible.sum() < 100  # of those with floors
    well = clear(scenarios, one)
    assert well.sum() > 250
    for x, y in zip(jax.tree.leaves(one.allocation), jax.tree.leaves(other.allocation), strict=True):
        np.testing.assert_allclose(np.log(x)[well], np.log(y)[well], rtol=0, atol=1e-9)
    np.testing.assert_allclose(one.value, other.value, rtol=1e-12)
    for a, b in zip(one.shadow_prices, other.shadow_prices, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def test_without_upper_bounds_it_takes_another_way_to_the_same_answer(answers):
    scenarios, bracketed = (jax.tree.map(lambda a: a[:150], one) for one in answers)
    free = jax.jit(jax.vmap(lambda s: solved(itself, s, limited=False)))(scenarios)
    assert np.all(free.ok)
    for x, y in zip(jax.tree.leaves(free.allocation), jax.tree.leaves(bracketed.allocation), strict=True):
        np.testing.assert_allclose(np.log(x), np.log(y), rtol=0, atol=1e-11)


def test_more_steps_where_exponents_are_far_apart():
    """The unrolled steps do not suffice there: the loop goes on until every lane is at the root."""
    s = wild(2000, seed=1)
    rng = np.random.default_rng(2)
    s |= {name: np.exp(rng.uniform(np.log(0.02), np.log(4.0), 2000)) for name in ("alpha", "beta", "gamma")}
    found = jax.jit(jax.vmap(lambda s: solved(itself, s, limited=False)))(s)
    within = np.asarray(found.ok)
    assert within.mean() > 0.5  # the others want more than e^85 of something, and say so
    assert np.all(np.asarray(found.residual)[within] < 1e-11)
    assert STEPS < int(np.max(found.steps)) < 10


def test_exact_next_to_a_kink():
    """Where k leaves 1: a step across it follows a slope that ends there, and how small it is says nothing."""
    task = t2.T2Loss(t2.published("besiroglu2024"), 0.26366508987303583, 0.5736842105263158)
    cost = t2.TrainingFLOPs() + t2.InferenceFLOPs(2154434690.031878, 0.0, 5878.0160722749115)
    solve = jax.jit(jax.vmap(lambda budget: t2.minimize(task, [cost <= budget])))
    found = solve(jnp.asarray(1e22 * np.exp(np.linspace(-3e-4, 3e-4, 20001))))
    assert 0.2 < np.mean(np.asarray(found.allocation.samples) > 1.0) < 0.8
    assert np.all(found.ok)
    assert np.max(found.residual) < 1e-12


@pytest.mark.slow
def test_same_derivatives_as_the_general_method():
    scenarios = wild(24, seed=3)
    points = jnp.stack([jnp.asarray(a) for a in scenarios.values()], axis=-1)

    def outcome(of, vector):
        found = solved(of, dict(zip(scenarios, vector, strict=True)))
        return jnp.stack([*(jnp.log(a) for a in jax.tree.leaves(found.allocation)), found.value, *found.shadow_prices])

    def elasticities(mode, of):
        slopes = jax.jit(jax.vmap(mode(functools.partial(outcome, of))), compiler_options=p.QUICK)
        found = np.asarray(slopes(points))
        return found * np.asarray(points)[:, None, :]

    first = elasticities(jax.jacfwd, itself)
    found = jax.jit(jax.vmap(lambda s: solved(itself, s)))(scenarios)
    ok, well = np.asarray(found.ok), clear(scenarios, found)
    assert ok.sum() > 18
    assert well.sum() > 8
    assert np.all(np.isfinite(first[ok]))
    np.testing.assert_allclose(elasticities(jax.jacrev, itself)[ok], first[ok], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(elasticities(jax.jacfwd, general)[well], first[well], rtol=1e-7, atol=1e-9)


def test_float32_against_float64(answers):
    scenarios, wide = answers
    with jax.enable_x64(False):
        rounded = {name: jnp.asarray(np.asarray(a), jnp.float32) for name, a in scenarios.items()}
        narrow = jax.jit(jax.vmap(lambda s: solved(itself, s)))(rounded)
    np.testing.assert_array_equal(narrow.ok, wide.ok)
    assert np.all(np.asarray(narrow.residual)[np.asarray(narrow.ok)] < 1e-4)
    np.testing.assert_allclose(narrow.value, wide.value, rtol=3e-5)


def test_statuses():
    nothing = t2.minimize(TASK, [TRAIN + SERVE <= 1e20, t2.params >= 1e12, t2.tokens >= 1e12], throw=False)
    assert nothing.reason.startswith("infeasible")
    crossed = t2.minimize(TASK, [TRAIN + SERVE <= 1e20, t2.params >= 1e12, t2.params <= 1e9], throw=False)
    assert crossed.reason.startswith("infeasible")
    # Samples that cost nothing are drawn without end, unless capped.
    prompts = TRAIN + t2.InferenceFLOPs(1e9, 100, 0)
    assert t2.minimize(TASK, [prompts <= 1e24], throw=False).reason.startswith("unbounded")
    capped = t2.minimize(TASK, [prompts <= 1e24, t2.samples <= 64.0])
    assert float(capped.allocation.samples) == pytest.approx(64.0, rel=1e-12)
    # All at their caps: the budget is not spent and has no price.
    spare = t2.minimize(TASK, [TRAIN + SERVE <= 1e30, t2.params <= 1e9, t2.tokens <= 1e12, t2.samples <= 8.0])
    np.testing.assert_allclose(jax.tree.leaves(spare.allocation), [1e9, 1e12, 8.0], rtol=1e-12)
    assert float(spare.shadow_prices[0]) == 0.0
    assert all(float(price) < 0 for price in spare.shadow_prices[1:])


def test_a_failed_lane_leaves_its_neighbours_alone():
    solve = jax.jit(
        jax.vmap(
            lambda c, a: t2.minimize(
                t2.T2Loss(t2.Chinchilla(1.8, a, 2085.0, 0.35, 0.37), 1.0, 0.3),
                [TRAIN + SERVE <= c],  # noqa: SIM300
            )
        )
    )
    budgets, scales = jnp.geomspace(1e20, 1e26, 7), jnp.full(7, 482.0)
    whole = solve(budgets, scales)
    broken = solve(budgets, scales.at[3].set(jnp.nan))
    assert not bool(broken.ok[3])
    keep = np.arange(7) != 3
    np.testing.assert_array_equal(np.asarray(broken.allocation.params)[keep], np.asarray(whole.allocation.params)[keep])


def test_what_is_known_to_be_nothing_is_left_out_and_can_still_be_differentiated():
    budgets = jnp.geomspace(1e18, 1e26, 5)

    def best(budget, prompt):
        cost = t2.TrainingFLOPs() + t2.InferenceFLOPs(1e6, prompt, 500.0)
        return t2.minimize(t2.T2Loss(t2.published("besiroglu2024"), 1.0, 0.3), [cost <= budget])

    known = jax.vmap(lambda budget: best(budget, 0.0)), (budgets,)
    given = jax.vmap(best), (budgets, 0 * budgets)
    fewer, more = (str(jax.make_jaxpr(fn)(*arguments)).count(" exp ") for fn, arguments in (known, given))
    assert fewer < more
    one, other = (jax.tree.leaves(fn(*arguments)) for fn, arguments in (known, given))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)
    slope = jax.grad(lambda prompt: best(1e22, prompt).value)(0.0)
    beyond, near = (float(best(1e22, prompt).value) for prompt in (2e-3, 1e-3))
    assert float(slope) == pytest.approx((beyond - near) / 1e-3, rel=1e-4)
