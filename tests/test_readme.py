"""The README's Python blocks run in order, as printed, and print what it says they print."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.mark.slow
def test_blocks_print_what_the_readme_says() -> None:
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.S | re.M)
    assert [kind for kind, _ in blocks] == ["python", "text"] * (len(blocks) // 2)
    script = "\nprint('-----')\n".join(text for kind, text in blocks if kind == "python")
    wanted = "-----\n".join(text for kind, text in blocks if kind == "text")
    # A process of its own: a reader has JAX's defaults, not the settings of the tests.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stderr
    assert done.stdout == wanted


def test_the_plan_command_is_one_the_command_line_accepts() -> None:
    from t2jax.cli import main

    (command,) = re.findall(r"bin/t2jax (plan .*)$", README.read_text(encoding="utf-8"), re.M)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(command.split()) == 0
    assert "pass@k" in printed.getvalue()
