"""Batches computed in pieces that stay in cache, each until its own slowest lane is done."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["any_lane", "in_cache", "in_pieces"]


@jax.custom_batching.custom_vmap
def any_lane(flag: Any) -> Any:
    """Is a flag set in any of the lanes computed together? A loop that asks this has one condition for all of them.

    With a condition for each lane, `vmap` adds a selection of every part of the loop's state to each of its steps. A
    loop that asks this instead must itself leave a lane that is done as it is, whatever the others go on to do.
    """
    return flag


@any_lane.def_vmap
def _(size: int, batched: list[bool], flag: Any) -> Any:
    return any_lane(jnp.any(flag, axis=0) if batched[0] else flag), False


def in_cache(fn: Any, leaves: list[Any], lanes_of: Mapping[str, int]) -> Any:
    """fn(leaves), and under `vmap` in pieces; where it is differentiated, fn all at once."""

    @jax.custom_jvp
    def call(leaves: list[Any]) -> Any:
        return in_pieces(fn, leaves, lanes_of)

    @call.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        return jax.jvp(fn, primals, tangents)

    return call(leaves)


def in_pieces(fn: Any, leaves: list[Any], lanes_of: Mapping[str, int]) -> Any:
    """fn(leaves), and under `vmap` fn of each lane in pieces of `lanes_of` the backend; all at once where it says none.

    What is not batched stays so in every piece.
    """

    @jax.custom_batching.custom_vmap
    def one(leaves: list[Any]) -> Any:
        return fn(leaves)

    @one.def_vmap
    def _(size: int, batched: list[Any], leaves: list[Any]) -> Any:
        out = _batch(fn, leaves, batched[0], size, lanes_of)
        return out, jax.tree.map(lambda _: True, out)

    return one(leaves)


def _batch(fn: Any, leaves: list[Any], batched: Sequence[bool], size: int, lanes_of: Mapping[str, int]) -> Any:
    """fn over the leading axis of the batched leaves, which another `vmap` may batch again."""
    lanes = [a for a, b in zip(leaves, batched, strict=True) if b]
    shared = [a for a, b in zip(leaves, batched, strict=True) if not b]

    def joined(lane: list[Any], shared: list[Any]) -> Any:
        return fn(_merged(batched, lane, shared))

    @jax.custom_batching.custom_vmap
    def many(lanes: list[Any], shared: list[Any]) -> Any:
        return _mapped(lambda lane: joined(lane, shared), lanes, size, lanes_of)

    @many.def_vmap
    def _(outer: int, flags: list[Any], lanes: list[Any], shared: list[Any]) -> Any:
        inner = [a if f else jnp.broadcast_to(a, (outer, *a.shape)) for a, f in zip(lanes, flags[0], strict=True)]
        again = [
            jnp.broadcast_to(jnp.expand_dims(a, 1), (outer, size, *a.shape[1:])) if f else a
            for a, f in zip(shared, flags[1], strict=True)
        ]
        both = _merged(batched, [True] * len(inner), flags[1])
        every = zip(_merged(batched, inner, again), both, strict=True)
        flat = [a.reshape(outer * size, *a.shape[2:]) if b else a for a, b in every]
        out = _batch(fn, flat, both, outer * size, lanes_of)
        out = jax.tree.map(lambda a: a.reshape(outer, size, *a.shape[1:]), out)
        return out, jax.tree.map(lambda _: True, out)

    return many(lanes, shared)


def _merged(batched: Sequence[bool], lanes: Sequence[Any], shared: Sequence[Any]) -> list[Any]:
    """Two lists that were parted by a flag, in their first order."""
    one, other = iter(lanes), iter(shared)
    return [next(one if b else other) for b in batched]


def _mapped(fn: Any, lanes: list[Any], size: int, lanes_of: Mapping[str, int]) -> Any:
    piece = lanes_of.get(jax.default_backend(), size)
    if size <= piece:
        return jax.vmap(fn)(lanes)
    pieces = -(-size // piece)
    # The last lane again fills the last piece: it is a problem like the others, and its repeats are cut off.
    padded = [jnp.concatenate([a, jnp.broadcast_to(a[-1:], (pieces * piece - size, *a.shape[1:]))]) for a in lanes]
    out = jax.lax.map(jax.vmap(fn), [a.reshape(pieces, piece, *a.shape[1:]) for a in padded])
    return jax.tree.map(lambda a: a.reshape(pieces * piece, *a.shape[2:])[:size], out)
