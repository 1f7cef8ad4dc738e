"""FLOPs against the formulas, written out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2


def test_training():
    at = t2.Allocation(70e9, 1.4e12)
    assert float(t2.TrainingFLOPs()(at)) == pytest.approx(5.88e23, rel=1e-13)
    assert float(t2.TrainingFLOPs(8)(at)) == pytest.approx(8 / 6 * 5.88e23, rel=1e-13)
    assert float(t2.TrainingFLOPs()(t2.Allocation(7e9, 4e12))) == pytest.approx(1.68e23, rel=1e-13)


@pytest.mark.parametrize(
    ("options", "flops"),
    [
        ({}, 2 * 3e9 * 20),
        ({"queries": 1e6}, 2 * 3e9 * 1e6 * 20),
        ({"prompt_tokens": 100.0, "output_tokens": 7.0}, 2 * 3e9 * (100 + 20 * 7)),
        ({"prompt_tokens": 100.0, "output_tokens": 7.0, "share_prompt": False}, 2 * 3e9 * 20 * 107),
        ({"prompt_tokens": 100.0, "output_tokens": 0.0}, 2 * 3e9 * 100),
        ({"output_tokens": 500.0, "flops_per_param_token": 3.0}, 3 * 3e9 * 20 * 500),
        ({"queries": 10, "prompt_tokens": 1, "output_tokens": 2, "share_prompt": True}, 2 * 3e9 * 10 * 41),
    ],
)
def test_inference(options, flops):
    assert float(t2.InferenceFLOPs(**options)(t2.Allocation(3e9, 7e10, 20.0))) == pytest.approx(flops, rel=1e-13)


def test_costs_are_exact_and_finite_at_1e30_in_float32():
    with jax.enable_x64(False):
        serve = t2.InferenceFLOPs(1e12, 1e3, 1e4)
        log = jax.tree.map(jnp.log, t2.Allocation(1e13, 1e16, 1e9))
        values = t2.TrainingFLOPs().score(log), serve.score(log), (t2.TrainingFLOPs() + serve).score(log)
        assert all(value.dtype == jnp.float32 for value in values)
    exact = 6e29, 2e13 * 1e12 * 1e13, 6e29 + 2e13 * 1e12 * 1e13
    np.testing.assert_allclose(np.asarray(values, float), np.log(exact), rtol=2e-7)


def test_gradients_and_batches():
    def log_flops(queries, prompt, output, log_k):
        log = eqx.tree_at(lambda a: a.samples, jax.tree.map(jnp.log, t2.Allocation(3e9, 7e10)), log_k)
        return t2.InferenceFLOPs(queries, prompt, output).score(log)

    at = (1e6, 100.0, 7.0, jnp.log(20.0))
    total = 100 + 20 * 7
    expected = (1e-6, 1 / total, 20 / total, 140 / total)
    np.testing.assert_allclose(jax.grad(log_flops, (0, 1, 2, 3))(*at), expected, rtol=1e-12)
    # Right at no prompt at all, and twice.
    assert float(jax.grad(log_flops, 1)(1e6, 0.0, 7.0, jnp.log(20.0))) == pytest.approx(1 / 140, rel=1e-12)
    assert float(jax.hessian(log_flops, 3)(*at)) == pytest.approx(140 / total * 100 / total, rel=1e-12)
    prompts = jnp.linspace(0.0, 1e3, 5)
    batch = jax.vmap(lambda p: t2.InferenceFLOPs(2.0, p, 3.0)(t2.Allocation(1e9, 1e9, 4.0)))(prompts)
    np.testing.assert_allclose(batch, 2e9 * 2 * (prompts + 12), rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: t2.TrainingFLOPs(0), ValueError, "flops_per_param_token must be positive and finite, got 0"),
        (lambda: t2.InferenceFLOPs(0), ValueError, "queries must be positive and finite, got 0"),
        (lambda: t2.InferenceFLOPs(float("inf")), ValueError, "queries must be positive and finite, got inf"),
        (lambda: t2.InferenceFLOPs(1, -1), ValueError, "prompt_tokens must be zero or positive, and finite, got -1"),
        (
            lambda: t2.InferenceFLOPs(1, 0, 0),
            ValueError,
            "prompt_tokens + output_tokens must be positive and finite, got 0.0",
        ),
        (lambda: t2.InferenceFLOPs("many"), TypeError, "queries must be a number, got 'many'"),
        (
            lambda: t2.InferenceFLOPs(output_tokens=np.float16(3)),
            TypeError,
            "output_tokens is float16, which cannot hold FLOPs or tokens: use float32 or float64",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.usefixtures("untyped")
def test_share_prompt_is_yes_or_no():
    """`share_prompt="no"` must not quietly mean yes."""
    with pytest.raises(TypeError, match="share_prompt"):
        t2.InferenceFLOPs(share_prompt="no")


def test_millions_of_tokens_are_tokens():
    """A unit is a factor: it changes the numbers of its own quantity, and nothing else."""
    law, train = t2.published("besiroglu2024"), t2.TrainingFLOPs()
    plain = t2.minimize(law, [train <= 1e23, t2.tokens <= 2e11])
    millions = t2.minimize(law, [train / 1e18 <= 1e5, t2.tokens / 1e6 <= 2e5])
    for one, other in zip(jax.tree.leaves(plain.allocation), jax.tree.leaves(millions.allocation), strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-12)
    for one, other in zip(plain.shadow_prices, millions.shadow_prices, strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-9)
