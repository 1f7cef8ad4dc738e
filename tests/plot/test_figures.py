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


def test_the_first_one_is_made_anew(tmp_path, monkeypatch):
    script = runpy.run_path(str(ROOT / "notebooks" / "figures.py"))
    monkeypatch.setitem(script["keep"].__globals__, "HERE", tmp_path)
    script["plane"]()
    made, kept = (plt.imread(folder / "plane.png") for folder in (tmp_path, SHOWN[0].parent))
    assert made.shape == kept.shape
    # Fonts differ between machines: the same map, if not the same letters.
    assert abs(made - kept).mean() < 0.02


@pytest.mark.slow
def test_all_of_them_are_made_anew(tmp_path, monkeypatch, shared):
    monkeypatch.setenv("T2JAX_DATA", str(shared / "data"))
    script = runpy.run_path(str(ROOT / "notebooks" / "figures.py"))
    monkeypatch.setitem(script["keep"].__globals__, "HERE", tmp_path)
    for name in ("chinchilla", "pass_at_k", "demand"):
        script[name]()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in SHOWN} - {"plane.png"}
