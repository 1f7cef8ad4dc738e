"""The two T² approaches against mpmath and SciPy, and the tasks fitted to real counts."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy.special import betaln, expit

import t2jax as t2
from t2jax.quantities import Curvature, Scale

BESIROGLU = (1.8172, 482.01, 2085.43, 0.3478, 0.3658)
LAW = t2.Chinchilla(*BESIROGLU)
LOSS_TASK = t2.T2Loss(LAW, 1.0, 0.3)
THETAS = {
    "pythia-gsm8k": (0.7791477, 3.106828, 1.0, -1.827815, 2.448948),
    "mean below one": (0.9, 2.0, 0.7, -0.5, 1.0),
    "spread the same everywhere": (1.2, 5.0, 0.4, 0.5, 0.0),
}


def points(size=40, seed=0):
    rng = np.random.default_rng(seed)
    low, high = np.log([1e7, 1e9, 1.0]), np.log([1e12, 1e14, 1e6])
    return np.exp(rng.uniform(low, high, (size, 3)))


def at_logs(x):
    """An allocation whose entries are logarithms, as quantities take it inside."""
    return eqx.tree_at(lambda a: (a.params, a.tokens, a.samples), t2.Allocation(1.0, 1.0), tuple(x))


def exact_log_odds(theta, n, d, k):
    """Log odds of pass@k as the paper writes it, in 60 digits."""
    with mp.workdps(max(60, mp.mp.dps)):
        e, a_, b_, alpha, beta = (mp.mpf(c) for c in BESIROGLU)
        t = [mp.mpf(c) for c in theta]
        loss = e + a_ / mp.mpf(n) ** alpha + b_ / mp.mpf(d) ** beta
        mean, nu = t[2] / (1 + mp.exp(t[1] * (loss - t[0]))), mp.exp(t[3] + t[4] * loss)
        a, b = mean * nu, (1 - mean) * nu
        failure = mp.beta(a, b + mp.mpf(k)) / mp.beta(a, b)
        return mp.log((1 - failure) / failure)


# Approach 1


def test_loss_values():
    n, d, k = points().T
    e, a, b, alpha, beta = BESIROGLU
    expected = e + a / n**alpha + b / d**beta + 1.0 / k**0.3
    np.testing.assert_allclose(LOSS_TASK(t2.Allocation(n, d, k)), expected, rtol=2e-14)
    # At k = 1 the irreducible loss is E + G.
    assert float(LOSS_TASK(t2.Allocation(1e35, 1e35))) == pytest.approx(2.8172, rel=1e-9)


def test_loss_of_the_reference_optima():
    for at, value in (
        ((8.60398884e9, 1.01853096e12, 2755.66525), 2.16350107),
        ((116951714, 3.64822927e10, 8.55053736), 3.38134159),
    ):
        assert float(LOSS_TASK(t2.Allocation(*at))) == pytest.approx(value, rel=1e-8)


def test_loss_derivatives():
    def log_task(x):
        return LOSS_TASK.log_value(at_logs(x))

    x = jnp.log(jnp.asarray(points(5)))
    slopes, bends = jax.jit(jax.vmap(lambda x: (jax.grad(log_task)(x), jax.hessian(log_task)(x))))(x)
    e, a, b, alpha, beta = BESIROGLU
    for i, (n, d, k) in enumerate(points(5)):
        terms = np.array([a / n**alpha, b / d**beta, 1.0 / k**0.3])
        share = terms / (e + terms.sum())
        slope = -np.array([alpha, beta, 0.3]) * share
        bend = np.diag(np.array([alpha, beta, 0.3]) ** 2 * share) - np.outer(slope, slope)
        np.testing.assert_allclose(slopes[i], slope, rtol=1e-12)
        np.testing.assert_allclose(bends[i], bend, rtol=1e-10, atol=1e-15)


def test_curvature():
    assert LOSS_TASK.curvature is Curvature.CONVEX
    assert t2.T2Accuracy(LAW, THETAS["pythia-gsm8k"]).few_optima
    rng = np.random.default_rng(1)
    ends = rng.uniform(0, 60, (2, 200_000, 3))
    log = jax.jit(lambda x: LOSS_TASK.log_value(at_logs(x.T)))
    assert np.max(log(ends.mean(axis=0)) - (log(ends[0]) + log(ends[1])) / 2) <= 1e-13


# Approach 2


@pytest.mark.parametrize("name", THETAS)
def test_accuracy_values(name):
    task = t2.T2Accuracy(LAW, THETAS[name])
    n, d, k = points().T
    exact = [exact_log_odds(THETAS[name], *point) for point in zip(n, d, k, strict=True)]
    allocation = t2.Allocation(n, d, k)
    np.testing.assert_allclose(task(allocation), [float(1 / (1 + mp.exp(-x))) for x in exact], rtol=1e-12)
    scores = task.score(jax.tree.map(jnp.log, allocation))
    # An error of 1e-15 in a, b or k is one of as much in the odds, not in their logarithm.
    np.testing.assert_allclose(scores, np.array(exact, float), rtol=1e-12, atol=1e-12)
    assert task.scale is Scale.LOG_ODDS


@pytest.mark.parametrize("name", THETAS)
def test_accuracy_against_scipy(name):
    """A loose check, as the difference of two log Betas keeps only five digits where a is small."""
    theta0, theta1, theta2, theta3, theta4 = THETAS[name]
    task, (n, d, k) = t2.T2Accuracy(LAW, THETAS[name]), points(200, seed=4).T
    loss = np.asarray(LAW.loss(n, d))
    mean, nu = theta2 * expit(-theta1 * (loss - theta0)), np.exp(theta3 + theta4 * loss)
    a, b = mean * nu, (1 - mean) * nu
    np.testing.assert_allclose(task(t2.Allocation(n, d, k)), -np.expm1(betaln(a, b + k) - betaln(a, b)), rtol=1e-4)
    rates = task.pass_rates(n, d)
    np.testing.assert_allclose(rates.a, a, rtol=1e-12)
    np.testing.assert_allclose(rates.b, b, rtol=1e-12)
    np.testing.assert_allclose(rates.pass_at_k(k), task(t2.Allocation(n, d, k)), rtol=1e-12)
    # One sample is right as often as the mean says; more are right less often than independent tries of the mean.
    np.testing.assert_allclose(task(t2.Allocation(n, d)), mean, rtol=1e-12)
    assert np.all(np.asarray(task(t2.Allocation(n, d, k))) <= -np.expm1(k * np.log1p(-mean)) * (1 + 1e-12))


@pytest.mark.slow
@pytest.mark.parametrize("name", THETAS)
def test_accuracy_derivatives(name):
    task = t2.T2Accuracy(LAW, THETAS[name])

    def score(x):
        return task.score(at_logs(x))

    allocations = points(4, seed=5)
    both = jax.jit(jax.vmap(lambda x: (jax.grad(score)(x), jax.hessian(score)(x))))
    slopes, bends = both(jnp.log(jnp.asarray(allocations)))
    with mp.workdps(60):
        for i, at in enumerate(allocations):

            def f(u, v, w, at=at):
                scaled = [mp.mpf(c) * mp.exp(s) for c, s in zip(at, (u, v, w), strict=True)]
                return exact_log_odds(THETAS[name], *scaled)

            orders = [[tuple(int(i == p) + int(j == p) for p in range(3)) for j in range(3)] for i in range(3)]
            slope = np.array([mp.diff(f, (0, 0, 0), tuple(int(i == p) for p in range(3))) for i in range(3)], float)
            bend = np.array([[mp.diff(f, (0, 0, 0), order) for order in row] for row in orders], float)
            np.testing.assert_allclose(slopes[i], slope, rtol=1e-9, atol=1e-9 * np.abs(slope).max())
            np.testing.assert_allclose(bends[i], bend, rtol=1e-8, atol=1e-8 * np.abs(bend).max())


def test_accuracy_never_saturates_on_its_scale():
    """1 − pass@k of 1e-100, and pass@k of 1e-12, still differ from their neighbours."""
    task = t2.T2Accuracy(t2.Chinchilla(0.01, *BESIROGLU[1:]), (2.0, 4.0, 1.0, 1.0, 0.0))
    sure = jnp.log(jnp.array([[1e14, 1e16, 1e9], [1e14, 1e16, 1.1e9]]))
    scores = jax.vmap(lambda x: task.score(at_logs(x)))(sure)
    assert scores[1] > scores[0] > 30
    hopeless = t2.T2Accuracy(LAW, (0.5, 20.0, 1.0, 1.0, 0.0))
    low = hopeless(t2.Allocation(1e7, 1e9))
    assert 0 < float(low) < 1e-12


def test_accuracy_in_float32():
    theta = THETAS["pythia-gsm8k"]
    n, d, k = points(60).astype(np.float32).T
    with jax.enable_x64(False):
        task = t2.T2Accuracy(t2.Chinchilla(*BESIROGLU), theta)
        found = task(t2.Allocation(n, d, k))
        assert found.dtype == jnp.float32
    wide = t2.T2Accuracy(LAW, theta)(t2.Allocation(*(a.astype(float) for a in (n, d, k))))
    np.testing.assert_allclose(np.asarray(found, float), wide, rtol=2e-5)


def test_theta_batches_and_differentiates():
    theta = jnp.array(list(THETAS.values()))
    at = t2.Allocation(1e9, 1e11, 50.0)
    one = [float(t2.T2Accuracy(LAW, row)(at)) for row in theta]
    np.testing.assert_allclose(jax.vmap(lambda t: t2.T2Accuracy(LAW, t)(at))(theta), one, rtol=1e-13)
    np.testing.assert_allclose(t2.T2Accuracy(LAW, theta)(at), one, rtol=1e-13)
    value = jax.jit(lambda t: t2.T2Accuracy(LAW, t)(at))
    slope = jax.grad(value)(theta[1])
    for i in range(5):
        step = 1e-6 * np.eye(5)[i]
        assert float(slope[i]) == pytest.approx(
            float(value(theta[1] + step) - value(theta[1] - step)) / 2e-6, rel=1e-6, abs=1e-9
        )
    # θ2 = 1 is allowed and its derivative exists (from the left).
    assert np.all(np.isfinite(jax.grad(value)(theta[0])))


def test_users_own_law():
    """A law need not be one of ours: any quantity of N and D is."""
    own = t2.quantity(lambda a: 1.8172 + 482.01 / a.params**0.3478 + 2085.43 / a.tokens**0.3658, name="mine")
    n, d, k = points().T
    for ours, theirs in (
        (LOSS_TASK, t2.T2Loss(own, 1.0, 0.3)),
        (t2.T2Accuracy(LAW, THETAS["pythia-gsm8k"]), t2.T2Accuracy(own, THETAS["pythia-gsm8k"])),
    ):
        np.testing.assert_allclose(theirs(t2.Allocation(n, d, k)), ours(t2.Allocation(n, d, k)), rtol=1e-12)
        assert theirs.curvature is Curvature.UNKNOWN


# Fitted to real counts


def test_the_fitted_task():
    task = t2.published("pythia-gsm8k")
    n, d, k = 1e9, 2e10, 100.0
    loss = float(t2.Chinchilla(1.81686413, 482.006055, 2085.436245, 0.34781307, 0.36585416).loss(n, d))
    mean, nu = expit(2.420678 - 3.106828 * loss), math.exp(-1.827815 + 2.448948 * loss)
    a, b = mp.mpf(mean * nu), mp.mpf((1 - mean) * nu)
    expected = float(1 - mp.beta(a, b + 100) / mp.beta(a, b))
    assert float(task(t2.Allocation(n, d, k))) == pytest.approx(expected, rel=1e-10)


def test_the_fitted_loss_task():
    task = t2.published("pythia-gsm8k-loss")
    n, d, k = 1e9, 2e10, 100.0
    expected = 1.6259e7 / n**0.93695 + 9.7598e8 / d**0.93527 + 6.29565 / k**0.43883
    assert float(task(t2.Allocation(n, d, k))) == pytest.approx(expected, rel=1e-13)


# Bad input

NAN = float("nan")
MESSAGES = [
    (lambda: t2.T2Loss(LAW, 0, 0.3), ValueError, "G must be positive and finite, got 0"),
    (lambda: t2.T2Loss(LAW, 1, NAN), ValueError, "gamma must be positive and finite, got nan"),
    (lambda: t2.T2Loss(LAW, "one", 0.3), TypeError, "G must be a number, got 'one'"),
    (
        lambda: t2.T2Loss(LAW, 1, np.float16(0.3)),
        TypeError,
        "gamma is float16, which cannot hold FLOPs or tokens: use float32 or float64",
    ),
    (lambda: t2.T2Accuracy(LAW, (1, 2, 3)), ValueError, "theta must be the five numbers (θ0, …, θ4), got 3"),
    (lambda: t2.T2Accuracy(LAW, 3), TypeError, "theta must be the five numbers (θ0, …, θ4), got 3"),
    (
        lambda: t2.T2Accuracy(LAW, jnp.ones((3, 4))),
        ValueError,
        "theta must be the five numbers (θ0, …, θ4), got shape (3, 4)",
    ),
    (
        lambda: t2.T2Accuracy(LAW, (1, -2, 0.5, 0, 0)),
        ValueError,
        "theta[1], the steepness θ1, must be positive and finite, got -2.0",
    ),
    (
        lambda: t2.T2Accuracy(LAW, (1, 2, 0, 0, 0)),
        ValueError,
        "theta[2], the highest mean pass rate θ2, must be above 0 and at most 1, got 0.0",
    ),
    (
        lambda: t2.T2Accuracy(LAW, (1, 2, 1.5, 0, 0)),
        ValueError,
        "theta[2], the highest mean pass rate θ2, must be above 0 and at most 1, got 1.5",
    ),
    (lambda: t2.T2Accuracy(LAW, (1, 2, 0.5, NAN, 0)), ValueError, "theta[3] must be finite, got nan"),
    (lambda: t2.T2Accuracy(LAW, (1, 2, "a", 0, 0)), TypeError, "theta[2] must be a number, got 'a'"),
]


@pytest.mark.parametrize(("make", "error", "message"), MESSAGES)
def test_bad_input(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("task", [t2.T2Loss, t2.T2Accuracy])
@pytest.mark.parametrize("law", [3, "besiroglu2024", None])
def test_what_is_no_loss_law(task, law):
    with pytest.raises(TypeError) as caught:
        task(law, *((1.0, 0.3) if task is t2.T2Loss else (THETAS["pythia-gsm8k"],)))
    assert str(caught.value).startswith(
        f"{task.__name__} takes a loss law of N and D first, for example t2jax.published('besiroglu2024'), got "
    )
