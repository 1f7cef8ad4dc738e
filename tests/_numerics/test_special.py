"""Special functions against mpmath, over the whole range in which they are used and at its corners."""

import itertools

import jax
import jax.export
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from t2jax._numerics.special import expm1, expm1_over, log_failure, log_failure_per_a, log_odds_of_pass
from t2jax.tasks import BetaPassRate

PAIRS = [(i, j) for i in range(3) for j in range(3)]  # second derivatives in (a, b, k)
BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32])
mp.mp.dps = 60


def _points() -> np.ndarray:
    rng = np.random.default_rng(0)
    random = 10.0 ** rng.uniform([-4, -2, 0], [2, 7, 9], size=(150, 3))
    corners = list(itertools.product([1e-4, 1.0, 100.0], [0.01, 1.0, 8.0, 1e7], [1.0, 30.0, 1e9]))
    ridge = list(itertools.product([0.3], [0.5, 3.0, 11.0, 17.0, 40.0], [2.0, 100.0]))  # where Stirling is worst
    return np.concatenate([random, corners, ridge]).astype(np.float32).astype(np.float64)  # the same numbers in both


@pytest.fixture(scope="module")
def oracle() -> dict[str, list]:
    """Values, gradients and Hessians at `_points` with 60 digits."""
    values, slopes, curvatures = [], [], []
    for a, b, k in (map(mp.mpf, point) for point in _points().tolist()):
        corners = b, b + a, b + k, b + a + k
        g = [mp.loggamma(y) for y in corners]
        p, q = ([mp.psi(n, y) for y in corners] for n in (0, 1))
        values.append(g[2] + g[1] - g[0] - g[3])
        slopes.append([p[1] - p[3], p[2] + p[1] - p[0] - p[3], p[2] - p[3]])
        aa, ak, bb, kk = q[1] - q[3], -q[3], q[2] + q[1] - q[0] - q[3], q[2] - q[3]
        curvatures.append([aa, aa, ak, aa, bb, kk, ak, kk, kk])
    return {"values": values, "slopes": slopes, "curvatures": curvatures}


def _worst(computed, exact) -> float:
    """Largest relative error; the subtraction is done in mpmath, as float64 would round the reference."""
    computed, exact = np.asarray(computed, np.float64).ravel(), np.asarray(exact, dtype=object).ravel()
    assert computed.shape == exact.shape
    assert np.all(np.isfinite(computed))
    return max(float(abs((x - y) / y)) for x, y in zip(computed, exact, strict=True))


def _of_vector(z):
    return log_failure(z[0], z[1], z[2])


# Shared, and always called on as many points, so that each precision compiles once.
GRADIENTS = jax.jit(jax.vmap(jax.grad(_of_vector)))
HESSIANS = jax.jit(jax.vmap(jax.hessian(_of_vector)))


def _repeated(points, dtype):
    return jnp.asarray(np.resize(np.asarray(points), _points().shape), dtype)


@BOTH
def test_log_failure_and_pass_match_mpmath(dtype, oracle):
    a, b, k = jnp.asarray(_points().T, dtype)
    value = log_failure(a, b, k)
    assert value.dtype == dtype
    bar = {np.float64: 1e-14, np.float32: 1e-6}[dtype]
    assert _worst(value, oracle["values"]) < bar
    assert _worst(-jnp.expm1(value), [-mp.expm1(v) for v in oracle["values"]]) < bar


@BOTH
def test_derivatives_match_mpmath(dtype, oracle):
    z = jnp.asarray(_points(), dtype)
    slopes, curvatures = GRADIENTS(z), HESSIANS(z)
    first, second = {np.float64: (1e-13, 1e-12), np.float32: (1e-6, 1e-4)}[dtype]
    for i in range(3):
        assert _worst(slopes[:, i], [row[i] for row in oracle["slopes"]]) < first, "abk"[i]
    for n, (i, j) in enumerate(PAIRS):
        assert _worst(curvatures[:, i, j], [row[n] for row in oracle["curvatures"]]) < second, ("abk"[i], "abk"[j])


@pytest.mark.slow
def test_third_derivatives_match_mpmath():
    """Along a direction v: each corner y of the mixed difference moves by v_y, and its lgamma's is psi''(y) v_y³."""
    (a, b, k), (da, db, dk) = (0.3, 2.0, 50.0), (0.7, -0.4, 9.0)

    def along(t):
        return log_failure(a + da * t, b + db * t, k + dk * t)

    third = jax.jit(jax.jacfwd(jax.jacfwd(jax.jacfwd(along))))(0.0)
    corners = (-1, b, db), (1, b + a, db + da), (1, b + k, db + dk), (-1, b + a + k, db + da + dk)
    np.testing.assert_allclose(
        third, float(sum(sign * mp.psi(2, y) * mp.mpf(v) ** 3 for sign, y, v in corners)), rtol=1e-12
    )


def test_hessian_in_reverse_twice_agrees():
    z = jnp.array([0.3, 2.0, 50.0])
    reverse = jax.jit(jax.jacrev(jax.jacrev(_of_vector)))(z)
    np.testing.assert_allclose(reverse, HESSIANS(_repeated(z, np.float64))[0], rtol=1e-12)  # forward over reverse


@BOTH
def test_eager_equals_jit_and_loop_equals_vmap(dtype):
    rng = np.random.default_rng(1)
    a, b, k = jnp.asarray(10.0 ** rng.uniform([-4, -2, 0], [2, 7, 9], size=(20_000, 3)).T, dtype)
    eager = log_failure(a, b, k)
    rtol = 20 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(jax.jit(log_failure)(a, b, k), eager, rtol=rtol)
    np.testing.assert_allclose(jax.vmap(log_failure)(a, b, k), eager, rtol=rtol)
    loop = [float(log_failure(a[i], b[i], k[i])) for i in range(5)]
    np.testing.assert_allclose(eager[:5], loop, rtol=rtol)


def test_splitting_the_samples_and_swapping_the_steps_change_nothing():
    """E[(1-p)^(k+l)] = E[(1-p)^k] · E[(1-p)^l | k failures], and the mixed difference is symmetric in a and k."""
    rng = np.random.default_rng(2)
    a, b, k, more = jnp.asarray(10.0 ** rng.uniform([-4, -2, 0, 0], [2, 7, 9, 9], size=(5_000, 4)).T)
    np.testing.assert_allclose(
        log_failure(a, b, k + more), log_failure(a, b, k) + log_failure(a, b + k, more), rtol=1e-13
    )
    np.testing.assert_allclose(log_failure(k, b, a), log_failure(a, b, k), rtol=1e-13)


@BOTH
def test_no_samples_never_pass_and_derivatives_stay_finite(dtype):
    z = _repeated([[0.3, 0.05, 0.0], [1e-4, 1e7, 0.0], [1e2, 1e-2, 0.0]], dtype)
    assert np.all(np.asarray(jax.vmap(_of_vector)(z)) == 0.0)
    slopes = np.asarray(GRADIENTS(z))
    points = [tuple(map(mp.mpf, point)) for point in np.asarray(z, np.float64).tolist()]
    exact = [mp.psi(0, b) - mp.psi(0, b + a) for a, b, _ in points]
    assert _worst(slopes[:, 2], exact) < {np.float64: 1e-13, np.float32: 1e-5}[dtype]
    assert np.all(slopes[:, :2] == 0.0)
    assert np.all(np.isfinite(HESSIANS(z)))


@BOTH
def test_far_outside_the_range_nothing_is_nan(dtype):
    tiny, huge = ([1e-30, 1e-8], [1e4, 1e7]) if dtype == np.float64 else ([1e-8], [1e4])
    z = list(itertools.product([*tiny, 1.0, *huge], [1e-12, 1e-6, 1.0, 1e12], [0.0, 1.0, 1e15]))
    assert len(z) <= len(_points())
    z = _repeated(z, dtype)
    assert np.all(np.isfinite(log_failure(*z.T)))
    assert np.all(np.isfinite(GRADIENTS(z)))


@BOTH
def test_shapes_of_nearly_nothing_have_the_values_of_their_limits(dtype):
    """a and b down to the smallest numbers: log(b/(a + b)) of problems that are all right or all wrong, and so on.

    Below the smallest normal number they count as that number.
    """
    tiny = float(np.finfo(dtype).tiny)
    small = [tiny / 100, tiny, *(tiny ** np.array([0.97, 0.8, 0.74, 0.5, 0.25]))]
    shapes = itertools.product([*small, 0.5, 1.0, 3.0, 1e3, 1e8], [*small, 0.5, 3.0, 1e5, 1e12], [1.0, 7.0, 1e6, 1e15])
    points = np.array(list(shapes)).astype(dtype)
    a, b, k = jnp.asarray(points.T)

    def of_beta(a, b, k):
        return BetaPassRate(a, b).log_failure(k)

    value, slopes = jax.jit(jax.vmap(jax.value_and_grad(of_beta, (0, 1, 2))))(a, b, k)
    samples = BetaPassRate(a, b).expected_samples(k)
    assert all(np.all(np.isfinite(one)) for one in slopes)
    with mp.workdps(700 if dtype == np.float64 else 120):
        failures, means = [], []
        for x, y, z in points.tolist():
            p, q, n = (mp.mpf(max(one, tiny)) for one in (x, y, z))
            failures.append(mp.loggamma(q + n) + mp.loggamma(p + q) - mp.loggamma(q) - mp.loggamma(p + q + n))
            if p == 1:
                means.append(1 + q * (mp.digamma(q + n) - mp.digamma(q + 1)))
            else:
                rest = mp.loggamma(q + n) + mp.loggamma(p + q) - mp.loggamma(p - 1 + q + n) - mp.loggamma(q + 1)
                means.append(1 + q * (1 - mp.exp(rest)) / (p - 1))
        seen = np.array([abs(one) > 2 * tiny for one in failures])
        assert np.mean(seen) > 0.9
        exact = np.array(failures, dtype=object)[seen]
        assert _worst(np.asarray(value)[seen], exact) < (1e-13 if dtype == np.float64 else 2e-6)
        assert _worst(samples, means) < (1e-12 if dtype == np.float64 else 2e-5)


def test_odds_have_float64s_curvature_in_float32():
    """Of pass@k down to 1e-19, along logarithms of a, b and k: neither its square nor k/b³ is a number there."""
    rng = np.random.default_rng(5)
    logs = rng.uniform([-20, -20, 0], [25, 30, 25], (4000, 3)).astype(np.float32)

    def odds(z):
        return log_odds_of_pass(log_failure(*jnp.exp(z)))

    derivatives = jax.jit(jax.vmap(lambda z: (odds(z), jax.grad(odds)(z), jax.jacfwd(jax.grad(odds))(z))))
    value, slopes, curvatures = (np.asarray(one, float) for one in derivatives(jnp.asarray(logs)))
    exact = [np.asarray(one) for one in derivatives(jnp.asarray(logs, float))]
    np.testing.assert_allclose(value, exact[0], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(slopes, exact[1], rtol=2e-5, atol=2e-5)
    # A curvature is a difference of terms of the slopes' size.
    sizes = 1.0 + np.max(np.abs(exact[1]), axis=1)[:, None, None]
    assert np.max(np.abs(curvatures - exact[2]) / sizes) < 2e-5


def test_arguments_broadcast_and_python_numbers_take_the_arrays_precision():
    table = log_failure(jnp.float32(0.5), jnp.float32([[3.0], [4.0]]), np.array([1, 10, 1000]))
    assert table.shape == (2, 3)
    assert table.dtype == jnp.float32
    np.testing.assert_allclose(-np.expm1(table[0]), [1 / 7, 0.5346824665, 0.9475253113], rtol=1e-6)
    assert log_failure(jnp.float32(0.5), 3, 10.0).dtype == jnp.float32
    assert log_failure(0.5, 3, 10).dtype == jnp.float64


@BOTH
def test_log_failure_per_a_is_smooth_through_zero(dtype):
    rng = np.random.default_rng(3)
    near = rng.choice([-1, 1], 40) * 10.0 ** rng.uniform(-16, -1, 40)
    a = np.concatenate([near, [0.0, 0.0, -0.99, -0.5, 0.06249, 0.0626, 1.0, 49.0]])
    b, k = 1.0 + 10.0 ** rng.uniform(-2, 6, a.size), 10.0 ** rng.uniform(-2, 6, a.size)
    points = np.stack([a, b, k], -1).astype(np.float32).astype(np.float64)
    with mp.workdps(90):

        def exact(a, b, k):
            # The mean of the slope over [0, a], at a = 0 the slope itself: no special case in the differences below.
            if a == 0:
                return mp.psi(0, b) - mp.psi(0, b + k)
            return (mp.loggamma(b + k) + mp.loggamma(a + b) - mp.loggamma(b) - mp.loggamma(a + b + k)) / a

        values, slopes = [], []
        h = mp.mpf(10) ** -25
        for point in points.tolist():
            a, b, k = map(mp.mpf, point)
            values.append(exact(a, b, k))
            slopes.append((exact(a + h, b, k) - exact(a - h, b, k)) / (2 * h))
    z = jnp.asarray(points.T, dtype)
    bar = {np.float64: 1e-13, np.float32: 2e-5}[dtype]

    def per_a(a, b, k):
        return log_failure_per_a(a, b, k, both=a + b)

    assert _worst(per_a(*z), values) < bar
    assert _worst(jax.jit(jax.vmap(jax.grad(per_a)))(*z), slopes) < 10 * bar


@BOTH
def test_slopes_of_expm1_keep_their_digits(dtype):
    y = np.float32([*np.linspace(-60.0, 5.0, 131) + 0.01, -1.001, -1.0, -0.999, -1e-9, 1e-20]).tolist()
    eps = float(jnp.finfo(dtype).eps)
    x = jnp.asarray(y, dtype)
    assert _worst(expm1(x), [mp.expm1(v) for v in map(mp.mpf, y)]) < 4 * eps
    slopes = [mp.exp(v) for v in map(mp.mpf, y)]
    for derivative in (jax.grad(expm1), jax.grad(jax.grad(expm1))):
        assert _worst(jax.vmap(derivative)(x), slopes) < 8 * eps


@BOTH
def test_expm1_over_is_smooth_through_zero(dtype):
    y = np.float32([-50.0, -1.0, -0.0626, -0.0624, -1e-20, 0.0, 1e-9, 0.03, 0.0624, 0.0626, 2.0, 30.0]).tolist()
    exact = [mp.expm1(v) / v if v else mp.mpf(1) for v in map(mp.mpf, y)]
    slopes = [(v * mp.exp(v) - mp.expm1(v)) / v**2 if v else mp.mpf("0.5") for v in map(mp.mpf, y)]
    eps = float(jnp.finfo(dtype).eps)
    assert _worst(expm1_over(jnp.asarray(y, dtype)), exact) < 4 * eps
    assert _worst(jax.jit(jax.vmap(jax.grad(expm1_over)))(jnp.asarray(y, dtype)), slopes) < 100 * eps


@BOTH
def test_log_odds_of_pass_matches_mpmath_at_both_ends(dtype):
    failures = [-700.0, -80.0, -20.0, -3.0, -0.7, -0.69, -1e-3, -1e-9, -1e-30]
    failures = np.asarray(failures, dtype).astype(np.float64).tolist()
    x = jnp.asarray(failures, dtype)
    exact = [mp.log(-mp.expm1(v)) - v for v in map(mp.mpf, failures)]
    slopes = [1 / mp.expm1(v) for v in map(mp.mpf, failures)]
    eps = float(jnp.finfo(dtype).eps)
    errors = [float(abs(u - v)) / max(1.0, abs(u)) for u, v in zip(np.float64(log_odds_of_pass(x)), exact, strict=True)]
    assert max(errors) < 4 * eps
    assert _worst(jax.vmap(jax.grad(log_odds_of_pass))(x), slopes) < 10 * eps
    if dtype == np.float64:
        curvatures = jax.vmap(jax.grad(jax.grad(log_odds_of_pass)))(x)
        exact = [-mp.exp(v) / mp.expm1(v) ** 2 for v in map(mp.mpf, failures)]
        np.testing.assert_allclose(curvatures, [float(v) for v in exact], rtol=1e-12, atol=1e-16)


@BOTH
@pytest.mark.parametrize("order", [0, 2])
def test_lowers_for_every_platform(dtype, order):
    odds = lambda z: log_odds_of_pass(_of_vector(z))  # noqa: E731
    f = jax.jit(jax.vmap(jax.hessian(odds) if order else odds))
    exported = jax.export.export(f, platforms=("cpu", "cuda", "tpu"))(jax.ShapeDtypeStruct((8, 3), dtype))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert exported.out_avals[0].dtype == dtype
