"""What a fit gives back and takes: its summary, its file, its settings, and the caller's precision."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pages import same

import t2jax as t2
from t2jax.fitting import fit
from t2jax.fitting._coordinates import Coordinates
from t2jax.fitting._estimators import BetaBinomial, Huber, LeastAbsoluteDeviations, LeastSquares
from t2jax.fitting._result import Fit

LAW = t2.Chinchilla(1.8, 400.0, 2000.0, 0.34, 0.37)
PARAMS = np.tile(np.geomspace(5e7, 1e10, 6), 6)
TOKENS = np.repeat(np.geomspace(1e9, 1e12, 6), 6)
LOSS = np.asarray(LAW(t2.Allocation(PARAMS, TOKENS, 1.0)))
RUNS = {"params": PARAMS, "tokens": TOKENS, "loss": LOSS * np.exp(np.random.default_rng(0).normal(0, 0.004, 36))}


@pytest.fixture(scope="module")
def found():
    return fit(t2.Chinchilla, RUNS, starts=64)


# ── The summary ──


def test_summary_of_two_free_coefficients(tmp_path):
    """Exact: A and B with the rest held, four runs, half an odd percent off in turn."""
    factors = np.array([1.004, 0.998, 1.0, 0.997])
    text = "params,tokens,loss\n" + "".join(
        f"{n},{d},{loss!r}\n"
        for n, d, loss in zip(
            PARAMS[[0, 3, 20, 35]], TOKENS[[0, 3, 20, 35]], (LOSS[[0, 3, 20, 35]] * factors).tolist(), strict=True
        )
    )
    (tmp_path / "runs.csv").write_text(text)
    small = fit(LAW, tmp_path / "runs.csv", fixed=("E", "alpha", "beta"), estimator=LeastSquares(), starts=4)
    assert str(small) == SUMMARY


SUMMARY = """\
Chinchilla fitted to runs.csv, 4 rows, least squares: solved
           value  standard error  90 % interval
  E        1.800                          fixed
  A       407.09            6.35  396.8 – 417.7
  B      1,982.6            22.0  1,947 – 2,019
  alpha     0.34                          fixed
  beta      0.37                          fixed
  objective 0.0001601888; 100% of 4 starts reached it; log likelihood 14.5752
  residuals in nats (observed − predicted); the largest is at runs.csv, line 5
    training FLOPs     rows     mean  root mean square  largest
    3.0e+17 – 3.0e+17     1  +0.0058            0.0058  +0.0058
    7.2e+18 – 7.2e+18     1  -0.0038            0.0038  -0.0038
    1.6e+20 – 1.6e+20     1  -0.0066            0.0066  -0.0066
    6.0e+22 – 6.0e+22     1  -0.0083            0.0083  -0.0083"""


def test_html_of_a_fit_says_the_same(found):
    coefficients, residuals = same(found).tables
    assert [row[0] for row in coefficients] == ["", *found.names]
    assert coefficients[1][1] in str(found)
    assert [row[1] for row in residuals] == ["rows", "8", "7", "7", "7", "7"]


def test_predict_is_the_model(found):
    expected = found.model(t2.Allocation(1e9, 1e11, 1.0))
    assert float(found.predict(1e9, 1e11)) == pytest.approx(float(expected), rel=1e-12)
    assert found.predict(PARAMS, TOKENS).shape == (36,)
    with pytest.raises(ValueError, match="predict needs params and tokens"):
        found.predict(1e9)


def test_the_model_carries_its_source(found):
    source = found.model.provenance
    assert source.params == (5e7, pytest.approx(1e10))
    assert source.tokens == (1e9, 1e12)
    assert source.citation == "fitted to the data, 36 rows, Huber(0.001) on the log"


# ── The file ──

EVERY = [
    (t2.Kaplan(6.4e13, 1.8e13, 0.076, 0.103), {}),
    (t2.Overtraining(1.5, 141.0, 190.0, 0.12), {}),
    (t2.DataConstrained(LAW, 1e9, 15.4, 5.3), {"unique_tokens": TOKENS / np.resize([1.0, 8.0, 64.0], 36)}),
    (t2.T2Loss(LAW, 3.0, 0.4), {"samples": np.resize([1.0, 16.0, 256.0], 36)}),
    pytest.param(
        t2.T2Accuracy(LAW, (3.0, 3.0, 0.9, 0.5, 0.2)),
        {"samples": np.resize([1.0, 16.0, 256.0], 36)},
        marks=pytest.mark.slow,
    ),
    (t2.BetaPassRate(0.5, 3.0), {"num_samples": np.full(36, 50), "num_correct": np.resize([0, 1, 5, 40], 36)}),
]


def _named(value):
    return "" if isinstance(value, dict) else type(value).__name__


@pytest.mark.parametrize(("model", "more"), EVERY, ids=_named)
def test_every_model_goes_to_a_file_and_back(model, more, tmp_path):
    """Few coefficients are fitted, to be quick: what is written is the same."""
    held = {
        "Kaplan": ("alpha_N", "alpha_D"),
        "Overtraining": ("E", "eta"),
        "DataConstrained": ("law",),
        "T2Loss": ("law",),
        "T2Accuracy": ("law", "theta[0]", "theta[1]", "theta[2]"),
        "BetaPassRate": (),
    }[type(model).__name__]
    data = {"params": PARAMS, "tokens": TOKENS, **more}
    if type(model) is t2.T2Accuracy:
        data["pass_at_k"] = np.asarray(model(t2.Allocation(PARAMS, TOKENS, more["samples"])))
    elif type(model) is t2.BetaPassRate:
        data = more
    else:
        data["loss"] = RUNS["loss"] * (1.0 + more.get("samples", 1.0) ** -0.4)
    written = fit(model, data, fixed=held, starts=2)
    members = [
        value * np.array([1.0, 1.1, 1.2]) if name in written.free else np.full(3, value)
        for name, value in zip(written.names, written.values, strict=True)
    ]
    laws = Coordinates.of(written.model, {}, (), ()).built([jnp.asarray(one) for one in members])
    written.to_json(tmp_path / "plain.json")
    written.to_json(tmp_path / "both.json", ensemble=laws)
    for name, ensemble in (("plain.json", None), ("both.json", laws)):
        again = Fit.from_json(tmp_path / name)
        for field in ("names", "free", "kinds", "at_boundary", "estimator", "objective", "log_likelihood", "notes"):
            assert getattr(again, field) == getattr(written, field), field
        for field in ("starts", "share_at_best", "converged", "source", "rows", "status", "coefficients"):
            assert getattr(again, field) == getattr(written, field), field
        np.testing.assert_array_equal(again.covariance, written.covariance)
        assert type(again.model) is type(model)
        assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), again.model, written.model))
        if ensemble is None:
            assert again.ensemble is None
        else:
            assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), again.ensemble, ensemble))
    with pytest.raises(ValueError, match="cannot resample a fit that was read from a file: its data are not there"):
        again.bootstrap(3, key=jax.random.key(0))
    assert str(again).splitlines()[0] == str(written).splitlines()[0]


@pytest.mark.parametrize(
    "estimator",
    [Huber(2e-3), LeastAbsoluteDeviations(), LeastSquares(), BetaBinomial()],
    ids=lambda one: type(one).__name__,
)
def test_estimators_read_back(estimator, found, tmp_path):
    replace(found, estimator=estimator).to_json(tmp_path / "law.json")
    assert Fit.from_json(tmp_path / "law.json").estimator == estimator


def test_a_file_is_never_overwritten_nor_left_half_written(found, tmp_path, monkeypatch):
    path = tmp_path / "law.json"
    found.to_json(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"law\.json exists: name another file, or remove it"):
        found.to_json(path)
    assert path.read_bytes() == before

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space left"):
        found.to_json(tmp_path / "other.json")
    assert [one.name for one in tmp_path.iterdir()] == ["law.json"]


def test_files_that_hold_no_fit(found, tmp_path):
    (tmp_path / "law.json").write_text('{"kind": "Chinchilla", "E": 1.7}')
    with pytest.raises(ValueError, match=r'law\.json holds no fit: it has no key "fit"'):
        Fit.from_json(tmp_path / "law.json")
    found.to_json(tmp_path / "half.json")
    text = (tmp_path / "half.json").read_text(encoding="utf-8")
    (tmp_path / "half.json").write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(json.JSONDecodeError):
        Fit.from_json(tmp_path / "half.json")
    with pytest.raises(FileNotFoundError):
        Fit.from_json(tmp_path / "none.json")


# ── Settings ──


@pytest.mark.slow
def test_fixed_coefficients_keep_their_values_to_the_last_digit():
    begin = t2.Chinchilla(1.7, 300.0, 900.0, 1 / 3, 0.37)
    held = fit(begin, RUNS, fixed="alpha", starts=64)
    assert held.coefficients["alpha"] == 1 / 3
    assert held.free == ("E", "A", "B", "beta")
    assert "alpha" not in held.standard_errors
    assert next(line for line in str(held).splitlines() if line.startswith("  alpha")).endswith("fixed")


@pytest.mark.slow
def test_starts_as_models_end_where_many_do(found):
    near = t2.Chinchilla(1.5, 300.0, 900.0, 0.3, 0.3)
    given = fit(t2.Chinchilla, RUNS, starts=[near, LAW])
    assert given.starts == 2
    np.testing.assert_allclose(given.values, found.values, rtol=1e-6)
    with pytest.raises(ValueError, match="starts must be models of the kind that is fitted"):
        fit(t2.Chinchilla, RUNS, starts=[t2.Kaplan(6.4e13, 1.8e13, 0.076, 0.103)])


def test_a_seed_is_a_fit(found):
    again, other = fit(t2.Chinchilla, RUNS, starts=64), fit(t2.Chinchilla, RUNS, starts=64, seed=1)
    np.testing.assert_array_equal(again.values, found.values)
    assert again.share_at_best == found.share_at_best
    np.testing.assert_allclose(other.values, found.values, rtol=1e-6)  # other starts, the same optimum
    assert 0 < other.share_at_best <= 1


def test_progress_runs_to_the_end():
    told = []
    fit(t2.Chinchilla, RUNS, starts=64, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (64, 64)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_columns_by_other_names(found):
    renamed = {"N": PARAMS, "D": TOKENS, "L": RUNS["loss"]}
    again = fit(t2.Chinchilla, renamed, columns={"params": "N", "tokens": "D", "loss": "L"}, starts=64)
    np.testing.assert_array_equal(again.values, found.values)


# ── Precision ──


def test_precision_stays_the_callers_after_an_error_and_in_threads(found):
    with jax.enable_x64(False):
        with pytest.raises(ValueError, match="fewer than the 5 coefficients"):
            fit(t2.Chinchilla, {name: column[:2] for name, column in RUNS.items()})
        assert not jax.config.jax_enable_x64

    def narrow(_):
        with jax.enable_x64(False):
            one = fit(t2.Chinchilla, RUNS, starts=64)
            return one.values, one.model.alpha.dtype, jnp.asarray(1.0).dtype

    with ThreadPoolExecutor(2) as pool:
        for values, dtype, after in pool.map(narrow, range(2)):
            np.testing.assert_array_equal(values, found.values)
            assert (dtype, after) == (jnp.float32, jnp.float32)
    assert jax.config.jax_enable_x64
