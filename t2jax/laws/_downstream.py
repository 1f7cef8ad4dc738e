"""From loss to the error of downstream tasks."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._io.display import Displayed, Grid
from t2jax.quantities import Equation, Provenance, Say, law_parts

__all__ = ["ErrorFromLoss"]


class ErrorFromLoss(Displayed, eqx.Module):
    """Mean top-1 error of downstream tasks from loss: Err(L) = ε − κ·exp(−γ·L) (Gadre et al. 2024, eq. 5).

    epsilon: the error at chance, in (0, 1). kappa, gamma: > 0.
    """

    epsilon: Float[Array, "..."]
    kappa: Float[Array, "..."]
    gamma: Float[Array, "..."]
    provenance: Provenance | None = eqx.field(static=True)

    def __init__(self, epsilon: Any, kappa: Any, gamma: Any, *, provenance: Provenance | None = None):
        self.epsilon = validate.probability("epsilon", epsilon)
        self.kappa = validate.positive("kappa", kappa)
        self.gamma = validate.positive("gamma", gamma)
        self.provenance = provenance

    def equation(self, say: Say) -> Equation:
        """The law in symbols, where `say` gives what stands for each coefficient."""
        epsilon, kappa, gamma = say(self, "epsilon", "kappa", "gamma")
        meaning = (("Err", "mean top-1 error"), ("L", "loss, nats per token"))
        return Equation("Err(L)", f"{epsilon} − {kappa}·exp(−{gamma}·L)", "", meaning)

    def _parts(self) -> list[str | Grid]:
        return law_parts(self)

    def __call__(self, loss_nats: Float[Array, "..."]) -> Float[Array, "..."]:
        """Error in [0, 1] at a loss in nats per token; broadcasts. Increasing in the loss."""
        return self.epsilon - self.kappa * jnp.exp(-self.gamma * loss_nats)
