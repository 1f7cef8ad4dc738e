"""Sums of power laws: what is left out of them, and what is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax.quantities import PowerTerm, is_known_zero, known_zero, merged


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_zero_is_known_also_where_a_program_is_compiled(dtype):
    assert known_zero(dtype).dtype == dtype
    seen = {}

    def program(x):
        values = {"known": known_zero(dtype), "square": known_zero(dtype) * known_zero(dtype), "argument": x}
        values |= {"array": np.zeros((), dtype), "one": dtype(1.0), "vector": np.zeros(2, dtype), "whole": 0}
        seen.update({name: is_known_zero(value) for name, value in values.items()})
        return x

    jax.jit(program)(jnp.zeros((), dtype))
    assert {name for name, known in seen.items() if known} == {"known", "square", "array"}


def test_terms_known_to_be_nothing_are_left_out():
    nothing = PowerTerm(known_zero(np.float64), 0.0, {"params": 1.0, "tokens": 1.0})
    something = PowerTerm(2.0, 0.0, {"params": 1.0})
    assert merged([nothing, something]) == [something]
    kept = jax.jit(lambda zero: jnp.asarray(len(merged([nothing._replace(coefficient=zero), something]))))
    assert int(kept(0.0)) == 2


def test_what_is_compiled_for_many_has_no_terms_that_are_not_there():
    """Prompts of no tokens: the program of a batch is the one of a cost that has none; of one token it is another."""
    law = t2.Chinchilla(1.8, 482.0, 2085.0, 0.35, 0.37)

    def lines(**prompt):
        cost = t2.TrainingFLOPs() + t2.InferenceFLOPs(1e9, output_tokens=500.0, **prompt)

        def solved(budget):
            return t2.minimize(law, [cost <= budget], throw=False).allocation.params

        return len(jax.jit(jax.vmap(solved)).lower(jnp.asarray([1e22, 1e23])).as_text().splitlines())

    assert lines() == lines(prompt_tokens=0.0) < lines(prompt_tokens=1.0)
