"""A law and a task that t2jax does not know: planned for, fitted, written and read like its own."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from zoo import OWN_TASK

import t2jax as t2
from t2jax.quantities import Scale

LAW = t2.published("besiroglu2024")
E, A, B, ALPHA, BETA = (float(getattr(LAW, name)) for name in ("E", "A", "B", "alpha", "beta"))
QUERIES, OUTPUT = 1e9, 500.0


class Odds(t2.Task):
    """log odds of success = easy + more·log k − steep·L(N, D)."""

    law: t2.Chinchilla
    easy: jax.Array
    more: jax.Array
    steep: jax.Array
    scale = Scale.LOG_ODDS

    def score(self, log):
        return self.easy + self.more * log.samples - self.steep * jnp.exp(self.law.log_value(log))


class Reward(t2.Task):
    """N^power·D^0.05·exp(−1/k): to be high, and no probability."""

    power: jax.Array
    law = None
    higher_is_better = True
    value_name, value_title, unit = "reward", "reward", ""

    def score(self, log):
        return self.power * log.params + 0.05 * log.tokens - jnp.exp(-log.samples)


ODDS = Odds(LAW, jnp.asarray(6.0), jnp.asarray(0.4), jnp.asarray(3.0))


def odds_at(n, d, k):
    return 6.0 + 0.4 * np.log(k) - 3.0 * (E + A / n**ALPHA + B / d**BETA)


def best(total, value, output=OUTPUT):
    """(N, D, k) of the highest value that so many FLOPs buy: over log N and log k, and the rest trains."""

    def at(x):
        n, k = np.exp(x)
        left = total - 2 * n * QUERIES * output * k
        return n, left / (6 * n), k

    def worse(x):
        n, d, k = at(x)
        return -value(n, d, k) if d > 0 and k >= 1 else 1e3

    starts = [(np.log(n), np.log(k)) for n in (1e8, 1e9, 1e10) for k in (1.5, 10.0, 100.0)]
    ends = [minimize(worse, x, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14}) for x in starts]
    return at(min(ends, key=lambda end: end.fun).x)


@pytest.mark.parametrize("total", [1e22, 1e24])
def test_a_task_of_ones_own_is_planned_for_by_plan_batch(total):
    plans = t2.plan_batch(pa.table({"total_flops": [total]}), task=ODDS, queries=QUERIES, output_tokens=OUTPUT)
    (row,) = plans.to_pylist()
    assert row["status"] == "solved", row["reason"]
    n, d, k = best(total, odds_at)
    np.testing.assert_allclose([row["params"], row["tokens"], row["samples"]], [n, d, k], rtol=1e-4)
    rate = 1 / (1 + np.exp(-odds_at(n, d, k)))
    np.testing.assert_allclose([row["value"], row["pass_at_k"]], rate, rtol=1e-9)
    np.testing.assert_allclose(row["loss_nats"], E + A / n**ALPHA + B / d**BETA, rtol=1e-5)


def test_a_function_that_is_a_probability_is_a_task():
    def success(decision):
        steep = jnp.exp(-3.0 * LAW(decision))
        odds = jnp.exp(6.0) * decision.samples**0.4 * steep
        return odds / (1 + odds)

    task = t2.quantity(success, probability=True)
    table = pa.table({"total_flops": [1e24]})
    (row,) = t2.plan_batch(table, task=task, queries=QUERIES, output_tokens=OUTPUT).to_pylist()
    assert row["status"] == "solved", row["reason"]
    n, d, k = best(1e24, odds_at)
    np.testing.assert_allclose([row["params"], row["tokens"], row["samples"]], [n, d, k], rtol=1e-3)
    np.testing.assert_allclose(row["pass_at_k"], 1 / (1 + np.exp(-odds_at(n, d, k))), rtol=1e-6)
    (row,) = t2.plan_batch(table, task=t2.quantity(lambda a: 1 / a.params), queries=QUERIES).to_pylist()
    assert row["reason"] == "Custom is a loss law, not a task: give it with law"


def test_a_target_of_a_task_of_ones_own_is_a_probability():
    wanted = 0.9 / (1 + np.exp(-odds_at(*best(1e23, odds_at))))
    table = pa.table({"target": [wanted, 1.5, 0.9999999]})
    rows = t2.plan_batch(table, task=ODDS, queries=QUERIES, output_tokens=OUTPUT, max_samples=10.0).to_pylist()
    assert rows[0]["status"] == "solved"
    np.testing.assert_allclose(
        odds_at(rows[0]["params"], rows[0]["tokens"], rows[0]["samples"]), np.log(wanted / (1 - wanted)), rtol=1e-6
    )
    assert rows[1]["reason"] == "target is a pass@k, between 0 and 1 (0.6 is 60 %), got 1.5"
    assert rows[2]["status"] == "infeasible"
    assert rows[2]["reason"].startswith("no compute reaches the target 1: pass@k is at most ")


def test_a_task_without_a_loss_law_leaves_loss_and_pass_at_k_empty():
    (row,) = t2.plan_batch(pa.table({"total_flops": [1e23]}), task=OWN_TASK, queries=QUERIES).to_pylist()
    assert row["status"] == "solved", row["reason"]
    assert [row[name] for name in ("loss_nats", "pass_at_k", "overtraining_ratio")] == [None, None, None]
    n, d, k = best(1e23, lambda n, d, k: -(40 / n**0.3 + 1 / d**0.25 + 1 / k), output=1.0)
    np.testing.assert_allclose([row["params"], row["tokens"], row["samples"]], [n, d, k], rtol=1e-4)
    np.testing.assert_allclose(row["value"], 40 / n**0.3 + 1 / d**0.25 + 1 / k, rtol=1e-9)


def test_a_task_says_which_way_is_better():
    task = Reward(jnp.asarray(0.07))
    assert (task.higher_is_better, task.pass_at_k(0.5)) == (True, None)
    (row,) = t2.plan_batch(pa.table({"total_flops": [1e23]}), task=task, queries=QUERIES).to_pylist()
    assert row["status"] == "solved", row["reason"]
    n, d, k = best(1e23, lambda n, d, k: 0.07 * np.log(n) + 0.05 * np.log(d) - 1 / k, output=1.0)
    np.testing.assert_allclose([row["params"], row["tokens"], row["samples"]], [n, d, k], rtol=1e-4)
    np.testing.assert_allclose(row["value"], n**0.07 * d**0.05 * np.exp(-1 / k), rtol=1e-9)


def test_what_the_tasks_of_t2jax_say_of_themselves():
    loss, accuracy = t2.T2Loss(LAW, 1.0, 0.3), t2.T2Accuracy(LAW, (0.8, 3.1, 1.0, -1.8, 2.4))
    assert (loss.higher_is_better, loss.value_name, loss.value_title, loss.unit) == (
        False,
        "task_loss_nats",
        "task loss",
        "nats",
    )
    assert (accuracy.higher_is_better, accuracy.value_name, accuracy.value_title, accuracy.unit) == (
        True,
        "pass_at_k",
        "pass@k",
        "",
    )
    assert loss.pass_at_k(0.5) == np.exp(-0.5)
    assert accuracy.pass_at_k(0.5) == 0.5
    assert all(isinstance(one, t2.Task) for one in (loss, accuracy))
    assert not isinstance(LAW, t2.Task)


def test_a_task_prints_and_needs_a_law_or_none():
    assert str(ODDS).startswith("Odds: pass@k(N, D, k) = Odds")

    class Lawless(t2.Task):
        def score(self, log):
            return log.params

    with pytest.raises(TypeError, match="law"):
        Lawless()


class Wrong(t2.Task):
    """1/(1 + e^(easy − steep·L)) by its logarithm: a share of errors, to be low, that k has nothing to do with."""

    law: t2.Chinchilla
    easy: jax.Array
    steep: jax.Array
    value_name, value_title, unit = "error", "error", ""

    def score(self, log):
        return -jax.nn.softplus(self.easy - self.steep * jnp.exp(self.law.log_value(log)))


class Bits(t2.Task):
    """L(N, D) in bits, k times worse than it need be where k is few: a unit of its own."""

    law: t2.Chinchilla
    value_name, value_title, unit = "bits", "surprise", "bits"

    def score(self, log):
        return self.law.log_value(log) - jnp.log(jnp.log(2.0)) + 0.01 * jnp.exp(-0.5 * log.samples)


WRONG = Wrong(LAW, jnp.asarray(6.0), jnp.asarray(3.0))


def test_a_task_that_ignores_k_is_planned_like_a_law():
    """More samples are no better then: a training budget is enough, as the compute-optimal model is the best."""
    plan = t2.plan(task=WRONG, train_flops=1e22)
    law = t2.plan(law=LAW, train_flops=1e22)
    np.testing.assert_allclose(plan.optimum.params, law.optimum.params, rtol=1e-6)
    loss = law.optimum.loss_nats
    np.testing.assert_allclose(plan.optimum.value, 1 / (1 + np.exp(6.0 - 3.0 * loss)), rtol=1e-9)
    (row,) = t2.plan_batch(pa.table({"train_flops": [1e22]}), task=WRONG).to_pylist()
    np.testing.assert_allclose(row["value"], plan.optimum.value, rtol=1e-12)
    assert "samples" not in str(plan).split("source")[1]
    frontier = t2.frontier(train_flops="1e21:1e22:2", task=WRONG)
    assert " k " not in str(frontier).splitlines()[2]


WAYS = {
    "a loss of k": (t2.T2Loss(LAW, 1.0, 0.3), "below", "nats"),
    "pass@k": (ODDS, "above", "points of pass@k"),
    "an error": (WRONG, "below", "of error"),
    "a unit of its own": (Bits(LAW), "below", "bits"),
    "a reward": (Reward(jnp.asarray(0.1)), "above", "of reward"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scenario", [{"total_flops": 1e23, "max_samples": 1e4}, {"train_flops": 1e21}], ids=str)
def test_a_plan_speaks_of_what_it_is_for(way, scenario):
    """In its own unit and the right direction, whatever the task: nats are of losses, points of pass@k."""
    task, where, unit = WAYS[way]
    demand = {"queries": 1e9, "output_tokens": 500.0}
    if "train_flops" in scenario and task is not WRONG:
        scenario = scenario | {"inference_flops": 1e22}
    plan = t2.plan(task=task, **scenario, **demand)
    said = " ".join(str(plan).split())
    said = said[said.index("The optimum is") :]
    summary, prices = said.split(" What more would buy ")
    assert f"{unit} {where}" in summary or (task is WRONG and "as good as" in summary)
    assert {"above": "below", "below": "above"}[where] not in summary
    assert ("nats" in said) is (unit == "nats")
    named = {"nats": "loss", "points of pass@k": "pass@k", "bits": "surprise"}.get(unit, unit.removeprefix("of "))
    assert f"10% more → {named} {'+' if where == 'above' else '−'}" in prices


TARGETS = {
    "pass@k": (ODDS, 0.5, "1 point more"),
    "an error": (WRONG, 0.6, "1% less error"),
    "a reward": (Reward(jnp.asarray(0.1)), 20.0, "1% more reward"),
}


@pytest.mark.parametrize("way", TARGETS)
def test_what_a_stricter_target_costs_is_in_the_targets_own_words(way):
    """And is the change of the cheapest plan's compute, by a second plan."""
    task, target, words = TARGETS[way]
    plan = t2.plan(task=task, target=target, queries=1e9, output_tokens=500.0)
    said = " ".join(str(plan).split())
    (written,) = re.findall(rf"{words} → ([+−0-9.]+)% FLOPs", said)
    stricter = {"1 point more": target + 1e-4, "1% less error": target * (1 - 1e-4)}.get(words, target * (1 + 1e-4))
    moved = t2.plan(task=task, target=stricter, queries=1e9, output_tokens=500.0)
    per_cent = 100 * 100 * (moved.optimum.total_flops / plan.optimum.total_flops - 1)
    assert float(written.replace("−", "-")) == pytest.approx(per_cent, rel=0.05)  # two digits are printed
