"""`t2.frontier` is what `t2jax frontier` prints and what `plan_batch` holds, and follows the compute-optimal ray."""

import inspect
import json

import jax
import numpy as np
import pytest
from oracles import compute_optimal_params

import t2jax as t2
from t2jax.cli import main
from t2jax.planning._fields import TABLE

pa = pytest.importorskip("pyarrow")

LAW = t2.published("besiroglu2024")
COEFFICIENTS = [float(getattr(LAW, name)) for name in ("A", "B", "alpha", "beta")]
BUDGETS = np.geomspace(1e18, 1e24, 7)
SERVED = {"queries": 1e9, "output_tokens": 500}


def params(flops):
    return compute_optimal_params(np.asarray(flops), *COEFFICIENTS)


def typed(capsys, line, status=0):
    assert main(line.split()) == status
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def found():
    return t2.frontier(law="besiroglu2024", train_flops=BUDGETS)


def test_it_follows_the_compute_optimal_ray(found):
    assert (found.varied, found.of, found.ok) == ("train_flops", "loss_nats", True)
    assert [row["train_flops"] for row in found.rows] == BUDGETS.tolist()
    np.testing.assert_allclose([row["params"] for row in found.rows], params(BUDGETS), rtol=1e-6)


@pytest.mark.parametrize("given", ["1e18:1e24:7", BUDGETS, BUDGETS.tolist(), tuple(map(str, BUDGETS.tolist()))])
def test_a_range_is_the_command_lines_however_it_is_given(given, found, capsys):
    said = t2.frontier(law="besiroglu2024", train_flops=given).to_dict()
    assert json.loads(json.dumps(said)) == json.loads(
        typed(capsys, "frontier --law besiroglu2024 --train-flops 1e18:1e24:7 --json")
    )
    assert said == found.to_dict()
    assert said["schema"] == 1
    assert said["inputs"] == {"law": "besiroglu2024", "train_flops": {"start": 1e18, "stop": 1e24, "count": 7}}


def test_it_prints_what_the_command_line_prints_with_names_as_in_python(found, capsys):
    lines = typed(capsys, "frontier --law besiroglu2024 --train-flops 1e18:1e24:7").splitlines()
    own = str(found).splitlines()
    assert repr(found) == str(found)
    assert own[0] == "Compute-optimal frontier: law='besiroglu2024', train_flops='1e18:1e24:7'"
    assert lines[0] == "Compute-optimal frontier: --law besiroglu2024 --train-flops 1e18:1e24:7"
    assert own[1:] == lines[1:]
    assert len(own) == 11
    shown = found._repr_html_()
    assert shown.count("<tr>") == 8
    assert '<th scope="row" style="text-align: left">1.00e18 </th>' in shown


def test_any_numbers_may_be_listed():
    some = [3e20, "1e20", 7e23]
    found = t2.frontier(law="besiroglu2024", train_flops=some, max_params="10B")
    assert found.inputs["train_flops"] == [3e20, 1e20, 7e23]
    n = np.minimum(params([3e20, 1e20, 7e23]), 1e10)
    np.testing.assert_allclose([row["params"] for row in found.rows], n, rtol=1e-6)
    title = str(found).splitlines()[0]
    assert title == "Compute-optimal frontier: max_params=1e10, law='besiroglu2024', train_flops=[3e20, 1e20, 7e23]"
    zero = t2.frontier(total_flops=1e22, queries=1e9, prompt_tokens=[0, 100, 1000])
    kept = [row["params"] * row["samples"] for row in zero.rows]
    assert kept == sorted(kept, reverse=True)


def test_a_row_is_that_of_plan_batch_and_the_plan_of_its_numbers():
    found = t2.frontier(total_flops="1e20:1e26:4", integer_samples=True, **SERVED)
    budgets = np.geomspace(1e20, 1e26, 4)
    table = t2.plan_batch(pa.table({"total_flops": budgets}), integer_samples=True, **SERVED)
    assert found.rows == table.to_pylist()
    plan = t2.plan(total_flops=float(budgets[2]), integer_samples=True, **SERVED)
    row = found.rows[2]
    assert row["value"] == pytest.approx(plan.optimum.value, rel=1e-12)
    assert row["samples"] == plan.optimum.samples
    assert found.inputs["task"] == plan.inputs["task"] == "pythia-gsm8k"


def test_objects_in_place_of_names():
    law = t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
    found = t2.frontier(law=law, train_flops=BUDGETS)
    np.testing.assert_allclose([row["params"] for row in found.rows], params(BUDGETS), rtol=1e-6)
    assert str(found).startswith("Compute-optimal frontier: law='Chinchilla', train_flops='1e18:1e24:7'")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"total_flops": 1e22}, "nothing is a range: give one of the numbers as START:STOP:COUNT, or a sequence of "
         "numbers, for example total_flops='1e20:1e27:50'"),
        ({"total_flops": "1:2:3", "queries": [1, 2]}, "total_flops= and queries= are ranges: give one"),
        ({"total_flops": "1e20:x:3"}, "total_flops= takes START:STOP:COUNT, or a sequence of numbers, for example "
         "1e20:1e27:50, got '1e20:x:3'"),
        ({"total_flops": [1e20]}, "the length of total_flops= must be a whole number of at least 2, got 1"),
        ({"total_flops": "1:2:1e9"}, "COUNT of total_flops= must be at most 1,000,000, got 1,000,000,000: use "
         "t2.plan_batch"),
        ({"total_flops": [1e20, -1]}, "each of total_flops= must be positive and finite, got -1"),
        ({"total_flops": np.ones((2, 2))}, "each of total_flops= must be a number such as 1e24, 7B or 15T, got [1.0"),
        ({"total_flop": "1:2:3"}, "there is no total_flop=: did you mean total_flops or train_flops?"),
        ({"total_flops": "1:2:3", "hardware": "h100-sxm"}, "hardware= is for a single plan, t2.plan"),
        ({"total_flops": "1:2:3"}, "total_flops= pays for training and answering: say how much is answered, for "
         "example queries=1e9, output_tokens=500"),
        ({"queries": [1, 10]}, "no budget: give total_flops=, or train_flops= with inference_flops=, or a target= to "
         "reach most cheaply; for example total_flops='1e20:1e27:50'"),
        ({"train_flops": "1:2:3", "law": "x"}, "no published law or task is called 'x'"),
        ({"train_flops": "1e20:1e21:3", "queries": "q"}, "queries= must be a number such as 1e24, 7B or 15T, got 'q'"),
    ],
)  # fmt: skip
def test_bad_usage_is_spelled_for_python(fields, message):
    with pytest.raises(t2.UsageError) as error:
        t2.frontier(**fields)
    assert str(error.value).startswith(message)


def test_rows_without_a_solution_are_told():
    found = t2.frontier(law="besiroglu2024", train_flops="1:1e20:3")
    assert found.notes == (
        "N, D or k is outside the range that was fitted in 1 row",
        "no solution for training FLOPs 1.00e0: infeasible: this budget buys no model of even one parameter and token",
    )
    assert [row["status"] for row in found.rows] == ["infeasible", "solved", "solved"]
    assert found.to_pandas()["reason"][0].startswith("this budget buys no model")
    with pytest.raises(t2.NoSolutionError, match="infeasible: this budget buys no model of even one parameter"):
        t2.frontier(law="besiroglu2024", train_flops="1e-9:1e-3:3")


def test_it_converts(found):
    frame, table = found.to_pandas(), found.to_arrow()
    assert list(frame) == ["train_flops", "params", "tokens", "samples", "tokens_per_param", "overtraining_ratio",
                           "loss_nats", "value", "train_flops_used", "total_flops_used", "in_fit_range",
                           "status"]  # fmt: skip
    assert frame["params"].tolist() == [row["params"] for row in found.rows]
    assert table.to_pylist()[3]["tokens"] == found.rows[3]["tokens"]
    latex = found.to_latex()
    assert r"training FLOPs & parameters N & training tokens D" in latex
    assert latex.count(r"\\") == 8
    assert r"$1.00 \times 10^{20}$ & 853M & 19.5B" in latex


def test_it_is_written_once(found, tmp_path):
    import pyarrow.parquet as pq

    found.write(tmp_path / "frontier.parquet")
    assert pq.read_table(tmp_path / "frontier.parquet").to_pylist() == found.rows
    with pytest.raises(t2.UsageError, match="exists"):
        found.write(tmp_path / "frontier.parquet")
    with pytest.raises(t2.UsageError, match="must end in"):
        found.write(tmp_path / "frontier.txt")
    with pytest.raises(t2.UsageError, match="nowhere"):
        found.write(tmp_path / "nowhere" / "frontier.csv")


def test_it_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    found = t2.frontier(total_flops="1e20:1e26:4", **SERVED)
    ax = Figure().subplots()
    assert found.plot(ax) is ax
    assert ax.get_xlabel() == "compute of training and inference (FLOPs)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "parameters N", "training tokens D", "samples per query k"
    ]  # fmt: skip
    drawn = np.nanmax(np.stack([line.get_ydata() for line in ax.lines[:2]]), 0)  # within the fitted range, and beyond
    assert drawn.tolist() == [row["params"] for row in found.rows]
    found.plot(tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").stat().st_size > 10_000
    with pytest.raises(t2.UsageError, match="exists"):
        found.plot(tmp_path / "frontier.png")


def test_it_needs_nothing_of_jaxs_settings(found, tmp_path):
    """As users have them: float32."""
    pytest.importorskip("matplotlib")
    with jax.enable_x64(False):
        single = t2.frontier(law="besiroglu2024", train_flops=BUDGETS)
        assert single.to_dict() == found.to_dict()
        assert str(single) == str(found)
        assert single.to_arrow().equals(found.to_arrow())
        single.plot(tmp_path / "frontier.png")


def test_the_signature_names_every_field_of_a_table():
    names = [one.name for one in TABLE if one.column]
    assert list(inspect.signature(t2.frontier).parameters) == names
    said = inspect.cleandoc(t2.frontier.__doc__)
    assert all(f"\n    {name}: " in said for name in names)
