"""Frontiers, over-training and spending: the lines are the plans, gaps are gaps, bands are quantiles."""

import jax
import numpy as np
import pytest
from conftest import BUDGETS, FAILED, SERVE, TASK, TRAIN
from matplotlib.colors import to_rgba

import t2jax as t2


def line(ax, i=0):
    return np.asarray(ax.get_lines()[i].get_xdata()), np.asarray(ax.get_lines()[i].get_ydata())


@pytest.mark.parametrize(
    ("show", "of"),
    [
        ("params", lambda plans: plans.allocation.params),
        ("tokens", lambda plans: plans.allocation.tokens),
        ("samples", lambda plans: plans.allocation.samples),
        ("tokens_per_param", lambda plans: plans.allocation.tokens / plans.allocation.params),
        ("value", lambda plans: plans.value),
    ],
)
def test_a_frontier_is_the_plans_with_gaps_where_there_is_none(broken, plans, seen, show, of):
    ax = seen(t2.plot.frontier(BUDGETS, broken, show=show))
    x, y = line(ax)
    there = ~np.isin(np.arange(len(BUDGETS)), FAILED)
    np.testing.assert_array_equal(x, BUDGETS)
    np.testing.assert_allclose(y[there], np.asarray(of(plans))[there], rtol=0)
    assert np.isnan(y[~there]).all()
    assert ax.get_xlabel() == "training compute (FLOPs)"
    assert ax.get_yscale() == ("linear" if show == "value" else "log")


def test_the_band_is_between_quantiles_of_what_was_solved(plans, ensemble, seen):
    ax = seen(t2.plot.frontier(BUDGETS, plans, ensemble=ensemble, level=0.8, label="T²"))
    (band,) = ax.collections
    vertices = band.get_paths()[0].vertices
    members = np.asarray(ensemble.allocation.params)
    for i, budget in enumerate(BUDGETS):
        y = vertices[np.isclose(vertices[:, 0], budget), 1]
        # 31 members: the tenth and the ninetieth percentile are the 4th and the 28th of them in order.
        np.testing.assert_allclose([y.min(), y.max()], np.sort(members[:, i])[[3, 27]], rtol=1e-12)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["T²", "80 % interval, T²"]


def test_the_band_has_a_gap_where_next_to_no_member_was_solved(plans, broken, seen):
    few = jax.tree.map(lambda *leaves: np.stack(leaves), broken, broken, broken)
    ax = seen(t2.plot.frontier(BUDGETS, plans, ensemble=few))
    drawn = np.concatenate([path.vertices[:, 0] for path in ax.collections[0].get_paths()])
    assert not set(BUDGETS[list(FAILED)]) & set(drawn)
    assert set(np.delete(BUDGETS, FAILED)) <= set(drawn)


def test_a_point_without_neighbours_is_marked(broken, seen):
    lonely = t2.plot.frontier(BUDGETS[5:8], jax.tree.map(lambda leaf: leaf[np.array([5, 6, 4])], broken))
    (drawn,) = lonely.get_lines()
    assert drawn.get_markevery() == [1]


def test_references_and_a_second_series_are_told_apart(plans, seen):
    ax = t2.plot.frontier(BUDGETS, plans, show="tokens_per_param", label="this", reference={"Chinchilla": 20})
    t2.plot.frontier(BUDGETS, plans, show="tokens_per_param", label="that", reference={"rule": BUDGETS / 1e20}, ax=ax)
    seen(ax)
    first, chinchilla, second, rule = ax.get_lines()
    np.testing.assert_array_equal(chinchilla.get_ydata(), np.full(len(BUDGETS), 20.0))
    np.testing.assert_array_equal(rule.get_ydata(), BUDGETS / 1e20)
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["this", "Chinchilla", "that", "rule"]


def test_overtraining_is_tokens_per_param_by_twenty(plans, seen):
    demand = BUDGETS / 1e9
    known = [one for one in t2.known_models() if one.name.startswith(("Llama 3", "Mistral"))]
    ax = seen(t2.plot.overtraining(demand, plans, models=known))
    x, y = line(ax)
    np.testing.assert_array_equal(x, demand)
    np.testing.assert_allclose(y, plans.allocation.tokens / plans.allocation.params / 20, rtol=1e-12)
    heights = {drawn.get_ydata()[0] for drawn in ax.get_lines()[1:]}
    assert min(abs(height - 93.75) for height in heights) < 1e-9  # Llama 3 8B: 15e12/8e9/20
    assert {text.get_text() for text in ax.texts} == {one.name for one in known}
    assert ax.get_xlabel() == "inference tokens"
    assert "/ 25" in t2.plot.overtraining(demand, plans, per=25).get_ylabel()


def test_spending_adds_up_to_the_budget(broken, seen):
    costs = {"training": TRAIN, "serving": SERVE}
    ax = seen(t2.plot.spending(BUDGETS, broken, costs))
    top = np.concatenate([path.vertices for path in ax.collections[1].get_paths()])
    for i, budget in enumerate(BUDGETS):
        at = top[np.isclose(top[:, 0], budget), 1]
        if i in FAILED:
            assert not at.size
        else:
            np.testing.assert_allclose(at.max(), budget, rtol=1e-6)
    first, second = (one.get_facecolor()[0] for one in ax.collections)
    assert not np.allclose(first, second)
    assert ax.get_ylabel() == "cost (FLOPs)"


def test_shares_are_of_the_whole(plans, seen):
    ax = seen(t2.plot.spending(BUDGETS, plans, {"training": TRAIN, "serving": SERVE}, share=True, unit="FLOPs"))
    training = ax.collections[0].get_paths()[0].vertices
    a = plans.allocation
    spent = 6 * np.asarray(a.params * a.tokens)
    for budget, share in zip(BUDGETS, spent / BUDGETS, strict=True):
        at = training[np.isclose(training[:, 0], budget), 1]
        np.testing.assert_allclose(at.max(), 100 * share, rtol=1e-6)
    assert ax.get_ylim() == (0, 100)


def test_axes_that_are_given_are_used_and_names_on_them_kept(plans):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    ax.set_xlabel("FLOPs, mine")
    assert t2.plot.frontier(BUDGETS, plans, ax=ax) is ax
    assert len(plt.get_fignums()) == 1
    assert ax.get_xlabel() == "FLOPs, mine"
    assert to_rgba(ax.get_lines()[0].get_color()) == to_rgba("#0072B2")
    assert figure.axes == [ax]


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: t2.plot.frontier(BUDGETS[:3], p), ValueError, r"plans must be .* shape \(3,\), got shape \(13,\)"),
        (lambda p: t2.plot.frontier(BUDGETS, p, show="loss"), ValueError, "show must be one of params, .*got 'loss'"),
        (
            lambda p: t2.plot.frontier(BUDGETS, p, level=90),
            ValueError,
            "level must be strictly between 0 and 1, got 90",
        ),
        (lambda p: t2.plot.frontier(-BUDGETS, p), ValueError, "budgets must be positive and finite, got -1e"),
        (lambda p: t2.plot.frontier(BUDGETS, p, ensemble=p), ValueError, r"ensemble must be .* \(m, 13\), got"),
        (lambda p: t2.plot.frontier(BUDGETS, [1, 2]), TypeError, "plans must be a Solution, .* got list"),
        (lambda p: t2.plot.frontier(BUDGETS, p, reference={"r": [1, 2]}), ValueError, r"'r' must be .* shape \(2,\)"),
        (lambda p: t2.plot.frontier(BUDGETS, p, ax=3), TypeError, "ax must be matplotlib axes or None, got 3"),
        (lambda p: t2.plot.overtraining(BUDGETS, p, per=0), ValueError, "per must be positive and finite, got 0"),
        (lambda p: t2.plot.overtraining(BUDGETS, p, models=7), TypeError, "models must be known_models"),
        (lambda p: t2.plot.overtraining(BUDGETS, p, models={"a": 7}), TypeError, r"models\['a'\] must be \(params"),
        (lambda p: t2.plot.spending(BUDGETS, p, {}), TypeError, "costs must be a mapping"),
        (lambda p: t2.plot.spending(BUDGETS, p, {"a": 3}), TypeError, r"costs\['a'\] must be a quantity"),
    ],
)
def test_what_cannot_be_drawn_is_said(plans, call, error, message):
    import matplotlib.pyplot as plt

    with pytest.raises(error, match=message):
        call(plans)
    assert not plt.get_fignums()  # nor is an empty figure left behind


def test_one_k_for_each_task_is_refused(plans):
    import equinox as eqx

    several = eqx.tree_at(lambda s: s.allocation.samples, plans, np.ones((len(BUDGETS), 2)))
    with pytest.raises(ValueError, match="samples has one entry for each task"):
        t2.plot.frontier(BUDGETS, several, show="samples")
    assert TASK.label == plans.objective_label
