"""Gadre's law of over-training: a power law of compute at every number of tokens per parameter."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax.laws._base import LossLaw
from t2jax.quantities import Equation, PowerTerm, Provenance, Say, log_of_sum

__all__ = ["Overtraining"]


class Overtraining(LossLaw):
    """L = E + (a·M^η + b·M^−η)·C^−η with M = D/N and C = 6ND (Gadre et al. 2024, arXiv:2403.08540, eq. 4).

    E: ≥ 0, nats. a, b, eta: > 0. At fixed over-training M it is a power law in compute; multiplied out
    it is the Chinchilla law with A = a/6^η, B = b/6^η, α = β = 2η.
    """

    E: Float[Array, "..."]
    a: Float[Array, "..."]
    b: Float[Array, "..."]
    eta: Float[Array, "..."]
    provenance: Provenance | None = eqx.field(static=True)

    def __init__(self, E: Any, a: Any, b: Any, eta: Any, *, provenance: Provenance | None = None):
        self.E = validate.nonnegative("E", E)
        self.a = validate.positive("a", a)
        self.b = validate.positive("b", b)
        self.eta = validate.positive("eta", eta)
        self.provenance = provenance

    def equation(self, say: Say) -> Equation:
        E, a, b, eta = say(self, "E", "a", "b", "eta")
        of_compute = (("M", "D/N, tokens per parameter"), ("C", "6·N·D, training FLOPs"))
        return Equation("L(N, D)", f"{E} + ({a}·M^{eta} + {b}/M^{eta})/C^{eta}", "nats per token", of_compute)

    def score(self, log: Any) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        # M^η·C^−η = (6N²)^−η and M^−η·C^−η = (6D²)^−η.
        six, power = -self.eta * jnp.log(6.0), -2.0 * self.eta
        of_params = PowerTerm(self.a, six, {"params": power})
        return PowerTerm(self.E, 0.0, {}), of_params, PowerTerm(self.b, six, {"tokens": power})
