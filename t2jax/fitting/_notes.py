"""What a person should be told of the data that a fit was made from, in sentences."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from t2jax.fitting._families import Family
from t2jax.fitting._table import Table
from t2jax.tasks import Task

__all__ = ["notes_on", "notes_on_few", "notes_on_range", "one_valued"]

_UNIFORM = np.log(3e5)
"""Nats per token of a guess among more tokens than any vocabulary has."""

_COUNTS = 1e4
"""No model of fewer parameters, or of fewer tokens, is in a table of training runs."""


def notes_on(model: Any, family: Family, table: Table) -> tuple[str, ...]:
    found = []
    if "loss" in table.columns and not isinstance(model, Task):
        found += _units(table["loss"])
    if "params" in table.columns:
        found += _counted_in_billions(table)
        found += _one_value(family, table)
        found += _repeated(table)
        found += _on_a_ray(table)
        if "params_non_embedding" in table.others:
            found.append(
                "N is the column params; the data also have params_non_embedding: sources count N in both ways, and "
                "a law holds for the one it was fitted with"
            )
    return tuple(found)


def notes_on_few(table: Table, weights: np.ndarray, coefficients: int) -> tuple[str, ...]:
    """That there are no standard errors, and why."""
    labels = table.labels.get("groups")
    used = weights[: len(table)] > 0
    count, what = (int(np.sum(used)), "row") if labels is None else (len(np.unique(labels[used])), "group")
    return (
        f"{count} {what}{'' if count == 1 else 's'} for {coefficients} coefficients: no standard errors, as the "
        f"residuals say nothing of the noise with no more {what}s than coefficients",
    )


def one_valued(family: Family, table: Table) -> dict[str, str]:
    """Coefficients of terms of a column that has a single value: the column by the coefficient's name."""
    terms = [(one.amplitude, one.exponent, one.column) for one in family.terms]
    shared = {exponent for _, exponent, column in terms if not _is_single(table, column)}
    found = {name: column for a, e, column in terms if _is_single(table, column) for name in (a, e)}
    return {name: column for name, column in found.items() if name not in shared}


def _is_single(table: Table, column: str) -> bool:
    return column in table.columns and bool(np.ptp(np.log(table[column])) <= 1e-6)


def notes_on_range(names: Sequence[str], values: np.ndarray) -> tuple[str, ...]:
    """Which coefficients the caller's precision cannot hold, as an amplitude whose exponent has run away."""
    dtype = jnp.result_type(float)
    return tuple(
        f"{name} = {value:.3g} is beyond {dtype.name}: .model has it as infinite and no finite value; ask for float64 "
        'with jax.config.update("jax_enable_x64", True)'
        for name, value in zip(names, values, strict=True)
        if abs(value) > float(jnp.finfo(dtype).max)
    )


def _units(loss: np.ndarray) -> list[str]:
    if np.max(loss) > _UNIFORM:
        return [
            f"a loss of {np.max(loss):.3g} is above that of a uniform guess ({_UNIFORM:.3g} nats): if losses are in "
            "bits per token, multiply them by log 2 = 0.6931"
        ]
    if np.median(loss) < 1.2:
        return [
            f"a median loss of {np.median(loss):.3g} is low for nats per token: if losses are in bits per byte, "
            "multiply them by log 2 = 0.6931 and by the bytes per token (about 4 for English)"
        ]
    return []


def _counted_in_billions(table: Table) -> list[str]:
    """N or D too small to be counts of anything that was trained."""
    small = [name for name in ("params", "tokens") if name in table.columns and np.max(table[name]) < _COUNTS]
    ranges = {name: (np.min(table[name]), np.max(table[name])) for name in small}
    return [
        f"{name} from {low:.3g} to {high:.3g} are no counts: if they are in billions, multiply them by 1e9, or the "
        "law holds for billions, too"
        for name, (low, high) in ranges.items()
    ]


def _one_value(family: Family, table: Table) -> list[str]:
    symbols = {"params": "N", "tokens": "D", "samples": "k"}
    return [
        f"all rows have {one.column} {table[one.column][0]:.4g}: what {symbols.get(one.column, one.column)} does is "
        f"not identified, and {one.amplitude} and {one.exponent} mean nothing"
        for one in family.terms
        if {one.exponent, one.amplitude} <= {*one_valued(family, table)}
    ]


def _repeated(table: Table) -> list[str]:
    rows = np.stack([table[name] for name in sorted(table.columns)], axis=1)
    if "num_correct" in table.columns:  # problems of one checkpoint may well have the same counts
        return []
    count = len(rows) - len(np.unique(rows, axis=0))
    if not count:
        return []
    some = "1 row repeats another" if count == 1 else f"{count:,} rows repeat others"
    return [f"{some} in every column: such a run counts twice"]


def _on_a_ray(table: Table) -> list[str]:
    ratio = np.log(table["tokens"] / table["params"])
    spread = np.ptp(ratio)
    if spread > 0.05 or len(np.unique(table["params"])) < 2:
        return []
    return [
        f"all rows have D/N near {np.exp(np.mean(ratio)):.3g}: along one ray what N and D do cannot be told apart, "
        "whatever the fit says"
    ]
