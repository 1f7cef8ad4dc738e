"""A scenario field of a user's own: an option, a column, an argument and a key of JSON, from one row."""

import json
import subprocess
import sys

import pyarrow as pa
import pytest

import t2jax as t2
from t2jax._io.usage import UsageError
from t2jax.cli import main
from t2jax.planning import Field, add_field
from t2jax.planning._fields import TABLE
from t2jax.planning.tables._header import check_columns

LAW = "besiroglu2024"
USD_PER_FLOP = 2.5 / (0.4 * 989.4e12 * 3600)  # an H100 at 2.5 USD an hour: 989.4e12 FLOP/s, of which 40 %
PLUGIN = """
import t2jax as t2
from t2jax.planning import Field, add_field

run = t2.Training(t2.accelerator("h100-sxm"), mfu=0.4, usd_per_hour=2.5)
add_field(
    Field(
        "max_run_usd",
        "cap",
        "The dearest training run, beside {train_flops}.",
        unit="USD",
        title="max USD",
        limit="dollars of the run",
        constraint=lambda usd: run.usd <= usd,
    )
)
"""


@pytest.fixture
def added():
    """The field of the plugin, for one test."""
    assert all((t2.plan, t2.frontier, t2.bill))  # their signatures have the fields that there are when they are loaded
    before = list(TABLE)
    exec(PLUGIN, {})
    yield
    TABLE[:] = before


def planned(capsys, line, status=0):
    assert main(line.split()) == status
    return capsys.readouterr()


def test_it_is_an_option_with_help_and_rules(added, capsys):
    for command in ("plan", "sweep", "frontier"):
        said = " ".join(planned(capsys, f"{command} --help").out.replace("│", " ").split())
        assert "--max-run-usd NUMBER The dearest training run, beside --train-flops." in said
        assert said.index("--max-samples") < said.index("--max-run-usd")
    assert "--max-run-usd" not in planned(capsys, "cost --help").out
    said = planned(capsys, f"plan --law {LAW} --train-flops 1e24 --max-run-usd 0", 2)
    assert said.err == "t2jax: --max-run-usd must be positive and finite, got 0\n"
    said = planned(capsys, f"plan --law {LAW} --train-flops 1e24 --max-run-us 1", 2)
    assert "Perhaps you meant" in said.err
    assert "--max-run-usd" in said.err


def test_it_limits_plans_by_the_command_line_in_python_and_in_tables(added, capsys):
    """The dollars bind: the run costs them, to 1e-9, and is the compute-optimal one for what they pay for."""
    line = f"plan --law {LAW} --train-flops 1e24 --max-run-usd 500K"
    said = json.loads(planned(capsys, f"{line} --json").out)
    assert said["inputs"]["max_run_usd"] == 5e5
    flops = said["optimum"]["train_flops"]
    assert flops * USD_PER_FLOP == pytest.approx(5e5, rel=1e-9)
    (price,) = [row for row in said["prices"] if row["constraint"] == "max_run_usd"]
    assert price["binding"]
    assert (price["limit"], price["used"]) == (5e5, pytest.approx(5e5, rel=1e-9))
    assert "dollars of the run" in planned(capsys, line).out

    plan = t2.plan(law=LAW, train_flops=1e24, max_run_usd="500K")
    assert plan.inputs["max_run_usd"] == 5e5
    assert plan.optimum.params == said["optimum"]["params"]
    plain = t2.plan(law=LAW, train_flops=flops)
    assert plan.optimum.params == pytest.approx(plain.optimum.params, rel=1e-6)

    table = pa.table({"train_flops": [1e24, 1e24, 1e24, 1e20], "max_run_usd": ["500K", None, "x", "500K"]})
    capped, free, bad, cheap = t2.plan_batch(table, law=LAW).to_pylist()
    assert capped["params"] == pytest.approx(plan.optimum.params, rel=1e-9)
    assert free["train_flops_used"] == pytest.approx(1e24, rel=1e-9)
    assert bad["reason"] == "max_run_usd must be a number such as 1e24, 7B or 15T, got 'x'"
    assert cheap["train_flops_used"] == pytest.approx(1e20, rel=1e-9)
    (default,) = t2.plan_batch(table.slice(1, 1), law=LAW, max_run_usd=5e5).to_pylist()
    assert default["params"] == capped["params"]


def test_a_misspelt_column_or_argument_is_met(added):
    with pytest.raises(ValueError, match="did you mean max_run_usd"):
        check_columns(["train_flops", "Max_Run_USD"])
    with pytest.raises(UsageError, match="there is no max_run_us=: did you mean max_run_usd"):
        t2.plan(law=LAW, train_flops=1e24, max_run_us=1)
    with pytest.raises(TypeError, match="there is no default 'max_run_us': did you mean max_run_usd"):
        t2.plan_batch(pa.table({"train_flops": [1e24]}), law=LAW, max_run_us=1)


def test_it_is_what_a_frontier_varies(added, capsys):
    said = planned(capsys, f"frontier --law {LAW} --train-flops 1e26 --max-run-usd 1e5:1e6:2").out
    assert "max USD" in said
    rows = json.loads(planned(capsys, f"frontier --law {LAW} --train-flops 1e26 --max-run-usd 1e5:1e6:2 --json").out)[
        "rows"
    ]
    assert [row["max_run_usd"] for row in rows] == pytest.approx([1e5, 1e6])
    spent = [row["train_flops_used"] * USD_PER_FLOP for row in rows]
    assert spent == pytest.approx([1e5, 1e6], rel=1e-9)


def test_a_baseline_that_is_beyond_it_says_so_and_the_picture_has_it(added, tmp_path):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    asked = {"total_flops": 1e24, "queries": 1e9, "output_tokens": 500}
    free = t2.plan(**asked).baselines.chinchilla.train_flops * USD_PER_FLOP
    plan = t2.plan(**asked, max_run_usd=free / 4)
    assert plan.optimum.train_flops * USD_PER_FLOP <= free / 4 * (1 + 1e-9)
    assert plan.baselines.chinchilla.why_none == "such a model is beyond the limit on dollars of the run"
    ax = figure.subplots()
    plan.plot(ax)
    plan.plot(tmp_path / "plan.png")
    words = [one.get_text() for one in [*ax.texts, *(ax.get_legend().get_texts() if ax.get_legend() else [])]]
    assert any(one.startswith("dollars of the run ≤ ") for one in words)


def test_a_name_that_there_is_is_refused(added):
    for name in ("max_run_usd", "task", "loss_nats", "status"):
        with pytest.raises(ValueError, match=f"there is a field or result {name} already"):
            add_field(Field(name, "cap", "Again."))


def test_a_plugin_adds_an_option(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    line = f"plan --plugin mine.py --law {LAW} --train-flops 1e24 --max-run-usd 500K --json"
    done = subprocess.run([sys.executable, "-m", "t2jax.cli", *line.split()], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["inputs"]["max_run_usd"] == 5e5


def test_without_it_nothing_is_known_of_it():
    assert "max_run_usd" not in [one.name for one in TABLE]
    with pytest.raises(UsageError, match="there is no max_run_usd="):
        t2.plan(law=LAW, train_flops=1e24, max_run_usd=1)


@pytest.fixture
def floored():
    """A field that is a limit from below."""
    assert all((t2.plan, t2.frontier, t2.bill))
    before = list(TABLE)
    add_field(
        Field(
            "min_ratio",
            "cap",
            "The fewest tokens per parameter.",
            limit="tokens per parameter",
            constraint=lambda least: t2.tokens / t2.params >= least,
        )
    )
    yield
    TABLE[:] = before


def test_a_limit_from_below_says_so_and_holds(floored, capsys):
    """Over-trained 50 tokens a parameter: 6ND = C and D = 50 N give N."""
    said = planned(capsys, f"plan --law {LAW} --train-flops 1e24 --min-ratio 50").out
    assert "tokens per parameter ≥ 50" in said
    plan = t2.plan(law=LAW, train_flops=1e24, min_ratio=50.0)
    assert plan.optimum.params == pytest.approx((1e24 / 300) ** 0.5, rel=1e-9)
    assert [price.binding for price in plan.prices if price.constraint == "min_ratio"] == [True]
    assert "beyond" in plan.baselines.chinchilla.why_none
