"""Searches inside `jax.shard_map`, on two virtual devices."""

# ruff: noqa: SIM300 (constraints read quantity <= limit)

import functools

import jax
import jax.numpy as jnp
import numpy as np
import problems as p
import pytest
from jax.sharding import PartitionSpec

import t2jax as t2

LAW = t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
TASK, TRAIN = t2.T2Loss(LAW, 1.0, 0.3), t2.TrainingFLOPs()


def two_budgets(c):
    return t2.minimize(LAW, [TRAIN <= c, t2.InferenceFLOPs(1e9) <= 1e-3 * c])


def users_cost(c):
    cost = t2.quantity(functools.partial(lambda factor, a: factor * a.params * a.tokens, 1e-21 * c), convex=True)
    return t2.minimize(LAW, [cost <= 1e21])


def whole_samples(c):
    return t2.minimize(TASK, [TRAIN + t2.InferenceFLOPs(1e9) <= c], integer_samples=True)


@pytest.mark.slow
@pytest.mark.parametrize("solve", [two_budgets, users_cost, whole_samples])
def test_searches_sharded_over_devices_as_without(solve):
    """Values and derivatives inside `shard_map`, whose loops start from constants that vary over no device."""
    mesh = jax.make_mesh((2,), ("lanes",), axis_types=(jax.sharding.AxisType.Auto,))
    budgets = jnp.array([1e21, 3e21, 1e22, 5e22])
    spec = PartitionSpec("lanes")
    lanes = jax.vmap(jax.value_and_grad(lambda c: jnp.log(solve(c).allocation.params)))
    sharded = jax.shard_map(lanes, mesh=mesh, in_specs=spec, out_specs=spec)
    found, expected = (jax.jit(f, compiler_options=p.QUICK)(budgets) for f in (sharded, lanes))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-9)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-7)
