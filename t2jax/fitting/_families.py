"""What each kind of model needs of a table, and what it predicts for a row.

A family is all that `fit` knows of a class of models, from its row in the registry or, where it has none, from what it
reads of a decision.
"""

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from t2jax import literature
from t2jax._numerics.derivatives import chain_rule
from t2jax._numerics.special import log_failure, log_failure_terms
from t2jax.fitting._coordinates import Coordinates, Kind, Term, coefficient_values
from t2jax.fitting._decision import USUAL, log_decision
from t2jax.fitting._starts import MANY, Starts, around, by_domain, floor_names, of_kind
from t2jax.fitting._table import FINITE, NATURAL, NONNEGATIVE, POSITIVE, SHARE, Column, Rule, Table
from t2jax.literature import (
    LOSS,
    PARAMS,
    PASS,
    SAMPLES,
    TOKENS,
    Domain,
    columns_read,
    domains_of,
    example_of,
    is_plain,
    kind_of,
    per_row_of,
    terms_of,
)
from t2jax.quantities import Quantity, Scale
from t2jax.tasks import BetaPassRate

__all__ = [
    "COUNTS",
    "Family",
    "beta_of_rows",
    "family_of",
    "log_binomial",
    "log_likelihood",
    "log_prediction",
    "template_of",
]

Data = Mapping[str, Any]
Generator = np.random.Generator

_RULES: Mapping[Domain, Rule] = {
    Domain.POSITIVE: POSITIVE,
    Domain.NONNEGATIVE: NONNEGATIVE,
    Domain.UNIT: SHARE,
    Domain.COUNT: NATURAL,
    Domain.REAL: FINITE,
}
_COORDINATES: Mapping[Domain, Kind] = {
    Domain.POSITIVE: Kind.POSITIVE,
    Domain.NONNEGATIVE: Kind.POSITIVE,
    Domain.SHARE: Kind.SHARE,
    Domain.PROBABILITY: Kind.SHARE,
    Domain.REAL: Kind.REAL,
}


def _column(row: literature.Column) -> Column:
    return Column(row.name, row.meaning, _RULES[row.domain], row.optional)


COUNTS = tuple(_column(one) for one in literature.COUNTS)


@dataclass(frozen=True)
class Family:
    """inputs: columns that the model is a function of. observed: the column that it predicts; bounded: between 0 and 1.
    counted: may counts stand in its place? terms: its power laws. kinds: of coefficients that are not what their value
    suggests. floors: coefficients that may well be 0. per_row: fields of the model that are columns. starts: where a
    search begins; many: from how many places, unless asked otherwise."""

    inputs: tuple[Column, ...]
    observed: Column
    bounded: bool
    counted: bool
    terms: tuple[literature.Term, ...]
    kinds: tuple[tuple[str, Kind], ...]
    floors: tuple[str, ...]
    per_row: tuple[tuple[str, Column], ...]
    starts: Starts
    many: int

    def placed_terms(self, table: Table) -> list[Term]:
        """The terms, each with the middle of the data."""
        return [
            Term(one.amplitude, one.exponent, one.power * float(np.mean(np.log(table[one.column]))))
            for one in self.terms
        ]


def family_of(model: Any) -> Family:
    """The family of a model, or of a class. Raises TypeError for what cannot be fitted."""
    kind = kind_of(model)
    if kind is not None and not kind.typed:
        kind = None
    if kind is None and not isinstance(model, Quantity):
        if isinstance(model, type) and issubclass(model, Quantity):
            raise TypeError(
                f"fit needs a {model.__name__} with first values, not the class alone, unless it is registered: "
                f"t2jax.register({model.__name__})"
            )
        raise TypeError(
            "fit takes a law, a task, BetaPassRate or a quantity of your own with arrays as coefficients, got "
            f"{model!r}"
        )
    template = template_of(model)
    per_row = per_row_of(template)
    usual = {*USUAL, *(one.name for one in (() if kind is None else kind.inputs))}
    read = () if is_plain(template) else columns_read(template)
    others = tuple(Column(name, "which the law reads", POSITIVE) for name in read if name not in usual)
    if kind is None or kind.observed is None:
        bounded = template.scale is Scale.LOG_ODDS
        inputs = (*map(_column, (PARAMS, TOKENS)), replace(_column(SAMPLES), optional=True))
        observed, counted, starts, many = PASS if bounded else LOSS, False, around, 64
    else:
        bounded, inputs = kind.observed.domain is Domain.UNIT, tuple(map(_column, kind.inputs))
        observed, counted = kind.observed, kind.counted
        starts, many = of_kind(kind.name) if kind.is_own else (_registered(kind), MANY)
    return Family(
        (*inputs, *others),
        _column(observed),
        bounded,
        counted,
        terms_of(template),
        tuple((name, _COORDINATES[domain]) for name, domain in domains_of(template).items()),
        floor_names(template),
        tuple((name, _column(column)) for name, column in per_row),
        starts,
        many,
    )


def template_of(model: Any) -> Any:
    """The model itself, or an example of a class. Raises TypeError for a class that needs to be given more."""
    if not isinstance(model, type):
        return model
    kind = kind_of(model)
    if kind is None or not kind.begins:
        raise TypeError(f"fit needs a {model.__name__} with its loss law and first values, not the class alone")
    if isinstance(kind.starts, model):
        return kind.starts
    return example_of(kind)


def log_prediction(model: Any, family: Family, data: Data) -> Array:
    """The logarithm of what the model predicts for every row of `data`."""
    for path, column in family.per_row:
        model = eqx.tree_at(operator.attrgetter(path), model, data[column.name])
    if isinstance(model, BetaPassRate):
        return jnp.log(model.pass_at_k(data["samples"]))
    names = [one.name for one in family.inputs]
    return model.log_value(log_decision({name: jnp.log(data[name]) for name in names if name in data}))


def beta_of_rows(model: Any, data: Data) -> tuple[Array, Array]:
    """(a, b) of the distribution that each row's problem is drawn from."""
    if isinstance(model, BetaPassRate):
        a, b = (jnp.broadcast_to(one, data["num_samples"].shape) for one in (model.a, model.b))
        return a, b
    return model.beta_at(log_decision({name: jnp.log(data[name]) for name in ("params", "tokens")}))


def log_likelihood(model: Any, data: Data) -> Array:
    """The beta-binomial log-likelihood of every row's counts, without the binomial coefficient."""
    a, b = beta_of_rows(model, data)
    counts = data["num_correct"], data["num_samples"] - data["num_correct"]
    return chain_rule(_log_beta_binomial, a, b, counts)


def _log_beta_binomial(a: Array, b: Array, counts: tuple[Array, Array]) -> Array:
    """log B(a + right, b + wrong) − log B(a, b), as two log failures of which neither cancels.

    They are log B(a, b + wrong) − log B(a, b) and, with the two arguments of the Beta exchanged,
    log B(b + wrong, a + right) − log B(b + wrong, a).
    """
    right, wrong = counts
    return log_failure(a, b, wrong) + log_failure(b + wrong, a, right)


def log_binomial(n: np.ndarray, c: np.ndarray) -> np.ndarray:
    """log C(n, c) of every row, by −log B(c, 1 + n − c)/B(c, 1): log gammas lose half the digits of millions."""
    few = np.minimum(c, n - c)
    return -log_failure_terms(few, np.ones_like(few), n - few, xp=np)


@functools.cache  # families of one kind are equal, and share what was compiled
def _registered(kind: literature.Kind) -> Starts:
    """Where fits of a class that was registered begin: where it says, or at the best of many draws."""

    def starts(model: Any, observed: str, table: Table, count: int, rng: Generator) -> np.ndarray:
        told = kind.starts
        if told is None:
            return _best_drawn(model, observed, table, count, rng)
        if callable(told) and not isinstance(told, kind.load()):
            told = told(table.columns, count, rng)
        models: Sequence[Any] = list(told) if isinstance(told, Sequence) else [told]
        rows = [around(one, observed, table, -(-count // len(models)), rng) for one in models]
        return np.concatenate(rows)[:count] if len(models) < count else np.stack([row[0] for row in rows[:count]])

    return starts


_DRAWN = 32
"""So many draws for each start."""
_SEEN = 32
"""Rows that draws are compared on."""


def _best_drawn(model: Any, observed: str, table: Table, count: int, rng: Generator) -> np.ndarray:
    """Coefficients from all over their domains, of which those that come nearest to the data are kept."""
    drawn = by_domain(model, observed, table, _DRAWN * count, rng)
    drawn[0] = coefficient_values(model)
    family = family_of(model)
    rows = np.sort(rng.permutation(len(table))[:_SEEN])
    data = {name: jnp.asarray(column[rows]) for name, column in table.columns.items()}
    ensemble = Coordinates.of(model, {}, (), ()).built([jnp.asarray(one) for one in drawn.T])
    predicted = np.asarray(_predictions(ensemble, family, data))
    seen = table[observed][rows]
    off = np.exp(predicted) - seen if family.bounded else predicted - np.log(seen)
    with np.errstate(invalid="ignore"):
        far = np.mean(np.abs(off), axis=1)
    return drawn[np.argsort(np.where(np.isfinite(far), far, np.inf), kind="stable")[:count]]


@eqx.filter_jit
def _predictions(ensemble: Any, family: Family, data: dict[str, Array]) -> Array:
    return eqx.filter_vmap(lambda model: log_prediction(model, family, data))(ensemble)
