"""pass@k: the probability that at least one of k samples is right, from counts or from a distribution of difficulty."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._numerics.special import expm1, expm1_over, log_failure, log_failure_per_a, log_failure_terms, normal

__all__ = ["BetaPassRate", "pass_at_k"]


def pass_at_k(num_samples: Any, num_correct: Any, k: Any) -> Float[Array, "..."]:
    """Unbiased estimate of pass@k of a problem from counts: `1 − C(n − c, k) / C(n, k)`; 1 where n − c < k.

    num_samples: n, samples drawn. num_correct: c ≤ n, of these right. k: samples per query, 1 ≤ k ≤ n. Whole numbers or
    arrays of them, which broadcast: counts of shape (problems, 1) and k of shape (ks,) give (problems, ks).

    Returns the estimates in JAX's default precision, computed in float64 outside traced code whatever that is. The
    mean over problems is the caller's. Inside traced code counts above 2**24 are exact only with float64 enabled.

    Raises ValueError where pass@k is undefined: k > n (fewer samples than asked about say nothing, not 1), k < 1,
    c > n, or numbers that are not whole. Inside traced code these entries are NaN.

    Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", arXiv 2107.03374, equation 1.
    """
    given = {"num_samples": num_samples, "num_correct": num_correct, "k": k}
    checked = {name: validate.natural(name, value) for name, value in given.items()}
    try:
        shape = np.broadcast_shapes(*(np.shape(value) for value in checked.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in checked.items())
        raise ValueError(f"num_samples, num_correct and k must have shapes that broadcast, got {shapes}") from error
    if any(isinstance(value, jax.core.Tracer) for value in checked.values()):
        return _traced_pass_at_k(
            *(jnp.broadcast_to(jnp.asarray(value, dtype=float), shape) for value in checked.values())
        )
    n, c, k = (np.broadcast_to(value.astype(np.float64), shape) for value in checked.values())
    validate.refuse(k < 1, "k must be 1 or more, got {}", k)
    validate.refuse(
        c > n,
        "num_correct must not exceed num_samples, got num_correct = {} of num_samples = {}",
        c,
        n,
    )
    validate.refuse(
        k > n,
        "pass@k is undefined for k above num_samples, got k = {} and num_samples = {}: "
        "ask for a smaller k, or leave out the problems with fewer than k samples",
        k,
        n,
    )
    certain = n - c < k
    failure = log_failure_terms(c, np.where(certain, 1.0, n - c - k + 1.0), k, xp=np)
    return jnp.asarray(np.where(certain, 1.0, -np.expm1(failure)), dtype=float)


def _traced_pass_at_k(n: Array, c: Array, k: Array) -> Array:
    whole = (n == jnp.floor(n)) & (c == jnp.floor(c)) & (k == jnp.floor(k))
    defined = whole & (k >= 1.0) & (k <= n) & (c >= 0.0) & (c <= n)
    certain = n - c < k
    # C(n-c, k)/C(n, k) is the ratio of Betas B(c, b + k)/B(c, b) at b = n - c - k + 1. Elsewhere: any finite stand-in.
    usual = defined & ~certain
    c, b, k = jnp.where(usual, c, 0.0), jnp.where(usual, n - c - k + 1.0, 1.0), jnp.where(usual, k, 1.0)
    return jnp.where(defined, jnp.where(certain, 1.0, -expm1(log_failure(c, b, k))), jnp.nan)


class BetaPassRate(eqx.Module):
    """Success probabilities p of single samples that vary over problems as Beta(a, b): density ∝ p^(a−1) (1−p)^(b−1).

    a, b: positive shape parameters, dimensionless, of any shapes that broadcast. The mean success probability (pass@1)
    is a/(a + b); a sets the power law of the hardest problems, failure ~ Γ(a + b)/Γ(b) · k^−a. Batches of distributions
    are arrays in a and b, which broadcast against k.

    Raises TypeError or ValueError where a or b is not a positive, finite number.

    Source: T², arXiv 2604.01411, approach 2.
    """

    a: Float[Array, "..."]
    b: Float[Array, "..."]

    def __init__(self, a: Any, b: Any):
        checked_a, checked_b = validate.positive("a", a), validate.positive("b", b)
        # A Python number takes the precision of the other coefficient.
        number_a, number_b = isinstance(a, int | float), isinstance(b, int | float)
        self.a = checked_a.astype(checked_b.dtype) if number_a and not number_b else checked_a
        self.b = checked_b.astype(checked_a.dtype) if number_b and not number_a else checked_b

    def log_failure(self, k: Any) -> Float[Array, "..."]:
        """Log of the probability that k samples all fail, `log E[(1 − p)^k] = log B(a, b + k) − log B(a, b)`, below 0.

        k: samples per query, real, ≥ 1, any shape that broadcasts against a and b. Raises ValueError for k < 1.
        """
        return log_failure(normal(self.a), self.b, self.checked_samples(k))

    def pass_at_k(self, k: Any) -> Float[Array, "..."]:
        """Probability that at least one of k samples is right, `1 − B(a, b + k) / B(a, b)`, in (0, 1).

        k: samples per query, real, ≥ 1, any shape that broadcasts against a and b. Raises ValueError for k < 1.
        """
        return -expm1(self.log_failure(k))

    def expected_samples(self, k: Any) -> Float[Array, "..."]:
        """Expected number of samples drawn when sampling stops at the first verified success, at most k.

        `Σ_{j<k} B(a, b + j) / B(a, b) = 1 + b · [1 − B(a − 1, b + k) / B(a − 1, b + 1)] / (a − 1)`; its limit
        `1 + b · [ψ(b + k) − ψ(b + 1)]` at a = 1, for k = 1 exactly 1. The right side also interpolates between whole k.

        k: most samples per query, real, ≥ 1, any shape that broadcasts against a and b. Raises ValueError for k < 1.

        Source: the sum of the failure probabilities of approach 2 of T², arXiv 2604.01411; the closed form follows by
        induction. The first sample stands apart so that the rest has no pole where a + b = 1.
        """
        a, b, k = jnp.broadcast_arrays(self.a, self.b, self.checked_samples(k))
        a, b = normal(a), normal(b)
        per_a = log_failure_per_a(a - 1.0, b + 1.0, k - 1.0, both=a + b)
        # (1 - exp(y)) / (a - 1) with y = (a - 1) per_a: the quotient is removed, not taken, or b goes into the
        # exponential, where that has no number without it.
        y = (a - 1.0) * per_a
        large = y > 8.0
        usual = b * per_a * expm1_over(jnp.where(large, 0.0, y))
        beyond = (jnp.exp(jnp.where(large, y, 0.0) + jnp.log(b)) - b) / jnp.where(large, a - 1.0, 1.0)
        return 1.0 - jnp.where(large, beyond, usual)

    def checked_samples(self, k: Any) -> Float[Array, "..."]:
        """k as an array, in the precision of a unless it has its own. Raises ValueError for k < 1."""
        checked = validate.positive("k", k)
        if not isinstance(checked, jax.core.Tracer):
            given = np.asarray(k, dtype=np.float64)
            validate.refuse(given < 1, "k must be 1 or more, got {}", given)
        floating = hasattr(k, "dtype") and jnp.issubdtype(k.dtype, jnp.floating)
        return checked if floating else checked.astype(self.a.dtype)
