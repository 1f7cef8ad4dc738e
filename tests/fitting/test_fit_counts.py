"""Fits to benchmark counts: the likelihood to every digit, the known optimum of Pythia, boundaries said."""

import csv
import json
from collections import defaultdict

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import betabinom

import t2jax as t2
from t2jax.fitting import fit
from t2jax.fitting._estimators import BetaBinomial, LeastSquares
from t2jax.fitting._families import log_binomial, log_likelihood

LAD = t2.Chinchilla(1.81686413, 482.006055, 2085.436245, 0.34781307, 0.36585416)


@pytest.fixture(scope="module")
def counts(shared):
    """(benchmark, model, step) → its rows, with parameters and tokens."""
    with (shared / "data" / "pythia_checkpoints.csv").open(encoding="utf-8") as file:
        sizes = {
            (row["model"], row["step"]): (float(row["params"]), float(row["tokens"])) for row in csv.DictReader(file)
        }
    found = defaultdict(list)
    with (shared / "data" / "pythia_repeated_sampling.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            n, c = float(row["num_samples"]), float(row["num_correct"])
            found[row["benchmark"], row["model"], int(row["step"])].append((*sizes[row["model"], row["step"]], n, c))
    return {key: np.array(rows) for key, rows in found.items()}


def columns(rows):
    return dict(zip(("params", "tokens", "num_samples", "num_correct"), np.asarray(rows).T, strict=True))


@pytest.fixture(scope="module")
def gsm8k(counts):
    kept = [rows for (benchmark, _, step), rows in counts.items() if benchmark == "GSM8K" and step >= 1000]
    return columns(np.concatenate(kept))


# ── The likelihood ──


def of_library(a, b, n, c):
    data = {"num_samples": jnp.asarray(float(n)), "num_correct": jnp.asarray(float(c))}
    return log_likelihood(t2.BetaPassRate(a, b), data)


def test_likelihood_against_high_precision(shared):
    rows = json.loads((shared / "reference" / "high_precision.json").read_text())["betabinom_logpmf"]
    assert len(rows) >= 4
    for row in rows:
        n, c, a, b = float(row["n"]), float(row["c"]), float(row["a"]), float(row["b"])
        found = float(of_library(a, b, n, c)) + log_binomial(np.array([n]), np.array([c]))[0]
        assert found == pytest.approx(float(row["value"]), rel=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "n", "c"),
    [(0.05, 3.0, 128, 0), (0.2, 50.0, 10000, 0), (1.5, 4.0, 10000, 10000), (0.1, 1e6, 2980608, 4), (2.0, 3.0, 50, 20)],
)
def test_slopes_of_the_likelihood_against_mpmath(a, b, n, c):
    found = jax.grad(lambda a, b: of_library(a, b, n, c), argnums=(0, 1))(a, b)
    with mpmath.workdps(40):
        psi, A, B = mpmath.digamma, mpmath.mpf(a), mpmath.mpf(b)
        shared_part = psi(A + B) - psi(A + B + n)
        truth = (psi(A + c) - psi(A) + shared_part, psi(B + n - c) - psi(B) + shared_part)
    np.testing.assert_allclose(found, [float(one) for one in truth], rtol=1e-9, atol=1e-13)


# ── A Beta for each checkpoint ──


@pytest.mark.slow
def test_beta_of_drawn_counts_is_scipys():
    rng = np.random.default_rng(1)
    n = rng.integers(50, 2000, 60)  # unequal
    c = rng.binomial(n, rng.beta(0.4, 5.0, 60))
    found = fit(t2.BetaPassRate, {"num_samples": n, "num_correct": c})
    scipys = minimize(
        lambda z: -np.sum(betabinom.logpmf(c, n, *np.exp(z))), [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9}
    )
    assert found.objective <= scipys.fun + 1e-9
    np.testing.assert_allclose(found.values, np.exp(scipys.x), rtol=1e-3)
    assert found.log_likelihood == pytest.approx(-scipys.fun, abs=1e-7)
    assert found.status == "solved"
    # Standard errors from the curvature, here by differences of SciPy's.
    best = np.log(found.values)

    def objective(x, y):
        return -np.sum(betabinom.logpmf(c, n, np.exp(best[0] + x), np.exp(best[1] + y)))

    h, middle = 1e-3, objective(0, 0)
    haa = (objective(h, 0) + objective(-h, 0) - 2 * middle) / h**2
    hbb = (objective(0, h) + objective(0, -h) - 2 * middle) / h**2
    hab = (objective(h, h) - objective(h, -h) - objective(-h, h) + objective(-h, -h)) / (4 * h**2)
    errors = np.sqrt(np.diag(np.linalg.inv([[haa, hab], [hab, hbb]])))
    np.testing.assert_allclose(list(found.standard_errors.values()) / found.values, errors, rtol=1e-3)


@pytest.mark.slow
def test_every_checkpoint_of_pythia_gets_an_answer(counts):
    """All groups of both benchmarks: solved, or at the boundary where the counts do not say what Beta it is."""
    silent = 0
    for key, rows in counts.items():
        data = {name: column for name, column in columns(rows).items() if name.startswith("num")}
        found = fit(t2.BetaPassRate, data, starts=8)
        assert found.converged, (key, found.coefficients)
        if not data["num_correct"].any():
            silent += 1
            assert found.at_boundary, key
        if found.at_boundary:
            assert all(np.isnan(found.standard_errors[name]) for name in found.at_boundary)
        else:
            assert found.status == "solved"
        # No worse than the best of a coarse grid.
        n, c = data["num_samples"], data["num_correct"]
        grid = np.stack(np.meshgrid([0.01, 0.1, 0.5, 2.0], [1.0, 10.0, 1e3, 1e5]), axis=-1).reshape(-1, 2)
        best = max(np.sum(betabinom.logpmf(c, n, a, b)) for a, b in grid)
        assert found.log_likelihood >= best - 1e-6, key
    assert len(counts) == 153
    assert silent >= 1


@pytest.mark.parametrize("right", [0, 20], ids=["none right", "all right"])
def test_equal_certain_counts_are_at_the_boundary(right):
    found = fit(t2.BetaPassRate, {"num_samples": np.full(30, 20), "num_correct": np.full(30, right)})
    assert found.at_boundary
    assert found.converged
    assert found.status.startswith("at the boundary: ")
    assert found.log_likelihood == pytest.approx(0.0, abs=1e-3)
    assert np.isnan(list(found.standard_errors.values())).any()
    mean = found.coefficients["a"] / (found.coefficients["a"] + found.coefficients["b"])
    assert mean == pytest.approx(right / 20, abs=1e-3)


def test_equal_pass_rates_are_a_point_mass():
    """As many right of every problem, less spread than binomial: ν → ∞ with the mean known."""
    found = fit(t2.BetaPassRate, {"num_samples": np.full(30, 100), "num_correct": np.full(30, 25)})
    assert found.at_boundary
    a, b = found.values
    assert a / (a + b) == pytest.approx(0.25, rel=1e-6)
    assert a + b > 1e4
    assert "not identified" in str(found)


# ── Approach 2 ──


@pytest.fixture(scope="module")
def approach_2(gsm8k):
    return fit(t2.T2Accuracy(LAD, (0.8, 3.0, 1.0, 0.0, 0.0)), gsm8k, fixed=("law", "theta[2]"), starts=4)


@pytest.mark.slow
def test_approach_2_by_likelihood(approach_2):
    """EQUATIONS §2."""
    assert approach_2.log_likelihood >= -17597.82
    assert approach_2.status == "solved"
    theta = [approach_2.coefficients[f"theta[{i}]"] for i in range(5)]
    assert theta[0] * theta[1] == pytest.approx(2.420678, rel=1e-5)
    assert theta[1] == pytest.approx(3.106828, rel=1e-5)
    assert theta[2] == 1.0
    assert theta[3] == pytest.approx(-1.827815, rel=1e-5)
    assert theta[4] == pytest.approx(2.448948, rel=1e-5)
    assert approach_2.free == ("theta[0]", "theta[1]", "theta[3]", "theta[4]")


def scipys_likelihood(found, data):
    loss = found.model.law(t2.Allocation(data["params"], data["tokens"], 1.0))
    theta = found.values[-5:]
    mean = theta[2] / (1 + np.exp(theta[1] * (loss - theta[0])))
    nu = np.exp(theta[3] + theta[4] * loss)
    return np.sum(betabinom.logpmf(data["num_correct"], data["num_samples"], mean * nu, (1 - mean) * nu))


@pytest.mark.slow
def test_approach_2_likelihood_is_scipys(approach_2, gsm8k):
    assert approach_2.log_likelihood == pytest.approx(scipys_likelihood(approach_2, gsm8k), rel=1e-8)


@pytest.mark.slow
def test_highest_mean_pass_rate_goes_to_its_boundary(approach_2, gsm8k):
    begin = t2.T2Accuracy(LAD, (0.8, 3.0, 0.9, -1.8, 2.4))
    found = fit(begin, gsm8k, fixed="law", starts=2)
    assert found.at_boundary == ("theta[2]",)
    assert found.converged
    assert found.coefficients["theta[2]"] == pytest.approx(1.0, abs=1e-4)
    assert found.log_likelihood >= approach_2.log_likelihood - 1e-3
    assert np.isnan(found.standard_errors["theta[2]"])
    assert all(np.isnan(found.interval(0.9)["theta[2]"]))


@pytest.mark.slow
def test_law_fitted_jointly_from_counts(approach_2, gsm8k):
    """Shift and scale of the loss are pinned: θ could undo them. An eighth of the problems, to be quick."""
    few = {name: column[::8] for name, column in gsm8k.items()}
    found = fit(approach_2.model, few, fixed=("law.E", "law.A", "theta[2]"), starts=2)
    assert found.converged
    assert found.log_likelihood > scipys_likelihood(approach_2, few) + 2.0
    assert {"law.B", "law.alpha", "law.beta"} < set(found.free)
    assert found.coefficients["law.E"] == pytest.approx(1.81686413, rel=1e-12)
    # θ3 and θ4 are no logarithms: errors of 3 and more are no boundary.
    assert not {"theta[3]", "theta[4]"} & set(found.at_boundary)


@pytest.mark.slow
def test_recovers_approach_2_in_the_papers_two_stages():
    """A weighted least-squares fit to the task's loss, then pass@k with the law fixed: exact without noise."""
    law = t2.Chinchilla(0.3, 90.0, 400.0, 0.3, 0.32)
    truth = t2.T2Accuracy(law, (1.1, 4.0, 0.95, 0.5, 1.2))
    params = np.tile(np.geomspace(5e6, 9e8, 8), 8)
    tokens = np.repeat(np.geomspace(1e9, 1e11, 8), 8)
    weights = np.resize([0.5, 1.0, 2.0], 64)
    losses = {"params": params, "tokens": tokens, "loss": np.asarray(law(t2.Allocation(params, tokens, 1.0)))}
    first = fit(t2.Chinchilla, losses, estimator=LeastSquares(), weights=weights, starts=256)
    np.testing.assert_allclose(first.values, [0.3, 90.0, 400.0, 0.3, 0.32], rtol=1e-6)
    samples = np.resize([1.0, 8.0, 64.0, 512.0], 64)
    rows = {"params": params, "tokens": tokens, "samples": samples}
    rows["pass_at_k"] = np.asarray(truth(t2.Allocation(params, tokens, samples)))
    second = fit(t2.T2Accuracy(first.model, (1.0, 3.0, 0.9, 0.0, 0.0)), rows, fixed="law")
    assert second.estimator == LeastSquares()
    np.testing.assert_allclose(second.values[-5:], [1.1, 4.0, 0.95, 0.5, 1.2], rtol=1e-5)
    assert second.converged
    np.testing.assert_allclose(second.predict(params, tokens, samples), rows["pass_at_k"], rtol=1e-6)
    assert second.rows == 64
    assert not isinstance(second.estimator, BetaBinomial)


@pytest.mark.slow
def test_counts_drawn_from_a_task_are_recovered_within_their_errors(approach_2, gsm8k):
    """Pythia's own table of runs, with counts drawn from the fitted task."""
    rates = approach_2.model.pass_rates(gsm8k["params"], gsm8k["tokens"])
    rng = np.random.default_rng(3)
    drawn = rng.binomial(gsm8k["num_samples"].astype(int), rng.beta(np.asarray(rates.a), np.asarray(rates.b)))
    begin = t2.T2Accuracy(LAD, (0.8, 3.0, 1.0, 0.0, 0.0))
    found = fit(begin, {**gsm8k, "num_correct": drawn}, fixed=("law", "theta[2]"), starts=4)
    assert found.status == "solved"
    for name, error in found.standard_errors.items():
        assert abs(found.coefficients[name] - approach_2.coefficients[name]) < 3.5 * error
