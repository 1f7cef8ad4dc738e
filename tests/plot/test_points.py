"""pass@k from counts, Pareto fronts and residuals, against slow ways of computing the same."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest

import t2jax as t2

RNG = np.random.default_rng(1)
CORRECT = RNG.binomial(40, RNG.beta(0.4, 2.0, 30))
SAMPLES = np.where(np.arange(30) < 3, 40, 60)  # three problems have fewer


def test_pass_at_k_is_the_mean_over_problems_with_its_standard_error(seen):
    model = t2.BetaPassRate(0.4, 2.0)
    ax = seen(t2.plot.pass_at_k(SAMPLES, CORRECT, fit=model))
    (bars,) = ax.containers
    points, _, (errors,) = bars
    ks = np.asarray(points.get_xdata())
    assert ks.tolist() == [1, 2, 4, 8, 16, 32, 40]
    for k, mean, (low, high) in zip(ks, points.get_ydata(), (s[:, 1] for s in errors.get_segments()), strict=True):
        k = int(k)
        each = [
            1 - math.comb(n - c, k) / math.comb(n, k) for n, c in zip(SAMPLES.tolist(), CORRECT.tolist(), strict=True)
        ]
        assert mean == pytest.approx(statistics.fmean(each), rel=1e-12)
        error = statistics.stdev(each) / math.sqrt(30)
        assert (low, high) == pytest.approx((mean - error, mean + error), rel=1e-9)
    curve = ax.get_lines()[-1]
    assert curve.get_ydata()[0] == pytest.approx(0.4 / 2.4, rel=1e-12)  # pass@1 of Beta(a, b)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(words) == ["Beta(0.4, 2)", "mean over 30 problems, ± standard error"]


def test_pass_at_k_takes_a_fit_and_its_own_k(seen, fitted):
    fit = replace(fitted, model=t2.BetaPassRate(0.4, 2.0))
    ax = seen(t2.plot.pass_at_k(40, np.minimum(CORRECT, 40), fit=fit, k=[3, 7, 30], label="mine"))
    assert ax.containers[0][0].get_xdata().tolist() == [3, 7, 30]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Beta(0.4, 2), mine", "mine"]


def test_pass_at_k_of_one_problem_has_no_error_bar(seen):
    ax = seen(t2.plot.pass_at_k(10, [3]))
    assert not any(len(segment) for segment in ax.containers[0][2][0].get_segments())


def front_of(cost, quality, smaller):
    """All pairs: i is beaten by j that is no worse in both and better in one; of equals the first one stands."""
    sign = 1 if smaller else -1
    points = list(zip(cost.tolist(), (sign * quality).tolist(), strict=True))
    return {
        point
        for i, point in enumerate(points)
        if not math.isnan(point[1])
        and not any(
            other[0] <= point[0] and other[1] <= point[1] and (other != point or j < i)
            for j, other in enumerate(points)
        )
    }


@pytest.mark.parametrize("smaller", [True, False])
def test_the_front_is_what_nothing_beats(seen, smaller):
    cost = 10.0 ** np.round(RNG.normal(22, 1, 60), 1)  # with ties
    quality = RNG.uniform(0.1, 0.9, 60)
    quality[[3, 9]] = np.nan
    ax = t2.plot.pareto(cost, quality, ylabel="pass@k", smaller_is_better=smaller, baselines={"other": (1e22, 0.5)})
    seen(ax)
    line = ax.get_lines()[0]
    sign = 1 if smaller else -1
    drawn = set(zip(line.get_xdata().tolist(), (sign * line.get_ydata()).tolist(), strict=True))
    assert drawn == front_of(cost, quality, smaller)
    assert len(ax.collections[0].get_offsets()) == 58 - len(drawn)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Pareto front", "other"]


def test_a_solution_says_which_way_is_better(plans, broken, seen):
    cost = np.geomspace(1e20, 1e26, 13)
    ax = seen(t2.plot.pareto(cost, broken, xlabel="compute (FLOPs)"))
    assert ax.get_ylabel() == "task loss −log pass@k (nats)"
    assert len(ax.get_lines()[0].get_xdata()) == 11  # each budget buys more, and two lanes failed
    with pytest.raises(ValueError, match="smaller_is_better is False, but quality is a minimum"):
        t2.plot.pareto(cost, plans, smaller_is_better=False)


@pytest.mark.parametrize(
    ("against", "of"),
    [
        ("flops", lambda runs: 6 * runs["params"] * runs["tokens"]),
        ("params", lambda runs: runs["params"]),
        ("tokens", lambda runs: runs["tokens"]),
    ],
)
def test_residuals_are_of_the_log(fitted, runs, seen, against, of):
    ax = seen(t2.plot.residuals(fitted, against=against))
    points = np.asarray(ax.collections[-1].get_offsets())
    E = fitted.coefficients["E"]
    predicted = E + 482 / runs["params"] ** 0.3478 + 2085 / runs["tokens"] ** 0.3658
    wanted = np.log(runs["loss"] / predicted)
    np.testing.assert_allclose(points[:, 0], of(runs), rtol=1e-12)
    np.testing.assert_allclose(points[:, 1], wanted, atol=1e-12)
    rms = math.sqrt(statistics.fmean(r * r for r in wanted))
    band = ax.patches[0].get_window_extent().transformed(ax.transData.inverted())
    assert (band.y0, band.y1) == pytest.approx((-rms, rms), rel=1e-6)
    assert ax.get_ylabel() == "residual, log loss"


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: t2.plot.pass_at_k(SAMPLES, CORRECT, k=[41]), ValueError, "k must not exceed .* is 40, got 41"),
        (
            lambda: t2.plot.pass_at_k(SAMPLES[:4], CORRECT),
            ValueError,
            r"a number or of shape \(30,\), got shape \(4,\)",
        ),
        (lambda: t2.plot.pass_at_k(3, [5]), ValueError, "num_correct must not exceed num_samples"),
        (lambda: t2.plot.pass_at_k(0, [0]), ValueError, "num_samples must be at least 1"),
        (lambda: t2.plot.pass_at_k(9, [3], fit=t2.params), TypeError, "fit must be a BetaPassRate or a Fit of one"),
        (lambda: t2.plot.pareto([1.0], [1.0]), ValueError, "say smaller_is_better=True where quality is a loss"),
        (lambda: t2.plot.pareto([1.0], [1.0, 2.0], smaller_is_better=True), ValueError, r"cost's shape \(1,\), got"),
        (lambda: t2.plot.pareto([1.0], [np.nan], smaller_is_better=True), ValueError, "quality is NaN everywhere"),
        (
            lambda: t2.plot.pareto([1.0], [1.0], smaller_is_better=True, baselines={"b": 1}),
            TypeError,
            r"baselines\['b'\] must be \(cost, quality\), got 1",
        ),
        (lambda: t2.plot.residuals(3), TypeError, "fit must be a Fit, as t2jax.fit returns, got int"),
    ],
)
def test_what_cannot_be_drawn_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_residuals_say_what_they_lack(fitted):
    with pytest.raises(ValueError, match=r"against must be one of flops, .*, got 'loss'"):
        t2.plot.residuals(fitted, against="loss")
    with pytest.raises(ValueError, match="the data of this fit have no samples: they have"):
        t2.plot.residuals(fitted, against="samples")
    with pytest.raises(ValueError, match="cannot draw the residuals of a fit that was read from a file"):
        t2.plot.residuals(replace(fitted, run=None))
