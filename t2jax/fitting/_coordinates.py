"""The coefficients of a model as a vector without bounds, and back.

Positive coefficients are fitted as logarithms, shares as log odds, the others as they are. The amplitude A of a term
A/N^α is fitted as the size of that term in the middle of the data, log A − α·log N₀: log A itself moves along with α
(on Hoffmann's runs a condition number of 1e11), the size of the term does not.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from t2jax._numerics.dense import Scalar, Vector

__all__ = [
    "Coordinates",
    "Kind",
    "Term",
    "as_leaf",
    "coefficient_names",
    "coefficient_values",
    "in_float64",
    "with_values",
]


class Kind(enum.Enum):
    """Where a coefficient may lie."""

    POSITIVE = "positive"
    REAL = "real"
    SHARE = "share"  # above 0, at most 1


class Term(NamedTuple):
    """A power law amplitude·x^−exponent inside a model: `middle` is log x in the middle of the data."""

    amplitude: str
    exponent: str
    middle: float


class Coordinates(eqx.Module):
    """How a vector of free coordinates becomes a model.

    names, kinds: of all scalar coefficients, in the order of the model's leaves. free: which of them are fitted.
    held: the values of all; those that are free are placeholders. terms: (amplitude, exponent) by index; middles:
    log x₀ of each.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    kinds: tuple[Kind, ...] = eqx.field(static=True)
    free: tuple[int, ...] = eqx.field(static=True)
    terms: tuple[tuple[int, int], ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    treedef: Any = eqx.field(static=True)
    static: Any = eqx.field(static=True)
    held: Any
    middles: Any

    @classmethod
    def of(cls, model: Any, kinds: Mapping[str, Kind], fixed: Sequence[str], terms: Sequence[Term]) -> "Coordinates":
        """Of the floating leaves of `model`; `kinds` of those that are not what their value suggests.

        A coefficient that is positive (or zero) in `model` stays so, a negative one may take any sign. fixed: names,
        or beginnings of names ("law" for all of it), of what keeps its value.
        """
        arrays, static = eqx.partition(model, eqx.is_inexact_array_like)
        leaves, treedef = jax.tree.flatten(arrays)
        values, names = coefficient_values(model), coefficient_names(model)
        held_names = [one for one in names if any(_within(one, outer) for outer in fixed)]
        for outer in fixed:
            if not any(_within(one, outer) for one in names):
                raise ValueError(
                    f"fixed names {outer!r}, which {type(model).__name__} does not have: it has {', '.join(names)}"
                )
        free = tuple(i for i, one in enumerate(names) if one not in held_names)
        if not free:
            raise ValueError(f"every coefficient of {type(model).__name__} is fixed: there is nothing to fit")
        index = {one: i for i, one in enumerate(names)}
        found = tuple(
            kinds.get(one, Kind.REAL if value < 0 else Kind.POSITIVE) for one, value in zip(names, values, strict=True)
        )
        used = [term for term in terms if index[term.amplitude] in free]
        return cls(
            names=names,
            kinds=found,
            free=free,
            terms=tuple((index[term.amplitude], index[term.exponent]) for term in used),
            shapes=tuple(np.shape(leaf) for leaf in leaves),
            treedef=treedef,
            static=_Hashable(static),
            held=jnp.asarray(values),
            middles=jnp.asarray([term.middle for term in used], dtype=float),
        )

    @property
    def free_names(self) -> tuple[str, ...]:
        return tuple(self.names[i] for i in self.free)

    def holding(self, name: str, value: float) -> "Coordinates":
        """The same with one more coefficient held, at `value`. It must not be an amplitude or an exponent of a term."""
        i = self.names.index(name)
        free = tuple(one for one in self.free if one != i)
        return replace(self, free=free, held=self.held.at[i].set(value))

    def coefficients(self, z: Vector) -> list[Scalar]:
        """The values of all coefficients where the free coordinates are z."""
        at = dict(zip(self.free, z, strict=True))
        middle_of = {i: (j, self.middles[t]) for t, (i, j) in enumerate(self.terms)}
        found: dict[int, Scalar] = {}
        for i in (*(i for i in range(len(self.names)) if i not in middle_of), *middle_of):
            if i not in at:
                found[i] = self.held[i]
            elif i in middle_of:
                j, middle = middle_of[i]
                found[i] = jnp.exp(at[i] + found[j] * middle)
            elif self.kinds[i] is Kind.POSITIVE:
                found[i] = jnp.exp(at[i])
            else:
                found[i] = jax.nn.sigmoid(at[i]) if self.kinds[i] is Kind.SHARE else at[i]
        return [found[i] for i in range(len(self.names))]

    def model(self, z: Vector) -> Any:
        """The model where the free coordinates are z."""
        return self.built(self.coefficients(z))

    def built(self, coefficients: Vector) -> Any:
        """The model of these coefficients: scalars, or arrays of one shape for an ensemble."""
        remaining = iter(coefficients)
        leaves = []
        for shape in self.shapes:
            taken = [next(remaining) for _ in range(int(np.prod(shape)))]
            stacked = jnp.stack(taken, axis=-1) if shape else taken[0]
            leaves.append(stacked.reshape(*stacked.shape[:-1], *shape) if shape else stacked)
        return eqx.combine(jax.tree.unflatten(self.treedef, leaves), self.static.value)

    def inverse(self, coefficients: np.ndarray) -> np.ndarray:
        """The free coordinates of rows of all coefficients, (…, q) → (…, p). Zero becomes next to nothing."""
        found = np.empty((*coefficients.shape[:-1], len(self.free)))
        middle_of = {i: (j, float(self.middles[t])) for t, (i, j) in enumerate(self.terms)}
        for place, i in enumerate(self.free):
            value = coefficients[..., i]
            if self.kinds[i] is Kind.POSITIVE:
                value = np.log(np.maximum(value, 1e-100))
                if i in middle_of:
                    j, middle = middle_of[i]
                    value = value - coefficients[..., j] * middle
            elif self.kinds[i] is Kind.SHARE:
                inside = np.clip(value, 1e-12, 1 - 1e-12)
                value = np.log(inside) - np.log1p(-inside)
            found[..., place] = value
        return found


def coefficient_names(model: Any) -> tuple[str, ...]:
    """Names of all scalar coefficients: "E", "law.alpha", "theta[2]"."""
    arrays = eqx.filter(model, eqx.is_inexact_array_like)
    names = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(arrays):
        name = jax.tree_util.keystr(path).lstrip(".")
        shape = np.shape(leaf)
        names += [name + "".join(f"[{i}]" for i in where) for where in np.ndindex(*shape)] if shape else [name]
    return tuple(names)


def coefficient_values(model: Any) -> np.ndarray:
    """All scalar coefficients as one row of float64, (q,), in the order of their names."""
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array_like))
    return np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in leaves])


def with_values(model: Any, values: Mapping[str, float]) -> Any:
    """The same model with these coefficients by name. Raises ValueError for a name it lacks, or what is no number."""
    names = coefficient_names(model)
    for name, value in values.items():
        if name not in names:
            raise ValueError(
                f"fixed names {name!r}, which {type(model).__name__} does not have: it has {', '.join(names)}"
            )
        if np.ndim(value) or not np.isfinite(np.asarray(value, np.float64)):
            raise ValueError(f"fixed[{name!r}] must be a finite number, got {value!r}")
    with jax.enable_x64(True):  # a number given here keeps all its digits
        every = [jnp.asarray(values.get(a, b)) for a, b in zip(names, coefficient_values(model).tolist(), strict=True)]
        return Coordinates.of(in_float64(model), {}, (), ()).built(every)


def in_float64(model: Any) -> Any:
    """The same model with all its numbers as float64; to be called where JAX has it enabled."""
    return jax.tree.map(lambda a: jnp.asarray(a, "float64") if eqx.is_inexact_array_like(a) else a, model)


def _within(name: str, outer: str) -> bool:
    return name == outer or (name.startswith(outer) and name[len(outer)] in ".[")


class _Hashable:
    """A module's static part, compared and hashed by its parts, so that fits of one kind share what was compiled."""

    def __init__(self, value: Any):
        self.value = value
        leaves, treedef = jax.tree.flatten(value)
        self._key = (treedef, tuple(leaves))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashable) and self._key == other._key


def as_leaf(values: Any) -> Any:
    """A fitted coefficient, or one for each member of an ensemble, in the caller's precision.

    One that has run away beyond it is infinite there, and no law with it has a finite value.
    """
    with np.errstate(over="ignore"):
        return jnp.asarray(np.asarray(values, np.float64), dtype=float)
