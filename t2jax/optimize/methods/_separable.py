"""Separable power laws under one budget: all of the problem is one equation in one unknown, the budget's multiplier.

    minimise  E + A·x^−α + Σ_j B_j·y_j^−β_j   subject to  x^w·(c₀ + Σ_j c_j·y_j^v_j) ≤ C  and bounds

T² losses and Chinchilla laws under FLOPs have this shape: N is the hub x, in every term of the cost; D and k are
spokes, each in one term. With e^u the multiplier of log cost, stationarity gives every variable in closed form,

    α·A·x^−α = w·e^u,    β_j·B_j·y_j^−β_j = v_j·e^u·(the share of the budget that y_j's term takes),

clipped to its bounds, and what all that costs falls as u grows: see `multiplier`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, largest
from t2jax._numerics.logs import log
from t2jax._xla.fusion import once
from t2jax.optimize._optimum import Optimum
from t2jax.optimize._problem import FAR, Bound, Problem
from t2jax.optimize.methods._multiplier import Numbers, Shape, log_spent, multiplier, variables
from t2jax.optimize.methods._point import Binds, Point
from t2jax.quantities import Constraint, PowerTerm, Scale, log_shares, merged

__all__ = ["Separable", "separable", "solve_separable"]


class Separable(NamedTuple):
    """Which scalar of the decision is the hub and which are spokes, and the terms that they are in."""

    shape: Shape
    hub: int
    spokes: tuple[int, ...]
    terms: tuple[PowerTerm, ...]  # the objective
    gain_of: dict[int, int]  # the place among them of the one that a scalar is in
    costs: tuple[PowerTerm, ...]  # of the spokes, then what the hub has to itself


def separable(problem: Problem) -> Separable | str:
    """The problem in this shape, or in words why it has another."""
    kinds, general = problem.sorted()
    if refused := _refused(problem, general):
        return refused
    objective, cost = problem.objective, general[0].quantity
    terms, costs = objective.power_terms(), cost.power_terms()
    if terms is None or objective.scale is not Scale.LOG:
        return f"{objective.label} is not known to be a sum of power laws"
    if costs is None:
        return f"{cost.label} is not known to be a sum of power laws"
    if any(jnp.ndim(leaf) for leaf in jax.tree.leaves((terms, costs))):
        return "it is an ensemble that is not mapped over"  # the general method says so
    costs = merged(costs)
    places = {name: problem.layout.index(name) for term in (*terms, *costs) for name in term.exponents}
    index = {name: place for name, place in places.items() if place is not None}
    powers = [a for term in costs for a in term.exponents.values()]
    if not costs or len(index) < len(places) or not all(isinstance(a, int | float) and a > 0 for a in powers):
        return f"{cost.label} does not grow with each single variable by a power that is known beforehand"
    if any(isinstance(a, int | float) and a >= 0 for term in terms for a in term.exponents.values()):
        return f"{objective.label} gains from less, not from more: it is itself a cost"
    gain_of = {index[name]: place for place, term in enumerate(terms) for name in term.exponents}
    if len(gain_of) != sum(len(term.exponents) for term in terms):
        return f"{objective.label} has two terms in one variable, or two variables in one term"
    hub = _hub(costs, {name for name in costs[0].exponents if index[name] in gain_of})
    if hub is None:
        return f"{cost.label} has no variable in every term by one power, with at most one other beside it"
    alone = [term for term in costs if len(term.exponents) == 1]
    joint = [term for term in costs if len(term.exponents) == 2]
    names = [name for term in joint for name in term.exponents if name != hub]
    spokes = tuple(index[name] for name in names)

    sides = _bounded_sides(problem, kinds)
    if any(i not in (index[hub], *spokes) and (i, True) not in sides for i in gain_of):
        return "a variable that the objective gains from costs nothing and has no limit"  # the general method says so
    shape = Shape(
        hub_power=float(costs[0].exponents[hub]),
        spoke_powers=tuple(float(term.exponents[name]) for term, name in zip(joint, names, strict=True)),
        gains=tuple(i in gain_of for i in spokes),
        floored=tuple((i, False) in sides for i in spokes),
        capped=any(i == index[hub] or (upper and i in spokes) for i, upper in sides),
        max_steps=problem.options.max_steps,
    )
    return Separable(shape, index[hub], spokes, terms, gain_of, (*joint, *alone))


def _refused(problem: Problem, general: Sequence[Constraint]) -> str:
    """Why a problem has another shape whatever its quantities are; "" if that does not say."""
    if problem.maximise:
        return "it minimises, and this is a maximum"
    if problem.whole:
        return "whole numbers were asked for"
    if len(general) != 1:
        return f"it takes one budget beside bounds of variables, and there are {len(general) or 'none'}"
    if general[0].equal or not general[0].upper:
        what = "an equality" if general[0].equal else "a lower limit"
        return f"{what} of {general[0].quantity.label} is no budget"
    return ""


def _bounded_sides(problem: Problem, kinds: Sequence[Bound | int]) -> set[tuple[int, bool]]:
    """The places of scalars with bounds, and whether they are upper ones."""
    implied = {(i, False) for name, _ in problem.implied for i in problem.layout.places(name)}
    return implied | {(kind.index, upper) for kind in kinds if isinstance(kind, Bound) for upper in kind.sides}


def _hub(costs: Sequence[PowerTerm], candidates: set[str]) -> str | None:
    """The coordinate in every term, by one power, with at most one other in each and none of those in two."""
    for name in sorted(candidates):
        others = [other for term in costs for other in term.exponents if other != name]
        alike = {term.exponents.get(name) for term in costs}
        if len(alike) == 1 and len(set(others)) == len(others) and all(len(t.exponents) <= 2 for t in costs):
            return name
    return None


class _Ends(NamedTuple):
    """Where each scalar is at the budget's multiplier: clipped, and as its closed form wants it. None: it has none."""

    x: Vector
    wanted: list[Scalar | None]


def solve_separable(problem: Problem, form: Separable) -> Optimum:
    """The optimum: closed forms in the multiplier, whose own derivative is implicit, so derivatives of every order."""
    lower, upper = problem.bounds()
    shape = form.shape
    numbers = _numbers(problem, form, lower, upper)
    u, spare, steps = multiplier(shape, numbers)
    u = once(u)
    x, wanted = _ends(form, numbers, u, spare, lower, upper)
    value, shares = log_shares(form.terms, problem.layout.tree(x))
    spent, slope_of_cost = log_spent(shape, numbers, [x[i] for i in (form.hub, *form.spokes)])
    # The multiplier of log cost in the score log F: e^u / F, and none where the budget is not spent.
    price = jnp.where(spare > 0, 0.0, jnp.exp(u - value))
    slopes = [jnp.zeros_like(value)] * len(x)
    for i, place in form.gain_of.items():
        (exponent,) = form.terms[place].exponents.values()
        slopes[i] = exponent * shares[place]
    for i, one in zip((form.hub, *form.spokes), slope_of_cost, strict=True):
        slopes[i] = slopes[i] + price * one

    one, zero = jnp.ones_like(value), jnp.zeros_like(value)
    at_upper = [
        jnp.where(a >= high, one, zero) if a is not None else zero for a, high in zip(wanted, upper, strict=True)
    ]
    at_lower = [
        jnp.where(a <= low, one, zero) * (1.0 - top) if a is not None else zero
        for a, low, top in zip(wanted, lower, at_upper, strict=True)
    ]
    crossed = largest([low - high for low, high in zip(lower, upper, strict=True)])
    ends = [
        (jnp.abs(a) > FAR - 3.0) & (jnp.where(a > 0, b, -c) == FAR) for a, b, c in zip(x, upper, lower, strict=True)
    ]
    matters = [float(i in form.gain_of or i in form.spokes) for i in range(len(x))]
    point = Point(
        x=x,
        multipliers=(price,),
        binds=Binds((jnp.where(spare > 0, zero, one),), tuple(at_lower), tuple(at_upper)),
        value=value,
        violations=(spent,),
        slopes=tuple(slopes),
        # All but the budget's equation holds by construction, if the numbers are numbers.
        residual=jnp.where(spare > 0, jnp.maximum(spent, 0.0), jnp.abs(spent)) + 0.0 * _all_numbers(numbers),
        violation=jnp.maximum(jnp.maximum(spent, crossed), 0.0),
    )
    return Optimum(
        point,
        free=tuple(m * one - a - b for m, a, b in zip(matters, at_lower, at_upper, strict=True)),
        relevant=tuple(m * one for m in matters),
        unbounded=tuple(jnp.where(end, m * one, zero) for end, m in zip(ends, matters, strict=True)),
        steps=steps,
    )


def _ends(form: Separable, numbers: Numbers, u: Scalar, spare: Scalar, lower: Vector, upper: Vector) -> _Ends:
    shape = form.shape
    x: list[Scalar] = list(lower)  # what is neither in the cost nor in the objective rests there
    wanted: list[Scalar | None] = [None] * len(x)
    for i, at, unclipped in zip((form.hub, *form.spokes), *variables(shape, numbers, u), strict=True):
        x[i], wanted[i] = at, unclipped
        if shape.capped and i in form.gain_of:  # with budget to spare, all there may be
            x[i], wanted[i] = (jnp.where(spare > 0, a, b) for a, b in ((upper[i], at), (upper[i] + 1.0, unclipped)))
    for i in form.gain_of:
        if wanted[i] is None:  # costs nothing: as much as there may be
            x[i], wanted[i] = upper[i], upper[i] + 1.0
    return _Ends(once(tuple(x)), wanted)


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
