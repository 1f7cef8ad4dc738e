"""The optimum as a differentiable function of the problem's numbers, by the implicit function theorem.

`optimum` searches without derivatives; its derivative rule solves the linearised KKT conditions of the active set at
the solution. The rule is itself written in terms of `optimum`, so derivatives of every order, forward and reverse,
follow from it. Batches are searched in pieces that stay in cache, each until its own slowest lane is done.
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, dot, gradients, second_order
from t2jax._xla.axes import varying_alike
from t2jax._xla.pieces import in_pieces
from t2jax.optimize._method import SEPARABLE, Method, searched
from t2jax.optimize._optimum import Optimum
from t2jax.optimize._problem import Problem
from t2jax.optimize._search import search
from t2jax.optimize.methods._kkt import linearised_kkt
from t2jax.optimize.methods._separable import Separable, separable, solve_separable

LANES = {"cpu": 128}
"""Lanes searched together, by backend. On a CPU few: they stay in a core's first cache, and few wait for the slowest of
them. An accelerator wants all at once."""


def find(problem: Problem, start: Any, derivatives_of: Any = second_order) -> tuple[Optimum, Method]:
    """The optimum, and how it is found, of a problem whose floating leaves are all of one dtype.

    start: where a search begins, logarithms.
    derivatives_of: what the search takes its Hessians from, see `interior.solve`. Derivatives of the optimum are exact.
    """
    shape = separable(problem)
    if isinstance(shape, Separable):
        return solve_separable(problem, shape), SEPARABLE
    arrays, static = eqx.partition((problem, tuple(start)), eqx.is_inexact_array)
    leaves, treedef = jax.tree.flatten(arrays)
    found = _optimum(partial(search, derivatives_of), partial(_restore, treedef, static), leaves)
    return found, searched(problem, not_separable=shape)


def _restore(treedef: Any, static: Any, leaves: Any) -> tuple[Problem, Vector]:
    return eqx.combine(jax.tree.unflatten(treedef, leaves), static)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _optimum(search: Any, restore: Any, leaves: list[Any]) -> Optimum:
    return in_pieces(lambda leaves: search(*restore(leaves)), varying_alike(leaves), LANES)


@_optimum.defjvp
def _optimum_jvp(search: Any, restore: Any, primals: Any, tangents: Any) -> tuple[Optimum, Optimum]:
    (leaves,), (leaf_tangents,) = primals, tangents
    found = _optimum(search, restore, leaves)
    x, lam, binds = found.point.x, found.point.multipliers, found.point.binds
    n, m = len(x), len(lam)

    def conditions(leaves: list[Any]) -> tuple[Scalar, Vector, Vector, Vector, Vector]:
        """Objective, constraints, slopes of the Lagrangian and bounds as functions of the problem, at fixed x and λ."""
        problem, _ = restore(leaves)
        (f, *g), (df, *dg) = gradients(problem.functions(), x)
        slopes = [df[i] + dot(lam, [row[i] for row in dg]) for i in range(n)]
        return f, g, slopes, *problem.bounds()

    _, (f, g, slopes, lower, upper) = jax.jvp(conditions, (leaves,), (leaf_tangents,))
    _, (df, *rows), hessian = second_order(restore(leaves)[0].functions(), x, [jnp.ones_like(x[0]), *lam])

    held = [
        jnp.where(binds.at_upper[i] > 0, upper[i], jnp.where(binds.at_lower[i] > 0, lower[i], 0.0)) for i in range(n)
    ]
    free, active = [a > 0 for a in found.free], [a > 0 for a in binds.active]
    of_x = [-slopes[i] - dot(hessian[i], held) for i in range(n)]
    of_g = [-g[c] - dot(rows[c], held) for c in range(m)]
    apply, resolve, _ = linearised_kkt(hessian, rows, active, free)
    # The derivative of a solution is a solution: differentiating the refinements would lose what they gain.
    moved = jax.lax.custom_linear_solve(
        lambda v: jnp.stack(apply(list(v))),
        jnp.stack([jnp.where(a, b, 0.0) for a, b in zip([*free, *active], [*of_x, *of_g], strict=True)]),
        lambda _, v: jnp.stack(resolve(list(v), refinements=3)),
        symmetric=True,
    )
    dx, dlam = list(moved[:n]), list(moved[n:])
    dx = [jnp.where(a, b, c) for a, b, c in zip(free, dx, held, strict=True)]
    along = [slopes[i] + dot(hessian[i], dx) for i in range(n)]
    tangent = jax.tree.map(jnp.zeros_like, found)
    moved_point = tangent.point._replace(
        x=tuple(dx),
        multipliers=tuple(dlam),
        value=f + dot(df, dx),
        violations=tuple(g[c] + dot(rows[c], dx) for c in range(m)),
        slopes=tuple(along[i] + dot(dlam, [row[i] for row in rows]) for i in range(n)),
    )
    return found, tangent._replace(point=moved_point)
