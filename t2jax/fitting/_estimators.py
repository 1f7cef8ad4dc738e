"""What a fit minimises over rows: how far apart prediction and observation are, as a choice passed in."""

from dataclasses import dataclass

from t2jax._io import validate

__all__ = ["BetaBinomial", "Estimator", "Huber", "LeastAbsoluteDeviations", "LeastSquares"]


@dataclass(frozen=True)
class Huber:
    """Σ w·H(log L − log L̂), H(r) = r²/2 where |r| ≤ δ, else δ(|r| − δ/2): Hoffmann et al. 2022, approach 3.

    delta: δ > 0, on the log of the loss. The literature's 1e-3 is far below the noise of training runs, which makes it
    nearly `LeastAbsoluteDeviations` times δ.
    """

    delta: float = 1e-3

    def __post_init__(self) -> None:
        validate.positive("delta", self.delta)

    def __str__(self) -> str:
        return f"Huber({self.delta:g}) on the log"


@dataclass(frozen=True)
class LeastAbsoluteDeviations:
    """Σ w·|log L − log L̂|: the likelihood of Laplace noise on the log, unmoved by a few wild runs."""

    def __str__(self) -> str:
        return "least absolute deviations on the log"


@dataclass(frozen=True)
class LeastSquares:
    """Σ w·(L − L̂)², in nats (or of pass@k), as in the T² paper (arXiv:2604.01411): the likelihood of Gaussian noise."""

    def __str__(self) -> str:
        return "least squares"


@dataclass(frozen=True)
class BetaBinomial:
    """−Σ w·log P(c | n, a, b), P = C(n, c)·B(a + c, b + n − c)/B(a, b): the likelihood of c right among n samples of a
    problem whose pass rate is Beta(a, b). Exact with unequal n; a problem with c = 0 is information like any other."""

    def __str__(self) -> str:
        return "beta-binomial likelihood"


Estimator = Huber | LeastAbsoluteDeviations | LeastSquares | BetaBinomial
