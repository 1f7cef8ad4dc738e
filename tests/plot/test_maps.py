"""The (N, D) plane and isoFLOP curves: lines are where budgets are spent, optima are the closed form's."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import BUDGETS, LAW, SERVE, TASK, TRAIN

import t2jax as t2

# Of LAW at C training FLOPs (Hoffmann et al. 2022, eq. 4): G = (αA/(βB))^(1/(α+β)), N* = G·(C/6)^(β/(α+β)).
G = (LAW.alpha * LAW.A / (LAW.beta * LAW.B)) ** (1 / (LAW.alpha + LAW.beta))
SHARE = float(LAW.beta / (LAW.alpha + LAW.beta))


def names_on(ax):
    return {text.get_text() for text in ax.texts if text.get_visible()}


def test_isoflop_optima_are_the_closed_form(seen, runs):
    budgets = np.array([1e19, 1e21, 1e20])
    ax = seen(t2.plot.isoflop(LAW, budgets, runs=runs))
    *curves, optimum = ax.get_lines()
    at = np.sort(budgets)
    best = float(G) * (at / 6) ** SHARE
    np.testing.assert_allclose(optimum.get_xdata(), best, rtol=1e-10)
    np.testing.assert_allclose(optimum.get_ydata(), LAW.loss(best, at / (6 * best)), rtol=1e-12)
    for curve, budget in zip(curves, at, strict=True):
        n = np.asarray(curve.get_xdata())
        np.testing.assert_allclose(curve.get_ydata(), 1.82 + 482 / n**0.3478 + 2085 / (budget / (6 * n)) ** 0.3658)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1e19", "1e20", "1e21", "optimum"]
    # Every run is a point, with its budget's nearest: on a log scale, half-way is at √10.
    flops = 6 * runs["params"] * runs["tokens"]
    wanted = [np.sum(flops < 10**19.5), np.sum((flops >= 10**19.5) & (flops < 10**20.5)), np.sum(flops >= 10**20.5)]
    assert [len(points.get_offsets()) for points in ax.collections] == wanted


def test_the_line_of_a_budget_is_where_it_is_spent(plans, seen):
    k = 50.0
    ax = t2.plot.plane(TASK, samples=k, budgets=[TRAIN <= 1e23, TRAIN + SERVE <= 1e24], optimum=plans)
    seen(ax)
    spent = [lambda n, d: 6 * n * d / 1e23, lambda n, d: (6 * n * d + 2 * n * 1e9 * 500 * k) / 1e24]
    lines = [one for one in ax.collections if len(one.get_edgecolor()) and one.get_linewidth()[0] == 2]
    assert len(lines) == 2
    for drawn, share in zip(lines, spent, strict=True):
        points = np.concatenate([path.vertices for path in drawn.get_paths()])
        assert len(points) > 50
        np.testing.assert_allclose(share(*points.T), 1.0, rtol=0.02)  # between points of a grid
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["TrainingFLOPs ≤ 1e23", "TrainingFLOPs + InferenceFLOPs ≤ 1e24"]
    star = ax.get_lines()[0]  # of a batch: a path
    np.testing.assert_array_equal(star.get_xdata(), plans.allocation.params)
    assert ax.figure.axes[1].get_ylabel() == "task loss −log pass@k (nats)"


def test_every_known_model_on_the_plane_has_a_name_that_lies_on_nothing(seen):
    ax = seen(t2.plot.plane(LAW, models=t2.known_models(), optimum=t2.Allocation(4e9, 8e12, 200.0)))
    assert names_on(ax) == {"optimum\nN 4B, D 8T, k 200", *(one.name for one in t2.known_models())}
    where = {(float(one.get_xdata()[0]), float(one.get_ydata()[0])) for one in ax.get_lines()}
    assert {(one.params, one.tokens) for one in t2.known_models()} <= where


def test_models_off_the_plane_are_not_drawn(seen):
    models = {"in": (1e9, 1e11), "out": (1e13, 1e11)}
    ax = seen(t2.plot.plane(LAW, params=(1e8, 1e10), tokens=(1e10, 1e12), models=models))
    assert names_on(ax) == {"in"}
    assert ax.get_xlim() == (1e8, 1e10)


def test_the_map_of_a_probability_is_lighter_where_it_is_higher(seen):
    accuracy = t2.quantity(lambda a: jnp.exp(-1e9 / a.params), name="share_solved", probability=True)
    ax = seen(t2.plot.plane(accuracy, budgets={"at most half": t2.params <= 5e11}))
    assert ax.figure.axes[1].get_ylabel() == "share_solved"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["at most half"]
    filled = ax.collections[0]
    low, high = filled.cmap(filled.norm(0.001)), filled.cmap(filled.norm(0.999))
    assert sum(high[:3]) > sum(low[:3])
    loss = t2.plot.plane(LAW).collections[0]
    assert sum(loss.cmap(loss.norm(2.0))[:3]) > sum(loss.cmap(loss.norm(4.0))[:3])


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: t2.plot.isoflop(3, [1e20]), TypeError, "law must be a loss law, got int"),
        (lambda: t2.plot.isoflop(LAW, 1e20), ValueError, r"budgets must be numbers of shape \(n,\), got shape \(\)"),
        (lambda: t2.plot.isoflop(LAW, [1e20], runs={"params": [1.0]}), ValueError, "runs lacks tokens, loss"),
        (
            lambda: t2.plot.isoflop(LAW, [1e20], runs={"params": [1.0], "tokens": [1.0], "loss": [1.0, 2.0]}),
            ValueError,
            "must have one length, got 1, 1, 2",
        ),
        (
            lambda: t2.plot.isoflop(t2.tokens, [1e20]),
            ValueError,
            "at 1e\\+20 training FLOPs tokens has no optimum: ",
        ),
        (lambda: t2.plot.plane(LAW.loss), TypeError, "quality must be a quantity"),
        (lambda: t2.plot.plane(LAW, params=(1e9, 1e8)), ValueError, r"params must be \(low, high\)"),
        (lambda: t2.plot.plane(LAW, samples=0.5), ValueError, "samples must be at least 1, got 0.5"),
        (lambda: t2.plot.plane(LAW, budgets=[1e24]), TypeError, "budgets must be constraints such as"),
        (lambda: t2.plot.plane(LAW, budgets=[TRAIN <= BUDGETS]), ValueError, r"must have one limit, .* \(13,\)"),
        (lambda: t2.plot.plane(LAW, models={"a": (1e9, -1.0)}), ValueError, "tokens of a must be positive"),
        (lambda: t2.plot.plane(t2.samples), ValueError, "quality is the same all over the plane, 1"),
    ],
)
def test_what_cannot_be_drawn_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_no_star_without_a_solution(broken):
    with pytest.raises(ValueError, match="optimum has no solution to draw"):
        t2.plot.plane(LAW, optimum=jax.tree.map(lambda leaf: leaf[4], broken))
    assert math.isfinite(SHARE)
