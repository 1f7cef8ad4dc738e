"""The compiled programs that answer the rows of a table: one for each structure, for LANES rows at a time.

Compiling takes seconds and a row microseconds, so there are as few structures as there can be. What needs a program of
its own is the class of the law or task (its coefficients do not), whether a target is given, whether k is whole, and
which budgets there are, in four steps: training alone, the total alone, training and inference, all three. A budget
that is absent from such a step has a limit that nothing reaches. Caps on N, D and k are bounds of the search, which
cost nothing: every program has all three; one on anything else needs a program that has it. A prompt that is not shared
is a longer answer, 2NQ(P + kT) with P = 0.
"""

import functools
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from t2jax._xla.fusion import jit_in_a_hurry
from t2jax.costs import InferenceFLOPs, TrainingFLOPs
from t2jax.literature import with_fields
from t2jax.optimize import Status, maximize, minimize
from t2jax.planning._aim import Aim
from t2jax.planning._balance import FAR, balanced
from t2jax.planning._constraints import caps, spending_limits, target_reached
from t2jax.planning._field import Field
from t2jax.planning._fields import OTHER_CAPS, field
from t2jax.quantities import Allocation, Quantity

__all__ = ["ENDS", "LANES", "NO_CAP", "NO_LIMIT", "Form", "Structure", "run", "without_sources"]

LANES = 1024
"""Rows in one call. Always as many: fewer are filled up, so that each structure is compiled once."""
NO_CAP = 1e38
"""More of N, D or k than the optimiser looks at."""
NO_LIMIT = 1e300
"""More FLOPs than any allocation within NO_CAP takes, and still a float64."""
ENDS = (Status.solved, Status.infeasible, Status.unbounded, Status.not_converged, Status.not_finite)


class Form(NamedTuple):
    """What, beside the law, needs a program of its own. Without `serves` nothing is answered: training alone costs."""

    serves: bool
    target: bool
    total: bool
    parts: bool
    whole: bool
    caps: tuple[Field, ...] = ()

    @classmethod
    def of(cls, given: set[str], *, serves: bool, whole: bool) -> "Form":
        """For the budgets that are given. Where nothing is answered a total budget is one for training."""
        parts = bool({"train_flops", "inference_flops"} & given)
        others = tuple(field(name) for name in OTHER_CAPS if name in given)
        return cls(serves, "target" in given, serves and "total_flops" in given, parts or not serves, whole, others)


class Structure(NamedTuple):
    """What a compiled program depends on: a law or task but for its coefficients, and the form of the problem."""

    treedef: Any
    static: tuple[Any, ...]
    form: Form

    @classmethod
    def of(cls, task: Quantity, form: Form) -> "tuple[Structure, list[np.ndarray]]":
        """And the coefficients, in float64."""
        leaves, treedef = jax.tree.flatten(task)
        static = tuple(None if eqx.is_array_like(leaf) else leaf for leaf in leaves)
        return cls(treedef, static, form), [np.asarray(leaf, np.float64) for leaf in leaves if eqx.is_array_like(leaf)]

    def built(self, coefficients: list[Array]) -> Any:
        """The law or task with these coefficients."""
        remaining = iter(coefficients)
        return jax.tree.unflatten(self.treedef, [next(remaining) if one is None else one for one in self.static])


def without_sources(one: Any) -> Any:
    """The same law or task without its provenance, which is part of a structure: two published laws then share one."""
    if not isinstance(one, eqx.Module):
        return one
    every = {field.name: without_sources(getattr(one, field.name, None)) for field in fields(one)}
    return with_fields(one, **(every | {"provenance": None} if "provenance" in every else every))


def run(structure: Structure, coefficients: list[np.ndarray], numbers: Mapping[str, np.ndarray]) -> dict[str, Array]:
    """Solve LANES rows.

    coefficients: with a leading axis of LANES. numbers: for each row `total`, `train`, `inference` (NO_LIMIT where
    there is none), `target`, `queries`, `shared`, `each` (2N·queries·(shared + k·each) FLOPs), and the caps `params`,
    `tokens`, `samples` (NO_CAP), and by name those of the form's `caps`. Returns params, tokens, samples, value and
    loss there, FLOPs to `train` and `serve`, the `balanced` tokens for which those parameters are compute-optimal, with
    a target the `best` value that the caps allow, and `end`, an index of ENDS.
    """
    return _program(structure, coefficients, dict(numbers))


def _lanes(structure: Structure, coefficients: list[Array], numbers: dict[str, Array]) -> dict[str, Array]:
    return jax.vmap(functools.partial(_lane, structure))(coefficients, numbers)


# Half the time to compile, for two thirds of the speed: worth it up to a million rows.
_program = jit_in_a_hurry(_lanes, static_argnums=0)


def _lane(structure: Structure, coefficients: list[Array], of: dict[str, Array]) -> dict[str, Array]:
    form, task = structure.form, structure.built(coefficients)
    aim = Aim.of(task)
    law = aim.law
    train = TrainingFLOPs()
    serve = InferenceFLOPs(of["queries"], of["shared"], of["each"])
    total = train + serve if form.serves else train

    limits = spending_limits(
        {
            "total_flops": total if form.total else None,
            "train_flops": train if form.parts else None,
            "inference_flops": serve if form.parts and form.serves else None,
        },
        {"total_flops": of["total"], "train_flops": of["train"], "inference_flops": of["inference"]},
    )
    if form.target:
        limits |= target_reached(task, of["target"], higher_is_better=aim.higher_is_better)
    others = {one.name: of[one.name] for one in form.caps}
    limits |= caps({f"max_{name}": of[name] for name in ("params", "tokens", "samples")} | others)
    optimise = maximize if aim.higher_is_better and not form.target else minimize
    found = optimise(total if form.target else task, list(limits.values()), integer_samples=form.whole, throw=False)

    where = found.allocation
    log_params = jnp.log(where.params)
    shift = jnp.zeros_like(log_params)
    log_balanced = jnp.full_like(shift, FAR) if law is None else balanced(law, log_params, shift, shift)[1]
    most = [jnp.minimum(of[name], 1e30) for name in ("params", "tokens", "samples")]
    return {
        "params": where.params,
        "tokens": where.tokens,
        "samples": where.samples,
        "value": task(where),
        "loss": jnp.full_like(shift, jnp.nan) if law is None else law(where),
        "train": train(where),
        "serve": serve(where),
        "balanced": jnp.where(jnp.abs(log_balanced) < FAR - 1e-6, jnp.exp(log_balanced), jnp.nan),
        "best": task(Allocation(*most)) if form.target else where.params,
        "end": jnp.argmax(jnp.stack([found.status == end for end in ENDS])),
    }
