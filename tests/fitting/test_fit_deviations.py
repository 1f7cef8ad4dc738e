"""Least absolute deviations: linear ones within a box, and fits whose optimum is a vertex, a valley, or E = 0."""

import os

import numpy as np
import pytest
from fit_references import DELTA, Objective, bounds_of, by_linear_programmes
from scipy.optimize import linprog

import t2jax as t2
from t2jax.fitting import LeastAbsoluteDeviations, fit
from t2jax.fitting._exchange import linear_optimum

SCALE = int(os.environ.get("T2JAX_TEST_SCALE", "1"))


def by_linprog(S, r, weights, low, high):
    """The least Σ w·(over + under), S·d + r = over − under. Its bounds hold to a tolerance of its own."""
    n, p = S.shape
    costs = np.concatenate([np.zeros(p), weights, weights])
    bounds = [*zip(low, high, strict=True), *[(0, None)] * (2 * n)]
    found = linprog(costs, A_eq=np.hstack([S, -np.eye(n), np.eye(n)]), b_eq=-r, bounds=bounds)
    return weights @ np.abs(r + S @ np.clip(found.x[:p], low, high))


def drawn(rng):
    """Rows that repeat, columns of any size (or of zeros), residuals of 0, and boxes that bind or not."""
    n, p = int(rng.integers(3, 40)), int(rng.integers(1, 7))
    S = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-3, 3, p)
    S[rng.random(n) < 0.3] = S[0]
    if rng.random() < 0.2:
        S[:, 0] = 0.0
    if rng.random() < 0.3:
        S = np.round(S)
    r = rng.normal(size=n) * (rng.random(n) < 0.8)
    size = np.maximum(np.abs(S).max(axis=0), 1e-3)
    high = 10.0 ** rng.uniform(-3, 2, p) / size
    low = -high * 10.0 ** rng.uniform(-6, 0, p)
    return S, r, rng.exponential(size=n), low, high


def test_linear_deviations_within_a_box_are_linprogs():
    rng = np.random.default_rng(SCALE)
    for _ in range(300 * SCALE):
        problem = drawn(rng)
        S, r, weights, low, high = problem
        found = linear_optimum(*problem)
        assert np.all((low <= found.move) & (found.move <= high))
        assert found.value == pytest.approx(weights @ np.abs(r + S @ found.move), rel=1e-12)
        assert found.value <= by_linprog(*problem) * (1 + 1e-9) + 1e-12
        assert np.abs(r + S @ found.move)[found.zero] == pytest.approx(0.0, abs=1e-9)
        # The forces balance, but for what the sides of the box carry.
        pull = np.delete(found.forces @ S / np.maximum(np.abs(S).max(axis=0), 1e-30), found.sides)
        assert pull == pytest.approx(0.0, abs=1e-6 * np.sum(weights))
        assert np.all(np.abs(found.forces) <= weights * (1 + 1e-12))


def noisy(rng, E):
    N, D = np.exp(rng.uniform(np.log(1e7), np.log(1e10), 20)), np.exp(rng.uniform(np.log(1e8), np.log(1e11), 20))
    loss = (E + 400.0 * N**-0.34 + 2000.0 * D**-0.37) * np.exp(rng.laplace(0, 0.02, 20))
    return np.stack([N, D, loss], axis=1)


@pytest.mark.parametrize("E", [1.8, 0.0])
def test_zero_is_a_subgradient(E):
    """SciPy's linear programmes, by E itself with E ≥ 0, find nothing better beside the fit."""
    for seed in range(3):
        rows = noisy(np.random.default_rng(seed), E)
        found = fit(
            t2.Chinchilla,
            dict(zip(("params", "tokens", "loss"), rows.T, strict=True)),
            starts=64,
            estimator=LeastAbsoluteDeviations(),
        )
        assert found.status != "not converged"
        objective, at = Objective(rows, True, DELTA), found.coefficients
        u, v = (np.log(rows[:, i]).mean() for i in (0, 1))
        middle = [np.log(at["A"]) - at["alpha"] * u, at["alpha"], np.log(at["B"]) - at["beta"] * v, at["beta"]]
        x = np.array([at["E"], *middle])
        assert np.abs(objective.residuals(x)[0]).sum() == pytest.approx(found.objective, rel=1e-9)
        assert by_linear_programmes(objective, x, bounds_of(rows)) >= found.objective * (1 - 1e-9)
