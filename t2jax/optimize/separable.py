"""Separable power laws under one budget: all of the problem is one equation in one unknown, the budget's multiplier.

    minimise  E + A·x^−α + Σ_j B_j·y_j^−β_j   subject to  x^w·(c₀ + Σ_j c_j·y_j^v_j) ≤ C  and bounds

T² losses and Chinchilla laws under FLOPs have this shape: N is the hub x, in every term of the cost; D and k are
spokes, each in one term. With e^u the multiplier of log cost, stationarity gives every variable in closed form,

    α·A·x^−α = w·e^u,    β_j·B_j·y_j^−β_j = v_j·e^u·(the share of the budget that y_j's term takes),

clipped to its bounds, and what all that costs falls as u grows. Without upper bounds log cost is a convex function of
u, a log-sum-exp of maxima of lines: from the root of the highest line two steps of third order mostly suffice. With
them Newton's method is held in a bracket.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from t2jax.allocation import Scale
from t2jax.fusion import once
from t2jax.logs import log
from t2jax.optimize.dense import Scalar, Vector, largest, smallest
from t2jax.optimize.optimum import Optimum
from t2jax.optimize.problem import FAR, Bound, Problem
from t2jax.powers import PowerTerm, log_shares, merged

__all__ = ["separable", "solve_separable"]

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


class Separable(NamedTuple):
    """Which scalar of the decision is the hub and which are spokes, and the terms that they are in."""

    shape: Shape
    hub: int
    spokes: tuple[int, ...]
    terms: tuple[PowerTerm, ...]  # the objective
    gain_of: dict[int, int]  # the place among them of the one that a scalar is in
    costs: tuple[PowerTerm, ...]  # of the spokes, then what the hub has to itself


class Numbers(NamedTuple):
    """The equation's coefficients. Costs are shares of the budget, c·e^z·(…), with c ≥ 0."""

    hub: tuple[Scalar, Scalar]  # a = log(α·A / w), and 1/α
    spokes: tuple[tuple[Scalar, Scalar, Scalar, Scalar], ...]  # c, z, b = log(β·B / (v·c)) − z, and 1/(β + v)
    rest: tuple[tuple[Scalar, Scalar], ...]  # c and z of the hub's own term, if there is one
    lower: Vector  # of the hub, then of each spoke
    upper: Vector


def separable(problem: Problem) -> Separable | None:
    """The problem in this shape; None where it has another."""
    kinds, general = problem.sorted()
    if problem.maximise or problem.whole is not None or len(general) != 1 or not general[0].upper:
        return None
    terms, costs = problem.objective.power_terms(), general[0].quantity.power_terms()
    if terms is None or costs is None or problem.objective.scale is not Scale.LOG:
        return None
    if any(jnp.ndim(leaf) for leaf in jax.tree.leaves((terms, costs))):
        return None  # an ensemble that is not mapped over: the general method says so
    costs = merged(costs)
    places = {name: problem.layout.index(name) for term in (*terms, *costs) for name in term.exponents}
    index = {name: place for name, place in places.items() if place is not None}
    powers = [a for term in costs for a in term.exponents.values()]
    if not costs or len(index) < len(places) or not all(isinstance(a, int | float) and a > 0 for a in powers):
        return None

    gain_of = {index[name]: place for place, term in enumerate(terms) for name in term.exponents}
    if len(gain_of) != sum(len(term.exponents) for term in terms):
        return None  # two terms in one variable, or two variables in one term
    hub = _hub(costs, {name for name in costs[0].exponents if index[name] in gain_of})
    if hub is None:
        return None
    alone = [term for term in costs if len(term.exponents) == 1]
    joint = [term for term in costs if len(term.exponents) == 2]
    names = [name for term in joint for name in term.exponents if name != hub]
    spokes = tuple(index[name] for name in names)

    sides: set[tuple[int | None, bool]] = {
        (i, False) for name, _ in problem.implied for i in problem.layout.places(name)
    }
    sides |= {(kind.index, kind.upper) for kind in kinds if isinstance(kind, Bound)}
    in_cost = {index[hub], *spokes}
    if any(i not in in_cost and (i, True) not in sides for i in gain_of):
        return None  # free and without a limit: the general method says that it is unbounded
    shape = Shape(
        hub_power=float(costs[0].exponents[hub]),
        spoke_powers=tuple(float(term.exponents[name]) for term, name in zip(joint, names, strict=True)),
        gains=tuple(i in gain_of for i in spokes),
        floored=tuple((i, False) in sides for i in spokes),
        capped=any(i == index[hub] or (upper and i in spokes) for i, upper in sides),
    )
    return Separable(shape, index[hub], spokes, terms, gain_of, (*joint, *alone))


def _hub(costs: Sequence[PowerTerm], candidates: set[str]) -> str | None:
    """The coordinate in every term, by one power, with at most one other in each and none of those in two."""
    for name in sorted(candidates):
        others = [other for term in costs for other in term.exponents if other != name]
        alike = {term.exponents.get(name) for term in costs}
        if len(alike) == 1 and len(set(others)) == len(others) and all(len(t.exponents) <= 2 for t in costs):
            return name
    return None


def solve_separable(problem: Problem, form: Separable) -> Optimum:
    """The optimum: closed forms in the multiplier, whose own derivative is implicit, so derivatives of every order."""
    lower, upper = problem.bounds()
    n, dtype = len(lower), lower[0].dtype
    shape = form.shape
    numbers = _numbers(problem, form, lower, upper)
    u, spare, steps = _multiplier(shape, numbers)
    u = once(u)

    inner, raw = _variables(shape, numbers, u)
    x: list[Scalar] = list(lower)  # what is neither in the cost nor in the objective rests there
    wanted: list[Scalar | None] = [None] * n
    for i, at, unclipped in zip((form.hub, *form.spokes), inner, raw, strict=True):
        x[i], wanted[i] = at, unclipped
        if shape.capped and i in form.gain_of:  # with budget to spare, all there may be
            x[i], wanted[i] = (jnp.where(spare > 0, a, b) for a, b in ((upper[i], at), (upper[i] + 1.0, unclipped)))
    for i in form.gain_of:
        if wanted[i] is None:  # costs nothing: as much as there may be
            x[i], wanted[i] = upper[i], upper[i] + 1.0
    x = list(once(tuple(x)))
    logs = problem.layout.tree(x)
    value, shares = log_shares(form.terms, logs)
    spent, slope_of_cost = _spent(shape, numbers, [x[i] for i in (form.hub, *form.spokes)])
    # The multiplier of log cost in the score log F: e^u / F, and none where the budget is not spent.
    price = jnp.where(spare > 0, 0.0, jnp.exp(u - value))

    slopes = [jnp.zeros_like(value)] * n
    for i, place in form.gain_of.items():
        (exponent,) = form.terms[place].exponents.values()
        slopes[i] = exponent * shares[place]
    for i, one in zip((form.hub, *form.spokes), slope_of_cost, strict=True):
        slopes[i] = slopes[i] + price * one

    one, zero = jnp.ones_like(value), jnp.zeros_like(value)
    matters = [i in form.gain_of or i in form.spokes for i in range(n)]
    at_upper = [
        jnp.where(a >= high, one, zero) if a is not None else zero for a, high in zip(wanted, upper, strict=True)
    ]
    at_lower = [
        jnp.where(a <= low, one, zero) * (1.0 - top) if a is not None else zero
        for a, low, top in zip(wanted, lower, at_upper, strict=True)
    ]
    crossed = largest([low - high for low, high in zip(lower, upper, strict=True)])
    far = [
        ((jnp.abs(x[i]) > FAR - 3.0) & (jnp.where(x[i] > 0, upper[i], -lower[i]) == FAR))
        for i in range(n)
        if matters[i]
    ]
    return Optimum(
        x=tuple(x),
        multipliers=(price,),
        value=value,
        violations=(spent,),
        slopes=tuple(slopes),
        active=(jnp.where(spare > 0, zero, one),),
        at_lower=tuple(at_lower),
        at_upper=tuple(at_upper),
        free=tuple(float(m) * one - a - b for m, a, b in zip(matters, at_lower, at_upper, strict=True)),
        relevant=tuple(float(m) * one for m in matters),
        # All but the budget's equation holds by construction, if the numbers are numbers.
        residual=jnp.where(spare > 0, jnp.maximum(spent, 0.0), jnp.abs(spent)) + 0.0 * _all_numbers(numbers),
        violation=jnp.maximum(jnp.maximum(spent, crossed), 0.0),
        unbounded=sum((one_far.astype(dtype) for one_far in far), zero),
        steps=steps,
    )


def _numbers(problem: Problem, form: Separable, lower: Vector, upper: Vector) -> Numbers:
    """Coefficients that are not batched stay so: their logarithms are then taken once."""
    shape, dtype = form.shape, lower[0].dtype
    log_limit = log(problem.sorted()[1][0].limit)

    def gain(i: int) -> tuple[Scalar, Scalar]:
        """log(α·A) and α of the objective's term A·x^−α."""
        term = form.terms[form.gain_of[i]]
        (exponent,) = term.exponents.values()
        return log(-exponent * jnp.asarray(term.coefficient, dtype)) + term.log_factor, -exponent

    costs = [(jnp.asarray(term.coefficient, dtype), term.log_factor) for term in form.costs]
    spokes = []
    for i, power, gains, (c, z) in zip(form.spokes, shape.spoke_powers, shape.gains, costs, strict=False):
        b, per_power = jnp.zeros_like(c), jnp.ones_like(c)
        if gains:
            size, beta = gain(i)
            # In this order: nothing but the limit may be batched. A spoke that costs nothing takes all there is.
            b = size - log(power * jnp.where(c > 0, c, 1.0)) - z + jnp.where(c > 0, 0.0, 4 * FAR) + log_limit
            per_power = 1.0 / (beta + power)
        spokes.append((c, z - log_limit, b, per_power))
    size, alpha = gain(form.hub)
    return Numbers(
        hub=(size - math.log(shape.hub_power), 1.0 / alpha),
        spokes=tuple(spokes),
        rest=tuple((c, z - log_limit) for c, z in costs[len(spokes) :]),
        lower=tuple(lower[i] for i in (form.hub, *form.spokes)),
        upper=tuple(upper[i] for i in (form.hub, *form.spokes)),
    )


def _all_numbers(numbers: Numbers) -> Scalar:
    """Finite where every coefficient of the objective is."""
    return sum((b for _, _, b, _ in numbers.spokes), numbers.hub[0])


def _variables(shape: Shape, numbers: Numbers, u: Scalar) -> tuple[list[Scalar], list[Scalar]]:
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


def _spent(shape: Shape, numbers: Numbers, x: Vector) -> tuple[Scalar, list[Scalar]]:
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
    x, raw = _variables(shape, numbers, u)
    spent, by_variable = _spent(shape, numbers, x)
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
def _multiplier(shape: Shape, numbers: Numbers) -> tuple[Scalar, Scalar, Scalar]:
    """(u, 1 if the budget is not all spent, Newton steps)."""
    return _bracketed(shape, numbers) if shape.capped else _from_the_left(shape, numbers)


@_multiplier.defjvp
def _(shape: Shape, primals: Any, tangents: Any) -> Any:
    (numbers,), (moved,) = primals, tangents
    u, spare, steps = _multiplier(shape, numbers)
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

    def step(u: Scalar) -> tuple[Scalar, Scalar]:
        """(the next move, log cost before it: ∞ where the move meets a kink, behind which it is no good)"""
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
        # log total = 2(z + z³/3 + z⁵/5 + …), z = (total − 1)/(total + 1): a logarithm takes as long as all the rest,
        # and what is left out vanishes faster than the error.
        inverse = 1.0 / (falling * (total + 1.0))
        z = (total - 1.0) * falling * inverse
        square = z * z
        log_total = 2.0 * z * (1.0 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7))))
        # Newton's step by Chebyshev's factor. The variance of the falls is at hand: a third of the steps for no
        # exponential more. Far away it is held within what cannot leave the left for long.
        per_fall = (total + 1.0) * inverse
        bend = 0.5 * log_total * (curving * total * per_fall * per_fall - 1.0)
        move = log_total * total * per_fall * (1.0 + jnp.clip(bend, -0.5, 1.0))
        met = jnp.zeros_like(u, bool)
        for gap, closing in kinks:
            met |= gap * (gap - closing * move) < 0
        return move, jnp.where(met & (jnp.abs(log_total) > 64 * eps), jnp.inf, log_total)

    u, count, left = start, jnp.zeros_like(start), start
    for _ in range(STEPS):
        moved, left = step(u)
        u, count = u + moved, count + 1.0
    done = eps**0.29  # a step cubes the error: after one from so near the next would be nothing

    def going(state: tuple[Scalar, Scalar, Scalar]) -> Scalar:
        return (jnp.abs(state[1]) > done) & (state[2] < 60.0)

    def more(state: tuple[Scalar, Scalar, Scalar]) -> tuple[Scalar, Scalar, Scalar]:
        moved, left = step(state[0])
        return state[0] + moved, left, state[2] + 1.0

    u, _, count = jax.lax.while_loop(going, more, (u, left, count))
    return u, jnp.zeros_like(u), count


def _lines(shape: Shape, numbers: Numbers) -> list[list[tuple[Scalar, Scalar]]]:
    """For each term of the cost the lines at − fall·u whose maximum its logarithm is: its spoke is free, or held."""
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
        return ~done & (count < 60)

    def step(state: Any) -> Any:
        left, right, u, _, count = state
        spent, slope = _equation(shape, numbers, u)
        # The logarithm of a cost, some 60, is known to its rounding: a zero within that may be missed for ever.
        zero = jnp.abs(spent) <= 64 * eps
        left, right = jnp.where(spent >= 0, u, left), jnp.where(spent <= 0, u, right)
        newton = u - spent / jnp.where(slope < 0, slope, -eps)
        inside = (newton >= left) & (newton <= right)  # a root is an end of the bracket
        moved = jnp.where(inside, newton, 0.5 * (left + right))
        small = 4 * eps * (1.0 + jnp.abs(u))
        done = zero | (jnp.abs(moved - u) <= small) | (right - left <= small) | jnp.isnan(spent)
        return left, right, moved, done, count + 1

    zero = jnp.zeros_like(left)
    state = (left, right, start, spare, zero.astype(jnp.int32))
    *_, u, _, count = jax.lax.while_loop(going, lambda s: jax.tree.map(partial(jnp.where, going(s)), step(s), s), state)
    return jnp.where(spare, left, u), jnp.where(spare, 1.0, zero), count.astype(dtype)
