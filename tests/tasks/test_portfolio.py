"""Portfolios: one task is the single problem, many against SciPy and the conditions of an optimum, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

import t2jax as t2
from t2jax.optimize._problem import Layout, Problem
from t2jax.optimize.methods._separable import Separable, separable
from t2jax.quantities import PowerTerm

LAW = t2.published("besiroglu2024")
TRAIN = t2.TrainingFLOPs()
E, A, B, ALPHA, BETA = (float(getattr(LAW, name)) for name in ("E", "A", "B", "alpha", "beta"))

# G, gamma, queries, prompt, output, weight
TASKS = np.array(
    [
        [1.0, 0.3, 1e9, 0.0, 500.0, 1.0],
        [0.2, 0.9, 1e7, 2000.0, 8000.0, 3.0],
        [2.5, 0.5, 1e8, 100.0, 50.0, 0.5],
        [0.7, 0.25, 3e8, 0.0, 1000.0, 2.0],
    ]
)


def portfolio(rows=TASKS):
    return t2.Portfolio(
        [
            t2.Workload(t2.T2Loss(LAW, G, gamma), queries=q, prompt_tokens=p, output_tokens=t, weight=w)
            for G, gamma, q, p, t, w in rows
        ]
    )


def solved(tasks, budget, *more, **options):
    return t2.minimize(tasks.quality, [TRAIN + tasks.inference <= budget, *more], start=tasks.start, **options)


def single(row, budget):
    G, gamma, q, p, t, _ = row
    return t2.minimize(t2.T2Loss(LAW, G, gamma), [TRAIN + t2.InferenceFLOPs(q, p, t) <= budget])


def test_one_task_is_the_single_problem():
    one, alone = solved(portfolio(TASKS[1:2]), 1e24), single(TASKS[1], 1e24)
    assert one.allocation.samples.shape == (1,)
    for name in ("params", "tokens", "samples"):
        found, expected = np.ravel(getattr(one.allocation, name)), getattr(alone.allocation, name)
        assert float(found[0]) == pytest.approx(float(expected), rel=1e-9)
    assert float(one.value) == pytest.approx(float(alone.value), rel=1e-13)
    assert float(one.shadow_prices[0]) == pytest.approx(float(alone.shadow_prices[0]), rel=1e-9)


def test_identical_tasks_are_one_of_all_their_queries():
    row = TASKS[1]
    third = np.array([row] * 3)
    third[:, 2] /= 3
    many, alone = solved(portfolio(third), 1e24), single(row, 1e24)
    assert float(many.value) == pytest.approx(float(alone.value), rel=1e-12)
    np.testing.assert_allclose(many.allocation.samples, float(alone.allocation.samples), rtol=1e-9)
    assert float(many.allocation.params) == pytest.approx(float(alone.allocation.params), rel=1e-9)


@pytest.mark.parametrize("cap", [None, 20.0])
def test_as_scipy_finds_it(cap):
    G, gamma, q, p, t, w = TASKS.T
    w = w / w.sum()

    def loss(x):
        return E + A * np.exp(-ALPHA * x[0]) + B * np.exp(-BETA * x[1]) + np.sum(w * G * np.exp(-gamma * x[2:]))

    def room(x):
        cost = 6 * np.exp(x[0] + x[1]) + 2 * np.exp(x[0]) * np.sum(q * (p + np.exp(x[2:]) * t))
        return np.log(1e24) - np.log(cost)

    bounds = [(None, None)] * 2 + [(0.0, None)] * 4
    more = []
    if cap is not None:
        bounds[2 + 2] = (0.0, np.log(cap))
        more = [t2.samples[2] <= cap]
    found = solved(portfolio(), 1e24, *more)
    programme = minimize(
        loss,
        [22.0, 28.0, 3.0, 3.0, 3.0, 3.0],
        method="SLSQP",
        bounds=bounds,
        constraints={"type": "ineq", "fun": room},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    a = found.allocation
    assert float(found.value) <= programme.fun + 1e-12
    assert float(found.value) == pytest.approx(programme.fun, rel=1e-9)
    there = np.log([float(a.params), float(a.tokens), *np.asarray(a.samples)])
    np.testing.assert_allclose(there, programme.x, atol=2e-3)
    assert room(there) == pytest.approx(0.0, abs=1e-12)
    # What a log dollar brings is the same everywhere: slope of the loss over share of the budget.
    n = float(a.params)
    spent = 2 * n * q * np.asarray(a.samples) * t / 1e24
    gain = w * G * gamma * np.asarray(a.samples) ** -gamma / spent
    most = np.array([np.inf, np.inf, cap or np.inf, np.inf])
    inside = (np.asarray(a.samples) > 1 + 1e-9) & (np.asarray(a.samples) < most * (1 - 1e-9))
    assert inside.sum() >= 2
    np.testing.assert_allclose(gain[inside], -float(found.shadow_prices[0]), rtol=1e-8)


@pytest.mark.slow
def test_batches_and_derivatives():
    def log_params(log_budget, log_queries):
        rows = [[*row[:2], jnp.exp(log_q), *row[3:]] for row, log_q in zip(TASKS, log_queries, strict=True)]
        return jnp.log(solved(portfolio(rows), jnp.exp(log_budget)).allocation.params)

    budgets, queries = jnp.log(jnp.array([1e22, 1e24])), jnp.log(TASKS[:, 2])
    slopes = jax.jit(jax.vmap(jax.grad(log_params, argnums=(0, 1)), in_axes=(0, None)))(budgets, queries)
    h = 1e-4
    value = jax.jit(jax.vmap(log_params, in_axes=(0, 0)))
    steps = np.concatenate([h * np.eye(5), -h * np.eye(5)])
    for i, budget in enumerate(budgets):
        moved = value(budget + steps[:, 0], queries[None] + steps[:, 1:])
        expected = (moved[:5] - moved[5:]) / (2 * h)
        np.testing.assert_allclose([slopes[0][i], *slopes[1][i]], expected, rtol=1e-6, atol=1e-9)


def test_a_shared_law_is_one_equation_and_others_are_not():
    layout = Layout.of(portfolio().start)

    def form(tasks):
        return separable(
            Problem(tasks.quality, (TRAIN + tasks.inference <= 1e24,), (("samples", 1.0),), layout, False, ())
        )

    found = form(portfolio())
    assert isinstance(found, Separable)
    assert len(found.spokes) == 5
    rows = [t2.Workload(t2.T2Loss(t2.published("besiroglu2024"), *row[:2]), queries=row[2]) for row in TASKS]
    apart = t2.Portfolio(rows)
    assert apart.law is None
    assert "two terms in one variable, or two variables in one term" not in form(apart)
    assert "not known to be a sum of power laws" in form(apart)


@pytest.mark.slow
def test_own_laws_and_probabilities():
    """The general method: the same optimum from copies of the law, and of two probabilities none better on a grid."""
    copies = t2.Portfolio(
        [
            t2.Workload(
                t2.T2Loss(t2.published("besiroglu2024"), *row[:2]),
                queries=row[2],
                prompt_tokens=row[3],
                output_tokens=row[4],
                weight=row[5],
            )
            for row in TASKS[:2]
        ]
    )
    one, other = solved(portfolio(TASKS[:2]), 1e24), solved(copies, 1e24)
    assert float(other.value) == pytest.approx(float(one.value), rel=1e-11)
    np.testing.assert_allclose(other.allocation.samples, one.allocation.samples, rtol=1e-6)

    task = t2.published("pythia-gsm8k")
    hard = t2.T2Accuracy(task.law, task.theta.at[3].add(-1.0))
    both = t2.Portfolio(
        [t2.Workload(task, queries=1e9, output_tokens=300), t2.Workload(hard, queries=1e8, output_tokens=300, weight=2)]
    )
    cost = TRAIN + both.inference
    found = t2.maximize(both.quality, [cost <= 1e23], start=both.start)
    n, d, k = found.allocation.params, found.allocation.tokens, found.allocation.samples
    each = [float(one(t2.Allocation(n, d, k[i]))) for i, one in enumerate((task, hard))]
    assert float(found.value) == pytest.approx((each[0] + 2 * each[1]) / 3, rel=1e-12)
    n, k, m = (a.ravel() for a in np.meshgrid(*[np.geomspace(*ends, 60) for ends in ((1e7, 1e11), (1, 1e5), (1, 1e5))]))
    left = 1e23 - 2 * n * (1e9 * 300 * k + 1e8 * 300 * m)
    kept = left > 0
    grid = t2.Allocation(n[kept], left[kept] / (6 * n[kept]), np.stack([k, m], -1)[kept])
    assert float(found.value) >= float(jnp.max(both.quality(grid))) - 1e-12


def test_uncertain_demand_is_a_portfolio():
    """More or less demand: k is larger where there is less of it, N between the sizes for either."""
    law, probabilities, demand = t2.T2Loss(LAW, 1.0, 0.3), (0.5, 0.5), (1e8, 1e10)
    scenarios = t2.Portfolio(
        [
            t2.Workload(law, queries=p * q, output_tokens=500, weight=p)
            for p, q in zip(probabilities, demand, strict=True)
        ]
    )
    found = solved(scenarios, 1e24)
    certain = [t2.minimize(law, [TRAIN + t2.InferenceFLOPs(q, 0, 500) <= 1e24]).allocation.params for q in demand]
    assert float(certain[1]) < float(found.allocation.params) < float(certain[0])
    assert float(found.allocation.samples[0]) > float(found.allocation.samples[1])


class Retries(t2.Task):
    """A user's own: L(N, D) + G/k^γ, said in the logarithm, and of what it adds to the law."""

    law: t2.Chinchilla
    G: jax.Array
    gamma: jax.Array
    provenance = None

    def score(self, log):
        return jnp.logaddexp(self.law.log_value(log), jnp.log(self.G) - self.gamma * log.samples)

    def added_terms(self):
        return (PowerTerm(self.G, 0.0, {"samples": -self.gamma}),)


def test_a_task_of_a_users_own_shares_its_law_too():
    """What a task says of itself counts, not its class: one equation, and the optimum of `T2Loss`."""
    own = t2.Portfolio(
        [
            t2.Workload(Retries(LAW, jnp.asarray(G), jnp.asarray(gamma)), queries=q, prompt_tokens=p,
                        output_tokens=t, weight=w)
            for G, gamma, q, p, t, w in TASKS
        ]
    )  # fmt: skip
    assert own.law is LAW
    found, expected = solved(own, 1e24), solved(portfolio(), 1e24)
    assert found.method == expected.method
    np.testing.assert_allclose(found.allocation.samples, expected.allocation.samples, rtol=1e-12)
    assert float(found.value) == pytest.approx(float(expected.value), rel=1e-14)
    assert "mean Retries of 4" in str(found)
    two = [t2.published("besiroglu2024"), t2.published("hoffmann2022")]
    apart = t2.Portfolio([t2.Workload(t2.T2Loss(law, 1.0, 0.3)) for law in two])
    assert apart.law is None
    assert apart.quality.power_terms() is None


def test_float32_finds_the_same():
    wide = solved(portfolio(), 1e24)
    to32 = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), tree)  # noqa: E731
    tasks = to32(portfolio())
    narrow = t2.minimize(
        tasks.quality, [to32(t2.TrainingFLOPs()) + tasks.inference <= np.float32(1e24)], start=to32(tasks.start)
    )
    assert narrow.value.dtype == jnp.float32
    assert float(narrow.value) == pytest.approx(float(wide.value), rel=1e-5)


def test_prints_every_k():
    text = str(solved(portfolio(), 1e24))
    assert [f"samples[{i}]" in text for i in range(5)] == [True] * 4 + [False]
    assert "mean T2Loss of 4" in text
    assert "fitted range" in text
    assert not bool(solved(portfolio(), 1e24).in_fit_range)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: t2.Portfolio([]), "a portfolio needs at least one workload"),
        (lambda: t2.Portfolio([LAW]), "a portfolio takes workloads, got"),
        (lambda: t2.Workload(0.5), "a workload takes a task first, such as"),
        (lambda: t2.Workload(LAW, weight=0.0), "weight must be positive and finite, got 0.0"),
        (
            lambda: t2.Portfolio([t2.Workload(t2.published("pythia-gsm8k")), t2.Workload(t2.T2Loss(LAW, 1.0, 0.5))]),
            "the tasks of a portfolio are all losses or all probabilities",
        ),
        (lambda: t2.samples[-1], r"samples\[i\] takes a whole number of at least 0, got -1"),
        (
            lambda: solved(portfolio(), 1e24, integer_samples=True),
            "integer_samples needs a decision with one number of samples",
        ),
        (lambda: list(t2.samples), "not iterable"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()
