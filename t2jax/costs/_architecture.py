"""How many layers and how wide: what N parameters look like to attention and its KV cache."""

import abc
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax.quantities import PowerTerm

__all__ = ["Architecture", "CacheShape", "FixedShape", "ShapeLaw", "as_architecture"]


class Architecture(eqx.Module):
    """A dense transformer as attention sees it: its width times its layers, h, and the numbers that it caches.

    Attention from one token to a context of c tokens takes 4·c·h FLOPs (QKᵀ and AV); a token's keys and values are
    2·h/g numbers, where g query heads share a KV head.
    """

    @abc.abstractmethod
    def layers(self, params: Any) -> Float[Array, "..."]:
        """How many layers a model of that many parameters has; real, not whole."""

    @abc.abstractmethod
    def width(self, params: Any) -> Float[Array, "..."]:
        """Its attention width: heads times head dimension."""

    @abc.abstractmethod
    def width_times_layers(self) -> PowerTerm:
        """h as a power of the coordinate `params`."""

    @abc.abstractmethod
    def kv_numbers(self) -> PowerTerm:
        """Keys and values of one token as a power of the coordinate `params`."""


class ShapeLaw(Architecture):
    """Layers n and width d from N parameters: N = 12·n·d² and d = ρ·n, so h = n·d = ρ^(−1/3)·(N/12)^(2/3).

    The count of parameters is Kaplan et al. 2020 (arXiv:2001.08361), §2.1, without embeddings. ρ = 128 is LLaMA's at 7B
    and 13B (arXiv:2302.13971, table 2). It gives n·d within 5 % of Qwen3-8B (36·4096), 2 % of Llama 2 70B (80·8192)
    and 2 % of Llama 3 405B (126·16384).

    aspect_ratio: ρ > 0, width per layer. heads_per_kv_head: g > 0, query heads per KV head; 1 without grouped queries.
    Llama 3 has 8 KV heads at every size (arXiv:2407.21783, table 3), so g is 4 at 8B, as in Qwen3-8B, and 8 at 70B.
    """

    aspect_ratio: Float[Array, "..."]
    heads_per_kv_head: Float[Array, "..."]

    def __init__(self, aspect_ratio: Any = 128.0, heads_per_kv_head: Any = 4.0):
        self.aspect_ratio = validate.positive("aspect_ratio", aspect_ratio)
        self.heads_per_kv_head = validate.positive("heads_per_kv_head", heads_per_kv_head)

    def layers(self, params: Any) -> Float[Array, "..."]:
        params = validate.positive("params", params)
        return jnp.exp((jnp.log(params / 12.0) - 2.0 * jnp.log(self.aspect_ratio)) / 3.0)

    def width(self, params: Any) -> Float[Array, "..."]:
        return self.aspect_ratio * self.layers(params)

    def width_times_layers(self) -> PowerTerm:
        log_factor = -(jnp.log(self.aspect_ratio) + 2.0 * math.log(12.0)) / 3.0
        return PowerTerm(1.0, log_factor, {"params": 2.0 / 3.0})

    def kv_numbers(self) -> PowerTerm:
        return _shared(self.width_times_layers(), self.heads_per_kv_head)


class FixedShape(Architecture):
    """A known model's shape, whatever N: layers, heads, KV heads and head dimension, each > 0."""

    num_layers: Float[Array, "..."]
    heads: Float[Array, "..."]
    heads_per_kv_head: Float[Array, "..."]
    head_dim: Float[Array, "..."]

    def __init__(self, layers: Any, heads: Any, kv_heads: Any, head_dim: Any):
        self.num_layers = validate.positive("layers", layers)
        self.heads = validate.positive("heads", heads)
        self.heads_per_kv_head = self.heads / validate.positive("kv_heads", kv_heads)
        self.head_dim = validate.positive("head_dim", head_dim)

    def layers(self, params: Any) -> Float[Array, "..."]:
        return self.num_layers

    def width(self, params: Any) -> Float[Array, "..."]:
        return self.heads * self.head_dim

    def width_times_layers(self) -> PowerTerm:
        return PowerTerm(1.0, jnp.log(self.num_layers) + jnp.log(self.heads) + jnp.log(self.head_dim), {})

    def kv_numbers(self) -> PowerTerm:
        return _shared(self.width_times_layers(), self.heads_per_kv_head)


class CacheShape(Architecture):
    """A KV cache as given, on a model whose layers and width follow from N as `ShapeLaw()` says.

    A token's keys and values are 2·layers·kv_heads·head_dim numbers; attention's computing is the shape law's.
    kv_heads, head_dim: > 0. num_layers: > 0, that keep keys and values, whatever N; None for those of N.
    """

    kv_heads: Float[Array, "..."]
    head_dim: Float[Array, "..."]
    num_layers: Float[Array, "..."] | None
    shape: ShapeLaw

    def __init__(self, kv_heads: Any, head_dim: Any, layers: Any = None):
        self.kv_heads = validate.positive("kv_heads", kv_heads)
        self.head_dim = validate.positive("head_dim", head_dim)
        self.num_layers = None if layers is None else validate.positive("layers", layers)
        self.shape = ShapeLaw()

    def layers(self, params: Any) -> Float[Array, "..."]:
        return self.shape.layers(params) if self.num_layers is None else self.num_layers

    def width(self, params: Any) -> Float[Array, "..."]:
        return self.shape.width(params)

    def width_times_layers(self) -> PowerTerm:
        return self.shape.width_times_layers()

    def kv_numbers(self) -> PowerTerm:
        of_a_layer = math.log(2.0) + jnp.log(self.kv_heads) + jnp.log(self.head_dim)
        if self.num_layers is not None:
            return PowerTerm(1.0, of_a_layer + jnp.log(self.num_layers), {})
        log_layers = -(math.log(12.0) + 2.0 * jnp.log(self.shape.aspect_ratio)) / 3.0
        return PowerTerm(1.0, of_a_layer + log_layers, {"params": 1.0 / 3.0})


def _shared(h: PowerTerm, heads_per_kv_head: Array) -> PowerTerm:
    """2·h/g."""
    return h._replace(log_factor=h.log_factor + math.log(2.0) - jnp.log(heads_per_kv_head))


def as_architecture(value: Any) -> Architecture:
    """An architecture as given; `ShapeLaw()` where none is."""
    if value is None:
        return ShapeLaw()
    if not isinstance(value, Architecture):
        raise TypeError(f"architecture must be a ShapeLaw or a FixedShape, got {value!r}")
    return value
