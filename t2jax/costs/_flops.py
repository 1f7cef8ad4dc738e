"""What an allocation costs in compute: training and inference FLOPs, and what attention adds."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax.costs._architecture import Architecture, as_architecture
from t2jax.quantities import Curvature, PowerTerm, Quantity, log_of_sum

__all__ = ["EquivalentFLOPs", "InferenceFLOPs", "TrainingFLOPs"]


class TrainingFLOPs(Quantity):
    """C = 6·N·D: forward 2ND, backward 4ND (Kaplan et al. 2020, §2.1).

    flops_per_param_token: the factor 6; 8 with full activation recomputation.
    """

    flops_per_param_token: Float[Array, "..."]

    def __init__(self, flops_per_param_token: Any = 6.0):
        self.flops_per_param_token = validate.positive("flops_per_param_token", flops_per_param_token)

    def score(self, log: Any) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(self.flops_per_param_token, 0.0, {"params": 1.0, "tokens": 1.0}),)

    def flops(self, params: Any, tokens: Any) -> Any:
        """6·N·D of plain numbers or NumPy arrays, without JAX."""
        return np.asarray(self.flops_per_param_token) * params * tokens

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

    def score(self, log: Any) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        per_token = jnp.log(self.flops_per_param_token) + jnp.log(self.queries)
        once, per_sample = {"params": 1.0}, {"params": 1.0, "samples": 1.0}
        if self.share_prompt:
            prompts = PowerTerm(self.prompt_tokens, per_token, once)
            return prompts, PowerTerm(self.output_tokens, per_token, per_sample)
        return (PowerTerm(self.prompt_tokens + self.output_tokens, per_token, per_sample),)

    def flops(self, params: Any, samples: Any) -> Any:
        """2·N·Q·(P + k·T) of plain numbers or NumPy arrays, without JAX."""
        per_token, shared, each = self._per_query()
        return per_token * params * (shared + samples * each)

    def samples_for(self, params: Any, flops: Any) -> Any:
        """The k that so many FLOPs pay for, of plain numbers or NumPy arrays: less than 1 where not even one is."""
        per_token, shared, each = self._per_query()
        return (flops / (per_token * params) - shared) / each

    def _per_query(self) -> tuple[Any, Any, Any]:
        """(FLOPs per parameter and token of all queries, tokens processed once a query, tokens of each sample)."""
        numbers = self.flops_per_param_token, self.queries, self.prompt_tokens, self.output_tokens
        factor, queries, prompt, output = map(np.asarray, numbers)
        shared, each = (prompt, output) if self.share_prompt else (0.0 * prompt, prompt + output)
        return factor * queries, shared, each

    @property
    def curvature(self) -> Curvature:
        return Curvature.CONVEX if self.share_prompt else Curvature.AFFINE


class EquivalentFLOPs(Quantity):
    """Inference as Kinetics counts it (arXiv:2506.05333): FLOPs, attention's too, and KV cache traffic, as FLOPs.

        Q·[2N(P + kT) + 2P²h + 2k(2P + T)·T·h  +  I·w·(2P + kT)·T·h/g]

    for Q queries of P prompt tokens and k samples of T output tokens each. h is attention width times layers, g query
    heads share a KV head, w are bytes per number of the cache. Attention of T tokens, each to the prompt and what was
    written before, takes 4·(P·T + T²/2)·h FLOPs a sample, and reads w·2·(P·T + T²/2)·h/g bytes. A byte counts
    as much as the I FLOPs that the hardware computes meanwhile. Reading the weights is not counted: batches share it.

    Small models are not as cheap as InferenceFLOPs has it, as h grows with N^(2/3) only. An example: `T2Loss` of
    besiroglu2024 with G = 1, γ = .3, under 1e23 training FLOPs, 1e8 queries of 256 tokens in and 4,096 out, and what
    the plan for 1e23 InferenceFLOPs costs here at I = 562.5: N 1.88e9 → 3.19e9 and k 65 → 45, at a lower loss. Under
    the same *number* of FLOPs both N and k fall, as everything is dearer here.

    queries, prompt_tokens, output_tokens: Q > 0, P ≥ 0, T > 0. intensity: I, FLOP per byte, such as
    `accelerator("h100-sxm").intensity("bf16")`, 295; Kinetics takes 562.5, which is a B200's 4.5e15 over 8e12, its
    bf16 with sparsity: dense it is 281. architecture: h and g from N, `ShapeLaw()` or a `FixedShape`. bytes_per_kv: w.
    share_prompt: do the k samples of a query share the prompt and its cache (True), or is it processed and read for
    each (False)? prefill: count processing the prompt, 2NP + 2P²h; Kinetics does not.
    Raises ValueError and TypeError for numbers that are none of these.
    """

    queries: Float[Array, "..."]
    prompt_tokens: Float[Array, "..."]
    output_tokens: Float[Array, "..."]
    intensity: Float[Array, "..."]
    bytes_per_kv: Float[Array, "..."]
    architecture: Architecture
    share_prompt: bool = eqx.field(static=True)
    prefill: bool = eqx.field(static=True)

    def __init__(
        self,
        queries: Any = 1.0,
        prompt_tokens: Any = 0.0,
        output_tokens: Any = 1.0,
        *,
        intensity: Any,
        architecture: Any = None,
        bytes_per_kv: Any = 2.0,
        share_prompt: bool = True,
        prefill: bool = True,
    ):
        self.queries = validate.positive("queries", queries)
        self.prompt_tokens = validate.nonnegative("prompt_tokens", prompt_tokens)
        self.output_tokens = validate.positive("output_tokens", output_tokens)
        self.intensity = validate.positive("intensity", intensity)
        self.bytes_per_kv = validate.positive("bytes_per_kv", bytes_per_kv)
        self.architecture = as_architecture(architecture)
        for name, value in (("share_prompt", share_prompt), ("prefill", prefill)):
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be True or False, got {value!r}")
        self.share_prompt, self.prefill = share_prompt, prefill

    def score(self, log: Any) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        P, T, queries = self.prompt_tokens, self.output_tokens, jnp.log(self.queries)
        _, h, by_h = self.architecture.width_times_layers()
        _, kv, by_kv = self.architecture.kv_numbers()
        k = {"samples": 1.0}
        once = {} if self.share_prompt else k
        linear, attention = queries + math.log(2.0), queries + math.log(2.0) + h
        traffic = queries + jnp.log(self.intensity) + jnp.log(self.bytes_per_kv) + kv + jnp.log(T)
        prompt = (
            PowerTerm(P, linear, {"params": 1.0, **once}),
            PowerTerm(P * P, attention, {**by_h, **once}),
        )
        return (
            *(prompt if self.prefill else ()),
            PowerTerm(T, linear, {"params": 1.0, **k}),
            PowerTerm(2.0 * P + T, attention + jnp.log(T), {**by_h, **k}),
            PowerTerm(P, traffic, {**by_kv, **once}),
            PowerTerm(0.5 * T, traffic, {**by_kv, **k}),
        )

    @property
    def curvature(self) -> Curvature:
        return Curvature.CONVEX
