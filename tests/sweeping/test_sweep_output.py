"""Results on disk: whole or not there, whatever ends a run, and byte for byte those of a run that nothing ended."""

import json
import os
import resource
import signal
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax._io.output import Output

pa = pytest.importorskip("pyarrow")

SETTINGS = {"inputs": "abc", "batch_size": 5, "prices": [1.5, None]}


def part(i):
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, 0, 1]), pa.array(["solved", "infeasible"]))
    return pa.table({"x": np.arange(5.0) + 5 * i, "status": words})


def run(path, parts=3, resume=True):
    """A run, as `sweep` does one. Returns the parts that it wrote."""
    output = Output.begin(path, settings=SETTINGS, resume=resume)
    wrote = [i for i in range(parts) if not output.done(i)]
    for i in wrote:
        output.write(i, part(i))
    output.finish(parts=parts, rows=5 * parts)
    return wrote


def content(folder):
    return {one.name: one.read_bytes() for one in folder.iterdir()}


@pytest.fixture
def whole(tmp_path):
    """What a run that nothing ends leaves."""
    path = tmp_path / "uninterrupted.parquet"
    assert run(path, resume=False) == [0, 1, 2]
    return content(path)


def test_what_a_run_leaves(whole, tmp_path):
    assert sorted(name[:14] for name in whole) == [
        "_manifest.json",
        "part-00000000-",
        "part-00000001-",
        "part-00000002-",
    ]
    manifest = json.loads(whole["_manifest.json"])
    assert manifest == {"format": "t2jax parts 1", "settings": SETTINGS, "parts": 3, "rows": 15}
    from pyarrow.parquet import read_table

    table = read_table(tmp_path / "uninterrupted.parquet")
    assert table["x"].to_pylist() == list(range(15))
    assert table["status"].to_pylist() == ["solved", "infeasible", "solved", "solved", "infeasible"] * 3


class Killed(BaseException):
    pass


def test_killed_at_any_moment_a_run_goes_on_to_the_same_bytes(whole, tmp_path, monkeypatch):
    """Everything that changes the disk is cut off from the nth change on, for every n."""
    moment = 0
    while True:
        path, left = tmp_path / f"killed{moment}.parquet", [moment]

        def mortal(name, left=left):
            change = getattr(os, name)

            def changed(*args, **kwargs):
                if not left[0]:
                    raise Killed
                left[0] -= 1
                return change(*args, **kwargs)

            return changed

        with monkeypatch.context() as patch:
            for name in ("mkdir", "fsync", "replace", "rename", "unlink", "remove"):
                patch.setattr(os, name, mortal(name))
            try:
                run(path)
                ended = True
            except Killed:
                ended = False
        if ended:
            break
        assert not path.exists() or content(path) == whole  # a part of it is never taken for all
        run(path)
        assert content(path) == whole
        assert not path.with_name(f"{path.name}.partial").exists()
        moment += 1
    # Each of five files is flushed, renamed, and its new name flushed; the folder is made, renamed, and flushed, too.
    assert moment == 3 * 5 + 3


def test_a_part_that_is_not_as_it_was_written_is_written_again(whole, tmp_path):
    path = tmp_path / "plans.parquet"
    run(path)
    names = sorted(whole)[1:]
    flaws = {
        "truncated": lambda b: b[:-9],
        "empty": lambda b: b"",
        "data": lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:],
        "footer": lambda b: b[:-20] + bytes([b[-20] ^ 64]) + b[-19:],
        "another part": lambda b: whole[names[2]],
    }
    for flaw in flaws.values():
        file = path / names[1]
        file.write_bytes(flaw(file.read_bytes()))
        (path / f"{names[0]}.17.aside").write_bytes(b"left by a killed process")
        assert run(path) == [1]
        assert content(path) == whole
    os.rename(path / names[1], path / "part-00000001-00000000.parquet")
    assert run(path) == [1]
    assert content(path) == whole


def test_what_is_there_is_never_written_over(whole, tmp_path):
    path = tmp_path / "uninterrupted.parquet"

    def refused(error, message, path=path, settings=SETTINGS, resume=False):
        with pytest.raises(error, match=message) as caught:
            Output.begin(path, settings=settings, resume=resume)
        return str(caught.value)

    refused(FileExistsError, "uninterrupted.parquet exists: continue it with resume=True, or choose another name")
    other = {**SETTINGS, "inputs": "x" * 100, "more": 1, "prices": [1.5, 2]}
    said = refused(ValueError, "was begun otherwise", settings=other, resume=True)
    assert 'inputs was "abc", is "xxx' in said
    assert "prices was [1.5, null], is [1.5, 2], more was absent, is 1." in said
    assert content(path) == whole

    Output.begin(tmp_path / "b", settings=SETTINGS)
    refused(FileExistsError, "b.partial is unfinished: continue it with resume=True", path=tmp_path / "b")
    (tmp_path / "file.csv").write_text("a\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "c.partial").mkdir()
    (tmp_path / "c.partial" / "thesis.tex").write_text("")
    for name in ("file.csv", "mine", "c"):
        refused(
            FileExistsError,
            "exists and is not an output of t2jax: choose another name",
            path=tmp_path / name,
            resume=True,
        )
    refused(FileExistsError, "exists and is not an output", path=".")
    refused(NotADirectoryError, "there is no folder .*file.csv", path=tmp_path / "file.csv" / "out")
    refused(FileNotFoundError, "there is no folder .*nowhere", path=tmp_path / "nowhere" / "out")
    with pytest.raises(FileNotFoundError, match="was not begun by process 0"):
        Output.join(tmp_path / "mine", settings=SETTINGS)


def test_a_part_that_is_missing_keeps_an_output_from_being_whole(tmp_path):
    path = tmp_path / "plans.parquet"
    output = Output.begin(path, settings=SETTINGS)
    output.write(1, part(1))
    with pytest.raises(RuntimeError, match="lacks 2 of 3 parts, the first is 0"):
        output.finish(parts=3, rows=15)
    output.write(0, part(0))
    with pytest.raises(RuntimeError, match="has more than 1 parts"):
        output.finish(parts=1, rows=5)
    assert not path.exists()


def test_a_full_disk_is_said_and_the_run_goes_on(whole, tmp_path):
    """The kernel refuses to let a file grow, as on a full disk."""
    path = tmp_path / "plans.parquet"
    output = Output.begin(path, settings=SETTINGS)
    output.write(0, part(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(
            OSError, match=r"no space to write .*: the parts there are whole; make room, continue with"
        ) as caught:
            output.write(1, part(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno is not None
    assert not [one for one in output.folder.iterdir() if one.name.endswith("aside")]  # room is made at once
    assert run(path) == [1, 2]
    assert content(path) == whole


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match=r"cannot write .*plans.parquet.partial: Permission denied"):
        Output.begin(tmp_path / "locked" / "plans.parquet", settings=SETTINGS)


def test_without_pyarrow_or_tqdm_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match=r'progress=True needs tqdm: pip install "t2jax\[io\]"'):
        t2.sweep(lambda s: s["a"], {"a": [1.0]}, out=tmp_path / "a.parquet", progress=True)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'Parquet needs pyarrow: pip install "t2jax\[io\]"'):
        t2.sweep(lambda s: s["a"], {"a": [1.0]}, out=tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


# --- A whole sweep, killed in a process of its own --------------------------------------------------------------------

GRID = t2.grid(budget=np.geomspace(1e20, 1e26, 50), queries=[1e6, 1e9])


def loss(s):
    return {"loss": 1.8 + 480 * (s["budget"] / 120) ** -0.17, "ratio": jnp.log(s["queries"])}


def test_a_sweep_killed_while_it_writes_goes_on_in_another_process(tmp_path):
    code = f"""
import os, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import jax
jax.config.update("jax_enable_x64", True)
import t2jax as t2
import test_sweep_output as here
written = []
replace = os.replace
def deadly(aside, name):
    written.append(name)
    os.kill(os.getpid(), 9) if len(written) == 5 else replace(aside, name)
os.replace = deadly
t2.sweep(here.loss, here.GRID, batch_size=10, out={str(tmp_path / "killed")!r})
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    left = tmp_path / "killed.partial"
    assert len([one for one in left.iterdir() if one.suffix == ".parquet"]) == 3
    assert len([one for one in left.iterdir() if one.suffix == ".aside"]) == 1
    done = t2.sweep(loss, GRID, batch_size=10, out=tmp_path / "killed", resume=True)
    assert (done.rows, done.computed) == (100, 70)
    t2.sweep(loss, GRID, batch_size=10, out=tmp_path / "whole")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
