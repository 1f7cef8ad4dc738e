"""`t2jax cost`: a model and a demand → a bill, by part."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from t2jax.cli._cost_options import Cost
from t2jax.cli._scenario_options import typed_in
from t2jax.planning._bill_fields import checked_bill
from t2jax.planning._spelling import as_option

if TYPE_CHECKING:
    from t2jax.planning import Bill

__all__ = ["answer", "checked"]

_AS_OPTION = replace(as_option, help="t2jax cost --help")


def checked(options: Cost) -> dict[str, Any]:
    """What is billed, if every number is one and nothing is missing. Raises `UsageError`. Loads no JAX."""
    return checked_bill(typed_in(options), _AS_OPTION, called="cost")


def answer(fields: Mapping[str, Any]) -> "Bill":
    """Raises `UsageError` for what cannot be billed. Loads JAX."""
    from t2jax.planning._bill import billed

    return billed(fields, _AS_OPTION)
