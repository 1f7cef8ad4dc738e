"""The multiplier at which a budget is spent, where N, D and k are closed forms in it: one equation in one unknown.

With a hub x and spokes y_j as in `separable`, and e^u the multiplier of log cost, log(cost / budget) falls as u grows.
Without upper bounds it is a convex function of u, a log-sum-exp of maxima of lines: from the root of the highest line
two steps of third order mostly suffice. With them Newton's method is held in a bracket.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, largest, smallest
from t2jax._numerics.logs import log
from t2jax.optimize._problem import FAR

__all__ = ["STEPS", "Numbers", "Shape", "log_spent", "multiplier", "variables"]

STEPS = 2
"""Steps without upper bounds before it is asked whether every lane needs no more. With fitted laws hardly one does; of
300,000 random problems with exponents from 0.02 to 4 the slowest needed four."""


class Shape(NamedTuple):
    """What is known of the equation before any number is."""

    hub_power: float
    spoke_powers: tuple[float, ...]
    gains: tuple[bool, ...]  # does the objective depend on the spoke?
    floored: tuple[bool, ...]  # is the spoke bounded from below?
    capped: bool  # are there bounds other than from below on spokes?
    max_steps: int


class Numbers(NamedTuple):
    """The equation's coefficients. Costs are shares of the budget, c·e^z·(…), with c ≥ 0."""

    hub: tuple[Scalar, Scalar]  # a = log(α·A / w), and 1/α
    spokes: tuple[tuple[Scalar, Scalar, Scalar, Scalar], ...]  # c, z, b = log(β·B / (v·c)) − z, and 1/(β + v)
    rest: tuple[tuple[Scalar, Scalar], ...]  # c and z of the hub's own term, if there is one
    lower: Vector  # of the hub, then of each spoke
    upper: Vector


_Terms = list[list[tuple[Scalar, Scalar]]]
"""For each term of the cost the lines at − fall·u, as (at, fall), whose maximum its logarithm is."""


def variables(shape: Shape, numbers: Numbers, u: Scalar) -> tuple[list[Scalar], list[Scalar]]:
    """Logarithms of the hub and the spokes at a multiplier, clipped to their bounds, and as they were before."""
    a, per_alpha = numbers.hub
    raw = [(a - u) * per_alpha]
    x = [_clipped(raw[0], numbers.lower[0], numbers.upper[0]) if shape.capped else raw[0]]
    share = u + shape.hub_power * x[0]
    for j, gains in enumerate(shape.gains):
        _, _, b, per_power = numbers.spokes[j]
        low, high = numbers.lower[1 + j], numbers.upper[1 + j]
        raw.append((b - share) * per_power if gains else low - 1.0)
        x.append(_clipped(raw[-1], low, high if shape.capped else None))
    return x, raw


def _clipped(a: Scalar, low: Scalar, high: Scalar | None) -> Scalar:
    """With the derivative of the bound where it is reached."""
    a = jnp.where(a > low, a, low)
    return a if high is None else jnp.where(a < high, a, high)


def log_spent(shape: Shape, numbers: Numbers, x: Vector) -> tuple[Scalar, list[Scalar]]:
    """log(cost / budget) and its slope along each of these variables."""
    pairs = [(c, z + v * y) for (c, z, _, _), v, y in zip(numbers.spokes, shape.spoke_powers, x[1:], strict=True)]
    pairs += numbers.rest
    # What costs nothing may be without end, and then must not count.
    shift = jax.lax.stop_gradient(largest([jnp.where(c > 0, z, -4 * FAR) for c, z in pairs]))
    sizes = [c * jnp.exp(jnp.minimum(z - shift, FAR)) for c, z in pairs]
    total = sum(sizes)
    slopes = [v * size / total for v, size in zip(shape.spoke_powers, sizes, strict=False)]
    return shape.hub_power * x[0] + shift + log(total), [shape.hub_power * jnp.ones_like(total), *slopes]


def _equation(shape: Shape, numbers: Numbers, u: Scalar) -> tuple[Scalar, Scalar]:
    """log(cost / budget) at a multiplier, and its derivative, which is negative unless all variables rest at bounds."""
    x, raw = variables(shape, numbers, u)
    spent, by_variable = log_spent(shape, numbers, x)
    hub_moves = -numbers.hub[1]
    if shape.capped:
        hub_moves = jnp.where((raw[0] > numbers.lower[0]) & (raw[0] < numbers.upper[0]), hub_moves, 0.0)
    slope = by_variable[0] * hub_moves
    for j, gains in enumerate(shape.gains):
        if gains:
            moves = -(1.0 + shape.hub_power * hub_moves) * numbers.spokes[j][3]
            inside = raw[1 + j] > numbers.lower[1 + j]
            if shape.capped:
                inside &= raw[1 + j] < numbers.upper[1 + j]
            slope = slope + jnp.where(inside, moves, 0.0) * by_variable[1 + j]
    return spent, slope


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def multiplier(shape: Shape, numbers: Numbers) -> tuple[Scalar, Scalar, Scalar]:
    """(u, 1 if the budget is not all spent, Newton steps)."""
    return _bracketed(shape, numbers) if shape.capped else _from_the_left(shape, numbers)


@multiplier.defjvp
def _(shape: Shape, primals: Any, tangents: Any) -> Any:
    (numbers,), (moved,) = primals, tangents
    u, spare, steps = multiplier(shape, numbers)
    _, change = jax.jvp(lambda numbers: _equation(shape, numbers, u)[0], (numbers,), (moved,))
    _, slope = _equation(shape, numbers, u)
    binds = (slope < 0) & (spare == 0)
    du = jnp.where(binds, -change / jnp.where(binds, slope, -1.0), 0.0)
    return (u, spare, steps), (du, jnp.zeros_like(spare), jnp.zeros_like(steps))


def _from_the_left(shape: Shape, numbers: Numbers) -> tuple[Scalar, Scalar, Scalar]:
    """No upper bounds: Newton's method with Chebyshev's factor, on a convex function, from its highest line's root.

    There, and right of it, every line is at most zero, so the sum of their exponentials, one at the root, is small.
    """
    terms = _lines(shape, numbers)
    eps = float(jnp.finfo(numbers.lower[0].dtype).eps)
    start = largest([at * (1.0 / fall) for lines in terms for at, fall in lines])
    step = partial(_step_on_lines, terms, eps)

    u, count, left = start, jnp.zeros_like(start), start
    for _ in range(STEPS):
        moved, left = step(u)
        u, count = u + moved, count + 1.0
    done = eps**0.29  # a step cubes the error: after one from so near the next would be nothing

    def going(state: tuple[Scalar, Scalar, Scalar]) -> Scalar:
        return (jnp.abs(state[1]) > done) & (state[2] < shape.max_steps)

    def more(state: tuple[Scalar, Scalar, Scalar]) -> tuple[Scalar, Scalar, Scalar]:
        moved, left = step(state[0])
        return state[0] + moved, left, state[2] + 1.0

    u, _, count = jax.lax.while_loop(going, more, (u, left, count))
    return u, jnp.zeros_like(u), count


def _step_on_lines(terms: _Terms, eps: float, u: Scalar) -> tuple[Scalar, Scalar]:
    """(the next move, log cost before it: ∞ where the move meets a kink, behind which it is no good)"""
    total, falling, curving, kinks = _cost_on_lines(terms, u)
    # log total = 2(z + z³/3 + z⁵/5 + …), z = (total − 1)/(total + 1): a logarithm takes as long as all the rest,
    # and what is left out vanishes faster than the error.
    inverse = 1.0 / (falling * (total + 1.0))
    z = (total - 1.0) * falling * inverse
    square = z * z
    log_total = 2.0 * z * (1.0 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7))))
    # Newton's step times Chebyshev's factor. The variance of the falls is at hand: two steps for three, and no
    # exponential more. Far away, where the factor says little, it is held between a half and two.
    per_fall = (total + 1.0) * inverse
    bend = 0.5 * log_total * (curving * total * per_fall * per_fall - 1.0)
    move = log_total * total * per_fall * (1.0 + jnp.clip(bend, -0.5, 1.0))
    met = jnp.zeros_like(u, bool)
    for gap, closing in kinks:
        met |= gap * (gap - closing * move) < 0
    return move, jnp.where(met & (jnp.abs(log_total) > 64 * eps), jnp.inf, log_total)


def _cost_on_lines(terms: _Terms, u: Scalar) -> tuple[Scalar, Scalar, Scalar, list[tuple[Scalar, Scalar]]]:
    """(cost over the budget, −its slope, its curvature, and of each kink the gap of its lines and how it closes)"""
    total, falling, curving = 0.0, 0.0, 0.0
    kinks = []
    for lines in terms:
        height, fall = lines[0][0] - lines[0][1] * u, lines[0][1]
        for at, other in lines[1:]:
            held = at - other * u
            kinks.append((height - held, fall - other))
            height, fall = jnp.maximum(height, held), jnp.where(height > held, fall, other)
        size = jnp.exp(height)
        total, falling, curving = total + size, falling + fall * size, curving + fall * fall * size
    return total, falling, curving, kinks


def _lines(shape: Shape, numbers: Numbers) -> _Terms:
    """Of each term the lines where its spoke is free, and where it is held."""
    a, per_alpha = numbers.hub
    fall = shape.hub_power * per_alpha
    terms = [[(fall * a + jnp.log(c) + z, fall)] for c, z in numbers.rest]
    for j, (v, gains) in enumerate(zip(shape.spoke_powers, shape.gains, strict=True)):
        c, z, b, per_power = numbers.spokes[j]
        at = fall * a + jnp.log(c) + z
        held = (at + v * numbers.lower[1 + j], fall)
        part = v * per_power
        free = (at + part * (b - fall * a), fall + part * (1.0 - fall))
        terms.append([free, held] if gains and shape.floored[j] else [free] if gains else [held])
    return terms


def _bracketed(shape: Shape, numbers: Numbers) -> tuple[Scalar, Scalar, Scalar]:
    """Newton's method in a bracket: from all variables at their upper bounds to all at their lower ones."""
    a, per_alpha = numbers.hub
    dtype = numbers.lower[0].dtype
    eps = float(jnp.finfo(dtype).eps)

    def reaches(bounds: Vector) -> list[Scalar]:
        """The multipliers at which each variable reaches its bound, if the hub is at its own."""
        ends = [a - bounds[0] / per_alpha]
        for gains, (_, _, b, per_power), bound in zip(shape.gains, numbers.spokes, bounds[1:], strict=True):
            if gains:
                ends.append(b - shape.hub_power * bounds[0] - bound / per_power)
        return ends

    left, right = smallest(reaches(numbers.upper)), largest(reaches(numbers.lower))
    spare = _equation(shape, numbers, left)[0] <= 0
    start = jnp.clip(largest([at / fall for lines in _lines(shape, numbers) for at, fall in lines]), left, right)

    def going(state: Any) -> Scalar:
        _, _, _, done, count = state
        return ~done & (count < shape.max_steps)

    def step(state: Any) -> Any:
        left, right, u, _, count = state
        spent, slope = _equation(shape, numbers, u)
        # The logarithm of a cost, some 60, is known to its rounding: a zero within that may be missed for ever.
        zero = jnp.abs(spent) <= 64 * eps
        left, right = jnp.where(spent >= 0, u, left), jnp.where(spent <= 0, u, right)
        newton = u - spent / jnp.where(slope < 0, slope, -eps)
        inside = (newton >= left) & (newton <= right)  # a root is an end of the bracket
        moved = jnp.where(inside, newton, 0.5 * (left + right))
        # A budget that is spent to rounding where nearly all rests at bounds has no slope to take a last step along.
        # A longer one might cross a kink, behind which little moves the cost by much, and is not looked at again.
        moved = jnp.where(zero & (~inside | (jnp.abs(newton - u) > 200 * eps)), u, moved)
        small = 4 * eps * (1.0 + jnp.abs(u))
        done = zero | (jnp.abs(moved - u) <= small) | (right - left <= small) | jnp.isnan(spent)
        return left, right, moved, done, count + 1

    zero = jnp.zeros_like(left)
    state = (left, right, start, spare, zero.astype(jnp.int32))
    *_, u, _, count = jax.lax.while_loop(going, lambda s: jax.tree.map(partial(jnp.where, going(s)), step(s), s), state)
    return jnp.where(spare, left, u), jnp.where(spare, 1.0, zero), count.astype(dtype)
