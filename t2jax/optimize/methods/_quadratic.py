"""A handful of variables' quadratic program: the step of Newton's method where constraints and bounds decide.

    minimise  df·d + ½ dᵀH d   subject to  g_c + dg_c·d ≤ 0,  lower ≤ d ≤ upper

What binds is found by principal pivoting: solve for what is taken to bind, then change sides wherever a price has the
wrong sign or something not held is violated. All at once as long as that helps, else the last of them alone, which
ends for every strictly convex program (Murty 1974; Júdice and Pires 1994). A constraint 1e-12 from binding is
told apart from one that binds, and no barrier's guess is trusted.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Matrix, Scalar, Vector, definite, dot, factor, largest, solve_factored
from t2jax._xla.fusion import once
from t2jax._xla.pieces import any_lane
from t2jax.optimize._problem import sizes
from t2jax.optimize.methods._kkt import add_outer, hold
from t2jax.optimize.methods._point import Binds

__all__ = ["Model", "Step", "minimise"]

_TINY = 1e-30
_PIVOTS = 24
_MOST = 1e6  # the largest multiplier that is passed on, where the objective's slope over the constraint's is one
_PATIENCE = 3  # pivots of all that is wrong that may pass without fewer wrong ones


class Model(NamedTuple):
    """The program. A variable that is not `movable` has d = 0.

    size: of the objective's slopes. stiffness: of each constraint's spring, 1 as a rule. equal: which constraints are
    equalities: they bind, and their multipliers have either sign.
    """

    slopes: Vector
    hessian: Matrix
    g: Vector
    rows: Matrix
    lower: Vector
    upper: Vector
    movable: Vector
    size: Scalar
    stiffness: Vector
    equal: tuple[bool, ...]


class Step(NamedTuple):
    """d, the multipliers of the constraints, what binds, and whether the model is convex on it."""

    move: Vector
    multipliers: Vector
    binds: Binds
    definite: Scalar


class _Pivot(NamedTuple):
    step: Step
    wrong: Binds
    fewest: Scalar
    patience: Scalar
    count: Scalar


def minimise(model: Model, multipliers: Vector, binds: Binds, going: Scalar) -> Step:
    """The program's solution, in lanes that are `going`, from multipliers and a guess of what binds.

    Constraints are springs, very stiff and already stretched by the old multipliers λ: the new ones are
    max(0, λ + σ·(g + dg·d)). With right λ that is exact, what is missing shrinks by 1/σ a step, and a program whose
    constraints depend on each other, or contradict each other, has one solution like any other.
    """
    n = len(model.slopes)
    eps = float(jnp.finfo(model.size.dtype).eps)
    rows = [[jnp.where(f, a, 0.0) for a, f in zip(row, model.movable, strict=True)] for row in model.rows]
    slopes_of_g = [jnp.maximum(dot(row, row), _TINY) for row in rows]
    springs = [a * eps**-0.35 * model.size / b for a, b in zip(model.stiffness, slopes_of_g, strict=True)]
    # What a step could not settle must not stretch the next one's springs without end.
    most = [_MOST * model.size / jnp.sqrt(one) for one in slopes_of_g]
    multipliers = [
        jnp.clip(a, -b, b) if either else jnp.minimum(a, b)
        for a, b, either in zip(multipliers, most, model.equal, strict=True)
    ]
    always = [a | True if either else a for a, either in zip(binds.active, model.equal, strict=True)]
    binds = binds._replace(active=tuple(always))
    least_bend = eps**0.75 * model.size  # where nothing bends the step is long, not endless
    hessian = [
        [a + least_bend if i == j else a for j, a in enumerate(row)]
        for i, row in enumerate(hold(model.hessian, model.slopes, model.movable)[0])
    ]
    rows, springs, multipliers, hessian = once((rows, springs, multipliers, hessian))

    def solved(binds: Binds) -> tuple[Step, Binds]:
        """For what is taken to bind the step, and on which of it the step says otherwise."""
        active, at_lower, at_upper = binds
        free = [a & ~b & ~c for a, b, c in zip(model.movable, at_lower, at_upper, strict=True)]
        held = [
            jnp.where(b, low, jnp.where(c, high, 0.0))
            for b, c, low, high in zip(at_lower, at_upper, model.lower, model.upper, strict=True)
        ]
        pull = [jnp.where(a, one, 0.0) for a, one in zip(active, springs, strict=True)]
        price = [jnp.where(a, one, 0.0) for a, one in zip(active, multipliers, strict=True)]
        price = [p + k * (model.g[c] + dot(rows[c], held)) for c, (p, k) in enumerate(zip(price, pull, strict=True))]
        slopes = [model.slopes[i] + dot(hessian[i], held) + dot(price, [row[i] for row in rows]) for i in range(n)]
        stiff, rhs = hold(add_outer(hessian, pull, rows), [-a for a in slopes], free)
        move = solve_factored(factor(stiff), rhs)
        move = [jnp.where(a, b, c) for a, b, c in zip(free, move, held, strict=True)]

        used = [one + dot(row, move) for one, row in zip(model.g, rows, strict=True)]
        wanted = [p + k * one for p, k, one in zip(multipliers, springs, used, strict=True)]
        prices = [jnp.where(a, one, 0.0) for a, one in zip(active, wanted, strict=True)]
        after = [model.slopes[i] + dot(hessian[i], move) + dot(prices, [row[i] for row in rows]) for i in range(n)]
        least = 100 * eps * largest([model.size, *sizes(prices, model.equal)])
        wrong = Binds(
            # A constraint is a difference of logarithms near 50, and has no digits beyond these.
            tuple(
                a & False if either else jnp.where(a, one < -least, one > 200 * eps * k)
                for a, one, k, either in zip(active, wanted, springs, model.equal, strict=True)
            ),
            tuple(
                jnp.where(a, slope < -least, f & (d < low))
                for a, slope, f, d, low in zip(at_lower, after, free, move, model.lower, strict=True)
            ),
            tuple(
                jnp.where(a, slope > least, f & (d > high))
                for a, slope, f, d, high in zip(at_upper, after, free, move, model.upper, strict=True)
            ),
        )
        move, prices = once((tuple(move), tuple(prices)))
        return Step(move, prices, binds, definite(stiff)), wrong

    def wrongs(wrong: Binds) -> Scalar:
        return sum(one.astype(jnp.int32) for one in jax.tree.leaves(wrong))

    def looking(pivot: _Pivot) -> Scalar:
        return (pivot.count < _PIVOTS) & any_lane(going & (wrongs(pivot.wrong) > 0))

    def change(pivot: _Pivot) -> _Pivot:
        flags, treedef = jax.tree.flatten(pivot.wrong)
        count = wrongs(pivot.wrong)
        fewer = count < pivot.fewest
        patience = jnp.where(fewer, _PATIENCE, pivot.patience - 1)
        later, only_last = jnp.zeros_like(flags[0]), []
        for one in reversed(flags):
            only_last.append(one & ~later)
            later |= one
        flips = jax.tree.unflatten(
            treedef, [jnp.where(patience > 0, a, b) for a, b in zip(flags, reversed(only_last), strict=True)]
        )
        # A lane that is done has nothing to flip, and is solved again to the same numbers.
        binds = jax.tree.map(lambda a, b: a ^ b, pivot.step.binds, flips)
        step, wrong = solved(binds)
        return _Pivot(step, wrong, jnp.minimum(count, pivot.fewest), patience, pivot.count + 1)

    step, wrong = solved(binds)
    none = 0 * wrongs(wrong)
    pivot = _Pivot(step, wrong, none + 10**6, none + _PATIENCE, jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(looking, change, pivot).step
