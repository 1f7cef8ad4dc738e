"""A scenario as JSON says what was asked: names as they were given, and objects so that the same can be asked again."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from t2jax.costs import Hardware, accelerator
from t2jax.literature import described, list_published, published
from t2jax.planning._field import Field, Kind

__all__ = ["as_given", "name_of", "named"]


def as_given(one: Field, value: Any) -> Any:
    """What a field holds, as JSON.

    An object is there by its name if it is what is published by that name; else a law or task of the registry is
    there with all its coefficients, and a device with all its figures. Others have but the name of their class.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _AS_JSON.get(one.kind, name_of)(value)


def name_of(value: Any) -> str:
    """What an object calls itself."""
    if isinstance(value, str):
        return value
    source = getattr(value, "provenance", None)
    return getattr(value, "name", None) or (source.name if source is not None else type(value).__name__)


def named(said: Any) -> str:
    """What a person calls what `as_given` gives for a law or task."""
    if not isinstance(said, Mapping):
        return said
    return said["provenance"]["name"] if "provenance" in said else said["kind"]


def _law(law: Any) -> Any:
    name = name_of(law)
    if name in [row.name for row in list_published()] and _same(law, published(name)):
        return name
    try:
        return described(law)
    except TypeError:  # of a class that is not in the registry, or with such a law inside
        return name


def _device(device: Hardware) -> Any:
    try:
        known = accelerator(device.name)
    except ValueError:
        known = None
    return device.name if _same(device, known) else device.to_dict()


def _same(one: Any, known: Any) -> bool:
    """Have these the same numbers, in the precision of the first?"""
    leaves, structure = jax.tree.flatten(one)
    others, other_structure = jax.tree.flatten(known)
    return structure == other_structure and all(
        np.array_equal(a, np.asarray(b, np.asarray(a).dtype)) for a, b in zip(leaves, others, strict=True)
    )


_AS_JSON: Mapping[Kind, Callable[[Any], Any]] = {Kind.LAW: _law, Kind.DEVICE: _device}
