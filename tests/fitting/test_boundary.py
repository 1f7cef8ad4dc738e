"""Why a coefficient is at a boundary: each reason where it is known to hold, with the number it was seen by."""

import json
import re

import equinox as eqx
import jax
import numpy as np
import pytest
from scipy.stats import betabinom

import t2jax as t2
from t2jax.fitting import Boundary, BoundaryKind, Fit, Huber, LeastAbsoluteDeviations, LeastSquares, fit
from t2jax.fitting._boundary import Loose, boundary_of
from t2jax.fitting._coordinates import Kind

PARAMS = np.tile(np.geomspace(5e7, 1e10, 6), 6)
TOKENS = np.repeat(np.geomspace(1e9, 1e12, 6), 6)
NOISE = np.exp(np.random.default_rng(1).normal(0, 0.02, 36))
LAW = t2.Chinchilla(1.8, 400.0, 2000.0, 0.34, 0.37)


def runs(loss):
    return {"params": PARAMS, "tokens": TOKENS, "loss": loss}


FALLING = runs((400.0 * PARAMS**-0.2 + 90.0 * TOKENS**-0.15) * NOISE * (1 + PARAMS / 1e11) ** -0.5)
"""Without an irreducible loss: it goes on to fall where a power law does not."""


def objective(estimator, found, E):
    """The estimator's sum in NumPy, with another E."""
    c = found.coefficients
    predicted = E + c["A"] * PARAMS ** -c["alpha"] + c["B"] * TOKENS ** -c["beta"]
    if isinstance(estimator, LeastSquares):
        return np.sum((FALLING["loss"] - predicted) ** 2)
    r, delta = np.abs(np.log(FALLING["loss"] / predicted)), estimator.delta
    return np.sum(np.where(r <= delta, r**2 / 2, delta * (r - delta / 2)))


@pytest.mark.parametrize("estimator", [Huber(1e-3), LeastSquares()], ids=str)
def test_an_irreducible_loss_of_zero_has_the_slope_that_keeps_it_there(estimator):
    found = fit(t2.Chinchilla, FALLING, estimator=estimator, starts=32)
    assert found.at_boundary == tuple(found.boundaries) == ("E",)
    reason = found.boundaries["E"]
    assert reason.kind is BoundaryKind.ZERO
    # The others are at their optimum, so that the partial derivative is the whole one.
    h = 1e-7
    slope = (objective(estimator, found, h) - objective(estimator, found, 0.0)) / h
    assert slope > 0
    assert reason.measured == pytest.approx(slope, rel=1e-3)
    held = fit(t2.Chinchilla, FALLING, estimator=estimator, starts=32, fixed={"E": 0.05})
    assert held.objective > found.objective
    assert reason.sentence == (
        f"E is 0: no larger one was found to lower the objective, whose slope there is {reason.measured:+.3g}"
    )
    assert f"\n  {reason}" in str(found)


def test_absolute_deviations_have_a_slope_at_zero_of_their_own_sum():
    found = fit(t2.Chinchilla, FALLING, estimator=LeastAbsoluteDeviations(), starts=32)
    slope = found.boundaries["E"].measured
    held = fit(t2.Chinchilla, FALLING, estimator=LeastAbsoluteDeviations(), starts=32, fixed={"E": 0.02})
    # The others are at their optimum in both: the difference is the slope, but for the kinks on the way.
    assert slope == pytest.approx((held.objective - found.objective) / 0.02, rel=0.2)


def test_what_the_data_identify_is_at_no_boundary():
    found = fit(t2.Chinchilla, runs(np.asarray(LAW.loss(PARAMS, TOKENS)) * NOISE**0.2), starts=32)
    assert (found.at_boundary, found.boundaries) == ((), {})


def test_a_term_below_the_noise_is_known_to_no_factor():
    law = t2.Chinchilla(1.8, 400.0, 1e-12, 0.34, 0.3)
    found = fit(t2.Chinchilla, runs(np.asarray(law.loss(PARAMS, TOKENS)) * NOISE**0.05), starts=32)
    assert "B" in found.boundaries
    for name, reason in found.boundaries.items():
        assert reason.sentence.startswith(f"{name} is not identified: ")
        assert reason.sentence in str(found)
    wide = {name: reason for name, reason in found.boundaries.items() if reason.kind is BoundaryKind.WIDE}
    for reason in wide.values():  # of the logarithm: e³ either way
        assert reason.measured is None or reason.measured >= 3


def test_what_no_count_depends_on_is_not_felt():
    """No right answer: any a next to nothing says the same, whatever b."""
    found = fit(t2.BetaPassRate, {"num_samples": np.full(30, 20), "num_correct": np.zeros(30)})
    a, b = found.values
    for name, more in {"a": (np.e * a, b), "b": (a, np.e * b)}.items():
        assert found.boundaries[name].kind is BoundaryKind.UNFELT
        assert found.boundaries[name].measured < 1e-6
        assert betabinom.logpmf(0, 20, *more) == pytest.approx(betabinom.logpmf(0, 20, a, b), abs=1e-6)
        assert "no row's log likelihood changes by more than" in found.boundaries[name].sentence


def test_one_value_of_a_column_says_which():
    loss = np.asarray(LAW.loss(PARAMS, 1e10)) * NOISE**0.1
    found = fit(t2.Chinchilla, {"params": PARAMS, "tokens": np.full(36, 1e10), "loss": loss}, starts=16)
    for name in ("B", "beta"):
        assert found.boundaries[name] == Boundary(
            BoundaryKind.ONE_VALUE, f"{name} is not identified: all rows have tokens 1e+10", 1e10
        )
        assert found.boundaries[name].sentence not in str(found)  # a note says it for both
    assert "all rows have tokens 1e+10: what D does" in str(found)


class Twofold(eqx.Module):
    """Two amplitudes of which only the product does anything."""

    a: jax.Array
    b: jax.Array

    def __call__(self, at):
        return 1.0 + self.a * self.b * at.params**-0.3


def test_coefficients_that_only_move_together_name_each_other():
    model = t2.quantity(Twofold(jax.numpy.asarray(10.0), jax.numpy.asarray(20.0)))
    found = fit(model, runs((1 + 300.0 * PARAMS**-0.3) * NOISE), starts=4)
    a, b = found.free
    for name, other in ((a, b), (b, a)):
        assert found.boundaries[name].kind is BoundaryKind.FLAT
        assert (
            f"{name} is not identified: it can move together with {other} at no cost" in found.boundaries[name].sentence
        )
        assert 0 <= found.boundaries[name].measured < 1e-11


@pytest.mark.parametrize(
    ("kind", "reason", "sentence"),
    [
        (Kind.POSITIVE, Loose(BoundaryKind.WIDE, 4.25), "one standard error of it is a factor of e^4.25"),
        (Kind.SHARE, Loose(BoundaryKind.WIDE, 4.25), "one standard error of its odds is a factor of e^4.25"),
        (Kind.POSITIVE, Loose(BoundaryKind.WIDE), "its standard error is too large for a number"),
        (Kind.POSITIVE, Loose(BoundaryKind.FLAT, 0.0), "the objective does not bend along it"),
        (Kind.POSITIVE, Loose(BoundaryKind.CARRIED, None, (0,)), "it moves with a"),
        (
            Kind.SHARE,
            Loose(BoundaryKind.UNFELT, 2e-9),
            "while its odds grow by a factor of e, no prediction changes by more than 2e-09 of itself",
        ),
    ],
)
def test_reasons_in_words(kind, reason, sentence):
    assert boundary_of("b", kind, reason, ["a", "b"], counted=False).sentence == f"b is not identified: {sentence}"


def test_every_kind_has_words():
    for kind in BoundaryKind:
        reason = boundary_of("b", Kind.REAL, Loose(kind, 0.5, (0,), "tokens"), ["a", "b"], counted=True)
        assert reason.sentence.startswith("b is ")
        assert not re.search(r"[{}]|None", reason.sentence)


def test_reasons_go_to_a_file_and_back(tmp_path):
    found = fit(t2.Chinchilla, FALLING, starts=16)
    found.to_json(tmp_path / "law.json")
    assert Fit.from_json(tmp_path / "law.json").boundaries == found.boundaries
    content = json.loads((tmp_path / "law.json").read_text(encoding="utf-8"))
    assert content["fit"]["at_boundary"] == ["E"]
    assert content["fit"]["boundaries"]["E"]["kind"] == "zero"
    # A file from before there were reasons.
    del content["fit"]["boundaries"]
    (tmp_path / "old.json").write_text(json.dumps(content), encoding="utf-8")
    old = Fit.from_json(tmp_path / "old.json")
    assert (old.at_boundary, old.boundaries) == (("E",), {})
    for name in ("law.json", "old.json"):
        assert t2.plan(law=str(tmp_path / name), train_flops=1e21).optimum is not None
