"""Batches searched in pieces that stay in cache, each until its own slowest lane is done."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["in_pieces"]


def in_pieces(fn: Any, leaves: list[Any], lanes_of: Mapping[str, int]) -> Any:
    """fn(leaves), and under `vmap` fn of each lane in pieces of `lanes_of` the backend; all at once where it says none."""

    @jax.custom_batching.custom_vmap
    def one(leaves: list[Any]) -> Any:
        return fn(leaves)

    @one.def_vmap
    def _(size: int, batched: list[Any], leaves: list[Any]) -> Any:
        out = many(_lanes(size, batched[0], leaves))
        return out, jax.tree.map(lambda _: True, out)

    @jax.custom_batching.custom_vmap
    def many(lanes: list[Any]) -> Any:
        size = lanes[0].shape[0]
        piece = lanes_of.get(jax.default_backend(), size)
        if size <= piece:
            return jax.vmap(fn)(lanes)
        pieces = -(-size // piece)
        # The last lane again fills the last piece: it is a problem like the others, and its repeats are cut off.
        padded = [jnp.concatenate([a, jnp.broadcast_to(a[-1:], (pieces * piece - size, *a.shape[1:]))]) for a in lanes]
        stacked = [a.reshape(pieces, piece, *a.shape[1:]) for a in padded]
        out = jax.lax.map(jax.vmap(fn), stacked)
        return jax.tree.map(lambda a: a.reshape(pieces * piece, *a.shape[2:])[:size], out)

    @many.def_vmap
    def _(size: int, batched: list[Any], lanes: list[Any]) -> Any:
        full = _lanes(size, batched[0], lanes)
        inner = full[0].shape[1]
        out = many([a.reshape(size * inner, *a.shape[2:]) for a in full])
        out = jax.tree.map(lambda a: a.reshape(size, inner, *a.shape[1:]), out)
        return out, jax.tree.map(lambda _: True, out)

    return one(leaves)


def _lanes(size: int, batched: list[bool], leaves: list[Any]) -> list[Any]:
    return [a if b else jnp.broadcast_to(a, (size, *a.shape)) for a, b in zip(leaves, batched, strict=True)]
