"""`t2.plan` is what the command line prints and what a row of a table holds, for scenarios of every kind."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax.cli import main
from t2jax.literature import built
from t2jax.planning._fields import FLAGS, field
from t2jax.planning._figures import Figures
from t2jax.planning._spelling import as_option

KINDS = ("total", "parts", "training", "law", "own task", "repeated data", "target")


FORMS = 6
"""Of each kind so many random sets of options: each is a program of its own, which takes longer to compile than to run
with the numbers of a hundred scenarios."""


def scenario(seed: int, kind: str) -> dict:
    """Random numbers in a random form of this kind, three digits each, as people write them."""
    rng, form = np.random.default_rng(100 + seed), np.random.default_rng(seed % FORMS)

    def number(low: float, high: float) -> float:
        return float(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.3g}")

    demand = {"queries": number(1e6, 1e11), "output_tokens": number(10, 1e4)}
    if form.random() < 0.5:
        demand["prompt_tokens"] = number(10, 1e4)
    fields: dict = {
        "total": {"total_flops": number(1e21, 1e26), **demand},
        "parts": {"train_flops": number(1e20, 1e24), "inference_flops": number(1e22, 1e24), **demand},
        "training": {"train_flops": number(1e19, 1e25), "max_samples": number(1, 1e3)},
        "law": {"law": "besiroglu2024", "train_flops": number(1e19, 1e25)},
        "own task": {"law": "hoffmann2022", "G": number(0.3, 3), "gamma": number(0.2, 0.6),
                     "total_flops": number(1e21, 1e26), **demand},
        "repeated data": {"law": "muennighoff2023", "unique_tokens": number(1e9, 1e12),
                          "train_flops": number(1e20, 1e24)},
        "target": {"target": round(rng.uniform(0.2, 0.8), 3), **demand},
    }[kind]  # fmt: skip
    for name, low, high in (("max_params", 1e8, 1e11), ("max_tokens", 1e10, 1e13), ("max_samples", 2, 1e3)):
        if name not in fields and kind != "target" and form.random() < 0.25:
            fields[name] = number(low, high)
    if "prompt_tokens" in fields and form.random() < 0.3:
        fields["no_share_prompt"] = True
    if kind in ("total", "own task") and form.random() < 0.3:
        fields["integer_samples"] = True
    return fields


def typed(fields: dict) -> list[str]:
    words = []
    for name, value in fields.items():
        words += [as_option(name)] if name in FLAGS else [as_option(name), str(value)]
    return words


def differs(one: float | None, other: float | None) -> float:
    """The relative difference; infinite where only one of them is a number."""
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    return abs(one - other) / max(abs(one), abs(other), 1e-300)


def check_one_answer(capsys, fields: dict) -> None:
    """The same on all three faces: the object, the command line, the row of a table."""
    pa = pytest.importorskip("pyarrow")
    code = main(["plan", *typed(fields), "--json"])
    printed = json.loads(capsys.readouterr().out)
    row = t2.plan_batch(pa.table({name: [value] for name, value in fields.items()})).to_pylist()[0]
    if code:
        with pytest.raises(t2.NoSolutionError) as error:
            t2.plan(**fields)
        assert str(error.value).startswith(printed["status"])
        assert row["status"] == printed["status"].replace(" ", "_")
        return
    plan = t2.plan(**fields)
    report = plan.to_dict()
    whole_one = "integer_samples finds" in str(report["notes"]) or "integer_samples=True finds" in str(report["notes"])
    if whole_one:  # the note names the option, each face in its own spelling
        report["notes"] = [note.replace("integer_samples=True", "--integer-samples") for note in report["notes"]]
    assert json.loads(json.dumps(report)) == printed
    assert row["status"] == "solved"
    optimum = plan.optimum
    assert differs(row["value"], optimum.value) < 1e-12, fields
    if "unique_tokens" in fields:  # more parameters or repeats than the data can fill change nothing: many optima
        assert row["train_flops_used"] <= fields["train_flops"] * (1 + 1e-9)
        return
    for name in ("params", "tokens", "samples", "tokens_per_param", "overtraining_ratio", "loss_nats", "pass_at_k",
                 "value"):  # fmt: skip
        assert differs(row[name], getattr(optimum, name)) < 1e-12, (name, fields)
    for name in ("train_flops", "inference_flops", "total_flops"):
        assert differs(row[f"{name}_used"], getattr(optimum, name)) < 1e-12, (name, fields)


@pytest.mark.parametrize("kind", ["total", "law"])
def test_one_answer_on_every_face(capsys, kind):
    for seed in range(2):
        check_one_answer(capsys, scenario(seed, kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_one_answer_on_every_face_at_random(capsys, kind):
    for seed in range(29):  # times seven kinds: 203
        check_one_answer(capsys, scenario(seed, kind))


def test_a_plan_prints_what_the_command_line_prints(capsys):
    words = "plan --law besiroglu2024 --train-flops 1e22"
    assert main(words.split()) == 0
    plan = t2.plan(law="besiroglu2024", train_flops="1e22")
    assert str(plan) + "\n" == repr(plan) + "\n" == capsys.readouterr().out
    assert plan._repr_html_().startswith("<pre>The lowest loss")
    assert plan.to_dict()["schema"] == 1


def test_objects_in_place_of_names():
    law = t2.published("besiroglu2024")
    named, given = (t2.plan(law=one, train_flops=1e22) for one in ("besiroglu2024", law))
    assert named.to_dict() == given.to_dict()
    bare = t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
    assert t2.plan(law=bare, train_flops=1e22).optimum.params == pytest.approx(named.optimum.params, rel=1e-12)
    coefficients = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
    plan = t2.plan(law=bare, train_flops=1e22)
    assert plan.inputs["law"] == {"kind": "Chinchilla", **coefficients}
    assert str(plan).startswith("The lowest loss (Chinchilla) for")
    money = {"usd": 1e6, "usd_per_hour": 2.5, "queries": 1e9, "output_tokens": 500}
    device = t2.accelerator("h100-sxm")
    assert t2.plan(hardware=device, **money).to_dict() == t2.plan(hardware="h100-sxm", **money).to_dict()


def test_inputs_have_all_of_an_object_that_no_name_stands_for():
    """What is in the registry, as JSON that is read again; a name for what is published, also in float32."""
    with jax.enable_x64(False):
        assert t2.plan(law=t2.published("besiroglu2024"), train_flops=1e22).inputs["law"] == "besiroglu2024"
    repeated = t2.published("muennighoff2023", unique_tokens=25e9)
    said = t2.plan(law=repeated, train_flops=1e22).inputs["law"]
    assert json.loads(json.dumps(said)) == said
    assert (said["kind"], said["unique_tokens"], said["provenance"]["name"]) == (
        "DataConstrained", 25e9, "muennighoff2023"
    )  # fmt: skip
    assert float(built(said, "inputs").law.E) == float(repeated.law.E)
    card = t2.Hardware("my-card", peak_flops={"bf16": 312e12}, memory_bytes=80e9, bandwidth=2e12)
    bill = t2.bill(params=1e9, tokens=1e11, hardware=card, usd_per_hour=1, queries_per_month=1e6, output_tokens=10)
    assert bill.inputs["hardware"] == {
        "name": "my-card", "peak_flops": {"bf16": 312e12}, "memory_bytes": 80e9, "bandwidth": 2e12,
        "power_watts": None, "source": "the user's own",
    }  # fmt: skip
    found = t2.frontier(law=t2.Chinchilla(1.8, 400, 400, 0.3, 0.3), train_flops="1e20:1e22:2")
    assert found.inputs["law"]["alpha"] == 0.3
    assert str(found).startswith("Compute-optimal frontier: law='Chinchilla'")


class Unregistered(t2.LossLaw):
    """A law of nobody's registry."""

    E: jax.Array

    def score(self, log):
        return jnp.logaddexp(jnp.log(self.E), jnp.logaddexp(6 - 0.3 * log.params, 7 - 0.3 * log.tokens))


def test_an_object_of_no_registry_is_there_by_its_class():
    law = Unregistered(jnp.asarray(1.8))
    assert t2.plan(law=law, train_flops=1e22).inputs["law"] == "Unregistered"
    inside = t2.T2Loss(law, 1.0, 0.3)
    assert t2.plan(task=inside, train_flops=1e22, max_samples=8).inputs["task"] == "T2Loss"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "no budget: give total_flops=, or train_flops= with inference_flops=, or a target= to reach most cheaply"),
        ({"total_flop": 1e22}, "there is no total_flop=: did you mean total_flops or train_flops?"),
        ({"total_flops": "7Q"}, "total_flops= must be a number such as 1e24, 7B or 15T, got '7Q'"),
        ({"total_flops": -1}, "total_flops= must be positive and finite, got -1"),
        ({"train_flops": 1e22, "law": "x"}, "no published law or task is called 'x'"),
        ({"total_flops": 1e22}, "total_flops= pays for training and answering: say how much is answered, "
         "for example queries=1e9, output_tokens=500"),
        ({"usd": 1e6}, "usd= is for a plan in money: give hardware=, too"),
        ({"train_flops": 1e22, "integer_samples": 2}, "integer_samples= must be True or False, got 2"),
    ],
)  # fmt: skip
def test_bad_usage_is_one_kind_of_error(fields, message):
    with pytest.raises(t2.UsageError) as error:
        t2.plan(**fields)
    assert str(error.value).startswith(message)


def test_no_solution_raises():
    with pytest.raises(t2.NoSolutionError, match="infeasible: this budget buys no model of even one parameter"):
        t2.plan(law="besiroglu2024", train_flops=1e-3)
    with pytest.raises(t2.NoSolutionError, match="unbounded: more samples are always better: add inference_flops="):
        t2.plan(train_flops=1e22)


def test_the_figures_of_a_plan_are_those_of_the_table():
    from t2jax.planning._figure_table import ALLOCATION, FLOPS, MONEY_FIGURES

    assert tuple(Figures.__dataclass_fields__) == (*ALLOCATION, *FLOPS, *MONEY_FIGURES, "outside_fit", "why_none")
    assert field("total_flops").unit == "FLOPs"


def test_the_signature_names_every_field():
    import inspect

    from t2jax.planning._fields import TABLE

    assert list(inspect.signature(t2.plan).parameters) == [one.name for one in TABLE]
    assert all(f"\n    {one.name}: " in inspect.cleandoc(t2.plan.__doc__) for one in TABLE)


def test_a_plan_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    plan = t2.plan(law="besiroglu2024", train_flops=1e22)
    ax = Figure().subplots()
    assert plan.plot(ax) is ax
    assert ax.has_data()
    plan.plot(tmp_path / "plan.png")
    assert (tmp_path / "plan.png").stat().st_size > 10_000
    with pytest.raises(t2.UsageError, match="exists"):
        plan.plot(tmp_path / "plan.png")


def test_a_plan_needs_nothing_of_jaxs_settings(tmp_path):
    """As users have them: float32, and a plan that was made in float64 prints, converts and is drawn."""
    pytest.importorskip("matplotlib")
    with jax.enable_x64(False):
        plan = t2.plan(law="besiroglu2024", train_flops=1e22)
        assert plan.optimum.params == t2.plan(law="besiroglu2024", train_flops=1e22).optimum.params
        assert "params" in str(plan.solution)
        assert plan.to_arrow().num_rows == 3
        plan.plot(tmp_path / "plan.png")
    with jax.enable_x64(True):
        assert plan.to_dict() == t2.plan(law="besiroglu2024", train_flops=1e22).to_dict()
