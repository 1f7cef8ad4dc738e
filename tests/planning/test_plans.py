"""`plan_batch`: its answers are those of one problem after the other, a bad row has a reason, and it is pure."""

import functools
import importlib.util
import os
import subprocess
import sys

import jax
import numpy as np
import pyarrow as pa
import pytest
from oracles import compute_optimal_params
from scipy.optimize import minimize, minimize_scalar
from scipy.special import betaln

import t2jax as t2
from t2jax.planning._batch import RESULTS

LAW = t2.published("besiroglu2024")
E, A, B, ALPHA, BETA = (float(getattr(LAW, name)) for name in ("E", "A", "B", "alpha", "beta"))

# One row for each kind of problem, by what is varied about it.
ROWS = {
    "accuracy": {"total_flops": "1e23", "queries": "1B", "output_tokens": "500"},
    "task": {"task": "pythia-gsm8k-loss", "total_flops": "1e23", "queries": "1e9", "max_samples": "20"},
    "task of a law": {"law": "besiroglu2024", "G": "1", "gamma": "0.3", "total_flops": "1e23", "queries": "1e9"},
    "two budgets": {
        "law": "besiroglu2024",
        "train_flops": "2.56e19",
        "inference_flops": "3e11",
        "output_tokens": "500",
    },
    "more inference than it takes": {"law": "besiroglu2024", "train_flops": "9e23", "inference_flops": "7e11"},
    "target": {"law": "besiroglu2024", "target": "2.4"},
    "law": {"law": "besiroglu2024", "train_flops": "5.88e23"},
    "another law": {"law": "devries2023", "train_flops": "1e21", "max_params": "1B"},
    "total budget without answers": {"law": "besiroglu2024", "total_flops": "5.88e23"},
}
# Programs of their own to compile, so for the slow tests.
MORE_ROWS = {
    "accuracy with a prompt, capped": {
        "total_flops": "1e24",
        "queries": "1e8",
        "prompt_tokens": "2000",
        "output_tokens": "500",
        "max_tokens": "15T",
    },
    "accuracy, prompts not shared": {
        "total_flops": "1e24",
        "queries": "1e8",
        "prompt_tokens": "2000",
        "output_tokens": "500",
        "no_share_prompt": "true",
    },
}
BAD = {
    "nothing": ({}, "bad_input", "no budget: give total_flops, or train_flops with inference_flops, or a target to"),
    "no number": ({"total_flops": "x"}, "bad_input", "total_flops must be a number such as 1e24, 7B or 15T, got 'x'"),
    "negative": ({"total_flops": "-1"}, "bad_input", "total_flops must be positive and finite, got -1"),
    "half a parameter": (
        {"total_flops": "1e24", "queries": "1", "max_params": ".5"},
        "bad_input",
        "max_params must be at least 1, got 0.5",
    ),
    "no law": ({"law": "besiroglu", "train_flops": "1e24"}, "bad_input", "no published law or task is called"),
    "no file": ({"law": "absent.json", "train_flops": "1e24"}, "bad_input", "cannot read absent.json"),
    "a law as a task": (
        {"task": "besiroglu2024", "train_flops": "1e24"},
        "bad_input",
        "besiroglu2024 is a loss law, not a task: give it with law",
    ),
    "two ends": ({"total_flops": "1e24", "target": ".5"}, "bad_input", "total_flops asks for the best at a cost and"),
    "half a task": (
        {"law": "besiroglu2024", "G": "1", "train_flops": "1e20"},
        "bad_input",
        "G and gamma belong together",
    ),
    "no demand": ({"total_flops": "1e24"}, "bad_input", "total_flops pays for training and answering: say how much is"),
    "no such pass@k": (
        {"target": "1.5", "queries": "1"},
        "bad_input",
        "target is a pass@k, between 0 and 1 (0.6 is 60 %), got 1.5",
    ),
    "no flag": (
        {"law": "besiroglu2024", "train_flops": "1e20", "no_share_prompt": "maybe"},
        "bad_input",
        "no_share_prompt must be true or false, got 'maybe'",
    ),
    "no unique tokens": (
        {"law": "besiroglu2024", "train_flops": "1e20", "unique_tokens": "1B"},
        "bad_input",
        "besiroglu2024 does not know of repeated tokens",
    ),
    "no end": ({"train_flops": "1e24"}, "unbounded", "more samples are always better: add inference_flops or max_samp"),
    "too far": (
        {"law": "besiroglu2024", "target": "1.8"},
        "infeasible",
        "no compute reaches the target 1.8: the loss is never below 1.8172",
    ),
    "too dear": (
        {"law": "besiroglu2024", "target": "2.4", "train_flops": "1e20"},
        "infeasible",
        "the target 2.4 takes more than the limits allow",
    ),
    "too far within a cap": (
        {"law": "besiroglu2024", "target": "2", "max_params": "10M"},
        "infeasible",
        "no compute reaches the target 2: the loss is never below 3.58917 within the caps",
    ),
    "too small": (
        {"law": "besiroglu2024", "train_flops": "1"},
        "infeasible",
        "this budget buys no model of even one parameter and token",
    ),
}


def table(rows):
    """Rows as a table of text, with a column that is no field of a scenario."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = {name: pa.array([row.get(name) for row in rows.values()], pa.string()) for name in names}
    return pa.table({"called": list(rows), **columns})


def by_name(plans):
    return {row["called"]: row for row in plans.to_pylist()}


@pytest.fixture(scope="module")
def every():
    """All rows, good and bad ones mixed, in one table and their plans."""
    given = table({**ROWS, **{name: row for name, (row, _, _) in BAD.items()}})
    order = np.random.default_rng(0).permutation(given.num_rows)
    given = given.take(order)
    return given, t2.plan_batch(given)


@pytest.fixture(scope="module")
def plans(every):
    return by_name(every[1])


@pytest.fixture(scope="module")
def accuracies():
    return by_name(t2.plan_batch(table({"accuracy": ROWS["accuracy"], **MORE_ROWS})))


def compare(row, solution, *, value="value"):
    assert row["status"] == "solved"
    assert row[value] == pytest.approx(float(solution.value), rel=1e-9)
    for name in ("params", "tokens", "samples"):
        assert row[name] == pytest.approx(float(getattr(solution.allocation, name)), rel=1e-6)
    assert row["in_fit_range"] == bool(solution.in_fit_range)


def pass_at_k(n, d, k):
    """The task's formula in SciPy."""
    task = t2.published("pythia-gsm8k")
    loss = (
        float(task.law.E)
        + float(task.law.A) / n ** float(task.law.alpha)
        + float(task.law.B) / d ** float(task.law.beta)
    )
    theta = np.asarray(task.theta, float)
    mean, concentration = theta[2] / (1 + np.exp(theta[1] * (loss - theta[0]))), np.exp(theta[3] + theta[4] * loss)
    a, b = mean * concentration, (1 - mean) * concentration
    return -np.expm1(betaln(a, b + k) - betaln(a, b))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "budget", "prompt", "answer", "most_tokens"),
    [
        ("accuracy", 1e23, 0, 1e9 * 500, np.inf),
        ("accuracy with a prompt, capped", 1e24, 1e8 * 2000, 1e8 * 500, 15e12),
        ("accuracy, prompts not shared", 1e24, 0, 1e8 * 2500, np.inf),
    ],
)
def test_accuracy_has_no_better_neighbour(accuracies, name, budget, prompt, answer, most_tokens):
    """Of N and k, with D from the budget, searched from the side."""
    row = accuracies[name]

    def failures(x):
        n, k = np.exp(x)
        left = budget - 2 * n * (prompt + k * answer)
        return 1 - pass_at_k(n, min(left / (6 * n), most_tokens), k) if left > 0 and k >= 1 else 1.0

    there = np.log([row["params"], row["samples"]])
    assert row["value"] == pytest.approx(1 - failures(there), rel=1e-9)
    found = minimize(failures, there - [0.3, 0.2], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-15})
    assert row["value"] == pytest.approx(1 - found.fun, rel=1e-9)
    assert found.x == pytest.approx(there, abs=1e-3)
    assert row["pass_at_k"] == row["value"]
    assert row["total_flops_used"] == pytest.approx(budget, rel=1e-9)
    assert row["train_flops_used"] + row["inference_flops_used"] == row["total_flops_used"]
    law = t2.published("pythia-gsm8k").law
    assert row["loss_nats"] == pytest.approx(float(law.loss(row["params"], row["tokens"])), rel=1e-12)


@pytest.mark.slow
def test_a_task_is_that_of_minimize(plans):
    total = t2.TrainingFLOPs() + t2.InferenceFLOPs(1e9)
    compare(plans["task"], t2.minimize(t2.published("pythia-gsm8k-loss"), [total <= 1e23, t2.samples <= 20.0]))
    compare(plans["task of a law"], t2.minimize(t2.T2Loss(LAW, 1.0, 0.3), [total <= 1e23, t2.samples <= 1e38]))
    assert plans["task"]["pass_at_k"] == pytest.approx(np.exp(-plans["task"]["value"]), rel=1e-12)


@pytest.mark.slow
def test_a_target_is_reached_at_the_least_cost(plans):
    """The dual: what that cost buys at best is the target."""
    row = plans["target"]
    assert row["value"] == row["loss_nats"] == pytest.approx(2.4, rel=1e-9)
    assert [row["params"], row["tokens"]] == pytest.approx(ray(row["total_flops_used"]), rel=1e-5)


@pytest.mark.slow
def test_whole_k_is_the_best_of_all():
    """Each k leaves a problem of one unknown: N, with D from the budget."""
    given = {"law": "besiroglu2024", "G": 1.5, "gamma": 0.4, "total_flops": 1e21, "queries": 1e9, "output_tokens": 2000}
    (row,) = t2.plan_batch(pa.table({"integer_samples": [True]}), **given).to_pylist()

    def best(k):
        def loss(log_n):
            n = np.exp(log_n)
            left = 1e21 - 2 * n * 1e9 * 2000 * k
            return E + A / n**ALPHA + B / (left / (6 * n)) ** BETA + 1.5 / k**0.4 if left > 0 else 1e9

        most = np.log(1e21 / (4e12 * k))
        return minimize_scalar(loss, bounds=(most - 12, most), method="bounded", options={"xatol": 1e-12}).fun

    losses = {k: best(k) for k in range(1, 60)}
    assert row["samples"] == min(losses, key=losses.get) > 1
    assert row["value"] == pytest.approx(min(losses.values()), rel=1e-9)


@pytest.mark.slow
def test_two_budgets_leave_no_choice(plans):
    """As a model that answers once is to be as large as compute-optimal, if answers do not forbid it: here they do."""
    row = plans["two budgets"]
    assert [row[name] for name in ("params", "samples")] == pytest.approx([3e11 / 1000, 1], rel=1e-9)
    assert row["tokens"] == pytest.approx(2.56e19 / (6 * 3e8), rel=1e-9)
    assert row["params"] < ray(2.56e19)[0]
    assert row["total_flops_used"] is None  # training once and inference per query are not of one sum
    assert row["inference_flops_used"] == pytest.approx(3e11, rel=1e-9)


@pytest.mark.slow
def test_a_law_has_one_sample_where_a_budget_would_pay_for_more(plans):
    row = plans["more inference than it takes"]
    assert row["samples"] == 1
    assert row["inference_flops_used"] == pytest.approx(2 * row["params"], rel=1e-12)
    assert [row["params"], row["tokens"]] == pytest.approx(ray(9e23), rel=1e-6)


def ray(flops):
    """N and D of least loss for so many training FLOPs."""
    n = compute_optimal_params(flops, A, B, ALPHA, BETA)
    return n, flops / 6 / n


@pytest.mark.slow
def test_a_law_is_its_closed_form(plans):
    for name in ("law", "total budget without answers"):
        row = plans[name]
        assert (row["status"], row["samples"], row["pass_at_k"]) == ("solved", 1, None)
        assert row["inference_flops_used"] is None
        assert [row["params"], row["tokens"]] == pytest.approx(ray(5.88e23), rel=1e-6)
        assert row["overtraining_ratio"] == pytest.approx(1, rel=1e-5)
    capped = plans["another law"]
    assert [capped["params"], capped["tokens"]] == pytest.approx([1e9, 1e21 / 6e9], rel=1e-9)
    assert capped["loss_nats"] == pytest.approx(1.69 + 406.4 / 1e9**0.336 + 410.7 / (1e21 / 6e9) ** 0.283, rel=1e-9)
    assert capped["tokens_per_param"] == pytest.approx(1e12 / 6 / 1e9, rel=1e-9)
    assert capped["overtraining_ratio"] > 1


@pytest.mark.slow
def test_bad_rows_say_why(plans):
    for name, (_, status, reason) in BAD.items():
        row = plans[name]
        assert (row["status"], row["reason"][: len(reason)]) == (status, reason)
        assert status != "infeasible" or row["reason"] == reason
        assert all(row[one] is None for one in RESULTS[:-2])


@pytest.mark.slow
def test_the_input_is_kept_and_order_does_not_matter(every):
    given, plans = every
    assert plans.select(given.column_names).equals(given)
    assert tuple(plans.column_names[len(given.column_names) :]) == RESULTS
    assert plans.column("status").to_pylist().count("solved") == len(ROWS)
    back = np.arange(given.num_rows)[::-1]
    assert t2.plan_batch(given.take(back)).take(back).equals(plans)


def test_more_rows_than_a_program_takes_at_once_are_answered_alike():
    flops = np.geomspace(1e18, 1e26, 2500)
    batch = pa.record_batch({"train_flops": flops})
    with jax.enable_x64(False):  # float64 in any case
        plans = t2.plan_batch(batch, law="besiroglu2024")
    assert isinstance(plans, pa.RecordBatch)
    np.testing.assert_allclose(plans.column("params").to_numpy(), ray(flops)[0], rtol=1e-6)
    alone = t2.plan_batch(batch.slice(2100, 1), law="besiroglu2024")
    assert alone.equals(plans.slice(2100, 1))


def test_an_empty_table_has_the_columns_of_the_results():
    plans = t2.plan_batch(pa.table({"total_flops": pa.array([], pa.float64())}))
    assert (plans.num_rows, tuple(plans.column_names[1:])) == (0, RESULTS)


def test_defaults_are_for_what_is_not_given():
    """And give way to what a row asks for instead."""
    given = pa.table(
        {
            "train_flops": [1e21, None, None],
            "law": ["besiroglu2024", None, ""],
            "max_params": [None, 1e9, None],
            "total_flops": [None, None, 5.0],
        }
    )
    plans = t2.plan_batch(given, train_flops=5.88e23, law=LAW, max_tokens=1e13).to_pylist()
    assert [row["status"] for row in plans] == ["solved", "solved", "infeasible"]
    assert [row["train_flops_used"] for row in plans[:2]] == pytest.approx([1e21, 6 * 1e9 * 1e13], rel=1e-6)
    assert plans[2]["reason"] == "this budget buys no model of even one parameter and token"
    # A law in the row instead of the task that is the default, and the reverse; a target instead of a budget.
    mixed = pa.table({"law": ["besiroglu2024", None], "train_flops": [1e21, 1e21]})
    of_task = t2.plan_batch(mixed, task="pythia-gsm8k-loss", total_flops=1.0).to_pylist()
    assert of_task[0]["status"] == "infeasible"
    assert of_task[1]["reason"].startswith("total_flops pays for training and answering")
    (row,) = t2.plan_batch(pa.table({"target": [0.5]}), total_flops=1e20).to_pylist()
    assert row["reason"].startswith("target is reached by training and answering")


@pytest.mark.parametrize(
    ("batch", "defaults", "error", "message"),
    [
        ([1], {}, TypeError, "plan_batch takes a pyarrow RecordBatch or Table, got list"),
        (pa.table({}), {"flops": 1.0}, TypeError, "there is no default 'flops': did you mean"),
        (pa.table({}), {"queries": "1e9"}, TypeError, "queries must be a number, got '1e9'"),
        (pa.table({}), {"integer_samples": 1}, TypeError, "integer_samples must be True or False, got 1"),
        (pa.table({}), {"queries": -1}, ValueError, "queries must be positive and finite, got -1"),
        (pa.table({"value": [1]}), {}, ValueError, 'the table has a column "value", which is the name of a result'),
        (
            pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]),
            {},
            ValueError,
            'the table has more than one column "a"',
        ),
    ],
)
def test_what_is_no_table_of_scenarios_is_refused(batch, defaults, error, message):
    with pytest.raises(error, match="^" + message):
        t2.plan_batch(batch, **defaults)


def test_spark_calls_it_with_an_iterator():
    """As `mapInArrow` does: batches in, batches out, one after the other."""
    batches = pa.table({"train_flops": np.geomspace(1e20, 1e22, 10)}).to_batches(max_chunksize=4)
    found = list(map(functools.partial(t2.plan_batch, law="besiroglu2024"), iter(batches)))
    assert [batch.num_rows for batch in found] == [4, 4, 2]
    assert {batch.schema for batch in found} == {found[0].schema}


RAY = """
import sys, numpy as np, pyarrow as pa, ray
import t2jax as t2

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
scenarios = pa.table({"train_flops": np.geomspace(1e18, 1e26, 1000)})
plans = ray.data.from_arrow(scenarios).map_batches(
    t2.plan_batch, batch_format="pyarrow", batch_size=400, fn_kwargs={"law": "besiroglu2024"}
)
found = pa.concat_tables(ray.get(plans.to_arrow_refs())).sort_by("train_flops")
assert found.schema.remove_metadata() == (wanted := t2.plan_batch(scenarios, law="besiroglu2024")).schema
np.testing.assert_allclose(found["params"].to_numpy(), wanted["params"].to_numpy(), rtol=1e-12)
print("as one by one")
"""


@pytest.mark.slow
def test_ray_data_calls_it(tmp_path):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: it has no wheel for every Python")
    # A process of its own, as Ray warns and keeps files at home.
    quiet = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", RAY]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quiet})
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("as one by one\n")
