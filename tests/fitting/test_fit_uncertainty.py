"""How sure fits are: coverage of intervals, resamples, groups, and what is carried through to the optimum."""

import csv

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax.fitting import fit, holdout
from t2jax.fitting._estimators import Huber, LeastSquares
from t2jax.fitting._optimum import optimum_interval

NAMES = ("E", "A", "B", "alpha", "beta")
PUBLISHED_ERRORS = {"A": 124.5, "B": 1293.0, "E": 0.0257, "alpha": 0.0154, "beta": 0.0206}


@pytest.fixture(scope="module")
def chinchilla_runs(shared):
    with (shared / "data" / "chinchilla_besiroglu.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["besiroglu_excluded"] == "0"]
    return {name: np.array([float(row[name]) for row in rows]) for name in ("params", "tokens", "loss")}


@pytest.fixture(scope="module")
def real(chinchilla_runs):
    return fit(t2.Chinchilla, chinchilla_runs, starts=512)


@pytest.fixture(scope="module")
def resampled(real):
    return real.bootstrap(1000, key=jax.random.key(0))


def grid_of_runs():
    """120 runs from 1e18 to 3e21 FLOPs, from 1 to 700 tokens per parameter."""
    params, flops = (one.ravel() for one in np.meshgrid(np.geomspace(5e7, 1e10, 18), np.geomspace(1e18, 3e21, 13)))
    tokens = flops / (6 * params)
    kept = (tokens / params > 1) & (tokens / params < 700)
    return params[kept], tokens[kept]


PARAMS, TOKENS = grid_of_runs()
LAW = t2.Chinchilla(1.8, 400.0, 2000.0, 0.34, 0.37)


def noisy(law=LAW, noise=0.005, seed=0):
    rng = np.random.default_rng(seed)
    exact = np.asarray(law(t2.Allocation(PARAMS, TOKENS, 1.0)))
    return {"params": PARAMS, "tokens": TOKENS, "loss": exact * np.exp(rng.normal(0.0, noise, len(exact)))}


@pytest.fixture(scope="module")
def made():
    return fit(t2.Chinchilla, noisy(), starts=256)


@pytest.mark.slow
def test_thousand_resamples_have_the_published_errors(resampled):
    for name, error in PUBLISHED_ERRORS.items():
        assert np.std(getattr(resampled, name)) == pytest.approx(error, rel=0.15)


@pytest.mark.slow
def test_resamples_are_refits_by_weight(made):
    """A member is the fit to rows repeated as often as they were drawn."""
    key = jax.random.key(5)
    one = made.bootstrap(1, key=key)
    seed = np.asarray(jax.random.bits(key, (4,), "uint32"))
    n = len(PARAMS)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), 1)[0]
    again = fit(t2.Chinchilla, noisy(), weights=drawn.astype(float), starts=[made.model])
    for name in NAMES:
        assert float(getattr(one, name)[0]) == pytest.approx(again.coefficients[name], rel=1e-4)


def test_resamples_follow_the_key_and_report_progress(made):
    told = []
    first, same, other = (
        made.bootstrap(40, key=jax.random.key(seed), progress=lambda done, of: told.append((done, of)))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.alpha, same.alpha)
    assert not np.array_equal(first.alpha, other.alpha)
    assert first.alpha.shape == (40,)
    assert first.provenance == made.model.provenance
    assert told[-1] == (40, 40)
    assert all(done <= of for done, of in told)


def test_groups_are_resampled_whole(made):
    labels = np.arange(len(PARAMS)) // 10
    laws = made.bootstrap(20, key=jax.random.key(0), groups=labels)
    assert np.isfinite(laws.alpha).all()
    with pytest.raises(
        ValueError, match=rf"groups must be one label for each of the {len(PARAMS)} rows, got shape \(3,\)"
    ):
        made.bootstrap(20, key=jax.random.key(0), groups=[1, 2, 3])
    with pytest.raises(ValueError, match="n must be a whole number of resamples, got 0"):
        made.bootstrap(0, key=jax.random.key(0))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [Huber(1e-3), LeastSquares()], ids=str)
def test_rows_repeated_within_their_groups_add_no_certainty(estimator):
    data = noisy()
    labels = np.array([f"run {i}" for i in range(len(PARAMS))])
    once = fit(t2.Chinchilla, {**data, "run": labels}, groups="run", estimator=estimator, starts=[LAW])
    twice = {name: np.concatenate([column, column]) for name, column in data.items()}
    both = np.concatenate([labels, labels])
    grouped = fit(t2.Chinchilla, twice, groups=both, estimator=estimator, starts=[LAW])
    single = fit(t2.Chinchilla, twice, estimator=estimator, starts=[LAW])
    for name in NAMES:
        assert grouped.coefficients[name] == pytest.approx(once.coefficients[name], rel=1e-4)
        # To the small-sample factor.
        assert grouped.standard_errors[name] == pytest.approx(once.standard_errors[name], rel=0.03)
    # Rows taken for independent would promise 1/√2 of the errors; Huber's by a noisy count of residuals near zero.
    shrunk = [single.standard_errors[name] / once.standard_errors[name] for name in NAMES]
    assert 0.6 < np.mean(shrunk) < 0.9


def test_whole_weights_are_repeated_rows_and_zero_leaves_out():
    data = noisy()
    times = np.random.default_rng(2).integers(0, 3, len(PARAMS))
    weighted = fit(t2.Chinchilla, {**data, "w": times}, weights="w", starts=[LAW])
    repeated = fit(t2.Chinchilla, {name: np.repeat(column, times) for name, column in data.items()}, starts=[LAW])
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-9)
    np.testing.assert_allclose(weighted.values, repeated.values, rtol=1e-5)
    assert len(weighted.residuals) == len(PARAMS)  # those left out are predicted, too


def test_errors_of_least_squares_are_the_sandwich():
    """(JᵀJ)⁻¹ Jᵀdiag(r²)J (JᵀJ)⁻¹ with J by finite differences in the coefficients, times n²/((n − p)(n − 1))."""
    data = noisy()
    found = fit(t2.Chinchilla, data, estimator=LeastSquares(), starts=[LAW])
    at = np.array([found.coefficients[name] for name in NAMES])

    def loss(c):
        E, A, B, alpha, beta = c
        return E + A / PARAMS**alpha + B / TOKENS**beta

    steps = 1e-6 * at
    J = np.stack(
        [(loss(at + h * e) - loss(at - h * e)) / (2 * h) for h, e in zip(steps, np.eye(5), strict=True)], axis=1
    )
    J = J * at  # logarithms: better conditioned
    inverse = np.linalg.inv(J.T @ J)
    r, n = data["loss"] - loss(at), len(PARAMS)
    covariance = inverse @ (J.T * r**2) @ J @ inverse * n / (n - 5) * n / (n - 1)
    ours = [found.standard_errors[name] / found.coefficients[name] for name in NAMES]
    np.testing.assert_allclose(ours, np.sqrt(np.diag(covariance)), rtol=1e-4)
    # Intervals are symmetric in logarithms.
    low, high = found.interval(0.9)["alpha"]
    assert low * high == pytest.approx(found.coefficients["alpha"] ** 2, rel=1e-9)
    assert np.log(high / low) == pytest.approx(2 * 1.6448536 * ours[3], rel=1e-4)


def test_coefficients_the_data_say_nothing_of():
    """A second term far below rounding: its exponent runs away, E takes its part, and nothing of it has digits."""
    law = t2.Chinchilla(1.8, 400.0, 1e-12, 0.34, 0.3)
    found = fit(t2.Chinchilla, noisy(law, noise=0.001), starts=128)
    assert {"B", "beta"} <= set(found.at_boundary)  # no amplitude without its exponent
    for name in found.at_boundary:
        assert np.isnan(found.standard_errors[name])
        assert np.isnan(found.interval(0.9)[name]).all()
    assert found.coefficients["alpha"] == pytest.approx(0.34, rel=0.1)
    assert found.status.startswith("at the boundary: ")


@pytest.mark.slow
def test_no_irreducible_loss_is_zero_exactly():
    data = {**noisy(), "loss": 400.0 * PARAMS**-0.2 + 90.0 * TOKENS**-0.15}
    data["loss"] = (
        data["loss"] * np.exp(np.random.default_rng(1).normal(0, 0.02, len(PARAMS))) * (1 + PARAMS / 1e11) ** -0.5
    )
    found = fit(t2.Chinchilla, data, starts=256)
    assert found.coefficients["E"] == 0.0
    assert found.at_boundary == ("E",)
    assert "E" not in found.standard_errors
    assert "at its boundary" in str(found)
    laws = found.bootstrap(5, key=jax.random.key(0))
    np.testing.assert_array_equal(laws.E, 0.0)


# ── Through to the optimum ──


def log_optimal_params(coefficients):
    """log N* of 5.88e23 = 6ND, in closed form: N* = G·(C/6)^(β/(α+β))."""
    _, A, B, alpha, beta = coefficients
    return jnp.log(alpha * A / (beta * B)) / (alpha + beta) + beta / (alpha + beta) * jnp.log(5.88e23 / 6)


@pytest.mark.slow
def test_optimum_by_both_methods(real, resampled):
    problem = lambda law: t2.minimize(law, [t2.TrainingFLOPs() <= 5.88e23])  # noqa: E731
    found = optimum_interval(real, problem, ensemble=resampled)
    assert found.solved == 1.0
    best = problem(real.model)
    for name, central in (
        ("params", best.allocation.params),
        ("tokens", best.allocation.tokens),
        ("value", best.value),
    ):
        delta, ensemble = found.delta[name], found.ensemble[name]
        assert delta.median == pytest.approx(float(central), rel=1e-9)
        assert delta.low < delta.median < delta.high
        assert ensemble.low < ensemble.median < ensemble.high
        widths = [np.log(one.high / one.low) for one in (delta, ensemble)]
        assert widths[0] == pytest.approx(widths[1], rel=0.15)
    # Both against the closed form: of every member, and of the derivatives by the coefficients.
    members = log_optimal_params([getattr(resampled, name) for name in NAMES])
    low, high = np.quantile(members, [0.05, 0.95])
    assert [found.ensemble["params"].low, found.ensemble["params"].high] == pytest.approx(np.exp([low, high]), rel=1e-6)
    slopes = jax.grad(log_optimal_params)(jnp.asarray([real.coefficients[name] for name in NAMES]))
    error = np.sqrt(slopes @ real.covariance @ slopes)
    assert np.log(found.delta["params"].high / found.delta["params"].median) == pytest.approx(
        1.6448536 * error, rel=1e-6
    )
    assert str(found).splitlines()[0].split() == ["delta", "method", "90%", "interval", "ensemble", "90%", "interval"]
    assert optimum_interval(real, problem).ensemble is None
    with pytest.raises(ValueError, match="level must be strictly between 0 and 1, got 1"):
        optimum_interval(real, problem, level=1)


class Logistic(eqx.Module):
    a: jax.Array
    b: jax.Array

    def __call__(self, at):
        return jax.nn.sigmoid(self.a + self.b * jnp.log(at.params / 1e9))


@pytest.mark.slow
def test_an_interval_of_a_probability_stays_one():
    """Near 1 it is symmetric in log odds, a + b·log(N/10⁹): the closed form of its error."""
    noise = np.random.default_rng(2).normal(0, 0.03, len(PARAMS))
    rates = 1 / (1 + np.exp(-(0.5 + 0.8 * np.log(PARAMS / 1e9)))) + noise
    model = t2.quantity(Logistic(jnp.asarray(0.3), jnp.asarray(0.5)), probability=True)
    data = {"params": PARAMS, "tokens": TOKENS, "pass_at_k": np.clip(rates, 0, 1)}
    found = fit(model, data, starts=16)
    limits = [t2.params <= 1e12, t2.tokens <= 1e12, t2.samples <= 1]
    value = optimum_interval(found, lambda one: t2.maximize(one, limits)).delta["value"]
    slope = np.array([1.0, np.log(1e3)])
    odds, error = slope @ found.values, np.sqrt(slope @ found.covariance @ slope)
    ends = [1 / (1 + np.exp(-(odds + side * 1.6448536 * error))) for side in (0, -1, 1)]
    assert [value.median, value.low, value.high] == pytest.approx(ends, rel=1e-7)


# ── Forecasts ──


def test_holdout_by_hand(made):
    data = noisy()
    found = holdout(made, by="tokens_per_param", cut=40.0)
    below = TOKENS / PARAMS <= 40
    again = fit(t2.Chinchilla, {name: column[below] for name, column in data.items()}, starts=256)
    np.testing.assert_allclose(found.fit.values, again.values, rtol=1e-6)
    predicted = np.asarray(again.predict(PARAMS, TOKENS))
    error = predicted / data["loss"] - 1
    np.testing.assert_array_equal(found.observed, data["loss"][~below])
    np.testing.assert_allclose(found.predicted, predicted[~below], rtol=1e-6)
    assert found.relative_error == pytest.approx(np.mean(np.abs(error[~below])), rel=1e-5)
    assert found.relative_error_within == pytest.approx(np.mean(np.abs(error[below])), rel=1e-5)
    assert found.bias == pytest.approx(np.mean(error[~below]), rel=1e-4)
    assert f"fitted to {np.sum(below)} rows with tokens_per_param ≤ 40" in str(found)


def test_holdout_of_hoffmanns_runs(real):
    found = holdout(real)  # a fifth of the rows, of the most compute
    assert len(found.observed) == 48
    assert found.relative_error < 0.02


@pytest.mark.parametrize(
    ("by", "cut", "message"),
    [
        ("tokens", 1e15, r"no row has tokens above 1e\+15: the largest is"),
        ("params", 1.0, "no row has params up to 1: the smallest is 5e"),
        ("samples", None, "the data of this fit have no samples"),
        ("loss", None, "by must be one of flops, tokens_per_param, params, tokens, samples, got 'loss'"),
    ],
)
def test_holdout_says_what_is_wrong(made, by, cut, message):
    with pytest.raises(ValueError, match=message):
        holdout(made, by=by, cut=cut)
