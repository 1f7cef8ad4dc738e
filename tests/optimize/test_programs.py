"""What is compiled for users' functions: once for each program, and let go of."""

import functools
import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax.optimize import _compile
from t2jax.quantities._custom import _program

LAW, BUDGET = t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658), 1e22


@pytest.fixture
def compiled():
    """The events of compilation since the test began."""
    events: list[str] = []

    def listen(event, _, **__):
        if event.endswith("backend_compile_duration"):
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield events
    jax.monitoring.unregister_event_duration_listener(listen)


def params(cost):
    return t2.minimize(LAW, [cost <= BUDGET]).allocation.params


def with_array(factor):
    held = jnp.asarray(factor)
    return t2.quantity(lambda a: held * a.params * a.tokens, convex=True)


def with_number(factor):
    return t2.quantity(lambda a: factor * a.params * a.tokens, convex=True)


def key(fn, dtype=np.float64):
    decision = jax.tree.structure(t2.Allocation(1.0, 1.0)), ((), (), ())
    return t2.quantity(fn).traced(decision, np.dtype(dtype)).program


def test_sixty_functions_of_one_program_are_compiled_once(compiled):
    expected = params(t2.TrainingFLOPs())  # a program of its own, and small ones that any first solution takes
    compiled.clear()
    found = [params(with_number(6.0)) for _ in range(60)]
    assert len(compiled) <= 1
    assert len(set(map(float, found))) == 1
    assert float(found[0]) == pytest.approx(float(expected), rel=1e-7)


def test_arrays_that_are_closed_over_may_differ(compiled):
    found = [float(params(with_array(factor))) for factor in (6.0, 6.5, 7.0)]
    # The arrays are made by programs of their own, which are compiled once.
    assert sum("backend_compile" in one for one in compiled) <= 2
    expected = [float(t2.minimize(LAW, [t2.TrainingFLOPs() <= BUDGET * 6 / f]).allocation.params) for f in (6, 6.5, 7)]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_programs_differ_where_anything_does():
    def first(a):
        return 6.0 * a.params * a.tokens

    def renamed(b):
        number, data = b.params, b.tokens
        return 6.0 * number * data

    assert key(first) == key(renamed)
    assert hash(key(first)) == hash(key(renamed))
    others = [
        lambda a: 6.5 * a.params * a.tokens,
        lambda a: a.params * 6.0 * a.tokens,
        lambda a: 6.0 * a.params * a.params,
        lambda a: 6.0 * a.tokens * a.params,
        lambda a: 6.0 * a.params + a.tokens,
        lambda a: 6.0 * (a.params * a.tokens),
        lambda a: 0.0 * a.params,
        lambda a: -0.0 * a.params,
        lambda a: a.params**2,
        lambda a: a.params**3,
        lambda a: a.params**2.0,
        lambda a: jax.jit(lambda x: 2.0 * x)(a.params),
        lambda a: jax.jit(lambda x: 3.0 * x)(a.params),
        lambda a: jax.lax.cond(a.params > 1.0, lambda: a.params, lambda: a.tokens),
        lambda a: jax.lax.cond(a.params > 1.0, lambda: a.tokens, lambda: a.params),
        lambda a: jnp.sum(jnp.array([1, 2]) * 2) * a.params,
        lambda a: jnp.sum(jnp.array([1, 3]) * 2) * a.params,
    ]
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    try:
        keys = [key(first), key(first, np.float32), *map(key, others)]
    finally:
        jax.config.update("jax_numpy_dtype_promotion", "strict")
    assert len(set(keys)) == len(keys)


def test_what_is_not_one_number_is_refused_as_before():
    with pytest.raises(ValueError, match=r"own has shape \(2,\) at a single allocation"):
        params(t2.quantity(lambda a: jnp.stack([a.params, a.tokens]), name="own"))


@pytest.mark.parametrize("cost", [t2.TrainingFLOPs(), with_number(6.0)])
def test_known_numbers_inside_a_users_program(cost):
    """Nothing is traced but the program around it, which options of its own would not fit into."""
    inside = jax.jit(lambda x: x * params(cost))
    assert float(inside(2.0)) == pytest.approx(2 * float(params(cost)), rel=1e-7)


@pytest.mark.slow
def test_what_is_not_used_is_let_go(monkeypatch):
    """Of six programs two stay where two may, and none after JAX is asked to forget."""
    monkeypatch.setattr(
        _compile, "_compiled_for_users", functools.lru_cache(2)(_compile._compiled_for_users.__wrapped__)
    )

    def live():
        gc.collect()
        return len(jax.devices()[0].client.live_executables())

    before, counts = live(), []
    for factor in range(6):
        params(with_number(6.0 + factor))
        counts.append(live() - before)
    assert counts[0] >= 1
    assert max(counts) <= counts[0] + 1
    jax.clear_caches()
    _program.cache_clear()
    assert live() == 0
