"""What a bill is of: a model that there is, its devices and its demand, and what is wrong with them. Loads no JAX."""

from collections.abc import Mapping, Sequence
from typing import Any

from t2jax._io.usage import UsageError
from t2jax.planning._field import NONNEGATIVE, Field, Kind
from t2jax.planning._fields import TABLE
from t2jax.planning._reasons import cache_fault
from t2jax.planning._scenario import check_names, checked_value
from t2jax.planning._spelling import Spelling

__all__ = ["bill_fields", "checked_bill"]

_MODEL = (
    Field("params", "model", "N, parameters."),
    Field("tokens", "model", "D, tokens it is trained on."),
    Field("samples", "model", "k, samples drawn per query (1).", default=1.0),
    Field("queries_per_month", "demand", "Q, queries answered in a month."),
    Field("prompt_tokens", "demand", "P, prompt tokens of a query (0).", domain=NONNEGATIVE, default=0.0),
    Field("output_tokens", "demand", "T, tokens of one sampled answer."),
    Field("months", "demand", "How long it serves (12).", default=12.0),
    Field("task", "objective", "What it is to solve, as t2jax list shows: for what one solved task costs.", Kind.LAW),
)
"""What is billed. A bill is of a model that there is, so these are not the fields of a scenario."""
_NEEDED = ("params", "tokens", "hardware", "usd_per_hour", "queries_per_month", "output_tokens")


def bill_fields() -> Sequence[Field]:
    """The devices, as a scenario has them, and what is billed."""
    return [*(one for one in TABLE if one.group == "devices"), *_MODEL]


def checked_bill(given: Mapping[str, Any], spelled: Spelling, *, called: str) -> dict[str, Any]:
    """Every field by its name, its default where it is not given.

    called: what the person called. Raises `UsageError` where a number is none, and for what is missing.
    """
    rows = bill_fields()
    check_names(given, [one.name for one in rows], spelled)
    missing = [spelled(name) for name in _NEEDED if given.get(name) is None]
    if missing:
        raise UsageError(f"{called} needs {', '.join(missing)}; {spelled.help} has an example")
    checked = {one.name: checked_value(one, given.get(one.name), spelled) for one in rows}
    if fault := cache_fault({name for name in _SHAPE if checked[name] is not None}, spelled):
        raise UsageError(fault)
    return checked


_SHAPE = ("kv_heads", "head_dim", "layers")
