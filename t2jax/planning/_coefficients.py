"""Laws and tasks as a person names them: a published name, or a JSON file of coefficients.

    {"kind": "Chinchilla", "E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
    {"kind": "T2Loss", "law": "besiroglu2024", "G": 1.0, "gamma": 0.3}

Which names are those of files is said in `law_files`. Every message says which file and which key. Loads JAX only once
the coefficients are known to be complete.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from t2jax._io.usage import UsageError, as_json, meant, printable, quoted
from t2jax.literature import list_published, published
from t2jax.planning._fitted import check_fit, read_fit
from t2jax.planning._law_files import ReadFile, is_file_name, read_law_file
from t2jax.quantities import Provenance

__all__ = ["LAWS", "TASKS", "fit_of", "law_or_task", "not_identified"]

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


def law_or_task(given: str, *, unique_tokens: float | None = None, read: ReadFile = read_law_file) -> Any:
    """The law or task of a published name or of a JSON file; `unique_tokens` for a law of repeated data.

    read: the bytes of a file, by its name. Raises `UsageError`.
    """
    if not given.strip():
        raise UsageError("the name of the law or task is empty: give a published name (see t2jax list) or a JSON file")
    if not is_file_name(given):
        return _published(given, unique_tokens)
    content = _read(given, read)
    path = printable(given)
    if unique_tokens is not None:
        if not isinstance(content, dict) or content.get("kind") != "DataConstrained":
            raise UsageError(
                f"{path} does not know of repeated tokens: --unique-tokens is for a file of kind DataConstrained"
            )
        content = {**content, "unique_tokens": unique_tokens}
    return _built(content, path)


def fit_of(given: str) -> Any:
    """The `Fit` in a file that `law_or_task` accepts; None where it has none. Raises `UsageError`."""
    if not is_file_name(given) or "fit" not in _read(given, read_law_file):
        return None
    return read_fit(Path(given))


def not_identified(given: Any, read: ReadFile = read_law_file) -> tuple[str, str] | None:
    """("infeasible", why) for the file of a fit at a single N or D, whose other term is any number; else None."""
    if not isinstance(given, str) or not is_file_name(given):
        return None
    content = _read(given, read)
    if not isinstance(content, dict):
        return None
    fit, source = content.get("fit"), content.get("provenance") or {}
    single = [name for name in ("params", "tokens") if source.get(name) and len(set(source[name])) == 1]
    names = [name for name in fit["at_boundary"] if name in fit["free"]] if fit else []
    if not (single and names):
        return None
    return (
        "infeasible",
        f"{printable(given)} was fitted at a single number of {single[0]}: {', '.join(names)} "
        f"{'was' if len(names) == 1 else 'were'} not identified by its fit, so it does not say what more would buy; "
        "fit runs that differ in it",
    )


def _published(given: str, unique_tokens: float | None = None) -> Any:
    rows = {row.name: row for row in list_published()}
    if given not in rows:
        usable = [name for name, row in rows.items() if row.kind in (*LAWS, *TASKS)]
        near = meant(given, usable) or ": t2jax list shows them all; a file's name has its folder, as ./law, or .json"
        raise UsageError(f"no published law or task is called {quoted(given)}{near}")
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


def _read(given: str, read: ReadFile) -> Any:
    content, path = read(given), printable(given)
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


def _built(content: Any, path: str) -> Any:
    """What a file describes. Beside the coefficients a fit may stand in it, which is checked, too."""
    with_fit = isinstance(content, dict) and "fit" in content
    described = {key: value for key, value in content.items() if key != "fit"} if with_fit else content
    if with_fit and content.get("kind") == "BetaPassRate":
        raise UsageError(
            f"{path} holds the pass rates of one model's problems, which say nothing of N and D: "
            "plan with a law or a task"
        )
    found = _build(described, path, "", (*LAWS, *TASKS))
    if with_fit:
        check_fit(content["fit"], path, list(_names(described)))
    return found


def _names(content: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Of all coefficients that a file describes, in the order of the fields: "law.E", "theta[2]"."""
    for key in {**LAWS, **TASKS}[content["kind"]]:
        value = content[key]
        if isinstance(value, dict):
            yield from _names(value, f"{within}{key}.")
        elif isinstance(value, list):
            yield from (f"{within}{key}[{i}]" for i in range(len(value)))
        else:
            yield within + key


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise UsageError(f"key {quoted(key)} is there more than once")
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
        kind_shown = quoted(kind) if isinstance(kind, str) else as_json(kind)
        raise UsageError(f'{file}: "{place}kind" is {kind_shown}, not one of {", ".join(kinds)}{near}')
    wanted = {**LAWS, **TASKS}[kind]
    for key in content:
        if key not in ("kind", "provenance", *wanted):
            near = meant(key, [one for one in wanted if one not in content] or wanted)
            near = near or f": it has {', '.join(wanted)}"
            raise UsageError(f'{file}: {kind} has no "{place}{printable(key, 60)}"{near}')
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
            raise UsageError(f'{file}: "{place}theta" must be a list of five numbers, got {as_json(value)}')
        return value
    if not _is_number(value):
        raise UsageError(f'{file}: "{place}{key}" must be a number, got {as_json(value)}')
    return value


def _provenance(content: Any, file: str, place: str) -> Provenance:
    if not isinstance(content, dict):
        raise UsageError(f'{file}: "{place}provenance" must be an object with {", ".join(_SOURCE)}')
    for key in content:
        if key not in _SOURCE:
            raise UsageError(f'{file}: "{place}provenance" has no "{printable(key, 60)}"{meant(key, _SOURCE)}')
    given: dict[str, Any] = {"name": Path(file).stem, "citation": "", "params": None, "tokens": None, **content}
    for key, value in given.items():
        if key in ("params", "tokens", "samples"):
            if value is not None and not (
                isinstance(value, list) and len(value) == 2 and all(_is_number(one) for one in value)
            ):
                raise UsageError(f'{file}: "{place}provenance.{key}" must be [low, high], got {as_json(value)}')
        elif not isinstance(value, str):
            raise UsageError(f'{file}: "{place}provenance.{key}" must be text, got {as_json(value)}')
    for key, value in given.items():
        if isinstance(value, list):
            try:
                given[key] = (float(value[0]), float(value[1]))
            except OverflowError:  # a whole number beyond float64
                raise UsageError(f'{file}: "{place}provenance.{key}" must be [low, high], both finite') from None
    try:
        return Provenance(**given)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{file}: {place}provenance: {error}") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
