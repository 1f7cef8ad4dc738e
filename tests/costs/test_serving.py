"""Serving against the roofline written out, published figures, and optima found another way."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import compute_optimal_params
from scipy.optimize import brentq

import t2jax as t2
from t2jax.costs._architecture import CacheShape
from t2jax.quantities import Curvature

F, BW = 312e12, 2e12
CARD = t2.Hardware("card", peak_flops={"bf16": F}, memory_bytes=80e9, bandwidth=BW, power_watts=400.0)
POINT = t2.FixedShape(1e-9, 1, 1, 1)  # attention and cache next to nothing
LAW, TRAIN = t2.published("besiroglu2024"), t2.TrainingFLOPs()
SOME = {"batch": 64, "prompt_tokens": 1000, "output_tokens": 500, "queries_per_month": 1e8, "usd_per_hour": 2.5}
MORE = {"devices": 4, "tensor_parallel_efficiency": 0.8, "mfu": 0.5, "mbu": 0.7, "utilization": 0.6}
ALL = [
    "tokens_per_second",
    "time_per_output_token",
    "time_to_first_token",
    "replica_memory",
    "replica_hours",
    "usd_per_month",
    "usd_per_million_tokens",
    "energy_kwh",
]


def at(params, samples=1.0):
    return t2.Allocation(params, 1e12, samples)


def width_times_layers(N):
    return (N / 12) ** (2 / 3) / 128 ** (1 / 3)


def step(N, *, b=1.0, context=0.0, p=math.inf, flops=F, bandwidth=BW, g=4.0):
    """Seconds of one decode step, written out."""
    h = width_times_layers(N)
    computing, reading = b * (2 * N + 4 * context * h) / flops, (2 * N + b * context * 2 * 2 * h / g) / bandwidth
    return max(computing, reading) if p == math.inf else (computing**p + reading**p) ** (1 / p)


# Published figures


def test_decoding_is_bound_by_bandwidth_and_then_by_computing():
    """EQUATIONS §4: a 7B model in fp16 on 2e12 B/s writes 142.9 tokens/s at b = 1, not 143,000."""

    def speed(b):
        serve = t2.Serving(CARD, batch=b, output_tokens=1, architecture=POINT)
        return float(serve.tokens_per_second(at(7e9)))

    assert speed(1) == pytest.approx(1 / 0.007, rel=1e-9)
    assert round(speed(1), 1) == 142.9
    assert speed(100) == pytest.approx(100 / 0.007, rel=1e-6)
    # Compute-bound above b = F/BW = 156: twice the batch is no faster.
    assert speed(300) == pytest.approx(F / 14e9, rel=1e-6)
    assert speed(600) == pytest.approx(F / 14e9, rel=1e-6)
    assert speed(156) == pytest.approx(F / 14e9 / 2 ** (1 / 32), rel=1e-9)  # the rounded corner: 2.2 % below the roof


def test_memory_of_a_replica():
    serve = t2.Serving(CARD, batch=1, output_tokens=1, architecture=POINT)
    assert float(serve.replica_memory(at(70e9))) == pytest.approx(140e9, rel=1e-9)
    assert float(serve.memory_available) == 72e9
    # Llama 3 8B: 32 layers, 8 KV heads of 128: 131,072 bytes of cache a token.
    llama = t2.Serving(CARD, batch=2, output_tokens=100, prompt_tokens=400, architecture=t2.FixedShape(32, 32, 8, 128))
    assert float(llama.replica_memory(at(8e9))) == pytest.approx(16e9 + 2 * 500 * 131_072, rel=1e-12)


def test_a_cache_as_given():
    """Qwen2.5-7B, 28 layers of 4 KV heads of 128: 7.61 GB at int8 and 17.6 GB for 100 sequences of 3,072 tokens."""
    numbers = 2 * 28 * 4 * 128
    some = {"batch": 100, "prompt_tokens": 2048, "output_tokens": 1024, "bytes_per_param": 1}
    serve = t2.Serving(CARD, **some, architecture=CacheShape(4, 128, 28))
    assert float(serve.replica_memory(at(7.61e9))) == pytest.approx(7.61e9 + 100 * 3072 * numbers * 2, rel=1e-12)
    assert round(float(serve.replica_memory(at(7.61e9))) / 1e9, 1) == 25.2
    # Without layers those of N: N = 12·n·d² and d = 128·n.
    of_n = t2.Serving(CARD, **some, architecture=CacheShape(4, 128))
    layers = (7.61e9 / 12 / 128**2) ** (1 / 3)
    cache = 100 * 3072 * 2 * layers * 4 * 128 * 2
    assert float(of_n.replica_memory(at(7.61e9))) == pytest.approx(7.61e9 + cache, rel=1e-12)
    assert float(CacheShape(4, 128).layers(7.61e9)) == pytest.approx(layers, rel=1e-12)
    # A decode step reads the cache that is given and computes the attention of the shape law.
    context, h = 2048 + 512, width_times_layers(7.61e9)
    computing = 100 * (2 * 7.61e9 + 4 * context * h) / F
    reading = (7.61e9 + 100 * context * numbers * 2) / BW
    expected = (computing**32 + reading**32) ** (1 / 32)
    assert float(serve.time_per_output_token(at(7.61e9))) == pytest.approx(expected, rel=1e-12)
    assert float(CacheShape(4, 128, 28).width(7.61e9)) == float(t2.ShapeLaw().width(7.61e9))


def test_kinetics():
    """Qwen3-8B, 256 tokens in, 4,096 out: the two numbers of Kinetics' code, in TFLOP."""
    shape = t2.FixedShape(layers=36, heads=32, kv_heads=8, head_dim=128)
    at_qwen = at(8.19e9)
    cost = functools.partial(t2.EquivalentFLOPs, 1, 256, 4096, architecture=shape, prefill=False)
    compute = float(cost(intensity=1e-20)(at_qwen)) / 1e12
    assert compute == pytest.approx(72.658757615616, rel=1e-13)
    both = float(cost(intensity=562.5)(at_qwen)) / 1e12
    assert both - compute == pytest.approx(782.757789696, rel=1e-13)
    # k samples share the prompt's cache, if told so, and its processing.
    k, N, h = 3, 8.19e9, 32 * 128 * 36
    prompt = 2 * N * 256 + 2 * 256**2 * h
    one = 2 * N * 4096 + 2 * (2 * 256 + 4096) * 4096 * h
    for share, prompts, reads in ((True, 1, 2 * 256 + k * 4096), (False, k, k * (2 * 256 + 4096))):
        whole = t2.EquivalentFLOPs(10, 256, 4096, intensity=562.5, architecture=shape, share_prompt=share)
        expected = 10 * (prompts * prompt + k * one + 562.5 * 2 * reads * 4096 * h / 4)
        assert float(whole(at(N, k))) == pytest.approx(expected, rel=1e-13)


def test_the_law_of_shapes():
    law = t2.ShapeLaw()
    for params, layers, width in ((6.74e9, 32, 4096), (70e9, 80, 8192), (405e9, 126, 16384), (8.19e9, 36, 4096)):
        known = t2.FixedShape(layers, 32, 8, width / 32)
        product = float(law.layers(params) * law.width(params))
        assert product == pytest.approx(float(known.layers(params) * known.width(params)), rel=0.05)
        assert product == pytest.approx(width_times_layers(params), rel=1e-12)
        assert 12 * product * float(law.width(params)) == pytest.approx(params, rel=1e-12)


# Formulas


@pytest.mark.parametrize("p", [1.0, 32.0, math.inf])
def test_every_figure_written_out(p):
    serve = t2.Serving(t2.accelerator("h100-sxm"), **SOME, **MORE, overlap_order=p)
    N, k, n = 13e9, 5.0, 4
    flops, bandwidth = n * 0.8 * 0.5 * 989.4e12, n * 0.8 * 0.7 * 3.35e12
    one = step(N, b=64, context=1250, p=p, flops=flops, bandwidth=bandwidth)
    prompt = 2 * N * 1000 + 2 * 1000**2 * width_times_layers(N)
    query = prompt / flops + k * 500 * one / 64
    hours = 1e8 * query / 0.6 / 3600
    weights = 2 * N / bandwidth
    first = max(prompt / flops, weights) if p == math.inf else ((prompt / flops) ** p + weights**p) ** (1 / p)
    expected = {
        "time_per_output_token": one,
        "tokens_per_second": 64 / one,
        "time_to_first_token": first,
        "replica_memory": 2 * N + 64 * 1500 * 2 * 2 * width_times_layers(N) / 4,
        "replica_hours": hours,
        "usd_per_month": hours * n * 2.5,
        "usd_per_million_tokens": 1e6 * hours * n * 2.5 / (1e8 * k * 500),
        "energy_kwh": hours * n * 0.7,
    }
    assert sorted(expected) == sorted(ALL)
    for name, value in expected.items():
        assert float(getattr(serve, name)(at(N, k))) == pytest.approx(value, rel=1e-12), name
    bill = serve.bill(at(N, k))
    assert bill._asdict() == pytest.approx({**expected, "memory_available": 4 * 72e9}, rel=1e-12)


def test_price_per_token_is_price_per_hour_over_tokens_per_hour():
    serve = t2.Serving(CARD, batch=8, output_tokens=300, usd_per_hour=2.0)  # no prompts
    speed = float(serve.tokens_per_second(at(7e9, 9)))
    assert float(serve.usd_per_million_tokens(at(7e9, 9))) == pytest.approx(2.0 / 3600 / speed * 1e6, rel=1e-12)
    # One prompt for all samples, or one for each.
    prompts = {**SOME, "queries_per_month": 1.0}
    shared, apart = (
        t2.Serving(CARD, **prompts, share_prompt=share).replica_hours(at(7e9, 9)) for share in (True, False)
    )
    prompt = (2 * 7e9 * 1000 + 2 * 1000**2 * width_times_layers(7e9)) / F / 3600
    assert float(apart - shared) == pytest.approx(8 * prompt, rel=1e-9)


DIFFERENT = ["time_per_output_token", "time_to_first_token", "replica_memory", "usd_per_million_tokens", "energy_kwh"]
"""The others are these, or their ratios to a constant."""


def figures(hardware, batch, N, k, names=DIFFERENT, **options):
    """Them, as scores."""
    serve = t2.Serving(hardware, **{**SOME, **MORE, **options, "batch": batch})
    log = jax.tree.map(jnp.log, at(N, k))
    return jnp.stack([getattr(serve, name).score(log) for name in names])


def test_single_precision():
    double = figures(t2.accelerator("h100-sxm"), 64.0, 13e9, 5.0, names=ALL)
    with jax.enable_x64(False):
        single = figures(t2.accelerator("h100-sxm"), 64.0, 13e9, 5.0, names=ALL)
        flops = t2.EquivalentFLOPs(1e12, 1e5, 1e6, intensity=562.5)(at(1e12, 1e3))
    assert single.dtype == flops.dtype == jnp.float32
    np.testing.assert_allclose(np.asarray(single, float), double, atol=3e-5)
    exact = t2.EquivalentFLOPs(1e12, 1e5, 1e6, intensity=562.5)(at(1e12, 1e3))
    assert float(flops) == pytest.approx(float(exact), rel=1e-4)


def test_batches_and_derivatives():
    def of(x):
        b, N, k, bandwidth, prompt = x
        card = eqx.tree_at(lambda one: one.bandwidth, CARD, bandwidth)
        return figures(card, b, N, k, prompt_tokens=prompt)

    x = jnp.array([60.0, 13e9, 5.0, BW, 1000.0])
    here, steps = jnp.tile(x, (5, 1)), 1e-5 * jnp.diag(x)
    together = jax.jit(jax.vmap(of))(jnp.concatenate([here + steps, here - steps]))
    np.testing.assert_allclose(together[3], of(x + steps[3]), rtol=1e-12)
    np.testing.assert_allclose(together[9], of(x - steps[4]), rtol=1e-12)
    derivatives = jax.jit(lambda x: (jax.jacfwd(of)(x), jax.jacrev(of)(x)))
    forward, reverse = (np.asarray(one) * np.asarray(x) for one in derivatives(x))
    np.testing.assert_allclose(reverse, forward, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(forward.T, (together[:5] - together[5:]) / 2e-5, atol=1e-8)
    # No prompt at all is no hole in the derivatives.
    assert np.all(np.isfinite(derivatives(x.at[4].set(0.0))))


class Sampled(eqx.Module):
    params: jax.Array
    samples: jax.Array
    batch: jax.Array


def test_what_is_called_convex_is():
    """Midpoints of random pairs of decisions, in logarithms; of the rounded and the perfect overlap."""
    rng = np.random.default_rng(0)
    ends = rng.uniform(np.log([1e7, 1.0, 1.0]), np.log([1e13, 1e4, 1e4]), (2, 500, 3))
    for p in (32.0, math.inf):
        serve = t2.Serving(CARD, **{**SOME, "batch": None}, **MORE, overlap_order=p)
        for name in ALL:
            one = getattr(serve, name)
            if name == "tokens_per_second":
                assert one.curvature is Curvature.UNKNOWN
                continue
            assert one.curvature is Curvature.CONVEX
            start, end, middle = (
                one.score(Sampled(*map(jnp.asarray, where.T))) for where in (*ends, ends.mean(axis=0))
            )
            assert np.all(middle <= (start + end) / 2 + 1e-9), name


# Optima


class Plan(eqx.Module):
    """A decision on size and batch."""

    params: jax.Array
    batch: jax.Array


def test_laws_and_costs_take_a_decision_with_more_in_it():
    class Whole(eqx.Module):
        params: jax.Array
        tokens: jax.Array
        samples: jax.Array
        batch: jax.Array

    whole = Whole(*map(jnp.array, (1e9, 1e12, 3.0, 16.0)))
    serve, fixed = (t2.Serving(CARD, **{**SOME, "batch": b}) for b in (None, 16.0))
    assert float(serve.usd_per_month(whole)) == pytest.approx(float(fixed.usd_per_month(at(1e9, 3.0))), rel=1e-12)
    assert float((TRAIN + t2.InferenceFLOPs())(whole)) == float((TRAIN + t2.InferenceFLOPs())(at(1e9, 3.0)))
    assert float(t2.T2Loss(LAW, 1.0, 0.3)(whole)) == float(t2.T2Loss(LAW, 1.0, 0.3)(at(1e9, 3.0)))


def best(serve, *, train=1e23, seconds=0.05, usd=1e9, least=1e6, **options):
    """The best law under every kind of limit; one compiled program for all of the numbers."""
    limits = [train >= TRAIN, serve.time_per_output_token <= seconds, serve.replica_memory <= serve.memory_available]
    return t2.minimize(LAW, [*limits, serve.usd_per_month <= usd, t2.params >= least], throw=False, **options)


def bounded(**options):
    return t2.Serving(CARD, **{**SOME, "batch": 16.0, **options})


def test_latency_bounds_the_model():
    free, found = best(bounded()), best(bounded(), seconds=0.005)
    assert bool(free.ok & found.ok)
    # Without it binding, Chinchilla's closed form.
    optimum = compute_optimal_params(1e23, *(float(x) for x in (LAW.A, LAW.B, LAW.alpha, LAW.beta)))
    assert float(free.allocation.params) == pytest.approx(optimum, rel=1e-7)
    # The size at which a step takes that long, by bisection; tokens are what the budget leaves.
    N = brentq(lambda N: step(N, b=16, context=1250, p=32) - 0.005, 1e6, 1e12, xtol=1.0)
    assert float(found.allocation.params) == pytest.approx(N, rel=1e-8)
    assert float(found.allocation.tokens) == pytest.approx(1e23 / 6 / N, rel=1e-8)
    assert float(found.slacks[1]) == pytest.approx(0, abs=1e-9)
    assert float(found.slacks[2]) > 0
    assert float(found.shadow_prices[1]) < 0


def test_money_bounds_it_in_any_currency():
    dollars, cents = best(bounded(), usd=5e4), best(bounded(usd_per_hour=250.0), usd=5e6)
    assert bool(dollars.ok & cents.ok)
    assert float(dollars.slacks[3]) == pytest.approx(0, abs=1e-9)
    for one, other in zip(jax.tree.leaves(dollars.allocation), jax.tree.leaves(cents.allocation), strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-9)

    # The size that the money serves, by bisection on the formula written out.
    def usd(N):
        prompt = (2 * N * 1000 + 2 * 1000**2 * width_times_layers(N)) / F
        return 1e8 * (prompt + 500 * step(N, b=16, context=1250, p=32) / 16) / 3600 * 2.5

    assert float(dollars.allocation.params) == pytest.approx(brentq(lambda N: usd(N) - 5e4, 1e6, 1e12), rel=1e-8)


def test_a_model_that_fits_no_replica():
    found = best(bounded(), train=1e25, least=70e9)
    assert found.reason == "infeasible: no allocation satisfies all constraints"
    with pytest.raises(ValueError, match=r".") as caught:
        t2.Serving(CARD, batch=1, output_tokens=1, architecture=POINT).bill(at(70e9))
    assert str(caught.value) == (
        "the model does not fit: a replica needs 140.0 GB (140.0 GB of weights, 0.0 GB of KV cache) and has 72.0 GB "
        "on 1 x card: use at least 2 devices, a smaller batch or fewer bytes per number"
    )
    t2.Serving(CARD, batch=1, output_tokens=1, architecture=POINT, devices=2).bill(at(70e9))
    assert bool(best(bounded(devices=3.0), train=1e25, least=70e9).ok)


@pytest.mark.slow
def test_the_batch_as_a_decision_and_derivatives_through_it():
    """The largest model served at this speed and this price: the batch is what latency allows."""

    def served(card):
        return t2.Serving(card, **{**SOME, "batch": None})

    def size(log_bandwidth):
        card = eqx.tree_at(lambda one: one.bandwidth, CARD, jnp.exp(log_bandwidth))
        limits = [served(card).time_per_output_token <= 0.03, served(card).usd_per_million_tokens <= 0.5]
        found = t2.maximize(t2.params, limits, start=Plan(jnp.array(1e9), jnp.array(8.0)))
        return jnp.log(found.allocation.params), found.allocation.batch

    def batch(N, bandwidth):
        return brentq(lambda b: step(N, b=b, context=1250, p=32, bandwidth=bandwidth) - 0.03, 1e-6, 1e5, rtol=1e-14)

    def excess(N, bandwidth):
        prompt = (2 * N * 1000 + 2 * 1000**2 * width_times_layers(N)) / F
        return (prompt / 500 + 0.03 / batch(N, bandwidth)) / 3600 * 2.5e6 - 0.5

    def oracle(log_bandwidth):
        return math.log(brentq(lambda N: excess(N, math.exp(log_bandwidth)), 1e9, 2e10, rtol=1e-14))

    here = math.log(BW)
    (value, b), slope = jax.jit(jax.value_and_grad(size, has_aux=True))(here)  # jitted, to compile once
    assert float(value) == pytest.approx(oracle(here), rel=1e-10)
    assert float(b) == pytest.approx(batch(math.exp(oracle(here)), BW), rel=1e-8)
    assert float(slope) == pytest.approx((oracle(here + 1e-4) - oracle(here - 1e-4)) / 2e-4, rel=1e-5)


def test_an_optimum_in_the_corner_of_the_roofline():
    """Training falls with N as steeply as serving rises, by a slope between that of reading and that of computing."""
    serve = functools.partial(t2.Serving, CARD, **{**SOME, "batch": 800.0})

    def apart(N):
        computing = 800 * (2 * N + 5000 * width_times_layers(N)) / F
        return computing - (2 * N + 800 * 1250 * width_times_layers(N)) / BW

    law, corner = LAW, brentq(apart, 1e9, 1e13)
    loss = float(law.loss(corner, 100 * corner))
    E, A, B, alpha, beta = (float(x) for x in (LAW.E, LAW.A, LAW.B, LAW.alpha, LAW.beta))

    def train(N):
        return 6 * N * ((loss - E - A / N**alpha) / B) ** (-1 / beta)

    usd = serve(overlap_order=math.inf).usd_per_month
    rises = [float(usd(at(corner * math.exp(x)))) for x in (-1e-5, 0.0, 1e-5)]
    weight = -(rises[2] - rises[0]) / (train(corner * math.exp(1e-5)) - train(corner * math.exp(-1e-5)))
    found = t2.minimize(weight * TRAIN + serve().usd_per_month, [law <= loss])
    assert float(found.allocation.params) == pytest.approx(corner, rel=0.01)
    exact = weight * train(corner) + rises[1]
    assert exact < float(found.value) < 1.022 * exact


def test_samples_are_dearer_than_their_flops():
    """Kinetics: at what the plan for 2N a token really costs, another has a larger model, fewer samples, less loss."""
    work = (1e8, 256.0, 4096.0)
    real = t2.EquivalentFLOPs(*work, intensity=562.5)
    # Every size, with the tokens and samples that both budgets leave; FLOPs first.
    N, P, T = np.geomspace(1e9, 1e10, 20_001), 256, 4096
    h = width_times_layers(N)

    def best_of(once, per_sample, budget):
        k = (budget / 1e8 - once) / per_sample
        loss = np.asarray(LAW.loss(N, 1e23 / 6 / N)) + np.where(k >= 1, np.maximum(k, 1.0), np.nan) ** -0.3
        i = np.nanargmin(loss)
        return N[i], k[i], loss[i]

    plan = best_of(2 * N * P, 2 * N * T, 1e23)
    budget = float(real(at(*plan[:2])))
    per_sample = 2 * N * T + 2 * (2 * P + T) * T * h + 562.5 * 2 * T * T * h / 4
    dearer = best_of(2 * N * P + 2 * P * P * h + 562.5 * 2 * 2 * P * T * h / 4, per_sample, budget)
    found = t2.minimize(t2.T2Loss(LAW, G=1.0, gamma=0.3), [TRAIN <= 1e23, real <= budget])
    assert float(found.value) == pytest.approx(dearer[2], rel=1e-8)
    assert float(found.allocation.params) == pytest.approx(dearer[0], rel=1e-3)
    assert float(found.value) < plan[2]
    # What the docstring says.
    assert [f"{x:.3g}" for x in plan[:2]] == ["1.88e+09", "65"]
    assert [f"{float(x):.3g}" for x in (found.allocation.params, found.allocation.samples)] == ["3.19e+09", "45.1"]


# What is said of bad input


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: bounded(mfu=1.2), ValueError, "mfu must be above 0 and at most 1, got 1.2"),
        (lambda: bounded(mbu=0), ValueError, "mbu must be above 0 and at most 1, got 0"),
        (lambda: bounded(batch=0), ValueError, "batch must be positive and finite, got 0"),
        (lambda: bounded(output_tokens=0), ValueError, "output_tokens must be positive and finite, got 0"),
        (lambda: bounded(dtype="fp8"), ValueError, "card has no peak in 'fp8', only in bf16"),
        (
            lambda: bounded(overlap_order=0.5),
            ValueError,
            "overlap_order must be a number of at least 1, or math.inf, got 0.5",
        ),
        (
            lambda: t2.Serving("h100-sxm", output_tokens=1),
            TypeError,
            "Serving takes a Hardware first, such as t2jax.accelerator('h100-sxm'), got 'h100-sxm'",
        ),
        (
            lambda: bounded(architecture="llama"),
            TypeError,
            "architecture must be a ShapeLaw or a FixedShape, got 'llama'",
        ),
        (
            lambda: bounded(usd_per_hour=None).usd_per_month,
            ValueError,
            "usd_per_month needs usd_per_hour: give it to Serving",
        ),
        (
            lambda: bounded(queries_per_month=None).energy_kwh,
            ValueError,
            "energy_kwh needs queries_per_month: give it to Serving",
        ),
        (
            lambda: t2.Serving(t2.accelerator("tpu-v6e"), **SOME).energy_kwh,
            ValueError,
            "energy_kwh needs the power of tpu-v6e, which its maker does not publish: "
            "describe it with Hardware(..., power_watts=...)",
        ),
        (
            lambda: bounded(batch=None).time_per_output_token(at(1e9)),
            TypeError,
            "time_per_output_token: Allocation has no coordinate 'batch': give Serving a batch, or decide on one "
            "with start=",
        ),
        (
            lambda: bounded().bill(at(jnp.array([1e9, 2e9]))),
            TypeError,
            "a bill is for one decision outside jit and vmap: call the quantities instead",
        ),
        (
            lambda: t2.EquivalentFLOPs(intensity=0.0),
            ValueError,
            "intensity must be positive and finite, got 0.0",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.usefixtures("untyped")
def test_switches_are_yes_or_no():
    with pytest.raises(TypeError, match=r"^share_prompt must be True or False, got 'no'$"):
        bounded(share_prompt="no")
    with pytest.raises(TypeError, match=r"^prefill must be True or False, got 1$"):
        t2.EquivalentFLOPs(intensity=1.0, prefill=1)


def test_a_bill_is_readable():
    serve = t2.Serving(t2.accelerator("tpu-v6e"), **SOME, devices=8)
    lines = str(serve.bill(at(8e9, 4))).splitlines()
    assert len(lines) == 7  # no energy
    assert any("ms" in line for line in lines)
    assert len(str(t2.Serving(CARD, batch=4, output_tokens=10).bill(at(8e9))).splitlines()) == 4
    assert str(serve.usd_per_month <= 1e5) == "usd_per_month <= 100,000"
