"""What is shown: straight columns of text, HTML with the same cells, and equations that are the laws they belong to."""

import math
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pages import Page, same
from scipy.special import beta

import t2jax as t2
from t2jax._io.display import Grid, as_html, as_text
from t2jax.quantities._provenance import Provenance

SOURCE = Provenance("ours", "Us & them 2024", params=(1e6, 1e9), tokens=None, samples=(1.0, 64.0), note="<by hand>")
CHINCHILLA = t2.Chinchilla(1.25, 400.5, 2085.0, 0.34, 0.28, provenance=SOURCE)
LAWS = {
    "Chinchilla": CHINCHILLA,
    "Kaplan": t2.Kaplan(6.4e13, 1.8e13, 0.076, 0.103),
    "Overtraining": t2.Overtraining(1.508, 141.3, 189.5, 0.1212),
    "DataConstrained": t2.DataConstrained(CHINCHILLA, 2.5e10, 15.39, 5.31),
    "T2Loss": t2.T2Loss(CHINCHILLA, 0.75, 0.3),
    "T2Accuracy": t2.T2Accuracy(CHINCHILLA, (-0.25, 1.5, 0.9, -1.5, -0.125)),
}


# ── The builder ──


def test_text_has_straight_columns():
    grid = Grid([["", "value", "unit"], ["a", "1.5", "nats"], ["longer", "12,345", "s"]], header=True, left=(0, 2))
    assert as_text(["head", grid, "  tail"]).split("\n") == [
        "head",
        "           value  unit",
        "  a          1.5  nats",
        "  longer  12,345  s",
        "  tail",
    ]


def test_html_has_the_same_cells_escaped_and_aligned():
    html = as_html(["1 < 2^0.5 & so", Grid([["x", "y"], ["<b>", "N^(a/b)"], ["short"]], header=True)])
    assert "<p>1 &lt; 2<sup>0.5</sup> &amp; so</p>" in html
    assert '<td style="text-align: right">N<sup>a/b</sup></td>' in html
    assert '<th scope="row" style="text-align: left">&lt;b&gt;</th>' in html
    page = Page(html)
    assert page.tables == [[["x", "y"], ["<b>", "Na/b"], ["short", ""]]]


# ── Laws ──


def evaluated(expression: str, **symbols):
    """A printed expression as a number: an oracle that knows what is printed, not the law."""
    python = re.sub(r", [a-zFL]{2}.*$|; .*$|,(?=\d{3})", "", expression)
    for old, new in {"^": "**", "·": "*", "−": "-", "[": "(", "]": ")", "′": "_eff"}.items():
        python = python.replace(old, new)
    return eval(python, {"exp": math.exp, "min": min, "B": beta, **symbols})


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("N", "D", "k"), [(1e6, 1e10, 1.0), (5e6, 1e10, 4.0), (2e7, 2e11, 64.0)])
def test_the_printed_equation_is_the_law(name, N, D, k):
    """Coefficients of four digits, so that nothing is rounded; N and D on both sides of what is worth repeating."""
    law = LAWS[name]
    lines = str(law).splitlines()
    right = re.sub(" nats( per token)?$", "", lines[0].split(" = ")[1])
    where = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in lines[1:])
    symbols = {"N": N, "D": D, "k": k}
    if name == "DataConstrained":  # at the optimum of 6ND = C, α·A/N^α = β·B/D^β
        symbols["N_opt"] = lambda U: (0.34 * 400.5 / (0.28 * 2085.0) * U**0.28) ** (1 / 0.34)
        symbols["U"] = evaluated(where["D′"].split("U = ")[1], **symbols)
        symbols["V"] = evaluated(where["N′"].split("V = ")[1], **symbols)
    for one in {"DataConstrained": ("D′", "N′"), "Overtraining": ("M", "C"), "T2Accuracy": "LμνabL"}.get(name, ()):
        symbols[one.replace("′", "_eff")] = evaluated(where[one], **symbols)
    assert evaluated(right, **symbols) == pytest.approx(float(law(t2.Allocation(N, D, k))), rel=1e-11)


def test_error_from_loss_prints_its_equation():
    law = t2.ErrorFromLoss(0.85, 2.079, 0.7561)
    first, *where = str(law).splitlines()
    assert first == "ErrorFromLoss: Err(L) = 0.85 − 2.079·exp(−0.7561·L)"
    assert where == ["  Err  mean top-1 error", "  L    loss, nats per token"]
    assert evaluated(first.split(" = ")[1], L=3.0) == pytest.approx(float(law(jnp.asarray(3.0))), rel=1e-12)


def test_a_law_says_where_it_is_from():
    assert str(CHINCHILLA).splitlines() == [
        "Chinchilla: L(N, D) = 1.25 + 400.5/N^0.34 + 2,085/D^0.28 nats per token",
        "  source     Us & them 2024 (ours)",
        "  fitted on  N 1M–1B, k 1–64; N counts total parameters",
        "  note       <by hand>",
    ]
    assert repr(CHINCHILLA).startswith("Chinchilla(")  # Equinox's, to debug


def test_a_law_of_ones_own_stands_by_its_name():
    own = t2.quantity(lambda a: 2.0 + a.params**-0.1, name="mine")
    assert str(t2.T2Loss(own, 0.75, 0.3)) == "T2Loss: L(N, D, k) = mine + 0.75/k^0.3 nats"
    assert "  L  mine, nats per token" in str(t2.T2Accuracy(own, (1.0, 1.0, 1.0, 0.0, 1.0))).splitlines()


@pytest.mark.parametrize(
    "law", [*LAWS.values(), t2.ErrorFromLoss(0.85, 2.1, 0.76)], ids=lambda law: law.__class__.__name__
)
def test_html_of_a_law_says_the_same(law):
    page = same(law)
    assert page.paragraphs[0].startswith(type(law).__name__)


def test_an_ensemble_shows_medians_and_ranges():
    x = np.linspace(0.0, 1.0, 101)
    x[7] = np.nan  # a member that failed
    laws = t2.T2Loss(CHINCHILLA, 1.0, 0.3)
    laws = eqx.tree_at(lambda t: (t.law.A, t.gamma), laws, (jnp.asarray(400.0 + 10 * x), jnp.asarray(0.3 + 0.1 * x)))
    lines = str(laws).splitlines()
    assert lines[0] == "T2Loss: L(N, D, k) = E + A/N^alpha + B/D^beta + G/k^gamma nats"
    assert lines[1].split("  ")[1] == "101 laws of shape (101,)"
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:9]}
    low, middle, high = np.nanquantile(x, [0.05, 0.5, 0.95])
    assert rows["A"] == [f"{400 + 10 * middle:.1f}", f"{400 + 10 * low:.1f}", "–", f"{400 + 10 * high:.1f}", "1"]
    assert rows["gamma"][0] == f"{0.3 + 0.1 * middle:.4g}"
    assert rows["E"] == ["1.250", "1.250", "–", "1.250", "0"]
    assert len({len(line) for line in lines[1:9]}) == 1  # the last column is straight
    same(laws)


def test_theta_of_an_ensemble_is_five_coefficients():
    laws = t2.T2Accuracy(CHINCHILLA, jnp.tile(jnp.asarray([-0.25, 1.5, 0.9, -1.5, 0.125]), (3, 1)))
    rows = dict(line.split()[:2] for line in str(laws).splitlines() if line.startswith("  theta"))
    assert rows == {
        "theta[0]": "-0.25",
        "theta[1]": "1.500",
        "theta[2]": "0.9",
        "theta[3]": "-1.500",
        "theta[4]": "0.125",
    }


@pytest.mark.parametrize("name", LAWS)
def test_traced_laws_print_in_symbols(name):
    printed = []
    jax.make_jaxpr(lambda law: printed.append((str(law), law._repr_html_())))(LAWS[name])
    ((text, html),) = printed
    assert "  coefficients: traced" in text.splitlines()
    assert "coefficients: traced" in Page(html).paragraphs


def test_what_has_a_laws_shape_but_is_none():
    """A gradient, axes to map over, a law that was taken apart: each has the class of the law."""
    gradient = eqx.tree_at(lambda law: law.alpha, CHINCHILLA, -CHINCHILLA.alpha)
    assert "  alpha  -0.34" in str(gradient).splitlines()
    assert str(gradient).startswith("Chinchilla: L(N, D) = E + A/N^alpha")
    for odd in (eqx.partition(CHINCHILLA, eqx.is_array)[1], jax.tree.map(lambda _: "axis", CHINCHILLA)):
        assert "  coefficients: not numbers" in str(odd).splitlines()
    same(gradient)


def test_float32_prints_alike():
    narrow = jax.tree.map(lambda x: x.astype(jnp.float32), LAWS["T2Accuracy"])
    assert str(narrow) == str(LAWS["T2Accuracy"])


# ── Solutions ──


@pytest.fixture(scope="module")
def solution():
    return t2.minimize(CHINCHILLA, [t2.TrainingFLOPs() <= 1e24, t2.tokens <= 1e15])


def test_html_of_a_solution_says_the_same(solution):
    page = same(solution)
    answer, constraints = page.tables
    assert [row[0] for row in answer] == ["Chinchilla", "params", "tokens", "samples", "tokens per param"]
    assert constraints[0] == ["constraint", "limit", "slack", "d value / d log limit"]
    assert constraints[1][:3] == ["TrainingFLOPs <=", "1.000e+24", "binds"]
    assert page.paragraphs[0] == "minimum of Chinchilla: solved"
    assert page.paragraphs[1].startswith("note: params")


def test_a_batch_of_solutions_and_a_traced_one(solution):
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), solution)
    assert same(batch).paragraphs == ["2 solutions of shape (2,) for Chinchilla: 2 solved"]
    printed = []
    jax.make_jaxpr(lambda one: printed.append(one._repr_html_()))(solution)
    assert Page(printed[0]).paragraphs == ["Solution(minimum of Chinchilla, traced)"]


# ── Data ──


def test_html_of_a_list_says_the_same():
    (rows,) = same(t2.list_datasets()).tables
    assert rows[0] == ["name", "rows", "a row is", "source", "licence"]
    assert len(rows) == 8
