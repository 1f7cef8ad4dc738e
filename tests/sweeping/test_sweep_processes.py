"""Two real processes over jax.distributed: the folder of one process, byte for byte, also after one has died."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

import t2jax as t2

pytest.importorskip("pyarrow")

GRID = t2.grid(budget=np.geomspace(1e20, 1e26, 50), queries=[1e6, 1e9])


def loss(s):
    return {"loss": 1.8 + 480 * (s["budget"] / 120) ** -0.17, "ratio": s["queries"] ** 0.5}


CODE = """
import os, sys
folder, port, index = sys.argv[1], sys.argv[2], int(sys.argv[3])
import jax
jax.config.update("jax_enable_x64", True)
jax.distributed.initialize(f"127.0.0.1:{port}", 2, index, initialization_timeout=60)
import t2jax as t2
from t2jax._io.output import Output
import test_sweep_processes as here

def attempt(name, **options):
    try:
        print(t2.sweep(here.loss, here.GRID, **{"batch_size": 9, "out": f"{folder}/{name}", **options}), flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)

attempt("whole")
attempt("whole")
attempt("whole", batch_size=8, resume=True)
attempt("whole", out=None)
write = Output.write
def deadly(self, part, table):
    write(self, part, table)
    if index == 1 and part == 5:
        os.kill(os.getpid(), 9)
Output.write = deadly
attempt("orphaned")
os._exit(0)  # leaving in order would wait for the dead
"""


def content(folder):
    return {one.name: one.read_bytes() for one in folder.iterdir()}


def test_two_processes_leave_what_one_does_also_when_one_dies(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, str(tmp_path), port, str(i)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    try:
        (first, first_errors), (second, second_errors) = (one.communicate(timeout=120) for one in pair)
    finally:
        for one in pair:
            one.kill()
    assert (pair[0].returncode, pair[1].returncode) == (0, -9), first_errors + second_errors
    # Gloo's threads write whenever they like, also into the middle of each other's lines.
    first, second = (
        [line for line in said.splitlines() if "[Gloo]" not in line and "peer ranks" not in line]
        for said in (first, second)
    )

    assert f"process 0 has failed: {tmp_path}/whole exists" in first_errors
    # Batches 0 … 11 of 9 rows, the last of 1: the odd ones are the second process's.
    assert first[0].startswith(
        f"{tmp_path}/whole: 100 rows, of which 46 were there or come from other processes; 54 com"
    )
    assert second[0].startswith(
        f"{tmp_path}/whole: 100 rows, of which 54 were there or come from other processes; 46 com"
    )
    assert first[1].startswith(f"FileExistsError {tmp_path}/whole exists: continue it with resume=True")
    assert first[2].startswith(f"ValueError {tmp_path}/whole was begun otherwise: batch_size was 9, is 8.")
    assert second[1] == second[2]
    assert second[1].startswith("RuntimeError process 0 has failed, and says why.")
    assert (
        first[3]
        == second[3]
        == "ValueError with several processes results go to disk: give out= a path that all of them see"
    )
    assert first[4].startswith(
        "RuntimeError another process has ended before its work was done. What is done is on disk"
    )
    assert len(second) == 4

    alone = t2.sweep(loss, GRID, batch_size=9, out=tmp_path / "alone")
    assert alone.computed == 100
    assert content(tmp_path / "whole") == content(tmp_path / "alone")
    assert not (tmp_path / "orphaned").exists()
    done = t2.sweep(loss, GRID, batch_size=9, out=tmp_path / "orphaned", resume=True)
    assert done.computed == 100 - 54 - 3 * 9
    assert content(tmp_path / "orphaned") == content(tmp_path / "alone")
