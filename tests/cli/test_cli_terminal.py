"""What reaches the terminal, however it is made: closed, full, of another encoding; and how Ctrl-C ends a command."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest

import t2jax
from t2jax._io import validate
from t2jax.cli import _terminal as terminal, main

PLAN = "plan --law besiroglu2024 --train-flops 1e23"
LAW = {"kind": "Chinchilla", "E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
COST = "cost --params 7B --tokens 1T --hardware h100-sxm --usd-per-hour 2 --queries-per-month 1e6 --output-tokens 100"


def ended(line, *, code="import sys; from t2jax.cli import main; sys.exit(main())", env=None, **options):
    command = [sys.executable, "-c", code, *line.split()]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(command, check=False, env=os.environ | (env or {}), **options)


def in_shell(script, *arguments, **options):
    """Python with these arguments, as `"$@"` of a shell's script."""
    command = ["sh", "-c", script, "sh", sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, check=False, **options)


def run(capsys, words, status):
    assert main(words.split() if isinstance(words, str) else words) == status
    return capsys.readouterr()


# ── Where it is printed ──


def test_closed_output():
    done = in_shell('exec "$@" >&-', "-m", "t2jax.cli", "list")
    assert done.returncode == 2
    assert done.stderr == b"t2jax: standard output is closed: there is nowhere to print the answer\n"


@pytest.mark.parametrize("line", ["list", "list --json", "plan --help", "--version"])
def test_full_output(line):
    with open("/dev/full", "w") as full:
        done = ended(line, stdout=full)
    assert (done.returncode, done.stderr) == (2, b"t2jax: standard output: No space left on device\n")


def test_closed_error_output():
    """What is wrong is not printed among answers."""
    done = in_shell('exec "$@" 2>&-', "-m", "t2jax.cli", "plan")
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_reader_that_has_seen_enough():
    with subprocess.Popen(
        [sys.executable, "-m", "t2jax.cli", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (0, b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_characters(encoding):
    done = ended("list", env={"PYTHONIOENCODING": encoding})
    text = done.stdout.decode(encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    (line,) = (line for line in text.splitlines() if line.split()[:1] == ["besiroglu2024"])
    assert line.split() == ["besiroglu2024", "Chinchilla", "57.3M-16.2B", "819M-318B", "-"]


def in_ascii(monkeypatch):
    """Standard output becomes that of ASCII; what is printed to it, as bytes."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    return raw


def test_a_plan_in_ascii(monkeypatch):
    printed = in_ascii(monkeypatch)
    assert main(PLAN.split()) == 0
    text = printed.getvalue().decode("ascii")
    assert "?" not in text
    assert "over-training D/D*(N)     1.00x" in text
    assert "note: params 29.4B is above the fitted range 57.3M-16.2B of besiroglu2024" in text


def test_json_is_whole_in_ascii(monkeypatch, tmp_path):
    """Escapes, not other letters: what is read back is what was meant."""
    printed = in_ascii(monkeypatch)
    path = tmp_path / "größe.json"
    path.write_text(json.dumps(LAW))
    assert main([*PLAN.replace("besiroglu2024", str(path)).split(), "--json"]) == 0
    assert json.loads(printed.getvalue().decode("ascii"))["inputs"]["law"] == str(path)


def test_every_letter_has_a_plain_one(monkeypatch):
    printed = in_ascii(monkeypatch)
    with terminal.writable():
        terminal.say("α ≤ β², 7×8 → 1–2 … Gröger ╭─╮ \udcff 算")
    assert printed.getvalue() == b"alpha <= beta^2, 7x8 -> 1-2 ... Groger +-+ ? ?\n"
    assert sys.stdout.errors == "strict"  # as it was before


# ── What is printed ──


def test_control_characters_are_shown_not_sent():
    assert terminal.visible("a\x1b[31mb\x07\r\n\x9bc\u202e") == "a\\x1b[31mb\\x07\\r\n\\x9bc\\u202e"
    assert terminal.visible("naïve α–β\n  tab?") == "naïve α–β\n  tab?"


def test_strangers_text_is_plain(capsys, tmp_path, monkeypatch):
    """The file's name and citation, a header, a cell, a misspelt option: nothing reaches the terminal raw."""
    monkeypatch.chdir(tmp_path)
    evil = "\x1b]0;owned\x07\x9b31m"
    (tmp_path / "law.json").write_text(json.dumps({**LAW, "provenance": {"name": evil, "citation": f"by {evil}"}}))
    (tmp_path / f"{evil[:3]}.json").write_text(json.dumps({**LAW, "A": -1}))
    (tmp_path / "runs.csv").write_text(f"params,tokens,{evil}\n1,2,{evil}\n")
    (tmp_path / "cells.csv").write_text(f"params,tokens,loss\n1e9,2e10,{evil}\n")
    seen = ""
    for words, status in (
        (f"{PLAN.replace('besiroglu2024', 'law.json')}", 0),
        (f"{PLAN.replace('besiroglu2024', 'law.json')} --json", 0),
        (["plan", "--train-flops", "1e20", "--law", f"{evil[:3]}.json"], 2),
        (["plan", f"--{evil}", evil], 2),
        (["plan", "--train-flops", evil], 2),
        (["plan", "--train-flops", "1e20", "--task", evil], 2),
        ("fit runs.csv --model chinchilla", 2),
        ("fit cells.csv --model chinchilla", 2),
    ):
        printed = run(capsys, words, status)
        seen += printed.out + printed.err
    assert not set(seen) & {chr(i) for i in (*range(9), *range(11, 32), *range(127, 160))}
    assert "by \\x1b]0;owned\\x07\\x9b31m" in seen
    assert "\\u001b]0;owned\\u0007\\u009b31m" in seen


def test_messages_have_a_bound(capsys, tmp_path):
    path = tmp_path / "task.json"
    path.write_text(json.dumps({"kind": "T2Accuracy", "law": "besiroglu2024", "theta": [1.5] * 400_000}))
    said = run(capsys, f"plan --task {path} --train-flops 1e20", 2).err
    assert len(said) < 500
    assert said.startswith(f't2jax: {path}: "theta" must be a list of five numbers, got [1.5, 1.5')
    assert said.endswith("…\n")
    said = run(capsys, ["plan", "--law", "a" * 5_000], 2).err
    assert said == "t2jax: argument 3 has 5,000 characters: at most 4,096 are read\n"
    said = run(capsys, ["plan", *[f"word{i}" for i in range(3_000)]], 2).err
    assert len(said) < 5_000
    assert terminal.shortened("abc" * 10, 12) == "abcabcab … (19 characters left out) … abc"


# ── What cannot be had ──


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "fit runs.csv --model chinchilla --seed 9223372036854775808",
            "--seed must be at most 9,223,372,036,854,775,807",
        ),
        ("fit runs.csv --model chinchilla --bootstrap 1e9", "--bootstrap must be at most 1,000,000, got 1e+09"),
        ("fit runs.csv --model chinchilla --starts 1e12", "--starts must be at most 1,000,000, got 1e+12"),
        ("sweep runs.csv --out plans.csv --batch-size 1e19", "--batch-size must be at most 10,000,000, got 1e+19"),
        (f"{COST} --usd-per-hour 1e308", "the bill goes beyond the largest number there is, 1.8e308: give smaller"),
        (
            "plan --hardware h100-sxm --usd-per-hour 1e308 --queries 1 --output-tokens 1 --usd 5M",
            "what a FLOP costs goes beyond the numbers there are: check --usd-per-hour and --overhead",
        ),
        (f"plan --law {'a' * 300} --train-flops 1e20", f"no published law or task is called '{'a' * 39}…'"),
        (f"plan --law {'a' * 300}.json --train-flops 1e20", f"cannot read {'a' * 199}…: File name too long"),
        (f"{COST} --output-tokens 5e-324", "--output-tokens must be zero or of a size of at least 2.23e-308, got 4.9"),
        (f"{COST} --kv-heads 1e308 --head-dim 1e308", "the model does not fit: a replica needs inf GB"),
        (
            "plan --hardware h100-sxm --usd-per-hour 1 --queries 1 --output-tokens 1 --usd 5M --devices 1e308",
            "the memory of a replica goes beyond the numbers there are: give fewer --devices",
        ),
        (f"{COST} --serving-mbu 7", "--serving-mbu must be above 0 and at most 1, got 7"),
        (
            COST.replace("h100-sxm", "H100"),
            "no accelerator is called 'H100': did you mean 'h100-sxm' or 'h100-pcie' or 'h200-sxm'? "
            "t2jax list --hardware shows all 12\n",
        ),
    ],
)
def test_too_much(capsys, line, message):
    assert run(capsys, line, 2).err.startswith(f"t2jax: {message}")


def test_memory_is_known_before_it_is_taken():
    validate.memory("a little", 1e6)
    with pytest.raises(MemoryError, match=r"^7 resamples take 1,000,000 GB, and this machine has .*: ask for fewer$"):
        validate.memory("7 resamples", 1e15)


def test_a_working_folder_that_is_gone(tmp_path):
    gone, script = tmp_path / "gone", tmp_path / "t2jax"
    gone.mkdir()
    script.write_text("import sys\nfrom t2jax.cli import main\nsys.exit(main())\n")  # as pip installs it
    words = ["plan", "--law", "besiroglu2024", "--inference-flops", "5"]
    done = in_shell(f'rmdir "{gone}"; exec "$@"', script, *words, cwd=gone)
    reason = "no solution: unbounded: more training tokens are always better: add --train-flops or --max-tokens"
    assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", f"t2jax: {reason}\n")


def test_a_working_folder_that_may_not_be_searched(capsys, monkeypatch):
    """As root may search all, the system's refusal is made up."""
    stat = os.stat

    def refused(path, *arguments, **options):
        if isinstance(path, str | os.PathLike) and not os.path.isabs(path):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refused)
    assert run(capsys, PLAN, 0).out.startswith("The lowest loss (besiroglu2024)")


def test_whatever_is_raised_is_a_sentence(capsys, monkeypatch):
    from t2jax.cli import _listing as listing

    raised = ZeroDivisionError("float division by zero")

    def as_text():
        raise raised

    monkeypatch.setattr(listing, "as_text", as_text)
    said = run(capsys, "list", 2).err
    assert said.startswith("t2jax: a fault of t2jax, not of yours: ZeroDivisionError: float division by zero\n")
    raised = MemoryError()
    assert run(capsys, "list", 2).err == "t2jax: not enough memory for this: ask for less at once\n"
    raised = OSError(5, "Input/output error", "somewhere")
    assert run(capsys, "list", 2).err == "t2jax: somewhere: Input/output error\n"
    raised = KeyboardInterrupt()
    assert run(capsys, "list", 130).err == ""


# ── Ctrl-C ──

INTERRUPTED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

wanted = sys.argv.pop(1)
sys.meta_path.insert(0, Finder())
from t2jax.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["tyro", "t2jax.cli._options", "numpy", "numpy.linalg", "jax", "t2jax.cli._plan"])
def test_an_interrupt_while_modules_are_loaded(module):
    done = ended(f"{module} {PLAN}", code=INTERRUPTED)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_an_interrupt_that_the_caller_handles_stays_theirs():
    code = INTERRUPTED.replace("sys.meta", "signal.signal(signal.SIGINT, signal.SIG_IGN); sys.meta")
    done = ended("tyro list", code=code)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Tasks")


def test_in_process_nothing_is_left_behind(capsys):
    before = signal.getsignal(signal.SIGINT)
    run(capsys, "list", 0)
    assert signal.getsignal(signal.SIGINT) is before
    assert t2jax.published("besiroglu2024")
