"""Every loss law L(N, D): nats per token from parameters and training tokens, with log L convex in the logarithms."""

from typing import Any

from jaxtyping import Array, Float

from t2jax._io.display import Displayed, Grid
from t2jax.quantities import Allocation, Curvature, Equation, Quantity, Say, law_parts, plain_equation

__all__ = ["LossLaw"]


class LossLaw(Displayed, Quantity):
    """A quantity that depends on N and D alone and is a loss in nats per token. It prints as its equation.

    One whose logarithm is not convex in log N and log D says so: its `curvature` is `Curvature.UNKNOWN`.
    """

    def equation(self, say: Say) -> Equation:
        """The law in symbols, where `say` gives what stands for each coefficient. Its name with them, if no more."""
        return plain_equation(self, "L(N, D)", "nats per token", say)

    def _parts(self) -> list[str | Grid]:
        return law_parts(self)

    def loss(self, params: Any, tokens: Any) -> Float[Array, "..."]:
        """L(N, D) in nats per token; `params` and `tokens` are numbers or arrays of shapes that broadcast."""
        return self(Allocation(params, tokens))

    @property
    def curvature(self) -> Curvature:
        return Curvature.CONVEX
