"""The logarithm: as exact as C's, in both precisions, with every derivative, and where there is no CPU."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from t2jax._numerics.logs import log

TINY, LARGEST = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max)


@pytest.mark.parametrize(
    "x",
    [
        np.exp(np.random.default_rng(0).uniform(-708.0, 709.0, 1000)),
        1.0 + np.random.default_rng(1).normal(0.0, 1e-4, 1000),
        2.0 ** np.arange(-1022, 1024.0),
        np.sqrt(0.5) * (1.0 + np.arange(-3, 4) * 2.0**-52),
        np.array([TINY, LARGEST, 1.0, np.nextafter(1.0, 0.0), np.nextafter(1.0, 2.0)]),
    ],
    ids=["everywhere", "near one", "powers of two", "where the exponent changes", "ends"],
)
def test_to_the_last_digit(x):
    with mpmath.workprec(100):
        exact = [mpmath.log(float(a)) for a in x]
        for of in (log, jax.jit(log)):
            found = np.asarray(of(jnp.asarray(x)))
            ulps = [abs(float(a) - b) / np.spacing(abs(float(b))) for a, b in zip(found, exact, strict=True) if b]
            assert max(ulps) < 0.85
            np.testing.assert_array_equal(found[x == 1.0], 0.0)


def test_what_has_no_logarithm():
    x = jnp.asarray([0.0, -0.0, np.inf, np.nan, -1.0, -np.inf, -TINY])
    np.testing.assert_array_equal(log(x), [-np.inf, -np.inf, np.inf, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(log(x), jnp.log(x))


def test_in_float32_as_jax_has_it():
    x = jnp.asarray(np.exp(np.random.default_rng(0).uniform(-80.0, 80.0, 1000)), jnp.float32)
    np.testing.assert_array_equal(log(x), jnp.log(x))
    assert float(jax.hessian(log)(jnp.float32(1e24))) == pytest.approx(-1e-48, abs=1e-45)


def test_derivatives_of_every_order():
    of, x = log, jnp.asarray(7.5)
    for order in range(1, 5):
        of = jax.grad(of)
        assert float(of(x)) == pytest.approx((-1) ** (order + 1) * np.prod(np.arange(1, order)) / 7.5**order, rel=1e-14)
    assert float(jax.jvp(jax.vmap(log), (x[None],), (jnp.ones(1),))[1][0]) == pytest.approx(1 / 7.5, rel=1e-15)


def test_elsewhere_it_is_the_platforms_own():
    """A TPU has no bits of float64 to look at."""
    lowered = {
        platform: jax.export.export(jax.jit(log), platforms=[platform])(jnp.ones(8)).mlir_module()
        for platform in ("cpu", "cuda", "tpu")
    }
    for platform, text in lowered.items():
        assert ("bitcast_convert" in text) == (platform == "cpu")
        assert ("stablehlo.log" in text) == (platform != "cpu")
