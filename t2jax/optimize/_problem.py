"""A problem in scalars: what the interior-point method sees of quantities, constraints and a decision.

Constraints on a single coordinate become the box; the others stay functions. Every coordinate is boxed: where the user
set no bound, at e^±85, the range of float32. A solution out there is not an optimum but an unbounded problem.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from t2jax._numerics.dense import Scalar, Vector
from t2jax.optimize._options import SolverOptions
from t2jax.quantities import Constraint, Curvature, Quantity, Scaled, Variable

FAR = 85.0
"""Logarithms beyond ±FAR are out of float32's range, and of this world's."""


class Layout(eqx.Module):
    """How a decision's leaves become a flat tuple of scalars, and back. Static: the structure and the shapes."""

    treedef: Any = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @classmethod
    def of(cls, decision: Any) -> "Layout":
        leaves, treedef = jax.tree.flatten(decision)
        return cls(treedef, tuple(jnp.shape(leaf) for leaf in leaves))

    def flat(self, decision: Any) -> list[Scalar]:
        return [one for leaf in jax.tree.leaves(decision) for one in (jnp.ravel(leaf) if jnp.ndim(leaf) else [leaf])]

    def tree(self, scalars: Vector) -> Any:
        remaining = iter(scalars)
        leaves = []
        for shape in self.shapes:
            taken = [next(remaining) for _ in range(math.prod(shape))]
            leaves.append(jnp.stack(taken).reshape(shape) if shape else taken[0])
        return jax.tree.unflatten(self.treedef, leaves)

    @property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes)

    def places(self, name: str) -> range:
        """Which scalars the field of this name is; none if it is not one array."""
        tree = jax.tree.unflatten(self.treedef, list(range(len(self.shapes))))
        leaf = getattr(tree, name, None)
        if not isinstance(leaf, int):
            return range(0)
        first = sum(math.prod(shape) for shape in self.shapes[:leaf])
        return range(first, first + math.prod(self.shapes[leaf]))

    def index(self, name: str) -> int | None:
        """Which scalar the coordinate of this name is, "params" or "samples[3]"; None if it is not a single one."""
        field, _, element = name.partition("[")
        places = self.places(field)
        if element:
            at = int(element.rstrip("]"))
            return places[at] if at < len(places) else None
        return places[0] if len(places) == 1 else None


class Bound(eqx.Module):
    """A constraint that bounds one scalar: its logarithm is at most, at least, or exactly `log_limit`."""

    index: int = eqx.field(static=True)
    upper: bool = eqx.field(static=True)
    equal: bool = eqx.field(static=True)
    log_limit: Any

    @property
    def sides(self) -> tuple[bool, ...]:
        """For each side that it bounds, is it the upper one?"""
        return (False, True) if self.equal else (self.upper,)


class Functions:
    """x → (f, g_1, …, g_m) in logarithms x: f is to be minimised, g ≤ 0, and g = 0 where it is `equal`."""

    def __init__(self, evaluate: Callable[[Vector], Vector], equal: tuple[bool, ...]):
        self.evaluate, self.equal = evaluate, equal

    def __call__(self, x: Vector) -> Vector:
        return self.evaluate(x)

    def missed(self, g: Vector) -> list[Scalar]:
        """By how much each constraint is violated: at most 0 where it holds."""
        return sizes(g, self.equal)


def sizes(values: Vector, equal: tuple[bool, ...]) -> list[Scalar]:
    """The values; of equalities, whose constraint and price have either sign, their sizes."""
    return [jnp.abs(a) if either else a for a, either in zip(values, equal, strict=True)]


class Problem(eqx.Module):
    """Minimise the objective's score (or maximise it) over a decision under constraints."""

    objective: Quantity
    constraints: tuple[Constraint, ...]
    implied: tuple[tuple[str, float], ...] = eqx.field(static=True)
    layout: Layout
    maximise: bool = eqx.field(static=True)
    whole: tuple[int, ...] = eqx.field(static=True)  # the scalars that must be whole numbers
    options: SolverOptions = eqx.field(static=True, default=SolverOptions())

    def sorted(self) -> tuple[list[Bound | int], list[Constraint]]:
        """For each constraint the bound it is, or its place among the general ones; and those."""
        kinds: list[Bound | int] = []
        general: list[Constraint] = []
        for constraint in self.constraints:
            bound = self._as_bound(constraint)
            if bound is None:
                kinds.append(len(general))
                general.append(constraint)
            else:
                kinds.append(bound)
        return kinds, general

    def _as_bound(self, constraint: Constraint) -> Bound | None:
        quantity, log_limit = constraint.quantity, jnp.log(constraint.limit)
        if isinstance(quantity, Scaled):
            quantity, log_limit = quantity.quantity, log_limit - jnp.log(quantity.factor)
        if not isinstance(quantity, Variable):
            return None
        index = self.layout.index(quantity.name)
        return None if index is None else Bound(index, constraint.upper, constraint.equal, log_limit)

    @property
    def convex(self) -> bool:
        """Is a local optimum known to be global?"""
        return not self.not_convex()

    def not_convex(self) -> list[str]:
        """The labels of what is not known to make it convex."""
        most = Curvature.AFFINE if self.maximise else Curvature.CONVEX
        objective = [] if self.objective.curvature <= most else [self.objective.label]
        return objective + [constraint.quantity.label for constraint in self.sorted()[1] if not constraint.convex]

    @property
    def few_optima(self) -> bool:
        """Has no optimum of such problems ever been seen out of sight of another? It is an observation."""
        general = self.sorted()[1]
        if any(constraint.equal for constraint in general):
            return False  # along a curve nothing better may be in sight of a local optimum
        quantities = [self.objective, *(constraint.quantity for constraint in general)]
        return all(one.few_optima or one.curvature <= Curvature.CONVEX for one in quantities)

    def bounds(self) -> tuple[list[Scalar], list[Scalar]]:
        """(lower, upper) logarithms of every scalar, within ±FAR."""
        n, dtype = self.layout.size, self.dtype
        lower = [jnp.asarray(-FAR, dtype)] * n
        upper = [jnp.asarray(FAR, dtype)] * n
        for name, limit in self.implied:
            for index in self.layout.places(name):
                lower[index] = jnp.log(jnp.asarray(limit, dtype))
        for kind in self.sorted()[0]:
            if isinstance(kind, Bound):
                i, limit = kind.index, kind.log_limit.astype(dtype)
                if True in kind.sides:
                    upper[i] = jnp.minimum(upper[i], limit)
                if False in kind.sides:
                    lower[i] = jnp.maximum(lower[i], limit)
        return lower, upper

    def functions(self) -> Functions:
        """Objective and general constraints as functions of the scalars' logarithms."""
        general = self.sorted()[1]
        sign = -1.0 if self.maximise else 1.0

        def evaluate(x: Vector) -> Vector:
            log = self.layout.tree(x)
            return [sign * _scalar(self.objective, self.objective.score(log), x)] + [
                _scalar(constraint.quantity, constraint.violation(log), x) for constraint in general
            ]

        return Functions(evaluate, tuple(constraint.equal for constraint in general))

    @property
    def dtype(self) -> Any:
        """The widest of the problem's floating types: float64 budgets over float32 coefficients are float64."""
        kinds = [leaf.dtype for leaf in jax.tree.leaves(self) if eqx.is_inexact_array(leaf)]
        return jnp.dtype("float64" if any(kind == jnp.float64 for kind in kinds) else "float32")


def _scalar(quantity: Quantity, score: Any, x: Vector) -> Scalar:
    if jnp.ndim(score):
        raise ValueError(
            f"{quantity.label} has shape {jnp.shape(score)} at a single allocation, not one number: for an ensemble of "
            "coefficients or budgets use jax.vmap or eqx.filter_vmap over minimize"
        )
    return jnp.asarray(score, x[0].dtype)
