"""A hundred random laws with known truth: how often intervals hold it, and how sure the optimum is."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax.fitting.coordinates import Coordinates, in_float64
from t2jax.fitting.optimum import _slopes

NOISE = 0.005
NAMES = ("E", "A", "B", "alpha", "beta")


def random_runs(seed: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """A law around the published ones and 144 runs on a grid of 12 sizes and 12 numbers of tokens."""
    rng = np.random.default_rng(seed)
    truth = {
        "E": rng.uniform(1.4, 2.0),
        "A": np.exp(rng.uniform(np.log(200), np.log(800))),
        "B": np.exp(rng.uniform(np.log(300), np.log(3000))),
        "alpha": rng.uniform(0.3, 0.4),
        "beta": rng.uniform(0.28, 0.4),
    }
    params, tokens = (one.ravel() for one in np.meshgrid(np.geomspace(2e7, 2e10, 12), np.geomspace(3e8, 1e12, 12)))
    loss = truth["E"] + truth["A"] / params ** truth["alpha"] + truth["B"] / tokens ** truth["beta"]
    return truth, {"params": params, "tokens": tokens, "loss": loss * np.exp(NOISE * rng.normal(size=144))}


@pytest.mark.parametrize("estimator", [t2.Huber(1e-3), t2.LeastSquares()], ids=["Huber", "least squares"])
def test_intervals_hold_the_truth_nine_times_in_ten(estimator):
    held = []
    for seed in range(100):
        truth, runs = random_runs(seed)
        found = t2.fit(t2.Chinchilla, runs, estimator=estimator, starts=16)
        assert found.status == "solved"
        intervals = found.interval(0.9)
        held += [[low <= truth[name] <= high for name, (low, high) in intervals.items()]]
    assert 0.85 <= np.mean(held) <= 0.95, np.mean(held, axis=0)


def test_resamples_spread_as_the_errors_say():
    """Asymptotic standard errors and those of 400 resamples are two estimates of one number."""
    _, runs = random_runs(7)
    found = t2.fit(t2.Chinchilla, runs, estimator=t2.LeastSquares(), starts=64)
    laws = found.bootstrap(400, key=jax.random.key(1))
    for name, error in found.standard_errors.items():
        assert float(np.std(np.log(getattr(laws, name)))) == pytest.approx(error / found.coefficients[name], rel=0.3)


def test_the_optimum_by_ensemble_and_by_derivatives():
    _, runs = random_runs(11)
    found = t2.fit(t2.Chinchilla, runs, starts=64)
    laws = found.bootstrap(300, key=jax.random.key(2))
    assert laws.E.shape == (300,)

    def problem(law):
        return t2.minimize(law, [t2.TrainingFLOPs() <= 1e23])

    answer = t2.optimum_interval(found, problem, ensemble=laws)
    assert answer.solved == 1.0
    alone = eqx.filter_vmap(problem)(laws)
    low, high = np.quantile(alone.allocation.params, [0.05, 0.95])
    assert (answer.ensemble["params"].low, answer.ensemble["params"].high) == pytest.approx((low, high), rel=1e-6)
    for name in ("params", "tokens", "value"):
        by_delta, by_ensemble = answer.delta[name], answer.ensemble[name]
        width = np.log(by_ensemble.high / by_ensemble.low)
        assert np.log(by_delta.high / by_delta.low) == pytest.approx(width, rel=0.4)
        assert abs(np.log(by_delta.median / by_ensemble.median)) < 0.3 * width
    text = str(answer).splitlines()
    assert text[0].split() == ["delta", "method", "90%", "interval", "ensemble", "90%", "interval"]
    assert t2.optimum_interval(found, problem).ensemble is None

    # d log N*/d coefficient against the closed form N* = G·(C/6)^(β/(α+β)).
    def log_params(values):
        E, A, B, alpha, beta = values
        scale = jnp.log(alpha * A / (beta * B)) / (alpha + beta)
        return scale + beta / (alpha + beta) * jnp.log(1e23 / 6) + 0.0 * E

    coordinates = Coordinates.of(in_float64(found.model), {}, (), ())
    slopes = _slopes(problem, coordinates, (0, 1, 2, 3, 4), jnp.asarray(found.values))
    np.testing.assert_allclose(slopes[0], jax.grad(log_params)(jnp.asarray(found.values)), rtol=1e-8, atol=1e-14)
    error = float(np.sqrt(np.asarray(slopes[0]) @ found.covariance @ np.asarray(slopes[0])))
    expected = np.log(answer.delta["params"].high / answer.delta["params"].median)
    assert expected == pytest.approx(1.6448536 * error, rel=1e-6)
    assert abs(np.log(answer.delta["params"].median) - float(log_params(jnp.asarray(found.values)))) < 1e-9
