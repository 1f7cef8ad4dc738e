"""Where float32 ends: what does not fit it is not called solved, and what overflows on the way leads nobody astray."""

import os

import jax
import numpy as np
import problems as p
import pytest

import t2jax as t2


def test_a_value_beyond_float32_is_not_solved():
    """1e12 · N^−2.5 at N = 1e-12 is 1e42: its logarithm is a number, and it is none in float32."""

    def solve():
        law = t2.Chinchilla(0.0, 1e12, 1.0, 2.5, 0.3)
        return t2.minimize(law, [t2.TrainingFLOPs() <= 1e20, t2.params <= 1e-12], throw=False)

    with jax.enable_x64(False):
        found = solve()
        assert not bool(found.ok)
        assert found.reason.startswith("not finite: ")
        assert np.isnan(found.value)
        assert not bool(jax.jit(lambda: solve().ok)())
    assert bool(solve().ok)
    assert float(solve().value) == pytest.approx(1e42, rel=1e-9)


@pytest.mark.slow
def test_cheapest_ways_in_float32_end_as_in_float64():
    """Steps that overflow say nothing of what matters: nothing bounded was called unbounded, as a third once was."""
    rng, n = np.random.default_rng(15), 1000 * int(os.environ.get("T2JAX_TEST_SCALE", "1"))
    floor = np.where(rng.random(n) < 0.3, 0.0, rng.uniform(0.1, 3, n))
    law = np.stack([floor, *10 ** rng.uniform(0, 5, (2, n)), *rng.uniform(0.05, 2.5, (2, n))]).astype(np.float32)
    target = (law[0] + 10 ** rng.uniform(-3, 2, n)).astype(np.float32)

    def solve(law, target):
        found = t2.minimize(t2.TrainingFLOPs(), [t2.Chinchilla(*law) <= target], throw=False)
        return found.ok, found.value

    batch = jax.jit(jax.vmap(solve, in_axes=(1, 0)), compiler_options=p.QUICK)
    ok, value = batch(law.astype(float), target.astype(float))
    with jax.enable_x64(False):
        ok32, value32 = batch(law, target)
    # What is left in float32 of a target near the floor is known to eps/(target − floor) only.
    fits = np.asarray(ok) & (np.log10(np.where(ok, value, 1.0)) < 30) & (target > 1.001 * law[0])
    assert np.mean(fits) > 0.5
    assert np.mean(np.asarray(ok32)[fits]) > 0.995
    both = fits & np.asarray(ok32)
    np.testing.assert_allclose(np.log(np.asarray(value32, float)[both]), np.log(np.asarray(value)[both]), atol=0.02)
