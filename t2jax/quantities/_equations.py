"""A law as a person reads it: its equation with its numbers, and where they come from.

A law says its equation once, in terms of whatever stands for each coefficient. That is its number, or its name where
there is more than one number (an ensemble) or none (inside `jit`).
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from t2jax._io.display import Grid
from t2jax._io.text import human
from t2jax.quantities._declared import symbol_of
from t2jax.quantities._provenance import Provenance

__all__ = ["Equation", "Say", "equation_of", "law_parts", "minus", "plain_equation", "plus"]

Say = Callable[..., list[str]]
"""What stands for coefficients of a law: `say(law, "E", "A")`."""


class Equation(NamedTuple):
    """`left = right`, in `unit`; where: what further symbols mean, (symbol, expression) each."""

    left: str
    right: str
    unit: str
    where: tuple[tuple[str, str], ...] = ()


def equation_of(law: Any, say: Say) -> Equation:
    """The equation of a law inside a task; of one that has none, its name stands for it."""
    return law.equation(say) if hasattr(law, "equation") else Equation("L(N, D)", law.label, "nats per token")


def plain_equation(law: Any, left: str, unit: str, say: Say) -> Equation:
    """Of a law that says no equation: its name with its coefficients, and what laws inside it are."""
    told, inside = [], []
    for field in fields(law):
        value = getattr(law, field.name)
        if field.metadata.get("static"):
            continue
        if is_dataclass(value):
            inner = equation_of(value, say)
            inside += [(field.name, f"{inner.right} {inner.unit}".rstrip()), *inner.where]
        else:
            shown = say(law, field.name)
            is_named = all(one.partition("[")[0] == field.name for one in shown)
            listed = shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
            told.append(field.name if is_named else f"{field.name} = {listed}")
    return Equation(left, f"{type(law).__name__}({', '.join(told)})", unit, tuple(inside))


def plus(term: str) -> str:
    """'+ x', or '− 5' for '-5'."""
    return f"− {term[1:]}" if term.startswith("-") else f"+ {term}"


def minus(term: str) -> str:
    """'− x', or '+ 5' for '-5'."""
    return f"+ {term[1:]}" if term.startswith("-") else f"− {term}"


def law_parts(law: Any) -> list[str | Grid]:
    """The equation, a table of the coefficients where they are not in it, and where they come from."""
    coefficients = _coefficients(law)
    arrays = [value for value in coefficients.values() if isinstance(value, np.ndarray)]
    shape = np.broadcast_shapes(*(value.shape for value in arrays))
    plain = len(arrays) == len(coefficients) and not shape and _is_law(coefficients)
    equation = law.equation(_numbers if plain else _names)
    head = f"{type(law).__name__}: {equation.left} = {equation.right} {equation.unit}".rstrip()
    between: list[str | Grid] = []
    if len(arrays) < len(coefficients):
        traced = any(isinstance(value, jax.core.Tracer) for value in coefficients.values())
        between = ["  coefficients: traced" if traced else "  coefficients: not numbers"]
    elif shape:
        between = [_ensemble(coefficients, shape)]
    elif not plain:
        values = [[name, f"{float(value):.4g}"] for name, value in coefficients.items()]
        between = [Grid([["", "value"], *values], header=True)]
    symbols, sources = list(equation.where), [row for source in _sources(law) for row in _source(source)]
    around = ([], symbols + sources) if not between else (symbols, sources)
    above, below = ([Grid(rows, left=(0, 1))] if rows else [] for rows in around)
    return [head, *above, *between, *below]


def _coefficients(law: Any) -> dict[str, Any]:
    """Every scalar of the law by its name: as float64 with the ensemble's axes, or what else is in its place."""
    found: dict[str, Any] = {}
    for field in fields(law):
        value = getattr(law, field.name)
        if field.metadata.get("static"):
            continue
        if field.name == "law" and is_dataclass(value):  # a law without an equation shows its name only
            found |= _coefficients(value) if hasattr(value, "equation") else {}
        elif isinstance(value, _NUMBERS) and not isinstance(value, bool | jax.core.Tracer):
            array = np.asarray(value, dtype=np.float64)
            names = _entries(law, field)
            found |= {field.name: array} if len(names) == 1 else {one: array[..., i] for i, one in enumerate(names)}
        else:
            found[field.name] = value
    return found


_NUMBERS = int | float | np.ndarray | np.generic | jax.Array


def _is_law(coefficients: Mapping[str, np.ndarray]) -> bool:
    """Could these be of a law? A gradient has the law's class, too: its numbers do not belong in an equation."""
    return all(
        np.isfinite(value) and (value >= 0 or name in ("theta[0]", "theta[3]", "theta[4]"))
        for name, value in coefficients.items()
    )


def _numbers(owner: Any, *names: str) -> list[str]:
    return [f"{value:,.4g}" for name in names for value in np.ravel(np.asarray(getattr(owner, name), np.float64))]


def _names(owner: Any, *names: str) -> list[str]:
    every = {field.name: field for field in fields(owner)}
    return [one for name in names for one in _entries(owner, every[name])]


def _entries(owner: Any, field: Any) -> list[str]:
    """Names of the numbers of a field: a list of them has one for each entry, a number its own, also in an ensemble.

    A list is one whose annotation says its length, `Float[Array, "... 5"]`, or, where it says nothing of axes, that has
    one more of them than another number of the law.
    """
    axes = getattr(field.type, "dim_str", None)
    if axes is None:
        count = _last_axis(owner, field.name)
    else:
        last = axes.rpartition(" ")[2]
        count = int(last) if last.isdigit() else None
    return [field.name] if count is None else [f"{field.name}[{i}]" for i in range(count)]


def _last_axis(owner: Any, name: str) -> int | None:
    shape = np.shape(getattr(owner, name))
    fewest = min((np.ndim(leaf) for leaf in jax.tree.leaves(owner) if isinstance(leaf, _NUMBERS)), default=0)
    return shape[-1] if len(shape) > fewest else None


def _ensemble(coefficients: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Grid:
    """Each coefficient's median and the middle 90 % over the laws, leaving out what is not finite, and saying so."""
    rows = [[f"{int(np.prod(shape)):,} laws of shape {shape}", "median", "90 % of them", "not finite"]]
    for name, value in coefficients.items():
        finite = value[np.isfinite(value)]
        if not finite.size:
            rows.append([name, "–", "–", f"{value.size:,}"])
            continue
        low, middle, high = (human(float(one), 4) for one in np.quantile(finite, [0.05, 0.5, 0.95]))
        rows.append([name, middle, f"{low} – {high}", f"{value.size - finite.size:,}"])
    if all(row[-1] == "0" for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    return Grid(rows, header=True)


def _sources(law: Any) -> tuple[Provenance, ...]:
    if hasattr(law, "provenances"):
        return law.provenances()
    return (law.provenance,) if law.provenance is not None else ()


def _source(source: Provenance) -> list[list[str]]:
    rows = [["source", f"{source.citation} ({source.name})"]]
    if source.ranges:
        ranges = ", ".join(f"{symbol_of(variable)} {source.shown(variable)}" for variable in source.ranges)
        counted = f"; N counts {source.convention} parameters" if source.params is not None else ""
        rows.append(["fitted on", ranges + counted])
    return [*rows, *([["note", source.note]] if source.note else [])]
