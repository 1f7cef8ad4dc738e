"""Options of a solver, and what a solution says of how it was found."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo

import t2jax as t2

CAPPED = [zoo.TRAIN <= 1e24, zoo.SERVE <= 1e23]


def free(a):
    """Nothing is known of its curvature: a valley at every factor of e in N."""
    return zoo.LAW(a) * (1.0 + 0.1 * jnp.sin(6.0 * jnp.log(a.params)))


def test_a_tolerance_says_what_counts_as_solved():
    """Every search ends with rounding left; asked for less than rounding, none is solved."""
    found = t2.minimize(zoo.LAW, CAPPED)
    assert found.ok
    assert 0.0 < float(found.residual) < 1e-4
    none = t2.minimize(zoo.LAW, CAPPED, options=t2.SolverOptions(tolerance=1e-30), throw=False)
    assert not none.ok
    assert none.status == t2.Status.not_converged
    assert np.isnan(none.value)
    with jax.enable_x64(True):
        fine = t2.minimize(zoo.LAW, CAPPED, options=t2.SolverOptions(tolerance=1e-12))
        assert fine.ok
        assert float(fine.residual) <= 1e-12


@pytest.mark.parametrize(
    ("objective", "constraints"),
    [(zoo.LAW, CAPPED), (zoo.LAW, [zoo.TRAIN <= 1e24, t2.params <= 1e9])],
    ids=["barrier", "multiplier"],
)
def test_too_few_steps_are_not_converged(objective, constraints):
    """No method but one that starts at its answer ends after one step; a step more than it took is enough."""
    with jax.enable_x64(True):
        whole = t2.minimize(objective, constraints)
        options = t2.SolverOptions(max_steps=int(whole.steps) + 1)
        again = t2.minimize(objective, constraints, options=options)
    assert again.ok
    assert float(again.value) == float(whole.value)


def test_more_starts_find_what_few_miss():
    """Against a grid of N along the budget's curve with its twenty valleys: one start ends in a near one."""
    objective = t2.quantity(free, name="free")
    with jax.enable_x64(True):
        n = np.geomspace(1e6, 1e15, 400_001)
        best = float(np.min(free(t2.Allocation(n, 1e24 / (6.0 * n), np.ones_like(n)))))
        found = t2.minimize(objective, [zoo.TRAIN <= 1e24], options=t2.SolverOptions(starts=48))
        assert float(found.value) <= best * (1 + 1e-9)
        one = t2.SolverOptions(starts=1, candidates=1)
        nearest = t2.minimize(objective, [zoo.TRAIN <= 1e24], options=one)
    assert nearest.ok
    assert float(nearest.value) > best * 1.01


def test_options_are_part_of_a_compiled_problem():
    """The same problem with other options is another program, not the cached one."""
    for tolerance, ok in ((1e-30, False), (1e-3, True), (1e-30, False)):
        options = t2.SolverOptions(tolerance=tolerance)
        assert bool(t2.minimize(zoo.LAW, CAPPED, options=options, throw=False).ok) is ok
        solve = jax.jit(
            lambda c, options=options: t2.minimize(zoo.LAW, [c >= zoo.TRAIN, zoo.SERVE <= 1e23], options=options).ok
        )
        assert bool(solve(1e24)) is ok


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"tolerance": 0.0}, ValueError),
        ({"tolerance": float("nan")}, ValueError),
        ({"tolerance": 1.0}, ValueError),
        ({"tolerance": "1e-8"}, TypeError),
        ({"max_steps": 0}, ValueError),
        ({"max_steps": 2.5}, TypeError),
        ({"max_steps": None}, TypeError),
        ({"starts": 0}, ValueError),
        ({"candidates": True}, TypeError),
        ({"max_nodes": -1}, ValueError),
    ],
    ids=str,
)
def test_bad_options_are_told(given, error):
    with pytest.raises(error, match=next(iter(given))):
        t2.SolverOptions(**given)


def test_options_must_be_options():
    with pytest.raises(TypeError, match="options"):
        t2.minimize(zoo.LAW, CAPPED, options={"tolerance": 1e-3})


SAID = {
    "one budget": (lambda: t2.minimize(zoo.LAW, [zoo.TRAIN <= 1e24]), "separable", "global", []),
    "two budgets": (
        lambda: t2.minimize(zoo.LAW, CAPPED),
        "interior point",
        "global",
        [("separable", "it takes one budget beside bounds of variables, and there are 2")],
    ),
    "a probability": (
        lambda: t2.maximize(zoo.ACCURACY_TASK, [zoo.TRAIN + zoo.SERVE <= 1e24]),
        "interior point",
        "best of up to 3 searches: not known to be convex for T2Accuracy",
        [("separable", "it minimises, and this is a maximum")],
    ),
    "a user's": (
        lambda: t2.minimize(t2.quantity(free, name="free"), [zoo.TRAIN <= 1e24]),
        "interior point",
        "best of 13 searches: not known to be convex for a user's function",
        [("separable", "a user's function is not known to be a sum of power laws")],
    ),
    "whole": (
        lambda: t2.minimize(zoo.LOSS_TASK, [zoo.TRAIN + zoo.SERVE <= 1e24], integer=[t2.samples]),
        "neighbours",
        "global",
        [("separable", "whole numbers"), ("interior point", "whole numbers")],
    ),
    "more that are whole": (
        lambda: t2.minimize(zoo.LAW, [zoo.TRAIN <= 1e3], integer=[t2.params, t2.tokens]),
        "branch and bound",
        "global",
        [("separable", "whole numbers"), ("interior point", "whole numbers")],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_a_solution_says_how_it_was_found(case):
    solve, name, optimum, passed_over = SAID[case]
    method = solve().method
    assert method.name == name
    assert method.optimum == optimum
    assert [faster for faster, _ in method.passed_over] == [faster for faster, _ in passed_over]
    for (_, why), (_, begins) in zip(method.passed_over, passed_over, strict=True):
        assert why.startswith(begins)
        assert why in str(method)


def test_a_method_survives_jit_and_vmap():
    solve = functools.partial(lambda c: t2.minimize(zoo.LAW, [t2.TrainingFLOPs() <= c]))
    for found in (jax.jit(solve)(1e24), jax.vmap(solve)(jnp.array([1e23, 1e24])), jax.jvp(solve, (1e24,), (1.0,))[0]):
        assert found.method.name == "separable"
