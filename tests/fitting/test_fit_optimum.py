"""`fit` finds the global optimum: never above the best of 500 starts of SciPy on public tables, whole and thinned."""

import json
import os

import jax
import numpy as np
import pyarrow as pa
import pytest
from fit_references import ESTIMATORS, STORED, Case, best_of_scipy, reference, tables, thinned

import t2jax as t2
from t2jax.fitting import fit
from t2jax.fitting._estimators import Huber, LeastAbsoluteDeviations, LeastSquares

BY_NAME = dict(zip(ESTIMATORS, (Huber(1e-3), LeastAbsoluteDeviations(), LeastSquares()), strict=True))
SCALE = int(os.environ.get("T2JAX_TEST_SCALE", "1"))

TWELVE = """57234240,4194304000,3.6623
76816896,16777216000,3.3346
62052928,786432000,4.1769
62052928,209715200,5.6018
176576256,6291456000,3.2125
93940416,262144000,5.2598
76816896,1048576000,4.0025
93940416,524288000,4.4275
113718400,1572864000,3.6858
176576256,524288000,4.5353
418819968,6291456000,3.0439
295930560,6291456000,3.1071"""


def columns(rows):
    return dict(zip(("params", "tokens", "loss"), np.transpose(rows), strict=True))


@pytest.fixture(scope="module")
def every(shared):
    return tables(shared / "data")


@pytest.fixture(scope="module")
def stored():
    rows = json.loads(STORED.read_text(encoding="utf-8"))
    return {Case(one["table"], one["rows"], one["seed"]): one for one in rows}


def check(every, stored, case, estimator):
    found = fit(t2.Chinchilla, columns(thinned(every[case.table], case)), estimator=BY_NAME[estimator])
    assert found.objective <= stored[case][estimator] * (1 + 1e-9), (case, estimator, str(found))
    assert found.status != "not converged", (case, estimator, str(found))


def test_twelve_runs_whose_least_squares_lead_to_no_irreducible_loss():
    """All starts' least squares end at E → 0, where Huber's objective still falls with E."""
    found = fit(t2.Chinchilla, columns([[float(x) for x in line.split(",")] for line in TWELVE.splitlines()]))
    assert found.status == "solved"
    assert found.objective == pytest.approx(1.16040e-4, rel=1e-5)
    assert found.coefficients["E"] == pytest.approx(2.4136, abs=5e-5)
    assert found.coefficients["alpha"] == pytest.approx(0.40024, abs=5e-6)
    assert found.coefficients["beta"] == pytest.approx(0.70414, abs=5e-6)
    assert "fewer than 1% of 4,500 starts reached it" in str(found)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_never_above_scipy_on_a_few_tables(every, stored, estimator):
    for case in [case for case in stored if case.rows == 12][:4]:
        check(every, stored, case, estimator)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_never_above_scipy(every, stored, estimator):
    """A third of the stored objectives, all with T2JAX_TEST_SCALE=3."""
    chosen = list(stored)[:: max(3 // SCALE, 1)]
    assert len(chosen) > 30
    for case in chosen:
        check(every, stored, case, estimator)


@pytest.mark.slow
def test_stored_objectives_are_scipys(every, stored):
    for case in [case for case in stored if case.rows == 12][1:3]:
        again = reference(every, case)
        assert again == pytest.approx({name: stored[case][name] for name in ESTIMATORS}, rel=1e-6)


@pytest.mark.slow
def test_random_tables_never_above_scipy(every):
    """Rows drawn anew, and 120 of SciPy's starts."""
    rng = np.random.default_rng(SCALE)
    names = list(every)
    for _ in range(4 * SCALE):
        name = names[rng.integers(len(names))]
        case = Case(name, min(len(every[name]), int(rng.choice([8, 12, 20, 30]))), int(rng.integers(1 << 30)))
        rows = thinned(every[name], case)
        best = best_of_scipy(rows, rng, 120)
        for estimator in ESTIMATORS:
            found = fit(t2.Chinchilla, columns(rows), estimator=BY_NAME[estimator])
            assert found.objective <= best[estimator] * (1 + 1e-9) + 1e-18, (case, estimator, str(found))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chinchilla", "porian refinedweb base long kaplan kaplan train"])
def test_members_of_a_bootstrap_find_their_optimum(every, name):
    """The objective of each, in NumPy, against a fit of its own with the same weights of rows."""
    rows, members = every[name], 10
    data, key = columns(rows), jax.random.key(3)
    laws = fit(t2.Chinchilla, data).bootstrap(members, key=key)
    seed = np.asarray(jax.random.bits(key, (4,), "uint32"))
    drawn = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), members)
    for i in range(members):
        law = jax.tree.map(lambda leaf, i=i: leaf[i], laws)
        r = np.abs(np.log(rows[:, 2]) - np.log(law(t2.Allocation(rows[:, 0], rows[:, 1], 1.0))))
        objective = np.sum(drawn[i] * np.where(r <= 1e-3, r**2 / 2, 1e-3 * (r - 5e-4)))
        assert objective <= fit(t2.Chinchilla, data, weights=drawn[i].astype(float)).objective * (1 + 1e-9)


# ── What a table does not tell ──

N, D = np.geomspace(1e8, 1e10, 12), np.full(12, 1e10)
LOSS = 1.8 + 400.0 * N**-0.34 + 2000.0 * D**-0.37


def test_fixed_values_win_over_the_models():
    law = t2.Chinchilla(1.8, 400.0, 2000.0, 0.35, 0.37)
    tokens = np.resize([1e9, 1e10, 1e11], 12)
    data = {"params": N, "tokens": tokens, "loss": 1.8 + 400.0 * N**-0.34 + 2000.0 * tokens**-0.37}
    found = fit(law, data, fixed={"alpha": 0.34}, starts=64)
    assert found.coefficients["alpha"] == 0.34
    assert "alpha" not in found.free
    assert found.coefficients["A"] == pytest.approx(400.0, rel=1e-5)
    with pytest.raises(ValueError, match="fixed names 'gamma', which Chinchilla does not have"):
        fit(law, data, fixed={"gamma": 0.34})
    with pytest.raises(ValueError, match=r"fixed\['alpha'\] must be a finite number, got nan"):
        fit(law, data, fixed={"alpha": float("nan")})


@pytest.mark.parametrize("groups", [None, np.zeros(12)], ids=["five rows", "one group"])
def test_no_standard_errors_without_more_rows_than_coefficients(groups):
    tokens = np.resize([1e9, 1e10, 1e11, 3e9], 12)
    noise = 1 + 0.01 * np.random.default_rng(0).normal(size=12)
    data = {"params": N, "tokens": tokens, "loss": (1.8 + 400.0 * N**-0.34 + 2000.0 * tokens**-0.37) * noise}
    if groups is None:
        data = {name: column[[0, 3, 6, 9, 11]] for name, column in data.items()}
    found = fit(t2.Chinchilla, data, groups=groups, starts=64)
    assert np.isnan(list(found.standard_errors.values())).all()
    assert np.isnan(list(found.interval().values())).all()
    assert any("no standard errors" in note for note in found.notes)
    with_none = t2.optimum_interval(found, lambda law: t2.minimize(law, [t2.TrainingFLOPs() <= 1e21]))
    assert np.isnan([with_none.delta["params"].low, with_none.delta["params"].high]).all()
    if groups is not None:
        with pytest.raises(ValueError, match="one group alone cannot be resampled"):
            found.bootstrap(3, key=jax.random.key(0))


def test_params_in_billions_are_noticed():
    notes = fit(t2.Chinchilla, {"params": N / 1e9, "tokens": D / 1e9, "loss": LOSS}, starts=16).notes
    assert any("params from 0.1 to 10 are no counts: if they are in billions, multiply them by 1e9" in n for n in notes)
    assert any("tokens from 10 to 10 are no counts" in n for n in notes)


def test_a_single_number_of_tokens_identifies_no_data_term(tmp_path, capsys):
    from t2jax.cli import main

    noise = np.exp(np.random.default_rng(0).normal(0, 0.003, 12))
    found = fit(t2.Chinchilla, {"params": N, "tokens": D, "loss": LOSS * noise}, starts=64)
    assert {"B", "beta"} <= set(found.at_boundary)
    assert any("all rows have tokens 1e+10: what D does is not identified" in note for note in found.notes)
    file = tmp_path / "single.json"
    found.to_json(file)
    assert main(["plan", "--law", str(file), "--train-flops", "1e20"]) == 1
    assert "not identified by its fit" in capsys.readouterr().err
    rows = {"law": [str(file), "besiroglu2024"], "train_flops": [1e20, 1e20]}
    single, published = t2.plan_batch(pa.table(rows)).to_pylist()
    assert single["status"] == "infeasible"
    assert "not identified by its fit" in single["reason"]
    assert published["status"] == "solved"
