"""IsoFLOP minima and the loss envelope: exact on laws that allow it, biased as documented, and as published."""

import csv
import math

import numpy as np
import pytest
from oracles import compute_optimal_params
from scipy.interpolate import Akima1DInterpolator

from t2jax.fitting._isoflop import Interpolation, Polynomial, envelope, isoflop

BUDGETS = 10.0 ** np.arange(17, 22)


def chinchilla(params, tokens, alpha=0.34, beta=0.28, A=406.4, B=410.7, E=1.69):
    return E + A / params**alpha + B / tokens**beta


def optimum(flops, alpha=0.34, beta=0.28, A=406.4, B=410.7):
    """N* on 6ND = C, in closed form."""
    return compute_optimal_params(flops, A, B, alpha, beta)


def runs(*, reach=4.0, count=15, offset=1.0, **law):
    """Noiseless runs at `count` sizes per budget, even in logs from 1/reach to reach of offset·N*."""
    factors = offset * np.geomspace(1 / reach, reach, count)
    params = (optimum(BUDGETS, **law)[:, None] * factors).ravel()
    tokens = np.repeat(BUDGETS, count) / (6 * params)
    return {"params": params, "tokens": tokens, "loss": chinchilla(params, tokens, **law)}


def valleys(valley, sizes=(0.25, 0.5, 1.0, 2.0, 4.0), flops=(6e18, 6e20)):
    """A budget for each function of x = ln(N/1e8) in `valley`, or one function for all."""
    shapes = valley if isinstance(valley, list) else [valley] * len(flops)
    params = 1e8 * np.tile(sizes, len(flops))
    budget = np.repeat(flops, len(sizes))
    loss = np.concatenate([shape(np.log(sizes)) for shape in shapes])
    return {"params": params, "tokens": budget / (6 * params), "loss": loss, "flops": budget}


def says(function, data, **options):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the caller compares the whole message
        function(data, **options)
    return str(caught.value)


def bowl(x):
    return 3 + 0.1 * (x - 0.2) ** 2


# --- Approach 2 on laws -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minimum", [Polynomial(), Polynomial(3), Polynomial(2, 3.0), Interpolation()], ids=repr)
def test_is_exact_on_a_symmetric_valley(minimum):
    law = {"alpha": 0.31, "beta": 0.31, "A": 400.0, "B": 1600.0}
    fit = isoflop(runs(**law), minimum=minimum)
    assert fit.exponent == pytest.approx(0.5, abs=1e-9)
    np.testing.assert_allclose(fit.flops, BUDGETS, rtol=1e-12)
    np.testing.assert_allclose(fit.params, optimum(BUDGETS, **law), rtol=1e-8)
    np.testing.assert_allclose(fit.params * fit.tokens * 6, BUDGETS, rtol=1e-12)
    assert fit.coefficient * BUDGETS[2] ** fit.exponent == pytest.approx(fit.params[2], rel=1e-8)
    assert fit.exponent + fit.tokens_law.exponent == pytest.approx(1, abs=1e-12)
    assert fit.left_out == ()


# Relative errors of D_opt at 1e24 FLOPs in percent, from Czech et al. 2026 (arXiv:2603.22339): the raw data under
# figure 3 of github.com/Open-Athena/scaling-law-analysis @0039bf2, results/article/article.html.
CZECH = [
    (0.34, 0.28, 2, -0.326937803732719),
    (0.34, 0.28, 4, -1.301125043704300),
    (0.34, 0.28, 8, -2.902904738135434),
    (0.34, 0.28, 16, -5.100244551712022),
    (0.465, 0.155, 2, -1.674747716507073),
    (0.465, 0.155, 4, -6.497778742083532),
    (0.465, 0.155, 8, -13.910418584294648),
    (0.465, 0.155, 16, -23.116308048545221),
]


@pytest.mark.parametrize(("alpha", "beta", "reach", "percent"), CZECH)
def test_bias_of_the_parabola_is_the_published_one(alpha, beta, reach, percent):
    fit = isoflop(runs(reach=reach, alpha=alpha, beta=beta))
    assert fit.exponent == pytest.approx(beta / (alpha + beta), abs=1e-9)  # the exponent has none
    tokens = fit.tokens_law.coefficient * 1e24**fit.tokens_law.exponent
    true = 1e24 / (6 * optimum(1e24, alpha=alpha, beta=beta))
    assert 100 * (tokens / true - 1) == pytest.approx(percent, abs=1e-6)


@pytest.mark.parametrize(("alpha", "beta"), [(0.34, 0.28), (0.28, 0.34), (0.155, 0.465)])
def test_bias_has_the_documented_sign_and_size(alpha, beta):
    def bias(degree, reach):
        fit = isoflop(runs(reach=reach, count=301, alpha=alpha, beta=beta), minimum=Polynomial(degree))
        return np.mean(np.log(fit.params / optimum(BUDGETS, alpha=alpha, beta=beta)))

    for reach in (1.5, 2.0, 4.0):
        assert bias(2, reach) == pytest.approx((alpha - beta) * math.log(reach) ** 2 / 10, rel=0.05)
        assert abs(bias(3, reach)) < 0.1 * abs(bias(2, reach))
    assert bias(3, 16.0) / bias(3, 4.0) == pytest.approx(2**4, rel=0.1)


def test_the_same_sizes_at_every_budget_bend_the_exponent_and_a_window_mends_it():
    sizes = np.geomspace(1e7, 1e10, 21)  # about √2 apart
    params, budget = np.tile(sizes, 5), np.repeat([*BUDGETS[:4], 3e21], 21)
    law = {"alpha": 0.34, "beta": 0.34, "A": 400.0, "B": 1600.0}
    data = {"params": params, "tokens": budget / (6 * params)}
    data["loss"] = chinchilla(**data, **law)
    errors = [isoflop(data, minimum=m).exponent - 0.5 for m in (Polynomial(), Polynomial(2, 3), Polynomial(3, 4))]
    assert errors[0] < -0.05
    assert abs(errors[1]) < 0.003
    assert abs(errors[2]) < 0.001


@pytest.mark.parametrize("degree", [2, 3])
def test_standard_error_of_a_minimum_is_the_spread_over_repetitions(degree):
    rng = np.random.default_rng(0)
    sizes, flops = np.geomspace(0.2, 5.0, 12), 1e18 * 1.1 ** np.arange(600)
    data = valleys(lambda x: bowl(x) + (0.003 * x**3 if degree == 3 else 0), sizes, flops)
    data["loss"] = data["loss"] + 0.004 * rng.standard_normal(len(data["loss"]))
    fit = isoflop(data, minimum=Polynomial(degree))
    assert len(fit.flops) == 600
    assert np.sqrt(np.mean(fit.log_params_se**2)) == pytest.approx(np.std(np.log(fit.params)), rel=0.1)


def test_curvature_and_loss_are_those_of_the_valley():
    for minimum in (Polynomial(), Polynomial(3)):
        fit = isoflop(valleys(bowl), minimum=minimum)
        np.testing.assert_allclose(fit.curvature, 0.2, rtol=1e-9)
        np.testing.assert_allclose(fit.loss, 3.0, rtol=1e-12)
        np.testing.assert_allclose(np.log(fit.params / 1e8), 0.2, rtol=1e-9)
    fit = isoflop(valleys(bowl, np.geomspace(0.2, 5, 101)), minimum=Interpolation())
    np.testing.assert_allclose(fit.curvature, 0.2, rtol=1e-2)
    np.testing.assert_allclose(fit.loss, 3.0, rtol=1e-6)
    assert np.isnan(fit.log_params_se).all()


def test_standard_error_of_the_exponent_is_that_of_a_line():
    rng = np.random.default_rng(1)
    flops = 10.0 ** np.arange(18, 25)
    shapes = [lambda x, at=at: 3 + 0.1 * (x - at) ** 2 for at in 0.3 * rng.standard_normal(7)]
    fit = isoflop(valleys(shapes, flops=flops))
    (slope, intercept), covariance = np.polyfit(np.log(flops), np.log(fit.params), 1, cov=True)
    assert fit.exponent == pytest.approx(slope, rel=1e-9)
    assert fit.coefficient == pytest.approx(math.exp(intercept), rel=1e-9)
    assert fit.exponent_se == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-9)
    assert math.isnan(isoflop(valleys(bowl)).exponent_se)  # two points leave nothing to judge by


def test_interpolation_finds_the_minimum_of_scipys_curve():
    rng = np.random.default_rng(2)
    for _ in range(20):
        x = np.sort(rng.uniform(-2, 2, 9))
        y = 3 + 0.2 * x**2 + 0.05 * rng.standard_normal(9)
        point = Interpolation()(x, y)
        fine = np.linspace(x[0], x[-1], 400_001)
        curve = Akima1DInterpolator(x, np.log(y))(fine)
        if isinstance(point, str):
            assert curve.argmin() in (0, len(fine) - 1)
        else:
            assert math.log(point.loss) == pytest.approx(curve.min(), abs=1e-9)
            assert point.log_params == pytest.approx(fine[curve.argmin()], abs=2e-3)


def test_interpolation_takes_the_best_run_of_a_size():
    once = valleys(bowl)
    twice = {name: np.concatenate([x, x]) for name, x in once.items()}
    twice["loss"][len(once["loss"]) :] += 0.1
    found = [isoflop(data, minimum=Interpolation()) for data in (once, twice)]
    np.testing.assert_allclose(found[0].params, found[1].params, rtol=1e-12)
    np.testing.assert_allclose(found[0].loss, found[1].loss, rtol=1e-12)


# --- Budgets ----------------------------------------------------------------------------------------------------------


def test_tokens_follow_the_flops_that_are_given():
    data = runs(alpha=0.31, beta=0.31)
    fit = isoflop(data | {"flops": 7 * data["params"] * data["tokens"]})  # attention counted, say
    np.testing.assert_allclose(fit.flops, 7 / 6 * BUDGETS, rtol=1e-12)
    np.testing.assert_allclose(fit.tokens, fit.flops / (7 * fit.params), rtol=1e-12)


def test_budgets_are_told_apart_by_gaps():
    rng = np.random.default_rng(3)
    data = runs()
    data["flops"] = np.repeat(BUDGETS, 15) * rng.uniform(0.997, 1.003, 75)
    assert len(isoflop(data).flops) == 5
    assert len(isoflop(data, tolerance=8.9).flops) == 5  # the budgets are 10 times apart
    assert says(isoflop, data, tolerance=9.1).startswith("an exponent needs two compute budgets, but all runs are of")
    assert says(isoflop, data, tolerance=0.0) == (
        "Polynomial(degree=2, window=None) needs 3 sizes at a budget, but no budget has more than 1"
    )


def test_budgets_without_a_minimum_are_left_out_with_a_reason():
    shapes = [bowl, lambda x: 3 + 0.1 * (x - 1.5) ** 2, lambda x: 3 - x**2, lambda x: bowl(x + 0.5)]
    data = valleys(shapes, flops=(1e18, 1e19, 1e20, 1e21))
    data = {name: np.append(x, x[:2] * (1e4 if name == "flops" else 1)) for name, x in data.items()}
    fit = isoflop(data)
    np.testing.assert_allclose(fit.flops, [1e18, 1e21])
    assert [why for _, why in fit.left_out] == [
        "the minimum is not between 25.0M and 400M parameters",
        "the fit has no minimum",
        "2 of the 3 sizes needed",
    ]
    np.testing.assert_allclose([flops for flops, _ in fit.left_out], [1e19, 1e20, 1e22])


def test_prints_as_a_table():
    shapes = [lambda x, at=at: 3 + 0.1 * (x - at) ** 2 for at in (-0.5, 2.0, 0.5)]
    assert str(isoflop(valleys(shapes, flops=(1e18, 1e19, 1e20)))).splitlines() == [
        "N_opt = 7.49e+03 · C^0.2171 ± nan",
        "D_opt = 2.23e-05 · C^0.7829 ± nan",
        "  FLOPs  params  tokens  tokens/param    loss",
        "  1e+18   60.7M   2.75B          45.3  3.0000",
        "  1e+20    165M    101B           613  3.0000",
        "  left out: 1e+19 FLOPs, the minimum is not between 25.0M and 400M parameters",
    ]


# --- Published minima -------------------------------------------------------------------------------------------------

# Exponents of N_opt in Porian et al. 2024 (arXiv:2406.19146), from `fit_results` of data/summary_df*.pickle.xz in
# github.com/formll/resolving-scaling-law-discrepancies @0dc60d9. First `bs_median_weighted`, which their table and
# figure 1 print: the line through the medians of 1,000 minima of Akima's curve with noise in the losses, weighed by
# their spread. Then `basic`, the same without weights.
PORIAN = {
    "refinedweb base long kaplan kaplan": (0.8353, 0.8338),  # reproducing Kaplan et al.
    "refinedweb base long kaplan standard": (0.7065, 0.7009),  # counting last layer FLOPs
    "refinedweb base short kaplan standard": (0.6020, 0.6035),  # correcting warmup
    "refinedweb base short chinchilla standard": (0.5715, 0.5714),  # cosine decay
    "refinedweb tuned short const standard": (0.4969, 0.4970),  # optimizer tuning (no decay)
    "refinedweb base long kaplan attention": (0.7171, 0.7159),
    "refinedweb base short kaplan attention": (0.6223, 0.6240),
    "refinedweb base short chinchilla attention": (0.5772, 0.5778),
    "refinedweb tuned short const attention": (0.5053, 0.5041),
    "refinedweb tuned long const kaplan": (0.7115, 0.7081),
    "openwebtext2 base long kaplan kaplan": (0.8635, 0.8700),
    "openwebtext2 base long kaplan standard": (0.6985, 0.7000),
    "openwebtext2 base short kaplan standard": (0.6032, 0.6016),
    "openwebtext2 base short chinchilla standard": (0.5743, 0.5689),
    "openwebtext2 tuned short const standard": (0.5185, 0.5184),
}


@pytest.fixture(scope="module")
def porian(shared):
    """Columns of each configuration."""
    found: dict[str, dict[str, list[float]]] = {}
    with open(shared / "data" / "porian_isoflop.csv", newline="") as file:
        for row in csv.DictReader(file):
            name = " ".join(row[part] for part in ("dataset", "hparams", "warmup", "lr_decay", "param_count"))
            columns = found.setdefault(name, {"params": [], "tokens": [], "flops": [], "loss": []})
            for column, cells in columns.items():
                cells.append(float(row[column]))
    return found


@pytest.mark.parametrize("name", PORIAN)
def test_reproduces_porians_exponents(porian, name):
    published, unweighted = PORIAN[name]
    fit = isoflop(porian[name], minimum=Interpolation())
    assert len(fit.flops) >= 10
    assert abs(fit.exponent - published) < 0.007
    assert abs(fit.exponent - unweighted) < 0.004
    assert 1 - fit.exponent == pytest.approx(fit.tokens_law.exponent, abs=1e-6)


def test_parabolas_on_porians_runs_differ_as_documented(porian):
    def differences(minimum):
        fits = [isoflop(data, minimum=minimum).exponent for data in porian.values()]
        return np.abs(np.subtract(fits, [isoflop(data, minimum=Interpolation()).exponent for data in porian.values()]))

    assert set(porian) == set(PORIAN)
    assert 0.07 < differences(Polynomial()).max() < 0.08
    assert 0.03 < differences(Polynomial(2, 3)).max() < 0.04


# --- Approach 1 -------------------------------------------------------------------------------------------------------


def curves(*, count=25, **law):
    """Loss curves of `count` sizes, each of 200 checkpoints around the tokens that its size is best at."""
    budget = np.geomspace(1e17, 1e22, count)
    params = np.repeat(optimum(budget, **law), 200)
    tokens = np.repeat(budget, 200) / (6 * params) * np.tile(np.geomspace(1 / 30, 30, 200), count)
    return {"params": params, "tokens": tokens, "loss": chinchilla(params, tokens, **law)}


@pytest.mark.parametrize(("alpha", "beta"), [(0.31, 0.31), (0.34, 0.28), (0.28, 0.34)])
def test_envelope_recovers_the_law(alpha, beta):
    fit = envelope(curves(alpha=alpha, beta=beta))
    assert len(fit.flops) == 23  # each run once, without those at the ends
    assert (np.diff(fit.flops) > 0).all()
    assert (np.diff(fit.params) > 0).all()
    assert fit.exponent == pytest.approx(beta / (alpha + beta), abs=1e-3)
    assert fit.tokens_law.exponent == pytest.approx(alpha / (alpha + beta), abs=1e-3)
    np.testing.assert_allclose(fit.params, optimum(fit.flops, alpha=alpha, beta=beta), rtol=0.01)
    np.testing.assert_allclose(fit.params * fit.tokens * 6, fit.flops, rtol=1e-9)
    np.testing.assert_allclose(fit.loss, chinchilla(fit.params, fit.tokens, alpha=alpha, beta=beta), rtol=1e-4)
    assert [why for _, why in fit.left_out] == ["an end of the envelope"] * 2


def test_envelope_tells_runs_apart_by_their_column():
    data = curves(alpha=0.31, beta=0.31)
    worse = {name: np.array(x) for name, x in data.items()}
    worse["loss"] = worse["loss"] + 0.5
    both = {name: np.concatenate([x, worse[name]]) for name, x in data.items()}
    both["name"] = [f"{kind}{i // 200}" for kind in "ab" for i in range(len(data["loss"]))]
    assert envelope(both, run="name").exponent == pytest.approx(envelope(data).exponent, abs=1e-12)


def test_envelope_of_few_runs_raises():
    data = curves(count=3)
    assert says(envelope, data) == "an exponent needs two runs on the envelope beside those at its ends, got 1"
    ends = {name: x[::200] for name, x in data.items()}
    assert says(envelope, ends) == "envelope needs loss curves, but every run has one checkpoint only"
    assert says(envelope, data, bins=1) == "bins must be 2 or more, got 1"


# --- Bad input --------------------------------------------------------------------------------------------------------


def test_bad_runs_are_met_by_name():
    good = valleys(bowl)
    cut = {name: x[[1, 2, 6, 7]] for name, x in good.items()}
    assert says(isoflop, cut) == (
        "Polynomial(degree=2, window=None) needs 3 sizes at a budget, but no budget has more than 2"
    )
    three = {name: x[[1, 2, 3, 6, 7, 8]] for name, x in good.items()}
    assert says(isoflop, three, minimum=Polynomial(3, 4.0)) == (
        "Polynomial(degree=3, window=4.0) needs 4 sizes at a budget, but no budget has more than 3"
    )
    assert says(isoflop, cut, minimum=Interpolation()) == (
        "Interpolation() needs 3 sizes at a budget, but no budget has more than 2"
    )
    one = {name: x[:5] for name, x in good.items()}
    assert says(isoflop, one) == "an exponent needs two compute budgets, but all runs are of one: 6e+18 to 6e+18 FLOPs"
    assert says(isoflop, valleys([bowl, lambda x: 3 - x**2])) == (
        "an exponent needs two budgets with a minimum, but 1 have one (6e+20 FLOPs: the fit has no minimum)"
    )
    assert says(isoflop, valleys(bowl), minimum=Polynomial(2, 1.5)) == (
        "an exponent needs two budgets with a minimum, but 0 have one (6e+18 FLOPs: 1 of the 3 sizes needed in the "
        "window; 6e+20 FLOPs: 1 of the 3 sizes needed in the window)"
    )
    assert says(isoflop, good | {"params": -good["params"]}) == (
        'row 0, column "params": must be positive and finite, got -25000000.0 (and 9 more bad cells)'
    )
    assert says(isoflop, good | {"loss": good["loss"][:4]}) == (
        'columns must be of one length: "params" has 10, "tokens" has 10, "loss" has 4, "flops" has 10'
    )
    assert says(isoflop, good, tolerance=-0.1) == "tolerance must be zero or more, got -0.1"


def test_bad_options_are_met_by_name():
    with pytest.raises(ValueError, match=r"^degree must be 2 \(a parabola\) or 3 \(a cubic\), got 4$"):
        Polynomial(4)
    with pytest.raises(ValueError, match=r"^window must be a factor above 1, or None for all sizes, got 1.0$"):
        Polynomial(window=1.0)
