"""`--plot`: pictures of plans and frontiers from the command line, and what is refused before anything is solved."""

import json

import pytest

from t2jax.cli import main


def run(capsys, line, status=0):
    assert main(line.split()) == status
    return capsys.readouterr()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_plan_is_drawn_beside_its_text(here, capsys):
    said = run(capsys, "plan --law besiroglu2024 --train-flops 1e23 --plot plan.png").out
    assert said.endswith("The picture is in plan.png\n")
    assert (here / "plan.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in here.iterdir()] == ["plan.png"]


def test_a_frontier_is_drawn_with_json_too(here, capsys):
    said = run(capsys, "frontier --law besiroglu2024 --train-flops 1e20:1e23:4 --json --plot frontier.svg").out
    assert json.loads(said)["plot"] == "frontier.svg"
    drawn = (here / "frontier.svg").read_text()
    assert drawn.lstrip().startswith("<?xml")


@pytest.mark.parametrize(
    ("command", "of"), [("plan --train-flops 1e23", "plan"), ("frontier --train-flops 1e20:1e23:4", "frontier")]
)
@pytest.mark.parametrize(
    ("plot", "message"),
    [
        ("a.jpg", "--plot must end in .png, .pdf or .svg, got a.jpg"),
        ("picture", "--plot must end in .png, .pdf or .svg, got picture"),
        ("no/a.png", "--plot no/a.png: there is no folder no"),
        ("there.png", "there.png exists: choose another name, or remove it"),
    ],
)
def test_what_cannot_be_written_is_said_first(here, capsys, command, of, plot, message):
    (here / "there.png").write_text("mine")
    printed = run(capsys, f"{command} --law besiroglu2024 --plot {plot}", 2)
    assert (printed.out, printed.err) == ("", f"t2jax: {message}\n")
    assert (here / "there.png").read_text() == "mine"


def test_a_missing_matplotlib_is_said(here, capsys, monkeypatch):
    monkeypatch.setattr("t2jax.cli._plot_options.find_spec", lambda name: None)
    printed = run(capsys, "plan --law besiroglu2024 --train-flops 1e23 --plot a.png", 2)
    assert printed.err == 't2jax: --plot needs matplotlib: pip install "t2jax[plot]"\n'


def test_without_a_solution_there_is_no_picture(here, capsys):
    run(capsys, "plan --law besiroglu2024 --train-flops 1e-3 --plot a.png", 1)
    assert not list(here.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "--train-flops 2.56e19 --inference-flops 2e9",
        "--target 0.6 --queries 1e9 --output-tokens 500 --max-params 8B",
        "--hardware h100-sxm --usd-per-hour 2.5 --usd 5M --queries 1e9 --output-tokens 500",
    ],
)
def test_plans_of_every_kind_have_a_picture_whose_words_can_be_read(here, capsys, line, seen, monkeypatch):
    from t2jax.planning import _picture as picture

    drawn = []
    monkeypatch.setattr(picture, "saved", lambda figure, path: drawn.append(figure))
    run(capsys, f"plan {line} --plot plan.pdf")
    (figure,) = drawn
    plane, bill, _ = figure.axes
    seen(plane)
    assert bill.has_data()
    names = {text.get_text().split("\n")[0] for text in plane.texts if text.get_visible()}
    assert "optimum" in names
    assert any(name.startswith("Chinchilla-optimal") for name in names)
