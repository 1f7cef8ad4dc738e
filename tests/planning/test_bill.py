"""`t2.bill` is what `t2jax cost` prints; dollars of training are 6ND over what devices compute, times their price."""

import inspect
import json

import jax
import pytest

import t2jax as t2
from t2jax.cli import main
from t2jax.planning._bill_fields import bill_fields

MODEL = {"params": "8B", "tokens": "15T", "hardware": "h100-sxm", "usd_per_hour": 2.5, "queries_per_month": "100M",
         "prompt_tokens": 1000, "output_tokens": 500, "months": 24}  # fmt: skip
LINE = (
    "cost --params 8B --tokens 15T --hardware h100-sxm --usd-per-hour 2.5 --queries-per-month 100M "
    "--prompt-tokens 1000 --output-tokens 500 --months 24"
)


def typed(capsys, line):
    assert main(line.split()) == 0
    return capsys.readouterr().out


def test_it_is_what_the_command_line_prints(capsys):
    bill = t2.bill(**MODEL)
    assert json.loads(json.dumps(bill.to_dict())) == json.loads(typed(capsys, f"{LINE} --json"))
    assert bill.to_dict()["schema"] == 1
    own, lines = str(bill).splitlines(), typed(capsys, LINE).splitlines()
    assert repr(bill) == str(bill)
    spelled = [line.replace("kv_heads=, head_dim= and layers=", "--kv-heads, --head-dim and --layers") for line in own]
    assert spelled == lines
    assert own != lines
    assert bill._repr_html_().startswith("<pre>8.00B parameters")


def test_the_figures_by_hand():
    bill = t2.bill(**MODEL, mfu=0.5, overhead=0.1)
    hours = 1.1 * 6 * 8e9 * 15e12 / (0.5 * 989.4e12) / 3600
    assert bill.life.training_device_hours == pytest.approx(hours, rel=1e-12)
    assert bill.life.training_usd == pytest.approx(2.5 * hours, rel=1e-12)
    assert bill.usd == pytest.approx(bill.life.training_usd + 24 * bill.life.serving.usd_per_month, rel=1e-12)
    assert (bill.solved, bill.usd_per_solved_task) == (None, None)


def test_a_task_says_what_one_that_is_solved_costs():
    small = {**MODEL, "params": 1e9, "tokens": 1e13}
    task = t2.published("pythia-gsm8k")
    named, given = t2.bill(**small, task="pythia-gsm8k"), t2.bill(**small, task=task)
    assert named.to_dict() == given.to_dict()
    assert named.solved == pytest.approx(float(task(t2.Allocation(1e9, 1e13, 1.0))), rel=1e-12)
    assert named.usd_per_solved_task == pytest.approx(named.usd / (named.solved * 24 * 1e8), rel=1e-12)
    assert named.notes == ("tokens 10T is above the fitted range 2.1B–300B of pythia-gsm8k",)


def test_it_converts():
    bill = t2.bill(**MODEL)
    frame = bill.to_pandas().set_index(["part", "figure"])["value"]
    assert frame["training", "usd"] + frame["serving", "usd"] == pytest.approx(frame["all", "usd"], rel=1e-15)
    assert frame["all", "usd"] == bill.usd
    assert bill.to_arrow().column("value").null_count == 2  # no task: solved and what one costs
    assert "serving & tokens\\_per\\_second" in bill.to_latex()


def test_it_needs_nothing_of_jaxs_settings():
    task = t2.published("pythia-gsm8k")
    wide = t2.bill(**MODEL, task=task)
    with jax.enable_x64(False):
        bill = t2.bill(**MODEL, task="pythia-gsm8k")
        assert bill.to_dict() == wide.to_dict()
        assert str(bill) == str(wide)
        single = t2.published("pythia-gsm8k")  # its coefficients are float32
        assert t2.bill(**MODEL, task=single).solved == pytest.approx(wide.solved, rel=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"params": None, "months": 3}, "a bill needs params=; help(t2.bill) has an example"),
        ({"params": "x"}, "params= must be a number such as 1e24, 7B or 15T, got 'x'"),
        ({"parameters": 1}, "there is no parameters=: did you mean params?"),
        ({"hardware": "h1"}, "no accelerator is called 'h1'"),
        ({"kv_heads": 8}, "kv_heads= and head_dim= belong together"),
        ({"task": "besiroglu2024"}, "task='besiroglu2024' does not say how many tasks are solved: give one of kind"),
        ({"task": 3}, "a law or task is a published name, a JSON file or an object of a class of them, got 3"),
        ({"params": "800B"}, "the model does not fit: a replica needs 1,913.2 GB"),
    ],
)
def test_bad_usage_is_spelled_for_python(fields, message):
    with pytest.raises(t2.UsageError) as error:
        t2.bill(**{**MODEL, **fields})
    assert str(error.value).startswith(message)


def test_the_signature_names_every_field():
    names = [one.name for one in bill_fields()]
    assert list(inspect.signature(t2.bill).parameters) == names
    assert all(f"\n    {name}: " in inspect.cleandoc(t2.bill.__doc__) for name in names)
