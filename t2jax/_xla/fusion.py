"""Hints to XLA: compute this once, compile this in a hurry."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

__all__ = ["IN_A_HURRY", "chained", "jit_in_a_hurry", "once"]

IN_A_HURRY: dict[str, Any] = {"xla_backend_optimization_level": 0}
if jax.__version_info__ < (0, 11):
    # What Python 3.11 gets compiles a third faster so. Without optimisation its older emitters are wrong: searches that
    # take differences do not end. Later releases have no choice of emitters.
    IN_A_HURRY = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
"""How XLA compiles for a CPU what will run for a shorter time than it takes to compile."""


def jit_in_a_hurry(fn: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`jax.jit(fn, **options)`, compiled in a hurry where the backend is a CPU."""
    usual, hurried = jax.jit(fn, **options), jax.jit(fn, compiler_options=IN_A_HURRY, **options)
    return lambda *arguments: (hurried if jax.default_backend() == "cpu" else usual)(*arguments)


_BARRIERS_HOLD = tuple(int(part) for part in jax.__version__.split(".")[:3]) >= (0, 11, 2)


def once(tree: Any) -> Any:
    """The same floating arrays, with the same derivatives, computed once however many outputs depend on them.

    XLA's CPU fusion otherwise repeats shared cheap expressions in the kernel of every output they reach, and compiles
    each: a Newton step on three variables ran six times slower, and compiled three times slower. Releases before
    0.11.2 drop the barrier before they fuse. There a division by a one that the compiler cannot see does it, as
    divisions are never repeated.
    """
    if _BARRIERS_HOLD:
        return jax.lax.optimization_barrier(tree)
    # As the solution of x = a, as its derivatives are then computed once, too, whatever the directions. (One by one:
    # that of several fails where only some of them move.)
    return jax.tree.map(lambda a: jax.lax.custom_linear_solve(lambda x: x, a, _divided, _divided), tree)


def _divided(_: Any, a: Any) -> Any:
    return a / jnp.where(a == a, jnp.ones_like(a), 2.0)


def chained(fn: Callable[..., Any]) -> Callable[..., Any]:
    """fn(u, v, rest), an elementwise function, whose derivatives along u and v are computed once to second order.

    Where u and v depend on many variables, a derivative then costs two products a direction, and a second derivative
    a few more, instead of all of fn's operations again. A derivative in `rest`, or of higher order, is the usual one.
    u, v: arrays of one shape. rest: a tree of arrays that broadcast against them, as fn's value does.
    """

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

    @partial(value.defjvp, symbolic_zeros=True)
    def _(primals: Any, tangents: Any) -> Any:
        if not _along_two(tangents):
            return jax.jvp(fn, primals, _filled(primals, tangents))
        du, dv, _ = tangents
        f, of_u, of_v = slopes(*primals)
        return f, of_u * du + of_v * dv

    @partial(slopes.defjvp, symbolic_zeros=True)
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
