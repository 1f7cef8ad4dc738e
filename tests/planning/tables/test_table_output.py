"""A table's output on disk: nothing is written over or left behind, and whatever ends a run, --resume finishes it."""

import errno
import os
import resource
import secrets
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from quick_tables import ROWS, content, line, quick, run, set_up

from t2jax.cli import main
from t2jax.planning.tables import _tables as tables
from t2jax.planning.tables._files import write_table
from t2jax.planning.tables._header import RESULTS


@pytest.fixture
def here(tmp_path, monkeypatch):
    return set_up(tmp_path, monkeypatch)


# --- What is finished -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("out", ["plans.csv", "plans.tsv", "plans.parquet"])
def test_what_is_finished_is_taken_up_with_success(here, capsys, out):
    assert main(line(out)) == 0
    summary, whole = capsys.readouterr().out.splitlines()[1:], content(here / out)
    for _ in range(2):
        assert main(line(out, "--resume")) == 0
        assert capsys.readouterr().out.splitlines()[1:] == summary
    assert content(here / out) == whole
    assert sorted(os.listdir()) == ["in.csv", out]
    assert main(line(out)) == 2
    assert f"{out} exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "one more\n",
        lambda text: text[:-1],
        lambda text: text.replace("row 5", "row 6"),
        lambda text: text.replace("\n", "\n\n", 1),
        lambda text: "",
        lambda text: "thesis",
    ],
)
def test_a_csv_that_is_something_else_is_refused_and_kept(here, capsys, change):
    run("plans.csv")
    other = change((here / "plans.csv").read_text())
    (here / "plans.csv").write_text(other)
    assert main(line("plans.csv", "--resume")) == 2
    assert "plans.csv exists and is not what this run gives: choose another name" in capsys.readouterr().err
    assert (here / "plans.csv").read_text() == other
    (here / "plans.csv").unlink()
    os.mkdir("plans.csv")
    assert main(line("plans.csv", "--resume")) == 2


def test_a_part_with_two_files_keeps_the_sound_one(here):
    run("plans.parquet", resume=False)
    whole = content(here / "plans.parquet")
    (here / "plans.parquet" / "part-00000001-00000000.parquet").write_bytes(b"torn")
    run("plans.parquet")
    assert content(here / "plans.parquet") == whole


# --- What is in the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("out", ["plans.csv", "plans.parquet"])
@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_an_output_that_appears_meanwhile_is_not_written_over(here, capsys, monkeypatch, out, kind):
    def appear(batch, *args, **options):
        if not os.path.lexists(out):
            if kind == "file":
                (here / out).write_text("mine")
            elif kind == "link":
                os.symlink("nowhere", out)
            else:
                os.makedirs(f"{out}/mine")
        return quick(batch, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(tables, "answered", appear)
        assert main(line(out)) == 2
    said = capsys.readouterr().err
    assert f"{out} has been made by another meanwhile" in said
    assert "ove it away" in said
    assert "--resume" in said
    assert kind != "file" or (here / out).read_text() == "mine"
    assert not os.path.exists("nowhere")
    os.rename(out, "elsewhere")
    assert main(line(out, "--resume")) == 0
    run("whole." + out.split(".")[1], resume=False)
    if out.endswith("csv"):
        assert content(here / out) == content(here / "whole.csv")
    assert sorted(os.listdir()) == sorted(["elsewhere", "in.csv", out, "whole." + out.split(".")[1]])


def test_without_hard_links_nothing_is_written_over_either(here, monkeypatch):
    def no_links(*args):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    run("plans.csv")
    assert len((here / "plans.csv").read_text().splitlines()) == ROWS + 1
    (here / "mine.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"mine.csv has been made by another meanwhile: move it away"):
        write_table([pa.table({"x": [1]})], here / "mine.csv")
    assert (here / "mine.csv").read_text() == "mine"
    assert sorted(os.listdir()) == ["in.csv", "mine.csv", "plans.csv"]


def test_a_planted_link_is_not_followed(here, monkeypatch):
    """Not even where the name of what is aside was foreseen."""
    (here / "precious").write_text("precious")
    monkeypatch.setattr(secrets, "token_hex", lambda size: "foreseen")
    os.symlink("precious", "plans.csv.foreseen.aside")
    with pytest.raises(FileExistsError, match=r"cannot write plans.csv: File exists"):
        write_table([pa.table({"x": [1]})], tables.Path("plans.csv"))
    assert not (here / "plans.csv").exists()
    run("plans.parquet", resume=False)  # its own folder has no such link
    os.rename("plans.parquet", "plans.parquet.partial")
    part = next(name for name in os.listdir("plans.parquet.partial") if name.startswith("part-00000001"))
    os.unlink(f"plans.parquet.partial/{part}")
    os.symlink("../precious", f"plans.parquet.partial/{part}.foreseen.aside")
    with pytest.raises(FileExistsError):
        run("plans.parquet")
    assert (here / "precious").read_text() == "precious"


def test_a_link_in_place_of_the_folder_is_not_followed(here):
    os.mkdir("victim")
    os.symlink("victim", "plans.parquet.partial")
    with pytest.raises(FileExistsError, match=r"plans.parquet.partial exists and is not an output of t2jax"):
        run("plans.parquet")
    assert os.listdir("victim") == []


def test_what_killed_processes_left_is_removed(here):
    table = pa.table({"x": [1]})
    left = [f"f.csv.{'1f' * 8}.aside", "f.csv.4711.aside"]
    kept = ["g.csv.4711.aside", "f.csv.aside", "f.csv.mine.aside"]
    for name in left + kept:
        (here / name).write_text("")
    write_table([table], here / "f.csv")
    assert sorted(os.listdir()) == sorted(["f.csv", "in.csv", *kept])


def test_a_folder_of_parts_with_something_else_in_it_is_left(here):
    os.mkdir("plans.csv.parts")
    (here / "plans.csv.parts" / "thesis.tex").write_text("")
    with pytest.raises(FileExistsError, match="is not an output of t2jax"):
        run("plans.csv")
    run("other.csv")
    os.rename("other.csv", "plans.csv")
    run("plans.csv")
    assert os.listdir("plans.csv.parts") == ["thesis.tex"]


# --- What does not fit ------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_in_the_last_step_is_said_with_the_path_and_what_to_do(here, capsys):
    """The parts fit, the CSV of them does not: the kernel refuses to let it grow."""
    (here / "in.csv").write_text("name,train_flops\n" + f"{'x' * 9000},1\n" * 30)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        assert main(line("plans.csv")) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert capsys.readouterr().err == (
        "t2jax: no space to write plans.csv: all parts are in plans.csv.parts; make room, continue with --resume\n"
    )
    assert sorted(os.listdir()) == ["in.csv", "plans.csv.parts"]
    assert not [name for name in os.listdir("plans.csv.parts") if name.endswith("aside")]
    assert main(line("plans.csv", "--resume")) == 0
    assert sorted(os.listdir()) == ["in.csv", "plans.csv"]


# --- Many columns -----------------------------------------------------------------------------------------------------


def test_a_csv_takes_time_by_its_columns_not_by_their_square(here):
    def seconds(columns):
        table = pa.table({f"c{i}": ["a", ""] for i in range(columns)})
        taken = []
        for attempt in range(2):
            begun = time.process_time()
            write_table([table], here / f"{columns}.{attempt}.csv")
            taken.append(time.process_time() - begun)
        return min(taken)

    assert seconds(3000) < 25 * seconds(300)
    header, row, blank = (here / "300.0.csv").read_text().splitlines()
    assert header == ",".join(f"c{i}" for i in range(300))
    assert row == ",".join(['"a"'] * 300)
    assert blank == "," * 299


def test_a_frontier_says_where_there_is_no_space(here, capsys):
    words = ["frontier", "--law", "besiroglu2024", "--train-flops", "1e20:1e22:3", "--out"]
    assert main([*words, "nowhere/f.csv"]) == 2
    assert capsys.readouterr().err == "t2jax: cannot write nowhere/f.csv: there is no folder nowhere\n"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert main([*words, "f.csv"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert capsys.readouterr().err == "t2jax: no space to write f.csv: make room\n"
    assert os.listdir() == ["in.csv"]
    assert main([*words, "f.parquet"]) == 0
    assert set(RESULTS) < set(pq.read_table("f.parquet").column_names)
