"""Derivatives in few products: by the chain rule through two variables, and by rules that share their parts."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from t2jax._xla.fusion import once

__all__ = ["chain_rule", "rule"]


def rule(fn: Any, parts: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The derivative of `fn`, a `jax.custom_jvp`: rule(fn, parts)(along), as a decorator.

    parts(*arguments): all that depends on the arguments alone, computed once for any number of directions.
    along(parts, arguments, directions): fn's value and its derivative.
    """

    def defined(along: Callable[..., Any]) -> Callable[..., Any]:
        fn.defjvp(lambda arguments, directions: along(once(parts(*arguments)), arguments, directions))
        return along

    return defined


def chain_rule(fn: Callable[..., Any], u: Any, v: Any, rest: Any) -> Any:
    """fn(u, v, rest), an elementwise function, differentiated through u and v: once for each of them, to second order.

    Where u and v depend on many variables, a derivative then costs two products a direction, and a second derivative
    a few more, instead of all of fn's operations again. A derivative in `rest`, or of higher order, is the usual one.
    u, v: arrays of one shape. rest: a tree of arrays that broadcast against them, as fn's value does. fn: a function
    that stays, not one that is made for the call.
    """
    return _chained(fn)(u, v, rest)


@functools.lru_cache(maxsize=64)
def _chained(fn: Callable[..., Any]) -> Callable[..., Any]:
    # Jitted, each is traced but once, wherever it is used.
    fn = jax.jit(fn)
    value = jax.custom_jvp(lambda u, v, rest: fn(u, v, rest))

    @jax.jit
    def with_slopes(u: Any, v: Any, rest: Any) -> Any:
        f, push = jax.linearize(lambda u, v: fn(u, v, rest), u, v)
        one, zero = jnp.ones_like(u), jnp.zeros_like(u)
        return once((f, push(one, zero), push(zero, one)))

    @jax.jit
    def with_curvatures(u: Any, v: Any, rest: Any) -> Any:
        (f, of_u, of_v), push = jax.linearize(lambda u, v: with_slopes(u, v, rest), u, v)
        one, zero = jnp.ones_like(u), jnp.zeros_like(u)
        (_, uu, uv), (_, _, vv) = push(one, zero), push(zero, one)
        return once((f, of_u, of_v, uu, uv, vv))

    slopes = jax.custom_jvp(lambda u, v, rest: with_slopes(u, v, rest))

    @functools.partial(value.defjvp, symbolic_zeros=True)
    def _(primals: Any, tangents: Any) -> Any:
        if not _along_two(tangents):
            return jax.jvp(fn, primals, _filled(primals, tangents))
        du, dv, _ = tangents
        f, of_u, of_v = slopes(*primals)
        return f, of_u * du + of_v * dv

    @functools.partial(slopes.defjvp, symbolic_zeros=True)
    def _(primals: Any, tangents: Any) -> Any:
        if not _along_two(tangents):
            return jax.jvp(with_slopes, primals, _filled(primals, tangents))
        du, dv, _ = tangents
        f, of_u, of_v, uu, uv, vv = with_curvatures(*primals)
        return (f, of_u, of_v), (of_u * du + of_v * dv, uu * du + uv * dv, uv * du + vv * dv)

    return value


def _along_two(tangents: Any) -> bool:
    """Do the first two arguments move, and they alone?"""
    still = [all(isinstance(t, SymbolicZero) for t in jax.tree.leaves(one)) for one in tangents]
    return still == [False, False, True]


def _filled(primals: Any, tangents: Any) -> Any:
    return jax.tree.map(lambda p, t: jnp.zeros_like(p) if isinstance(t, SymbolicZero) else t, primals, tangents)
