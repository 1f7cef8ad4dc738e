"""`minimize` and `maximize`: from quantities and constraints to a `Solution`."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from t2jax._numerics.dense import Scalar, Vector, largest, second_order, second_order_by_differences
from t2jax._xla.fusion import IN_A_HURRY, once
from t2jax._xla.pieces import in_cache
from t2jax.optimize._decision import decision_for, whole_numbers
from t2jax.optimize._implicit import find
from t2jax.optimize._optimum import Optimum, tolerance
from t2jax.optimize._problem import FAR, Bound, Problem
from t2jax.optimize._solution import NoSolutionError, Solution, Status
from t2jax.quantities import Constraint, Custom, Quantity, Scale, Variable, is_array, is_traced

__all__ = ["maximize", "minimize"]


def minimize(
    quantity: Quantity,
    subject_to: Sequence[Constraint] | Constraint,
    *,
    start: Any = None,
    integer: Any = (),
    integer_samples: bool = False,
    throw: bool = True,
) -> Solution:
    """The allocation of least `quantity` under the constraints.

    ```python
    law, train = t2.published("besiroglu2024"), t2.TrainingFLOPs()
    t2.minimize(law, [train <= 5.88e23]).allocation.params
    ```

    quantity: what to minimise, for example a loss law, `T2Loss`, or a cost. subject_to: constraints, each a quantity
    `<=`, `>=` or `==` a number or another quantity; any mix of budgets, bounds on `params`, `tokens`, `samples` or
    another `Variable`, ratios of them, and targets. What a variable is declared to be at least, as k ≥ 1, is implied.
    start: where to begin; also what kind of decision it is, if not an `Allocation` of N, D, k and whatever variables
        the quantities depend on: any module of positive numbers. Needed only to look for a particular one of several
        local optima, or to decide on something else.
    integer: variables that are to be whole numbers, beside those that are declared so, with the others optimal for
        them: `integer=[t2.samples]`. For a convex problem the best ones of all. A bound on one that allows no further
        whole number has the price it would have if it were real.
    integer_samples: the same as integer=[t2.samples].
    throw: raise `NoSolutionError` where a single problem has none. Under `vmap` or `jit` nothing is raised: see status.

    Returns a `Solution`. Problems of power laws under FLOP budgets are convex in logarithms and the optimum is global;
    others are searched from several starts, `T2Accuracy` where the first fails or something better is in sight. Under
    `jit`, `vmap`, `grad`, `jacfwd`, `jacrev` and `hessian` derivatives of allocation, value and prices come from the
    implicit function theorem, for every coefficient and limit.
    Raises TypeError or ValueError for what is not a quantity or a constraint; `NoSolutionError` as above.
    """
    return _solve(quantity, subject_to, start, integer, integer_samples, throw, maximise=False)


def maximize(
    quantity: Quantity,
    subject_to: Sequence[Constraint] | Constraint,
    *,
    start: Any = None,
    integer: Any = (),
    integer_samples: bool = False,
    throw: bool = True,
) -> Solution:
    """The allocation of greatest `quantity`, for example `T2Accuracy`, under the constraints. As `minimize` else."""
    return _solve(quantity, subject_to, start, integer, integer_samples, throw, maximise=True)


def _solve(
    quantity: Any, subject_to: Any, start: Any, integer: Any, integer_samples: bool, throw: bool, *, maximise: bool
) -> Solution:
    verb = "maximize" if maximise else "minimize"
    if not isinstance(quantity, Quantity):
        raise TypeError(f"{verb} takes a quantity first (wrap a function with t2jax.quantity), got {quantity!r}")
    if isinstance(subject_to, Constraint):
        subject_to = (subject_to,)
    if not isinstance(subject_to, Iterable):
        raise TypeError(f"subject_to takes a list of constraints such as train <= 1e24, got {subject_to!r}")
    constraints = tuple(subject_to)
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise TypeError(f"subject_to takes constraints such as train <= 1e24, got {constraint!r}")
        if constraint.limit.ndim:
            raise ValueError(
                f"the limit of {constraint.quantity.label} has shape {constraint.limit.shape}, not one number: "
                "for a batch of limits use jax.vmap over minimize"
            )
    quantities = (quantity, *(constraint.quantity for constraint in constraints))
    decision = decision_for(quantities, start)
    asked_for = (integer,) if isinstance(integer, Variable | str) else tuple(integer)
    whole = whole_numbers(decision, asked_for, integer_samples, _kind(start))
    problem = Problem(quantity, constraints, decision.implied, decision.layout, maximise, whole)
    report = _run(problem, decision.log_start)
    solved = report.pop("solved")
    known = not _traced((solved, quantity, constraints)) and not solved.ndim and bool(solved)
    solution = Solution(
        **report,
        limits=tuple(c.limit for c in constraints),
        objective_label=quantity.label,
        objective_scale=quantity.scale,
        constraint_labels=tuple(c.label for c in constraints),
        provenances=tuple(dict.fromkeys(p for q in quantities for p in q.provenances())),
        maximised=maximise,
        remarks=_remarks(quantities, constraints, report["allocation"]) if known else (),
    )
    if throw and not _traced(solved) and not solved.ndim and not bool(solved):
        raise NoSolutionError(solution.reason, solution)
    return solution


def _remarks(quantities: Sequence[Quantity], constraints: Sequence[Constraint], allocation: Any) -> tuple[str, ...]:
    """What is worth knowing of a solution: what the quantities say, and what of it was only searched for."""
    said = [sentence for one in quantities for sentence in one.remarks(allocation)]
    searched = [
        f"{one} is no straight line in logarithms: its curvature is unknown, and the optimum is the best of several "
        "searches"
        for one in constraints
        if one.equal and not one.convex
    ]
    return tuple(dict.fromkeys([*said, *searched]))


def _kind(start: Any) -> str:
    return "Allocation" if start is None else type(start).__name__


def _run(problem: Problem, log_start: Vector) -> dict[str, Any]:
    """Solve and report, compiled. A single problem, or its derivative, is compiled in a hurry: it runs a few times.

    Inside a user's `jit`, or under `vmap`, XLA's usual effort is worth its time.
    """
    arrays = _arrays((problem, log_start))
    hurried = _has_values(arrays) and jax.default_backend() == "cpu" and not _within_a_program()
    problem, users = _with_programs(problem, _widest(arrays))
    leaves, treedef = jax.tree.flatten((problem, log_start))
    if not hurried:  # what runs often need not carry terms that are not there
        leaves = [_ZERO if _is_zero(leaf) else leaf for leaf in leaves]
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
    known = [np.zeros((), dtype)[()] if leaf is _ZERO else leaf for leaf in leaves]
    derivatives_of = second_order_by_differences if hurried else second_order

    def solved(arrays: list[Any]) -> dict[str, Any]:
        rest = iter(arrays)
        problem, log_start = jax.tree.unflatten(treedef, [next(rest) if leaf is _ARRAY else leaf for leaf in known])
        return _report(problem, find(problem, log_start, derivatives_of))

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


def _report(problem: Problem, found: Optimum) -> dict[str, Any]:
    """Everything a person or a derivative wants to know of an optimum."""
    x, lam, f = found.x, found.multipliers, found.value
    lower, upper = problem.bounds()
    sign = -1.0 if problem.maximise else 1.0
    value, value_per_score = jax.jvp(problem.objective.scale.to_value, (sign * f,), (jnp.ones_like(f),))

    prices, slacks = [], []
    taken = {(i, side): jnp.zeros_like(f) for i in range(len(x)) for side in (False, True)}
    for kind, constraint in zip(problem.sorted()[0], problem.constraints, strict=True):
        scale = constraint.quantity.scale
        if isinstance(kind, Bound):
            multiplier = _price_of_bound(problem, found, kind, (lower, upper), taken)
            room = kind.log_limit - x[kind.index] if kind.upper else x[kind.index] - kind.log_limit
        else:
            multiplier = lam[kind]
            excess = found.violations[kind] if constraint.upper else -found.violations[kind]
            used = scale.to_log(scale.of_value(constraint.limit) + excess)
            room = (jnp.log(constraint.limit) - used) * (1.0 if constraint.upper else -1.0)
        # The limit enters on the quantity's scale: d score / d log limit is 1, or 1/(1 − limit) for log odds.
        per_log_limit = 1.0 if scale is Scale.LOG else 1.0 / (1.0 - constraint.limit)
        # Raising an upper limit lowers the score that is minimised, raising a lower limit raises it.
        gain = multiplier * per_log_limit * (-1.0 if constraint.upper else 1.0)
        prices.append(sign * value_per_score * gain)
        slacks.append(room)

    limit = tolerance(f.dtype)
    finite = jnp.isfinite(f) & jnp.isfinite(found.residual)
    for one in found.violations:
        finite &= jnp.isfinite(one)
    outcomes = (Status.solved, Status.not_converged, Status.unbounded, Status.infeasible, Status.not_finite)
    code = jnp.where(found.residual <= limit, jnp.zeros_like(f), 1.0)
    code = jnp.where(largest(found.unbounded) > 0, 2.0, code)
    code = jnp.where(found.violation > limit, 3.0, code)
    code = jnp.where(finite, code, 4.0)
    # All is solved in logarithms: a value or a price may yet be beyond the precision's numbers.
    for one in (value, *prices):
        code = jnp.where((code == 0.0) & ~jnp.isfinite(one), 4.0, code)
    code = once(code)
    status = outcomes[0]
    for i, one in enumerate(outcomes):
        status = Status.where(code == i, one, status)
    solved = code == 0

    def shown(a: Any) -> Any:
        return jnp.where(solved, a, jnp.nan)

    logs = problem.layout.tree(x)
    used = problem.layout.tree([a > 0 for a in found.relevant])
    floor = problem.layout.tree([jnp.where(low > -FAR, jnp.exp(low), 0.0) for low in lower])
    allocation = jax.tree.map(lambda log, u, low: shown(jnp.where(u, jnp.exp(log), low)), logs, used, floor)
    if problem.whole:
        # e^(log 3) is 3 to rounding only.
        flat = problem.layout.flat(allocation)
        for i in problem.whole:
            flat[i] = jax.lax.stop_gradient(jnp.round(flat[i]))
        allocation = problem.layout.tree(flat)
    return {
        "allocation": allocation,
        "value": shown(value),
        "shadow_prices": tuple(shown(a) for a in prices),
        "slacks": tuple(shown(a) for a in slacks),
        "status": status,
        "steps": found.steps.astype(jnp.int32),
        "residual": found.residual,
        "violation": found.violation,
        "unlimited": problem.layout.tree([a > 0 for a in found.unbounded]),
        "solved": solved,
    }


def _price_of_bound(
    problem: Problem, found: Optimum, kind: Bound, bounds: tuple[Vector, Vector], taken: dict[tuple[int, bool], Scalar]
) -> Scalar:
    """The multiplier of a bound. Of bounds that coincide the first one bears the price, and is noted in `taken`."""
    i, slope = kind.index, found.slopes[kind.index]
    price = jnp.zeros_like(slope)
    for upper in kind.sides:
        bound, at_bound = bounds[upper][i], (found.at_upper if upper else found.at_lower)[i]
        if i in problem.whole:
            # Held at a whole number, which is the last that this bound allows: priced as if it were real.
            next_one = jnp.exp(found.x[i]) + (1.0 if upper else -1.0)
            beyond = next_one > jnp.exp(bound) if upper else next_one < jnp.exp(bound)
            at_bound = jnp.where(beyond & (slope <= 0.0 if upper else slope >= 0.0), 1.0, 0.0)
        binds = at_bound * (1.0 - taken[i, upper])
        binds = jnp.where(kind.log_limit == bound, binds, 0.0)
        taken[i, upper] = taken[i, upper] + binds
        price = price + (-slope * binds if kind.upper else slope * binds)
    return price


_ARRAY, _ZERO = object(), object()
"""Stand for a leaf: an array, and a number known to be 0, which is a NumPy scalar where the problem is solved."""


def _arrays(tree: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(tree) if is_array(leaf)]


def _widest(arrays: list[Any]) -> Any:
    """float64 if any of them is: float64 budgets over float32 coefficients are float64."""
    return jnp.dtype("float64" if any(a.dtype == jnp.float64 for a in arrays) else "float32")


def _is_zero(leaf: Any) -> bool:
    known = is_array(leaf) and not isinstance(leaf, jax.core.Tracer)
    return known and not leaf.ndim and eqx.is_inexact_array_like(leaf) and not np.asarray(leaf)


def _traced(tree: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def _within_a_program() -> bool:
    """Is a user's function being compiled? Then even what is computed from known numbers is part of it."""
    return is_traced(jax.lax.neg(np.float32(1.0)))


def _has_values(tree: Any) -> bool:
    """Is every number known: not traced, or traced for a derivative alone?"""
    if jax.__version_info__ < (0, 12):
        # There a derivative takes the compiled function for one within another, which may have no options of its own.
        return not _traced(tree)
    try:
        for leaf in jax.tree.leaves(tree):
            if isinstance(leaf, jax.core.Tracer):
                bool(jnp.all(leaf == leaf))
    except jax.errors.ConcretizationTypeError:
        return False
    return True
