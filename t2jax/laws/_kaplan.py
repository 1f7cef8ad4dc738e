"""Kaplan's law: parameters and tokens limit each other inside one power."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax.laws._base import LossLaw
from t2jax.quantities import Equation, Provenance, Say

__all__ = ["Kaplan"]


class Kaplan(LossLaw):
    """L(N, D) = [(N_c/N)^(α_N/α_D) + D_c/D]^α_D (Kaplan et al. 2020, arXiv:2001.08361, eq. 1.5).

    N counts non-embedding parameters. N_c, D_c: > 0, in parameters and tokens. alpha_N, alpha_D: > 0.
    """

    N_c: Float[Array, "..."]
    D_c: Float[Array, "..."]
    alpha_N: Float[Array, "..."]
    alpha_D: Float[Array, "..."]
    provenance: Provenance | None = eqx.field(static=True)

    def __init__(self, N_c: Any, D_c: Any, alpha_N: Any, alpha_D: Any, *, provenance: Provenance | None = None):
        self.N_c = validate.positive("N_c", N_c)
        self.D_c = validate.positive("D_c", D_c)
        self.alpha_N = validate.positive("alpha_N", alpha_N)
        self.alpha_D = validate.positive("alpha_D", alpha_D)
        self.provenance = provenance

    def equation(self, say: Say) -> Equation:
        N_c, D_c, alpha_N, alpha_D = say(self, "N_c", "D_c", "alpha_N", "alpha_D")
        right = f"[({N_c}/N)^({alpha_N}/{alpha_D}) + {D_c}/D]^{alpha_D}"
        return Equation("L(N, D)", right, "nats per token")

    def score(self, log: Any) -> Float[Array, "..."]:
        of_params = self.alpha_N / self.alpha_D * (jnp.log(self.N_c) - log.params)
        return self.alpha_D * jnp.logaddexp(of_params, jnp.log(self.D_c) - log.tokens)
