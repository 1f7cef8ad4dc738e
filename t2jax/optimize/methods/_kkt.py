"""The linearised KKT conditions: the equations of a Newton step on what binds, and of a solution's derivative."""

from typing import Any

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Matrix, Scalar, Vector, definite, dot, factor, largest, solve_factored

__all__ = ["add_outer", "hold", "linearised_kkt"]

_TINY = 1e-30


def add_outer(matrix: Matrix, weights: Vector, rows: Matrix) -> list[list[Scalar]]:
    """matrix + Σ_c weight_c · row_c row_cᵀ."""
    n = len(matrix)
    return [[matrix[i][j] + dot(weights, [row[i] * row[j] for row in rows]) for j in range(n)] for i in range(n)]


def hold(matrix: Matrix, rhs: Vector, free: Vector) -> tuple[Matrix, Vector]:
    """Take the variables that are not free out of the system: their step is zero."""
    n = len(rhs)
    held = [[jnp.where(free[i] & free[j], matrix[i][j], 1.0 if i == j else 0.0) for j in range(n)] for i in range(n)]
    return held, [jnp.where(a, b, 0.0) for a, b in zip(free, rhs, strict=True)]


def linearised_kkt(hessian: Matrix, rows: Matrix, active: Vector, free: Vector) -> tuple[Any, Any, Scalar]:
    """(apply, solve, definite) of the symmetric system H dx + Jᵀ dλ = r over what is free, J dx = r over what is held.

    The first two take and return one vector, dx then dλ; the rest of it stays zero. `solve` condenses with a stiff
    penalty, H + σJᵀJ, which is positive definite at any strict minimum and needs no pivoting, also where active
    constraints depend on each other. Each refinement gains a factor of about 1/σ. `definite`: is that matrix?
    """
    n, m = len(hessian), len(rows)
    eps = float(jnp.finfo(hessian[0][0].dtype).eps)
    rows = [[jnp.where(active[c] & free[i], rows[c][i], 0.0) for i in range(n)] for c in range(m)]
    # σ is relative to the curvature and to each constraint's slope, so that neither drowns in the other's rounding.
    bends = largest([jnp.where(free[i], jnp.abs(hessian[i][i]), 0.0) for i in range(n)])
    stiff = eps**-0.35 * jnp.maximum(bends, _TINY)
    stiffness = [stiff / jnp.maximum(dot(row, row), _TINY) for row in rows]
    columns = [[row[i] for row in rows] for i in range(n)]
    hessian, _ = hold(hessian, [bends] * n, free)
    stiffened = add_outer(hessian, stiffness, rows)

    def apply(point: Vector) -> Vector:
        dx, dlam = point[:n], point[n:]
        along = [dot(hessian[i], dx) + dot(dlam, columns[i]) for i in range(n)]
        return [*along, *(jnp.where(active[c], dot(rows[c], dx), dlam[c]) for c in range(m))]

    def solve(rhs: Vector, refinements: int = 0) -> Vector:
        kept = [*free, *active]
        rhs = [jnp.where(a, b, 0.0) for a, b in zip(kept, rhs, strict=True)]
        factors = factor(stiffened)

        def refined(_: Any, point: Vector) -> Vector:
            left = [a - b for a, b in zip(rhs, apply(point), strict=True)]
            pulls = [a * b for a, b in zip(stiffness, left[n:], strict=True)]
            dx = solve_factored(factors, [left[i] + dot(pulls, columns[i]) for i in range(n)])
            dlam = [stiffness[c] * dot(rows[c], dx) - pulls[c] for c in range(m)]
            return [jnp.where(a, b + c, 0.0) for a, b, c in zip(kept, point, [*dx, *dlam], strict=True)]

        point = [jnp.zeros_like(a) for a in rhs]
        # A loop, as it is compiled once: the rounds are most of what a derivative of the optimum compiles.
        return jax.lax.fori_loop(0, 1 + refinements, refined, point) if refinements else refined(0, point)

    return apply, solve, definite(stiffened)
