"""A primal–dual interior-point method for a handful of boxed variables and smooth constraints.

    minimise f(x)  subject to  g_c(x) ≤ 0,  g_e(x) = 0,  lower ≤ x ≤ upper

One problem at a time, in scalars (see `dense`); `vmap` makes it a batch. Constraints get slacks s > 0 and may start
violated, the box is kept throughout; equalities are stiff springs and have none. Steps minimise a quadratic model with
the barrier, are held within a trust radius, and count only if a merit function falls, so the method also descends where
f is not convex. Newton's method on what binds (`sharp`) goes first, where it may be trusted, and last: it removes the
barrier's trace, and what binds then binds to the last bit.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, second_order
from t2jax._xla.fusion import once
from t2jax._xla.pieces import any_lane
from t2jax.optimize._problem import Functions
from t2jax.optimize.methods._barrier import State, barrier_step, binding, initial
from t2jax.optimize.methods._point import Binds, Box, Point
from t2jax.optimize.methods._sharp import Sharp, fresh, sharpen

__all__ = ["Reached", "best_of", "nothing", "solve"]

_DIRECT_STAGE, _BARRIER_STAGE, _LAST_STAGE = 0, 1, 2
_SHARP_STEPS = 20  # of Newton's method on what binds, in the first and in the last stage each
_MOST = 1e4  # the largest multiplier that bends a first step of Newton's, in units of the objective's size


class Reached(NamedTuple):
    """Where a search ended."""

    point: Point
    matters: Vector  # does anything depend on the variable?
    steps: Scalar


def solve(
    functions: Functions,
    box: Box,
    start: Vector,
    *,
    convex: bool,
    direct: bool,
    max_steps: int,
    derivatives_of: Any = second_order,
) -> Reached:
    """The KKT point reached from `start`, which lies in the box; constraints may be violated there.

    convex: is the problem? direct: does Newton's method try first, without a barrier? max_steps: of the barrier.
    derivatives_of: `second_order`, or another function with its arguments and answers.
    """
    eps = float(jnp.finfo(start[0].dtype).eps)
    state = initial(functions, box, start)
    sharp = fresh(box, start, tuple(0.0 * a for a in state.multipliers), _nothing_binds(state), state.matters)

    first = _DIRECT_STAGE if direct else _BARRIER_STAGE

    # All stages go through one loop body: derivatives are most of a step, and of what is compiled.
    def stage(which: Any, points: Any) -> Any:
        barrier = which == _BARRIER_STAGE

        def running(state: State, sharp: Sharp) -> Scalar:
            # Where a number is not finite the radius is NaN, and the comparison stops the lane.
            going = (state.residual > eps**0.75) & (state.radius > eps) & (state.steps < max_steps)
            return ~sharp.done & jnp.where(barrier, going, sharp.steps < _SHARP_STEPS)

        def step(points: Any) -> Any:
            going, state, sharp = points
            x, lam = (
                tuple(jnp.where(barrier, a, b) for a, b in zip(*pair, strict=True))
                for pair in ((state.x, sharp.x), (state.multipliers, sharp.multipliers))
            )
            derivatives = once(derivatives_of(functions, x, [jnp.ones_like(x[0]), *lam]))
            minima_only = False if convex else which == _DIRECT_STAGE
            state, sharp = jax.lax.cond(
                barrier,
                lambda: (barrier_step(functions, box, state, derivatives, going, eps), sharp),
                lambda: (
                    state,
                    sharpen(box, sharp, derivatives, going, minima_only=minima_only, equal=functions.equal),
                ),
            )
            return running(state, sharp), state, sharp

        state, sharp = points
        # The last stage starts from where the barrier ended.
        ended = (which == _LAST_STAGE) & ~sharp.done
        sharp = jax.tree.map(
            lambda a, b: jnp.where(ended, a, b), _from_the_barrier(box, state, sharp, functions.equal), sharp
        )
        points = (running(state, sharp), state, sharp)
        return jax.lax.while_loop(lambda points: any_lane(points[0]), step, points)[1:]

    state, sharp = jax.lax.fori_loop(first, _LAST_STAGE + 1, stage, (state, sharp))
    return Reached(sharp.best, sharp.matters, sharp.steps + state.steps)


def _nothing_binds(state: State) -> Binds:
    no = state.matters[0] & False
    return Binds((no,) * len(state.multipliers), (no,) * len(state.x), (no,) * len(state.x))


def _from_the_barrier(box: Box, state: State, sharp: Sharp, equal: tuple[bool, ...]) -> Sharp:
    """Newton's method from where the barrier ended; the best point seen before stays."""
    matters = tuple(a | b for a, b in zip(state.matters, sharp.matters, strict=True))
    binds = binding(box, state)
    x = tuple(jnp.clip(a, low, high) for a, low, high, _ in zip(state.x, *box, strict=True))  # but for its rounding
    # Those of constraints that leave no room have no end, and then the size, a curvature, has none.
    most = _MOST * jnp.minimum(state.size, 1.0)
    multipliers = tuple(
        jnp.clip(a, -most, most) if either else jnp.minimum(a, most)
        for a, either in zip(state.multipliers, equal, strict=True)
    )
    begun = fresh(box, x, multipliers, binds, matters)
    return begun._replace(best=sharp.best, rank=sharp.rank, done=sharp.done)


def nothing(like: Scalar, variables: int, constraints: int) -> Reached:
    """What any solution is better than; batched where `like` is."""
    zero, none = 0.0 * like, like != like
    x, g = (zero,) * variables, (zero,) * constraints
    flags = (none,) * variables
    end = zero + jnp.inf
    point = Point(x, g, Binds((none,) * constraints, flags, flags), end, g, x, end, end)
    return Reached(point, flags, zero.astype(jnp.int32))


def best_of(several: Reached, limit: float) -> Reached:
    """Of several searches the feasible end of least value; if none is feasible, the least violated one.

    limit: the largest violation that counts as none.
    """
    points = several.point
    feasible = points.violation <= limit
    value = jnp.where(feasible & (points.residual <= 1e3 * limit), points.value, points.value + 1.0)
    cost = jnp.where(feasible, jnp.arctan(value), 10.0 + points.violation)
    pick = jnp.argmin(jnp.where(jnp.isfinite(cost), cost, jnp.inf))
    return jax.tree.map(lambda a: a[pick], several)
