"""Loss laws: printed numbers, closed forms, 50-digit values, second derivatives, convexity, ensembles, precision."""

import json
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import t2jax as t2
from t2jax.quantities import Curvature

LAWS = {
    "Chinchilla": t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658),
    "no floor": t2.Chinchilla(0.0, 1.6259e7, 9.7598e8, 0.93695, 0.93527),
    "Kaplan": t2.Kaplan(6.4e13, 1.8e13, 0.076, 0.103),
    "Overtraining": t2.Overtraining(1.5083, 141.2773, 189.5155, 0.12124),
    "DataConstrained": t2.DataConstrained(
        t2.Chinchilla(math.exp(0.6254804), math.exp(6.255414), math.exp(7.3049974), 0.3526596, 0.3526596),
        25e9,
        15.387756,
        5.309743,
    ),
}
ALL = pytest.mark.parametrize("name", LAWS)


def exact(name, n, d):
    """L(N, D) as the papers write it, in 40 digits."""
    with mp.workdps(max(40, mp.mp.dps)):
        law, n, d = LAWS[name], mp.mpf(n), mp.mpf(d)
        c = {key: mp.mpf(float(value)) for key, value in vars(law).items() if hasattr(value, "dtype")}
        if name in ("Chinchilla", "no floor"):
            return c["E"] + c["A"] / n ** c["alpha"] + c["B"] / d ** c["beta"]
        if name == "Kaplan":
            return ((c["N_c"] / n) ** (c["alpha_N"] / c["alpha_D"]) + c["D_c"] / d) ** c["alpha_D"]
        if name == "Overtraining":
            m, flops = d / n, 6 * n * d
            return c["E"] + (c["a"] * m ** c["eta"] + c["b"] * m ** -c["eta"]) * flops ** -c["eta"]
        inner = {key: mp.mpf(float(value)) for key, value in vars(law.law).items() if hasattr(value, "dtype")}
        unique = min(d, c["unique_tokens"])
        at_alpha_is_beta = (inner["alpha"] * inner["A"] / (inner["beta"] * inner["B"])) ** (1 / inner["alpha"])
        assert inner["alpha"] == inner["beta"]  # so that N_opt(U) = G²·U, as printed
        base = min(n, at_alpha_is_beta * unique)

        def effective(total, part, decay):
            return part + part * decay * (1 - mp.exp(-(total / part - 1) / decay))

        n, d = effective(n, base, c["R_N"]), effective(d, unique, c["R_D"])
        return inner["E"] + inner["A"] / n ** inner["alpha"] + inner["B"] / d ** inner["beta"]


def points(size=64, seed=0):
    rng = np.random.default_rng(seed)
    return np.exp(rng.uniform(np.log(1e5), np.log(1e14), size)), np.exp(rng.uniform(np.log(1e6), np.log(1e17), size))


@ALL
def test_values(name):
    n, d = points()
    expected = [float(exact(name, *point)) for point in zip(n, d, strict=True)]
    np.testing.assert_allclose(LAWS[name].loss(n, d), expected, rtol=5e-14)
    np.testing.assert_allclose(jax.jit(lambda n, d: LAWS[name].loss(n, d))(n, d), expected, rtol=5e-14)
    np.testing.assert_allclose(LAWS[name](t2.Allocation(n, d, 7.0)), expected, rtol=5e-14)
    one_by_one = [float(LAWS[name].loss(*point)) for point in zip(n[:5], d[:5], strict=True)]
    np.testing.assert_allclose(one_by_one, expected[:5], rtol=5e-14)


@ALL
def test_float32(name):
    n, d = (np.float32(a) for a in points())
    law = jax.tree.map(lambda a: a.astype(jnp.float32), LAWS[name])
    found = law.loss(jnp.asarray(n), jnp.asarray(d))
    assert found.dtype == jnp.float32
    # An exponent α of 24 bits is N^α to 30·α·6e-8.
    np.testing.assert_allclose(np.asarray(found, float), LAWS[name].loss(n.astype(float), d.astype(float)), rtol=1e-5)


@ALL
def test_shapes_broadcast(name):
    n, d = points(6)
    grid = LAWS[name].loss(n[:, None], d[None, :3])
    assert grid.shape == (6, 3)
    np.testing.assert_allclose(grid[4, 2], LAWS[name].loss(n[4], d[2]), rtol=1e-14)
    assert LAWS[name].loss(1e9, d).shape == (6,)
    assert LAWS[name].loss(1e9, 2e10).shape == ()
    assert LAWS[name].loss(10**9, 20 * 10**9) == LAWS[name].loss(1e9, 2e10)


def log_loss(law, log_params, log_tokens):
    return law.log_value(at_logs(log_params, log_tokens))


def at_logs(log_params, log_tokens):
    """An allocation whose entries are logarithms, as quantities take it inside."""
    return eqx.tree_at(lambda a: (a.params, a.tokens), t2.Allocation(1.0, 1.0), (log_params, log_tokens))


@ALL
def test_derivatives(name):
    """Both orders, forward and reverse, against central differences in 40 digits."""
    n, d = points(6, seed=3)
    logs, law = (jnp.log(n), jnp.log(d)), LAWS[name]
    first, both = jax.grad(log_loss, (1, 2)), (1, 2)
    slopes_of = jax.jit(jax.vmap(lambda *x: (first(law, *x), jax.jacfwd(log_loss, both)(law, *x))))
    bends_of = jax.jit(jax.vmap(lambda *x: (jax.jacfwd(first, both)(law, *x), jax.jacrev(first, both)(law, *x))))
    gradients, hessians = jnp.array(slopes_of(*logs)), jnp.array(bends_of(*logs))
    with mp.workdps(40):
        for i, (one_n, one_d) in enumerate(zip(n, d, strict=True)):

            def f(u, v, one_n=one_n, one_d=one_d):
                return mp.log(exact(name, mp.mpf(one_n) * mp.exp(u), mp.mpf(one_d) * mp.exp(v)))

            slopes = np.array([mp.diff(f, (0, 0), order) for order in ((1, 0), (0, 1))], float)
            bends = np.array([mp.diff(f, (0, 0), order) for order in ((2, 0), (1, 1), (1, 1), (0, 2))], float)
            for found in gradients:
                np.testing.assert_allclose(found[:, i], slopes, rtol=1e-12, atol=1e-14)
            for found in hessians:
                np.testing.assert_allclose(found[:, :, i].ravel(), bends, rtol=1e-10, atol=1e-13)


@ALL
def test_derivatives_in_coefficients(name):
    n, d = 3e9, 1e11
    leaves, treedef = jax.tree.flatten(LAWS[name])
    loss = jax.jit(lambda leaves: jax.tree.unflatten(treedef, leaves).loss(n, d))
    slopes = jax.grad(loss)(leaves)
    for i, leaf in enumerate(leaves):
        step = 1e-5 * float(leaf) or 1e-5
        if not float(leaf):  # E ≥ 0 has no left side
            assert float(slopes[i]) == pytest.approx(1.0, rel=1e-12)
            continue
        up, down = (float(loss([*leaves[:i], leaf + sign * step, *leaves[i + 1 :]])) for sign in (1, -1))
        assert float(slopes[i]) == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-9 / float(leaf))


@ALL
def test_ensembles(name):
    rng = np.random.default_rng(1)
    spread = jax.tree.map(lambda a: a * jnp.asarray(rng.uniform(0.95, 1.05, 5)), LAWS[name])
    found = eqx.filter_vmap(lambda law: law.loss(1e9, 2e10))(spread)
    alone = [float(jax.tree.map(lambda a, i=i: a[i], spread).loss(1e9, 2e10)) for i in range(5)]
    np.testing.assert_allclose(found, alone, rtol=1e-14)
    # Coefficients that are arrays broadcast as well.
    np.testing.assert_allclose(spread.loss(1e9, 2e10), alone, rtol=1e-14)
    assert len(set(alone)) == 5


@ALL
def test_log_loss_is_convex_in_log_allocation(name):
    """Midpoints of random segments lie below the chord, as `curvature` promises and the optimiser relies on."""
    assert LAWS[name].curvature is Curvature.CONVEX
    rng = np.random.default_rng(2)
    ends = rng.uniform([0, 0], [70, 70], (2, 200_000, 2))
    near = ends[0] + rng.normal(0, 0.1, (200_000, 2))  # short segments see small dents
    log = jax.jit(lambda x: LAWS[name].log_value(at_logs(x[:, 0], x[:, 1])))
    for other in (ends[1], near):
        chord = (log(ends[0]) + log(other)) / 2
        assert np.max(log((ends[0] + other) / 2) - chord) <= 1e-13 * np.max(np.abs(chord))


# Chinchilla


def test_closed_form_in_25_digits(shared):
    rows = json.loads((shared / "reference" / "high_precision.json").read_text())["chinchilla_closed_form"]
    laws = {
        "besiroglu_rounded": t2.published("besiroglu2024"),
        "hoffmann_rounded": t2.published("hoffmann2022"),
    }
    assert {row["law"] for row in rows} == set(laws)
    slopes_at = eqx.filter_jit(jax.grad(log_loss, (1, 2)))
    for row in rows:
        law = laws[row["law"]]
        of_params, of_tokens = law.compute_optimal_exponents()
        assert float(of_params) == pytest.approx(float(row["a"]), rel=1e-15)
        assert float(of_params + of_tokens) == pytest.approx(1.0, rel=1e-15)
        n, d = float(row["N"]), float(row["D"])
        assert float(law.loss(n, d)) == pytest.approx(float(row["loss"]), rel=1e-14)
        assert d / n == pytest.approx(float(row["tokens_per_param"]), rel=1e-14)
        # Stationary along 6ND = C.
        of_params, of_tokens = slopes_at(law, jnp.log(n), jnp.log(d))
        assert abs(float(of_params - of_tokens)) < 1e-13


# Kaplan


def test_kaplan_tends_to_its_one_variable_laws():
    law = LAWS["Kaplan"]
    assert float(law.loss(1e9, 1e30)) == pytest.approx((6.4e13 / 1e9) ** 0.076, rel=1e-6)
    assert float(law.loss(1e30, 1e10)) == pytest.approx((1.8e13 / 1e10) ** 0.103, rel=1e-6)


# Over-training


def test_overtraining_is_chinchilla_multiplied_out():
    law, (n, d) = LAWS["Overtraining"], points()
    eta = 0.12124
    same = t2.Chinchilla(1.5083, 141.2773 / 6**eta, 189.5155 / 6**eta, 2 * eta, 2 * eta)
    np.testing.assert_allclose(law.loss(n, d), same.loss(n, d), rtol=1e-14)


def test_overtraining_is_a_power_law_in_compute_at_fixed_tokens_per_param():
    law = LAWS["Overtraining"]
    reducible = [float(law.loss(n, 40 * n)) - 1.5083 for n in (1e9, 1e10)]
    assert reducible[0] / reducible[1] == pytest.approx(100**0.12124, rel=1e-12)


def test_error_from_loss():
    law = t2.ErrorFromLoss(0.84974, 2.07891, 0.75612)
    losses = jnp.array([2.0, 2.5, 3.0, 10.0])
    expected = [0.84974 - 2.07891 * math.exp(-0.75612 * x) for x in (2.0, 2.5, 3.0, 10.0)]
    np.testing.assert_allclose(law(losses), expected, rtol=1e-14)
    assert float(jax.grad(law)(jnp.array(2.5))) == pytest.approx(0.75612 * (0.84974 - expected[1]), rel=1e-13)
    many = t2.ErrorFromLoss(jnp.array([0.8, 0.9]), jnp.array([2.0, 2.0]), jnp.array([0.7, 0.7]))
    found = eqx.filter_vmap(lambda law: law(jnp.array(2.0)))(many)
    np.testing.assert_allclose(found, [0.8 - 2 * math.exp(-1.4), 0.9 - 2 * math.exp(-1.4)], rtol=1e-14)
    assert float(law(jnp.array(200.0))) == pytest.approx(0.84974, rel=1e-14)  # at chance


# Repeated data


def test_the_point_its_authors_print():
    assert float(LAWS["DataConstrained"].loss(6.34e9, 242e9)) == pytest.approx(2.2256440889984477, rel=1e-13)


@pytest.mark.parametrize(("epochs", "worth"), [(4, 3.725673), (16, 10.582457), (1, 1.0)])
def test_what_repeats_are_worth(epochs, worth):
    """D′/U, read off the loss of a model with fewer parameters than the unique tokens suffice for."""
    law = LAWS["DataConstrained"]
    c, n = law.law, 1e7
    of_tokens = float(law.loss(n, epochs * 25e9)) - float(c.E + c.A / n**c.alpha)
    assert float(c.B / of_tokens) ** (1 / float(c.beta)) / 25e9 == pytest.approx(worth, abs=6e-7)


def test_data_that_suffices_is_chinchilla():
    """Few parameters and no repeats: N′ = N, D′ = D, also exactly at one epoch."""
    law = LAWS["DataConstrained"]
    d = np.array([1e9, 1e10, 25e9])
    n = 1e-3 * d
    np.testing.assert_allclose(law.loss(n, d), law.law.loss(n, d), rtol=1e-14)


def test_repeats_never_beat_new_data_and_stop_helping():
    law = LAWS["DataConstrained"]
    d = np.geomspace(1e9, 1e14, 200)
    losses = np.asarray(law.loss(1e8, d))
    assert np.all(losses >= np.asarray(law.law.loss(1e8, d)) * (1 - 1e-14))
    assert np.all(np.diff(losses) <= 0)
    limit = law.law.loss(1e8, 25e9 * (1 + 15.387756))
    assert float(law.loss(1e8, 1e16)) == pytest.approx(float(limit), rel=1e-12)


def test_derivatives_are_finite_where_one_epoch_ends():
    law = LAWS["DataConstrained"]
    logs = jnp.log(jnp.array([[1e8, 25e9], [1e20, 1e9], [1e20, 1e20], [1.0, 1e20]])).T
    both = (1, 2)
    found = jax.jit(jax.vmap(lambda *x: (jax.grad(log_loss, both)(law, *x), jax.hessian(log_loss, both)(law, *x))))(
        *logs
    )
    assert all(np.all(np.isfinite(one)) for one in jax.tree.leaves(found))


# Bad input

NAN, INF = float("nan"), float("inf")
MESSAGES = [
    (lambda: t2.Chinchilla(-1, 2, 3, 0.3, 0.3), ValueError, "E must be zero or positive, and finite, got -1"),
    (lambda: t2.Chinchilla(1, 0, 3, 0.3, 0.3), ValueError, "A must be positive and finite, got 0"),
    (lambda: t2.Chinchilla(1, 2, NAN, 0.3, 0.3), ValueError, "B must be positive and finite, got nan"),
    (lambda: t2.Chinchilla(1, 2, 3, INF, 0.3), ValueError, "alpha must be positive and finite, got inf"),
    (lambda: t2.Chinchilla(1, 2, 3, 0.3, -0.3), ValueError, "beta must be positive and finite, got -0.3"),
    (lambda: t2.Chinchilla(1, 2, 3, "x", 0.3), TypeError, "alpha must be a number, got 'x'"),
    (lambda: t2.Chinchilla(None, 2, 3, 0.3, 0.3), TypeError, "E must be a number, got None"),
    (
        lambda: t2.Chinchilla(1, 2, 3, np.float16(0.3), 0.3),
        TypeError,
        "alpha is float16, which cannot hold FLOPs or tokens: use float32 or float64",
    ),
    (
        lambda: t2.Chinchilla(1, [1.0, -2.0], 3, 0.3, 0.3),
        ValueError,
        "A must be positive and finite, got [ 1., -2.] (shape (2,))",
    ),
    (lambda: t2.Kaplan(6.4e13, -1, 0.1, 0.1), ValueError, "D_c must be positive and finite, got -1"),
    (lambda: t2.Overtraining(1.5, 2, 3, 0), ValueError, "eta must be positive and finite, got 0"),
    (lambda: t2.ErrorFromLoss(1.5, 2, 3), ValueError, "epsilon must be strictly between 0 and 1, got 1.5"),
    (lambda: t2.ErrorFromLoss(0.5, 2, -3), ValueError, "gamma must be positive and finite, got -3"),
    (
        lambda: t2.DataConstrained(LAWS["Chinchilla"], 0, 1, 1),
        ValueError,
        "unique_tokens must be positive and finite, got 0",
    ),
    (
        lambda: t2.DataConstrained(LAWS["Chinchilla"], 1e9, 15, -5),
        ValueError,
        "R_N must be positive and finite, got -5",
    ),
    (lambda: LAWS["Kaplan"].loss(1e9, -1), ValueError, "tokens must be positive and finite, got -1"),
    (lambda: LAWS["Kaplan"].loss("1B", 1), TypeError, "params must be a number, got '1B'"),
]


@pytest.mark.parametrize(("make", "error", "message"), MESSAGES)
def test_bad_input(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.usefixtures("untyped")
def test_data_constrained_extends_chinchilla():
    with pytest.raises(TypeError) as caught:
        t2.DataConstrained(LAWS["Kaplan"], 1e9, 15.0, 5.0)
    assert str(caught.value) == "DataConstrained extends a Chinchilla law, got Kaplan"
