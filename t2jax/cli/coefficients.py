"""Laws and tasks as a person names them: a published name, or a JSON file of coefficients.

    {"kind": "Chinchilla", "E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
    {"kind": "T2Loss", "law": "besiroglu2024", "G": 1.0, "gamma": 0.3}

Every message says which file and which key. Loads JAX only once the coefficients are known to be complete.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from t2jax.literature import list_published, published
from t2jax.provenance import Provenance

__all__ = ["LAWS", "TASKS", "UsageError", "is_task", "law_or_task", "meant"]

LAWS: Mapping[str, tuple[str, ...]] = {
    "Chinchilla": ("E", "A", "B", "alpha", "beta"),
    "DataConstrained": ("law", "unique_tokens", "R_D", "R_N"),
    "Kaplan": ("N_c", "D_c", "alpha_N", "alpha_D"),
    "Overtraining": ("E", "a", "b", "eta"),
}
TASKS: Mapping[str, tuple[str, ...]] = {
    "T2Accuracy": ("law", "theta"),
    "T2Loss": ("law", "G", "gamma"),
}
_SOURCE = ("name", "citation", "params", "tokens", "samples", "convention", "note")


class UsageError(ValueError):
    """What was typed, or a file that was named, cannot be used. The message is for the person who typed it."""


def is_task(given: Any) -> bool:
    """Is it a quality at (N, D, k), not a loss of (N, D)?"""
    return type(given).__name__ in TASKS


def law_or_task(given: str, *, unique_tokens: float | None = None) -> Any:
    """The law or task of a published name or of a JSON file; `unique_tokens` for the published law that takes it.

    Raises `UsageError`.
    """
    path = Path(given)
    if path.suffix != ".json" and len(path.parts) == 1 and not path.is_file():
        return _published(given, unique_tokens)
    if unique_tokens is not None:
        raise UsageError(f"{given}: write unique_tokens into the file, as part of a DataConstrained law")
    return _from_file(path)


def meant(given: str, known: Iterable[str]) -> str:
    """': did you mean …?' with the nearest names, or nothing where none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(given.lower(), by_lower, n=3, cutoff=0.6)
    return f": did you mean {' or '.join(by_lower[one] for one in near)}?" if near else ""


def _published(given: str, unique_tokens: float | None = None) -> Any:
    rows = {row.name: row for row in list_published()}
    if given not in rows:
        usable = [name for name, row in rows.items() if row.kind in (*LAWS, *TASKS)]
        near = meant(given, usable) or ": t2jax list shows them all"
        raise UsageError(f"no published law or task is called {given!r}{near}")
    row = rows[given]
    if row.kind not in (*LAWS, *TASKS):
        law = given.removesuffix("-error")
        raise UsageError(
            f"{given} turns a loss into a benchmark error and says nothing of N, D and k by itself: plan with {law}"
        )
    if unique_tokens is None:
        return published(given)
    if "unique_tokens" not in row.arguments:
        takes = " or ".join(name for name, row in rows.items() if "unique_tokens" in row.arguments)
        raise UsageError(f"{given} does not know of repeated tokens: the law that takes unique tokens is {takes}")
    return published(given, unique_tokens=unique_tokens)


def _from_file(path: Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file in UTF-8") from None
    except RecursionError:
        raise UsageError(f"{path} is not a law or task: it is nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{path} is not valid JSON: {error.msg} ({where})") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return _build(content, str(path), "", (*LAWS, *TASKS))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise UsageError(f"key {max(keys, key=keys.count)!r} is there more than once")
    return content


def _build(content: Any, file: str, place: str, kinds: tuple[str, ...]) -> Any:
    """The object that `content` describes. place: where in the file it stands, such as 'law.', for messages."""
    what = place.rstrip(".") or "the file"
    if not isinstance(content, dict):
        raise UsageError(f'{file}: {what} must be an object such as {{"kind": "Chinchilla", "E": 1.8, …}}')
    kind = content.get("kind")
    if kind not in kinds:
        if kind is None:
            raise UsageError(f'{file}: key "{place}kind" is missing: it is one of {", ".join(kinds)}')
        near = meant(kind, kinds) if isinstance(kind, str) else ""
        raise UsageError(f'{file}: "{place}kind" is {kind!r}, not one of {", ".join(kinds)}{near}')
    wanted = {**LAWS, **TASKS}[kind]
    for key in content:
        if key not in ("kind", "provenance", *wanted):
            near = meant(key, [one for one in wanted if one not in content] or wanted)
            raise UsageError(f'{file}: {kind} has no "{place}{key}"' + (near or f": it has {', '.join(wanted)}"))
    missing = [key for key in wanted if key not in content]
    if missing:
        named = ", ".join(f'"{place}{key}"' for key in missing)
        raise UsageError(f"{file}: {kind} lacks {named}")

    coefficients = {key: _coefficient(key, content[key], file, place, kind) for key in wanted}
    source = _provenance(content["provenance"], file, place) if "provenance" in content else None
    from t2jax import laws, tasks

    try:
        return getattr(tasks if kind in TASKS else laws, kind)(**coefficients, provenance=source)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{file}: {place}{error}") from None


def _coefficient(key: str, value: Any, file: str, place: str, kind: str) -> Any:
    if key == "law":
        # Only a Chinchilla law has repeats to discount.
        inner = ("Chinchilla",) if kind == "DataConstrained" else tuple(LAWS)
        if not isinstance(value, str):
            return _build(value, file, f"{place}law.", inner)
        try:
            law = _published(value)
        except UsageError as error:
            raise UsageError(f'{file}: "{place}law": {error}') from None
        if type(law).__name__ not in inner:
            raise UsageError(f'{file}: "{place}law": {value} is a {type(law).__name__}, not {" or ".join(inner)}')
        return law
    if key == "theta":
        if not isinstance(value, list) or len(value) != 5 or not all(_is_number(one) for one in value):
            raise UsageError(f'{file}: "{place}theta" must be a list of five numbers, got {json.dumps(value)}')
        return value
    if not _is_number(value):
        raise UsageError(f'{file}: "{place}{key}" must be a number, got {json.dumps(value)}')
    return value


def _provenance(content: Any, file: str, place: str) -> Provenance:
    if not isinstance(content, dict):
        raise UsageError(f'{file}: "{place}provenance" must be an object with {", ".join(_SOURCE)}')
    for key in content:
        if key not in _SOURCE:
            raise UsageError(f'{file}: "{place}provenance" has no "{key}"{meant(key, _SOURCE)}')
    given: dict[str, Any] = {"name": Path(file).stem, "citation": "", "params": None, "tokens": None, **content}
    for key, value in given.items():
        if key in ("params", "tokens", "samples"):
            if value is not None and not (
                isinstance(value, list) and len(value) == 2 and all(_is_number(one) for one in value)
            ):
                raise UsageError(f'{file}: "{place}provenance.{key}" must be [low, high], got {json.dumps(value)}')
        elif not isinstance(value, str):
            raise UsageError(f'{file}: "{place}provenance.{key}" must be text, got {json.dumps(value)}')
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    try:
        return Provenance(**given)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{file}: {place}provenance: {error}") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
