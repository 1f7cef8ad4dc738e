"""t2jax sweep as it is typed: what it prints and writes, and that a run which is stopped or killed can be taken up."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import t2jax as t2
from t2jax._io.output import Output
from t2jax.cli import main

# A plain law under one budget: the program that is compiled soonest.
LAW = "--law besiroglu2024"


def run(capsys, line, status=0):
    """(stdout, stderr) of a command line that ends with this status."""
    assert main(line.split()) == status
    return capsys.readouterr()


@pytest.fixture
def scenarios(tmp_path):
    path = tmp_path / "scenarios.csv"
    rows = [
        "name,train_flops,max_params",
        "small,1e20,",
        '"large, capped",1E24,70B',
        "short,1e22",
        "bad,-3,",
        "odd,1e21,x",
    ]
    path.write_text("\n".join([*rows, "tiny,1,\n"]))
    return path


def test_a_csv_of_plans_stands_beside_its_rows(tmp_path, capsys, scenarios):
    out = tmp_path / "plans.csv"
    said = run(capsys, f"sweep {scenarios} --out {out} {LAW}").out.splitlines()
    assert said[0].startswith("6 rows in ")
    assert said[1:] == [
        "  solved      2",
        "  bad input   3  for example line 4: has 2 cells, the header has 3",
        "  infeasible  1  it is line 7: this budget buys no model of even one parameter and token",
        "  The columns status and reason say so in every row.",
        f"The plans are in {out}",
    ]
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["small", "large, capped", "short", "bad", "odd", "tiny"]
    assert [row["train_flops"] for row in rows] == ["1e20", "1E24", "1e22", "-3", "1e21", "1"]
    assert rows[1]["max_params"] == "70B"
    assert [row["reason"] for row in rows[2:5]] == [
        "line 4: has 2 cells, the header has 3",
        "line 5: train_flops must be positive and finite, got -3",
        "line 6: max_params must be a number such as 1e24, 7B or 15T, got 'x'",
    ]
    wanted = t2.plan_batch(pa.table({"train_flops": [1e20, 1e24], "max_params": [None, 7e10]}), law="besiroglu2024")
    for row, plan in zip(rows[:2], wanted.to_pylist(), strict=True):
        assert [float(row[name]) for name in ("params", "tokens")] == [plan["params"], plan["tokens"]]
        assert (row["pass_at_k"], row["reason"], row["status"]) == ("", "", "solved")
    assert sorted(os.listdir(tmp_path)) == ["plans.csv", "scenarios.csv"]

    # Never overwritten, and the same to the last byte if done again.
    assert f"{out} exists" in run(capsys, f"sweep {scenarios} --out {out} {LAW}", 2).err
    again = tmp_path / "again.csv"
    said = json.loads(run(capsys, f"sweep {scenarios} --out {again} {LAW} --batch-size 4 --json").out)
    assert again.read_bytes() == out.read_bytes()
    assert said.pop("seconds") > 0
    assert said.pop("version")
    assert said == {
        "command": "sweep",
        "inputs": {"scenarios": str(scenarios), "law": "besiroglu2024"},
        "out": str(again),
        "passed_through": ["name"],
        "rows": 6,
        "solved": 2,
        "statuses": {"bad_input": 3, "infeasible": 1, "solved": 2},
        "first": {
            "bad_input": {"where": "line 4", "reason": "has 2 cells, the header has 3"},
            "infeasible": {"where": "line 7", "reason": "this budget buys no model of even one parameter and token"},
        },
    }


def test_ctrl_c_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    table = pa.table({"train_flops": np.geomspace(1e18, 1e24, 50), "tag": [[i] for i in range(50)]})
    pq.write_table(table, tmp_path / "scenarios.parquet")
    line = f"sweep {tmp_path / 'scenarios.parquet'} --out {tmp_path / 'plans.parquet'} {LAW} --batch-size 20"
    write = Output.write

    def stopped(self, part, table):
        if part == 1:
            raise KeyboardInterrupt
        write(self, part, table)

    with monkeypatch.context() as patched:
        patched.setattr(Output, "write", stopped)
        said = run(capsys, line, 130).err
    assert said == f"t2jax: stopped; what is finished is kept. Go on with\n  t2jax {line} --resume\n"
    assert not (tmp_path / "plans.parquet").exists()
    assert "is unfinished: continue it with --resume" in run(capsys, line, 2).err
    other = line.replace("--batch-size 20", "--batch-size 10")
    assert "batch_size was 20, is 10" in run(capsys, f"{other} --resume", 2).err
    run(capsys, f"{line} --resume")
    plans = pq.read_table(tmp_path / "plans.parquet")
    assert plans.select(["train_flops", "tag"]).equals(table)
    assert plans.column("status").to_pylist() == ["solved"] * 50
    # What is whole stays so, and its summary can be had again.
    assert run(capsys, f"{line} --resume").out.startswith("50 rows in ")
    # A column that no CSV can hold is refused before anything is computed.
    as_csv = line.replace("plans.parquet", "plans.csv")
    assert 'column "tag" of type list' in run(capsys, as_csv, 2).err


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path, capsys):
    budgets = np.geomspace(1e18, 1e26, 1000)
    (tmp_path / "scenarios.csv").write_text(
        "id,train_flops\n" + "".join(f"{i},{c!r}\n" for i, c in enumerate(budgets.tolist()))
    )
    words = ["sweep", str(tmp_path / "scenarios.csv"), *LAW.split(), "--batch-size", "20"]
    killed, whole = tmp_path / "killed.csv", tmp_path / "whole.csv"
    folder = tmp_path / "killed.csv.parts.partial"
    process = subprocess.Popen([sys.executable, "-m", "t2jax.cli", *words, "--out", str(killed)])
    try:
        while process.poll() is None and len(list(folder.glob("part-*.parquet"))) < 3:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.wait()
    there = len(list(folder.glob("part-*.parquet")))
    assert 3 <= there < 50  # it was killed midway
    assert not killed.exists()
    run(capsys, " ".join([*words, "--out", str(killed), "--resume"]))
    run(capsys, " ".join([*words, "--out", str(whole)]))
    assert killed.read_bytes() == whole.read_bytes()
    assert killed.read_bytes().count(b"solved") == 1000
    assert sorted(os.listdir(tmp_path)) == ["killed.csv", "scenarios.csv", "whole.csv"]


@pytest.mark.parametrize(
    ("content", "options", "status", "message"),
    [
        ("train_flops\n1e20\n", "", 2, "say where the plans go with --out, for example --out plans.parquet"),
        ("train_flops\n1e20\n", "--out x.json", 2, "--out must end in .parquet, .csv or .tsv, got x.json"),
        ("train_flops\n1e20\n", "--out x.csv --queries -1", 2, "--queries must be positive and finite, got -1"),
        ("train_flops\n1e20\n", "--out x.csv --queries q", 2, "--queries must be a number such as 1e24, 7B or 15T"),
        ("train_flops\n1e20\n", "--out x.csv --batch-size .5", 2, "--batch-size must be a whole number of at least 1"),
        (
            "train_flops\n1e20\n",
            "--out none/x.csv",
            2,
            "cannot write none/x.csv.parts.partial: there is no folder none",
        ),
        ("train_flops\n1e20\n", "--out x.csv --task gsm", 2, "no published law or task is called 'gsm': did you mean"),
        ("", "--out x.csv", 2, "scenarios.csv is empty"),
        ("train_flops\n", "--out x.csv", 2, "scenarios.csv has no rows"),
        ("train_flops,value\n1,2\n", "--out x.csv", 2, 'the table has a column "value", which is the name of a result'),
        ("train_flops\nx\n", "--out x.csv", 1, "no row has a solution"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, capsys, monkeypatch, content, options, status, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios.csv").write_text(content)
    assert message in run(capsys, f"sweep scenarios.csv {options} {LAW}", status).err
    if status == 2:
        assert os.listdir(tmp_path) == ["scenarios.csv"]


def test_a_column_that_no_csv_can_hold_is_refused_before_anything_is_planned(tmp_path, capsys):
    path, out = tmp_path / "scenarios.parquet", tmp_path / "plans.csv"
    pq.write_table(pa.table({"train_flops": [1e20], "runs": [[1, 2]]}), path)
    said = run(capsys, f"sweep {path} --out {out} {LAW}", status=2).err
    assert said == 't2jax: column "runs" of type list<element: int64> cannot be written to plans.csv: use .parquet\n'
    assert os.listdir(tmp_path) == ["scenarios.parquet"]
