"""Functions evaluated from logarithms: the same values and derivatives, with exponentials instead of powers."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import problems as p
import pytest

import t2jax as t2
from t2jax._xla.from_logs import from_logs

LOGS = {"N": jnp.log(jnp.asarray(3e9)), "D": jnp.log(jnp.asarray(7e11))}


EXPONENTIALS = {
    "power": lambda d: 482.0 * d["N"] ** -0.3478,
    "of a product": lambda d: (6.0 * d["N"] * d["D"]) ** 0.1,
    "of a quotient": lambda d: (d["D"] / d["N"]) ** 0.3,
    "whole": lambda d: d["N"] ** 2,
    "roots": lambda d: jnp.sqrt(d["N"]) + jax.lax.rsqrt(d["D"]) + jnp.cbrt(d["N"]),
    "square": lambda d: jnp.square(d["D"]),
    "of a power": lambda d: (d["N"] ** 0.5) ** 0.5,
    "logarithm": lambda d: jnp.log(d["N"] * d["D"]),
    "jitted": lambda d: jax.jit(lambda n: n**-0.3)(d["N"]),
    "stacked": lambda d: jnp.sum(jnp.stack([d["N"], d["D"]]) ** -jnp.asarray([0.3, 0.4])),
}
OTHERS = {
    "of a sum": lambda d: (d["N"] + d["D"]) ** 0.3,
    "of a negative factor": lambda d: (-2.0 * d["N"]) ** 2,
    "a branch": lambda d: jax.lax.cond(d["N"] > 1e9, lambda n: n**0.5, lambda n: n, d["N"]),
    "a loop": lambda d: jax.lax.fori_loop(0, 3, lambda _, x: x**0.9, d["N"]),
    "a rule of its own": lambda d: jax.nn.softplus(d["N"] * 1e-9) + jax.nn.logsumexp(jnp.stack([d["N"], d["D"]])),
    "nothing of them": lambda d: jnp.asarray(2.0),
}


@pytest.fixture(scope="module")
def both():
    """Of every function value, gradient and Hessian, with its powers and from logarithms; all in one program."""

    def of(logs):
        found = {}
        for name, fn in (EXPONENTIALS | OTHERS).items():
            ways = (lambda x, fn=fn: fn(jax.tree.map(jnp.exp, x))), (lambda x, fn=fn: from_logs(fn, x))
            found[name] = [(way(logs), jax.grad(way)(logs), jax.hessian(way)(logs)) for way in ways]
        return found

    batch = jax.tree.map(lambda a: a + jnp.arange(3.0), LOGS)
    return jax.jit(jax.vmap(of), compiler_options=p.QUICK)(batch)


@pytest.mark.parametrize("name", EXPONENTIALS | OTHERS)
def test_same_values_and_derivatives(both, name):
    for usual, found in zip(*map(jax.tree.leaves, both[name]), strict=True):
        np.testing.assert_allclose(found, usual, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", EXPONENTIALS)
def test_no_powers_are_left(name):
    program = str(jax.make_jaxpr(lambda logs: from_logs(EXPONENTIALS[name], logs))(LOGS))
    assert not re.search(r" (pow|integer_pow|sqrt|rsqrt|cbrt|square)[ \[]", program)


def test_what_is_closed_over_keeps_its_derivative():
    """Coefficients of a module are constants to the function, and yet differentiated and batched."""

    def value(exponent):
        return from_logs(lambda d: 3.0 * d["N"] ** -exponent, LOGS)

    exact = -float(LOGS["N"]) * 3.0 * np.exp(-0.3 * float(LOGS["N"]))
    assert float(jax.grad(value)(0.3)) == pytest.approx(exact, rel=1e-12)
    np.testing.assert_allclose(jax.vmap(value)(jnp.array([0.3, 0.5])), [value(0.3), value(0.5)], rtol=1e-14)


def test_the_arrays_of_a_function_may_be_traced_where_it_is_asked_twice():
    """JAX 0.10 compares functions that it has seen with `==`, which for a module compares arrays."""

    def power(factor, a):
        return factor * a.params

    def solve(factor):
        def step(_, x):
            return sum(t2.quantity(partial(power, factor)).score(t2.Allocation(x, x, x)) for _ in range(3))

        return jax.lax.fori_loop(0, 2, step, 1.0)

    # x ← 3·(log factor + x), twice; both orders of derivative and batch.
    exact = 3 * (np.log(2.0) + 3 * (np.log(2.0) + 1.0))
    assert float(jax.jit(solve)(2.0)) == pytest.approx(exact, rel=1e-12)
    assert float(jax.grad(solve)(2.0)) == pytest.approx(12 / 2.0, rel=1e-12)
    np.testing.assert_allclose(jax.vmap(solve)(jnp.array([2.0, 2.0])), exact, rtol=1e-12)


def test_a_function_may_look_at_numbers_that_are_known():
    own = t2.quantity(lambda a: 2.0 * a.params if a.params > 1e9 else a.params)
    assert float(own(t2.Allocation(2e9, 1.0))) == pytest.approx(4e9, rel=1e-12)


def test_float32_stays_float32():
    with jax.enable_x64(False):
        logs = {"N": jnp.float32(20.0), "D": jnp.float32(25.0)}
        for name, fn in EXPONENTIALS.items():
            found, expected = from_logs(fn, logs), fn(jax.tree.map(jnp.exp, logs))
            assert found.dtype == jnp.float32, name
            np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=name)
