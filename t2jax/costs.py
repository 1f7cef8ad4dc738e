"""What an allocation costs in compute: training and inference FLOPs."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax import validate
from t2jax.allocation import Allocation, Curvature, Quantity
from t2jax.powers import PowerTerm, log_of_sum

__all__ = ["InferenceFLOPs", "TrainingFLOPs"]


class TrainingFLOPs(Quantity):
    """C = 6·N·D: forward 2ND, backward 4ND (Kaplan et al. 2020, §2.1).

    flops_per_param_token: the factor 6; 8 with full activation recomputation.
    """

    flops_per_param_token: Float[Array, "..."]

    def __init__(self, flops_per_param_token: Any = 6.0):
        self.flops_per_param_token = validate.positive("flops_per_param_token", flops_per_param_token)

    def score(self, log: Allocation) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(self.flops_per_param_token, 0.0, {"params": 1.0, "tokens": 1.0}),)

    @property
    def curvature(self) -> Curvature:
        return Curvature.AFFINE


class InferenceFLOPs(Quantity):
    """C = 2·N·Q·(P + k·T): Q queries of P prompt tokens, each answered by k samples of T output tokens.

    The k samples of a query share its prompt through the KV cache; without sharing C = 2·N·Q·k·(P + T).
    With all defaults it is 2Nk, the per-token inference budget of the T² paper (arXiv:2604.01411).

    queries: Q ≥ 0 over the whole life of the model. prompt_tokens: P ≥ 0. output_tokens: T ≥ 0, per sample.
    share_prompt: is the prompt processed once per query (True) or once per sample (False)?
    flops_per_param_token: the factor 2. Raises ValueError where nothing would be processed (Q = 0, or P = T = 0).
    """

    queries: Float[Array, "..."]
    prompt_tokens: Float[Array, "..."]
    output_tokens: Float[Array, "..."]
    flops_per_param_token: Float[Array, "..."]
    share_prompt: bool = eqx.field(static=True)

    def __init__(
        self,
        queries: Any = 1.0,
        prompt_tokens: Any = 0.0,
        output_tokens: Any = 1.0,
        share_prompt: bool = True,
        flops_per_param_token: Any = 2.0,
    ):
        self.queries = validate.positive("queries", queries)
        self.prompt_tokens = validate.nonnegative("prompt_tokens", prompt_tokens)
        self.output_tokens = validate.nonnegative("output_tokens", output_tokens)
        self.flops_per_param_token = validate.positive("flops_per_param_token", flops_per_param_token)
        if not isinstance(share_prompt, bool):
            raise TypeError(f"share_prompt must be True or False, got {share_prompt!r}")
        self.share_prompt = share_prompt
        validate.positive("prompt_tokens + output_tokens", self.prompt_tokens + self.output_tokens)

    def score(self, log: Allocation) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        per_token = jnp.log(self.flops_per_param_token) + jnp.log(self.queries)
        once, per_sample = {"params": 1.0}, {"params": 1.0, "samples": 1.0}
        if self.share_prompt:
            prompts = PowerTerm(self.prompt_tokens, per_token, once)
            return prompts, PowerTerm(self.output_tokens, per_token, per_sample)
        return (PowerTerm(self.prompt_tokens + self.output_tokens, per_token, per_sample),)

    @property
    def curvature(self) -> Curvature:
        return Curvature.CONVEX if self.share_prompt else Curvature.AFFINE
