"""One bad cell costs its row and no other: of every type that Arrow has, of any text, and with the name of any file."""

import datetime
import json
import os
import threading
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import t2jax as t2
from t2jax.cli import main
from t2jax.planning._law_files import MOST_BYTES
from t2jax.planning.tables._cells import numbers_of, texts_of
from t2jax.planning.tables._header import RESULTS

LAW = {"kind": "Chinchilla", "E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
NAME = "besiroglu2024"


def broken(*words):
    """Text with bytes that are not UTF-8, as files of other programs may hold it."""
    return pa.array(list(words), pa.binary()).view(pa.string())


def plan(column, name, **options):
    """The answers to rows with this column; all else is alike and sound."""
    columns = {"train_flops": pa.array([1e22] * len(column)), name: column}
    defaults = {"law": NAME, "train_flops": 1e22, **options}
    return t2.plan_batch(pa.table(columns), **defaults).select(RESULTS).to_pylist()


# --- Types ------------------------------------------------------------------------------------------------------------

FAR = pa.array([2**49, None], pa.timestamp("s"))  # the year 17,841,162
ODD = {
    "list": pa.array([[1e22], None]),
    "large list": pa.array([[1e22], None], pa.large_list(pa.float64())),
    "fixed list": pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2)),
    "list view": pa.array([[1.0], None], pa.list_view(pa.float64())),
    "struct": pa.array([{"a": 1e22}, None]),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "timestamp": FAR,
    "timestamp with a zone": pa.array([2**49, None], pa.timestamp("s", "Europe/Paris")),
    "timestamp of no zone": pa.array([1, None], pa.timestamp("s", "Nowhere/Atlantis")),
    "nanoseconds": pa.array([1, None], pa.timestamp("ns")),
    "date": pa.array([2**30, None], pa.int32()).cast(pa.date32()),
    "date in ms": pa.array([2**62, None], pa.date64()),
    "time": pa.array([2**62, None], pa.time64("us")),
    "duration": pa.array([2**62, None], pa.duration("s")),
    "interval": pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
    "dictionary of lists": pa.DictionaryArray.from_arrays(pa.array([0, None]), pa.array([[1.0]])),
    "dictionary of times": pa.DictionaryArray.from_arrays(pa.array([0, None]), FAR.slice(0, 1)),
    "runs of times": pa.RunEndEncodedArray.from_arrays([1, 2], FAR),
}


@pytest.mark.parametrize("name", ["train_flops", "law", "integer_samples"])
@pytest.mark.parametrize("column", ODD.values(), ids=ODD)
def test_a_cell_that_is_neither_number_nor_text(column, name):
    bad, fine = plan(column, name)
    begins = {"train_flops": "train_flops must be a number", "law": "law must be a published name, or a JSON file"}
    assert bad["status"] == "bad_input"
    assert bad["reason"].startswith(begins.get(name, "integer_samples must be true or false"))
    assert len(bad["reason"]) < 200
    assert fine["status"] == "solved"


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"70B", None]),
        pa.array([b"70B", None], pa.large_binary()),
        pa.array([b"70B", None], pa.binary_view()),
        pa.array([b"70B", None], pa.binary(3)),
        pa.array([Decimal("7e10"), None], pa.decimal256(40, 3)),
        pa.array([np.float16(7.0), None]),
        pa.RunEndEncodedArray.from_arrays([1, 2], pa.array(["70B", None])),
        pa.chunked_array([pa.array(["70B"]).dictionary_encode(), pa.array([None, "1"]).dictionary_encode()]),
        pa.chunked_array([], pa.string()),
        pa.array([None, None]),
    ],
    ids=lambda column: str(column.type)[:30],
)
def test_numbers_and_texts_of_every_type(column):
    """As Python has them."""
    values, given, unread = numbers_of(column)
    wanted = [one.decode() if isinstance(one, bytes) else one for one in column.to_pylist()]
    numbers = [7e10 if one == "70B" else np.nan if one is None else float(one) for one in wanted]
    np.testing.assert_array_equal(values, numbers)
    assert given.tolist() == [one is not None for one in wanted]
    known, codes, bad = texts_of(column)
    assert unread == bad == []
    assert [known[code] if code >= 0 else None for code in codes] == [
        one if one is None or isinstance(one, str) else known[codes[0]] for one in wanted
    ]


def test_text_that_is_not_utf_8():
    words = broken(b"\xff\xfe7B", b"besiroglu2024", None, b"1e22")
    bad, name, fine, number = plan(words, "train_flops")
    assert bad["reason"] == "train_flops must be a number such as 1e24, 7B or 15T, got '��7B', which is not UTF-8"
    assert [name["status"], fine["status"], number["status"]] == ["bad_input", "solved", "solved"]
    bad, named, fine, _ = plan(words, "law")
    assert bad["reason"] == "law must be a published name, or a JSON file, got '��7B', which is not UTF-8"
    assert [named["status"], fine["status"]] == ["solved", "solved"]


def test_such_text_survives_a_run_and_its_resumption(tmp_path, capsys):
    """Also where it only passes through, in text and as bytes."""
    words, notes = broken(b"\xff", b"besiroglu2024"), broken(b"\xfe,\x00", b"")
    table = pa.table({"law": words, "train_flops": [1e22, 1e22], "note": notes, "raw": notes.view(pa.binary())})
    pq.write_table(table, tmp_path / "scenarios.parquet")
    for end in ("csv", "parquet"):
        line = ["sweep", str(tmp_path / "scenarios.parquet"), "--out", str(tmp_path / f"plans.{end}")]
        assert main(line) == main([*line, "--resume"]) == 0
        assert "bad input  1  it is row 0: law must be" in capsys.readouterr().out
    plans = pq.read_table(tmp_path / "plans.parquet")
    assert plans.select(table.column_names).equals(table)
    assert (tmp_path / "plans.csv").read_bytes().count(b'"\xfe,\x00"') == 2


def test_a_name_of_a_column_that_is_not_utf_8(tmp_path, capsys):
    pq.write_table(pa.table({"train_flops": [1e22], "zzz": [1]}), tmp_path / "in.parquet", store_schema=False)
    content = (tmp_path / "in.parquet").read_bytes()
    (tmp_path / "in.parquet").write_bytes(content.replace(b"zzz", b"\xff\xfez"))
    assert main(["sweep", str(tmp_path / "in.parquet"), "--out", str(tmp_path / "out.csv"), "--law", NAME]) == 2
    assert capsys.readouterr().err == "t2jax: in.parquet has names of columns that are not UTF-8\n"


def test_times_far_away_pass_through_into_a_csv(tmp_path, capsys):
    table = pa.table({"train_flops": [1e22, 1e22], "when": FAR, "zone": ODD["timestamp with a zone"]})
    pq.write_table(table, tmp_path / "scenarios.parquet")
    line = ["sweep", str(tmp_path / "scenarios.parquet"), "--out", str(tmp_path / "plans.csv"), "--law", NAME]
    assert main(line) == 0
    assert capsys.readouterr().out.count("solved") == 1


# --- Names of files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text(json.dumps(LAW))
    return tmp_path


def test_names_of_which_none_is_a_law(here):
    os.mkfifo("pipe.json")
    os.mkdir("folder.json")
    os.symlink("loop.json", "loop.json")
    os.symlink("/dev/zero", "zero.json")
    with open("large.json", "wb") as file:
        file.write(json.dumps(LAW).encode())
        file.truncate(MOST_BYTES + 1)
    with open("deep.json", "w") as file:
        file.write("[" * 100_000)
    with open("surrogate.json", "w") as file:
        json.dump({"kind": "Chinchilla", "\ud800\x1b": 1}, file)
    with open("list.json", "w") as file:
        json.dump({**LAW, "E": [1.5] * 100_000}, file)
    with open("keys.json", "w") as file:
        file.write("{" + ",".join(f'"{i}": 1' for i in range(200_000)) + ', "7": 1}')
    reasons = {
        "mine.json": None,
        "./mine.json": None,
        "/dev/zero": "cannot read /dev/zero: it is not a regular file",
        "zero.json": "cannot read zero.json: it is not a regular file",
        "pipe.json": "cannot read pipe.json: it is not a regular file",
        "folder.json": "cannot read folder.json: Is a directory",
        "/": "cannot read /: Is a directory",
        "loop.json": "cannot read loop.json: Too many levels of symbolic links",
        "absent.json": "cannot read absent.json: No such file or directory",
        "mine.json/x": "cannot read mine.json/x: Not a directory",
        "large.json": "large.json is not a law or task: it has more than 10,000,000 bytes",
        "deep.json": "deep.json is not a law or task: it is nested too deeply",
        "surrogate.json": 'surrogate.json: Chinchilla has no "\\ud800\\x1b"',
        "list.json": 'list.json: "E" must be a number, got [1.5, 1.5, 1.5,',
        "keys.json": "keys.json: key '7' is there more than once",
        "n" * 256: f"no published law or task is called '{'n' * 39}…'",
        "n/" * 3000: "cannot read n/n/n/",
        f"{'n' * 300}.json": "cannot read nnn",
        "a\x00b.json": "cannot read a\\x00b.json: no file has such a name",
        "x\x1b[31m": "no published law or task is called 'x\\x1b[31m': t2jax list shows them all",
        "x\n/y": "cannot read x\\n/y: No such file or directory",
    }
    rows = plan(pa.array(list(reasons)), "law")
    for (name, reason), row in zip(reasons.items(), rows, strict=True):
        if reason is None:
            assert row["status"] == "solved", name
            assert row["params"] == rows[0]["params"]
        else:
            assert row["status"] == "bad_input"
            assert row["reason"].startswith(reason)
            assert len(row["reason"]) < 400
            assert row["reason"].isprintable()


def test_a_run_goes_on_behind_such_names(here, capsys):
    """Also when it is taken up again; to a CSV the two runs give the same bytes."""
    (here / "scenarios.csv").write_text(f"law,train_flops\n/dev/zero,1e22\n{'n' * 256},1e22\nmine.json,1e22\n")
    assert main(["sweep", "scenarios.csv", "--out", "plans.csv"]) == 0
    said = capsys.readouterr().out
    assert "bad input  2  for example line 2: cannot read /dev/zero: it is not a regular file" in said
    assert main(["sweep", "scenarios.csv", "--out", "plans.csv", "--resume"]) == 0


def test_a_pipe_is_not_waited_for(here):
    os.mkfifo("pipe.json")
    answers = []
    thread = threading.Thread(target=lambda: answers.extend(plan(pa.array(["pipe.json"]), "law")), daemon=True)
    thread.start()
    thread.join(60)
    assert [row["status"] for row in answers] == ["bad_input"]


def test_strangers_tables_name_no_files(here, monkeypatch):
    (here / "scenarios.csv").write_text(f"law,train_flops\nmine.json,1e22\n./mine.json,1e22\n{NAME},1e22\n,1e22\n")
    assert main(["sweep", "scenarios.csv", "--out", "plans.parquet", "--no-files", "--law", "mine.json"]) == 0
    rows = pq.read_table("plans.parquet").to_pylist()
    assert [row["status"] for row in rows] == ["bad_input", "bad_input", "solved", "solved"]
    assert rows[0]["reason"] == "line 2: law must be a published name (no files are read), got 'mine.json'"
    column = pa.array(["mine.json", NAME])
    assert [row["status"] for row in plan(column, "law", files=False)] == ["bad_input", "solved"]
    assert [row["status"] for row in plan(column, "law", files=True)] == ["solved", "solved"]
    # A default is the caller's own.
    assert plan(pa.array([None, NAME]), "law", files=False, law="mine.json")[0]["status"] == "solved"
    # Nothing is even looked for.
    looked = []
    for call in ("stat", "lstat", "open"):
        real = getattr(os, call)
        monkeypatch.setattr(os, call, lambda path, *a, real=real, **k: looked.append(path) or real(path, *a, **k))
    os.stat("mine.json")
    assert looked == ["mine.json"]
    plan(pa.array(["/etc/hostname", "secret"]), "law", files=False)
    assert not {"/etc/hostname", "secret"} & set(looked)


def test_a_published_name_is_never_a_files(here, capsys):
    other = {**LAW, "E": 1.0, "B": 500.0}
    for name in (NAME, "unknown"):
        (here / name).write_text(json.dumps(other))
    published, in_folder, unknown = plan(pa.array([NAME, f"./{NAME}", "unknown"]), "law")
    assert published["loss_nats"] > 1.8172 > in_folder["loss_nats"] > 1
    assert unknown["reason"] == (
        "no published law or task is called 'unknown': t2jax list shows them all; a file's name has its folder, "
        "as ./law, or .json"
    )
    (here / "scenarios.csv").write_text("train_flops\n1e22\n")
    assert main(f"sweep scenarios.csv --out plans.parquet --law {NAME}".split()) == 0
    said = f"t2jax: {NAME} is the published one, not the file of that name: the file is ./{NAME}\n"
    assert capsys.readouterr().err == said
    assert pq.read_table("plans.parquet")["loss_nats"].to_pylist() == [published["loss_nats"]]
    assert main(f"plan --train-flops 1e22 --law {NAME} --json".split()) == 0
    plan_said = json.loads(capsys.readouterr().out)
    assert plan_said["optimum"]["loss_nats"] == pytest.approx(published["loss_nats"])
    note = said.removeprefix("t2jax: ").strip()
    assert note in plan_said["notes"]
    assert main(f"frontier --train-flops 1e21:1e22:2 --law {NAME}".split()) == 0
    assert f"  note    {note}\n" in capsys.readouterr().out
    os.unlink(NAME)
    assert main(f"frontier --train-flops 1e21:1e22:2 --law {NAME}".split()) == 0
    assert "note" not in capsys.readouterr().out


# --- The files of one output ------------------------------------------------------------------------------------------


def test_a_law_file_of_a_cell_is_part_of_what_is_resumed(here, capsys):
    (here / "scenarios.csv").write_text("law,train_flops\n" + "mine.json,1e22\nabsent.json,1e22\n" * 2)
    assert main(["sweep", "scenarios.csv", "--out", "plans.parquet", "--batch-size", "2"]) == 0
    again = ["sweep", "scenarios.csv", "--out", "plans.parquet", "--batch-size", "2", "--resume"]
    assert main(again) == 0
    capsys.readouterr()
    (here / "mine.json").write_text(json.dumps({**LAW, "E": 1.5}))
    assert main(again) == 2
    assert "plans.parquet was begun otherwise: file mine.json was " in capsys.readouterr().err
    (here / "mine.json").write_text(json.dumps(LAW))
    (here / "absent.json").write_text(json.dumps(LAW))
    assert main(again) == 2
    assert 'file absent.json was "cannot read absent.json: No such' in capsys.readouterr().err


@pytest.mark.parametrize("where", ["cell", "option"])
def test_a_law_file_that_changes_ends_the_run(here, capsys, monkeypatch, where):
    from t2jax._io.output import Output

    cells = "mine.json,1e22\n" if where == "cell" else ",1e22\n"
    (here / "scenarios.csv").write_text("law,train_flops\n" + cells * 4)
    line = ["sweep", "scenarios.csv", "--out", "plans.parquet", "--batch-size", "2"]
    line += ["--law", "mine.json"] if where == "option" else []
    write = Output.write

    def change(self, part, table):
        write(self, part, table)
        (here / "mine.json").write_text(json.dumps({**LAW, "E": 1.5}))

    with monkeypatch.context() as patch:
        patch.setattr(Output, "write", change)
        assert main(line) == 2
    assert "mine.json is not what it was when this run began" in capsys.readouterr().err
    assert main([*line, "--resume"]) == 2
    (here / "mine.json").write_text(json.dumps(LAW))
    assert main([*line, "--resume"]) == 0
    assert len(set(pq.read_table("plans.parquet")["loss_nats"].to_pylist())) == 1


def test_the_libraries_are_part_of_what_is_resumed(here, capsys, monkeypatch):
    import importlib.metadata

    (here / "scenarios.csv").write_text("train_flops\n1e22\n")
    line = f"sweep scenarios.csv --out plans.parquet --law {NAME}".split()
    assert main(line) == 0
    version = importlib.metadata.version
    for name in ("pyarrow", "jaxlib", "jax", "numpy", "t2jax"):
        with monkeypatch.context() as patch:
            patch.setattr(importlib.metadata, "version", lambda one, name=name: "0" if one == name else version(one))
            assert main([*line, "--resume"]) == 2
        assert f"plans.parquet was begun otherwise: {name} was " in capsys.readouterr().err
    assert main([*line, "--resume"]) == 0


def test_the_year_10000_is_shown_as_its_type():
    _, _, unread = numbers_of(pa.array([2**49], pa.timestamp("s")))
    assert unread == [(0, "a timestamp[s]")]
    _, _, unread = numbers_of(pa.array([datetime.datetime(2020, 1, 1)]))
    assert unread == [(0, "2020-01-01 00:00:00")]
