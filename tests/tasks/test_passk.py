"""pass@k against exact rational arithmetic, direct sums and mpmath."""

import json
import os
from fractions import Fraction
from functools import partial
from math import comb

import equinox as eqx
import jax
import jax.export
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from t2jax.tasks._passk import BetaPassRate, pass_at_k

BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32])
mp.mp.dps = 50


@pytest.fixture(scope="module")
def reference(shared) -> dict[str, list]:
    file = shared / "reference" / "high_precision.json"
    if not file.is_file():
        pytest.skip(f"no reference values at {file}")
    return json.loads(file.read_text())


def _exact(n: int, c: int, k: int) -> Fraction:
    return 1 - Fraction(comb(n - c, k), comb(n, k))


# From counts


def test_pass_at_k_of_the_literature():
    assert pass_at_k(5, 2, 2) == pytest.approx(0.7, rel=1e-14)
    assert pass_at_k(10, 3, 5) == pytest.approx(0.9166666667, rel=1e-10)
    assert pass_at_k(10000, 122, 100) == pytest.approx(0.7087746131, rel=1e-9)


def test_pass_at_k_is_exact_for_every_small_count():
    cases = [(n, c, k) for n in range(1, 23) for c in range(n + 1) for k in range(1, n + 1)]
    n, c, k = np.array(cases).T
    expected = [float(_exact(*case)) for case in cases]
    np.testing.assert_allclose(pass_at_k(n, c, k), expected, rtol=2e-14)
    np.testing.assert_allclose(jax.jit(pass_at_k)(n, c, k), expected, rtol=2e-14)
    assert np.all(np.asarray(pass_at_k(n, c, k))[n - c < k] == 1.0)
    assert np.all(np.asarray(pass_at_k(n, c, k))[c == 0] == 0.0)


def test_pass_at_k_is_exact_for_large_counts():
    cases = [
        (10**7, 1, 3),
        (10**7, 5, 10**6),
        (10**7, 9_000_000, 2),
        (2980608, 4, 1),
        (10**6, 10**5, 50),
        (9999, 1, 9998),
    ]
    rng = np.random.default_rng(0)
    for n in rng.integers(100, 10**7, 60).tolist():
        c, k = (max(1, int(n * rng.uniform() ** 8)) for _ in range(2))
        cases.append((n, c, k))
    expected = []
    with mp.workdps(60):  # 60 - 9 digits survive the subtraction of lgammas near 1e8
        for n, c, k in cases:
            g = [mp.loggamma(x) for x in (n - c + 1, n - k + 1, n - c - k + 1, n + 1)] if n - c >= k else None
            expected.append(float(-mp.expm1(g[0] + g[1] - g[2] - g[3])) if g else 1.0)
    n, c, k = np.array(cases).T
    np.testing.assert_allclose(pass_at_k(n, c, k), expected, rtol=1e-13)
    np.testing.assert_allclose(jax.jit(pass_at_k)(n, c, k), expected, rtol=1e-13)


def test_pass_at_k_matches_the_reference_file(reference):
    for row in reference["pass_at_k"]:
        value = float(pass_at_k(row["n"], row["c"], row["k"]))
        assert value == pytest.approx(float(row["value"]), rel=1e-13, abs=0), row
        with np.errstate(divide="ignore"):
            assert -np.log(value) == pytest.approx(float(row["neg_log"]), rel=1e-12, abs=0), row


def test_the_reference_file_in_float32(reference):
    """DESIGN's bar for float32 is 1e-5. (−log of a pass@k near 1 is left out: float32 has no digits for it.)"""
    with jax.enable_x64(False):
        for row in reference["pass_at_k"]:
            found = jax.jit(pass_at_k)(float(row["n"]), float(row["c"]), float(row["k"]))
            assert found.dtype == jnp.float32
            assert float(found) == pytest.approx(float(row["value"]), rel=1e-5, abs=0), row
        for row in reference["beta_pass_at_k"]:
            found = BetaPassRate(float(row["a"]), float(row["b"])).pass_at_k(row["k"])
            assert found.dtype == jnp.float32
            assert float(found) == pytest.approx(float(row["value"]), rel=1e-5, abs=0), row


def test_pass_at_k_broadcasts_problems_against_ks():
    n, c, k = np.array([[10], [20], [7]]), np.array([[3], [0], [7]]), np.array([1, 2, 5, 7])
    table = pass_at_k(n, c, k)
    expected = [[float(_exact(int(i), int(j), int(m))) for m in k] for i, j in zip(n[:, 0], c[:, 0], strict=True)]
    np.testing.assert_allclose(table, expected, rtol=1e-14)
    lanes = jax.vmap(lambda n, c: jax.vmap(lambda k: pass_at_k(n, c, k))(k))(n[:, 0], c[:, 0])
    np.testing.assert_allclose(lanes, table, rtol=1e-14)


def test_pass_at_k_is_computed_in_float64_whatever_comes_back():
    with jax.enable_x64(False):
        value = pass_at_k(10**7, 3, 11)
        traced = jax.jit(pass_at_k)(jnp.array(10_000_000), 3, 11)
        assert value.dtype == traced.dtype == jnp.float32
    assert float(value) == float(np.float32(float(_exact(10**7, 3, 11))))
    assert float(traced) == pytest.approx(float(_exact(10**7, 3, 11)), rel=1e-6)
    assert pass_at_k(np.uint8(200), np.uint8(7), np.int16(100)) == pytest.approx(float(_exact(200, 7, 100)), rel=1e-14)
    assert pass_at_k(200.0, 7.0, 100).dtype == jnp.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (5, 2, 6),
            "pass@k is undefined for k above num_samples, got k = 6 and num_samples = 5: "
            "ask for a smaller k, or leave out the problems with fewer than k samples",
        ),
        (
            ([[50], [10]], 5, [1, 20]),
            "pass@k is undefined for k above num_samples, got k = 20 and num_samples = 10: "
            "ask for a smaller k, or leave out the problems with fewer than k samples (at index 1, 1)",
        ),
        ((5, 6, 2), "num_correct must not exceed num_samples, got num_correct = 6 of num_samples = 5"),
        ((5, [2, 6], 2), "num_correct must not exceed num_samples, got num_correct = 6 of num_samples = 5 "
         "(at index 1)"),
        ((5, 2, 0), "k must be 1 or more, got 0"),
        ((5, 2, 1.5), "k must be whole numbers, zero or more, got 1.5"),
        ((5, -1, 2), "num_correct must be whole numbers, zero or more, got -1"),
        ((np.nan, 1, 2), "num_samples must be whole numbers, zero or more, got nan"),
        (
            (np.full(3, 9), 1, np.array([1, 2])),
            "num_samples, num_correct and k must have shapes that broadcast, got num_samples (3,), num_correct (), "
            "k (2,)",
        ),
    ],
)  # fmt: skip
def test_pass_at_k_refuses_what_is_undefined(arguments, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        pass_at_k(*arguments)
    assert str(error.value) == message


def test_pass_at_k_refuses_what_is_no_number():
    with pytest.raises(TypeError, match=r"^num_samples must be a whole number, got 'five'$"):
        pass_at_k("five", 2, 1)


def test_undefined_entries_are_nan_in_traced_code_and_leave_their_neighbours_alone():
    n, c, k = np.array([[5, 2, 6], [5, 0, 6], [5, 5, 6], [5, 6, 2], [5, 2, 0], [5, -1, 2], [5, 2, 2]]).T
    expected = [np.nan] * 6 + [0.7]
    np.testing.assert_allclose(jax.jit(pass_at_k)(n, c, k), expected, rtol=1e-14)
    np.testing.assert_allclose(jax.vmap(pass_at_k)(n, c, k), expected, rtol=1e-14)
    assert np.isnan(jax.jit(pass_at_k)(5.0, 2.0, 1.5))
    with pytest.raises(ValueError, match="k must be whole numbers"):  # a concrete argument is checked all the same
        jax.jit(lambda n: pass_at_k(n, 2, 1.5))(5)


# From a distribution of difficulty


def test_beta_pass_at_k_of_the_literature():
    rates = BetaPassRate(0.5, 3)
    np.testing.assert_allclose(
        rates.pass_at_k(np.array([1, 10, 1000])), [1 / 7, 0.5346824665, 0.9475253113], rtol=2e-10
    )
    np.testing.assert_allclose(rates.pass_at_k(1), 1 / 7, rtol=1e-15)
    np.testing.assert_allclose(-np.expm1(rates.log_failure(10.0)), rates.pass_at_k(10.0), rtol=1e-15)
    tail = float(mp.gamma(3.5) / mp.gamma(3)) * 1e8**-0.5  # the power law of the hardest problems
    np.testing.assert_allclose(np.exp(rates.log_failure(1e8)), tail, rtol=1e-7)


def test_beta_pass_at_k_matches_the_reference_file(reference):
    for row in reference["beta_pass_at_k"]:
        value = float(BetaPassRate(float(row["a"]), float(row["b"])).pass_at_k(row["k"]))
        assert value == pytest.approx(float(row["value"]), rel=1e-12, abs=0), row
        assert -np.log(value) == pytest.approx(float(row["neg_log"]), rel=1e-12, abs=1e-15), row


@BOTH
def test_expected_samples_is_the_sum_of_failure_probabilities(dtype):
    """Σ_{j<k} Π_{i<j} (b + i)/(a + b + i), added up term by term; a around and at 1, a + b around and at 1."""
    shapes = [
        (a, b) for a in (1e-3, 0.25, 0.5, 0.9375, 1.0, 1.0625, 7.0, 50.0) for b in (0.01, 0.5, 0.75, 3.0, 1e3, 1e6)
    ]
    shapes += [(1 + s * 2.0**-e, b) for s in (-1, 1) for e in (5, 12, 20, 23) for b in (0.01, 40.0)]
    ks = [1, 2, 3, 17, 300]
    shapes = [(float(np.float32(a)), float(np.float32(b))) for a, b in shapes]
    expected = []
    for a, b in shapes:
        term, total, sums = mp.mpf(1), mp.mpf(0), {}
        for j in range(max(ks)):
            total += term
            term *= (mp.mpf(b) + j) / (mp.mpf(a) + b + j)
            sums[j + 1] = float(total)
        expected.append([sums[k] for k in ks])
    a, b = (jnp.asarray(x, dtype)[:, None] for x in zip(*shapes, strict=True))
    value = BetaPassRate(a, b).expected_samples(np.array(ks))
    assert value.dtype == dtype
    np.testing.assert_allclose(value, expected, rtol={np.float64: 5e-13, np.float32: 5e-5}[dtype])
    assert np.all(np.asarray(value)[:, 0] == 1.0)


def _closed_form(a, b, k):
    """EQUATIONS' closed form, for real k; a pole at a = 1, near which the digits make up for it."""
    return (a + b - 1) / (a - 1) * (1 - mp.gammaprod([b + k, a + b - 1], [b, a + b - 1 + k]))


@BOTH
def test_expected_samples_and_slopes_at_real_k_match_mpmath(dtype):
    rng = np.random.default_rng(4)
    away = rng.uniform(-3, 1.7, 40)
    near = 1 + rng.choice([-1, 1], 30) * 10.0 ** rng.uniform(-7, -1, 30)
    a = np.concatenate([10.0**away, near, [1.0] * 10])
    points = np.stack([a, 10.0 ** rng.uniform(-2, 6, a.size), 10.0 ** rng.uniform(0, 6, a.size)], -1)
    points = points.astype(np.float32).astype(np.float64)
    # An odd number of steps of h: the closed form is never asked at its poles, a = 1 and a + b = 1.
    h = mp.mpf(10) ** -18
    values, slopes = [], []
    with mp.workdps(80):
        for point in points.tolist():
            z = [mp.mpf(x) for x in point]
            differences = []
            for i in range(3):
                up, down = list(z), list(z)
                up[i], down[i] = z[i] + h, z[i] - h
                shift = h * 3 if i else 0
                up[0], down[0] = up[0] + shift, down[0] + shift
                differences.append((_closed_form(*up) - _closed_form(*down)) / (2 * h))
            values.append(_closed_form(z[0] + h * 3, z[1], z[2]))
            slopes.append(differences)
    f = jax.jit(jax.vmap(jax.value_and_grad(lambda z: BetaPassRate(z[0], z[1]).expected_samples(z[2]))))
    computed, gradients = f(jnp.asarray(points, dtype))
    value_bar, slope_bar = {np.float64: (2e-13, 1e-12), np.float32: (1e-4, 1e-4)}[dtype]
    np.testing.assert_allclose(computed, np.array(values, float), rtol=value_bar)
    # A slope in b that is far below S/b is a difference of large terms and is held to S/b.
    scale = np.abs(np.array(slopes, float)) + np.array(values, float)[:, None] / points
    assert np.max(np.abs(np.asarray(gradients) - np.array(slopes, float)) / scale) < slope_bar


@BOTH
def test_expected_samples_of_tasks_that_are_all_or_nothing(dtype):
    """As a and b → 0 a task is solved by every sample or by none, the latter with probability b/(a + b)."""
    a = np.array([1e-3, 1e-6, 3e-8, 1e-8, 1e-12, 1e-18]).astype(dtype)[:, None]
    b, k = a * np.array([[0.01, 1.0, 3.0]]).astype(dtype), np.array([1.0, 2.0, 3.0, 1e6])
    value = BetaPassRate(a[..., None], b[..., None]).expected_samples(k.astype(dtype))
    with mp.workdps(60):
        exact = [[[float(_closed_form(mp.mpf(x), mp.mpf(y), mp.mpf(n))) for n in k] for y in ys]
                 for x, ys in zip(a[:, 0].tolist(), b.tolist(), strict=True)]  # fmt: skip
    np.testing.assert_allclose(value, exact, rtol={np.float64: 1e-13, np.float32: 5e-6}[dtype])
    share = b[-1].astype(float) / (a[-1].astype(float) + b[-1])
    limit = 1 + (k - 1) * share[:, None]
    np.testing.assert_allclose(exact[-1], limit, rtol=1e-12)


@pytest.mark.slow
@BOTH
def test_expected_samples_of_any_beta(dtype):
    """Shapes over thirty decades, beside a = 1 and a + b = 1: never NaN, in [1, k], and right."""
    rng = np.random.default_rng(15)
    n = 4000 * int(os.environ.get("T2JAX_TEST_SCALE", "1"))
    shapes = np.where(rng.random((2, n)) < 0.5, 10.0 ** rng.uniform(-25, 3, (2, n)), 10.0 ** rng.uniform(-9, 1, (2, n)))
    beside = rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-7, -1, n)
    one = rng.random(n)
    a = np.where(one < 0.15, 1 + beside, np.where(one < 0.3, np.abs(1 + beside - shapes[1]) + 1e-9, shapes[0]))
    b = shapes[1] * np.where(rng.random(n) < 0.3, 10.0 ** rng.uniform(0, 4, n), 1.0)
    k = np.where(rng.random(n) < 0.2, rng.integers(1, 10, n), 10.0 ** rng.uniform(0, 9, n))
    k = np.where(rng.random(n) < 0.1, 1 + 10.0 ** rng.uniform(-7, 0, n), k)
    a, b, k = (np.asarray(one, dtype) for one in (a, b, k))
    found = np.asarray(jax.jit(lambda a, b, k: BetaPassRate(a, b).expected_samples(k))(a, b, k))
    slopes = jax.jit(jax.vmap(jax.grad(lambda z: BetaPassRate(z[0], z[1]).expected_samples(z[2]))))
    # Where a + b is below 1e-15 a slope times its square leaves float32.
    inside = a + b > 1e-15
    assert np.all(np.isfinite(slopes(jnp.stack([a, b, k], -1)[inside])))
    eps = np.finfo(dtype).eps
    assert np.all(found >= 1)
    assert np.all(found <= k * (1 + 50 * eps))
    with mp.workdps(90):
        off = mp.mpf(10) ** -45  # the closed form's poles are nowhere else
        points = zip(a.tolist(), b.tolist(), k.tolist(), strict=True)
        exact = [float(_closed_form(mp.mpf(x) + off, mp.mpf(y), mp.mpf(z))) for x, y, z in points]
    np.testing.assert_allclose(found, exact, rtol={np.float64: 1e-12, np.float32: 1e-4}[dtype])


def _moved_closed_form(corner, h, k, steps_a, steps_b):
    return _closed_form(corner[0] + steps_a * h, corner[1] + steps_b * h, k)


@pytest.mark.slow
def test_expected_samples_has_second_derivatives_through_both_poles():
    a = [1.0, 1.0 - 1e-12, 1.0 + 1e-7, 0.9, 0.5, 0.25]
    b, k = [3.0, 3.0, 3.0, 0.1, 0.5, 0.75], 20.0

    def slope(a, b):
        return jax.jvp(lambda a: BetaPassRate(a, b).expected_samples(k), (a,), (1.0,))[1]

    curvature, mixed = jax.jit(jax.vmap(jax.grad(slope, (0, 1))))(jnp.array(a), jnp.array(b))
    h = mp.mpf(10) ** -12
    with mp.workdps(80):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            corner = mp.mpf(x) + mp.mpf(10) ** -30, mp.mpf(y)  # off the poles, by nothing to the derivatives
            f = partial(_moved_closed_form, corner, h, k)
            exact = (f(1, 0) - 2 * f(0, 0) + f(-1, 0)) / h**2
            np.testing.assert_allclose(curvature[i], float(exact), rtol=1e-10)
            exact = (f(1, 1) - f(1, -1) - f(-1, 1) + f(-1, -1)) / (4 * h**2)
            np.testing.assert_allclose(mixed[i], float(exact), rtol=1e-9)


def test_sampling_on_never_costs_less_and_at_most_k():
    rates = BetaPassRate(jnp.array([[0.01], [0.5], [1.0], [3.0]]), jnp.array([[5.0], [0.3], [2.0], [100.0]]))
    expected = np.asarray(rates.expected_samples(np.geomspace(1, 1e6, 60)))
    assert np.all(np.diff(expected, axis=1) > 0)
    assert np.all(expected[:, 1:] < np.geomspace(1, 1e6, 60)[1:])
    np.testing.assert_allclose(expected[3, -1], (100 + 3 - 1) / (3 - 1), rtol=1e-6)  # Σ over all j, finite for a > 1


def test_ensembles_jit_and_gradients():
    a, b = jnp.array([0.3, 1.0, 4.0]), jnp.array([2.0, 0.5, 30.0])
    ensemble, k = BetaPassRate(a, b), jnp.array([1.0, 8.0])
    for method in (BetaPassRate.log_failure, BetaPassRate.pass_at_k, BetaPassRate.expected_samples):
        loop = [method(BetaPassRate(float(x), float(y)), k) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(eqx.filter_vmap(method, in_axes=(0, None))(ensemble, k), loop, rtol=1e-13)
        np.testing.assert_allclose(eqx.filter_jit(method)(BetaPassRate(a[:, None], b[:, None]), k), loop, rtol=1e-13)
    gradient = eqx.filter_grad(lambda rates: rates.pass_at_k(1.0))(BetaPassRate(0.5, 3.0))  # a / (a + b)
    np.testing.assert_allclose([gradient.a, gradient.b], [3.0 / 3.5**2, -0.5 / 3.5**2], rtol=1e-14)


def test_precision_follows_the_arrays():
    rates = BetaPassRate(jnp.float32(0.5), 3)
    assert rates.b.dtype == jnp.float32
    assert rates.pass_at_k(10).dtype == rates.expected_samples(np.array([1, 2])).dtype == jnp.float32
    assert BetaPassRate(0.5, 3).pass_at_k(10).dtype == jnp.float64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BetaPassRate(0.0, 1.0), "a must be positive and finite, got 0.0"),
        (lambda: BetaPassRate(1.0, float("nan")), "b must be positive and finite, got nan"),
        (lambda: BetaPassRate(1.0, 1.0).pass_at_k(0.5), "k must be 1 or more, got 0.5"),
        (lambda: BetaPassRate(1.0, 1.0).log_failure(np.array([2, 0.5])), "k must be 1 or more, got 0.5 (at index 1)"),
        (lambda: BetaPassRate(1.0, 1.0).expected_samples(-3), "k must be positive and finite, got -3"),
    ],
)
def test_beta_refuses_what_is_out_of_range(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        make()
    assert str(error.value) == message


@BOTH
def test_lowers_for_every_platform(dtype):
    f = jax.jit(jax.vmap(lambda z: (BetaPassRate(z[0], z[1]).expected_samples(z[2]), pass_at_k(z[0], z[1], z[2]))))
    exported = jax.export.export(f, platforms=("cpu", "cuda", "tpu"))(jax.ShapeDtypeStruct((8, 3), dtype))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert exported.out_avals[0].dtype == dtype
