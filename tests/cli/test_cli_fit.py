"""`t2jax fit` as it is typed, and what `t2jax plan` makes of the file it wrote."""

import csv
import io
import json
import logging
import sys
import time
from contextlib import redirect_stdout
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax
from t2jax import fitting
from t2jax.cli import main
from t2jax.cli._progress import progress
from t2jax.planning._fitted import read_fit
from t2jax.planning._report import plan_text
from t2jax.planning._uncertainty import caveats, uncertainty

TRUE = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
MODELS = "chinchilla, kaplan, overtraining, data-constrained, t2-loss, t2-accuracy, beta"
EXAMPLE = "t2jax fit runs.csv --model chinchilla --out law.json"
FAST = "--model chinchilla --starts 50"


def run(capsys, line, status=0):
    """(stdout, stderr) of a command line that ends with this status."""
    assert main(line.split()) == status
    return capsys.readouterr()


def said_by(capsys, line, status=0):
    return json.loads(run(capsys, f"{line} --json", status).out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """runs.csv: 36 runs of the true law, half a thousandth of noise. law.json: fitted to it, with 40 resamples."""
    folder = tmp_path_factory.mktemp("runs")
    noise = np.random.default_rng(0)
    lines = ["params,tokens,nats,run,heavy"]
    for i, n in enumerate(np.geomspace(1e7, 1e10, 6).tolist()):
        for d in np.geomspace(1e9, 1e12, 6).tolist():
            loss = TRUE["E"] + TRUE["A"] / n ** TRUE["alpha"] + TRUE["B"] / d ** TRUE["beta"]
            lines.append(f"{n!r},{d!r},{loss * (1 + 5e-4 * noise.normal())!r},run {i},1")
    (folder / "runs.csv").write_text("\n".join(lines) + "\n")
    line = f"fit {folder}/runs.csv {FAST} --columns loss=nats --bootstrap 40 --out {folder}/law.json --json"
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(line.split()) == 0
    (folder / "said.json").write_text(out.getvalue())
    return folder


@pytest.fixture(scope="module")
def content(folder):
    """law.json, as an object."""
    return json.loads((folder / "law.json").read_text())


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_the_law_is_found_again(folder, content):
    said = json.loads((folder / "said.json").read_text())
    keys = "version command status reason inputs kind source rows estimator coefficients objective log_likelihood"
    assert list(said) == [*keys.split(), "starts", "share_at_best", "bootstrap", "written", "notes"]
    assert (said["command"], said["status"], said["reason"], said["rows"]) == ("fit", "solved", None, 36)
    assert said["inputs"]["columns"] == {"loss": "nats"}
    assert said["inputs"]["starts"] == 50
    assert said["bootstrap"] == {"members": 40, "failed": 0}
    assert said["written"] == f"{folder}/law.json"
    for name, one in said["coefficients"].items():
        assert (one["state"], one["reason"]) == ("fitted", None)
        assert abs(one["value"] - TRUE[name]) < 4 * one["standard_error"] < 0.3 * TRUE[name]
        assert one["interval"][0] < one["value"] < one["interval"][1]
        assert one["bootstrap_interval"][0] < one["value"] < one["bootstrap_interval"][1]
        assert 0.3 < one["bootstrap_standard_error"] / one["standard_error"] < 3
        assert content[name] == one["value"]
    fit = t2jax.Fit.from_json("law.json")
    assert fit.objective == said["objective"]
    assert np.shape(fit.ensemble.E) == (40,)


def test_text(capsys):
    text = run(capsys, f"fit runs.csv {FAST} --columns loss=nats --bootstrap 40 --groups run --out again.json").out
    assert text.startswith("Chinchilla fitted to runs.csv, 36 rows, Huber(0.001) on the log: solved\n")
    assert "\n\nFitted to 40 resamples (groups of run drawn with replacement)\n" in text
    heading = text.split("drawn with replacement)\n")[1].split("\n")[0]
    assert heading.split() == ["standard", "error", "bootstrap", "90", "%", "of", "resamples"]
    assert text.endswith(
        "\nWritten to again.json, with the resamples. Next, with a budget of your own:\n"
        "  t2jax plan --law again.json --train-flops 1e23\n"
    )


def test_options_reach_the_library(capsys, monkeypatch):
    given = {}

    def fit(model, data, **options):
        given.update(options, model=model, data=data)
        raise ValueError("seen")

    monkeypatch.setattr(fitting, "fit", fit)
    line = "fit runs.csv --model overtraining --delta 0.01 --fixed E=1.5 eta=0.2 --groups run --weights heavy --seed 3"
    assert run(capsys, line, 2).err == "t2jax: seen\n"
    assert isinstance(given["model"], t2jax.Overtraining)
    assert (float(given["model"].E), float(given["model"].eta)) == (1.5, 0.2)
    assert given["fixed"] == ("E", "eta")
    assert given["estimator"] == t2jax.Huber(0.01)
    assert (given["groups"], given["weights"], given["seed"], given["starts"]) == ("run", "heavy", 3, None)
    run(capsys, "fit runs.csv --model t2-accuracy --law besiroglu2024 --fixed theta[2]=0.5 --estimator lad", 2)
    assert given["fixed"] == ("theta[2]", "law")
    assert float(given["model"].theta[2]) == 0.5
    assert float(given["model"].law.E) == 1.8172
    assert given["estimator"] == t2jax.LeastAbsoluteDeviations()
    run(capsys, "fit runs.csv --model data-constrained", 2)
    assert isinstance(given["model"], t2jax.DataConstrained)


def test_nothing_is_overwritten_without_being_asked(capsys, folder):
    (folder / "mine.json").write_text("precious")
    line = f"fit runs.csv {FAST} --columns loss=nats --out mine.json"
    assert run(capsys, line, 2).err == ("t2jax: mine.json exists: name another file, or --force to overwrite it\n")
    assert (folder / "mine.json").read_text() == "precious"
    text = run(capsys, f"{line} --force").out
    assert "Written to mine.json. Next" in text
    assert json.loads((folder / "mine.json").read_text())["fit"]["ensemble"] is None
    assert not [path for path in folder.iterdir() if path.suffix in (".new", ".part", ".aside")]


def test_not_converged_is_no_answer(capsys, folder, monkeypatch):
    fit = fitting.fit
    monkeypatch.setattr(fitting, "fit", lambda *a, **b: replace(fit(*a, **b), converged=False))
    line = f"fit runs.csv {FAST} --columns loss=nats --out never.json --bootstrap 10"
    printed = run(capsys, line, 1)
    reason = "the objective still falls where the search ended: try more --starts, or fix a coefficient"
    assert printed.err == f"t2jax: no solution: not converged: {reason}; nothing was written\n"
    assert "Huber(0.001) on the log: not converged\n" in printed.out
    assert "Written" not in printed.out
    assert not (folder / "never.json").exists()
    said = said_by(capsys, line, 1)
    assert (said["status"], said["written"], said["bootstrap"]) == ("not converged", None, None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", f"no data: name a .csv or .parquet file; for example\n  {EXAMPLE}"),
        ("runs.csv", f"no model: give --model, one of {MODELS}"),
        ("runs.csv --model chinchila", f"--model is one of {MODELS}, got 'chinchila': did you mean chinchilla?"),
        ("runs.csv --model T2Loss", f"--model is one of {MODELS}, got 'T2Loss': did you mean t2-loss?"),
        (f"runs.csv {FAST} --starts 0", "--starts must be a whole number of at least 1, got 0"),
        (f"runs.csv {FAST} --bootstrap 1.5", "--bootstrap must be a whole number of at least 2, got 1.5"),
        (f"runs.csv {FAST} --bootstrap many", "--bootstrap must be a whole number, got 'many'"),
        (f"runs.csv {FAST} --seed -1", "--seed must be a whole number of at least 0, got -1"),
        (
            f"runs.csv {FAST} --estimator hubr",
            "--estimator is one of huber, lad, least-squares, got 'hubr': did you mean huber?",
        ),
        (f"runs.csv {FAST} --delta 0", "--delta must be positive and finite, got 0"),
        (f"runs.csv {FAST} --estimator lad --delta 1", "--delta is of --estimator huber, not lad"),
        (f"runs.csv {FAST} --columns loss", "--columns takes pairs such as samples=k, got 'loss'"),
        (
            f"{FAST} --columns loss=nats runs.csv",
            "--columns takes pairs such as samples=k, got 'runs.csv'; the data file comes first, before options",
        ),
        (f"runs.csv {FAST} --columns loss=a loss=b", "--columns names loss more than once"),
        (f"runs.csv {FAST} --fixed E", "--fixed takes pairs such as E=1.69, got 'E'"),
        (f"runs.csv {FAST} --fixed E=low", "--fixed E must be a number, got 'low'"),
        (f"runs.csv {FAST} --fixed E=inf", "--fixed E must be finite, got inf"),
        (f"runs.csv {FAST} --fixed E=-1", "--fixed: E must be zero or positive, and finite, got -1.0"),
        (
            f"runs.csv {FAST} --fixed alhpa=1",
            "--fixed: Chinchilla has no coefficient 'alhpa' to fix: did you mean alpha?",
        ),
        (
            "runs.csv --model data-constrained --fixed unique_tokens=1",
            "--fixed: DataConstrained has no coefficient 'unique_tokens' to fix: it has law.E, law.A, law.B, "
            "law.alpha, law.beta, R_D, R_N",
        ),
        (
            "runs.csv --model t2-accuracy",
            "--model t2-accuracy needs the loss law inside: give --law, for example --law besiroglu2024 or a file",
        ),
        (
            "runs.csv --model t2-accuracy --law pythia-gsm8k",
            "--law pythia-gsm8k is a task, not the loss law inside one",
        ),
        ("runs.csv --model beta --law x", "--law is the loss law inside --model t2-accuracy: beta takes none"),
        (f"runs.csv {FAST} --force", "--force is for a file that --out would overwrite: give --out, too"),
        (f"runs.csv {FAST} --out .", "--out must name a file such as law.json, got '.'"),
        (f"runs.csv {FAST} --out runs.csv --force", "--out runs.csv is the file of the data: name another one"),
        (f"runs.csv {FAST} --out none/law.json", "cannot write none/law.json: there is no folder none"),
        (f"none.csv {FAST}", "there is no file none.csv"),
        (
            f"runs.csv {FAST}",
            'runs.csv has no column "loss" (nats per token). It has params, tokens, nats, run, heavy',
        ),
        (
            f"runs.csv {FAST} --columns los=nats",
            '--columns: no column "los" is needed: did you mean "loss"?',
        ),
        (
            f"runs.csv {FAST} --columns loss=nats --groups rnu",
            'runs.csv has no column "rnu" (label): did you mean "run"? It has params, tokens, nats, run, heavy',
        ),
        (
            f"runs.csv {FAST} --columns loss=run",
            "runs.csv, line 2, column \"run\": must be a number, got 'run 0' (and 35 more bad cells)",
        ),
    ],
)
def test_bad_usage(capsys, line, message):
    printed = run(capsys, f"fit {line}", 2)
    assert printed.err == f"t2jax: {message}\n"
    assert printed.out == ""


def of_ray(e, a, b, alpha, beta, train_flops=1e23):
    """(log N, log L) of least loss on 6ND = C: EQUATIONS §1."""
    log_c = np.log(train_flops / 6)
    log_n = (jnp.log(alpha * a / (beta * b)) + beta * log_c) / (alpha + beta)
    return log_n, jnp.log(e + a * jnp.exp(-alpha * log_n) + b * jnp.exp(-beta * (log_c - log_n)))


def test_plan_carries_the_resamples_through(capsys, content):
    said = said_by(capsys, "plan --law law.json --train-flops 1e23")
    found = said["uncertainty"]
    assert list(found) == ["level", "method", "members", "solved", "params", "tokens", "samples", "value"]
    assert [found[key] for key in ("level", "method", "members", "solved")] == [0.9, "ensemble", 40, 40]
    members = [np.array(content["fit"]["ensemble"][name]) for name in TRUE]
    n, loss = (np.exp(np.quantile(one, (0.05, 0.95))) for one in of_ray(*members))
    assert found["params"] == pytest.approx(n, rel=1e-3)  # quantiles of N between members, of log N here
    assert found["value"] == pytest.approx(loss, rel=1e-6)
    assert found["samples"] is None
    assert found["params"][0] < said["optimum"]["params"] < found["params"][1]
    text = plan_text(said)
    assert "\n\nHow sure the optimum is (90 % intervals from 40 resampled fits)\n  parameters N  " in text
    assert f"\n  loss (nats per token)  {loss[0]:.4f}  –  {loss[1]:.4f}\n" in text


def test_plan_carries_the_standard_errors_through(capsys, folder, content):
    (folder / "delta.json").write_text(json.dumps({**content, "fit": {**content["fit"], "ensemble": None}}))
    said = said_by(capsys, "plan --law delta.json --train-flops 1e23")
    found = said["uncertainty"]
    assert [found[key] for key in ("level", "method", "members", "solved")] == [0.9, "delta", None, None]
    best = [jnp.asarray(content[name]) for name in TRUE]
    slopes = np.array(jax.jacfwd(lambda one: jnp.stack(of_ray(*one)))(jnp.stack(best)))
    errors = np.sqrt(np.diag(slopes @ np.array(content["fit"]["covariance"]) @ slopes.T))
    for key, one, error in zip(("params", "value"), of_ray(*best), errors, strict=True):
        assert np.log(found[key]) == pytest.approx(np.array(one) + 1.6448536 * error * np.array([-1, 1]), rel=1e-6)
    text = plan_text(said)
    assert "(90 % intervals from the fit's standard errors, by the delta method)\n" in text


def test_members_compile_nothing(capsys, caplog):
    line = "plan --law law.json --G 1 --gamma 0.3 --total-flops 1e22 --queries 1e9 --max-tokens 1e12"
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        said = said_by(capsys, line)
    compiled = [one.getMessage() for one in caplog.records if one.getMessage().startswith("Compiling")]
    assert sum("solve_and_report" in one for one in compiled) == 1
    assert said["uncertainty"]["members"] == said["uncertainty"]["solved"] == 40
    low, high = said["uncertainty"]["samples"]
    assert low < said["optimum"]["samples"] < high


def test_a_target_in_sight_of_the_irreducible_loss(capsys, content):
    target = content["E"] + 2e-4
    said = said_by(capsys, f"plan --law law.json --target {target!r}")
    found, out_of_sight = said["uncertainty"], sum(one >= target for one in content["fit"]["ensemble"]["E"])
    assert 0 < out_of_sight == found["members"] - found["solved"]
    assert found["value"][0] < said["optimum"]["total_flops"] < found["value"][1]
    text = plan_text(said)
    assert "\n  total FLOPs        " in text
    assert f"\n  {out_of_sight} of the 40 resampled fits have no optimum and are left out\n" in text


def test_what_the_intervals_leave_out_is_said(capsys, folder, content):
    fit = {**content["fit"], "free": ["A", "B", "beta"], "at_boundary": ["E", "B"], "ensemble": None}
    fit["covariance"] = [[100.0, None, 0.0], [None, None, None], [0.0, None, 1e-4]]
    (folder / "edge.json").write_text(json.dumps({**content, "fit": {**fit, "converged": False}}))
    said = said_by(capsys, "plan --law edge.json --train-flops 1e23")
    assert said["notes"][-3:] == [
        "E, B of edge.json were at the boundary of the fit and count as known: the intervals leave their uncertainty "
        "out",
        "alpha of edge.json was fixed in the fit and counts as known",
        "the fit in edge.json did not converge",
    ]
    low, high = said["uncertainty"]["params"]
    assert low < said["optimum"]["params"] < high
    # A law that was held inside a task is one thing.
    law = {key: value for key, value in content.items() if key != "fit"}
    fit |= {"free": ["theta[0]"], "at_boundary": [], "covariance": [[0.01]], "kinds": ["positive"] * 5 + ["real"] * 5}
    task = {"kind": "T2Accuracy", "law": law, "theta": [1.5, 3.0, 0.9, -1.0, 2.0], "fit": fit}
    (folder / "task.json").write_text(json.dumps(task))
    assert caveats(read_fit(folder / "task.json"), "x") == [
        "the loss law, theta[1], theta[2], theta[3], theta[4] of x were fixed in the fit and count as known"
    ]


def test_shapes_of_intervals(folder, content):
    """A fake problem in closed form: what is symmetric where, and what has no interval."""
    (folder / "plain.json").write_text(json.dumps({**content, "fit": {**content["fit"], "ensemble": None}}))
    fit, resampled = read_fit(folder / "plain.json"), read_fit(folder / "law.json")

    def solve(values):
        e = float(values[0])
        return {"params": e**2, "tokens": 1.0, "samples": float(np.round(1e3 * e)), "value": 1 / (1 + np.exp(-e))}

    best = solve(np.array([fit.coefficients[name] for name in fit.free]))
    error = fit.standard_errors["E"]
    found = uncertainty(fit, best, solve, whole=False, probability=True)
    low, high = (np.log(one / (1 - one)) for one in found.value)
    assert (low + high) / 2 == pytest.approx(content["E"], rel=1e-6)
    assert (high - low) / 2 == pytest.approx(1.6448536 * error, rel=1e-3)
    low, high = np.log(found.params)
    assert (high - low) / 2 == pytest.approx(2 * 1.6448536 * error / content["E"], rel=1e-3)
    assert found.tokens == [1.0, 1.0]
    # Whole k: its jumps do not reach the interval.
    low, high = uncertainty(fit, best, solve, whole=True, probability=True).samples
    assert low == round(low) < best["samples"] < high == round(high)
    assert high - low == pytest.approx(2e3 * 1.6448536 * error, abs=2)

    some = uncertainty(
        resampled, best, lambda v: solve(v) if v[0] > content["E"] else None, whole=False, probability=True
    )
    assert 0 < some.solved < some.members == 40
    none = uncertainty(resampled, best, lambda v: None, whole=False, probability=True)
    assert (none.solved, none.params, none.value) == (0, None, None)
    none = uncertainty(fit, best, lambda v: None, whole=False, probability=True)
    assert none.params is None


LAWS = "E, A, B, alpha, beta"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (7, '"fit" must be an object as t2jax fit writes it, got 7'),
        ({"covariance": ...}, '"fit" lacks "covariance"'),
        ({"starts": ..., "strats": 1}, '"fit" has no "strats": did you mean starts?'),
        ({"free": "E"}, '"fit.free" must be a list of names, at least one, got "E"'),
        ({"free": []}, '"fit.free" must be a list of names, at least one, got []'),
        (
            {"free": ["E", "A", "B", "alpha", "bet"]},
            "\"fit.free\" names 'bet', which is no coefficient: did you mean beta?",
        ),
        (
            {"free": ["E", "A", "B", "E", "beta"]},
            '"fit.free" must name each coefficient once, got ["E", "A", "B", "E", "beta"]',
        ),
        ({"at_boundary": ["X"]}, "\"fit.at_boundary\" names 'X', which is no coefficient"),
        (
            {"boundaries": {"X": {"kind": "zero", "sentence": "X is 0", "measured": 1.0}}},
            "\"fit.boundaries\" names 'X', which is no coefficient",
        ),
        (
            {"boundaries": {"E": "zero"}},
            '"fit.boundaries" must be an object of objects with "kind", "sentence" and "measured", got {"E": "zero"}',
        ),
        (
            {"boundaries": {"E": {"kind": "odd", "sentence": "E is 0", "measured": None}}},
            "\"fit\" is not as t2jax fit writes it: 'odd' is not a valid BoundaryKind",
        ),
        ({"kinds": ["positive"]}, '"fit.kinds" must be one for each of the 5 coefficients, got ["positive"]'),
        (
            {"kinds": ["odd"] * 5},
            '"fit.kinds" must be a list of positive, real, share, got ["odd", "odd", "odd", "odd", "odd"]',
        ),
        ({"covariance": [[1.0]]}, '"fit.covariance" must have a row and a column for each of "fit.free"'),
        (
            {"covariance": [[1.0, "a"]]},
            '"fit.covariance" must be a list of lists of finite numbers or null, got [[1.0, "a"]]',
        ),
        (
            {"covariance": [[float("inf")]]},
            '"fit.covariance" must be a list of lists of finite numbers or null, got [[Infinity]]',
        ),
        ({"ensemble": {"E": [1.0]}}, '"fit.ensemble" must have a list for each of "fit.free", all of one length'),
        ({"ensemble": {one: [] for one in TRUE}}, '"fit.ensemble" has no members'),
        ({"ensemble": [1]}, '"fit.ensemble" must be null, or an object with lists of finite numbers, got [1]'),
        ({"rows": 1.5}, '"fit.rows" must be a whole number, got 1.5'),
        ({"converged": 1}, '"fit.converged" must be true or false, got 1'),
        (
            {"estimator": {"kind": "Hubert"}},
            '"fit.estimator" must be an object with "kind", one of BetaBinomial, Huber, LeastAbsoluteDeviations, '
            'LeastSquares, and "delta" of Huber, got {"kind": "Hubert"}',
        ),
        (
            {"estimator": {"kind": "Huber", "delta": -1}},
            '"fit" is not as t2jax fit writes it: delta must be positive and finite, got -1',
        ),
    ],
)
def test_bad_fits_in_files(capsys, folder, content, changes, message):
    fit = changes
    if isinstance(changes, dict):
        fit = {key: value for key, value in {**content["fit"], **changes}.items() if value is not ...}
    (folder / "bad.json").write_text(json.dumps({**content, "fit": fit}))
    assert run(capsys, "plan --law bad.json --train-flops 1e23", 2).err == f"t2jax: bad.json: {message}\n"


def test_a_fit_stands_only_at_the_top(capsys, folder, content):
    task = {"kind": "T2Loss", "law": content, "G": 1.0, "gamma": 0.3}
    (folder / "within.json").write_text(json.dumps(task))
    message = 'within.json: Chinchilla has no "law.fit": it has E, A, B, alpha, beta'
    assert run(capsys, "plan --task within.json --train-flops 1e23", 2).err == f"t2jax: {message}\n"


def test_pass_rates_alone_are_no_plan(capsys, folder, content):
    rates = {"kind": "BetaPassRate", "a": 1.0, "b": 2.0, "fit": content["fit"]}
    (folder / "rates.json").write_text(json.dumps(rates))
    message = (
        "rates.json holds the pass rates of one model's problems, which say nothing of N and D: plan with a law or a "
        "task"
    )
    assert run(capsys, "plan --law rates.json --train-flops 1e23", 2).err == f"t2jax: {message}\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_for_what_takes_longer_than_a_second(monkeypatch):
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("fitting", "starts") as tell:
        tell(1, 4)
    assert terminal.getvalue() == ""
    with progress("fitting", "starts") as tell:
        tell(1, 4)
        time.sleep(1.4)
    assert "fitting:  25%" in terminal.getvalue()
    assert "1/4" in terminal.getvalue()


def test_no_bar_without_a_terminal_or_tqdm(monkeypatch):
    with progress("fitting", "starts") as tell:
        assert tell is None
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with progress("fitting", "starts") as tell:
        assert tell is None


@pytest.mark.slow
def test_on_the_runs_of_chinchilla(capsys, shared, folder):
    with (shared / "data" / "chinchilla_besiroglu.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["besiroglu_excluded"] == "0"]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    (folder / "chinchilla.csv").write_text("\n".join(lines) + "\n")
    said = said_by(capsys, "fit chinchilla.csv --model chinchilla --starts 300")
    assert said["rows"] == 240
    assert said["objective"] <= 1.0182740179e-3 * (1 + 1e-9)
