"""The Chinchilla law where data repeat: epochs, and parameters beyond what the data can fill, decay in value."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._io.text import human
from t2jax._numerics.special import expm1
from t2jax.laws._base import LossLaw
from t2jax.laws._chinchilla import Chinchilla
from t2jax.quantities import Equation, Provenance, Say

__all__ = ["DataConstrained"]


_EXHAUSTED = 1e-6
"""The part of the floor by which the loss is above it when data count as exhausted."""


class DataConstrained(LossLaw):
    """A Chinchilla law where only `unique_tokens` U are distinct, the rest repeats (Muennighoff, arXiv:2305.16264).

    L = E + A/N′^α + B/D′^β with effective data D′ = U_D + U_D·R_D*·(1 − exp(−R/R_D*)), U_D = min(D, U), R = D/U_D − 1,
    and the effective size N′ alike from U_N = min(N, N_opt(U_D)), where N_opt(U_D) is the size for which U_D tokens
    are compute-optimal. Epochs decay in value with R_D* ≈ 15.4, excess parameters with R_N* ≈ 5.3.
    """

    law: Chinchilla
    unique_tokens: Float[Array, "..."]
    R_D: Float[Array, "..."]
    R_N: Float[Array, "..."]
    provenance: Provenance | None = eqx.field(static=True)

    def __init__(
        self, law: Chinchilla, unique_tokens: Any, R_D: Any, R_N: Any, *, provenance: Provenance | None = None
    ):
        if not isinstance(law, Chinchilla):
            raise TypeError(f"DataConstrained extends a Chinchilla law, got {type(law).__name__}")
        self.law = law
        self.unique_tokens = validate.positive("unique_tokens", unique_tokens)
        self.R_D = validate.positive("R_D", R_D)
        self.R_N = validate.positive("R_N", R_N)
        self.provenance = provenance

    def equation(self, say: Say) -> Equation:
        unique, R_D, R_N = say(self, "unique_tokens", "R_D", "R_N")
        effective = (
            ("D′", f"U + U·{R_D}·(1 − exp(−(D/U − 1)/{R_D})), effective tokens; U = min(D, {unique})"),
            ("N′", f"V + V·{R_N}·(1 − exp(−(N/V − 1)/{R_N})), effective parameters; V = min(N, N_opt(U))"),
            ("N_opt(U)", "the size for which U tokens are compute-optimal"),
        )
        inner = self.law.equation(say)
        return Equation("L(N, D)", inner.right.replace("/N", "/N′").replace("/D", "/D′"), inner.unit, effective)

    @property
    def floor(self) -> Float[Array, "..."]:
        """The least loss there is with these unique tokens, nats: N′ and D′ at (1 + R_N*)·U_N and (1 + R_D*)·U_D."""
        unique = jnp.log(self.unique_tokens)
        most = self._enough(unique) + jnp.log1p(self.R_N), unique + jnp.log1p(self.R_D)
        return self.law.loss(jnp.exp(most[0]), jnp.exp(most[1]))

    def least_flops(self, within: float = 1e-3) -> float:
        """The least training FLOPs, 6·N·D, whose loss is at most (1 + within) times the floor. For a single law.

        On a grid of N, for each the D that reaches it; to a thousandth.
        """
        law, unique = self.law, float(self.unique_tokens)
        E, A, B, alpha, beta, R_D, R_N = (
            float(one) for one in (law.E, law.A, law.B, law.alpha, law.beta, self.R_D, self.R_N)
        )
        enough = math.exp(float(self._enough(jnp.log(self.unique_tokens))))
        params = enough * np.geomspace(1.0, 1.0 + 40.0 * R_N, 4000)
        effective = enough * (1.0 - R_N * np.expm1(-(params / enough - 1.0) / R_N))
        left = float(self.floor) * (1.0 + within) - E - A / effective**alpha
        with np.errstate(invalid="ignore", divide="ignore"):
            repeats = -R_D * np.log1p(-((B / left) ** (1.0 / beta) / unique - 1.0) / R_D)
        flops = 6.0 * params * unique * (1.0 + repeats)
        return float(np.min(np.where((left > 0) & np.isfinite(flops), flops, np.inf)))

    def remarks(self, allocation: Any) -> tuple[str, ...]:
        """That the data are exhausted, and how little compute does as well, where more of it changes nothing."""
        floor = float(self.floor)
        if float(self(allocation)) > floor * (1.0 + _EXHAUSTED):
            return ()
        return (
            f"the {human(float(self.unique_tokens))} unique tokens are exhausted: the loss is at its floor, "
            f"{floor:.6g} nats, and {human(self.least_flops(), 2)} training FLOPs come within 0.1 % of it",
        )

    def _enough(self, log_unique: Array) -> Array:
        """The logarithm of the size that these unique tokens suffice for: where 6ND = C has αA/N^α = βB/D^β."""
        law = self.law
        return (jnp.log(law.alpha * law.A) - jnp.log(law.beta * law.B) + law.beta * log_unique) / law.alpha

    def score(self, log: Any) -> Float[Array, "..."]:
        law = self.law
        unique = jnp.minimum(log.tokens, jnp.log(self.unique_tokens))
        base = jnp.minimum(log.params, self._enough(unique))
        effective = (_effective(log.params, base, self.R_N), _effective(log.tokens, unique, self.R_D))
        return law.score(eqx.tree_at(lambda a: (a.params, a.tokens), log, effective))


def _effective(log_total: Array, log_unique: Array, decay: Array) -> Array:
    """log[U + U·R*·(1 − exp(−R/R*))], R = total/U − 1 ≥ 0: repeats are worth less and less."""
    repeats = jnp.expm1(log_total - log_unique)
    return log_unique + jnp.log1p(-decay * expm1(-repeats / decay))
