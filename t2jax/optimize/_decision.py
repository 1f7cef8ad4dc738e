"""What is decided on, and where the search for it begins."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from t2jax._io import validate
from t2jax._numerics.dense import Vector
from t2jax.optimize._problem import Layout
from t2jax.quantities import USUAL, Allocation, Declaration, Quantity, Variable, declaration, declared, field_of

__all__ = ["Decision", "decision_for", "whole_numbers"]


class Decision(NamedTuple):
    """A kind of decision, where a search for the best one begins, and what each of its fields is at least."""

    layout: Layout
    log_start: Vector
    implied: tuple[tuple[str, float], ...]
    integer: tuple[str, ...]  # fields that are declared to be whole numbers


def decision_for(quantities: Sequence[Quantity], start: Any) -> Decision:
    """The decision of this kind; without a start, an `Allocation` of all variables that the quantities depend on."""
    if start is None:
        return _usual(_further(quantities))
    if not isinstance(start, eqx.Module):
        raise TypeError(f"start must be an Allocation or another module of positive numbers, got {start!r}")
    start = jax.tree.map(lambda leaf: validate.positive("start", leaf), start)
    layout = Layout.of(start)
    known = tuple(start.variables) if isinstance(start, Allocation) else ()
    return Decision(layout, tuple(jnp.log(a) for a in layout.flat(start)), _implied(start, known), _integers(known))


def whole_numbers(decision: Decision, asked_for: Sequence[Any], samples: bool, kind: str) -> tuple[int, ...]:
    """Which scalars of the decision are whole numbers: those asked for, and those that are declared to be."""
    layout = decision.layout
    if samples and layout.index("samples") is None:
        raise TypeError(f"integer_samples needs a decision with one number of samples, got {kind}")
    names = [*decision.integer, *(["samples"] if samples else [])]
    for one in asked_for:
        if not isinstance(one, Variable | str):
            raise TypeError(f"integer takes variables such as t2jax.samples, got {one!r}")
        names.append(str(one))
        if not _places(layout, names[-1]):
            raise TypeError(f"integer takes variables that are decided on, and {kind} has no {names[-1]!r}")
    return tuple(dict.fromkeys(place for name in names for place in _places(layout, name)))


def _places(layout: Layout, name: str) -> Sequence[int]:
    if field_of(name) == name:
        return layout.places(name)
    place = layout.index(name)
    return () if place is None else (place,)


def _further(quantities: Sequence[Quantity]) -> tuple[Declaration, ...]:
    """What the quantities depend on beside N, D and k, which every `Allocation` has."""
    usual = [one.name for one in USUAL]
    if len(declared()) == len(usual):
        return ()
    mentioned = {name for quantity in quantities for name in quantity.variables}
    return tuple(declaration(name) for name in declared() if name in mentioned and name not in usual)


@functools.lru_cache(maxsize=256)
def _usual(further: tuple[Declaration, ...]) -> Decision:
    """Where the search for an `Allocation` begins unless said otherwise. NumPy, as it outlives any trace."""
    begin = {one.name: one.start for one in (*USUAL, *sorted(further, key=lambda one: one.name))}
    with jax.ensure_compile_time_eval():
        start = Allocation(**begin)
        layout = Layout.of(start)
    log_start = tuple(np.float32(np.log(a)) for a in begin.values())
    return Decision(layout, log_start, _implied(start, tuple(begin)), _integers(tuple(begin)))


def _implied(decision: Any, known: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    bounds = decision.lower_bounds().items() if hasattr(decision, "lower_bounds") else ()
    return tuple((name, low) for name, low in bounds if not known or name in known)


def _integers(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if declaration(name).integer)
