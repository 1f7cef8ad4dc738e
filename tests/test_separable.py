"""The one-dimensional route of separable power laws: when it is taken, and that it answers as the general method does."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax.optimize.problem import Layout, Problem
from t2jax.optimize.separable import separable

TRAIN = t2.TrainingFLOPs()
SERVE = t2.InferenceFLOPs(queries=1e6, output_tokens=500)
LAW = t2.Chinchilla(1.8, 482.0, 2085.0, 0.35, 0.37)
TASK = t2.T2Loss(LAW, 1.0, 0.3)


def problem(objective, constraints, **changed):
    layout = Layout.of(t2.Allocation(1.0, 1.0, 1.0))
    known = {"implied": (("samples", 1.0),), "layout": layout, "maximise": False, "whole": None}
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


@pytest.mark.parametrize("name", SEPARABLE)
def test_taken(name):
    assert separable(problem(*SEPARABLE[name])) is not None


@pytest.mark.parametrize("name", GENERAL)
def test_left_to_the_general_method(name):
    assert separable(problem(*GENERAL[name])) is None


def test_left_to_the_general_method_where_more_is_asked():
    assert separable(problem(TASK, [TRAIN + SERVE <= 1e24], whole=2)) is None
    assert separable(problem(TASK, [TRAIN + SERVE <= 1e24], maximise=True)) is None


def wild(lanes, seed=0):
    """Coefficients, budget and demand far beyond any that was fitted."""
    rng = np.random.default_rng(seed)
    uniform = lambda low, high: jnp.asarray(rng.uniform(low, high, lanes))  # noqa: E731
    log_uniform = lambda low, high: jnp.exp(uniform(np.log(low), np.log(high)))  # noqa: E731
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
        "prompt": jnp.where(uniform(0.0, 1.0) < 0.5, 0.0, log_uniform(1.0, 1e4)),
    }


def solved(of, s, bounds):
    task = t2.T2Loss(t2.Chinchilla(s["E"], s["A"], s["B"], s["alpha"], s["beta"]), s["G"], s["gamma"])
    cost = t2.TrainingFLOPs() + t2.InferenceFLOPs(s["queries"], s["prompt"], 500.0)
    return t2.minimize(of(task), [of(cost) <= s["budget"], *bounds])


BOUNDS = {
    "none": [],
    "caps": [t2.params <= 1e11, t2.tokens <= 1e13, t2.samples <= 64.0],
    "floors": [t2.params >= 1e8, t2.tokens >= 1e10, t2.samples >= 4.0],
    "k fixed": [t2.samples >= 8.0, t2.samples <= 8.0],
}


@pytest.mark.parametrize("name", BOUNDS)
def test_answers_as_the_general_method(name):
    scenarios, bounds = wild(300), BOUNDS[name]
    one, other = (jax.jit(jax.vmap(lambda s, of=of: solved(of, s, bounds)))(scenarios) for of in (lambda q: q, general))
    np.testing.assert_array_equal(one.ok, other.ok)
    infeasible = np.asarray(one.violation) > 1e-8
    np.testing.assert_array_equal(np.asarray(one.ok), ~infeasible)
    assert infeasible.any() == (name == "floors")
    # What is a billionth of the loss has no digits left in a method that only sees the loss.
    a, s = one.allocation, scenarios
    shares = [s["A"] * a.params ** -s["alpha"], s["B"] * a.tokens ** -s["beta"], s["G"] * a.samples ** -s["gamma"]]
    clear = one.ok & (np.min(np.asarray(shares) / np.asarray(one.value), axis=0) > 1e-6)
    assert np.mean(clear) > 0.4
    for x, y in zip(jax.tree.leaves(one.allocation), jax.tree.leaves(other.allocation), strict=True):
        np.testing.assert_allclose(np.log(x)[clear], np.log(y)[clear], rtol=0, atol=1e-9)
    np.testing.assert_allclose(one.value, other.value, rtol=1e-12)
    for a, b in zip(one.shadow_prices, other.shadow_prices, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)
    for a, b in zip(one.slacks, other.slacks, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["none", "caps"])
def test_same_derivatives_as_the_general_method(name):
    """Of allocation, value and prices by every number: first in both modes, second forward over reverse."""
    scenarios, bounds = wild(12, seed=3), BOUNDS[name]
    leaves, treedef = jax.tree.flatten(scenarios)

    def outcome(of, vector):
        found = solved(of, jax.tree.unflatten(treedef, list(vector)), bounds)
        logs = [jnp.log(a) for a in jax.tree.leaves(found.allocation)]
        return jnp.stack([*logs, found.value, *found.shadow_prices])

    points = jnp.stack(leaves, axis=-1)
    forward, backward = (jax.jit(jax.vmap(mode(functools.partial(outcome, lambda q: q)))) for mode in (jax.jacfwd, jax.jacrev))
    other = jax.jit(jax.vmap(jax.jacfwd(functools.partial(outcome, general))))
    # Each column relative to its number, as for elasticities.
    scale = points[:, None, :]
    first = np.asarray(forward(points) * scale)
    np.testing.assert_allclose(np.asarray(backward(points) * scale), first, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(np.asarray(other(points) * scale), first, rtol=1e-7, atol=1e-9)

    at = points[int(np.argmax(scenarios["prompt"]))]
    second = jax.jit(jax.jacfwd(jax.jacrev(functools.partial(outcome, lambda q: q))))(at)
    step = 1e-5 * at
    differences = jnp.stack(
        [(forward((at + e)[None])[0] - forward((at - e)[None])[0]) / (2 * e.sum()) for e in jnp.diag(step)], axis=-1
    )
    weights = np.asarray(at)[:, None] * np.asarray(at)
    np.testing.assert_allclose(np.asarray(second) * weights, np.asarray(differences) * weights, rtol=1e-5, atol=1e-6)


def test_float32_against_float64():
    scenarios = wild(2000, seed=5)
    wide = jax.jit(jax.vmap(lambda s: solved(lambda q: q, s, BOUNDS["caps"])))(scenarios)
    with jax.enable_x64(False):
        bounds32 = [t2.params <= 1e11, t2.tokens <= 1e13, t2.samples <= 64.0]
    with jax.enable_x64(False):
        rounded = {name: jnp.asarray(np.asarray(a), jnp.float32) for name, a in scenarios.items()}
        narrow = jax.jit(jax.vmap(lambda s: solved(lambda q: q, s, bounds32)))(rounded)
    assert np.all(wide.ok)
    assert np.all(narrow.ok)
    assert float(np.max(narrow.residual)) < 1e-4
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
    solve = jax.jit(jax.vmap(lambda c, a: t2.minimize(t2.T2Loss(t2.Chinchilla(1.8, a, 2085.0, 0.35, 0.37), 1.0, 0.3), [TRAIN + SERVE <= c])))
    budgets, scales = jnp.geomspace(1e20, 1e26, 7), jnp.full(7, 482.0)
    whole = solve(budgets, scales)
    broken = solve(budgets, scales.at[3].set(jnp.nan))
    assert not bool(broken.ok[3])
    keep = np.arange(7) != 3
    np.testing.assert_array_equal(np.asarray(broken.allocation.params)[keep], np.asarray(whole.allocation.params)[keep])
