"""What comes back: the allocation, its value, prices and slacks of the constraints, and how it went."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from t2jax._io.convert import Converted, ResultColumn
from t2jax._io.display import Displayed, Grid
from t2jax._io.text import human
from t2jax.optimize._method import Method
from t2jax.quantities import Allocation, Provenance, Scale, declaration, name_of

__all__ = ["NoSolutionError", "Solution", "Status"]


if TYPE_CHECKING:
    _Decision = Allocation
else:
    _Decision = Any  # whatever `start` is: an allocation, unless a user decides on something else


class Status(eqx.Enumeration):
    """How a solve ended. The values are the messages."""

    solved = "solved"
    infeasible = "infeasible: no allocation satisfies all constraints"
    unbounded = "unbounded: nothing limits the allocation; add a budget or a bound"
    not_converged = "not converged: the optimality conditions are not met to tolerance"
    not_finite = "not finite: the objective or a constraint is NaN or infinite at the allocation found"


_STATUSES = ("solved", "infeasible", "unbounded", "not_converged", "not_finite")
_BINDS = {"float64": 1e-6, "float32": 1e-4}
"""Slacks that are nothing: logarithms of FLOPs are near 60, so in float32 they are known to 4e-6."""


class NoSolutionError(RuntimeError):
    """A single solve that has no answer to give. `.solution` holds where it ended, with its status; None where nothing
    was solved, as it was plain that there is no answer."""

    def __init__(self, message: str, solution: "Solution | None"):
        super().__init__(message)
        self.solution = solution


class Solution(Displayed, Converted, eqx.Module):
    """The optimum of a problem, or of a batch of them (then every array has the batch's leading axes).

    allocation: the decision, N, D, k and further variables. value: the objective there, in its own unit.
    shadow_prices: for each constraint, d value / d log limit: what the value gains if the limit grows by a factor e.
    slacks: for each constraint, log(limit / used) for `<=` and log(reached / limit) for `>=`; 0 where it binds.
    limits: for each constraint, the limit it was given. residual: the largest violation of the KKT conditions, on log
    scales. violation: that of the constraints alone, where the search ended; infinite where they hold only as something
    grows without end. unlimited: for each number of the decision, does nothing limit what the objective gains from it?
    steps: Newton steps taken. status, ok: how it ended. method: which method answered, whether its optimum is known to
    be global, and why a faster method was not taken. remarks: what the quantities say of a single solution, as that
    data are exhausted. A failed lane of a batch is NaN, its neighbours whole.
    """

    allocation: _Decision
    value: Float[Array, "..."]
    shadow_prices: tuple[Float[Array, "..."], ...]
    slacks: tuple[Float[Array, "..."], ...]
    limits: tuple[Float[Array, "..."], ...]
    status: Any
    steps: Int[Array, "..."]
    residual: Float[Array, "..."]
    violation: Float[Array, "..."]
    unlimited: Any
    objective_label: str = eqx.field(static=True)
    objective_scale: Scale = eqx.field(static=True)
    constraint_labels: tuple[str, ...] = eqx.field(static=True)
    provenances: tuple[Provenance, ...] = eqx.field(static=True)
    maximised: bool = eqx.field(static=True)
    method: Method
    remarks: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    def ok(self) -> Bool[Array, "..."]:
        """Did it end in an optimum?"""
        return self.status == Status.solved

    @property
    def extrapolations(self) -> tuple[str, ...]:
        """One sentence for each variable outside the range that a law was fitted on. For a single solution."""
        if not isinstance(self.allocation, Allocation):
            return ()
        each = {name: np.ravel(value) for name, value in self.allocation.variables.items()}
        most = max(values.size for values in each.values())
        found = [
            sentence
            for source in self.provenances
            for i in range(most)
            for sentence in source.outside(**{name: float(values[i % values.size]) for name, values in each.items()})
        ]
        return tuple(dict.fromkeys(found))

    @property
    def in_fit_range(self) -> Bool[Array, "..."]:
        """Are all variables inside the range that every law was fitted on? For batches, too."""
        inside = jnp.ones(jnp.shape(self.value), bool)
        if not isinstance(self.allocation, Allocation):
            return inside
        batch = jnp.ndim(self.value)
        for source in self.provenances:
            for name, value in self.allocation.variables.items():
                if name in source.ranges:
                    held = source.holds(**{name: value})
                    inside &= jnp.all(held, axis=tuple(range(batch, value.ndim)))  # of all tasks of a portfolio
        return inside

    @property
    def reason(self) -> str:
        """In words how it ended, with the names of what nothing limits. For a single solution."""
        said = Status[self.status]
        if isinstance(self.value, jax.core.Tracer) or np.ndim(self.value) or bool(self.status != Status.unbounded):
            return said
        named = ", ".join(
            name_of(path) + (f"[{', '.join(map(str, at))}]" if at else "")
            for path, leaf in jax.tree_util.tree_leaves_with_path(self.unlimited)
            for at in map(tuple, np.argwhere(np.asarray(leaf)))
        )
        return said.replace("the allocation", named) if named else said

    @property
    def _sense(self) -> str:
        return "maximum" if self.maximised else "minimum"

    def _columns(self) -> list[ResultColumn]:
        """A row for each lane: the decision, the value, the price of every constraint, and the status."""
        if isinstance(self.value, jax.core.Tracer):
            raise TypeError("a traced solution has no numbers yet: convert it outside of jit, grad or vmap")
        shape = np.shape(self.value)
        columns = []
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.allocation):
            each = np.asarray(leaf, np.float64)
            each = np.broadcast_to(each, shape + each.shape[len(shape) :])
            unit = declaration(name_of(path)).unit if isinstance(self.allocation, Allocation) else ""
            for i in np.ndindex(each.shape[len(shape) :]):
                name = name_of(path) + (f"[{', '.join(map(str, i))}]" if i else "")
                columns.append(ResultColumn(name, each[(..., *i)].ravel(), f"{name} ({unit})" if unit else "", _number))
        columns.append(ResultColumn("value", _lanes(self.value, shape), self.objective_label, _number))
        for i, (label, price) in enumerate(zip(self.constraint_labels, self.shadow_prices, strict=True)):
            again = self.constraint_labels[:i].count(label)
            name = f"price of {label}" + (f" ({again + 1})" if again else "")
            columns.append(ResultColumn(name, _lanes(price, shape) + 0.0, name, _number))
        ends = np.full(shape, None, object)
        for name in _STATUSES:
            ends[np.asarray(self.status == getattr(Status, name))] = name
        return [*columns, ResultColumn("status", ends.ravel().tolist())]

    def _parts(self) -> list[str | Grid]:
        if isinstance(self.value, jax.core.Tracer):
            return [f"Solution({self._sense} of {self.objective_label}, traced)"]
        shape = np.shape(self.value)
        if shape:
            count, solved = int(np.prod(shape)), int(np.sum(np.asarray(self.ok)))
            return [f"{count:,} solutions of shape {shape} for {self.objective_label}: {solved:,} solved"]
        rows = [[self.objective_label, _number(self.value)]]
        if isinstance(self.allocation, Allocation):
            for name, values in self.allocation.variables.items():
                unit = declaration(name).unit
                for i, value in enumerate(np.ravel(values)):
                    shown = name if not values.ndim else f"{name}[{i}]"
                    rows.append([shown, _number(value), *([unit] if unit else [])])
            rows.append(["tokens per param", _number(self.allocation.tokens_per_param)])
        else:
            for path, leaf in jax.tree_util.tree_leaves_with_path(self.allocation):
                rows.append([jax.tree_util.keystr(path).lstrip("."), np.array2string(np.asarray(leaf), precision=4)])
        parts: list[str | Grid] = [f"{self._sense} of {self.objective_label}: {self.reason}", Grid(rows, left=(0, 2))]
        if self.constraint_labels:
            header = ["constraint", "limit", "slack", "d value / d log limit"]
            table = [
                [
                    label,
                    _number(limit),
                    "binds" if abs(float(slack)) < _BINDS[str(slack.dtype)] else f"{float(slack):.3g}",
                    f"{float(price) + 0.0:.4g}",
                ]
                for label, limit, slack, price in zip(
                    self.constraint_labels, self.limits, self.slacks, self.shadow_prices, strict=True
                )
            ]
            parts.append(Grid([header, *table], header=True))
        return [*parts, *(f"  note: {sentence}" for sentence in (*self.remarks, *self.extrapolations))]


def _number(value: Any) -> str:
    return human(float(value), 4)


def _lanes(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, np.float64), shape).ravel()
