"""The rows that a fit needs of a person's data: runs, or counts, with groups and weights."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from t2jax.fitting._families import COUNTS, Family
from t2jax.fitting._table import NONNEGATIVE, Column, Table, read_table

__all__ = ["lengthened", "padded", "read_rows"]


def read_rows(
    family: Family, data: Any, groups: Any, weights: Any, columns: Mapping[str, str] | None
) -> tuple[Table, np.ndarray]:
    """The columns that the fit needs, labels called "groups" if there are any, and a weight for every row."""
    rename = dict(columns or {})
    labels = [groups] if isinstance(groups, str) else []
    extra = [Column("weights", "weight of the row", NONNEGATIVE)] if isinstance(weights, str) else []
    if extra:
        rename["weights"] = weights

    possible = {one.name for one in (*family.inputs, family.observed, *(COUNTS if family.counted else ()))}

    def read(wanted: Sequence[Column]) -> Table:
        # Other names of what another table of this family would need are not amiss.
        idle = possible - {one.name for one in wanted}
        return read_table(data, wanted, rename={a: b for a, b in rename.items() if a not in idle}, labels=labels)

    always = [*(column for _, column in family.per_row), *extra]
    counted = False
    if family.counted:  # counts or pass@k: what must be there depends on what is
        either = [replace(one, optional=True) for one in (*family.inputs, family.observed, *COUNTS)]
        table = read([*always, *either])
        counted = any(one.name in table.columns for one in COUNTS)
    needs = [*family.inputs, *always, family.observed]
    if counted:
        needs = [*(one for one in family.inputs if one.name != "samples"), *always, *COUNTS]
    if not family.counted or any(one.name not in table.columns for one in needs):
        table = read(needs)  # the second time for the message that names what is missing
    names = [one.name for one in needs]
    table = replace(table, columns={name: column for name, column in table.columns.items() if name in names})
    if counted:
        _check_counts(table)
    if labels:
        table = replace(table, labels={"groups": table.labels[groups]})
    elif groups is not None:
        table = replace(table, labels={"groups": _one_each("groups", np.asarray(groups), table)})
    if isinstance(weights, str):
        heavy = table["weights"]
        table = replace(table, columns={name: a for name, a in table.columns.items() if name != "weights"})
    elif weights is None:
        heavy = np.ones(len(table))
    else:
        heavy = _one_each("weights", np.asarray(weights, np.float64), table)
    if not np.all(np.isfinite(heavy) & (heavy >= 0)) or not np.any(heavy > 0):
        raise ValueError("weights must be finite, zero or positive, and not all zero")
    return table, heavy


def _one_each(name: str, values: np.ndarray, table: Table) -> np.ndarray:
    if values.shape != (len(table),):
        raise ValueError(f"{name} must be one for each of the {len(table)} rows, got shape {values.shape}")
    return values


def _check_counts(table: Table) -> None:
    wrong = np.flatnonzero(table["num_correct"] > table["num_samples"])
    if len(wrong):
        c, n = (table[name][wrong[0]] for name in ("num_correct", "num_samples"))
        more = f" (and {len(wrong) - 1} more such rows)" if len(wrong) > 1 else ""
        raise ValueError(
            f"{table.where(int(wrong[0]))}: num_correct must not exceed num_samples, got {c:.15g} of {n:.15g}{more}"
        )


def padded(table: Table, weights: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows filled up to a multiple of 64 by rows without weight: tables of nearly one size share what was compiled."""
    size = -(-len(table) // 64) * 64
    columns = {name: lengthened(column, size) for name, column in table.columns.items()}
    return columns, np.concatenate([weights, np.zeros(size - len(table))])


def lengthened(column: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([column, np.repeat(column[-1:], size - len(column))])
