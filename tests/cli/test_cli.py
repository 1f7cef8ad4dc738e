"""The command line as it is typed: what it prints, its exit status, and its numbers against closed forms."""

import json
import math
import subprocess
import sys

import equinox as eqx
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import t2jax
from t2jax._io.text import flops
from t2jax.cli import main
from t2jax.cli._arguments import read_number
from t2jax.planning import _problem as problem
from t2jax.planning._baselines import balanced_tokens
from t2jax.planning._coefficients import law_or_task
from t2jax.planning._report import _advantage, plan_text

LAW = {"kind": "Chinchilla", "E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
TASK = {"kind": "T2Loss", "law": LAW, "G": 1.0, "gamma": 0.3}
EXAMPLE = "t2jax plan --total-flops 1e24 --queries 1e9 --output-tokens 500"


def run(capsys, line, status=0):
    """(stdout, stderr) of a command line that ends with this status."""
    assert main(line.split()) == status
    return capsys.readouterr()


def planned(capsys, line, status=0):
    return json.loads(run(capsys, f"plan {line} --json", status).out)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("coefficients") / "reference.json"
    path.write_text(json.dumps(TASK))
    return path


@pytest.fixture
def one_budget(capsys, reference):
    return planned(capsys, f"--task {reference} --total-flops 1e23 --queries 1e9")


def ray(train_flops):
    """N and D of least loss on 6ND = C: EQUATIONS §1."""
    total = LAW["alpha"] + LAW["beta"]
    scale = (LAW["alpha"] * LAW["A"] / (LAW["beta"] * LAW["B"])) ** (1 / total)
    n = scale * (train_flops / 6) ** (LAW["beta"] / total)
    return n, train_flops / 6 / n


def task_loss(n, d, k):
    return LAW["E"] + LAW["A"] / n ** LAW["alpha"] + LAW["B"] / d ** LAW["beta"] + TASK["G"] / k ** TASK["gamma"]


def test_one_budget(one_budget):
    optimum = one_budget["optimum"]
    assert (one_budget["status"], one_budget["reason"]) == ("solved", None)
    assert optimum["value"] == pytest.approx(2.16350107, rel=5e-9)
    found = [optimum[key] for key in ("params", "tokens", "samples")]
    assert found == pytest.approx([8.60398884e9, 1.01853096e12, 2755.66525], rel=1e-6)
    assert optimum["train_flops"] == pytest.approx(6 * found[0] * found[1], rel=1e-14)
    assert optimum["inference_flops"] == pytest.approx(2 * found[0] * found[2] * 1e9, rel=1e-14)
    assert optimum["train_flops"] + optimum["inference_flops"] == pytest.approx(1e23, rel=1e-12)
    assert optimum["total_flops"] == pytest.approx(1e23, rel=1e-12)
    assert optimum["tokens_per_param"] == pytest.approx(found[1] / found[0], rel=1e-14)
    assert optimum["pass_at_k"] == pytest.approx(math.exp(-optimum["value"]), rel=1e-14)
    assert optimum["value"] == pytest.approx(task_loss(*found), rel=1e-12)
    assert optimum["loss_nats"] == pytest.approx(task_loss(*found) - found[2] ** -0.3, rel=1e-12)
    # D*(N): αA/N^α = βB/D^β.
    balanced = (LAW["beta"] * LAW["B"] / (LAW["alpha"] * LAW["A"]) * found[0] ** LAW["alpha"]) ** (1 / LAW["beta"])
    assert optimum["overtraining_ratio"] == pytest.approx(found[1] / balanced, rel=1e-9)


def test_price_of_the_budget(one_budget):
    (price,) = one_budget["prices"]
    optimum = one_budget["optimum"]
    # Stationarity in log D: d L/d log D = price · d log C/d log D.
    slope = -LAW["beta"] * LAW["B"] / optimum["tokens"] ** LAW["beta"]
    assert price == {
        "constraint": "total_flops",
        "limit": 1e23,
        "used": pytest.approx(1e23, rel=1e-12),
        "binding": True,
        "price": pytest.approx(slope * 1e23 / optimum["train_flops"], rel=1e-7),
    }


def test_baselines_of_one_budget(one_budget):
    optimum, baselines = one_budget["optimum"], one_budget["baselines"]
    chinchilla, one_sample = baselines["chinchilla"], baselines["one_sample"]

    def of_share(logit):
        n, d = ray(1e23 / (1 + math.exp(-logit)))
        return task_loss(n, d, (1e23 - 6 * n * d) / (2 * n * 1e9))

    best = minimize_scalar(of_share, bounds=(-20, 5), method="bounded", options={"xatol": 1e-10})
    assert chinchilla["value"] == pytest.approx(best.fun, rel=1e-10)
    assert chinchilla["overtraining_ratio"] == pytest.approx(1, rel=1e-9)
    assert (chinchilla["params"], chinchilla["tokens"]) == pytest.approx(ray(chinchilla["train_flops"]), rel=1e-9)
    assert one_sample["samples"] == 1
    for baseline in (chinchilla, one_sample):
        assert baseline["total_flops"] == pytest.approx(1e23, rel=1e-9)
        assert baseline["value"] >= optimum["value"]


def test_two_budgets(capsys, reference):
    said = planned(capsys, f"--task {reference} --train-flops 2.56e19 --inference-flops 2e9")
    optimum, chinchilla = said["optimum"], said["baselines"]["chinchilla"]
    assert optimum["value"] == pytest.approx(3.38134159, rel=5e-9)
    found = [optimum[key] for key in ("params", "tokens", "samples")]
    assert found == pytest.approx([116951714, 3.64822927e10, 8.55053736], rel=1e-6)
    assert (chinchilla["params"], chinchilla["tokens"]) == pytest.approx(ray(2.56e19), rel=1e-12)
    assert chinchilla["samples"] == pytest.approx(2e9 / (2 * ray(2.56e19)[0]), rel=1e-12)
    assert said["baselines"]["one_sample"]["value"] >= optimum["value"]
    assert [row["constraint"] for row in said["prices"]] == ["train_flops", "inference_flops"]
    # Training once and inference per token are not of one sum.
    assert optimum["total_flops"] is None

    said = planned(capsys, f"--task {reference} --train-flops 2.56e19 --inference-flops 1e8")
    share = 2 * ray(2.56e19)[0] / 1e8
    why = f"one sample per query takes {share:.3g} times the inference budget"
    assert said["baselines"]["chinchilla"]["why_none"] == why
    assert said["baselines"]["chinchilla"]["params"] is None
    text = run(capsys, f"plan --task {reference} --train-flops 2.56e19 --inference-flops 1e8").out
    assert f"  Chinchilla-optimal, sampled with the rest: {why}\n" in text


def test_a_target_is_the_dual_of_a_budget(capsys, reference, one_budget):
    target, chinchilla = one_budget["optimum"]["value"], one_budget["baselines"]["chinchilla"]
    said = planned(capsys, f"--task {reference} --target {target!r} --queries 1e9")
    assert said["objective"]["quantity"] == "flops"
    assert said["optimum"]["total_flops"] == pytest.approx(1e23, rel=1e-6)
    assert said["optimum"]["value"] == pytest.approx(target, rel=1e-9)
    assert said["baselines"]["chinchilla"]["total_flops"] > 1.01e23
    assert said["baselines"]["one_sample"]["why_none"] == "does not reach the target"
    # d FLOPs / d ln target and d loss / d ln FLOPs are inverse to each other.
    inverse = 1e23 / one_budget["prices"][0]["price"] * target
    assert said["prices"][0]["price"] == pytest.approx(inverse, rel=1e-5)

    said = planned(capsys, f"--task {reference} --target {chinchilla['value']!r} --queries 1e9")
    assert said["baselines"]["chinchilla"]["total_flops"] == pytest.approx(1e23, rel=1e-6)
    assert said["optimum"]["total_flops"] < 1e23


@pytest.mark.slow
def test_whole_samples(capsys, reference):
    line = f"--task {reference} --train-flops 2.56e19 --inference-flops 2e9"
    said = planned(capsys, f"{line} --integer-samples")
    assert said["optimum"]["samples"] in (8, 9)
    assert 3.38134159 < said["optimum"]["value"] < 3.3825
    assert said["baselines"]["chinchilla"]["samples"] == math.floor(2e9 / (2 * ray(2.56e19)[0]))
    assert f"prices are those at k = {said['optimum']['samples']:.0f}" in said["notes"]
    assert said["baselines"]["chinchilla"]["inference_flops"] <= 2e9


@pytest.mark.slow
def test_whole_samples_have_no_price_and_stay_within_the_budget(capsys, reference, monkeypatch):
    def minimize(*arguments, **options):
        found = t2jax.minimize(*arguments, **options)
        # As the library answers where a cap holds a whole k: its price is not a number.
        return eqx.tree_at(lambda solution: solution.shadow_prices[-1], found, np.full((), np.nan))

    monkeypatch.setattr(problem, "minimize", minimize)
    said = planned(capsys, f"--task {reference} --total-flops 1e20 --queries 1e9 --integer-samples --max-samples 3")
    assert said["baselines"]["chinchilla"]["total_flops"] <= 1e20
    assert said["optimum"]["samples"] == 3
    assert said["prices"][-1] == {
        "constraint": "max_samples",
        "limit": 3.0,
        "used": 3.0,
        "binding": True,
        "price": None,
    }
    assert said["notes"][-2:] == ["prices are those at k = 3", "prices of k are not defined for whole k"]
    assert "\n  samples per query     3.00   all" in plan_text(said).replace("  –", "")
    assert plan_text(said).count("–") >= 2


def test_a_loss_law_alone_is_chinchilla(capsys):
    said = planned(capsys, "--law hoffmann2022 --train-flops 5.88e23")
    assert said["optimum"]["params"] == pytest.approx(3.2491e10, rel=1e-5)
    assert said["optimum"]["loss_nats"] == pytest.approx(1.929987, rel=1e-6)
    assert said["optimum"]["inference_flops"] is None
    assert said["optimum"]["pass_at_k"] is None
    assert said["optimum"]["overtraining_ratio"] == pytest.approx(1, rel=1e-6)
    assert said["baselines"]["chinchilla"]["params"] == pytest.approx(said["optimum"]["params"], rel=1e-6)
    assert said["notes"] == [
        "params 32.5B is above the fitted range 70M–16B of hoffmann2022",
        "tokens 3.02T is above the fitted range 5B–500B of hoffmann2022",
    ]
    text = run(capsys, "plan --law hoffmann2022 --train-flops 5.88e23").out
    assert "Chinchilla-optimal" not in text
    assert "samples" not in text


def test_caps_bind_and_a_file_s_provenance_is_said(capsys, tmp_path):
    path = tmp_path / "mine.json"
    source = {"citation": "our runs, 2026", "params": [1e8, 1e9], "convention": "non-embedding"}
    path.write_text(json.dumps({**LAW, "provenance": source}))
    line = f"--law {path} --total-flops 1e24 --queries 1e10 --output-tokens 500 --max-params 20B"
    said = planned(capsys, line)
    assert said["optimum"]["params"] == pytest.approx(20e9, rel=1e-12)
    assert said["optimum"]["tokens"] == pytest.approx((1e24 - 2 * 20e9 * 5e12) / (6 * 20e9), rel=1e-12)
    assert [row["binding"] for row in said["prices"]] == [True, True]
    chinchilla = said["baselines"]["chinchilla"]
    assert chinchilla["params"] == pytest.approx(20e9, rel=1e-6)
    assert chinchilla["overtraining_ratio"] == pytest.approx(1, rel=1e-9)
    assert said["objective"]["sources"] == [{"name": "mine", "citation": "our runs, 2026", "note": ""}]
    assert said["notes"] == [
        "params 20B is above the fitted range 100M–1B of mine",
        "mine counts non-embedding parameters: N is that number here",
    ]
    text = plan_text(said)
    left = 100 * (1 - chinchilla["total_flops"] / 1e24)
    assert f"  Chinchilla-optimal: within the limits, {left:.3g}% of the budget stays unspent\n" in text
    assert (
        "  source     mine: our runs, 2026\n  demand     10.0B queries of 500 tokens\n  limits     N ≤ 20.0B\n" in text
    )


@pytest.mark.slow
def test_pass_at_k(capsys):
    said = planned(capsys, EXAMPLE.removeprefix("t2jax plan "))
    optimum, baselines = said["optimum"], said["baselines"]
    assert said["inputs"]["task"] == "pythia-gsm8k"
    assert said["objective"]["sense"] == "maximize"
    assert baselines["one_sample"]["pass_at_k"] < baselines["chinchilla"]["pass_at_k"] < optimum["pass_at_k"] < 1
    assert optimum["value"] == optimum["pass_at_k"]
    task = t2jax.published("pythia-gsm8k")
    for one in (optimum, *baselines.values()):
        where = t2jax.Allocation(one["params"], one["tokens"], one["samples"])
        assert one["pass_at_k"] == pytest.approx(float(task(where)), rel=1e-12)
        assert one["loss_nats"] == pytest.approx(float(task.law(where)), rel=1e-12)
    text = plan_text(said)
    assert text.startswith("The highest pass@k (pythia-gsm8k) for 1.00e24 FLOPs of training and inference together\n")
    assert "  demand     1.00B queries of k samples of 500 tokens\n" in text
    assert "points of pass@k above the Chinchilla-optimal model sampled with the rest" in text
    assert f"10% more → pass@k +{100 * said['prices'][0]['price'] * math.log(1.1):.2g} points" in text


def test_text(capsys, reference, monkeypatch):
    monkeypatch.chdir(reference.parent)
    text = run(capsys, "plan --task reference.json --total-flops 1e23 --queries 1e9").out
    assert (
        text
        == """\
The lowest task loss (reference.json) for 1.00e23 FLOPs of training and inference together
  demand     1.00B queries of k samples of 1 token

                                            Chinchilla-optimal,         one sample
                                 optimum  sampled with the rest            (k = 1)
  parameters N                    8.60B                  19.4B              29.4B
  training tokens D               1.02T                   381B               566B
  samples per query k             2,756                  1,436                  1
  tokens per parameter              118                   19.6               19.3
  over-training D/D*(N)            5.80×                  1.00×              1.00×
  task loss −log pass@k          2.1635                 2.1786             3.0321
  pass@k (exp −loss)              11.5%                  11.3%              4.82%
  training FLOPs         5.26e22 (52.6%)        4.43e22 (44.3%)    9.99e22 (99.9%)
  inference FLOPs        4.74e22 (47.4%)        5.57e22 (55.7%)  5.88e19 (0.0588%)
  D*(N): the tokens for which N parameters are compute-optimal in training

The optimum is 0.0151 nats below the Chinchilla-optimal model sampled with the rest, and 0.869 nats
below one sample per query.

What more would buy (raw price: d value / d ln limit)
                 limit  used                                raw price
  total FLOPs  1.00e23   all  10% more → loss −0.0056 nats   -0.05876

note: k is a real number here: --integer-samples finds the best whole one
"""
    )


def test_output_is_stable(capsys, reference):
    line = f"plan --task {reference} --total-flops 1e23 --queries 1e9 --json"
    once, again = run(capsys, line).out, run(capsys, line).out
    assert once == again
    assert json.dumps(json.loads(once), indent=2, ensure_ascii=False) + "\n" == once
    assert list(json.loads(once)) == [
        "version",
        "command",
        "schema",
        "status",
        "reason",
        "inputs",
        "objective",
        "optimum",
        "baselines",
        "prices",
        "uncertainty",
        "notes",
        "plot",
    ]


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (
            "--law besiroglu2024 --target 1.5",
            "infeasible",
            "no compute reaches the target 1.5: the loss is never below 1.8172",
        ),
        (
            "--law besiroglu2024 --target 1.9 --max-params 1B",
            "infeasible",
            "no compute reaches the target 1.9: the loss is never below "
            f"{1.8172 + 482.01 / 1e9**0.3478:.6g} within the caps",
        ),
        (
            "--law besiroglu2024 --target 2 --train-flops 1e18",
            "infeasible",
            "the target 2 takes more than the limits allow",
        ),
        (
            "--law besiroglu2024 --train-flops 5",
            "infeasible",
            "this budget buys no model of even one parameter and token",
        ),
        (
            "--law besiroglu2024 --target 1e5",
            "infeasible",
            "the target 100000 is reached by a model of less than one parameter or token",
        ),
        (
            "--train-flops 1e22",
            "unbounded",
            "more samples are always better: add --inference-flops or --max-samples",
        ),
        (
            "--law besiroglu2024 --inference-flops 1e10",
            "unbounded",
            "more training tokens are always better: add --train-flops or --max-tokens",
        ),
    ],
)
def test_no_solution(capsys, line, status, reason):
    printed = run(capsys, f"plan {line} --json", 1)
    said = json.loads(printed.out)
    assert (said["status"], said["reason"], said["optimum"], said["prices"]) == (status, reason, None, [])
    assert printed.err == f"t2jax: no solution: {status}: {reason}\n"
    assert run(capsys, f"plan {line}", 1).out == ""


NUMBER = "--total-flops must be a number such as 1e24, 7B or 15T, got"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "",
            "no budget: give --total-flops, or --train-flops with --inference-flops, or a --target to reach most "
            f"cheaply; for example\n  {EXAMPLE}",
        ),
        ("--total-flops -1e24", "--total-flops must be positive and finite, got -1e+24"),
        ("--total-flops 0", "--total-flops must be positive and finite, got 0"),
        ("--total-flops nan", "--total-flops must be positive and finite, got nan"),
        ("--total-flops inf", "--total-flops must be positive and finite, got inf"),
        ("--total-flops 1e999", "--total-flops must be positive and finite, got inf"),
        ("--total-flops lots", f"{NUMBER} 'lots'"),
        ("--total-flops 1e24FLOPs", f"{NUMBER} '1e24FLOPs'"),
        ("--total-flops B", f"{NUMBER} 'B'"),
        (
            "--total-flops 1e24 --queries 1e9 --prompt-tokens -5",
            "--prompt-tokens must be zero or positive, and finite, got -5",
        ),
        (
            "--total-flops 1e24 --queries 1e9 --output-tokens 0",
            "--output-tokens must be positive and finite, got 0",
        ),
        (
            "--total-flops 1e24",
            "--total-flops pays for training and answering: say how much is answered, "
            "for example --queries 1e9 --output-tokens 500",
        ),
        (
            "--target 0.6",
            "--target is reached by training and answering: say how much is answered, "
            "for example --queries 1e9 --output-tokens 500",
        ),
        ("--target 60 --queries 1e9", "--target is a pass@k, between 0 and 1 (0.6 is 60 %), got 60"),
        (
            "--target 0.6 --total-flops 1e24 --queries 1e9",
            "--total-flops asks for the best at a cost and --target for the least cost of reaching it: give one of "
            "them (with --target, --train-flops and --inference-flops are upper limits)",
        ),
        (
            "--train-flops 1e20 --output-tokens 5",
            "--output-tokens is per query: say how many there are with --queries, for example 1e9",
        ),
        ("--train-flops 1e20 --max-samples 0.5", "--max-samples must be at least 1, got 0.5"),
        ("--train-flops 1e20 --max-params 0.5", "--max-params must be at least 1, got 0.5"),
        (
            "--train-flops 1e20 --law besiroglu2024 --task pythia-gsm8k",
            "--law and --task are two things to plan for: give one of them",
        ),
        (
            "--train-flops 1e20 --law besiroglu2024 --G 1",
            "--G and --gamma belong together: the task loss is L(N, D) + G/k^gamma",
        ),
        (
            "--train-flops 1e20 --G 1 --gamma 1",
            "--G and --gamma make a task of a loss law: give --law, too",
        ),
        (
            "--train-flops 1e20 --unique-tokens 1e9",
            "--unique-tokens is for a law of repeated data: give --law muennighoff2023, too",
        ),
        (
            "--train-flops 1e20 --law besiroglu2024 --unique-tokens 1e9",
            "besiroglu2024 does not know of repeated tokens: the law that takes unique tokens is muennighoff2023",
        ),
        (
            "--train-flops 1e20 --law besiroglu2042",
            "no published law or task is called 'besiroglu2042': did you mean besiroglu2024?",
        ),
        (
            "--train-flops 1e20 --task xyz",
            "no published law or task is called 'xyz': t2jax list shows them all; a file's name has its folder, "
            "as ./law, or .json",
        ),
        (
            "--train-flops 1e20 --task gsm8k",
            "no published law or task is called 'gsm8k': did you mean pythia-gsm8k or pythia-gsm8k-loss?",
        ),
        ("--train-flops 1e20 --law pythia-gsm8k", "pythia-gsm8k is a task, not a loss law: give it with --task"),
        ("--train-flops 1e20 --task kaplan2020", "kaplan2020 is a loss law, not a task: give it with --law"),
        (
            "--train-flops 1e20 --law gadre2024-c4-error",
            "gadre2024-c4-error turns a loss into a benchmark error and says nothing of N, D and k by itself: "
            "plan with gadre2024-c4",
        ),
        ("--train-flops 1e20 --law nowhere.json", "cannot read nowhere.json: No such file or directory"),
    ],
)
def test_bad_usage(capsys, line, message):
    printed = run(capsys, f"plan {line}", 2)
    assert printed.err == f"t2jax: {message}\n"
    assert printed.out == ""


BETA = ": \"kind\" is 'BetaPassRate', not one of Chinchilla, DataConstrained, Kaplan, Overtraining, T2Accuracy, T2Loss"


def changed(content, **changes):
    return {key: value for key, value in {**content, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"kind": "Chinchilla",', " is not valid JSON: {}(line 1, column 23)"),
        ("[1]", ': the file must be an object such as {"kind": "Chinchilla", "E": 1.8, …}'),
        (
            changed(LAW, kind=...),
            ': key "kind" is missing: it is one of Chinchilla, DataConstrained, Kaplan, Overtraining, T2Accuracy, '
            "T2Loss",
        ),
        (
            changed(LAW, kind="chinchila"),
            ": \"kind\" is 'chinchila', not one of Chinchilla, DataConstrained, Kaplan, Overtraining, T2Accuracy, "
            "T2Loss: did you mean Chinchilla?",
        ),
        (changed(LAW, alpha=..., alhpa=0.3), ': Chinchilla has no "alhpa": did you mean alpha?'),
        (changed(LAW, eta=0.3), ': Chinchilla has no "eta": did you mean beta?'),
        (changed(LAW, A=..., B=...), ': Chinchilla lacks "A", "B"'),
        (changed(LAW, A="482"), ': "A" must be a number, got "482"'),
        (changed(LAW, A=[1, 2]), ': "A" must be a number, got [1, 2]'),
        (changed(LAW, A=True), ': "A" must be a number, got true'),
        (changed(LAW, A=-1), ": A must be positive and finite, got -1"),
        (changed(LAW, A=math.nan), ": A must be positive and finite, got nan"),
        (json.dumps(LAW).replace("{", '{"A": 1, '), ": key 'A' is there more than once"),
        (changed(TASK, law=changed(LAW, A=None)), ': "law.A" must be a number, got null'),
        (changed(TASK, law=changed(LAW, A=...)), ': Chinchilla lacks "law.A"'),
        (changed(TASK, law=changed(LAW, A=-1)), ": law.A must be positive and finite, got -1"),
        (
            changed(TASK, law=TASK),
            ": \"law.kind\" is 'T2Loss', not one of Chinchilla, DataConstrained, Kaplan, Overtraining",
        ),
        (
            changed(TASK, law="besiroglu"),
            ": \"law\": no published law or task is called 'besiroglu': did you mean besiroglu2024?",
        ),
        (
            changed(TASK, law="pythia-gsm8k"),
            ': "law": pythia-gsm8k is a T2Accuracy, not Chinchilla or DataConstrained or Kaplan or Overtraining',
        ),
        (
            {"kind": "T2Accuracy", "law": "besiroglu2024", "theta": [1, 2]},
            ': "theta" must be a list of five numbers, got [1, 2]',
        ),
        (changed(LAW, provenance={"citations": "me"}), ': "provenance" has no "citations": did you mean citation?'),
        (changed(LAW, provenance={"params": 1}), ': "provenance.params" must be [low, high], got 1'),
        (
            changed(LAW, provenance={"name": "mine", "params": [2, 1]}),
            ": provenance: params of mine must be (low, high) with 0 < low <= high, got (2.0, 1.0)",
        ),
        (
            changed(LAW, provenance={"params": [1, 10**400]}),
            ': "provenance.params" must be [low, high], both finite',
        ),
        (changed(LAW, A=10**400), ": A must be finite, got a whole number of 401 digits"),
        (
            '{"kind": "Chinchilla", "E": ' + "9" * 4301 + "}",
            " is not a law or task: it has a whole number of more than 4,300 digits",
        ),
        ({"kind": "BetaPassRate", "a": 1.0, "b": 1.0}, BETA),
    ],
)
def test_bad_files(capsys, tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text(content if isinstance(content, str) else json.dumps(content))
    printed = run(capsys, "plan --total-flops 1e24 --queries 1e9 --law mine.json", 2)
    before, _, after = message.partition("{}")  # Python's words for what is wrong differ between releases
    assert printed.err.startswith(f"t2jax: mine.json{before}")
    assert printed.err.endswith(f"{after}\n")
    if not after:
        assert printed.err == f"t2jax: mine.json{message}\n"


def test_an_empty_name(capsys):
    message = "the name of the law or task is empty: give a published name (see t2jax list) or a JSON file"
    for option in ("--law", "--task"):
        for words in (["plan", "--train-flops", "1e20"], ["frontier", "--train-flops", "1e20:1e22:3"]):
            assert main([*words, option, ""]) == 2
            assert capsys.readouterr().err == f"t2jax: {message}\n"


def test_a_baseline_beyond_the_largest_number(capsys):
    """The k that would be affordable is infinite in float64: no warning, and the optimum all the same."""
    said = planned(capsys, "--law besiroglu2024 --G 2 --gamma 0.3 --total-flops 1e25 --queries 1e-300 --max-samples 9")
    assert said["optimum"]["samples"] == pytest.approx(9, rel=1e-6)
    found = [said["optimum"][key] for key in ("params", "tokens")]
    assert found == pytest.approx(ray(1e25), rel=1e-6)
    assert said["baselines"]["chinchilla"]["samples"] == pytest.approx(9, rel=1e-6)


def test_a_name_is_what_was_typed(capsys):
    """tyro reads the word None as an option that was not given."""
    said = run(capsys, "plan --train-flops 1e20 --law None", 2).err
    assert said.startswith("t2jax: no published law or task is called 'None': t2jax list shows them all; ")
    assert "no accelerator is called 'None'" in run(
        capsys, "plan --hardware None --usd-per-hour 1 --queries 1 --output-tokens 1 --usd 1", 2
    ).err  # fmt: skip
    assert "--out must end in" in run(capsys, "sweep scenarios.csv --out None", 2).err
    assert "--plot must end in" in run(capsys, "plan --train-flops 1e20 --plot None", 2).err


def test_a_byte_order_mark_is_no_content(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(LAW), encoding="utf-8-sig")
    assert float(law_or_task(str(path)).E) == LAW["E"]


def test_a_file_of_repeated_data(capsys, tmp_path):
    path = tmp_path / "repeated.json"
    path.write_text(json.dumps({"kind": "DataConstrained", "law": LAW, "unique_tokens": 1e10, "R_D": 15, "R_N": 5}))
    said = planned(capsys, f"--law {path} --train-flops 1e22")
    assert said["objective"]["unique_tokens"] == 1e10
    assert "\n  limits     10.0B unique tokens\n" in plan_text(said)
    said = planned(capsys, f"--law {path} --unique-tokens 50B --train-flops 1e22")
    assert "\n  limits     50.0B unique tokens\n" in plan_text(said)
    assert law_or_task(str(path), unique_tokens=5e10).unique_tokens == 5e10
    path.write_text(json.dumps(LAW))
    message = f"{path} does not know of repeated tokens: --unique-tokens is for a file of kind DataConstrained"
    assert run(capsys, f"plan --law {path} --unique-tokens 50B --train-flops 1e22", 2).err == f"t2jax: {message}\n"


def test_a_millionth_is_as_good(capsys):
    objective = {"quantity": "loss_nats", "of": "loss_nats", "unit": "nats", "higher_is_better": False}
    assert _advantage(objective, {"value": 2.0}, {"value": 2.0 + 8e-9}) == "as good as"
    assert _advantage(objective, {"value": 2.0}, {"value": 2.1}) == "0.1 nats below"
    objective = {"quantity": "pass_at_k", "of": "pass_at_k"}
    assert _advantage(objective, {"value": 1 - 1e-7}, {"value": 1 - 3e-7}) == "2e-05 points of pass@k above"


def test_every_published_row_round_trips_through_a_file(capsys, tmp_path):
    rows = json.loads(run(capsys, "list --json").out)
    assert [row["name"] for row in rows] == [row.name for row in t2jax.list_published()]
    for row in rows:
        if row["plan_option"] is None:
            assert row["kind"] == "ErrorFromLoss"
            continue
        path = tmp_path / f"{row['name']}.json"
        extra = dict.fromkeys(row["arguments"], 25e9)
        path.write_text(json.dumps({"kind": row["kind"], **row["coefficients"], **extra}))
        where = t2jax.Allocation(1e9, 1e11, 10.0)
        assert float(law_or_task(str(path))(where)) == float(t2jax.published(row["name"], **extra)(where))


def test_list(capsys):
    text = run(capsys, "list").out
    assert all(row.name in text and row.citation in text for row in t2jax.list_published())
    assert "Tasks: t2jax plan --task NAME" in text
    assert "Loss laws: t2jax plan --law NAME" in text
    assert max(len(line) for line in text.splitlines()) <= 110


@pytest.mark.parametrize("published", ["besiroglu2024", "gadre2024-c4", "kaplan2020", "muennighoff2023"])
def test_balanced_tokens(published):
    """D*(N) is where the loss falls as fast with log N as with log D; for Chinchilla's form, in closed form."""
    law = t2jax.published(published)
    n = np.array([1e8, 1e10])
    d = balanced_tokens(law, n)
    up, down = (np.array(law.loss(n * math.exp(s), d * math.exp(-s))) for s in (1e-3, -1e-3))
    middle = np.array(law.loss(n, d))
    assert np.all((up > middle) & (down > middle))
    assert up - middle == pytest.approx(down - middle, rel=1e-2)
    if published == "besiroglu2024":
        assert [ray(6 * a * b)[0] for a, b in zip(n, d, strict=True)] == pytest.approx(n, rel=1e-10)


@pytest.mark.parametrize("share", [True, False])
def test_plain_numbers_cost_what_the_quantity_says(share):
    """The baselines count in NumPy, the optimiser in logarithms."""
    serve = t2jax.InferenceFLOPs(1e9, 300.0, 500.0, share)
    where = t2jax.Allocation(7e9, 1e12, 12.5)
    assert serve.flops(7e9, 12.5) == pytest.approx(float(serve(where)), rel=1e-12)
    assert t2jax.TrainingFLOPs().flops(7e9, 1e12) == pytest.approx(float(t2jax.TrainingFLOPs()(where)), rel=1e-12)
    assert serve.samples_for(7e9, serve.flops(7e9, 12.5)) == pytest.approx(12.5, rel=1e-12)


def test_numbers_as_people_write_them():
    words = {"1e24": 1e24, "7B": 7e9, "1.5t": 1.5e12, "300K": 3e5, "70M": 7e7, " 2 ": 2.0}
    assert {word: read_number([word]) for word in words} == words
    assert [flops(1e24), flops(2e9), flops(5.0)] == ["1.00e24", "2.00e9", "5.00e0"]


def test_no_command(capsys):
    assert main([]) == 2
    assert "plan, frontier, sweep, fit, cost, list" in capsys.readouterr().err
    for words, message in (
        ("plann --json", "no command is called 'plann': did you mean plan?"),
        ("--total-flops 1e24", "no command is called '--total-flops': they are plan, frontier, sweep, fit, cost, list"),
    ):
        assert run(capsys, words, 2).err == f"t2jax: {message}\n"
    assert "Train-to-Test" not in run(capsys, "--help").out


def ended(*arguments, code=None):
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "t2jax.cli"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "t2jax", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"t2jax {t2jax.__version__}\n"


def test_help_and_list_load_neither_jax_nor_numpy():
    code = (
        "import sys; from t2jax.cli import main\n"
        "for words in (['--help'], ['plan', '--help'], ['list'], ['list', '--json'], ['--version'], ['plan'],\n"
        "              ['fit'], ['fit', '--help'], ['fit', 'runs.csv', '--model', 'x']):\n"
        "    print(main(words))\n"
        "assert not {'jax', 'numpy', 'equinox'} & set(sys.modules)"
    )
    done = ended(code=code)
    assert done.returncode == 0, done.stderr
    assert EXAMPLE in done.stdout


def test_without_tyro():
    done = ended(code="import sys; sys.modules['tyro'] = None; from t2jax.cli import main; sys.exit(main(['list']))")
    assert (done.returncode, done.stderr) == (2, 't2jax: the command line needs tyro: pip install "t2jax[cli]"\n')


def test_as_a_process():
    done = ended("plan")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("t2jax: no budget: give --total-flops")
    # In a process of its own nothing but the command line asks for float64.
    done = ended("plan", "--law", "hoffmann2022", "--train-flops", "5.88e23", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["optimum"]["loss_nats"] == pytest.approx(1.929987, rel=1e-6)
