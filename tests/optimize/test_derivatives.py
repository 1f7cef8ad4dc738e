"""Derivatives through the optimum, first and second order, forward and reverse, against central differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import problems as p
import pytest

import t2jax as t2

NAMES = ("E", "A", "B", "alpha", "beta", "G", "gamma", "total", "train", "queries", "prompt", "output", "bytes", "most")
USUAL = {**p.NUMBERS, "train": 1e24, "prompt": 100.0, "output": 300.0, "queries": 1e6, "bytes": 1e15, "most": 1e12}
SCENARIOS = {
    "free": {},
    "k capped": {"most": 50.0},
    "N capped": {"bytes": 8e9},
    "N and k capped": {"bytes": 8e9, "most": 50.0},
    "two budgets": {"train": 3e22},
    "training budget and k capped": {"train": 3e22, "most": 50.0},  # and some of the total left over
    "free, another law": {"E": 1.2, "A": 5e3, "B": 8e4, "alpha": 0.45, "beta": 0.5, "total": 1e20, "train": 1e30},
}
ROWS = ("log N", "log D", "log k", "log L", "price of all", "price of training", "price of bytes", "price of samples")


def optimum(log_numbers):
    """Logarithms of 14 numbers → log (N, D, k, L) and four shadow prices."""
    d = dict(zip(NAMES, jnp.exp(log_numbers), strict=True))
    train, serve = t2.TrainingFLOPs(), t2.InferenceFLOPs(d["queries"], d["prompt"], d["output"])
    bounds = [train + serve <= d["total"], train <= d["train"], 2 * t2.params <= d["bytes"], t2.samples <= d["most"]]
    return rows(t2.minimize(p.task_of(d), bounds))


def dual(log_numbers):
    """The same numbers, with `total` for the target loss: least FLOPs. → log (N, D, k, C) and its price."""
    d = dict(zip(NAMES, jnp.exp(log_numbers), strict=True))
    train, serve = t2.TrainingFLOPs(), t2.InferenceFLOPs(d["queries"], d["prompt"], d["output"])
    return rows(t2.minimize(train + serve, [p.task_of(d) <= d["total"], t2.samples <= d["most"]]))


def accuracy(log_numbers):
    """Logarithms of 12 numbers, θ3 itself → log (N, D, k), log odds of pass@k, the price of the budget."""
    theta = [*jnp.exp(log_numbers[8:11]), log_numbers[11], jnp.exp(log_numbers[12])]
    names = ("E", "A", "B", "alpha", "beta", "total", "queries", "most")
    d = dict(zip(names, jnp.exp(log_numbers[:8]), strict=True))
    serve = t2.InferenceFLOPs(d["queries"], 100.0, 300.0)
    task = t2.T2Accuracy(p.law_of(d), jnp.stack(theta))
    found = t2.maximize(task, [t2.TrainingFLOPs() + serve <= d["total"], t2.samples <= d["most"]])
    return rows(found).at[3].set(jnp.log(found.value) - jnp.log1p(-found.value))


def rows(found):
    a = found.allocation
    return jnp.stack([*map(jnp.log, (a.params, a.tokens, a.samples, found.value)), *found.shadow_prices])


def compiled(fn):
    """Batches of 16 lanes: one compilation, also for the steps of differences."""
    return p.Batched(fn, lanes=16)


VALUE, FORWARD = compiled(optimum), compiled(jax.jacfwd(optimum))
POINTS = np.log([[(USUAL | given)[name] for name in NAMES] for given in SCENARIOS.values()])


def differences(fn, points, step):
    """d fn / d (last axis of points) by central differences of fourth order, all steps in one batch."""
    n, size = points.shape
    steps = step * np.array([-2, -1, 1, 2])
    moved = points[:, None, None, :] + steps[None, None, :, None] * np.eye(size)[None, :, None, :]
    values = np.asarray(fn(moved.reshape(-1, size)))
    values = values.reshape(n, size, 4, *values.shape[1:])
    slopes = (values[:, :, 0] - 8 * values[:, :, 1] + 8 * values[:, :, 2] - values[:, :, 3]) / (12 * step)
    return np.moveaxis(slopes, 1, -1)


def assert_close(found, expected, tolerance):
    """Relative to the largest entry of each row (each output's derivatives)."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.all(np.isfinite(found))
    axes = tuple(range(2, found.ndim))
    scale = np.maximum(np.abs(expected).max(axis=axes, keepdims=True), 1e-3)
    wrong = np.abs(found - expected) / scale
    worst = np.unravel_index(np.argmax(wrong), wrong.shape)
    assert wrong.max() <= tolerance, f"{wrong.max():.1e} at {worst}: {found[worst]} instead of {expected[worst]}"


@pytest.fixture(scope="module")
def forward():
    return FORWARD(POINTS)


def test_scenarios_are_what_they_are_called():
    """Prices tell which bounds bind."""
    binds = np.abs(VALUE(POINTS)[:, 4:]) > 1e-12
    expected = [["training" not in name, "budget" in name, "N" in name, "k" in name.split()] for name in SCENARIOS]
    np.testing.assert_array_equal(binds, expected)


def test_first_order_forward(forward):
    assert_close(forward, differences(VALUE, POINTS, 3e-4), 1e-6)


@pytest.mark.slow
def test_first_order_reverse(forward):
    assert_close(compiled(jax.jacrev(optimum))(POINTS), forward, 1e-10)


def test_prices_are_derivatives_of_the_value(forward):
    """The envelope theorem: d L / d log limit, for every budget and cap."""
    values = VALUE(POINTS)
    for price, name in zip((4, 5, 6, 7), ("total", "train", "bytes", "most"), strict=True):
        slope = forward[:, 3, NAMES.index(name)] * np.exp(values[:, 3])
        np.testing.assert_allclose(values[:, price], slope, rtol=1e-9, atol=1e-14)


def test_what_binds_moves_with_its_bound(forward):
    names = list(SCENARIOS)
    capped = forward[names.index("N and k capped")]
    assert capped[0, NAMES.index("bytes")] == pytest.approx(1.0, rel=1e-12)
    assert capped[2, NAMES.index("most")] == pytest.approx(1.0, rel=1e-12)
    others = np.delete(capped[0], NAMES.index("bytes"))
    assert np.all(np.abs(others) < 1e-12)


@pytest.mark.slow
def test_second_order():
    """Forward over reverse, of every output with respect to every number, against differences of the first order."""
    assert_second_order(optimum, FORWARD, POINTS, 3e-4)


def test_hessian_of_the_value():
    """d² L / d (log C)² of a Chinchilla law, by `jax.hessian` and without a batch, against its closed form."""
    law = p.BESIROGLU

    def loss(log_c):
        return t2.minimize(t2.Chinchilla(**law), [t2.TrainingFLOPs() <= jnp.exp(log_c)]).value

    hessian = jax.jit(jax.hessian(loss), compiler_options=p.QUICK)(np.log(1e23))
    n, d, _ = p.chinchilla_optimum(law | {"total": 1e23})
    # N ∝ C^(β/(α+β)) and D ∝ C^(α/(α+β)): both terms fall as C^(−αβ/(α+β)).
    power = law["alpha"] * law["beta"] / (law["alpha"] + law["beta"])
    exact = power**2 * (law["A"] / n ** law["alpha"] + law["B"] / d ** law["beta"])
    assert float(hessian) == pytest.approx(exact, rel=1e-9)


@pytest.mark.slow
def test_dual():
    """Also for targets little above the best that 50 samples can reach, 2.1264, where N falls as target^−718."""
    numbers = [{"total": 2.2}, *({"total": target, "most": 50.0} for target in (2.2, 2.15, 2.135))]
    numbers += [{"total": 3.0, "queries": 1e9}]
    points = np.log([[(USUAL | given)[name] for name in NAMES] for given in numbers])
    value, forward = compiled(dual), compiled(jax.jacfwd(dual))
    slopes = forward(points)
    assert_close(slopes, differences(value, points, 5e-6), 1e-6)
    values = value(points)
    slope = slopes[:, 3, NAMES.index("total")] * np.exp(values[:, 3])
    np.testing.assert_allclose(values[:, 4], slope, rtol=1e-9)
    # Second order where the dual is well conditioned: free, and with k capped.
    assert_second_order(dual, forward, points[:2], 3e-5)


def assert_second_order(fn, forward, points, step):
    """Of every output, forward over reverse, against differences of the first order, and symmetric."""
    second = compiled(jax.jacfwd(jax.jacrev(fn)))(points)
    assert_close(second, differences(forward, points, step), 1e-6)
    assert_close(second, np.swapaxes(second, 2, 3), 1e-9)


@pytest.mark.slow
def test_accuracy():
    theta = [np.log(0.78), np.log(3.1), np.log(0.9), -1.83, np.log(2.45)]
    base = [*np.log([1.8172, 482.01, 2085.43, 0.3478, 0.3658])]
    points = np.array(
        [[*base, np.log(c), np.log(1e6), np.log(most), *theta] for c in (1e20, 1e23) for most in (1e12, 5.0)]
    )
    value, forward = compiled(accuracy), compiled(jax.jacfwd(accuracy))(points)
    assert_close(forward, differences(value, points, 3e-4), 1e-6)


def test_through_a_law():
    """d N*/d coefficients of a Chinchilla law, as a law, against its closed form."""
    law = t2.Chinchilla(**p.BESIROGLU)
    slopes = jax.grad(lambda law: jnp.log(t2.minimize(law, [t2.TrainingFLOPs() <= 1e23]).allocation.params))(law)
    coefficients = {name: jnp.asarray(value) for name, value in p.BESIROGLU.items()}
    exact = jax.grad(lambda c: jnp.log(p.chinchilla_optimum(c | {"total": 1e23})[0]))(coefficients)
    for name, slope in exact.items():
        assert float(getattr(slopes, name)) == pytest.approx(float(slope), rel=1e-9, abs=1e-12)


class PowerLaw(eqx.Module):
    scales: jax.Array
    exponents: jax.Array

    def __call__(self, a):
        return 1.8172 + jnp.sum(self.scales * jnp.stack([a.params, a.tokens]) ** -self.exponents)


@pytest.mark.slow
def test_through_a_users_own_law():
    own = PowerLaw(jnp.array([482.01, 2085.43]), jnp.array([0.3478, 0.3658]))

    def log_params(own):
        found = t2.minimize(t2.quantity(own, convex=True), [t2.TrainingFLOPs() <= 1e23])
        return jnp.log(found.allocation.params)

    def exact(own):
        (a, b), (alpha, beta) = own.scales, own.exponents
        return jnp.log(p.chinchilla_optimum({"E": 0.0, "A": a, "B": b, "alpha": alpha, "beta": beta, "total": 1e23})[0])

    found, expected = jax.grad(log_params)(own), jax.grad(exact)(own)
    np.testing.assert_allclose(found.scales, expected.scales, rtol=1e-9)
    np.testing.assert_allclose(found.exponents, expected.exponents, rtol=1e-9)


def closing_over(c):
    """min c/N + N = 2√c at N = √c, with c in the function's closure."""
    own = t2.quantity(lambda a: c / a.params + a.params, convex=True)
    return t2.minimize(own, [t2.params >= 1e-3, t2.params <= 1e6]).value


def differentiated_or_refused(call, expected):
    """A zero that nobody asked for, or an error from deep inside, is what it must not be."""
    try:
        found = call()
    except (TypeError, ValueError) as error:
        message = str(error)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        return
    assert "clos" in message  # what to do: make it a leaf of a module


def test_what_a_function_closes_over():
    differentiated_or_refused(lambda: jax.grad(closing_over)(4.0), 0.5)


def test_what_a_function_closes_over_under_jit():
    differentiated_or_refused(lambda: jax.jit(jax.grad(closing_over))(4.0), 0.5)


def test_what_a_function_closes_over_under_vmap():
    differentiated_or_refused(lambda: jax.vmap(closing_over)(jnp.array([4.0, 9.0])), [4.0, 6.0])


def test_failed_lanes_do_not_poison_derivatives():
    points = POINTS[:3].copy()
    points[1, NAMES.index("A")] = np.nan
    found = FORWARD(points)
    whole = FORWARD(POINTS[:3])
    np.testing.assert_array_equal(found[[0, 2]], whole[[0, 2]])
    assert np.all(np.isfinite(found[[0, 2]]))


@pytest.mark.slow
def test_without_jit_as_with_it():
    """Outside `jit` one problem and its derivative compile in a hurry, and differences serve the search."""
    law = t2.T2Loss(t2.Chinchilla(**p.BESIROGLU), 1.0, 0.3)

    def log_params(log_queries):
        serve = t2.InferenceFLOPs(queries=jnp.exp(log_queries), output_tokens=500)
        limits = [t2.TrainingFLOPs() <= 1e23, serve <= 1e23]
        return jnp.log(t2.minimize(law, limits).allocation.params)

    at = jnp.log(1e9)
    expected = jax.jit(jax.grad(log_params), compiler_options=p.QUICK)(at)
    assert float(jax.grad(log_params)(at)) == pytest.approx(float(expected), rel=1e-9)
    assert float(jax.jacfwd(log_params)(at)) == pytest.approx(float(expected), rel=1e-9)
