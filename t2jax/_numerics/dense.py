"""Linear algebra and derivatives of a handful of variables, unrolled.

Vectors are tuples of scalars and matrices tuples of rows. Under `vmap` every entry is then its own contiguous array of
lanes and everything fuses into vector code; batched LAPACK calls on 3×3 matrices cost ten times as much.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

Scalar = Any
Vector = Sequence[Scalar]
Matrix = Sequence[Sequence[Scalar]]


def dot(u: Vector, v: Vector) -> Scalar:
    """Σ u_i v_i; of empty vectors, 0."""
    total = 0.0
    for a, b in zip(u, v, strict=True):
        total = total + a * b
    return total


def largest(values: Vector) -> Scalar:
    top = values[0]
    for value in values[1:]:
        top = jnp.maximum(top, value)
    return top


def smallest(values: Vector) -> Scalar:
    return -largest([-value for value in values])


def gradients(fn: Callable[[Vector], Vector], x: Vector) -> tuple[Vector, Matrix]:
    """Values of fn: Rⁿ → Rᵐ and, row by row, the gradients of its outputs."""
    values, push = jax.linearize(fn, tuple(x))
    columns = [push(_unit(x, i)) for i in range(len(x))]
    return values, [list(row) for row in zip(*columns, strict=True)]


def second_order(fn: Callable[[Vector], Vector], x: Vector, weights: Vector) -> tuple[Vector, Matrix, Matrix]:
    """Values and gradients of fn: Rⁿ → Rᵐ, and the Hessian of the weighted sum of its outputs."""
    n = len(x)

    def first(point: Vector) -> Any:
        values, rows = gradients(fn, point)
        return [dot(weights, column) for column in zip(*rows, strict=True)], (values, rows)

    _, push, (values, rows) = jax.linearize(first, tuple(x), has_aux=True)
    hessian = [push(_unit(x, i)) for i in range(n)]
    return values, rows, hessian


def second_order_by_differences(
    fn: Callable[[Vector], Vector], x: Vector, weights: Vector
) -> tuple[Vector, Matrix, Matrix]:
    """As `second_order`, but the Hessian has half its digits: differences of gradients, all by one compiled gradient.

    Newton's method reaches the same point with it, and it is a fifth as much to compile.
    """
    n = len(x)
    half = float(jnp.finfo(x[0].dtype).eps) ** 0.5
    moved = [a + half * (1.0 + jnp.abs(a)) for a in x]
    points = tuple(jnp.stack([x[i], *(moved[i] if j == i else x[i] for j in range(n))]) for i in range(n))

    def at(point: Vector) -> tuple[Vector, Matrix, Vector]:
        values, rows = gradients(fn, point)
        return values, rows, [dot(weights, column) for column in zip(*rows, strict=True)]

    everywhere, everyrow, slopes = jax.lax.map(at, points)
    bends = [[(slopes[i][1 + j] - slopes[i][0]) / (moved[j] - x[j]) for j in range(n)] for i in range(n)]
    hessian = [[0.5 * (bends[i][j] + bends[j][i]) for j in range(n)] for i in range(n)]
    return [a[0] for a in everywhere], [[a[0] for a in row] for row in everyrow], hessian


def definite(matrix: Matrix) -> Scalar:
    """Is a symmetric matrix positive definite? Its pivots say so."""
    rows = [list(row) for row in matrix]
    smallest_pivot = rows[0][0]
    for j in range(1, len(rows)):
        inverse = 1.0 / rows[j - 1][j - 1]
        for i in range(j, len(rows)):
            for k in range(j, i + 1):
                rows[i][k] = rows[i][k] - rows[i][j - 1] * rows[k][j - 1] * inverse
        smallest_pivot = jnp.minimum(smallest_pivot, rows[j][j])
    return smallest_pivot > 0


def factor(matrix: Matrix) -> tuple[Matrix, Vector]:
    """L and 1/D of LDLᵀ for a symmetric matrix; of an indefinite one, of a positive definite neighbour.

    A negative pivot changes its sign and none is smaller than the rounding error of its own diagonal element, so that
    a Newton step from the factors descends.
    """
    n = len(matrix)
    eps = float(jnp.finfo(matrix[0][0].dtype).eps)
    lower: list[list[Scalar]] = [[0.0] * n for _ in range(n)]
    pivots: list[Scalar] = []
    inverse: list[Scalar] = []
    for j in range(n):
        pivot = matrix[j][j]
        for k in range(j):
            pivot = pivot - lower[j][k] ** 2 * pivots[k]
        pivots.append(jnp.maximum(jnp.abs(pivot), eps * jnp.abs(matrix[j][j]) + 1e-37))
        inverse.append(1.0 / pivots[j])
        for i in range(j + 1, n):
            rest = matrix[i][j]
            for k in range(j):
                rest = rest - lower[i][k] * lower[j][k] * pivots[k]
            lower[i][j] = rest * inverse[j]
    return lower, inverse


def solve_factored(factors: tuple[Matrix, Vector], rhs: Vector) -> Vector:
    lower, inverse = factors
    n = len(rhs)
    y = list(rhs)
    for i in range(n):
        for k in range(i):
            y[i] = y[i] - lower[i][k] * y[k]
    y = [a * b for a, b in zip(y, inverse, strict=True)]
    for i in reversed(range(n)):
        for k in range(i + 1, n):
            y[i] = y[i] - lower[k][i] * y[k]
    return y


def _unit(x: Vector, i: int) -> Vector:
    return tuple(jnp.ones_like(a) if j == i else jnp.zeros_like(a) for j, a in enumerate(x))
