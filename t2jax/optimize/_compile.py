"""One program for a problem: its search and its report, compiled, and kept for the next problem of the same form."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from t2jax._numerics.dense import Vector, second_order, second_order_by_differences
from t2jax._xla.fusion import IN_A_HURRY
from t2jax._xla.pieces import in_cache
from t2jax.optimize._implicit import find
from t2jax.optimize._problem import Problem
from t2jax.optimize._report import report
from t2jax.quantities import Custom, is_array, is_known_zero, is_traced, known_zero

__all__ = ["run", "traced"]


def run(problem: Problem, log_start: Vector) -> dict[str, Any]:
    """Solve and report, compiled. A single problem, or its derivative, is compiled in a hurry: it runs a few times.

    Inside a user's `jit`, or under `vmap`, XLA's usual effort is worth its time.
    """
    arrays = _arrays((problem, log_start))
    hurried = _has_values(arrays) and jax.default_backend() == "cpu" and not _within_a_program()
    problem, users = _with_programs(problem, _widest(arrays))
    leaves, treedef = jax.tree.flatten((problem, log_start))
    if not hurried:  # what runs often need not carry terms that are not there
        leaves = [_ZERO if is_array(leaf) and is_known_zero(leaf) else leaf for leaf in leaves]
    static = tuple(_ARRAY if is_array(leaf) else leaf for leaf in leaves), treedef
    compiled = _compiled_for_users(static, hurried) if users else _compiled[hurried]
    return compiled(static, _arrays(leaves))


def _with_programs(problem: Problem, dtype: Any) -> tuple[Problem, bool]:
    """The problem with users' functions by the programs that they trace to, and whether there are any."""
    leaves, treedef = jax.tree.flatten(problem, is_leaf=lambda one: isinstance(one, Custom))
    if not any(isinstance(one, Custom) for one in leaves):
        return problem, False
    decision = problem.layout.treedef, problem.layout.shapes
    leaves = [one.traced(decision, dtype) if isinstance(one, Custom) else one for one in leaves]
    return jax.tree.unflatten(treedef, leaves), True


def _solve_and_report(hurried: bool, static: Any, arrays: Any) -> dict[str, Any]:
    leaves, treedef = static
    dtype = _widest(arrays)
    arrays = [a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a for a in arrays]
    known = [known_zero(dtype) if leaf is _ZERO else leaf for leaf in leaves]
    derivatives_of = second_order_by_differences if hurried else second_order

    def solved(arrays: list[Any]) -> dict[str, Any]:
        rest = iter(arrays)
        problem, log_start = jax.tree.unflatten(treedef, [next(rest) if leaf is _ARRAY else leaf for leaf in known])
        found, method = find(problem, log_start, derivatives_of)
        return {**report(problem, found), "method": method}

    return in_cache(solved, arrays, LANES)


def _jitted(hurried: bool) -> Any:
    """A compiler of its own, which keeps what it compiled as long as it lives."""
    options = IN_A_HURRY if hurried else None
    return jax.jit(functools.partial(_solve_and_report, hurried), static_argnums=0, compiler_options=options)


_compiled = {hurried: _jitted(hurried) for hurried in (False, True)}

PROGRAMS = 16
"""How many problems with functions of users' own stay compiled, 10 to 20 MB each: the last ones used."""


@functools.lru_cache(maxsize=PROGRAMS)
def _compiled_for_users(static: Any, hurried: bool) -> Any:
    return _jitted(hurried)


LANES = {"cpu": 4096}
"""Lanes computed together, by backend: what is between two kernels then stays in a CPU's cache. Searches that take many
kernels have smaller pieces of their own."""


_ARRAY, _ZERO = object(), object()
"""Stand for a leaf: an array, and a number known to be 0, which it still is where the problem is solved."""


def _arrays(tree: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(tree) if is_array(leaf)]


def _widest(arrays: list[Any]) -> Any:
    """float64 if any of them is: float64 budgets over float32 coefficients are float64."""
    return jnp.dtype("float64" if any(a.dtype == jnp.float64 for a in arrays) else "float32")


def _within_a_program() -> bool:
    """Is a user's function being compiled? Then even what is computed from known numbers is part of it."""
    return is_traced(jax.lax.neg(np.float32(1.0)))


def _has_values(tree: Any) -> bool:
    """Is every number known: not traced, or traced for a derivative alone?"""
    if jax.__version_info__ < (0, 12):
        # There a derivative takes the compiled function for one within another, which may have no options of its own.
        return not traced(tree)
    try:
        for leaf in jax.tree.leaves(tree):
            if isinstance(leaf, jax.core.Tracer):
                bool(jnp.all(leaf == leaf))
    except jax.errors.ConcretizationTypeError:
        return False
    return True


def traced(tree: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))
