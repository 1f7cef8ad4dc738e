"""Ratios, powers and comparisons of quantities, and equalities: against closed forms, SLSQP and each other."""

# ruff: noqa: SIM300 (the order of a comparison is what is tested)

import functools
import operator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import problems as p
import pytest
from scipy.optimize import minimize as scipy_minimize

import t2jax as t2
from t2jax.quantities import Curvature

TRAIN, SERVE = t2.TrainingFLOPs(), t2.InferenceFLOPs(1e9, 100.0, 500.0)
LAW = t2.Chinchilla(*p.BESIROGLU.values())
TASK = t2.T2Loss(LAW, 1.0, 0.3)
ACCURACY = t2.T2Accuracy(LAW, p.THETA)
POINT = t2.Allocation(3e9, 7e10, 20.0)
PRECISIONS = pytest.mark.parametrize("dtype", [np.float64, np.float32])


# The algebra

EXPRESSIONS = {
    "tokens / params": (lambda: t2.tokens / t2.params, 70 / 3),
    "params**2 * tokens": (lambda: t2.params**2 * t2.tokens, 9e18 * 7e10),
    "1 / params": (lambda: 1 / t2.params, 1 / 3e9),
    "tokens**0.5 / params / samples": (lambda: t2.tokens**0.5 / t2.params / t2.samples, 7e10**0.5 / 3e9 / 20),
    "2.00 * 1 / TrainingFLOPs": (lambda: 2 / TRAIN, 2 / (18e9 * 7e10)),
    "TrainingFLOPs**2": (lambda: TRAIN**2, (18e9 * 7e10) ** 2),
    "6.00 * params * tokens": (lambda: 2 * t2.params * (3 * t2.tokens), 6 * 3e9 * 7e10),
    "InferenceFLOPs / params": (lambda: SERVE / t2.params, 2e9 * (100 + 500 * 20)),
    "params": (lambda: t2.params * t2.tokens / t2.tokens, 3e9),
    "samples[1] / samples[0]": (lambda: t2.samples[1] / t2.samples[0], None),
}


@pytest.mark.parametrize("label", EXPRESSIONS)
def test_products_of_powers(label):
    build, value = EXPRESSIONS[label]
    assert str(build()) == label
    assert build().curvature is (Curvature.CONVEX if "Inference" in label else Curvature.AFFINE)
    if value is not None:
        assert float(build()(POINT)) == pytest.approx(value, rel=1e-12)
        terms = build().power_terms()
        total = sum(t.coefficient * np.exp(t.log_rest(jax.tree.map(jnp.log, POINT))) for t in terms)
        assert float(total) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "text", "convex"),
    [
        (lambda: t2.tokens / t2.params >= 100, "tokens / params >= 100", True),
        (lambda: t2.tokens <= 20 * t2.params, "tokens / params <= 20.0", True),
        (lambda: 2 * t2.tokens >= 20 * t2.params, "tokens / params >= 10.0", True),
        (lambda: SERVE <= 0.5 * TRAIN, "InferenceFLOPs / TrainingFLOPs <= 0.5", True),
        (lambda: SERVE >= TRAIN, "InferenceFLOPs / TrainingFLOPs >= 1.00", False),
        (lambda: TRAIN >= SERVE, "TrainingFLOPs / InferenceFLOPs >= 1.00", True),
        (lambda: TRAIN <= TRAIN + SERVE, "TrainingFLOPs / (TrainingFLOPs + InferenceFLOPs) <= 1.00", False),
        (lambda: t2.tokens / t2.params == 20, "tokens / params == 20.0", True),
        (lambda: t2.params == 7e9, "params == 7.00B", True),
        (lambda: 7e9 == t2.params, "params == 7.00B", True),
        (lambda: np.float64(7e9) == t2.params, "params == 7.00B", True),
        (lambda: jnp.array(7e9) == t2.params, "params == 7.00B", True),
        (lambda: t2.tokens == 20 * t2.params, "tokens / params == 20.0", True),
        (lambda: t2.equal(t2.tokens, 20 * t2.params), "tokens / params == 20.0", True),
        (lambda: t2.equal(7e9, t2.params), "params == 7.00B", True),
        (lambda: LAW == 2.0, "Chinchilla == 2.00", False),
        (lambda: ACCURACY == 0.5, "T2Accuracy == 0.5", False),
    ],
)
def test_comparisons(make, text, convex):
    assert str(make()) == text
    assert make().convex is convex


def test_a_comparison_holds_where_it_says():
    log = jax.tree.map(jnp.log, POINT)
    for limit in (5.0, 500.0):
        assert (float((t2.tokens <= limit * t2.params).violation(log)) <= 0) == (70 / 3 <= limit)
        assert (float((SERVE >= TRAIN / limit).violation(log)) <= 0) == (
            float(SERVE(POINT)) >= float(TRAIN(POINT)) / limit
        )
    assert float((t2.tokens == 20 * t2.params).violation(log)) == pytest.approx(np.log(7 / 6), rel=1e-12)


def test_two_quantities_compare_as_python_asks():
    """Truth of `==` is whether they are the same: dictionaries, lists and JAX's caches ask for that."""
    assert bool(t2.TrainingFLOPs() == t2.TrainingFLOPs(6.0))
    assert t2.TrainingFLOPs() != t2.TrainingFLOPs(8.0)
    assert t2.params != t2.tokens
    assert t2.samples[1] == t2.samples[1]
    assert [t2.params, t2.tokens].index(t2.tokens) == 1
    assert {t2.params: "N", t2.tokens: "D"}[t2.tokens] == "D"
    assert hash(t2.samples[1]) == hash(t2.samples[1])
    assert TRAIN != "train"
    assert TRAIN != None  # noqa: E711
    assert isinstance(t2.params == t2.tokens, t2.Constraint)

    class Holder(eqx.Module):
        of: t2.Quantity = eqx.field(static=True)

    assert jax.tree.structure(Holder(t2.params)) == jax.tree.structure(Holder(t2.params))
    assert jax.tree.structure(Holder(t2.params)) != jax.tree.structure(Holder(t2.tokens))
    seen = []
    traced = jax.jit(lambda x, of: seen.append(of) or x * 2, static_argnums=1)
    for of in (t2.params, t2.tokens, t2.params, t2.Variable("tokens_seen"), t2.Variable("tokens_seen")):
        traced(1.0, of)
    assert [str(one) for one in seen] == ["params", "tokens", "tokens_seen"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: bool(t2.params == 7e9),
            TypeError,
            "`params == 7.00B` has no truth value: it is a constraint, for the list of them",
        ),
        (
            lambda: t2.tokens / LAW,
            TypeError,
            "tokens / Chinchilla: quantities are divided by numbers and by products of powers such as params only: "
            "write the ratio as t2jax.quantity(fn)",
        ),
        (
            lambda: LAW**2,
            TypeError,
            "Chinchilla is no product of powers, so it has none itself: write it as t2jax.quantity(fn)",
        ),
        (lambda: t2.params ** float("inf"), ValueError, "the power of params must be finite, got inf"),
        (
            lambda: ACCURACY >= TRAIN,
            TypeError,
            "a constraint compares a quantity with a number, not T2Accuracy with TrainingFLOPs",
        ),
        (
            lambda: t2.equal(ACCURACY, ACCURACY),
            TypeError,
            "a constraint compares a quantity with a number, not T2Accuracy with T2Accuracy",
        ),
        (lambda: t2.equal(3.0, 4.0), TypeError, "equal takes a quantity and another or a number, got 4.0 and 3.0"),
        (
            lambda: t2.params <= 2 * t2.params,
            ValueError,
            "params is compared with itself: there is nothing to decide",
        ),
        (lambda: t2.params == 0, ValueError, "the limit of params must be positive and finite, got 0"),
    ],
)
def test_bad_algebra(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize("operation", [operator.lt, operator.gt])
def test_strict_comparisons_of_two(operation):
    with pytest.raises(TypeError, match=r"tokens . … is not a closed constraint"):
        operation(t2.tokens, t2.params)


# Equalities, against closed forms


def on_the_ray(flops, ratio, dtype):
    """Chinchilla's law on 6ND = C and D/N = r."""
    law = t2.Chinchilla(*(dtype(one) for one in p.BESIROGLU.values()))
    return t2.minimize(law, [t2.TrainingFLOPs(dtype(6)) <= flops, t2.tokens == ratio * t2.params], throw=False)


@PRECISIONS
def test_a_ratio_that_is_fixed(dtype):
    """N = √(C/6r), and the price is half the difference of both terms' slopes."""
    with jax.enable_x64(dtype == np.float64):
        budgets, ratios = np.meshgrid(np.geomspace(1e18, 1e28, 25), [2.0, 20.0, 300.0])
        solve = jax.jit(jax.vmap(functools.partial(on_the_ray, dtype=dtype)))
        found = solve(jnp.asarray(budgets.ravel(), dtype), jnp.asarray(ratios.ravel(), dtype))
    assert p.solved(found).all()
    n = np.sqrt(budgets / 6 / ratios).ravel()
    t = ratios.ravel() * n
    digits = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found.allocation.params, n, rtol=digits)
    np.testing.assert_allclose(found.allocation.tokens / found.allocation.params, ratios.ravel(), rtol=digits)
    of_n, of_d = 0.3478 * 482.01 / n**0.3478, 0.3658 * 2085.43 / t**0.3658
    near_zero = 1e-10 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(
        found.shadow_prices[1], 0.5 * (of_n - of_d), rtol=1e-8 if dtype == np.float64 else 2e-2, atol=near_zero
    )
    np.testing.assert_allclose(found.shadow_prices[0], -0.5 * (of_n + of_d), rtol=1e-8 if dtype == np.float64 else 1e-3)
    # Of either sign: on 2 tokens per parameter a larger ratio helps, on 300 it does not.
    price = np.asarray(found.shadow_prices[1]).reshape(budgets.shape)
    assert (price[0] < 0).all()
    assert (price[2] > 0).all()
    assert np.abs(found.slacks[1]).max() < (1e-12 if dtype == np.float64 else 1e-5)


def test_both_sides_say_the_same_as_an_equality():
    """The old way, two constraints, and its prices add up to the one of the equality."""
    ratio = t2.tokens / t2.params
    one = t2.minimize(TASK, [TRAIN + SERVE <= 1e24, ratio == 200.0])
    two = t2.minimize(TASK, [TRAIN + SERVE <= 1e24, ratio <= 200.0, ratio >= 200.0])
    assert float(one.value) == pytest.approx(float(two.value), rel=1e-12)
    both = float(two.shadow_prices[1]) + float(two.shadow_prices[2])
    assert float(one.shadow_prices[1]) == pytest.approx(both, rel=1e-6)


def test_derivatives_along_an_equality():
    """log N = (log C − log 6r)/2 by both, to second order and in both modes; d L / d log r is the price."""

    def log_n(z):
        return jnp.log(on_the_ray(jnp.exp(z[0]), jnp.exp(z[1]), np.float64).allocation.params)

    def value(z):
        return on_the_ray(jnp.exp(z[0]), jnp.exp(z[1]), np.float64).value

    z = jnp.log(jnp.array([1e24, 20.0]))
    np.testing.assert_allclose(jax.jit(jax.jacfwd(log_n))(z), [0.5, -0.5], rtol=1e-9)
    np.testing.assert_allclose(jax.jit(jax.jacrev(log_n))(z), [0.5, -0.5], rtol=1e-9)
    prices = np.stack(on_the_ray(1e24, 20.0, np.float64).shadow_prices)
    slope, bend = jax.jit(lambda z: (jax.grad(value)(z), jax.hessian(value)(z)))(z)
    np.testing.assert_allclose(slope, prices, rtol=1e-9)
    n = np.sqrt(1e24 / 120)
    of_n, of_d = 0.3478 * 482.01 / n**0.3478, 0.3658 * 2085.43 / (20 * n) ** 0.3658
    second = np.array([[0.3478 * of_n + 0.3658 * of_d, 0.3658 * of_d - 0.3478 * of_n]] * 2) / 4
    second[1] = second[1][::-1]
    np.testing.assert_allclose(bend, second, rtol=1e-7)


def test_a_number_that_is_fixed():
    """N = 7e9 under 6ND = C: D = C/6N; the price has the sign of what a larger model would do."""

    def solve(size):
        return t2.minimize(LAW, [TRAIN <= 1e24, t2.params == size], throw=False)

    sizes = jnp.array([7e9, 7e12])
    found = jax.jit(jax.vmap(solve))(sizes)
    assert p.solved(found).all()
    np.testing.assert_allclose(found.allocation.params, sizes, rtol=1e-14)
    np.testing.assert_allclose(found.allocation.tokens, 1e24 / 6 / sizes, rtol=1e-12)
    n, t = np.asarray(sizes), 1e24 / 6 / np.asarray(sizes)
    price = 0.3658 * 2085.43 / t**0.3658 - 0.3478 * 482.01 / n**0.3478
    np.testing.assert_allclose(found.shadow_prices[1], price, rtol=1e-9)
    assert price[0] < 0 < price[1]
    slope = jax.jit(jax.grad(lambda size: jnp.log(solve(size).allocation.tokens)))(sizes[0])
    assert float(slope) * 7e9 == pytest.approx(-1.0, rel=1e-9)
    # A bound at the same place bears no price beside it, and what is fixed twice is fixed.
    again = t2.minimize(LAW, [TRAIN <= 1e24, t2.params == 7e9, t2.params <= 7e9])
    assert float(again.shadow_prices[1]) == pytest.approx(price[0], rel=1e-9)
    assert float(again.shadow_prices[2]) == 0.0


def test_a_budget_that_must_be_spent():
    """As with `<=` where it helps; where caps leave nothing to gain, it is spent against them."""
    equal, at_most = (t2.minimize(TASK, [c]) for c in (TRAIN + SERVE == 1e24, TRAIN + SERVE <= 1e24))
    assert float(equal.value) == pytest.approx(float(at_most.value), rel=1e-10)
    assert float(equal.shadow_prices[0]) == pytest.approx(float(at_most.shadow_prices[0]), rel=1e-6)
    # The least cost that is at once 3e22 FLOPs of training: D at its cap, N what that leaves.
    found = t2.minimize(t2.params, [TRAIN == 3e22, t2.tokens <= 1e12])
    assert float(found.allocation.params) == pytest.approx(5e9, rel=1e-10)
    assert [float(one) for one in found.shadow_prices] == pytest.approx([5e9, -5e9], rel=1e-8)


def test_as_many_equalities_as_numbers():
    found = t2.minimize(TASK, [t2.params == 1e9, t2.tokens == 20 * t2.params, t2.samples * t2.params == 1e11])
    np.testing.assert_allclose(
        [found.allocation.params, found.allocation.tokens, found.allocation.samples], [1e9, 2e10, 100.0], rtol=1e-12
    )


@pytest.mark.parametrize(
    "limits",
    [
        [t2.params == 7e9, t2.params <= 1e9],
        [t2.tokens == 20 * t2.params, t2.tokens == 30 * t2.params],
        [t2.samples == 0.5],
    ],
    ids=["a bound", "one another", "what is implied"],
)
def test_equalities_that_contradict(limits):
    found = t2.minimize(TASK, [TRAIN + SERVE <= 1e24, *limits], throw=False)
    assert bool(found.status == t2.Status.infeasible)


# Equalities, against other methods


def slsqp(law, ratio, budget, gamma):
    """log (N, D, k) of least loss on the ray D = rN under one budget, by SciPy."""

    def loss(x):
        n, t, k = np.exp(x)
        return np.log(law["E"] + law["A"] / n ** law["alpha"] + law["B"] / t ** law["beta"] + 1.0 / k**gamma)

    def left(x):
        n, t, k = np.exp(x)
        return np.log(budget / (6 * n * t + 2 * n * 1e9 * (100 + 500 * k)))

    start = np.log([1e9, ratio * 1e9, 4.0])
    found = scipy_minimize(
        loss,
        start,
        method="SLSQP",
        bounds=[(0, 80), (0, 80), (0, 80)],
        constraints=[
            {"type": "ineq", "fun": left},
            {"type": "eq", "fun": lambda x: x[1] - x[0] - np.log(ratio)},
        ],
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    return found.x, found.fun


def test_a_ray_under_a_budget_is_slsqp_s():
    rng = np.random.default_rng(0)

    def solve(d):
        law = t2.Chinchilla(d["E"], d["A"], d["B"], d["alpha"], d["beta"])
        limits = [TRAIN + SERVE <= d["budget"], t2.equal(t2.tokens, d["ratio"] * t2.params)]
        return t2.minimize(t2.T2Loss(law, 1.0, d["gamma"]), limits, throw=False)

    size = 40
    d = {
        "E": rng.uniform(0.5, 2.5, size),
        "A": p.log_uniform(rng, 50, 5e4, size),
        "B": p.log_uniform(rng, 50, 5e5, size),
        "alpha": rng.uniform(0.25, 0.6, size),
        "beta": rng.uniform(0.25, 0.6, size),
        "gamma": rng.uniform(0.15, 0.6, size),
        "budget": p.log_uniform(rng, 1e21, 1e27, size),
        "ratio": p.log_uniform(rng, 1.0, 1e4, size),
    }
    found = jax.jit(jax.vmap(solve))({name: jnp.asarray(one) for name, one in d.items()})
    assert p.solved(found).all()
    assert np.asarray(found.residual).max() < 1e-8
    for i in range(size):
        one = {name: float(values[i]) for name, values in d.items()}
        x, value = slsqp(one, one["ratio"], one["budget"], one["gamma"])
        assert np.log(float(found.value[i])) <= value + 1e-9
        np.testing.assert_allclose(np.log(found.allocation.params[i]), x[0], atol=2e-3)


def test_a_ray_of_accuracy_is_a_grid_s():
    """Not convex: along D = 20N the best of a fine grid of N, with k what the budget leaves."""
    budget = 1e24
    found = t2.maximize(ACCURACY, [TRAIN + SERVE <= budget, t2.tokens == 20 * t2.params])
    n = np.geomspace(1e8, np.sqrt(budget / 120), 40001)[:-1]
    k = ((budget - 120 * n**2) / (2e9 * n) - 100) / 500
    n, k = n[k >= 1], k[k >= 1]
    values = np.asarray(ACCURACY(t2.Allocation(n, 20 * n, k)))
    assert float(found.value) >= values.max() * (1 - 1e-12)
    assert float(found.value) == pytest.approx(values.max(), rel=1e-6)


def test_an_equality_that_is_no_line_is_searched_and_says_so():
    """The least cost of a loss of 2.4 is that of at most 2.4, and the most parameters of it are at a cap."""
    note = "T2Loss == 2.40 is no straight line in logarithms: its curvature is unknown"
    equal, at_most = (t2.minimize(TRAIN + SERVE, [c]) for c in (TASK == 2.4, TASK <= 2.4))
    assert float(equal.value) == pytest.approx(float(at_most.value), rel=1e-9)
    assert float(equal.shadow_prices[0]) == pytest.approx(float(at_most.shadow_prices[0]), rel=1e-6)
    assert any(one.startswith(note) for one in equal.remarks)
    assert at_most.remarks == ()
    assert note in str(equal)
    # E + A/N^α + B/D^β = 2.2 with the largest D that there may be needs the least N.
    found = t2.minimize(t2.params, [LAW == 2.2, t2.tokens <= 1e12])
    n = (482.01 / (2.2 - 1.8172 - 2085.43 / 1e12**0.3658)) ** (1 / 0.3478)
    assert float(found.allocation.params) == pytest.approx(n, rel=1e-9)


def test_an_equality_beside_whole_samples():
    limits = [TRAIN + SERVE <= 1e21, t2.tokens == 200 * t2.params]
    real, whole = (t2.minimize(TASK, limits, integer_samples=one) for one in (False, True))
    assert float(whole.allocation.tokens / whole.allocation.params) == pytest.approx(200.0, rel=1e-12)
    best = min(
        float(t2.minimize(TASK, [*limits, t2.samples == float(k)]).value)
        for k in np.floor(float(real.allocation.samples)) + np.arange(2)
    )
    assert float(whole.value) == pytest.approx(best, rel=1e-12)
