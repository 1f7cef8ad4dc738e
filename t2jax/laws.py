"""Loss laws L(N, D): nats per token from parameters and training tokens.

Every law is a quantity, and for all of them log L is convex in (log N, log D).
"""

import abc
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax import validate
from t2jax.allocation import Allocation, Curvature, Quantity
from t2jax.display import Displayed, Grid
from t2jax.equations import Equation, Say, law_parts
from t2jax.powers import PowerTerm, log_of_sum
from t2jax.provenance import Provenance
from t2jax.report import human
from t2jax.special import expm1

__all__ = ["Chinchilla", "DataConstrained", "ErrorFromLoss", "Kaplan", "LossLaw", "Overtraining"]


_EXHAUSTED = 1e-6
"""The part of the floor by which the loss is above it when data count as exhausted."""


class LossLaw(Displayed, Quantity):
    """A quantity that depends on N and D alone and is a loss in nats per token. It prints as its equation."""

    @abc.abstractmethod
    def equation(self, say: Say) -> Equation:
        """The law in symbols, where `say` gives what stands for each coefficient."""

    def _parts(self) -> list[str | Grid]:
        return law_parts(self)

    def loss(self, params: Any, tokens: Any) -> Float[Array, "..."]:
        """L(N, D) in nats per token; `params` and `tokens` are numbers or arrays of shapes that broadcast."""
        return self(Allocation(params, tokens))

    @property
    def curvature(self) -> Curvature:
        return Curvature.CONVEX


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
