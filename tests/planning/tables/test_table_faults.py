"""Whatever ends the run of a table, at any change of the disk, --resume finishes it to the same bytes."""

import errno
import io
import os
import random
import shlex

import pytest
from quick_tables import ROWS, content, line, run, set_up

from t2jax.cli import main
from t2jax.planning.tables import _tables as tables

SCALE = int(os.environ.get("T2JAX_TEST_SCALE", "1"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    return set_up(tmp_path, monkeypatch)


class Killed(BaseException):
    """What follows is never done, cleaning up included."""


class Faults:
    """Every change of the disk, counted; from a moment on they fail."""

    CHANGES = ("mkdir", "fsync", "replace", "rename", "link", "unlink", "remove", "rmdir")

    def __init__(self, kind, moment):
        self.kind, self.moment, self.count, self.raised = kind, moment, 0, False

    def __enter__(self):
        self._patch = pytest.MonkeyPatch()
        for name in self.CHANGES:
            self._patch.setattr(os, name, self._mortal(name, getattr(os, name)))
        opened, faults = io.open, self

        def mortal_open(file, mode="r", *args, **kwargs):
            if "x" not in mode and "w" not in mode:
                return opened(file, mode, *args, **kwargs)
            faults.meet("open")
            return Mortal(opened(file, mode, *args, **kwargs), faults)

        self._patch.setattr(io, "open", mortal_open)
        return self

    def __exit__(self, *error):
        self._patch.undo()

    def _mortal(self, name, change):
        def changed(*args, **kwargs):
            self.meet(name)
            return change(*args, **kwargs)

        return changed

    def meet(self, name):
        moment, self.count = self.count, self.count + 1
        fails = {
            "interrupt": moment == self.moment,
            "killed": moment >= self.moment,
            "full": moment >= self.moment and name not in ("unlink", "remove", "rmdir"),
        }
        if fails[self.kind]:
            self.raised = True
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise {"interrupt": KeyboardInterrupt(), "killed": Killed(), "full": full}[self.kind]

    @property
    def met(self):
        return self.count > self.moment


class Mortal:
    """A file that may break off halfway."""

    def __init__(self, file, faults):
        self._file, self._faults = file, faults

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        try:
            self._faults.meet("write")
        except BaseException:
            self._file.write(bytes(data)[: len(data) // 2])
            raise
        return self._file.write(data)


@pytest.mark.parametrize("out", ["plans.csv", "plans.parquet"])
@pytest.mark.parametrize("kind", ["interrupt", "killed", "full"])
def test_whatever_ends_a_run_at_any_change_of_the_disk_it_goes_on_to_the_same_bytes(here, out, kind):
    run(out, resume=False)
    whole = content(here / out)
    os.rename(out, f"whole.{out}")
    moment = 0
    while True:
        said = None
        try:
            with Faults(kind, moment) as faults:
                run(out, resume=bool(moment % 2))
        except (KeyboardInterrupt, Killed):
            pass
        except OSError as error:
            said = str(error)
        if kind == "full" and faults.raised:
            assert said.startswith("no space to write plans.")
            assert said.endswith("make room, continue with resume=True")
            left = [name for folder in os.listdir() if os.path.isdir(folder) for name in os.listdir(folder)]
            assert not [name for name in left if name.endswith("aside")]
        else:
            assert said is None
        if not faults.met:
            break
        assert not (here / out).exists() or content(here / out) == whole
        for _ in range(1 if moment % 5 else 2):
            assert run(out).rows == ROWS
            assert content(here / out) == whole
            assert sorted(os.listdir()) == ["in.csv", out, f"whole.{out}"]
        if out.endswith("csv"):
            os.unlink(out)
        else:
            tables.discard(here / out)
        moment += 1
    assert moment > 20


def test_ctrl_c_at_any_moment_prints_a_line_that_goes_on(here, capsys):
    """As it is typed, until the line that was printed has nothing left to do."""
    run("whole.csv", resume=False)
    for moment in range(100):
        with Faults("interrupt", moment) as faults:
            status = main(line("plans.csv"))
        if not faults.met:
            break
        said = capsys.readouterr().err
        assert status == 130
        *_, again = said.splitlines()
        assert main(shlex.split(again)[1:]) == 0
        assert content(here / "plans.csv") == content(here / "whole.csv")
        assert sorted(os.listdir()) == ["in.csv", "plans.csv", "whole.csv"]
        os.unlink("plans.csv")
    assert 20 < moment < 99


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_faults_one_after_the_other_leave_the_same_bytes(here, seed):
    """Runs that are ended again and again, at random moments and in random ways, of random tables."""
    rng = random.Random(seed)
    for attempt in range(20 * SCALE):
        rows = rng.randrange(1, 30)
        (here / "in.csv").write_text("a,b\n" + "".join(f"{rng.random()},{i}\n" for i in range(rows)))
        out, size = rng.choice(["plans.csv", "plans.tsv", "plans.parquet"]), rng.randrange(1, 12)
        run(f"whole{attempt}.{out}", resume=False, batch_size=size)
        for _ in range(20):
            try:
                with Faults(rng.choice(["interrupt", "killed", "full"]), rng.randrange(40)):
                    run(out, batch_size=size)
            except (KeyboardInterrupt, Killed, OSError):
                continue
            break
        assert run(out, batch_size=size).rows == rows
        assert content(here / out) == content(here / f"whole{attempt}.{out}")
        assert sorted(os.listdir()) == sorted(["in.csv", out, f"whole{attempt}.{out}"])
        for name in (out, f"whole{attempt}.{out}"):
            os.unlink(name) if os.path.isfile(name) else tables.discard(here / name)
