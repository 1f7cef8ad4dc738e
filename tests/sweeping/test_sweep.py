"""Sweeps give what the function gives scenario by scenario, whatever the batches, the devices and the way out."""

import signal
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

import t2jax as t2
from t2jax._io.output import Output

GRID = t2.grid(budget=np.geomspace(1e20, 1e26, 70), queries=[1e6, 1e9, 1e12])


def closed_form(s):
    """Scalars of several kinds; `rule` does not depend on the scenario."""
    params = jnp.sqrt(s["budget"] / 120)
    return {"params": params, "split": (s["queries"] / params, s["queries"] > 1e8), "rule": 20}


def expected(scenarios):
    params = np.sqrt(scenarios["budget"] / 120)
    return {"params": params, "split": (scenarios["queries"] / params, scenarios["queries"] > 1e8)}


def check(found, scenarios):
    want = expected(scenarios)
    np.testing.assert_allclose(found["params"], want["params"], rtol=1e-15)
    np.testing.assert_allclose(found["split"][0], want["split"][0], rtol=1e-15)
    np.testing.assert_array_equal(found["split"][1], want["split"][1])
    np.testing.assert_array_equal(found["rule"], np.full(len(want["params"]), 20))


# --- Results ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 70, 209, 10**6])
def test_results_do_not_depend_on_the_batches(batch_size):
    found = t2.sweep(closed_form, t2.grid(budget=[1e20, 1e21], queries=1e9) if batch_size == 1 else GRID)
    check(found, t2.grid(budget=[1e20, 1e21], queries=1e9)[:] if batch_size == 1 else GRID[:])
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(found))


def test_a_mapping_of_arrays_is_swept_like_a_grid():
    columns = GRID[:]
    check(
        t2.sweep(closed_form, {"budget": jnp.asarray(columns["budget"]), "queries": columns["queries"].tolist()}),
        columns,
    )


def test_a_solution_comes_back_as_a_batch_of_solutions():
    """Chinchilla's optimum in closed form: N = G (C/6)^a with a = β/(α+β), G = (αA/βB)^(1/(α+β))."""
    law = t2.Chinchilla(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
    budgets = np.geomspace(1e19, 1e27, 33)
    plans = t2.sweep(
        lambda s: t2.minimize(law, [t2.TrainingFLOPs() <= s["budget"]]), {"budget": budgets}, batch_size=16
    )
    assert isinstance(plans, t2.Solution)
    assert plans.ok.all()
    params = (0.35 * 480 / (0.37 * 2100)) ** (1 / 0.72) * (budgets / 6) ** (0.37 / 0.72)
    np.testing.assert_allclose(plans.allocation.params, params, rtol=1e-7)
    assert str(plans) == "33 solutions of shape (33,) for Chinchilla: 33 solved"


def test_devices_share_the_lanes_and_change_no_bit():
    def rough(s):
        return s["budget"] ** 0.4321 + jnp.log1p(s["queries"]) * jnp.exp(-s["budget"] / 3e25)

    devices = jax.devices()
    assert len(devices) == 2
    both = t2.sweep(rough, GRID, batch_size=100)
    for one in devices:
        np.testing.assert_array_equal(t2.sweep(rough, GRID, batch_size=100, mesh=Mesh(np.array([one]), ("x",))), both)
    square = Mesh(np.array(devices).reshape(2, 1), ("a", "b"))  # any mesh: only its devices matter
    np.testing.assert_array_equal(t2.sweep(rough, GRID, batch_size=100, mesh=square), both)


def test_a_function_gets_each_batch_in_turn():
    best, seen = {}, []

    def keep_best(scenarios, results):
        check(results, scenarios)
        seen.append(len(scenarios["budget"]))
        i = int(np.argmax(results["split"][0]))
        best[results["split"][0][i]] = scenarios["budget"][i], scenarios["queries"][i]

    done = t2.sweep(closed_form, GRID, batch_size=64, out=keep_best)
    assert seen == [64, 64, 64, 18]
    assert best[max(best)] == (1e20, 1e12)
    assert str(done).startswith("210 rows; 210 computed in ")


def test_without_float64_scenarios_are_float32():
    with jax.enable_x64(False):
        found = t2.sweep(closed_form, GRID, batch_size=128)
        assert found["params"].dtype == np.float32
        np.testing.assert_allclose(found["params"], expected(GRID[:])["params"], rtol=1e-6)
        with pytest.raises(ValueError, match="scenario 'budget' holds 1e\\+39, which does not fit float32"):
            t2.sweep(closed_form, {"budget": [1e20, 1e39], "queries": [1.0, 1.0]})
        with pytest.raises(ValueError, match="scenario 'queries' holds 1e-60, which does not fit float32"):
            t2.sweep(closed_form, t2.grid(budget=1e20, queries=[0.0, 1e-60]))


# --- Files ------------------------------------------------------------------------------------------------------------


class Answer(eqx.Module):
    allocation: t2.Allocation
    prices: tuple
    status: object


def answer(s):
    status = t2.Status.where(s["queries"] > 1e8, t2.Status.solved, t2.Status.not_converged)
    return Answer(t2.Allocation(s["budget"] / 1e10, 1e10), (s["queries"], jnp.float32(2.0)), status)


def test_a_file_has_a_row_for_each_scenario_with_columns_by_path(tmp_path, capsys):
    dataset, parquet = pytest.importorskip("pyarrow.dataset"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "plans.parquet"
    done = t2.sweep(answer, GRID, batch_size=64, out=path, progress=True)
    assert "100%" in capsys.readouterr().err
    assert str(done).startswith(f"{path}: 210 rows; 210 computed in ")
    names = ["allocation.params", "allocation.tokens", "allocation.samples", "prices.0", "prices.1", "status"]
    table = parquet.read_table(path)
    assert table.column_names == ["budget", "queries", *names]
    assert table.equals(dataset.dataset(path).to_table())
    for name, column in GRID[:].items():
        np.testing.assert_array_equal(table[name].to_numpy(), column)
    np.testing.assert_allclose(table["allocation.params"].to_numpy(), GRID[:]["budget"] / 1e10, rtol=1e-15)
    assert table["status"].to_pylist() == ["not converged", "solved", "solved"] * 70
    assert str(table["prices.1"].type) == "float"
    assert sorted(one.name[:13] for one in path.iterdir()) == ["_manifest.jso", *(f"part-0000000{i}" for i in range(4))]
    one = t2.sweep(lambda s: s["budget"] > 1e22, GRID, out=tmp_path / "one.parquet")
    assert parquet.read_table(one.path).column_names == ["budget", "queries", "result"]


def test_another_function_batch_or_input_is_refused_under_one_name(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "plans.parquet"
    factors = np.array([1.0, 2.0])

    def scaled(s):
        return {"product": s["budget"] * jnp.asarray(factors)[1]}

    t2.sweep(scaled, GRID, out=path)
    again = t2.sweep(scaled, GRID, out=path, resume=True)
    assert again.computed == 0
    with pytest.raises(FileExistsError, match=r"plans.parquet exists: continue it with resume=True"):
        t2.sweep(scaled, GRID, out=path)
    with pytest.raises(ValueError, match=r"begun otherwise: batch_size was 262144, is 10\."):
        t2.sweep(scaled, GRID, batch_size=10, out=path, resume=True)
    with pytest.raises(ValueError, match=r'begun otherwise: inputs was "\w{32}", is "\w{32}"\.'):
        t2.sweep(
            scaled, t2.grid(budget=GRID.columns["budget"] * 2, queries=GRID.columns["queries"]), out=path, resume=True
        )
    factors[1] = 3.0  # the function's text is the same, but not what it computes
    with pytest.raises(ValueError, match=r'begun otherwise: function was "\w{32}", is "\w{32}"\.'):
        t2.sweep(scaled, GRID, out=path, resume=True)


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path, monkeypatch, request):
    parquet = pytest.importorskip("pyarrow.parquet")
    path, write, resumed = tmp_path / "plans.parquet", Output.write, threading.Event()
    # Where the tests run in a shell's background, Ctrl-C is ignored and Python has no handler for it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def interrupted(self, part, table):
        write(self, part, table)
        if part == 2:
            signal.raise_signal(signal.SIGINT)  # Python raises it in the main thread
            resumed.wait(1)

    with monkeypatch.context() as patch:
        patch.setattr(Output, "write", interrupted)
        with pytest.raises(
            KeyboardInterrupt, match=r"What is done is in .*plans.parquet.partial: go on with resume=True"
        ):
            t2.sweep(closed_form, GRID, batch_size=10, out=path)
    assert not path.exists()
    done = t2.sweep(closed_form, GRID, batch_size=10, out=path, resume=True)
    assert 210 - 60 <= done.computed <= 210 - 30
    np.testing.assert_allclose(parquet.read_table(path)["params"].to_numpy(), expected(GRID[:])["params"], rtol=1e-15)


# --- Wrong values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "options", "error", "message"),
    [
        (lambda s: jnp.ones(3) * s["budget"], {}, ValueError, r"scalars for a scenario, but result has shape \(3,\)"),
        (lambda s: {"a": (s["budget"], "x")}, {}, TypeError, r"but result\['a'\]\[1\] is str"),
        (
            lambda s: jax.lax.complex(s["budget"], 1.0),
            {},
            TypeError,
            "real numbers for a scenario, but result is complex128",
        ),
        (lambda s: None, {}, TypeError, "a number or a pytree of numbers for a scenario, got None"),
        (lambda s: {"budget": 1.0}, {"out": "x.parquet"}, ValueError, "fn returns 'budget', the name of a scenario's"),
        (lambda s: {"a": {"b": 1}, "a.b": 2}, {"out": "x.parquet"}, ValueError, r"two results .* called 'a\.b'"),
        (closed_form, {"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1, got 0"),
        (closed_form, {"out": 3}, TypeError, "out must be None, a path, or a function"),
        (closed_form, {"resume": True}, ValueError, "resume=True goes on with a folder: say which with out="),
        (closed_form, {"mesh": 3}, TypeError, "mesh must be a jax.sharding.Mesh"),
        (
            closed_form,
            {"scenarios": [1]},
            TypeError,
            "scenarios must be a grid or a mapping of names to arrays, got list",
        ),
        (closed_form, {"scenarios": {}}, ValueError, "there are no scenarios"),
        (closed_form, {"scenarios": {"a": []}}, ValueError, "there are no scenarios"),
        (closed_form, {"scenarios": {"a": [1, 2], "b": [1]}}, ValueError, "one length: 'a' has 2, 'b' has 1"),
        (closed_form, {"scenarios": {"a": ["x"]}}, TypeError, "scenario 'a' must hold real numbers"),
        (lambda s: s["budgit"], {}, KeyError, "budgit"),
    ],
)
def test_a_wrong_value_is_met_at_the_door(fn, options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = dict(options)
    with pytest.raises(error, match=message):
        t2.sweep(fn, options.pop("scenarios", GRID), **options)
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_callers_function_comes_through():
    def full(scenarios, results):
        raise RuntimeError("my list is full")

    with pytest.raises(RuntimeError, match="my list is full"):
        t2.sweep(closed_form, GRID, batch_size=50, out=full)
