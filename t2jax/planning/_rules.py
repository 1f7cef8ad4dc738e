"""Rules of thumb, exact: over-training, break-even, the price of a smaller model, demand-aware training."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax.costs import InferenceFLOPs, TrainingFLOPs
from t2jax.optimize import Solution, minimize
from t2jax.quantities import Allocation, Quantity

__all__ = [
    "break_even_tokens",
    "capacity_floor",
    "compute_overhead",
    "inference_aware_optimum",
    "inference_factor",
    "overtraining_ratio",
    "serving_years",
]

CHINCHILLA_TOKENS_PER_PARAM = 20.0  # Hoffmann et al. 2022, table 3, rounded as the field does


def overtraining_ratio(params: Any, tokens: Any, law: Quantity | None = None) -> Float[Array, "..."]:
    """How many times more tokens than compute-optimal: `(D/N)/20`, or by a law `D/D*(N)`.

    D*(N) is what the law would train N parameters on where 6ND is the only cost, `αA/N^α = βB/D*^β`.

    params: N. tokens: D. Both > 0, of shapes that broadcast. law: `Chinchilla` or another sum E + A/N^α + B/D^β. Do not
    confuse the ratio with tokens per parameter, 20 times as many: Llama-3-8B's is 94, its tokens per parameter 1,875.
    Raises ValueError or TypeError for anything else.
    """
    params, tokens = _numbers(params=params, tokens=tokens)
    if law is None:
        return tokens / params / CHINCHILLA_TOKENS_PER_PARAM
    _, (log_A, alpha), (log_B, beta) = _two_powers(law)
    log_optimal = (jnp.log(beta) + log_B - jnp.log(alpha) - log_A + alpha * jnp.log(params)) / beta
    return jnp.exp(jnp.log(tokens) - log_optimal)


def break_even_tokens(large: Allocation, small: Allocation) -> Float[Array, "..."]:
    """Inference tokens after which a smaller model that cost more to train is the cheaper one, training included.

    `T = (6·N_s·D_s − 6·N_l·D_l) / (2·(N_l − N_s))`, and 0 where the smaller one was cheaper to train, too.

    large, small: parameters and training tokens of two models of equal quality (`samples` plays no part). Shapes
    broadcast. Raises ValueError where `small` has no fewer parameters (inside traced code: NaN).
    """
    for name, model in (("large", large), ("small", small)):
        if not isinstance(model, Allocation):
            raise TypeError(f"{name} must be an Allocation of parameters and training tokens, got {model!r}")
    more = large.params - small.params
    if not isinstance(more, jax.core.Tracer) and not np.all(np.asarray(more) > 0):
        raise ValueError("small must have fewer parameters than large: compare them in the other order")
    # In tokens of the larger model's size, so that no FLOPs are multiplied out: 6ND of both overflows float32 at 3e38.
    extra = 3.0 * (small.params / more * small.tokens - large.params / more * large.tokens)
    return jnp.where(more > 0, jnp.maximum(extra, 0.0), jnp.nan)


def inference_factor(inference_tokens: Any, tokens: Any) -> Float[Array, "..."]:
    """Inference FLOPs over training FLOPs of one model, `2N·T / (6N·D) = T/(3D)`, of any size N.

    Below 1 training dominates; above 10 a smaller model, trained for longer, pays. inference_tokens: T > 0, prompt and
    output, over the model's life. tokens: D > 0, training tokens. Shapes broadcast.
    Raises ValueError or TypeError else.
    """
    served, tokens = _numbers(inference_tokens=inference_tokens, tokens=tokens)
    return served / (3.0 * tokens)


def serving_years(tokens: Any, tokens_per_day: Any) -> Float[Array, "..."]:
    """Years (of 365.25 days) that serving so many tokens takes; also requests at requests per day. Shapes broadcast."""
    tokens, per_day = _numbers(tokens=tokens, tokens_per_day=tokens_per_day)
    return tokens / per_day / 365.25


def capacity_floor(law: Quantity, params: Any) -> Float[Array, "..."]:
    """The loss in nats that N parameters cannot beat however long they train, `L(N, ∞) = E + A/N^α`.

    law: `Chinchilla` or another sum E + A/N^α + B/D^β. params: N > 0, of any shape.
    Raises TypeError for another law, ValueError or TypeError for other numbers.
    """
    (params,) = _numbers(params=params)
    E, (log_A, alpha), _ = _two_powers(law)
    return E + jnp.exp(log_A - alpha * jnp.log(params))


def compute_overhead(law: Quantity, fraction: Any) -> Float[Array, "..."]:
    """Extra training compute of a model `fraction` times the compute-optimal size, at the optimum's loss (Harm's law).

    `k_N·k_D − 1` with `k_D = [1 − (k_N^−α − 1)·β/α]^(−1/β)` times the data; 0 at k_N = 1, at every scale the same.
    (The original has (A/B)·G^(−α−β) for α/β's inverse, to which it is equal.)

    law: `Chinchilla` or another sum E + A/N^α + B/D^β. fraction: k_N > 0, of any shape. Below the critical fraction
    (1 + α/β)^(−1/α) no data suffice: ValueError (inside traced code: infinity).

    Source: de Vries 2023, "Go smol or go home".
    """
    (fraction,) = _numbers(fraction=fraction)
    _, (_, alpha), (_, beta) = _two_powers(law)
    # What is left of the data term: 1 − (k_N^−α − 1)·β/α.
    lost = jnp.expm1(-alpha * jnp.log(fraction)) * beta / alpha
    if not isinstance(lost, jax.core.Tracer):
        critical = jnp.broadcast_to((1.0 + alpha / beta) ** (-1.0 / alpha), lost.shape)
        validate.refuse(
            np.asarray(lost) >= 1.0,
            "fraction = {} is too small: under this law no amount of data brings a model below {} of the "
            "compute-optimal size to the optimum's loss",
            np.broadcast_to(np.asarray(fraction), lost.shape),
            np.asarray(np.round(critical, 4)),
        )
    enough = lost < 1.0
    log_data = -jnp.log1p(-jnp.where(enough, lost, 0.0)) / beta
    return jnp.where(enough, jnp.expm1(jnp.log(fraction) + log_data), jnp.inf)


def inference_aware_optimum(law: Quantity, loss_nats: Any, inference_tokens: Any, *, throw: bool = True) -> Solution:
    """The model of a given loss that is cheapest to train and serve: min `6ND + 2N·T` subject to `L(N, D) ≤ loss`.

    At the optimum `αA/N^α / (βB/D^β) = 1 + T/(3D)`: the more is served, the smaller the model and the more data.
    One line over `minimize`, so it differentiates and vmaps, and the solution's shadow price is that of the loss.

    law: any loss law. loss_nats: the loss to reach, above the law's E. inference_tokens: T > 0, prompt and output
    tokens over the model's life. Both single numbers: `jax.vmap` for batches. throw: as in `minimize`.
    Returns a `Solution` of value 6ND + 2NT, in FLOPs. Raises as `minimize` does: `NoSolutionError` for a loss ≤ E.

    Source: Sardana et al. 2024, "Beyond Chinchilla-Optimal", arXiv 2401.00448, equations 3 to 5.
    """
    inference_tokens = validate.positive("inference_tokens", inference_tokens)
    serve = InferenceFLOPs(output_tokens=inference_tokens)
    return minimize(TrainingFLOPs() + serve, [law <= loss_nats], throw=throw)


def _numbers(**given: Any) -> tuple[Array, ...]:
    return tuple(validate.positive(name, value) for name, value in given.items())


def _two_powers(law: Any) -> tuple[Any, tuple[Any, Any], tuple[Any, Any]]:
    """E, (log A, α) and (log B, β) of a law that is E + A/N^α + B/D^β, with any constant left out as 0."""
    terms = law.power_terms() if isinstance(law, Quantity) else None
    found = {tuple(term.exponents): term for term in terms or ()}
    if len(found) != len(terms or ()) or not {("params",), ("tokens",)} <= set(found) <= {(), ("params",), ("tokens",)}:
        raise TypeError(f"law must be a sum E + A/N^α + B/D^β, such as t2jax.Chinchilla, got {law!r}")
    of_params, of_tokens = (
        (jnp.log(term.coefficient) + term.log_factor, -term.exponents[name])
        for name, term in (("params", found[("params",)]), ("tokens", found[("tokens",)]))
    )
    constant = found.get(())
    E = 0.0 if constant is None else constant.coefficient * jnp.exp(constant.log_factor)
    return E, of_params, of_tokens
