"""Plans to draw, and eyes: what every picture must be, checked on the artists as they are drawn."""

import os

os.environ["MPLBACKEND"] = "Agg"  # read when matplotlib is first imported

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text

import t2jax as t2

UNITS = ("FLOPs", "nats", "USD", "parameters N", "tokens", "samples per query k", "pass@k", "ratio", "log ", "%")
"""What every name of an axis says at least one of."""


@pytest.fixture(autouse=True)
def untouched():
    """No picture changes the settings of others, and none stays open."""
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture
def seen(tmp_path):
    """Draws the figure of some axes into a file and checks what a person would see."""

    def look(ax, units=True):
        figure = ax.figure
        if not isinstance(figure.canvas, FigureCanvasAgg):  # a figure without pyplot has none that draws
            FigureCanvasAgg(figure)
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.png"
        figure.savefig(path, dpi=100)
        assert path.stat().st_size > 5_000
        assert ax.has_data()
        for name in (ax.get_xlabel(), ax.get_ylabel()):
            assert name
            assert not units or any(unit in name for unit in UNITS), name
        renderer = figure.canvas.get_renderer()
        page = figure.bbox.padded(1)
        for one in (ax.xaxis, ax.yaxis):
            low, high = sorted(one.get_view_interval())
            shown = [tick for tick in one.get_major_ticks() if low * (1 - 1e-9) <= tick.get_loc() <= high * (1 + 1e-9)]
            texts = [tick.label1 for tick in shown if tick.label1.get_text()]
            assert len(texts) >= 2, one
            _apart(texts, renderer)
            _within([one.label, *texts], page, renderer)
        names = [text for text in ax.texts if text.get_visible() and text.get_text()]
        _apart(names, renderer)
        _within(names, page, renderer)
        legend = ax.get_legend()
        if legend is not None:
            words = [text.get_text() for text in legend.get_texts()]
            assert all(words)
            assert len(set(words)) == len(words), words
            _within(legend.get_texts(), page, renderer)
        return ax

    return look


def _box(text, renderer):
    if isinstance(text, Annotation):
        text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)  # of the words alone


def _apart(texts, renderer):
    boxes = [(_box(text, renderer), text.get_text()) for text in texts]
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not one.overlaps(other), f"{first!r} lies on {second!r}"


def _within(texts, page, renderer):
    for text in texts:
        if text.get_text():
            box = _box(text, renderer)
            assert all(page.contains(*corner) for corner in box.corners()), f"{text.get_text()!r} is cut off"


# ── What is drawn ──

LAW = t2.Chinchilla(1.82, 482.0, 2085.0, 0.3478, 0.3658)
TASK = t2.T2Loss(LAW, 1.0, 0.3)
TRAIN, SERVE = t2.TrainingFLOPs(), t2.InferenceFLOPs(queries=1e9, output_tokens=500)
BUDGETS = np.geomspace(1e20, 1e26, 13)
FAILED = (4, 5)


@pytest.fixture(scope="session")
def solve():
    """Budgets of BUDGETS' shape → the best plans for training and serving together: compiled once."""
    return jax.jit(jax.vmap(lambda budget: t2.minimize(TASK, [budget >= TRAIN + SERVE])))


@pytest.fixture(scope="session")
def plans(solve):
    return solve(jnp.asarray(BUDGETS))


@pytest.fixture(scope="session")
def broken(plans):
    """The same with two lanes as a batch has them where there is no solution."""
    bad = np.isin(np.arange(len(BUDGETS)), FAILED)
    nan = jax.tree.map(lambda leaf: jnp.where(bad, jnp.nan, leaf), (plans.allocation, plans.value))
    status = jax.vmap(lambda b: t2.Status.where(b, t2.Status.infeasible, t2.Status.solved))(jnp.asarray(bad))
    return eqx.tree_at(lambda s: (s.allocation, s.value, s.status), plans, (*nan, status))


@pytest.fixture(scope="session")
def ensemble(solve):
    """(31, n): as if 31 laws differed by what a budget buys."""
    members = [solve(jnp.asarray(BUDGETS * factor)) for factor in np.geomspace(0.5, 2.0, 31)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


@pytest.fixture(scope="session")
def runs():
    """Runs of the law with noise of half a percent."""
    rng = np.random.default_rng(0)
    params, tokens = np.exp(rng.uniform(np.log([1e8, 1e9]), np.log([1e10, 1e11]), (60, 2))).T
    loss = np.asarray(LAW.loss(params, tokens)) * np.exp(0.005 * rng.normal(size=60))
    return {"params": params, "tokens": tokens, "loss": loss}


@pytest.fixture(scope="session")
def fitted(runs):
    """With one coefficient to fit, so that it takes no time."""
    return t2.fit(LAW, runs, starts=1, fixed=("A", "B", "alpha", "beta"))
