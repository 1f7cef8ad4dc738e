"""What each kind of model needs of a table, what it predicts for a row, and where its fit begins.

A family is all that `fit` knows of a class of models. Users' own quantities share the last two.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from t2jax._numerics.special import log_failure, log_failure_terms
from t2jax._xla.fusion import chained
from t2jax.fitting._coordinates import Kind, Term, coefficient_names, coefficient_values
from t2jax.fitting._table import NATURAL, POSITIVE, SHARE, Column, Table
from t2jax.laws import Chinchilla, DataConstrained, Kaplan, Overtraining
from t2jax.quantities import Allocation, Provenance, Quantity, Scale
from t2jax.tasks import BetaPassRate, T2Accuracy, T2Loss

__all__ = [
    "COUNTS",
    "Family",
    "beta_of_rows",
    "family_of",
    "log_binomial",
    "log_decision",
    "log_likelihood",
    "log_prediction",
    "template_of",
    "with_provenance",
]

Data = Mapping[str, Any]
Generator = np.random.Generator

PARAMS = Column("params", "N, model parameters", POSITIVE)
TOKENS = Column("tokens", "D, training tokens", POSITIVE)
SAMPLES = Column("samples", "k, samples per query", POSITIVE)
LOSS = Column("loss", "nats per token", POSITIVE)
TASK_LOSS = Column("loss", "−log pass@k, nats", POSITIVE)
PASS = Column("pass_at_k", "a probability", SHARE)
COUNTS = (
    Column("num_samples", "n, samples drawn of a problem", NATURAL),
    Column("num_correct", "c, of these right", NATURAL),
)


@dataclass(frozen=True)
class Family:
    """example: a model to take the structure from, where a class is enough to say what to fit. inputs: columns that the
    model is a function of. observed: the column that it predicts. counted: may counts stand in its place? terms:
    (amplitude, exponent, column, power) of every term amplitude·column^(−power·exponent). kinds: of coefficients that
    are not what their value suggests. per_row: fields of the model that are columns. starts: (model, table, how many,
    random numbers) → rows of all coefficients; many: how many, unless asked otherwise."""

    example: Callable[[], Any] | None
    inputs: tuple[Column, ...]
    observed: Column
    starts: Callable[[Any, Table, int, Generator], np.ndarray]
    counted: bool = False
    terms: tuple[tuple[str, str, str, float], ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    per_row: Mapping[str, Column] = field(default_factory=dict)
    many: int = 64

    def placed_terms(self, table: Table) -> list[Term]:
        return [Term(a, e, power * float(np.mean(np.log(table[column])))) for a, e, column, power in self.terms]


def family_of(model: Any) -> Family:
    """The family of a model, by its class. Raises TypeError for what cannot be fitted."""
    kind = model if isinstance(model, type) else type(model)
    if kind in _FAMILIES:
        return _FAMILIES[kind]
    if isinstance(model, Quantity):
        return _OWN_LOSS if model.scale is Scale.LOG else _OWN_PROBABILITY
    raise TypeError(
        f"fit takes a law, a task, BetaPassRate or a quantity of your own with arrays as coefficients, got {model!r}"
    )


def template_of(model: Any) -> Any:
    """The model itself, or an example of a class. Raises TypeError for a class that needs to be given more."""
    family = family_of(model)
    if not isinstance(model, type):
        return model
    if family.example is None:
        raise TypeError(f"fit needs a {model.__name__} with its loss law and first values, not the class alone")
    return family.example()


def log_prediction(model: Any, family: Family, data: Data) -> Array:
    """The logarithm of what the model predicts for every row of `data`."""
    for name in family.per_row:
        model = eqx.tree_at(lambda m, name=name: getattr(m, name), model, data[name])
    if isinstance(model, BetaPassRate):
        return jnp.log(model.pass_at_k(data["samples"]))
    return model.log_value(log_decision({name: jnp.log(data[name]) for name in _DECISION if name in data}))


def beta_of_rows(model: Any, data: Data) -> tuple[Array, Array]:
    """(a, b) of the distribution that each row's problem is drawn from."""
    if isinstance(model, BetaPassRate):
        a, b = (jnp.broadcast_to(one, data["num_samples"].shape) for one in (model.a, model.b))
        return a, b
    return model.beta_at(log_decision({name: jnp.log(data[name]) for name in ("params", "tokens")}))


def log_likelihood(model: Any, data: Data) -> Array:
    """The beta-binomial log-likelihood of every row's counts, without the binomial coefficient."""
    a, b = beta_of_rows(model, data)
    return _log_beta_binomial(a, b, (data["num_correct"], data["num_samples"] - data["num_correct"]))


@chained
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


def with_provenance(model: Any, provenance: Provenance) -> Any:
    """The same model with another source, where its class keeps one."""
    names = [one.name for one in dataclasses.fields(model)]
    if type(model) not in _FAMILIES or "provenance" not in names:
        return model
    # Made of ones first: a coefficient that has run away is not for the checks of a person's own.
    ones = {name: jax.tree.map(jnp.ones_like, getattr(model, name)) for name in names if name != "provenance"}
    template = type(model)(**ones, provenance=provenance)
    return jax.tree.unflatten(jax.tree.structure(template), jax.tree.leaves(model))


_DECISION = ("params", "tokens", "samples")


def log_decision(logs: Data) -> Allocation:
    """An allocation of logarithms, one for each row; k = 1 where it is not given."""
    full = [logs[name] if name in logs else jnp.zeros_like(logs["params"]) for name in _DECISION]
    return jax.tree.unflatten(jax.tree.structure(Allocation(1.0, 1.0, 1.0)), full)


def _law_starts(model: Any, table: Table, count: int, rng: Generator) -> np.ndarray:
    """Coefficients whose terms have sensible sizes in the middle of the data, exponents from 0.05 to 1.5."""
    family, names = family_of(model), coefficient_names(model)
    found = np.tile(coefficient_values(model), (count, 1))
    least = float(np.min(table[family.observed.name]))
    for name in names:
        if name.split(".")[-1] == "E":
            found[:, names.index(name)] = least * rng.uniform(0.01, 0.95, count)
    exponents: dict[str, np.ndarray] = {}
    for amplitude, exponent, column, power in family.terms:
        if exponent not in exponents:
            exponents[exponent] = np.exp(rng.uniform(np.log(0.05), np.log(1.5), count)) / power
            found[:, names.index(exponent)] = exponents[exponent]
        size = least * np.exp(rng.uniform(np.log(0.01), np.log(10.0), count))
        middle = power * np.mean(np.log(table[column]))
        found[:, names.index(amplitude)] = size * np.exp(np.minimum(exponents[exponent] * middle, 600.0))
    for name in ("R_D", "R_N"):
        if name in names:
            found[:, names.index(name)] = np.exp(rng.uniform(0.0, 4.0, count))
    return found


def _literature_grid(model: Any, table: Table, count: int, rng: Generator) -> np.ndarray:
    """The 4,500 starts of Hoffmann et al. 2022, appendix D.3 (as in Besiroglu et al. 2024), or evenly many fewer.

    Exponents of 0 there are 0.1 here, where exponents are positive.
    """
    exponents = (0.1, 0.5, 1.0, 1.5, 2.0)
    sizes = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
    axes = np.meshgrid((-1.0, -0.5, 0.0, 0.5, 1.0), sizes, sizes, exponents, exponents, indexing="ij")
    grid = np.stack(axes, axis=-1).reshape(-1, len(axes))
    grid[:, :3] = np.exp(grid[:, :3])  # E, A, B, alpha, beta: the order of the fields
    picked = rng.permutation(len(grid))[:count] if count < len(grid) else np.arange(len(grid))
    return grid[picked]


def _kaplan_starts(model: Any, table: Table, count: int, rng: Generator) -> np.ndarray:
    """Both terms of the sum share the loss in the middle of the data."""
    of_n, of_d = (np.exp(rng.uniform(np.log(0.02), np.log(0.6), count)) for _ in range(2))
    share = rng.uniform(0.05, 0.95, count)
    whole = np.mean(np.log(table["loss"])) / of_d  # log of the sum whose α_D-th power is the loss
    log_n_c = np.mean(np.log(table["params"])) + of_d / of_n * (np.log(share) + whole)
    log_d_c = np.mean(np.log(table["tokens"])) + np.log1p(-share) + whole
    return np.stack([np.exp(np.clip(log_n_c, -600, 600)), np.exp(np.clip(log_d_c, -600, 600)), of_n, of_d], axis=1)


def _accuracy_starts(model: Any, table: Table, count: int, rng: Generator) -> np.ndarray:
    """θ from a regression of the models' own mean pass rates, then perturbed."""
    values = coefficient_values(model)
    loss = np.exp(np.asarray(model.law.log_value(log_decision({c: np.log(table[c]) for c in ("params", "tokens")}))))
    if "num_correct" in table.columns:
        rate = (table["num_correct"] + 0.05) / (table["num_samples"] + 0.1)
    else:
        # pass@k of few samples is nearest to the mean rate; of many it is near 1 whatever that is.
        few = table["samples"] == np.min(table["samples"])
        loss, rate = loss[few], np.clip((table["pass_at_k"] / table["samples"])[few], 1e-9, 0.999)
    # One mean rate for each loss: rates of single problems are mostly 0 or not.
    of_loss, place = np.unique(np.round(loss, 12), return_inverse=True)
    mean = np.bincount(place, rate) / np.bincount(place)
    if len(of_loss) > 1:
        slope, offset = np.polyfit(of_loss, np.log(mean) - np.log1p(-mean), 1)
        theta1 = max(-slope, 0.1)
        theta0 = offset / theta1
    else:
        theta0, theta1 = values[-5], values[-4]
    regressed = values.copy()
    regressed[-5:-2] = theta0, theta1, 0.95
    regressed[-2:] = 0.0, 0.0
    found = np.tile(regressed, (count, 1))
    found[1:, -5] += rng.normal(0.0, 0.3, count - 1)
    found[1:, -4] *= np.exp(rng.normal(0.0, 0.5, count - 1))
    found[1:, -3] = rng.uniform(0.2, 1.0, count - 1)
    found[1:, -2:] = rng.normal(0.0, 2.0, (count - 1, 2))
    return found


def _pass_rate_starts(model: Any, table: Table, count: int, rng: Generator) -> np.ndarray:
    """The mean rate at several spreads."""
    if "num_correct" in table.columns:
        mean = (np.sum(table["num_correct"]) + 0.5) / (np.sum(table["num_samples"]) + 1.0)
    else:
        mean = np.clip(np.max(table["pass_at_k"] / table["samples"]), 1e-9, 0.999)
    nu = np.geomspace(1e-2, 1e3, count)
    return np.stack([mean * nu, (1.0 - mean) * nu], axis=1)


def _own_starts(model: Any, table: Table, count: int, rng: Generator) -> np.ndarray:
    """The model's own coefficients, and others around them: positive ones by a factor of about e."""
    values = coefficient_values(model)
    found = np.tile(values, (count, 1))
    noise = rng.normal(size=(count - 1, len(values)))
    found[1:] = np.where(values > 0, values * np.exp(noise), values + noise * np.maximum(np.abs(values), 1.0))
    return found


_LAW = (PARAMS, TOKENS)
_CHINCHILLA_TERMS = (("A", "alpha", "params", 1.0), ("B", "beta", "tokens", 1.0))
_INNER_TERMS = tuple((f"law.{a}", f"law.{e}", column, power) for a, e, column, power in _CHINCHILLA_TERMS)


def _example_law() -> Chinchilla:
    return Chinchilla(1.7, 400.0, 400.0, 0.35, 0.35)


_FAMILIES: dict[type, Family] = {
    Chinchilla: Family(_example_law, _LAW, LOSS, terms=_CHINCHILLA_TERMS, starts=_literature_grid, many=4500),
    Kaplan: Family(lambda: Kaplan(6.4e13, 1.8e13, 0.076, 0.103), _LAW, LOSS, starts=_kaplan_starts, many=256),
    Overtraining: Family(
        lambda: Overtraining(1.7, 140.0, 190.0, 0.12),
        _LAW,
        LOSS,
        terms=(("a", "eta", "params", 2.0), ("b", "eta", "tokens", 2.0)),
        starts=_law_starts,
        many=256,
    ),
    DataConstrained: Family(
        lambda: DataConstrained(_example_law(), 1.0, 15.0, 5.0),
        _LAW,
        LOSS,
        terms=_INNER_TERMS,
        per_row={"unique_tokens": Column("unique_tokens", "U, distinct tokens", POSITIVE)},
        starts=_law_starts,
        many=256,
    ),
    T2Loss: Family(
        lambda: T2Loss(_example_law(), 1.0, 0.3),
        (*_LAW, SAMPLES),
        TASK_LOSS,
        terms=(*_INNER_TERMS, ("G", "gamma", "samples", 1.0)),
        starts=_law_starts,
        many=500,
    ),
    T2Accuracy: Family(
        None,
        (*_LAW, SAMPLES),
        PASS,
        counted=True,
        kinds={"theta[0]": Kind.REAL, "theta[2]": Kind.SHARE, "theta[3]": Kind.REAL, "theta[4]": Kind.REAL},
        starts=_accuracy_starts,
        many=12,
    ),
    BetaPassRate: Family(
        lambda: BetaPassRate(1.0, 1.0), (SAMPLES,), PASS, counted=True, starts=_pass_rate_starts, many=8
    ),
}
_OWN_LOSS = Family(None, (*_LAW, Column("samples", SAMPLES.meaning, POSITIVE, optional=True)), LOSS, starts=_own_starts)
_OWN_PROBABILITY = Family(None, _OWN_LOSS.inputs, PASS, starts=_own_starts)
