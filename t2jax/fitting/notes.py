"""What a person should be told of the data that a fit was made from, in sentences."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from t2jax.fitting.families import Family
from t2jax.fitting.table import Table
from t2jax.tasks import T2Loss

__all__ = ["notes_on", "notes_on_range"]

_UNIFORM = np.log(3e5)
"""Nats per token of a guess among more tokens than any vocabulary has."""


def notes_on(model: Any, family: Family, table: Table) -> tuple[str, ...]:
    found = []
    if "loss" in table.columns and not isinstance(model, T2Loss):
        found += _units(table["loss"])
    if "params" in table.columns:
        found += _repeated(table)
        found += _on_a_ray(table)
        if "params_non_embedding" in table.others:
            found.append(
                "N is the column params; the data also have params_non_embedding: sources count N in both ways, and "
                "a law holds for the one it was fitted with"
            )
    return tuple(found)


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
