"""The two Train-to-Test (T²) approaches: quality of solving a task at (N, D, k) (arXiv:2604.01411)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._numerics.derivatives import chain_rule
from t2jax._numerics.logs import log_sum
from t2jax._numerics.special import log_failure, log_odds_of_pass
from t2jax.quantities import (
    Allocation,
    Curvature,
    Equation,
    PowerTerm,
    Provenance,
    Quantity,
    Say,
    Scale,
    equation_of,
    minus,
    plus,
)
from t2jax.tasks._base import Task
from t2jax.tasks._passk import BetaPassRate

__all__ = ["T2Accuracy", "T2Loss"]


class T2Loss(Task):
    """Approach 1: E_i[−log pass@k_i] ≈ L(N, D, k) = L(N, D) + G/k^γ, in nats.

    law: the loss law of N and D. G, gamma: > 0; at k = 1 the irreducible part is E + G.
    With power laws and FLOP budgets this is convex in log space, with one global optimum.
    """

    law: Quantity
    G: Float[Array, "..."]
    gamma: Float[Array, "..."]
    provenance: Provenance | None = eqx.field(static=True)

    def __init__(self, law: Quantity, G: Any, gamma: Any, *, provenance: Provenance | None = None):
        self.law = _loss_law("T2Loss", law)
        self.G = validate.positive("G", G)
        self.gamma = validate.positive("gamma", gamma)
        self.provenance = provenance

    def equation(self, say: Say) -> Equation:
        inner, (G, gamma) = equation_of(self.law, say), say(self, "G", "gamma")
        return Equation("L(N, D, k)", f"{inner.right} + {G}/k^{gamma}", "nats", inner.where)

    def pass_at_k(self, value: Any) -> Any:
        """exp(−value): no more than an estimate, as the mean of −log pass@k is not the −log of the mean."""
        return jnp.exp(-value) if isinstance(value, jax.Array) else np.exp(-value)

    def score(self, log: Any) -> Float[Array, "..."]:
        return log_sum((1.0, self.law.log_value(log)), (self.G, -self.gamma * log.samples))

    def added_terms(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(self.G, 0.0, {"samples": -self.gamma}),)

    @property
    def curvature(self) -> Curvature:
        return max(Curvature.CONVEX, self.law.curvature)


class T2Accuracy(Task):
    """Approach 2: pass@k(N, D, k) of problems whose pass rates follow Beta(μν, (1−μ)ν), from the loss L(N, D).

    μ = θ2 / (1 + exp(θ1·(L − θ0))), ν = exp(θ3 + θ4·L), pass@k = 1 − B(a, b+k)/B(a, b), a = μν, b = (1−μ)ν.

    law: the loss law of N and D, fitted to the task's loss. theta: (θ0, θ1, θ2, θ3, θ4): the loss at half of
    the highest mean pass rate, the steepness, the highest mean pass rate in (0, 1], log ν at L = 0, and its slope.
    A probability: it is optimised on log odds and reported in (0, 1).
    """

    law: Quantity
    theta: Float[Array, "... 5"]
    provenance: Provenance | None = eqx.field(static=True)

    def __init__(self, law: Quantity, theta: Any, *, provenance: Provenance | None = None):
        self.law = _loss_law("T2Accuracy", law)
        self.theta = validate.real("theta", theta if hasattr(theta, "dtype") else jnp.stack(_five(theta)))
        if self.theta.shape[-1:] != (5,):
            raise ValueError(f"theta must be the five numbers (θ0, …, θ4), got shape {self.theta.shape}")
        validate.positive("theta[1], the steepness θ1,", self.theta[..., 1])
        validate.share("theta[2], the highest mean pass rate θ2,", self.theta[..., 2])
        self.provenance = provenance

    def beta_at(self, log: Any) -> tuple[Array, Array]:
        """(a, b) of the distribution of pass rates over problems, where the decision has these logarithms."""
        log_a, log_b = _log_beta(self.law.log_value(log), self.theta)
        return jnp.exp(log_a), jnp.exp(log_b)

    def pass_rates(self, params: Any, tokens: Any) -> BetaPassRate:
        """The distribution of single-sample pass rates over problems at N parameters and D tokens."""
        return BetaPassRate(*self.beta_at(jax.tree.map(jnp.log, Allocation(params, tokens))))

    def equation(self, say: Say) -> Equation:
        inner, theta = equation_of(self.law, say), say(self, "theta")
        of_loss = (
            ("a", "μ·ν"),
            ("b", "(1 − μ)·ν"),
            ("μ", f"{theta[2]}/(1 + exp({theta[1]}·(L {minus(theta[0])}))), mean pass rate"),
            ("ν", f"exp({theta[3]} {plus(theta[4])}·L)"),
            ("L", f"{inner.right}, {inner.unit}"),
        )
        return Equation("pass@k(N, D, k)", "1 − B(a, b + k)/B(a, b)", "", (*of_loss, *inner.where))

    def score(self, log: Any) -> Float[Array, "..."]:
        return chain_rule(_log_odds, self.law.log_value(log), log.samples, self.theta)

    @property
    def scale(self) -> Scale:
        return Scale.LOG_ODDS

    @property
    def curvature(self) -> Curvature:
        return Curvature.UNKNOWN

    @property
    def few_optima(self) -> bool:
        return self.law.curvature <= Curvature.CONVEX


def _log_beta(log_loss: Array, theta: Array) -> tuple[Array, Array]:
    """(log a, log b) of the Beta distribution of pass rates over problems."""
    theta0, theta1, theta2, theta3, theta4 = (theta[..., i] for i in range(5))
    loss = jnp.exp(log_loss)
    steep = theta1 * (loss - theta0)
    # Beyond these ν the distribution is a point, or all at 0 and 1, to every digit.
    most = 60.0 if loss.dtype == jnp.float64 else 30.0
    log_nu = jnp.clip(theta3 + theta4 * loss, -most, most)
    # 1 − μ = (1 − θ2 + e^steep)/(1 + e^steep): no cancellation as μ → 1.
    log_a = log_nu + jnp.log(theta2) + jax.nn.log_sigmoid(-steep)
    log_b = log_nu + log_sum((1.0 - theta2, jnp.zeros_like(steep)), (1.0, steep)) - jax.nn.softplus(steep)
    return log_a, log_b


def _log_odds(log_loss: Array, log_samples: Array, theta: Array) -> Array:
    """Of pass@k, from log L, log k and θ0 … θ4; elementwise, where θ has one more axis, its last."""
    log_a, log_b = _log_beta(log_loss, theta)
    # Far from any real task a or b underflows. There pass@k is proportional to a, and failure to b: what e^log cannot
    # hold comes after.
    least = 0.25 * jnp.log(jnp.finfo(log_a.dtype).tiny)
    kept_a, kept_b = jnp.maximum(log_a, least), jnp.maximum(log_b, least)
    odds = log_odds_of_pass(log_failure(jnp.exp(kept_a), jnp.exp(kept_b), jnp.exp(log_samples)))
    return odds + (log_a - kept_a) - (log_b - kept_b)


def _loss_law(name: str, law: Any) -> Any:
    if not isinstance(law, Quantity):
        raise TypeError(
            f"{name} takes a loss law of N and D first, for example t2jax.published('besiroglu2024'), got {law!r}"
        )
    return law


def _five(theta: Any) -> list[Array]:
    try:
        values = list(theta)
    except TypeError as error:
        raise TypeError(f"theta must be the five numbers (θ0, …, θ4), got {theta!r}") from error
    if len(values) != 5:
        raise ValueError(f"theta must be the five numbers (θ0, …, θ4), got {len(values)}")
    return [validate.real(f"theta[{i}]", value) for i, value in enumerate(values)]
