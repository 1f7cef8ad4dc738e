"""An optimum in the words of its problem: the allocation, its value, prices and slacks of the constraints, a status."""

from typing import Any

import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector, largest
from t2jax._xla.fusion import once
from t2jax.optimize._optimum import Optimum
from t2jax.optimize._options import SolverOptions
from t2jax.optimize._problem import FAR, Bound, Problem
from t2jax.optimize._solution import Status
from t2jax.quantities import Constraint, Scale

__all__ = ["report"]


def report(problem: Problem, found: Optimum) -> dict[str, Any]:
    """Everything a person or a derivative wants to know of an optimum: the fields of a `Solution`, and `solved`."""
    point = found.point
    sign = -1.0 if problem.maximise else 1.0
    to_value = problem.objective.scale.to_value
    value, value_per_score = jax.jvp(to_value, (sign * point.value,), (jnp.ones_like(point.value),))
    bounds = problem.bounds()
    gains, slacks = _gains_and_slacks(problem, found, bounds)
    prices = [sign * value_per_score * gain for gain in gains]
    code = _code(found, [value, *prices], problem.options)
    solved = code == 0

    def shown(a: Any) -> Any:
        return jnp.where(solved, a, jnp.nan)

    return {
        "allocation": _allocation(problem, found, bounds[0], shown),
        "value": shown(value),
        "shadow_prices": tuple(shown(a) for a in prices),
        "slacks": tuple(shown(a) for a in slacks),
        "status": _status(code),
        "steps": found.steps.astype(jnp.int32),
        "residual": point.residual,
        "violation": point.violation,
        "unlimited": problem.layout.tree([a > 0 for a in found.unbounded]),
        "solved": solved,
    }


def _gains_and_slacks(
    problem: Problem, found: Optimum, bounds: tuple[Vector, Vector]
) -> tuple[list[Scalar], list[Scalar]]:
    """(by what the score that is minimised falls as each limit's logarithm grows, the room that each one leaves)."""
    point, gains, slacks = found.point, [], []
    taken = {(i, side): jnp.zeros_like(point.value) for i in range(len(point.x)) for side in (False, True)}
    for kind, constraint in zip(problem.sorted()[0], problem.constraints, strict=True):
        if isinstance(kind, Bound):
            multiplier = _price_of_bound(problem, found, kind, bounds, taken)
            x = point.x[kind.index]
            slacks.append(kind.log_limit - x if kind.upper else x - kind.log_limit)
        else:
            multiplier = point.multipliers[kind]
            slacks.append(_room(constraint, point.violations[kind]))
        # The limit enters on the quantity's scale: d score / d log limit is 1, or 1/(1 − limit) for log odds.
        per_log_limit = 1.0 if constraint.quantity.scale is Scale.LOG else 1.0 / (1.0 - constraint.limit)
        # Raising an upper limit lowers the score that is minimised, raising a lower limit raises it.
        gains.append(multiplier * per_log_limit * (-1.0 if constraint.upper else 1.0))
    return gains, slacks


def _room(constraint: Constraint, violation: Scalar) -> Scalar:
    """log(limit / used), or log(reached / limit) of a lower limit."""
    scale = constraint.quantity.scale
    excess = violation if constraint.upper else -violation
    used = scale.to_log(scale.of_value(constraint.limit) + excess)
    return (jnp.log(constraint.limit) - used) * (1.0 if constraint.upper else -1.0)


_OUTCOMES = (Status.solved, Status.not_converged, Status.unbounded, Status.infeasible, Status.not_finite)


def _code(found: Optimum, reported: list[Scalar], options: SolverOptions) -> Scalar:
    """The place of the outcome among `_OUTCOMES`; what is worse is later and wins."""
    point = found.point
    f = point.value
    limit = options.limit(f.dtype)
    finite = jnp.isfinite(f) & jnp.isfinite(point.residual)
    for one in point.violations:
        finite &= jnp.isfinite(one)
    code = jnp.where(point.residual <= limit, jnp.zeros_like(f), 1.0)
    code = jnp.where(largest(found.unbounded) > 0, 2.0, code)
    # A tolerance finer than the usual one does not make of rounding what no allocation satisfies.
    code = jnp.where(point.violation > max(limit, SolverOptions().limit(f.dtype)), 3.0, code)
    code = jnp.where(finite, code, 4.0)
    # All is solved in logarithms: a value or a price may yet be beyond the precision's numbers.
    for one in reported:
        code = jnp.where((code == 0.0) & ~jnp.isfinite(one), 4.0, code)
    return once(code)


def _status(code: Scalar) -> Any:
    status = _OUTCOMES[0]
    for i, one in enumerate(_OUTCOMES):
        status = Status.where(code == i, one, status)
    return status


def _allocation(problem: Problem, found: Optimum, lower: Vector, shown: Any) -> Any:
    """The decision. What nothing depends on is its lower bound, or zero where it has none."""
    logs = problem.layout.tree(found.point.x)
    used = problem.layout.tree([a > 0 for a in found.relevant])
    floor = problem.layout.tree([jnp.where(low > -FAR, jnp.exp(low), 0.0) for low in lower])
    allocation = jax.tree.map(lambda log, u, low: shown(jnp.where(u, jnp.exp(log), low)), logs, used, floor)
    if problem.whole:
        # e^(log 3) is 3 to rounding only.
        flat = problem.layout.flat(allocation)
        for i in problem.whole:
            flat[i] = jax.lax.stop_gradient(jnp.round(flat[i]))
        allocation = problem.layout.tree(flat)
    return allocation


def _price_of_bound(
    problem: Problem, found: Optimum, kind: Bound, bounds: tuple[Vector, Vector], taken: dict[tuple[int, bool], Scalar]
) -> Scalar:
    """The multiplier of a bound. Of bounds that coincide the first one bears the price, and is noted in `taken`."""
    point, i = found.point, kind.index
    slope = point.slopes[i]
    price = jnp.zeros_like(slope)
    for upper in kind.sides:
        bound, at_bound = bounds[upper][i], (point.binds.at_upper if upper else point.binds.at_lower)[i]
        if i in problem.whole:
            # Held at a whole number, which is the last that this bound allows: priced as if it were real.
            next_one = jnp.exp(point.x[i]) + (1.0 if upper else -1.0)
            beyond = next_one > jnp.exp(bound) if upper else next_one < jnp.exp(bound)
            at_bound = jnp.where(beyond & (slope <= 0.0 if upper else slope >= 0.0), 1.0, 0.0)
        binds = at_bound * (1.0 - taken[i, upper])
        binds = jnp.where(kind.log_limit == bound, binds, 0.0)
        taken[i, upper] = taken[i, upper] + binds
        price = price + (-slope * binds if kind.upper else slope * binds)
    return price
