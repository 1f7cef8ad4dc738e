"""What cannot be fitted, and what a person should be told, word for word."""

import jax
import numpy as np
import pytest

import t2jax as t2

RNG = np.random.default_rng(0)
PARAMS, TOKENS = np.exp(RNG.uniform(np.log([1e7, 1e9]), np.log([1e10, 1e11]), (40, 2))).T
LOSS = 1.8 + 480 / PARAMS**0.35 + 2000 / TOKENS**0.37
RUNS = {"params": PARAMS, "tokens": TOKENS, "loss": LOSS * np.exp(0.003 * RNG.normal(size=40))}
COUNTS = {"num_samples": [10, 20, 30], "num_correct": [1, 0, 5]}
TASK = t2.T2Accuracy(t2.Chinchilla(1.8, 480.0, 2000.0, 0.35, 0.37), (0.8, 3.0, 1.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("model", "data", "options", "message"),
    [
        (
            t2.Chinchilla,
            {name: column[:4] for name, column in RUNS.items()},
            {},
            "the data has 4 rows, fewer than the 5 coefficients to fit (E, A, B, alpha, beta): add rows, or fix "
            "coefficients",
        ),
        (
            t2.Chinchilla,
            {"params": PARAMS, "tokens": TOKENS, "los": LOSS},
            {},
            'the data has no column "loss" (nats per token): did you mean "los"? It has params, tokens, los',
        ),
        (
            t2.Chinchilla,
            RUNS | {"loss": np.where(np.arange(40) == 5, -2.0, LOSS)},
            {},
            'row 5, column "loss": must be positive and finite, got -2.0',
        ),
        (
            t2.BetaPassRate,
            COUNTS | {"num_correct": [1, 21, 5]},
            {},
            "row 1: num_correct must not exceed num_samples, got 21 of 20",
        ),
        (
            t2.BetaPassRate,
            COUNTS,
            {"estimator": t2.Huber()},
            "Huber(0.001) on the log is for losses or pass@k, and the data are counts: num_samples and num_correct",
        ),
        (
            t2.Chinchilla,
            RUNS,
            {"estimator": t2.BetaBinomial()},
            "beta-binomial likelihood is for counts, and the data are loss",
        ),
        (
            t2.Chinchilla,
            RUNS,
            {"fixed": "gamma"},
            "fixed names 'gamma', which Chinchilla does not have: it has E, A, B, alpha, beta",
        ),
        (
            t2.Chinchilla,
            RUNS,
            {"fixed": ("E", "A", "B", "alpha", "beta")},
            "every coefficient of Chinchilla is fixed: there is nothing to fit",
        ),
        (t2.Chinchilla, RUNS, {"weights": -np.ones(40)}, "weights must be finite, zero or positive, and not all zero"),
        (t2.Chinchilla, RUNS, {"weights": np.zeros(40)}, "weights must be finite, zero or positive, and not all zero"),
        (t2.Chinchilla, RUNS, {"weights": np.ones(3)}, "weights must be one for each of the 40 rows, got shape (3,)"),
        (t2.Chinchilla, RUNS, {"groups": np.ones(3)}, "groups must be one for each of the 40 rows, got shape (3,)"),
        (
            t2.Chinchilla,
            RUNS,
            {"starts": 0},
            "starts must be a whole number of at least 1, or models to begin at, got 0",
        ),
        (
            TASK,
            {"params": PARAMS[:3], "tokens": TOKENS[:3], "samples": [1, 2, 4], "pass_at_k": [0.1, 0.0, 0.3]},
            {"estimator": t2.Huber(), "fixed": ("law", "theta[2]", "theta[3]")},
            "row 1: pass_at_k is 0 and has no logarithm: use LeastSquares() or leave it out",
        ),
    ],
)
def test_data_that_cannot_be_fitted(model, data, options, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        t2.fit(model, data, **options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            "chinchilla",
            {},
            "fit takes a law, a task, BetaPassRate or a quantity of your own with arrays as coefficients, got "
            "'chinchilla'",
        ),
        (t2.T2Accuracy, {}, "fit needs a T2Accuracy with its loss law and first values, not the class alone"),
        (t2.Chinchilla, {"estimator": "huber"}, "estimator must be one such as t2jax.Huber(1e-3), not 'huber'"),
    ],
)
def test_what_is_no_model_or_estimator(model, options, message):
    from jaxtyping import config

    config.update("jaxtyping_disable", True)  # as users run it
    try:
        with pytest.raises(TypeError) as error:
            t2.fit(model, RUNS, **options)
    finally:
        config.update("jaxtyping_disable", False)
    assert str(error.value) == message


def notes(**columns):
    return t2.fit(t2.Chinchilla, RUNS | columns, starts=16).notes


@pytest.mark.slow
def test_nothing_to_say_of_usual_runs():
    assert notes() == ()


@pytest.mark.slow
def test_losses_that_look_like_bits():
    (per_byte,) = notes(loss=RUNS["loss"] / np.median(RUNS["loss"]))
    assert per_byte == (
        "a median loss of 1 is low for nats per token: if losses are in bits per byte, multiply them by log 2 = "
        "0.6931 and by the bytes per token (about 4 for English)"
    )
    (per_token,) = notes(loss=RUNS["loss"] * 6)
    assert per_token.startswith("a loss of 25.7 is above that of a uniform guess (12.6 nats): if losses are in bits")


def test_runs_that_are_there_twice():
    twice = {name: np.append(column, column[:1]) for name, column in RUNS.items()}
    assert notes(**twice) == ("1 row repeats another in every column: such a run counts twice",)


def test_two_ways_to_count_parameters():
    (said,) = notes(params_non_embedding=PARAMS / 2)
    assert said.startswith("N is the column params; the data also have params_non_embedding")


@pytest.mark.slow
def test_runs_on_one_ray():
    """With D = 20 N everywhere two power laws of N are fitted: nothing tells them apart, and it is said."""
    found = t2.fit(t2.Chinchilla, RUNS | {"tokens": 20 * PARAMS}, starts=64)
    assert found.notes == (
        "all rows have D/N near 20: along one ray what N and D do cannot be told apart, whatever the fit says",
    )
    assert found.notes[0] in str(found)


@pytest.mark.parametrize("seed", [3, 7, 27])
def test_a_run_away_exponent_stops_no_fit(seed: int):
    """On one ray the best exponent may be in the hundreds and its amplitude no number: that is said, not raised."""
    rng = np.random.default_rng(seed)
    params = np.geomspace(1e8, 1e10, 240)
    loss = t2.published("besiroglu2024").loss(params, 20 * params) * np.exp(0.005 * rng.normal(size=240))
    ray = t2.fit(t2.Chinchilla, {"params": params, "tokens": 20 * params, "loss": np.asarray(loss)})
    assert ray.status != "solved"
    assert np.max(ray.values[-2:]) > 10  # an exponent
    unknown = [name for name, error in ray.standard_errors.items() if np.isnan(error)]
    assert unknown
    assert set(unknown) <= set(ray.at_boundary)


@pytest.mark.slow
def test_a_callers_precision_is_left_alone():
    wide = t2.fit(t2.Chinchilla, RUNS, starts=64)
    with jax.enable_x64(False):
        narrow = t2.fit(t2.Chinchilla, RUNS, starts=64)
        assert not jax.config.jax_enable_x64
        with pytest.raises(ValueError, match="no column"):
            t2.fit(t2.Chinchilla, COUNTS)
        assert not jax.config.jax_enable_x64
        assert narrow.model.E.dtype == np.float32
        laws = narrow.bootstrap(3, key=jax.random.key(0))
        assert laws.A.dtype == np.float32
    assert jax.config.jax_enable_x64
    assert wide.model.E.dtype == np.float64
    np.testing.assert_array_equal(narrow.values, wide.values)
    np.testing.assert_array_equal(narrow.covariance, wide.covariance)


@pytest.mark.slow
def test_a_coefficient_beyond_float32_is_said():
    """Only the smallest models are worse than the others: an exponent runs away, and its amplitude N₀^α with it."""
    params, tokens = (a.ravel() for a in np.meshgrid([1e8, 1e9, 1e10], np.geomspace(1e9, 1e12, 8)))
    runs = {"params": params, "tokens": tokens, "loss": 2.0 + 400.0 * tokens**-0.3 + (params < 2e8)}
    with jax.enable_x64(False):
        found = t2.fit(t2.Chinchilla, runs, starts=8)
        assert np.isinf(found.model.A)
        assert np.isfinite(found.model.B)
        assert not np.any(np.isfinite(found.model.loss(1e9, 1e10)))
    assert found.coefficients["A"] > 1e40
    (note,) = [one for one in found.notes if "beyond" in one]
    assert note.startswith("A = ")
    assert "is beyond float32: .model has it as infinite and no finite value; ask for float64" in note
    wide = t2.fit(t2.Chinchilla, runs, starts=8)
    assert not [one for one in wide.notes if "beyond" in one]
    np.testing.assert_allclose(found.values, wide.values, rtol=1e-9)
