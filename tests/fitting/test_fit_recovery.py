"""A hundred random laws with known truth: how often intervals hold it."""

import jax
import numpy as np
import pytest

import t2jax as t2

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


@pytest.mark.slow
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


@pytest.mark.slow
def test_resamples_spread_as_the_errors_say():
    """Asymptotic standard errors and those of 400 resamples are two estimates of one number."""
    _, runs = random_runs(7)
    found = t2.fit(t2.Chinchilla, runs, estimator=t2.LeastSquares(), starts=64)
    laws = found.bootstrap(400, key=jax.random.key(1))
    for name, error in found.standard_errors.items():
        assert float(np.std(np.log(getattr(laws, name)))) == pytest.approx(error / found.coefficients[name], rel=0.3)
