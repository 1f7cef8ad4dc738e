"""Rules of thumb against the literature's figures, and demand-aware training against its first-order condition."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2

LAW = t2.published("besiroglu2024")
HARM = t2.published("devries2023")


@pytest.mark.parametrize(
    ("params", "tokens", "ratio", "digits"),
    [
        (7e9, 1e12, 7.1, 1),  # LLaMA-7B
        (7e9, 1.4e12, 10, 0),
        (13e9, 1.4e12, 5.4, 1),  # LLaMA-13B
        (7e9, 8e12, 57, 0),  # Mistral-7B, about
        (2.7e9, 1.4e12, 26, 0),  # Phi-2
        (8e9, 15e12, 94, 0),  # Llama-3-8B
    ],
)
def test_overtraining_ratios_of_the_literature(params, tokens, ratio, digits):
    assert round(float(t2.overtraining_ratio(params, tokens)), digits) == ratio


@pytest.mark.parametrize("law", [LAW, HARM, t2.published("gadre2024-c4")])
def test_overtraining_by_a_law_is_one_at_its_optimum(law):
    best = t2.minimize(law, [t2.TrainingFLOPs() <= 1e23]).allocation
    np.testing.assert_allclose(t2.overtraining_ratio(best.params, best.tokens, law), 1.0, rtol=1e-6)
    np.testing.assert_allclose(t2.overtraining_ratio(best.params, 7.0 * best.tokens, law), 7.0, rtol=1e-6)


def test_break_even():
    large, small = t2.Allocation(70e9, 1.4e12), t2.Allocation(7e9, 4e12)
    train = t2.TrainingFLOPs()
    np.testing.assert_allclose([train(large), train(small)], [5.88e23, 1.68e23], rtol=1e-13)
    assert t2.break_even_tokens(large, small) == 0.0  # the smaller one is cheaper to train, too
    longer = t2.Allocation(7e9, 40e12)
    tokens = t2.break_even_tokens(large, longer)
    np.testing.assert_allclose(tokens, (1.68e24 - 5.88e23) / (2 * 63e9), rtol=1e-13)
    totals = [train(one) + t2.InferenceFLOPs(output_tokens=tokens)(one) for one in (large, longer)]
    np.testing.assert_allclose(*totals, rtol=1e-13)
    with jax.enable_x64(False):  # 6ND of both would overflow
        found = t2.break_even_tokens(t2.Allocation(7e19, 1.4e20), t2.Allocation(7e18, 4e21))
    np.testing.assert_allclose(found, 3 * (7e18 * 4e21 - 7e19 * 1.4e20) / 63e18, rtol=1e-6)


def test_years_of_serving():
    """12.6 billion requests at 1e5 a day are 345 years; an article that says 3.4 is wrong by 100."""
    assert round(float(t2.serving_years(12.6e9, 1e5))) == 345
    np.testing.assert_allclose(t2.serving_years(12.6e9 * 500, 1e5 * 500), t2.serving_years(12.6e9, 1e5), rtol=1e-15)


def test_inference_factor_is_the_ratio_of_flops():
    at = t2.Allocation(3e9, 1e12)
    ratio = t2.InferenceFLOPs(output_tokens=6e12)(at) / t2.TrainingFLOPs()(at)
    np.testing.assert_allclose([t2.inference_factor(6e12, 1e12), ratio], 2.0, rtol=1e-13)


def test_capacity_floor_is_the_loss_of_endless_data():
    params = np.geomspace(1e6, 1e12, 7)
    np.testing.assert_allclose(t2.capacity_floor(LAW, params), LAW.loss(params, 1e60), rtol=1e-13)
    gadre = t2.published("gadre2024-c4")
    np.testing.assert_allclose(t2.capacity_floor(gadre, params), gadre.loss(params, 1e120), rtol=1e-13)
    np.testing.assert_allclose(
        t2.capacity_floor(t2.Chinchilla(0.0, 2.0, 3.0, 0.5, 0.5), 4.0), 1.0, rtol=1e-14
    )  # a law with nothing irreducible


def test_harms_law():
    overhead = 100 * np.asarray(t2.compute_overhead(HARM, np.array([0.75, 0.5, 0.3, 1.0])))
    np.testing.assert_array_equal(np.round(overhead, 3), [2.846, 20.782, 105.565, 0.0])
    # In the original's symbols: (A/B)·G^(−α−β).
    A, B, alpha, beta = (float(getattr(HARM, name)) for name in ("A", "B", "alpha", "beta"))
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    data = (1 - (0.3**-alpha - 1) * A / B * G ** (-alpha - beta)) ** (-1 / beta)
    np.testing.assert_allclose(t2.compute_overhead(HARM, 0.3), 0.3 * data - 1, rtol=1e-12)


def test_harms_law_is_what_the_loss_law_says():
    best = t2.minimize(HARM, [t2.TrainingFLOPs() <= 1e22])
    for fraction in (0.4, 2.0):
        data = (1 + t2.compute_overhead(HARM, fraction)) / fraction
        at = t2.Allocation(fraction * best.allocation.params, data * best.allocation.tokens)
        np.testing.assert_allclose(HARM(at), best.value, rtol=1e-9)


def test_rules_differentiate_batch_and_keep_float32():
    overhead = jax.vmap(lambda x: t2.compute_overhead(HARM, x))(jnp.array([0.05, 0.3, 0.5]))
    np.testing.assert_allclose(overhead, [np.inf, 1.05565, 0.20782], rtol=2e-5)
    slope, h = jax.grad(lambda x: t2.compute_overhead(HARM, x))(0.3), 1e-6
    by_difference = (t2.compute_overhead(HARM, 0.3 + h) - t2.compute_overhead(HARM, 0.3 - h)) / (2 * h)
    np.testing.assert_allclose(slope, by_difference, rtol=1e-8)
    by_law = jax.grad(lambda law: t2.capacity_floor(law, 1e9))(LAW)
    np.testing.assert_allclose([by_law.E, by_law.A], [1.0, 1e9 ** -float(LAW.alpha)], rtol=1e-13)
    with jax.enable_x64(False):
        law = t2.Chinchilla(1.69, 406.4, 410.7, 0.336, 0.283)
        values = t2.compute_overhead(law, 0.5), t2.overtraining_ratio(1e12, 1e15, law), t2.capacity_floor(law, 1e9)
        assert all(value.dtype == jnp.float32 for value in values)
    exact = [t2.compute_overhead(HARM, 0.5), t2.overtraining_ratio(1e12, 1e15, HARM), t2.capacity_floor(HARM, 1e9)]
    np.testing.assert_allclose(values, exact, rtol=2e-5)


# Sardana: what is both trained and served


def _by_first_order_condition(law, loss, served):
    """The root in log D of (βB/α + B)·D^−β + (T·βB/3α)·D^(−β−1) + E − ℓ, which falls with D, by bisection.

    Derived anew: 6ND + 2NT and the loss are stationary together in log N and log D where
    (6ND + 2NT)/(αA/N^α) = 6ND/(βB/D^β), so αA/N^α = βB/D^β·(1 + T/3D); put into A/N^α + B/D^β = ℓ − E.
    """
    E, A, B, alpha, beta = (float(getattr(law, name)) for name in ("E", "A", "B", "alpha", "beta"))
    low, high = np.full(loss.shape, 0.0), np.full(loss.shape, 200.0)
    for _ in range(80):
        log_D = (low + high) / 2
        D = np.exp(log_D)
        excess = (beta * B / alpha + B) * D**-beta + served * beta * B / (3 * alpha) * D ** (-beta - 1) + E - loss
        low, high = np.where(excess > 0, log_D, low), np.where(excess > 0, high, log_D)
    D = np.exp((low + high) / 2)
    N = (alpha * A / (beta * B * D**-beta * (1 + served / (3 * D)))) ** (1 / alpha)
    return N, D


@pytest.mark.slow
def test_inference_aware_optimum_is_the_root_of_the_first_order_condition():
    rng = np.random.default_rng(0)
    loss, served = rng.uniform(1.9, 3.0, 1000), 10 ** rng.uniform(8, 16, 1000)
    solve = jax.jit(jax.vmap(lambda loss, served: t2.inference_aware_optimum(LAW, loss, served)))
    plans = solve(loss, served)
    assert np.all(plans.ok)
    N, D = _by_first_order_condition(LAW, loss, served)
    np.testing.assert_allclose(plans.value, 6 * N * D + 2 * N * served, rtol=1e-10)
    np.testing.assert_allclose(plans.allocation.params, N, rtol=1e-10)
    np.testing.assert_allclose(plans.allocation.tokens, D, rtol=1e-10)
    np.testing.assert_allclose(plans.allocation.samples, 1.0, rtol=1e-10)
    # The other form of the condition.
    A, B, alpha, beta = (float(getattr(LAW, name)) for name in ("A", "B", "alpha", "beta"))
    N, D = np.asarray(plans.allocation.params), np.asarray(plans.allocation.tokens)
    implied = 3 * D * (alpha * A * N**-alpha / (beta * B * D**-beta) - 1)
    np.testing.assert_allclose(implied, served, rtol=1e-7, atol=1e-8 * D.max())


def test_inference_aware_optimum_of_no_demand_is_chinchillas_and_demand_makes_models_smaller():
    target = t2.minimize(LAW, [t2.TrainingFLOPs() <= 1e23])
    few, many = (t2.inference_aware_optimum(LAW, target.value, served) for served in (1.0, 1e14))
    np.testing.assert_allclose(few.allocation.params, target.allocation.params, rtol=1e-6)
    assert many.allocation.params < few.allocation.params
    assert many.allocation.tokens > few.allocation.tokens


@pytest.mark.slow
def test_inference_aware_optimum_differentiates():
    slope = jax.grad(lambda served: t2.inference_aware_optimum(LAW, 2.0, served).value)(1e14)
    params = t2.inference_aware_optimum(LAW, 2.0, 1e14).allocation.params
    np.testing.assert_allclose(slope, 2 * params, rtol=1e-9)  # the envelope theorem


def test_a_loss_that_no_model_reaches():
    with pytest.raises(t2.NoSolutionError):
        t2.inference_aware_optimum(LAW, 1.5, 1e12)
    assert not t2.inference_aware_optimum(LAW, 1.5, 1e12, throw=False).ok


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: t2.overtraining_ratio(0.0, 1e12), "params must be positive and finite, got 0.0"),
        (lambda: t2.inference_factor(-1, 1e12), "inference_tokens must be positive and finite, got -1"),
        (lambda: t2.serving_years(1e9, 0), "tokens_per_day must be positive and finite, got 0"),
        (lambda: t2.inference_aware_optimum(LAW, 2.0, 0.0), "inference_tokens must be positive and finite, got 0.0"),
        (
            lambda: t2.break_even_tokens(t2.Allocation(7e9, 1e12), t2.Allocation(70e9, 1e12)),
            "small must have fewer parameters than large: compare them in the other order",
        ),
        (
            lambda: t2.compute_overhead(HARM, [0.5, 0.05]),
            "fraction = 0.05 is too small: under this law no amount of data brings a model below 0.0974 of the "
            "compute-optimal size to the optimum's loss (at index 1)",
        ),
    ],
)
def test_bad_numbers(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        make()
    assert str(error.value) == message


def test_what_is_no_number_or_no_such_law():
    with pytest.raises(TypeError, match=r"^tokens must be a number, got 'many'$"):
        t2.overtraining_ratio(7e9, "many")
    for law in (t2.published("kaplan2020"), t2.T2Loss(LAW, 1.0, 0.3), t2.params):
        with pytest.raises(TypeError, match=r"^law must be a sum E \+ A/N\^α \+ B/D\^β, such as t2jax.Chinchilla, got"):
            t2.capacity_floor(law, 1e9)
    assert eqx.filter_jit(t2.capacity_floor)(LAW, 1e9) == pytest.approx(float(t2.capacity_floor(LAW, 1e9)), rel=1e-14)
