"""Which columns of a table are read: a misspelt one is never passed over in silence."""

import json
import random

import pyarrow as pa
import pytest

import t2jax as t2
from t2jax.cli import main
from t2jax.planning._fields import FLAGS, NAMES, NUMBERS
from t2jax.planning.tables._header import check_columns

FIELDS = (*NUMBERS, *NAMES, *FLAGS)
LAW = "besiroglu2024"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Max_Params", "max_params"),
        ("MAX PARAMS", "max_params"),
        ("maxParams", "max_params"),
        ("max-params ", "max_params"),
        ("params_max", "max_params"),
        ("max_param", "max_params"),
        ("max_parmas", "max_params"),
        ("mаx_params", "max_params"),  # the second letter is Cyrillic
        ("max_params\u200b", "max_params"),
        ("trainflops", "train_flops"),
        ("Law", "law"),
        ("g", "G"),
        ("n_queries", "queries"),
        ("output_token", "output_tokens"),
        ("integer_sample", "integer_samples"),
    ],
)
def test_a_column_that_is_nearly_called_as_a_field_is_refused(name, field):
    there = "train_flops" if field != "train_flops" else "max_params"
    table = pa.table({there: [1e22], name: [7e9]})
    with pytest.raises(ValueError, match=rf"the table has a column .* did you mean {field}\? Rename it; or, if it is"):
        t2.plan_batch(table, law=LAW)
    # Where there is the field itself, too, the other is something else.
    check_columns([field, name])


OTHERS = """name id note model team seed model_size loss compute budget flops train_tokens tokens_seen max_len prompt
query temperature family run target_loss raw task_family total law_text mask 模型 ü n"""


def test_what_is_plainly_something_else_passes_through():
    check_columns(OTHERS.split())


def test_the_cap_is_kept_or_said_to_be_unread():
    """7B is the cap: without it the plan has 95.9B parameters."""
    free = pa.table({"train_flops": [1e24], "Max_Params": [7e9]})
    with pytest.raises(ValueError, match="did you mean max_params"):
        t2.plan_batch(free, law=LAW)
    (capped,) = t2.plan_batch(free.rename_columns(["train_flops", "max_params"]), law=LAW).to_pylist()
    assert capped["params"] == pytest.approx(7e9, rel=1e-9)
    (passed,) = t2.plan_batch(free, law=LAW, pass_through=["Max_Params"]).to_pylist()
    (plain,) = t2.plan_batch(free.select(["train_flops"]), law=LAW).to_pylist()
    assert passed == {"Max_Params": 7e9, **plain}
    assert plain["params"] > 5e10


def test_a_field_may_pass_through_on_purpose():
    table = pa.table({"train_flops": [1e22], "task": ["a note"], "max_params": ["unknown"]})
    (row,) = t2.plan_batch(table, law=LAW, pass_through=("task", "max_params")).to_pylist()
    assert (row["status"], row["task"], row["max_params"]) == ("solved", "a note", "unknown")
    with pytest.raises(ValueError, match='pass_through names "tasks", but the columns are train_flops, task, max_pa'):
        t2.plan_batch(table, law=LAW, pass_through=["tasks"])
    with pytest.raises(TypeError, match="pass_through must be a list of columns, got 'task'"):
        t2.plan_batch(table, law=LAW, pass_through="task")
    with pytest.raises(ValueError, match="is the name of a result"):
        check_columns(["value"], ["value"])


def test_the_command_line_refuses_lists_and_passes_through(tmp_path, capsys):
    path, out = tmp_path / "scenarios.csv", tmp_path / "plans.csv"
    path.write_text("train_flops,Max_Params,note\n1e24,7B,x\n")
    line = ["sweep", str(path), "--out", str(out), "--law", LAW, "--json"]
    assert main(line) == 2
    assert capsys.readouterr().err == (
        't2jax: scenarios.csv: the table has a column "Max_Params": did you mean max_params? Rename it; or, if it is '
        'to pass through unread, say so with --pass-through "Max_Params"\n'
    )
    assert not out.exists()
    assert main([*line, "--pass-through", "Max_Params"]) == 0
    said = capsys.readouterr()
    assert said.err == "t2jax: passed through unread: Max_Params, note\n"
    assert json.loads(said.out)["passed_through"] == ["Max_Params", "note"]
    # A run with other columns passed through is another run.
    parquet = [*line[:3], str(tmp_path / "plans.parquet"), *line[4:], "--pass-through", "Max_Params"]
    assert main(parquet) == 0
    assert main([*parquet, "--pass-through", "note", "--resume"]) == 2
    assert 'pass_through was ["Max_Params"], is ["Max_Params", "note"]' in capsys.readouterr().err


def test_many_columns_are_listed_in_part_and_without_their_control_characters(tmp_path, capsys):
    path, names = tmp_path / "scenarios.csv", ["\x1b[31mred", *(f"note{i}" for i in range(30))]
    path.write_text(",".join(["train_flops", *names]) + "\n1e22" + "," * 31 + "\n")
    assert main(["sweep", str(path), "--out", str(tmp_path / "plans.csv"), "--law", LAW]) == 0
    said = capsys.readouterr().err
    assert said.startswith("t2jax: passed through unread: \\x1b[31mred, note0, note1, ")
    assert said.endswith("note18 and 11 more\n")
    path.write_text("train_flops,max_params\x1b\n1,2\n")
    assert main(["sweep", str(path), "--out", str(tmp_path / "b.csv"), "--law", LAW]) == 2
    said = capsys.readouterr().err
    assert 'column "max_params\\x1b": did you mean max_params?' in said
    assert "\x1b" not in said


@pytest.mark.parametrize("seed", range(3))
def test_one_slip_of_the_pen_is_always_seen(seed):
    """A letter left out, doubled, exchanged with the next, or another one; any case, any mark between words."""
    rng = random.Random(seed)
    for _ in range(150):
        field = rng.choice([one for one in FIELDS if len(one) >= 6])
        letters, i = list(field), rng.randrange(1, len(field) - 1)
        slip = rng.choice(["none", "drop", "double", "swap", "other"])
        if slip == "drop":
            del letters[i]
        elif slip == "double":
            letters.insert(i, letters[i])
        elif slip == "swap":
            letters[i], letters[i + 1] = letters[i + 1], letters[i]
        elif slip == "other":
            letters[i] = rng.choice("abcdefghijklmnopqrstuvwxyz")
        name = "".join(letters)
        name = rng.choice([name, name.upper(), name.title()]).replace("_", rng.choice("_- ."))
        if name in FIELDS:
            continue
        with pytest.raises(ValueError, match="did you mean"):
            check_columns(["id", name])
        check_columns(["id", name], [name])
