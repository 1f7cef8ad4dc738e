"""`minimize` and `maximize`: from quantities and constraints to a `Solution`."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from t2jax import validate
from t2jax.allocation import Allocation, Constraint, Quantity, Scale
from t2jax.optimize.dense import Vector, dot, gradients, smallest
from t2jax.optimize.implicit import Optimum, find
from t2jax.optimize.problem import FAR, Bound, Layout, Problem
from t2jax.optimize.solution import NoSolution, Solution, Status

__all__ = ["maximize", "minimize"]


def minimize(
    quantity: Quantity,
    subject_to: Sequence[Constraint],
    *,
    start: Any = None,
    integer_samples: bool = False,
    throw: bool = True,
) -> Solution:
    """The allocation of least `quantity` under the constraints.

    ```python
    law, train = t2.published("besiroglu2024"), t2.TrainingFLOPs()
    t2.minimize(law, [train <= 5.88e23]).allocation.params
    ```

    quantity: what to minimise, for example a loss law, `T2Loss`, or a cost. subject_to: constraints, each a quantity
    `<=` or `>=` a number; any mix of budgets, bounds on `params`, `tokens`, `samples`, and targets. k ≥ 1 is implied.
    start: where to begin; also what kind of decision it is, if not an `Allocation`: any module of positive numbers.
    Needed only to look for a particular one of several local optima, or to decide on other variables.
    integer_samples: return the best whole k, with N and D optimal for it.
    throw: raise `NoSolution` where a single problem has none. Under `vmap` or `jit` nothing is raised: see `status`.

    Returns a `Solution`. Problems of power laws under FLOP budgets are convex in logarithms and the optimum is global;
    others are searched from several starts. Under `jit`, `vmap`, `grad`, `jacfwd`, `jacrev` and `hessian` derivatives
    of allocation, value and prices come from the implicit function theorem, with respect to every coefficient and limit.
    Raises TypeError or ValueError for what is not a quantity or a constraint; `NoSolution` as above.
    """
    return _solve(quantity, subject_to, start, integer_samples, throw, maximise=False)


def maximize(
    quantity: Quantity,
    subject_to: Sequence[Constraint],
    *,
    start: Any = None,
    integer_samples: bool = False,
    throw: bool = True,
) -> Solution:
    """The allocation of greatest `quantity`, for example `T2Accuracy`, under the constraints. As `minimize` else."""
    return _solve(quantity, subject_to, start, integer_samples, throw, maximise=True)


def _solve(quantity: Any, subject_to: Any, start: Any, integer: bool, throw: bool, *, maximise: bool) -> Solution:
    verb = "maximize" if maximise else "minimize"
    if not isinstance(quantity, Quantity):
        raise TypeError(f"{verb} takes a quantity first (wrap a function with t2jax.quantity), got {quantity!r}")
    constraints = (subject_to,) if isinstance(subject_to, Constraint) else tuple(subject_to)
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise TypeError(f"subject_to takes constraints such as train <= 1e24, got {constraint!r}")
    decision = Allocation(1e9, 2e10, 16.0) if start is None else start
    implied = type(decision).lower_bounds() if hasattr(type(decision), "lower_bounds") else {}
    decision = jax.tree.map(lambda leaf: validate.positive("start", leaf), decision)
    if integer and not hasattr(decision, "samples"):
        raise TypeError(f"integer_samples needs a decision with samples, got {type(decision).__name__}")

    problem = Problem(quantity, constraints, implied, Layout.of(decision), maximise)
    dtype = problem.dtype if start is None else jnp.promote_types(problem.dtype, jax.tree.leaves(decision)[0].dtype)
    problem = jax.tree.map(lambda a: a.astype(dtype) if eqx.is_inexact_array(a) else a, problem)
    log_start = tuple(jnp.log(a.astype(dtype)) for a in problem.layout.flat(decision))
    solution = _run(problem, log_start, integer)
    if throw and not _traced(solution):
        _raise_unless_solved(solution)
    return solution


@eqx.filter_jit
def _run(problem: Problem, log_start: Vector, integer: bool) -> Solution:
    if integer:
        problem = _with_integer_samples(problem, log_start)
    return _report(problem, find(problem, log_start))


def _with_integer_samples(problem: Problem, log_start: Vector) -> Problem:
    """The problem with k held at its best whole number: next to the real optimum, tried with N and D optimal for each."""
    index = problem.layout.index("samples")
    if index is None:
        raise TypeError("integer_samples needs samples to be a single number")
    lower, upper = (bounds[index] for bounds in problem.bounds())
    real = jax.lax.stop_gradient(find(problem, log_start).x[index])
    eps = 10 * float(jnp.finfo(real.dtype).eps)
    least, most = jnp.ceil(jnp.exp(lower) * (1 - eps)), jnp.floor(jnp.exp(upper) * (1 + eps))
    below = jnp.floor(jnp.exp(real) * (1 + eps))
    candidates = jnp.clip(jnp.stack([below - 1.0, below, below + 1.0, below + 2.0]), least, jnp.maximum(least, most))

    def held(k: Any) -> Problem:
        return eqx.tree_at(lambda p: p.implied, problem, {**problem.implied, "samples": k}), k

    raise NotImplementedError


def _raise_unless_solved(solution: Solution) -> None:
    if solution.value.ndim or bool(solution.ok):
        return
    raise NoSolution(solution.explanation(), solution)


def _traced(tree: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))
