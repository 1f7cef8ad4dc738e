"""What the registry says of an object with the laws inside it, and the same object with another field."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from t2jax.literature._kind import Column, Domain, Kind, Term
from t2jax.literature._kinds import KINDS, kind_of

__all__ = ["domains_of", "example_of", "is_plain", "made", "per_row_of", "terms_of", "with_fields"]


def domains_of(model: Any, within: str = "") -> dict[str, Domain]:
    """The domain of every coefficient by its name, "law.E" or "theta[2]", where the registry knows it."""
    found: dict[str, Domain] = {}
    kind = kind_of(model)
    known = {} if kind is None else {one.name: one for one in kind.fields}
    for name, value in _modules_and_numbers(model):
        if is_dataclass(value):
            found |= domains_of(value, f"{within}{name}.")
        elif name in known:
            every = known[name].numbers()
            found |= {within + number: domain for number, domain in every if domain is not None}
    return found


def terms_of(model: Any) -> tuple[Term, ...]:
    """Its power laws, those of the laws inside first."""
    kind = kind_of(model)
    inner = [
        term.within(name)
        for name, value in _modules_and_numbers(model)
        if is_dataclass(value)
        for term in terms_of(value)
    ]
    return (*inner, *(() if kind is None else kind.terms))


def per_row_of(model: Any) -> tuple[tuple[str, Column], ...]:
    """(name, column) of every field that is a column of a table, those of the laws inside first."""
    kind = kind_of(model)
    inner = [
        (f"{name}.{path}", column)
        for name, value in _modules_and_numbers(model)
        if is_dataclass(value)
        for path, column in per_row_of(value)
    ]
    return (*inner, *(() if kind is None else ((one.name, one) for one in kind.per_row)))


def is_plain(model: Any) -> bool:
    """Is it of a class of t2jax, and every law inside?"""
    kind = kind_of(model)
    inner = (value for _, value in _modules_and_numbers(model) if is_dataclass(value))
    return kind is not None and kind.is_own and all(map(is_plain, inner))


def example_of(kind: Kind, law: Any = None) -> Any:
    """A law or task of this kind with typical coefficients. law: the one inside, if not a typical Chinchilla law."""
    arguments = {
        one.name: (example_of(KINDS[(one.law or ("Chinchilla",))[0]]) if law is None else law)
        if one.law is not None
        else one.typical
        for one in kind.fields
    }
    return made(kind, arguments)


def made(kind: Kind, arguments: Mapping[str, Any]) -> Any:
    """An object of the class. One that was registered gets arrays, which batch and differentiate, for its numbers."""
    if kind.is_own:
        return kind.load()(**arguments)
    import jax.numpy as jnp

    numbers = {name: jnp.asarray(one, float) for name, one in arguments.items() if isinstance(one, _NUMBERS)}
    return kind.load()(**{**arguments, **numbers})


_NUMBERS = int | float | list | tuple


def with_fields(model: Any, **changed: Any) -> Any:
    """The same object with other fields, as they are: its class checks nothing, so that any number may stand there."""
    copy = object.__new__(type(model))
    for one in fields(model):
        if one.name in changed or hasattr(model, one.name):
            object.__setattr__(copy, one.name, changed.get(one.name, getattr(model, one.name, None)))
    return copy


def _modules_and_numbers(model: Any) -> Iterator[tuple[str, Any]]:
    for one in fields(model):
        if not one.metadata.get("static"):
            yield one.name, getattr(model, one.name)
