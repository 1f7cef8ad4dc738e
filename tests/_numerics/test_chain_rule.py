"""What is computed once has the derivatives that it would have anyway."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import problems as p

from t2jax._numerics.derivatives import chain_rule


def plain(u, v, rest):
    return jnp.exp(rest[0] * u) * jnp.log1p(v * v) + u * v * rest[1] ** 2


def test_the_chain_rule_has_the_derivatives_of_the_function():
    """To third order in all arguments: along the first two alone, along the rest, and mixed; batched and not."""
    at = jnp.array([[0.3, 0.7, 1.1, -0.4], [-0.2, 1.9, 0.6, 0.8]])

    def derivatives(fn):
        def inner(x):  # two inner variables of three, as a loss and k are of N, D and k
            return fn(jnp.sin(x[0] * x[1]), x[1] - x[2], (x[3], x[3] + 1.0))

        third = jax.jacfwd(jax.jacrev(jax.jacfwd(inner)))
        along_two = jax.hessian(lambda x: fn(x[0] * x[1], x[1], (2.0, 3.0)))
        return lambda x: (inner(x), jax.grad(inner)(x), jax.hessian(inner)(x), third(x), along_two(x[:2]))

    ways = jax.jit(
        lambda x: [jax.vmap(derivatives(fn))(x) for fn in (partial(chain_rule, plain), plain)], compiler_options=p.QUICK
    )
    for found, expected in zip(*map(jax.tree.leaves, ways(at)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
