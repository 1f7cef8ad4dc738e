"""The Chinchilla law: a power law of parameters plus one of tokens."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax.laws._base import LossLaw
from t2jax.quantities import Equation, PowerTerm, Provenance, Say, log_of_sum

__all__ = ["Chinchilla"]


class Chinchilla(LossLaw):
    """L(N, D) = E + A/N^α + B/D^β (Hoffmann et al. 2022, arXiv:2203.15556, approach 3).

    E: irreducible loss in nats, ≥ 0. A, B: > 0, for N and D in units of one. alpha, beta: > 0.
    Numbers, or arrays of one shape for an ensemble (then use `eqx.filter_vmap` over the law).
    Raises ValueError or TypeError for anything else.
    """

    E: Float[Array, "..."]
    A: Float[Array, "..."]
    B: Float[Array, "..."]
    alpha: Float[Array, "..."]
    beta: Float[Array, "..."]
    provenance: Provenance | None = eqx.field(static=True)

    def __init__(self, E: Any, A: Any, B: Any, alpha: Any, beta: Any, *, provenance: Provenance | None = None):
        self.E = validate.nonnegative("E", E)
        self.A = validate.positive("A", A)
        self.B = validate.positive("B", B)
        self.alpha = validate.positive("alpha", alpha)
        self.beta = validate.positive("beta", beta)
        self.provenance = provenance

    def equation(self, say: Say) -> Equation:
        E, A, B, alpha, beta = say(self, "E", "A", "B", "alpha", "beta")
        return Equation("L(N, D)", f"{E} + {A}/N^{alpha} + {B}/D^{beta}", "nats per token")

    def score(self, log: Any) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        of_params = PowerTerm(self.A, 0.0, {"params": -self.alpha})
        return PowerTerm(self.E, 0.0, {}), of_params, PowerTerm(self.B, 0.0, {"tokens": -self.beta})

    def compute_optimal_exponents(self) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """(a, b) of N* ∝ C^a, D* ∝ C^b where 6ND = C: a = β/(α+β), b = α/(α+β)."""
        return self.beta / (self.alpha + self.beta), self.alpha / (self.alpha + self.beta)
