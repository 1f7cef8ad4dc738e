"""Where a search begins: rows of all coefficients of a model, by its kind, or drawn by what its coefficients may be."""

from collections.abc import Callable
from typing import Any

import numpy as np

from t2jax.fitting._coordinates import coefficient_names, coefficient_values
from t2jax.fitting._decision import log_decision
from t2jax.fitting._table import Table
from t2jax.literature import Domain, Term, domains_of, terms_of

__all__ = ["MANY", "Starts", "around", "by_domain", "floor_names", "of_kind"]

Generator = np.random.Generator
Starts = Callable[[Any, str, Table, int, Generator], np.ndarray]
"""(model, observed column, table, how many, random numbers) → rows of all coefficients."""


def floor_names(model: Any) -> tuple[str, ...]:
    """Coefficients that may well be 0: those whose domain has it, and E of a class that the registry does not know."""
    domains = domains_of(model)
    names = coefficient_names(model)
    return tuple(one for one in names if _may_be_zero(domains.get(one), one))


def _may_be_zero(domain: Domain | None, name: str) -> bool:
    return domain is Domain.NONNEGATIVE or (domain is None and name.split(".")[-1] == "E")


def by_domain(model: Any, observed: str, table: Table, count: int, rng: Generator) -> np.ndarray:
    """Terms that have sensible sizes in the middle of the data, exponents from 0.05 to 1.5, floors below all rows."""
    names, domains = coefficient_names(model), domains_of(model)
    found = np.tile(coefficient_values(model), (count, 1))
    least = float(np.min(table[observed]))
    drawn = set(floor_names(model))
    for name in floor_names(model):
        found[:, names.index(name)] = least * rng.uniform(0.01, 0.95, count)
    exponents: dict[str, np.ndarray] = {}
    for term in terms_of(model):
        if term.exponent not in exponents:
            exponents[term.exponent] = np.exp(rng.uniform(np.log(0.05), np.log(1.5), count)) / term.power
            found[:, names.index(term.exponent)] = exponents[term.exponent]
        size = least * np.exp(rng.uniform(np.log(0.01), np.log(10.0), count))
        middle = _middle(term, table)
        found[:, names.index(term.amplitude)] = size * np.exp(np.minimum(exponents[term.exponent] * middle, 600.0))
        drawn |= {term.amplitude, term.exponent}
    (apart,) = rng.spawn(1)
    for i, name in enumerate(names):
        if name not in drawn:
            found[:, i] = _around(found[:, i], domains.get(name), apart)
    return found


def _middle(term: Term, table: Table) -> float:
    return term.power * float(np.mean(np.log(table[term.column])))


def _around(values: np.ndarray, domain: Domain | None, rng: Generator) -> np.ndarray:
    """Others near a value, anywhere in the domain: positive ones by a factor of e² or so."""
    if domain in (Domain.SHARE, Domain.PROBABILITY, Domain.UNIT):
        return rng.uniform(0.05, 0.95, len(values))
    noise = rng.normal(size=len(values))
    if domain is not Domain.REAL and np.all(values > 0):
        return values * np.exp(2.0 * noise)
    return values + 2.0 * noise * np.maximum(np.abs(values), 1.0)


def around(model: Any, observed: str, table: Table, count: int, rng: Generator) -> np.ndarray:
    """The model's own coefficients, and others around them: positive ones by a factor of about e."""
    values = coefficient_values(model)
    found = np.tile(values, (count, 1))
    noise = rng.normal(size=(count - 1, len(values)))
    found[1:] = np.where(values > 0, values * np.exp(noise), values + noise * np.maximum(np.abs(values), 1.0))
    return found


def _literature_grid(model: Any, observed: str, table: Table, count: int, rng: Generator) -> np.ndarray:
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


def _kaplan(model: Any, observed: str, table: Table, count: int, rng: Generator) -> np.ndarray:
    """Both terms of the sum share the loss in the middle of the data."""
    of_n, of_d = (np.exp(rng.uniform(np.log(0.02), np.log(0.6), count)) for _ in range(2))
    share = rng.uniform(0.05, 0.95, count)
    whole = np.mean(np.log(table["loss"])) / of_d  # log of the sum whose α_D-th power is the loss
    log_n_c = np.mean(np.log(table["params"])) + of_d / of_n * (np.log(share) + whole)
    log_d_c = np.mean(np.log(table["tokens"])) + np.log1p(-share) + whole
    return np.stack([np.exp(np.clip(log_n_c, -600, 600)), np.exp(np.clip(log_d_c, -600, 600)), of_n, of_d], axis=1)


def _repeated_data(model: Any, observed: str, table: Table, count: int, rng: Generator) -> np.ndarray:
    """As of its law, with decays of 1 to e⁴ epochs."""
    found, names = by_domain(model, observed, table, count, rng), coefficient_names(model)
    for name in ("R_D", "R_N"):
        found[:, names.index(name)] = np.exp(rng.uniform(0.0, 4.0, count))
    return found


def _accuracy(model: Any, observed: str, table: Table, count: int, rng: Generator) -> np.ndarray:
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


def _pass_rates(model: Any, observed: str, table: Table, count: int, rng: Generator) -> np.ndarray:
    """The mean rate at several spreads."""
    if "num_correct" in table.columns:
        mean = (np.sum(table["num_correct"]) + 0.5) / (np.sum(table["num_samples"]) + 1.0)
    else:
        mean = np.clip(np.max(table["pass_at_k"] / table["samples"]), 1e-9, 0.999)
    nu = np.geomspace(1e-2, 1e3, count)
    return np.stack([mean * nu, (1.0 - mean) * nu], axis=1)


MANY = 256
"""So many starts, unless a kind has a number of its own."""

_OF_KIND: dict[str, tuple[Starts, int]] = {
    "Chinchilla": (_literature_grid, 4500),
    "Kaplan": (_kaplan, MANY),
    "DataConstrained": (_repeated_data, MANY),
    "T2Loss": (by_domain, 500),
    "T2Accuracy": (_accuracy, 12),
    "BetaPassRate": (_pass_rates, 8),
}
"""What a fit knows of single kinds; every other begins by the domains of its coefficients."""


def of_kind(name: str) -> tuple[Starts, int]:
    """Where fits of a kind begin, and from how many places."""
    return _OF_KIND.get(name, (by_domain, MANY))
