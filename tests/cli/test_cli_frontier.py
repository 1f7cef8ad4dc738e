"""t2jax frontier as it is typed, against the closed form of the compute-optimal ray."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from oracles import compute_optimal_params

import t2jax as t2
from t2jax.cli import main

LAW = t2.published("besiroglu2024")
E, A, B, ALPHA, BETA = (float(getattr(LAW, name)) for name in ("E", "A", "B", "alpha", "beta"))


def run(capsys, line, status=0):
    """(stdout, stderr) of a command line that ends with this status."""
    assert main(line.split()) == status
    return capsys.readouterr()


def params(flops):
    return compute_optimal_params(flops, A, B, ALPHA, BETA)


def test_a_short_frontier_is_shown_whole(capsys):
    said = run(capsys, "frontier --train-flops 1e18:1e27:10 --law besiroglu2024").out.splitlines()
    assert said[0] == "Compute-optimal frontier: --law besiroglu2024 --train-flops 1e18:1e27:10"
    assert said[1] == "  source  besiroglu2024: Besiroglu et al. 2024, arXiv:2404.10102"
    assert said[2].split() == ["training", "FLOPs", "N", "D", "D/N", "loss"]
    rows = [line.split() for line in said[3:13]]
    assert [row[0] for row in rows] == [f"1.00e{i}" for i in range(18, 28)]
    assert rows[2] == ["1.00e20", "853M", "19.5B", "22.9", "2.5534"]
    assert [row[1].endswith("*") for row in rows] == [False] * 5 + [True] * 5
    assert len({len(line.rstrip()) for line in said[3:13]}) == 1
    assert said[13:] == ["  *: N, D or k is outside the range that was fitted"]


def test_a_long_one_is_thinned_and_written_whole(tmp_path, capsys):
    line = "frontier --train-flops 1e17:1e25:201 --law besiroglu2024 --max-params 10B --out"
    said = run(capsys, f"{line} {tmp_path / 'frontier.csv'}").out.splitlines()
    assert len(said) == 3 + 20 + 3
    assert said[-2:] == [
        "  20 of 201 rows; --out and --json give all",
        f"All 201 rows are in {tmp_path / 'frontier.csv'}",
    ]
    run(capsys, f"{line} {tmp_path / 'frontier.parquet'}")
    with (tmp_path / "frontier.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = pq.read_table(tmp_path / "frontier.parquet")
    for name in ("train_flops", "params", "tokens", "loss_nats"):
        assert [float(row[name]) for row in rows] == found.column(name).to_pylist()
    flops = found.column("train_flops").to_numpy()
    np.testing.assert_allclose(flops, np.geomspace(1e17, 1e25, 201), rtol=1e-14)
    n = np.minimum(params(flops), 1e10)
    np.testing.assert_allclose(found.column("params").to_numpy(), n, rtol=1e-6)
    np.testing.assert_allclose(found.column("tokens").to_numpy(), flops / 6 / n, rtol=1e-6)
    assert "frontier.csv exists" in run(capsys, f"{line} {tmp_path / 'frontier.csv'}", 2).err


def test_json_has_every_row(capsys):
    said = json.loads(run(capsys, "frontier --max-params 1M:1e12:7 --train-flops 1e21 --law besiroglu2024 --json").out)
    assert (said["command"], said["varied"], said["of"]) == ("frontier", "max_params", "loss_nats")
    assert said["inputs"] == {
        "law": "besiroglu2024",
        "train_flops": 1e21,
        "max_params": {"start": 1e6, "stop": 1e12, "count": 7},
    }
    found = [(row["max_params"], row["params"]) for row in said["rows"]]
    caps = np.geomspace(1e6, 1e12, 7)
    np.testing.assert_allclose(found, np.stack([caps, np.minimum(caps, params(1e21))], 1), rtol=1e-6)


def test_points_without_a_solution_are_told(capsys):
    said = run(capsys, "frontier --train-flops 1:1e20:3 --law besiroglu2024").out.splitlines()
    assert said[-1] == (
        "  no solution for training FLOPs 1.00e0: infeasible: this budget buys no model of even one parameter and token"
    )
    assert len(said) == 7
    run(capsys, "frontier --train-flops 1e-9:1:3 --law besiroglu2024", 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "nothing is a range: give one of the numbers as START:STOP:COUNT, for example --total-flops 1e20:1e27:50"),
        ("--total-flops 1e20", "nothing is a range: give one of the numbers as START:STOP:COUNT"),
        ("--total-flops 1:2:3 --queries 1:2:3", "--total-flops and --queries are ranges: give one"),
        ("--total-flops 1e20:1e21", "--total-flops takes START:STOP:COUNT, for example 1e20:1e27:50, got '1e20:1e21'"),
        ("--total-flops 1e20:x:3", "--total-flops takes START:STOP:COUNT, for example 1e20:1e27:50, got '1e20:x:3'"),
        ("--total-flops 1e20:1e21:1", "COUNT of --total-flops must be a whole number of at least 2, got 1"),
        ("--total-flops 1e20:1e21:1e9", "COUNT of --total-flops must be at most 1,000,000, got 1,000,000,000: use"),
        ("--total-flops -1:1e21:3", "an end of --total-flops must be positive and finite, got -1"),
        ("--total-flops 1e20:1e20:3", "the ends of --total-flops must be positive and differ, got '1e20:1e20:3'"),
        ("--total-flops 1e20:1e21:3 --queries q", "--queries must be a number such as 1e24, 7B or 15T, got 'q'"),
        ("--total-flops 1e20:1e21:3", "--total-flops pays for training and answering: say how much is answered"),
        ("--queries 1:10:3", "no budget: give --total-flops, or --train-flops with --inference-flops, or a --target"),
        ("--train-flops 1:10:3 --law besiroglu", "no published law or task is called 'besiroglu': did you mean"),
        ("--train-flops 1:10:3 --law besiroglu2024 --out x.txt", "--out must end in .parquet, .csv or .tsv, got x.txt"),
    ],
)
def test_bad_usage(capsys, options, message):
    printed = run(capsys, f"frontier {options}", 2)
    assert printed.err.startswith(f"t2jax: {message}")
    assert printed.out == ""


def test_plan_of_a_law_has_one_sample_where_a_budget_would_pay_for_more(capsys):
    line = "plan --law besiroglu2024 --train-flops 9e23 --inference-flops 7e11 --max-samples 50 --json"
    said = json.loads(run(capsys, line).out)
    assert said["optimum"]["samples"] == 1
    assert said["optimum"]["params"] == pytest.approx(params(9e23), rel=1e-6)
    assert [row["constraint"] for row in said["prices"]] == ["train_flops", "inference_flops"]
