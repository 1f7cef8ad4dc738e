"""The README's figures are there, small, and made by the script that says so."""

import re
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = [ROOT / path for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)]


def test_every_figure_of_the_readme_is_there_and_small():
    assert len(SHOWN) == 5
    assert {path.parent for path in SHOWN} == {ROOT / "notebooks" / "figures"}
    for path in SHOWN:
        assert path.stat().st_size <= 80_000
        height, width, _ = plt.imread(path).shape
        assert width > height > 400
    assert set((ROOT / "notebooks" / "figures").iterdir()) == set(SHOWN)


def test_the_first_one_shows_the_plan_that_the_readme_prints(monkeypatch, seen):
    script = runpy.run_path(str(ROOT / "notebooks" / "figures.py"))
    drawn = []
    monkeypatch.setitem(script["plane"].__globals__, "keep", lambda ax, name: drawn.append(ax))
    script["plane"]()
    (ax,) = drawn
    seen(ax)
    printed = re.search(r"params +([\d.]+)B\n +tokens +([\d.]+)T\n +samples +([\d.]+)\n", README)
    n, d, k = map(float, printed.groups())
    shown = next(text.get_text() for text in ax.texts if text.get_text().startswith("optimum"))
    assert shown == f"optimum\nN {n:.2f}B, D {d:.2f}T, k {k:.0f}"


@pytest.mark.slow
def test_the_others_are_written_small(tmp_path, monkeypatch, shared):
    monkeypatch.setenv("T2JAX_DATA", str(shared / "data"))
    script = runpy.run_path(str(ROOT / "notebooks" / "figures.py"))
    monkeypatch.setitem(script["keep"].__globals__, "HERE", tmp_path)
    for name in ("chinchilla", "pass_at_k", "demand"):
        script[name]()
    written = sorted(tmp_path.iterdir())
    assert {path.name for path in written} == {path.name for path in SHOWN} - {"plane.png"}
    assert all(path.stat().st_size <= 80_000 for path in written)
