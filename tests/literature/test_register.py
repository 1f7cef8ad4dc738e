"""A law with a column of its own and a task, both defined outside the package: full citizens everywhere."""

import importlib.util
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize

import t2jax as t2
from t2jax.cli import main
from t2jax.literature import KINDS, built, columns_read, described, kind_of

PLUGIN = Path(__file__).with_name("my_laws.py")
E, A, B, ALPHA, BETA = 1.7, 420.0, 900.0, 0.34, 0.33
WORTH = 1 - np.exp(-8 / 4)  # of a weight of 8 bits
SLOPE = (6.0, 0.4, 3.0)
LAW = t2.Chinchilla(E, A, B, ALPHA, BETA)


@pytest.fixture(scope="module", autouse=True)
def own():
    """The plugin, imported as `--plugin` does; forgotten afterwards."""
    rows, path = dict(KINDS), list(sys.path)
    spec = importlib.util.spec_from_file_location("my_laws", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    sys.modules["my_laws"] = module
    spec.loader.exec_module(module)
    yield module
    for name in set(KINDS) - set(rows):
        KINDS.drop(name)
    del sys.modules["my_laws"]
    sys.path[:] = path


def loss(n, d, bits):
    return E + A / (n * (1 - np.exp(-bits / 4))) ** ALPHA + B / d**BETA


def runs():
    n, d, bits = (one.ravel() for one in np.meshgrid(np.geomspace(1e7, 1e10, 5), np.geomspace(1e9, 1e12, 5), (2, 4, 8)))
    return {"params": n, "tokens": d, "bits": bits.astype(float), "loss": loss(n, d, bits)}


@pytest.fixture(scope="module")
def fitted(own):
    return t2.fit(own.Quantised, runs(), starts=64)


@pytest.fixture(scope="module")
def law_file(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("laws") / "quantised.json"
    fitted.to_json(path)
    return path


def best_loss(flops):
    """(N, D) of least loss on 6ND = C, in closed form."""
    a = A / WORTH**ALPHA
    n = (ALPHA * a / (BETA * B)) ** (1 / (ALPHA + BETA)) * (flops / 6) ** (BETA / (ALPHA + BETA))
    return n, flops / 6 / n


# --- A law with a column ----------------------------------------------------------------------------------------------


def test_a_law_is_fitted_with_its_own_column(fitted):
    assert fitted.status == "solved"
    assert fitted.given == ("bits",)
    wanted = {"E": E, "A": A, "B": B, "alpha": ALPHA, "beta": BETA}
    np.testing.assert_allclose([fitted.coefficients[name] for name in wanted], list(wanted.values()), rtol=1e-6)
    assert float(fitted.model.bits) == 8.0
    assert fitted.model.provenance.params == (1e7, 1e10)
    head, *_ = str(fitted).splitlines()
    assert head.startswith("Quantised fitted to the data, 75 rows")
    assert str(fitted.model).startswith("Quantised: L(N, D) = Quantised(E = 1.7, A = 420, B = 900,")


def test_the_column_is_asked_for(own):
    data = {name: column for name, column in runs().items() if name != "bits"}
    with pytest.raises(ValueError, match=r'the data has no column "bits" \(bits of a weight\)'):
        t2.fit(own.Quantised, data)


def test_a_fit_is_saved_and_read(fitted, law_file):
    again = t2.Fit.from_json(law_file)
    assert type(again.model) is type(fitted.model)
    assert again.coefficients == fitted.coefficients
    assert again.model.provenance == fitted.model.provenance
    content = json.loads(law_file.read_text())
    assert (content["kind"], content["bits"]) == ("Quantised", 8.0)


def test_a_law_is_planned_for_in_a_table(fitted, law_file):
    flops = [1e20, 1e23]
    for law in (fitted.model, str(law_file)):
        plans = t2.plan_batch(pa.table({"train_flops": flops}), law=law)
        n, d = best_loss(np.array(flops))
        assert plans["status"].to_pylist() == ["solved", "solved"]
        np.testing.assert_allclose(plans["params"], n, rtol=1e-5)
        np.testing.assert_allclose(plans["loss_nats"], loss(n, d, 8), rtol=1e-7)
    in_cells = t2.plan_batch(pa.table({"train_flops": flops, "law": [str(law_file)] * 2}))
    assert in_cells.column("params").equals(plans.column("params"))


def test_a_law_is_planned_for_in_python(fitted):
    solution = t2.minimize(fitted.model, [t2.TrainingFLOPs() <= 1e23])
    n, d = best_loss(1e23)
    np.testing.assert_allclose([solution.allocation.params, solution.allocation.tokens], [n, d], rtol=1e-5)


def command(capsys, *words, status=0):
    assert main([*words, "--plugin", str(PLUGIN)]) == status
    return capsys.readouterr()


def test_a_law_is_planned_for_by_the_command_line(capsys, law_file):
    words = ("plan", "--law", str(law_file), "--train-flops", "1e23")
    said = json.loads(command(capsys, *words, "--json").out)
    n, d = best_loss(1e23)
    np.testing.assert_allclose([said["optimum"]["params"], said["optimum"]["tokens"]], [n, d], rtol=1e-5)
    assert said["objective"]["kind"] == "Quantised"
    assert said["uncertainty"]["method"] == "delta"
    assert not any("fixed in the fit" in note for note in said["notes"])  # bits are a column
    assert "The lowest loss" in command(capsys, *words).out


def test_a_law_is_fitted_by_the_command_line(capsys, tmp_path):
    data = runs()
    rows = [
        ",".join(data),
        *(",".join(map(repr, row)) for row in zip(*(a.tolist() for a in data.values()), strict=True)),
    ]
    (tmp_path / "runs.csv").write_text("\n".join(rows))
    out = tmp_path / "law.json"
    words = ("fit", str(tmp_path / "runs.csv"), "--model", "quantised", "--starts", "64", "--out", str(out))
    printed = command(capsys, *words).out
    assert f"t2jax plan --law {out} --train-flops 1e23" in printed
    content = json.loads(out.read_text())
    np.testing.assert_allclose([content["E"], content["alpha"]], [E, ALPHA], rtol=1e-6)
    assert content["provenance"]["citation"].startswith("fitted to runs.csv, 75 rows")
    message = command(capsys, "fit", str(tmp_path / "runs.csv"), "--model", "quantized", status=2).err
    assert "did you mean quantised?" in message


def test_a_law_is_known_to_sweep_and_frontier_and_list(capsys, law_file, tmp_path):
    table, out = tmp_path / "scenarios.csv", tmp_path / "plans.csv"
    table.write_text("train_flops\n1e20\n1e23\n")
    command(capsys, "sweep", str(table), "--out", str(out), "--law", str(law_file))
    header, *rows = (line.split(",") for line in out.read_text().splitlines())
    found = [float(row[header.index("params")]) for row in rows]
    np.testing.assert_allclose(found, best_loss(np.array([1e20, 1e23]))[0], rtol=1e-5)
    words = ("frontier", "--train-flops", "1e20:1e23:2", "--law", str(law_file), "--json")
    said = json.loads(command(capsys, *words).out)
    np.testing.assert_allclose([row["params"] for row in said["rows"]], found, rtol=1e-9)
    listed = command(capsys, "list").out
    assert "quantised  Quantised  E, A, B, alpha, beta, bits  my_laws" in listed


def test_a_law_is_drawn(fitted, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    ax = t2.plot.isoflop(fitted.model, [1e21])
    assert ax.get_ylabel() == "loss (nats per token)"
    x, y = ax.get_lines()[-1].get_data()  # the optimum
    n, d = best_loss(1e21)
    np.testing.assert_allclose([x[0], y[0]], [n, loss(n, d, 8)], rtol=1e-5)
    assert len(t2.plot.residuals(fitted).collections[0].get_offsets()) == 75


# --- A law of what a decision says ------------------------------------------------------------------------------------


def test_a_law_reads_a_column_of_the_decision(own):
    n, d, share = (
        one.ravel() for one in np.meshgrid(np.geomspace(1e9, 1e11, 4), np.geomspace(1e10, 1e12, 4), (0.1, 0.4))
    )
    active = n * share
    seen = 1.6 + 300.0 / active**0.3 / (n / active) ** 0.1 + 250.0 / d**0.3
    found = t2.fit(own.Sparse, {"params": n, "tokens": d, "active_params": active, "loss": seen}, starts=64)
    wanted = {"E": 1.6, "A": 300.0, "alpha": 0.3, "gamma": 0.1, "B": 250.0}
    np.testing.assert_allclose([found.coefficients[name] for name in wanted], list(wanted.values()), rtol=1e-5)
    np.testing.assert_allclose(found.predict(n, d, active_params=active), seen, rtol=1e-7)
    assert found.model.provenance.ranges["active_params"] == (1e8, 4e10)
    # Active parameters cost compute, all parameters memory: a variable is decided on like any other.
    active_params = t2.Variable("active_params", start=1e9)
    cost = t2.quantity(lambda a: 6.0 * a.active_params * a.tokens, name="cost")
    solution = t2.minimize(found.model, [cost <= 1e21, t2.params <= 1e10, active_params >= 1e6])
    a, b = 300.0 / 1e10**0.1, 250.0  # 300/active^0.3·(N/active)^−0.1 = 300/N^0.1/active^0.2
    best = (a * 0.2 / (b * 0.3)) ** (1 / 0.5) * (1e21 / 6) ** (0.3 / 0.5)
    np.testing.assert_allclose(solution.allocation.active_params, best, rtol=1e-5)
    # An object that is not registered is fitted alike, from its own values.
    start = own.Sparse(*(jnp.asarray(one) for one in (1.5, 100.0, 0.25, 0.1, 100.0)))
    KINDS.drop("Sparse")
    plain = t2.fit(start, {"params": n, "tokens": d, "active_params": active, "loss": seen})
    np.testing.assert_allclose(plain.values, found.values, rtol=1e-5)
    row = t2.plan_batch(pa.table({"train_flops": [1e22]}), law=found.model).to_pylist()[0]
    assert row["status"] == "bad_input"
    assert row["reason"].startswith("Sparse depends on active_params, and a plan decides on params, tokens, samples:")


def test_what_a_law_reads_is_found_by_looking_on():
    def ratio(decision):
        return 2.0 + (decision.tokens_per_param / decision.bits) ** -0.1

    assert columns_read(t2.quantity(ratio)) == ("bits", "params", "tokens")
    assert columns_read(t2.published("muennighoff2023", unique_tokens=1e10)) == ("params", "tokens")
    assert columns_read(t2.published("pythia-gsm8k")) == ("params", "samples", "tokens")
    assert columns_read(t2.quantity(lambda a: float(a.params))) == ("params",)  # whatever comes of it


# --- A task -----------------------------------------------------------------------------------------------------------


def odds(n, d, k):
    return SLOPE[0] + SLOPE[1] * np.log(k) - SLOPE[2] * (E + A / n**ALPHA + B / d**BETA)


@pytest.fixture(scope="module")
def task(own):
    n, d, k = (one.ravel() for one in np.meshgrid(np.geomspace(1e8, 1e10, 3), np.geomspace(1e10, 1e12, 3), (1, 8, 64)))
    rate = 1 / (1 + np.exp(-odds(n, d, k)))
    begin = own.Odds(LAW, jnp.asarray([1.0, 1.0, 1.0]))
    data = {"params": n, "tokens": d, "samples": k.astype(float), "pass_at_k": rate}
    return t2.fit(begin, data, fixed="law", starts=32)


@pytest.fixture(scope="module")
def task_file(task, tmp_path_factory):
    path = tmp_path_factory.mktemp("tasks") / "odds.json"
    task.to_json(path)
    return path


def best_odds(total):
    """(N, D, k) of the highest odds for a total of FLOPs, 1e9 queries and 500 tokens: over log N and log k."""

    def at(x):
        n, k = np.exp(x)
        return n, (total - 1e12 * n * k) / (6 * n), k

    def worse(x):
        n, d, k = at(x)
        return -odds(n, d, k) if d > 0 and k >= 1 else 1e3

    options = {"xatol": 1e-10, "fatol": 1e-14}
    ends = [minimize(worse, np.log(x), method="Nelder-Mead", options=options) for x in ((1e9, 2), (5e9, 10), (1e8, 50))]
    return at(min(ends, key=lambda end: end.fun).x)


def test_a_task_is_fitted_saved_and_read(own, task, task_file):
    np.testing.assert_allclose([task.coefficients[f"slope[{i}]"] for i in range(3)], SLOPE, rtol=1e-6)
    again = t2.Fit.from_json(task_file)
    assert type(again.model) is own.Odds
    assert again.coefficients == task.coefficients
    head, inside, *_ = str(again.model).splitlines()
    assert head == "Odds: pass@k(N, D, k) = Odds(slope = (6, 0.4, 3))"
    assert inside == "  law  1.7 + 420/N^0.34 + 900/D^0.33 nats per token"


def test_a_task_is_planned_for(capsys, task, task_file):
    n, d, k = best_odds(1e24)
    (row,) = t2.plan_batch(
        pa.table({"total_flops": [1e24]}), task=task.model, queries=1e9, output_tokens=500.0
    ).to_pylist()
    np.testing.assert_allclose([row["params"], row["tokens"], row["samples"]], [n, d, k], rtol=1e-4)
    np.testing.assert_allclose(row["pass_at_k"], 1 / (1 + np.exp(-odds(n, d, k))), rtol=1e-6)
    demand = ("--total-flops", "1e24", "--queries", "1e9", "--output-tokens", "500")
    said = json.loads(command(capsys, "plan", "--task", str(task_file), *demand, "--json").out)
    np.testing.assert_allclose(said["optimum"]["value"], row["value"], rtol=1e-9)
    assert said["objective"]["sense"] == "maximize"
    assert said["baselines"]["chinchilla"]["value"] < said["optimum"]["value"]


# --- JSON, and what is wrong ------------------------------------------------------------------------------------------


def test_json_of_an_object_that_was_not_fitted(own):
    law = own.Quantised(*(jnp.asarray(one) for one in (E, A, B, ALPHA, BETA, 4.0)))
    task = own.Odds(LAW, jnp.asarray(SLOPE))
    for one in (law, task):
        content = json.loads(json.dumps(described(one)))
        again = built(content, "mine.json")
        assert described(again) == content
        assert jax.tree.structure(again) == jax.tree.structure(one)
        assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(one), strict=True))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "Quantized"}, "did you mean Quantised?"),
        ({"kind": "Quantised", "E": 1.0}, 'Quantised lacks "A", "B", "alpha", "beta", "bits"'),
        ({"kind": "Odds", "law": "kaplan2020", "slope": [1, 1, 1]}, '"law": kaplan2020 is a Kaplan, not Chinchilla'),
        (
            {"kind": "Odds", "law": "besiroglu2024", "slope": [1, 1]},
            '"slope" must be a list of three numbers, got [1, 1]',
        ),
        ({"kind": "Odds", "law": "besiroglu2024", "slope": [1, -1, 1]}, "slope[1] must be positive, got -1"),
        ({"kind": "Sparse2", "E": 1}, "\"kind\" is 'Sparse2', not one of"),
    ],
)
def test_what_is_wrong_with_a_file(content, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the message is compared)
        built(content, "mine.json")
    assert message in str(error.value)


def whole(name="Mine", **fields):
    """A law with these fields."""
    body = {
        "__annotations__": fields or {"a": jax.Array},
        "score": lambda self, log: -log.params,
        "__module__": __name__,
    }
    return type(t2.LossLaw)(name, (t2.LossLaw,), body)


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (3, {}, "register takes a class of laws or tasks, a subclass of t2jax.LossLaw or t2jax.Task, got 3"),
        (dict, {}, "register takes a class of laws or tasks, a subclass of t2jax.LossLaw or t2jax.Task, got dict"),
        (t2.LossLaw, {}, "LossLaw does not say score yet: only a whole class can be registered"),
        (t2.Chinchilla, {}, "Chinchilla is the name of a kind of t2jax: call the class otherwise"),
        (whole("Odds"), {}, "Odds is registered already, from my_laws: two kinds of one name"),
        (
            whole(),
            {"name": "My Law"},
            "name must be of small letters, digits and hyphens, such as my-law, got 'My Law'",
        ),
        (whole(), {"name": "kaplan"}, "'kaplan' is what Kaplan is called: give Mine another name="),
        (whole(), {"domains": {"b": "real"}}, "domains names 'b', which is no coefficient of Mine: it has a"),
        (whole(), {"domains": {"a": "posative"}}, "domains['a'] must be one of positive, nonnegative, share, "),
        (whole(), {"columns": {"c": "bits"}}, "columns names 'c', which is no coefficient of Mine: it has a"),
        (whole(), {"terms": {"a": "alpha"}}, 'terms[\'a\'] must be (column, exponent), such as ("params", "alpha")'),
        (
            whole(),
            {"terms": {"a": ("params", "alpha")}},
            "terms['a'] has the exponent 'alpha', which is no coefficient",
        ),
        (whole(), {"starts": 5}, "starts must be models of Mine, or a function that makes them, got 5"),
        (whole(), {"starts": [LAW]}, "starts must be models of Mine, got"),
    ],
)
def test_a_wrong_registration_says_why(untyped, cls, options, message):
    before = dict(KINDS)
    with pytest.raises((TypeError, ValueError)) as error:
        t2.register(cls, **options)
    assert str(error.value).startswith(message)
    assert dict(KINDS) == before


def test_a_cell_of_a_notebook_may_run_again():
    first, second = whole(), whole()
    t2.register(first)
    assert kind_of(first) is KINDS["Mine"]
    t2.register(second)
    assert kind_of(first) is None
    assert kind_of(second) is KINDS["Mine"]
    KINDS.drop("Mine")


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("no_such_module", "--plugin no_such_module: there is no module of that name, here or installed"),
        ("./no_such.py", "--plugin no_such.py: there is no such file"),
        ("", "--plugin takes a module such as my_laws, or a file ./my_laws.py, got ''"),
        ("broken", "--plugin broken fails: ZeroDivisionError: division by zero"),
    ],
)
def test_a_plugin_that_cannot_be_imported(capsys, tmp_path, monkeypatch, plugin, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "broken.py").write_text("1 / 0\n")
    assert main(["list", "--plugin", plugin]) == 2
    assert message in capsys.readouterr().err
