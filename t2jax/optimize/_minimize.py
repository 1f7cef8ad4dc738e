"""`minimize` and `maximize`: from quantities and constraints to a `Solution`."""

from collections.abc import Iterable, Sequence
from typing import Any

from t2jax.optimize._compile import run, traced
from t2jax.optimize._decision import decision_for, whole_numbers
from t2jax.optimize._options import SolverOptions
from t2jax.optimize._problem import Problem
from t2jax.optimize._solution import NoSolutionError, Solution
from t2jax.quantities import Constraint, Quantity, Variable

__all__ = ["maximize", "minimize"]


def minimize(
    quantity: Quantity,
    subject_to: Sequence[Constraint] | Constraint,
    *,
    start: Any = None,
    integer: Any = (),
    integer_samples: bool = False,
    throw: bool = True,
    options: SolverOptions | None = None,
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
    options: what counts as solved, and how long and widely is searched: see `SolverOptions`.
    throw: raise `NoSolutionError` where a single problem has none. Under `vmap` or `jit` nothing is raised: see status.

    Returns a `Solution`. Problems of power laws under FLOP budgets are convex in logarithms and the optimum is global;
    others are searched from several starts, `T2Accuracy` where the first fails or something better is in sight. Under
    `jit`, `vmap`, `grad`, `jacfwd`, `jacrev` and `hessian` derivatives of allocation, value and prices come from the
    implicit function theorem, for every coefficient and limit.
    Raises TypeError or ValueError for what is not a quantity or a constraint; `NoSolutionError` as above.
    """
    return _solve(quantity, subject_to, start, integer, integer_samples, throw, options, maximise=False)


def maximize(
    quantity: Quantity,
    subject_to: Sequence[Constraint] | Constraint,
    *,
    start: Any = None,
    integer: Any = (),
    integer_samples: bool = False,
    throw: bool = True,
    options: SolverOptions | None = None,
) -> Solution:
    """The allocation of greatest `quantity`, for example `T2Accuracy`, under the constraints. As `minimize` else."""
    return _solve(quantity, subject_to, start, integer, integer_samples, throw, options, maximise=True)


def _solve(
    quantity: Any,
    subject_to: Any,
    start: Any,
    integer: Any,
    integer_samples: bool,
    throw: bool,
    options: Any,
    *,
    maximise: bool,
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
    options = SolverOptions() if options is None else options
    if not isinstance(options, SolverOptions):
        raise TypeError(f"options takes a SolverOptions, got {options!r}")
    quantities = (quantity, *(constraint.quantity for constraint in constraints))
    decision = decision_for(quantities, start)
    asked_for = (integer,) if isinstance(integer, Variable | str) else tuple(integer)
    whole = whole_numbers(decision, asked_for, integer_samples, _kind(start))
    problem = Problem(quantity, constraints, decision.implied, decision.layout, maximise, whole, options)
    report = run(problem, decision.log_start)
    solved = report.pop("solved")
    known = not traced((solved, quantity, constraints)) and not solved.ndim and bool(solved)
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
    if throw and not traced(solved) and not solved.ndim and not bool(solved):
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
