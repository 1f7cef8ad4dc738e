"""Laws and tasks as JSON, and back: an object with its kind and its coefficients, by the rows of the registry.

    {"kind": "Chinchilla", "E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
    {"kind": "T2Loss", "law": "besiroglu2024", "G": 1.0, "gamma": 0.3}

Every message says which file and which key. Loads JAX only once the coefficients are known to be complete.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from t2jax._io.usage import UsageError, as_json, meant, printable, quoted
from t2jax.literature._kind import Field, Kind, Role
from t2jax.literature._kinds import KINDS, kind_of, names_of
from t2jax.literature._names import published_for_plan
from t2jax.literature._parts import made
from t2jax.quantities import Provenance

__all__ = ["built", "described", "names_in", "numbers_in", "parsed"]

_SOURCE = tuple(one.name for one in fields(Provenance))


# --- Out ------------------------------------------------------------------------------------------------------------


def described(model: Any, numbers: Mapping[str, float] | None = None, within: str = "") -> dict[str, Any]:
    """The JSON of a law or task, as `built` reads it.

    numbers: the coefficients by name, in float64, where more digits are known than the model holds. Raises TypeError
    for a class that is not in the registry, and for an ensemble.
    """
    kind = kind_of(model)
    if kind is None:
        cls = type(model).__name__
        raise TypeError(f"only t2jax's own models are written as JSON, not {cls}: t2jax.register({cls}) makes it one")
    content: dict[str, Any] = {"kind": kind.name}
    for one in kind.fields:
        value = getattr(model, one.name)
        content[one.name] = (
            described(value, numbers, f"{within}{one.name}.") if one.is_law else _number(one, value, numbers, within)
        )
    source = getattr(model, "provenance", None)
    if isinstance(source, Provenance):
        kept = {key: getattr(source, key) for key in _SOURCE}
        kept["others"] = {name: list(ends) for name, ends in source.others or ()} or None
        content["provenance"] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in kept.items() if value is not None
        }
    return content


def _number(field: Field, value: Any, numbers: Mapping[str, float] | None, within: str) -> Any:
    import numpy as np

    array = np.asarray(value, np.float64)
    if array.ndim > 1 or (array.ndim and field.entries is None and field.domain is not None):
        raise TypeError(f"one law at a time is written as JSON: {within}{field.name} has shape {array.shape}")
    name, known = within + field.name, numbers or {}
    if not array.ndim:
        return known.get(name, float(array))
    return [known.get(f"{name}[{i}]", one) for i, one in enumerate(array.tolist())]


# --- In -------------------------------------------------------------------------------------------------------------


def parsed(content: bytes, path: str) -> Any:
    """What a JSON file holds. Raises `UsageError`; path: what messages call it."""
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file in UTF-8") from None
    except RecursionError:
        raise UsageError(f"{path} is not a law or task: it is nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{path} is not valid JSON: {error.msg} ({where})") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except ValueError:  # Python reads no longer ones
        raise UsageError(f"{path} is not a law or task: it has a whole number of more than 4,300 digits") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise UsageError(f"key {quoted(key)} is there more than once")
    return content


def built(content: Any, path: str, kinds: Collection[str] | None = None, *, place: str = "") -> Any:
    """The law or task that `content` describes. Raises `UsageError`.

    path: what messages call the file. kinds: which may stand here; those that can be planned for, if not given. place:
    where in the file it stands, such as 'law.'.
    """
    kinds = names_of(Role.LAW, Role.TASK) if kinds is None else kinds
    kind = _kind_in(content, path, kinds, place)
    _check_keys(content, kind, path, place)
    arguments = {one.name: _argument(one, content[one.name], path, place) for one in kind.fields}
    if "provenance" in content:
        arguments["provenance"] = _provenance(content["provenance"], path, place)
    try:
        found = made(kind, arguments)
        _check_domains(kind, content)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{path}: {place}{error}") from None
    return found


def names_in(content: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Of all coefficients that a file describes, in the order of the fields: "law.E", "theta[2]"."""
    for one in KINDS[content["kind"]].fields:
        value = content[one.name]
        if isinstance(value, dict):
            yield from names_in(value, f"{within}{one.name}.")
        elif isinstance(value, list):
            yield from (f"{within}{one.name}[{i}]" for i in range(len(value)))
        else:
            yield within + one.name


def numbers_in(content: Mapping[str, Any], within: str = "") -> dict[str, float]:
    """The numbers that a file describes by their names, with every digit; none of a law that is there by its name."""
    found: dict[str, float] = {}
    for one in KINDS[content["kind"]].fields:
        value = content[one.name]
        if isinstance(value, dict):
            found |= numbers_in(value, f"{within}{one.name}.")
        elif isinstance(value, list):
            found |= {f"{within}{one.name}[{i}]": float(number) for i, number in enumerate(value)}
        elif not isinstance(value, str):
            found[within + one.name] = float(value)
    return found


def _kind_in(content: Any, path: str, kinds: Collection[str], place: str) -> Kind:
    what = place.rstrip(".") or "the file"
    if not isinstance(content, dict):
        raise UsageError(f'{path}: {what} must be an object such as {{"kind": "Chinchilla", "E": 1.8, …}}')
    name = content.get("kind")
    if isinstance(name, str) and name in kinds:
        return KINDS[name]
    if name is None:
        raise UsageError(f'{path}: key "{place}kind" is missing: it is one of {", ".join(kinds)}')
    near = meant(name, kinds) if isinstance(name, str) else ""
    shown = quoted(name) if isinstance(name, str) else as_json(name)
    raise UsageError(f'{path}: "{place}kind" is {shown}, not one of {", ".join(kinds)}{near}')


def _check_keys(content: Mapping[str, Any], kind: Kind, path: str, place: str) -> None:
    wanted, sourced = kind.field_names, "provenance" not in content or kind.keeps_source()
    for key in content:
        if key not in ("kind", *wanted) and not (key == "provenance" and sourced):
            near = meant(key, [one for one in wanted if one not in content] or wanted)
            near = near or f": it has {', '.join(wanted)}"
            raise UsageError(f'{path}: {kind.name} has no "{place}{printable(key, 60)}"{near}')
    missing = [key for key in wanted if key not in content]
    if missing:
        named = ", ".join(f'"{place}{key}"' for key in missing)
        raise UsageError(f"{path}: {kind.name} lacks {named}")


def _argument(field: Field, value: Any, path: str, place: str) -> Any:
    if field.law is not None:
        return _inner_law(field.law or names_of(Role.LAW), field, value, path, place)
    if field.entries is not None:
        count = len(field.entries)
        if not isinstance(value, list) or len(value) != count or not all(map(_is_number, value)):
            words = _COUNTS.get(count, str(count))
            raise UsageError(f'{path}: "{place}{field.name}" must be a list of {words} numbers, got {as_json(value)}')
        return value
    listed = field.domain is None and isinstance(value, list) and bool(value) and all(map(_is_number, value))
    if not listed and not _is_number(value):
        raise UsageError(f'{path}: "{place}{field.name}" must be a number, got {as_json(value)}')
    return value


_COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def _inner_law(kinds: Collection[str], field: Field, value: Any, path: str, place: str) -> Any:
    if not isinstance(value, str):
        return built(value, path, kinds, place=f"{place}{field.name}.")
    try:
        law = published_for_plan(value)
    except UsageError as error:
        raise UsageError(f'{path}: "{place}{field.name}": {error}') from None
    kind = kind_of(law)
    if kind is None or kind.name not in kinds:
        accepted = " or ".join(kinds)
        raise UsageError(f'{path}: "{place}{field.name}": {value} is a {type(law).__name__}, not {accepted}')
    return law


def _check_domains(kind: Kind, content: Mapping[str, Any]) -> None:
    """What a class does not check itself."""
    for one in kind.fields:
        value = content[one.name]
        values = value if isinstance(value, list) else [value]
        for (name, domain), number in zip(one.numbers(), values, strict=False):
            if domain is not None and not domain.holds(number):
                raise ValueError(f"{name} must be {domain.value}, got {number!r}")


def _provenance(content: Any, path: str, place: str) -> Provenance:
    if not isinstance(content, dict):
        raise UsageError(f'{path}: "{place}provenance" must be an object with {", ".join(_SOURCE)}')
    for key in content:
        if key not in _SOURCE:
            raise UsageError(f'{path}: "{place}provenance" has no "{printable(key, 60)}"{meant(key, _SOURCE)}')
    told: dict[str, Any] = {"name": Path(path).stem, "citation": "", "params": None, "tokens": None, **content}
    others = told.get("others")
    if others is not None and not isinstance(others, dict):
        raise UsageError(f'{path}: "{place}provenance.others" must be an object of ranges, got {as_json(others)}')
    for key, value in told.items():
        shown = f'{path}: "{place}provenance.{key}"'
        if key in _RANGES:
            told[key] = None if value is None else _range(value, shown)
        elif key != "others" and not isinstance(value, str):
            raise UsageError(f"{shown} must be text, got {as_json(value)}")
    told["others"] = {
        key: _range(value, f'{path}: "{place}provenance.others.{printable(key, 60)}"')
        for key, value in (others or {}).items()
    }
    try:
        return Provenance(**told)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{path}: {place}provenance: {error}") from None


_RANGES = ("params", "tokens", "samples")


def _range(value: Any, shown: str) -> tuple[float, float]:
    if not (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))):
        raise UsageError(f"{shown} must be [low, high], got {as_json(value)}")
    try:
        return float(value[0]), float(value[1])
    except OverflowError:  # a whole number beyond float64
        raise UsageError(f"{shown} must be [low, high], both finite") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
