"""Variables of one's own: declared once, decided on where a quantity depends on them, and reported like N, D and k."""

import functools
import json
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import problems as p
import pytest

import t2jax as t2
from t2jax._io.usage import UsageError
from t2jax.literature._json import built, described
from t2jax.quantities import Curvature, Provenance, _declared, declared
from t2jax.quantities._allocation import name_of

TRAIN = t2.TrainingFLOPs()
LAW = t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
TASK = t2.T2Loss(LAW, 1.0, 0.3)
ACCURACY = t2.T2Accuracy(LAW, (0.78, 3.1, 1.0, -1.83, 2.45))

thinking = t2.Variable("thinking_tokens", symbol="T", unit="tokens", lower=1.0, start=1e3)
devices = t2.Variable("devices", lower=1.0, integer=True)


class Answering(eqx.Module):
    """2NQ(P + kT): what answers cost where each thinks for T tokens."""

    queries: jax.Array
    prompt: jax.Array

    def __call__(self, a):
        return 2.0 * a.params * self.queries * (self.prompt + a.samples * a.thinking_tokens)


class Thoughtful(eqx.Module):
    """E + A/N^α + B/D^β + G/(k·(1 + c·log T))^γ: more thinking is worth what more samples are, ever less."""

    law: t2.Chinchilla
    per_log: jax.Array

    def __call__(self, a):
        return self.law(a) + 1.0 / (a.samples * (1.0 + self.per_log * jnp.log(a.thinking_tokens))) ** 0.3


ANSWERING = t2.quantity(Answering(jnp.array(1e9), jnp.array(100.0)), name="answering", convex=True)
spent = TRAIN + ANSWERING
THOUGHTFUL = t2.quantity(Thoughtful(LAW, jnp.array(2.0)), name="thoughtful")


def wordy(c=1e24, **options):
    """A convex problem in N, D, k and T: T is worth a power law."""
    loss = t2.quantity(lambda a: LAW(a) + a.samples**-0.3 + 2.0 * a.thinking_tokens**-0.2, name="loss", convex=True)
    return t2.minimize(loss, [spent <= c], **options)


# Declared


def test_a_variable_is_a_quantity():
    assert str(thinking) == "thinking_tokens"
    assert (thinking.declaration.symbol, thinking.declaration.unit) == ("T", "tokens")
    assert thinking.curvature is Curvature.AFFINE
    assert float((2 * thinking)(t2.Allocation(1.0, 1.0, thinking_tokens=7.0))) == pytest.approx(14.0, rel=1e-14)
    assert t2.params.declaration.symbol == "N"
    assert t2.samples.declaration.lower == 1.0
    assert declared()[:3] == ("params", "tokens", "samples")
    assert pickle.loads(pickle.dumps(thinking)) == thinking
    assert len({thinking, t2.params, t2.Variable("devices", lower=1.0, integer=True), devices}) == 3


def test_declared_again_the_last_counts():
    first = t2.Variable("again", lower=2.0)
    assert first.declaration.start == 20.0
    second = t2.Variable("again", start=5.0)
    assert (first.declaration.lower, first.declaration.start) == (None, 5.0)
    assert bool(first == second)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: t2.Variable("7B"), ValueError, "a variable's name must be a name such as 'thinking_tokens', got '7B'"),
        (lambda: t2.Variable(3), ValueError, "a variable's name must be a name such as 'thinking_tokens', got 3"),
        (
            lambda: t2.Variable("tokens_per_param"),
            ValueError,
            "'tokens_per_param' is no name for a variable: an Allocation calls something else that",
        ),
        (
            lambda: t2.Variable("params", lower=1e6),
            ValueError,
            "params is declared by t2jax itself, as t2jax.params: choose another name",
        ),
        (
            lambda: t2.Variable("width", lower=0),
            ValueError,
            "the lower bound of width must be positive and finite, got 0",
        ),
        (lambda: t2.Variable("width", start="8"), TypeError, "the start of width must be a number, got '8'"),
        (
            lambda: t2.Variable("width", lower=8, start=4),
            ValueError,
            "the start of width, 4, is below its lower bound 8",
        ),
        (lambda: t2.Variable("width", unit=3), TypeError, "the unit of width must be text, got 3"),
        (lambda: t2.Variable("width", integer=1), TypeError, "integer of width must be True or False, got 1"),
        (
            lambda: t2.Variable("widht[3]"),
            ValueError,
            "no variable is called 'widht': declare it first, t2jax.Variable('widht')",
        ),
        (
            lambda: t2.Allocation(1e9, 1e9, thinking_token=3.0),
            TypeError,
            "no variable is called 'thinking_token': did you mean thinking_tokens?",
        ),
        (
            lambda: t2.Allocation(1e9, 1e9, thinking_tokens=-3.0),
            ValueError,
            "thinking_tokens must be positive and finite, got -3.0",
        ),
        (
            lambda: t2.Allocation(1e9, 1e9).thinking_tokens,
            AttributeError,
            "this Allocation has no 'thinking_tokens': give it one, Allocation(…, thinking_tokens=…)",
        ),
        (
            lambda: ANSWERING(t2.Allocation(1e9, 1e9)),
            AttributeError,
            "this Allocation has no 'thinking_tokens': give it one, Allocation(…, thinking_tokens=…)",
        ),
        (lambda: thinking(t2.Allocation(1e9, 1e9)), TypeError, "Allocation has no coordinate 'thinking_tokens'"),
        (
            lambda: t2.Allocation(1e9, 1e9).sampels,
            AttributeError,
            "Allocation has no 'sampels': no variable is called 'sampels': did you mean samples?",
        ),
    ],
)
def test_bad_variables(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


# Allocations


def test_allocations_hold_what_is_declared():
    a = t2.Allocation(1e9, 2e10, thinking_tokens=2000, devices=np.array([1.0, 2.0]))
    assert (float(a.thinking_tokens), float(a.samples)) == (2000.0, 1.0)
    assert list(a.variables) == ["params", "tokens", "samples", "devices", "thinking_tokens"]
    assert repr(t2.Allocation(1e9, 2e10, thinking_tokens=2000)).startswith("Allocation(params=")
    assert "thinking_tokens=" in repr(a)
    # The structure is what is held, in whatever order it was written; without others it is as it was.
    other = t2.Allocation(1e9, 2e10, devices=2.0, thinking_tokens=3.0)
    assert jax.tree.structure(other) == jax.tree.structure(a)
    assert jax.tree.structure(a) != jax.tree.structure(t2.Allocation(1e9, 2e10))
    assert [float(one) for one in jax.tree.leaves(t2.Allocation(1.0, 2.0, 3.0))] == [1.0, 2.0, 3.0]
    assert [name_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(other)] == list(other.variables)
    back = pickle.loads(pickle.dumps(other))
    assert float(back.thinking_tokens) == 3.0
    assert float(jax.tree.map(jnp.log, other).thinking_tokens) == pytest.approx(np.log(3.0), rel=1e-15)


def test_quantities_broadcast_batch_and_differentiate_over_further_variables():
    many = t2.Allocation(1e9, 2e10, 4.0, thinking_tokens=np.array([1.0, 10.0, 100.0]))
    expected = 2e9 * 1e9 * (100 + 4 * np.array([1.0, 10.0, 100.0]))
    np.testing.assert_allclose(ANSWERING(many), expected, rtol=1e-13)
    mapped = jax.jit(jax.vmap(lambda t: ANSWERING(t2.Allocation(1e9, 2e10, 4.0, thinking_tokens=t))))
    np.testing.assert_allclose(mapped(many.thinking_tokens), expected, rtol=1e-13)
    slope = jax.grad(lambda a: ANSWERING(a))(t2.Allocation(1e9, 2e10, 4.0, thinking_tokens=10.0))
    assert float(slope.thinking_tokens) == pytest.approx(8e18, rel=1e-12)


# What a quantity depends on


def test_quantities_say_what_they_depend_on():
    serving = t2.quantity(lambda a: ANSWERING(a) / a.devices, name="serving")
    batched = t2.quantity(lambda a: jax.jit(lambda b: b.params * b.samples)(a), name="jitted")
    assert TRAIN.variables == LAW.variables == ("params", "tokens")
    assert TASK.variables == ACCURACY.variables == ("params", "tokens", "samples")
    assert t2.InferenceFLOPs(1e9, 100, 500).variables == ("params", "samples")
    assert ANSWERING.variables == ("params", "samples", "thinking_tokens")
    assert serving.variables == ("params", "samples", "thinking_tokens", "devices")
    assert batched.variables == ("params", "samples")
    assert (TRAIN + ANSWERING).variables == ("params", "tokens", "samples", "thinking_tokens")
    assert (3 * t2.samples[2]).variables == ("samples",)
    assert (t2.tokens / t2.params).variables == ("params", "tokens")
    exhausted = t2.published("muennighoff2023", unique_tokens=1e11)
    assert exhausted.variables == ("params", "tokens")
    card = t2.accelerator("h100-sxm")
    assert t2.Serving(card, dtype="bf16", prompt_tokens=100, output_tokens=10, batch=4).replica_memory.variables == (
        "params",
    )


def test_only_what_is_mentioned_is_decided_on():
    assert t2.minimize(LAW, [TRAIN <= 1e21]).allocation.others == {}
    found = t2.minimize(spent, [LAW <= 2.2, t2.samples >= 4.0])
    assert list(found.allocation.others) == ["thinking_tokens"]
    assert float(found.allocation.thinking_tokens) == pytest.approx(1.0, rel=1e-12)  # its lower bound
    bounded = t2.minimize(LAW, [TRAIN <= 1e21, thinking >= 7.0])
    assert float(bounded.allocation.thinking_tokens) == pytest.approx(7.0, rel=1e-12)


def test_what_another_process_declared_comes_with_its_variables(monkeypatch):
    far = t2.Variable("far_away", lower=3.0)
    sent = pickle.dumps((far, far[1], t2.Allocation(1.0, 2.0, far_away=5.0)))
    known = dict(_declared._DECLARED)
    monkeypatch.setattr(_declared, "_DECLARED", {name: one for name, one in known.items() if name != "far_away"})
    variable, element, allocation = pickle.loads(sent)
    assert (str(variable), str(element), variable.declaration.lower) == ("far_away", "far_away[1]", 3.0)
    assert float(allocation.far_away) == 5.0
    assert bool(variable == far)


def test_tasks_of_a_portfolio_see_further_variables():
    tasks = t2.Portfolio([t2.Workload(THOUGHTFUL), t2.Workload(THOUGHTFUL, weight=3.0)])
    many = t2.Allocation(1e9, 2e10, jnp.array([2.0, 8.0]), thinking_tokens=50.0)
    each = [float(THOUGHTFUL(t2.Allocation(1e9, 2e10, k, thinking_tokens=50.0))) for k in (2.0, 8.0)]
    assert tasks.quality.variables == ("params", "tokens", "samples", "thinking_tokens")
    assert float(tasks.quality(many)) == pytest.approx(0.25 * each[0] + 0.75 * each[1], rel=1e-12)


# Optima


def grid_of_four(c, per_log, size=90):
    """The least thoughtful loss on a grid of N, k and T, with D what the budget leaves."""
    best = np.inf, None
    low, high = np.log([1e8, 1.0, 1.0]), np.log([1e12, 3e4, 1e5])
    for _ in range(6):  # finer and finer around the best point
        n, k, t = np.meshgrid(*(np.exp(np.linspace(a, b, size)) for a, b in zip(low, high, strict=True)), indexing="ij")
        left = c - 2.0 * n * 1e9 * (100.0 + k * t)
        d = np.where(left > 0, left, 1.0) / (6.0 * n)
        value = 1.8172 + 482.01 / n**0.3478 + 2085.43 / d**0.3658 + 1.0 / (k * (1 + per_log * np.log(t))) ** 0.3
        value = np.where(left > 0, value, np.inf)
        at = np.unravel_index(np.argmin(value), value.shape)
        if value[at] < best[0]:
            best = value[at], (n[at], d[at], k[at], t[at])
        centre, width = np.log([n[at], k[at], t[at]]), (high - low) / 8
        low, high = np.maximum(centre - width, [0.0, 0.0, 0.0]), centre + width
    return best


@pytest.mark.parametrize("per_log", [0.05, 2.0])
def test_thinking_is_optimised_with_the_rest(per_log):
    """Never worse than a dense grid of (N, D, k, T), nor far from it; where thinking is worth little, T = 1."""
    task = t2.quantity(Thoughtful(LAW, jnp.array(per_log)), name="thoughtful")
    found = t2.minimize(task, [spent <= 1e24])
    value, (n, d, _, t) = grid_of_four(1e24, per_log)
    a = found.allocation
    assert float(found.value) <= value * (1 + 1e-12)
    assert float(found.value) == pytest.approx(value, rel=1e-5)
    assert float(a.thinking_tokens) == pytest.approx(t, rel=0.05)
    np.testing.assert_allclose([a.params, a.tokens], [n, d], rtol=0.05)
    assert float(found.residual) < 1e-8
    assert (float(a.thinking_tokens) == 1.0) == (per_log < 0.1)


def test_a_convex_problem_in_four_variables_has_its_closed_form():
    """At the optimum k·G·γ/k^γ… : k·∂/∂k = T·∂/∂T, as both are in one product of the cost."""
    found = wordy()
    a = found.allocation
    assert 0.3 * float(a.samples) ** -0.3 == pytest.approx(0.4 * float(a.thinking_tokens) ** -0.2, rel=1e-8)
    assert float(spent(a)) == pytest.approx(1e24, rel=1e-9)


def test_batches_and_derivatives_reach_further_variables():
    budgets = jnp.array([1e22, 1e23, 1e24])
    many = jax.jit(jax.vmap(wordy))(budgets)
    one = [float(wordy(c).allocation.thinking_tokens) for c in budgets]
    np.testing.assert_allclose(many.allocation.thinking_tokens, one, rtol=1e-7)

    def log_t(log_c):
        return jnp.log(wordy(jnp.exp(log_c)).allocation.thinking_tokens)

    at = jnp.log(jnp.array(1e24))
    slope = jax.jit(jax.jacfwd(log_t))(at)
    differences = (log_t(at + 1e-4) - log_t(at - 1e-4)) / 2e-4
    assert float(slope) == pytest.approx(float(differences), rel=1e-5)
    assert float(jax.jit(jax.grad(log_t))(at)) == pytest.approx(float(slope), rel=1e-9)
    price = jax.jit(jax.grad(lambda log_c: wordy(jnp.exp(log_c)).value))(at)
    assert float(wordy().shadow_prices[0]) == pytest.approx(float(price), rel=1e-8)


def test_further_variables_in_float32():
    with jax.enable_x64(False):
        law = t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
        cost = t2.quantity(lambda a: 2e9 * a.params * (100.0 + a.samples * a.thinking_tokens), convex=True)
        loss = t2.quantity(lambda a: law(a) + a.samples**-0.3 + 2.0 * a.thinking_tokens**-0.2, convex=True)
        found = t2.minimize(loss, [t2.TrainingFLOPs() + cost <= 1e24])
        assert found.allocation.thinking_tokens.dtype == jnp.float32
    wanted = wordy().allocation
    for name, value in found.allocation.variables.items():
        assert float(value) == pytest.approx(float(wanted.variables[name]), rel=3e-3), name


def test_a_start_may_hold_further_variables():
    started = wordy(start=t2.Allocation(1e10, 1e11, 4.0, thinking_tokens=10.0))
    assert float(started.value) == pytest.approx(float(wordy().value), rel=1e-12)
    with pytest.raises(AttributeError, match="this Allocation has no 'thinking_tokens'"):
        wordy(start=t2.Allocation(1e10, 1e11, 4.0))


def test_a_portfolio_with_a_further_variable():
    """One k per task in a vector, and one T for all."""
    tasks = t2.Portfolio([t2.Workload(TASK, queries=1e9), t2.Workload(t2.T2Loss(LAW, 0.5, 0.5), queries=1e7)])
    thinks = t2.quantity(lambda a: 1e12 * a.params * a.thinking_tokens, name="thinks", convex=True)
    start = t2.Allocation(1e9, 2e10, jnp.array([16.0, 16.0]), thinking_tokens=10.0)
    found = t2.minimize(tasks.quality, [TRAIN + tasks.inference + thinks <= 1e24], start=start)
    assert float(found.allocation.thinking_tokens) == pytest.approx(1.0, rel=1e-12)
    less = t2.minimize(
        tasks.quality,
        [TRAIN + tasks.inference + t2.quantity(lambda a: 1e12 * a.params, convex=True) <= 1e24],
        start=tasks.start,
    )
    np.testing.assert_allclose(found.allocation.samples, less.allocation.samples, rtol=1e-7)


def test_serving_decides_on_a_declared_batch():
    t2.Variable("batch", lower=1.0)
    serve = t2.Serving(
        t2.accelerator("h100-sxm"),
        dtype="bf16",
        prompt_tokens=100,
        output_tokens=10,
        queries_per_month=1e9,
        usd_per_hour=2.0,
    )
    assert "batch" in serve.usd_per_month.variables
    found = t2.minimize(serve.usd_per_month, [t2.params >= 1e9, serve.time_per_output_token <= 0.02])
    fixed = t2.minimize(
        serve.usd_per_month,
        [t2.params >= 1e9, serve.time_per_output_token <= 0.02],
        start=t2.Allocation(2e9, 1e9, 1.0, batch=8.0),
    )
    assert float(found.allocation.batch) > 1.0
    assert float(found.value) == pytest.approx(float(fixed.value), rel=1e-9)


# Reports


class Ranged(t2.Quantity):
    """A law that says on which T it was fitted."""

    source: Provenance = eqx.field(static=True)

    def score(self, log):
        return jnp.log(LAW(jax.tree.map(jnp.exp, log)) + 2.0 * jnp.exp(-0.2 * log.thinking_tokens))

    @property
    def curvature(self):
        return Curvature.CONVEX


def test_reports_know_further_variables():
    law = Ranged(Provenance("mine", "my runs", None, None, others={"thinking_tokens": (1.0, 500.0)}))
    found = t2.minimize(law, [spent <= 1e24])
    note = "is above the fitted range 1–500 of mine"
    assert any(one.startswith("thinking_tokens ") and one.endswith(note) for one in found.extrapolations)
    assert not bool(found.in_fit_range)
    few = t2.minimize(law, [spent <= 1e24, thinking <= 100.0])
    assert few.extrapolations == ()
    assert bool(few.in_fit_range)
    line = next(line for line in str(few).splitlines() if "thinking_tokens" in line)
    assert line.split() == ["thinking_tokens", "100.0", "tokens"]
    assert "thinking_tokens" in few._repr_html_()
    # The bound's price is what the law says: d L / d log T.
    slope = jax.grad(lambda log_t: t2.minimize(law, [spent <= 1e24, thinking <= jnp.exp(log_t)]).value)
    assert float(few.shadow_prices[1]) == pytest.approx(float(slope(jnp.log(100.0))), rel=1e-6)

    many = jax.vmap(lambda c: t2.minimize(law, [spent <= c]))(jnp.array([1e20, 1e26]))
    inside = (np.asarray(many.allocation.thinking_tokens) <= 500.0) & (
        np.asarray(many.allocation.thinking_tokens) >= 1.0
    )
    np.testing.assert_array_equal(many.in_fit_range, inside)


def test_what_nothing_limits_is_named():
    with pytest.raises(t2.NoSolutionError, match="nothing limits thinking_tokens; add a budget"):
        t2.maximize(thinking, [TRAIN <= 1e20])


def test_ranges_of_further_variables():
    source = Provenance("mine", "my runs", (1e6, 1e9), None, others={"thinking_tokens": [1, 500]})
    assert source.others == (("thinking_tokens", (1.0, 500.0)),)
    assert source.shown("thinking_tokens") == "1–500"
    assert hash(source) == hash(Provenance("mine", "my runs", (1e6, 1e9), None, others=source.others))
    assert source.outside(1e8, 1e9, thinking_tokens=501.0) == [
        "thinking_tokens 501 is above the fitted range 1–500 of mine"
    ]
    assert source.outside(1e8, 1e9) == []
    np.testing.assert_array_equal(source.holds(1e8, 1e9, 1.0, thinking_tokens=np.array([0.5, 3.0])), [False, True])
    with pytest.raises(ValueError, match="thinking_tokens of mine must be"):
        Provenance("mine", "my runs", None, None, others={"thinking_tokens": (3.0, 1.0)})


# Whole numbers


def brute_force(c, ks, ts):
    """The least loss of `wordy` over whole k and T; N and D by golden section on the budget that is left."""
    k, t = np.meshgrid(ks, ts, indexing="ij")
    high = np.log(c / (2e9 * (100 + k * t))) - 1e-9
    low = high - 30.0

    def loss(log_n):
        n = np.exp(log_n)
        d = (c - 2e9 * n * (100 + k * t)) / (6 * n)
        return 1.8172 + 482.01 / n**0.3478 + 2085.43 / d**0.3658 + k**-0.3 + 2.0 * t**-0.2

    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(70):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        falls = loss(left) > loss(right)
        low, high = np.where(falls, left, low), np.where(falls, high, right)
    values = loss(0.5 * (low + high))
    at = np.unravel_index(np.argmin(values), values.shape)
    return values[at], ks[at[0]], ts[at[1]]


@pytest.mark.parametrize("c", [3e19, 1e20, 7e20])
def test_two_whole_numbers_are_the_best_of_all(c):
    found = wordy(c, integer=[t2.samples, thinking])
    value, k, t = brute_force(c, np.arange(1, 200), np.arange(1, 3000))
    assert (float(found.allocation.samples), float(found.allocation.thinking_tokens)) == (k, t)
    assert float(found.value) == pytest.approx(value, rel=1e-12)
    assert float(found.value) >= float(wordy(c).value)


def test_whole_numbers_in_batches_and_by_declaration():
    budgets = jnp.array([3e19, 1e20])
    many = jax.jit(jax.vmap(lambda c: wordy(c, integer=[t2.samples, thinking])))(budgets)
    each = [wordy(c, integer=["samples", "thinking_tokens"]).allocation for c in (3e19, 1e20)]
    np.testing.assert_array_equal(many.allocation.samples, [float(a.samples) for a in each])
    np.testing.assert_array_equal(many.allocation.thinking_tokens, [float(a.thinking_tokens) for a in each])

    # On m devices a run is m times as fast and m^0.1 dearer: the fewest whole m that is fast enough.
    seconds = t2.quantity(lambda a: 1e12 / a.devices, name="seconds", convex=True)
    usd = t2.quantity(lambda a: a.devices**0.1, name="usd", convex=True)
    assert float(t2.minimize(usd, [seconds <= 3e9]).allocation.devices) == 334.0


def test_whole_numbers_on_a_hyperbola():
    """k + w·m on k·m ≥ A: what is next to the real optimum is rarely the best."""
    rng = np.random.default_rng(0)
    areas = np.concatenate([[97.0, 360.0, 1009.0, 12345.0], rng.uniform(50, 3000, 28)])
    weights = np.concatenate([[1.0, 1.0, 0.3, 1.1], np.exp(rng.uniform(-2, 2, 28))])

    def solve(area, weight):
        return t2.minimize(
            t2.samples + weight * devices, [t2.samples * devices >= area], integer=[t2.samples], throw=False
        )

    found = jax.jit(jax.vmap(solve))(jnp.asarray(areas), jnp.asarray(weights))
    assert p.solved(found).all()
    k = np.arange(1.0, 20001.0)
    for area, weight, value in zip(areas, weights, np.asarray(found.value), strict=True):
        assert value == pytest.approx(np.min(k + weight * np.ceil(area / k - 1e-9)), rel=1e-12)
    for whole in (found.allocation.samples, found.allocation.devices):
        np.testing.assert_array_equal(whole, np.round(whole))


def test_one_whole_number_is_as_it_was():
    options = {"queries": 1e9, "output": 500.0, "total": 1e22}
    d = p.NUMBERS | options
    one, other = p.bare(d, integer_samples=True), p.bare(d, integer=t2.samples)
    assert float(one.allocation.samples) == float(other.allocation.samples)
    assert float(one.value) == float(other.value)


def test_several_whole_numbers_of_a_portfolio():
    tasks = t2.Portfolio([t2.Workload(TASK, queries=1e9), t2.Workload(t2.T2Loss(LAW, 0.5, 0.5), queries=1e8)])
    find = functools.partial(t2.minimize, tasks.quality, [TRAIN + tasks.inference <= 3e19], start=tasks.start)
    whole, real = find(integer=[t2.samples]), find()
    np.testing.assert_array_equal(whole.allocation.samples, np.round(whole.allocation.samples))
    rounded = [
        t2.minimize(
            tasks.quality,
            [TRAIN + tasks.inference <= 3e19, t2.samples[0] == float(k), t2.samples[1] == float(m)],
            start=tasks.start,
        ).value
        for k in np.floor(real.allocation.samples[0]) + np.arange(-1, 3)
        for m in np.floor(real.allocation.samples[1]) + np.arange(-1, 3)
        if k >= 1 and m >= 1
    ]
    assert float(real.value) <= float(whole.value) <= min(map(float, rounded)) * (1 + 1e-12)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("integer", "message"),
    [
        ([3], "integer takes variables such as t2jax.samples, got 3"),
        ([thinking], "integer takes variables that are decided on, and Allocation has no 'thinking_tokens'"),
        (["sampels"], "integer takes variables that are decided on, and Allocation has no 'sampels'"),
    ],
)
def test_bad_whole_numbers(integer, message):
    with pytest.raises(TypeError) as caught:
        t2.minimize(TASK, [TRAIN + t2.InferenceFLOPs(1e9) <= 1e22], integer=integer)
    assert str(caught.value) == message


def test_ranges_of_further_variables_are_written_and_read():
    law = t2.Chinchilla(
        1.8,
        480.0,
        2000.0,
        0.35,
        0.36,
        provenance=Provenance("mine", "my runs", (1e6, 1e9), None, others={"bits": (2, 16)}),
    )
    content = json.loads(json.dumps(described(law)))
    assert content["provenance"]["others"] == {"bits": [2.0, 16.0]}
    assert built(content, "law.json").provenance == law.provenance
    for wrong, message in (
        ([2, 16], "must be an object of ranges, got [2, 16]"),
        ({"bits": [2]}, "must be [low, high]"),
    ):
        content["provenance"]["others"] = wrong
        with pytest.raises(UsageError) as caught:
            built(content, "law.json")
        assert "provenance.others" in str(caught.value)
        assert message in str(caught.value)
