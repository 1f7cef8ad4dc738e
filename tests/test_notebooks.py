"""Every notebook runs in a kernel of its own, says nothing on stderr, and is committed as one run left it.

What its prose claims is asserted in its cells.
"""

import base64
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
FASTER = "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling"
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in code(notebook) for output in cell.outputs]


def takes_data(notebook: Any) -> bool:
    return any("dataset(" in cell.source for cell in code(notebook))


def shows(cell: Any) -> bool:
    """Does a cell print, draw, or end in something to be displayed?"""
    last = cell.source.rstrip().splitlines()[-1]
    return bool(re.search(r"print\(|plt\.|plot\.", cell.source)) or re.fullmatch(r"[\w.\[\]]+", last) is not None


def test_there_are_notebooks() -> None:
    assert PATHS


def test_the_readme_says_how_to_compile_faster() -> None:
    assert FASTER in (FOLDER.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@each
def test_it_runs_from_a_clean_kernel(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    notebook = read(path)
    # As a user starts it: without the tests' devices and settings, in a folder that is not the repository. All but the
    # first as the README says how to compile faster.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_", "T2JAX_"))}
    env |= {"T2JAX_FAST": "1", "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")}
    if path != PATHS[0]:
        env["XLA_FLAGS"] = FASTER
    if takes_data(notebook):
        env["T2JAX_DATA"] = str(request.getfixturevalue("shared") / "data")  # skips without it
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, kernel_name="python3", timeout=600, resources=where).execute(env=env)
    said = "".join(o.text for o in outputs(notebook) if o.output_type == "stream" and o.name == "stderr")
    assert not said
    assert sum(cell.execution_count is not None for cell in code(notebook)) == len(code(notebook))
    assert not list(tmp_path.iterdir())  # it leaves nothing behind


@each
def test_it_is_as_a_whole_run_left_it(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    for cell in code(notebook):
        assert bool(cell.outputs) == shows(cell), cell.id
        assert not {"execution", "collapsed"} & set(cell.metadata), cell.id  # times, and states of an editor
    for output in outputs(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata.language_info) == {"name"}


@each
def test_its_cells_keep_their_names(path: Path) -> None:
    """Counted, not random: running a notebook again changes what has changed."""
    names = [cell.id for cell in read(path).cells]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"c\d\d", name) for name in names), names


@each
def test_it_shows_no_path_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    shown = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.findall(r"/(?:home|root|tmp|work|Users|var)/[\w.-]*|[A-Z]:\\\\Users|site-packages", shown)


@each
def test_its_figures_are_small(path: Path) -> None:
    for output in outputs(read(path)):
        png = base64.b64decode(output.get("data", {}).get("image/png", ""))
        assert len(png) <= 120_000


@each
def test_what_it_links_to_is_there(path: Path) -> None:
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", cell.source):
                assert (path.parent / target).exists(), target
