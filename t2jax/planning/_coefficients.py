"""Laws and tasks as a person names them: a published name, or a JSON file of coefficients.

Which names are those of files is said in `law_files`, what such a file holds in `literature`.
"""

from pathlib import Path
from typing import Any

from t2jax._io.usage import UsageError, printable
from t2jax.literature import KINDS, Role, built, names_in, parsed, published_for_plan
from t2jax.planning._fitted import check_fit, read_fit
from t2jax.planning._law_files import ReadFile, is_file_name, read_law_file

__all__ = ["fit_of", "law_or_task", "not_identified"]


def law_or_task(given: str, *, unique_tokens: float | None = None, read: ReadFile = read_law_file) -> Any:
    """The law or task of a published name or of a JSON file; `unique_tokens` for a law of repeated data.

    read: the bytes of a file, by its name. Raises `UsageError`.
    """
    if not given.strip():
        raise UsageError("the name of the law or task is empty: give a published name (see t2jax list) or a JSON file")
    if not is_file_name(given):
        return published_for_plan(given, unique_tokens)
    content = _read(given, read)
    path = printable(given)
    if unique_tokens is not None:
        kind = KINDS.get(str(content.get("kind"))) if isinstance(content, dict) else None
        if kind is None or "unique_tokens" not in kind.field_names:
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


def _read(given: str, read: ReadFile) -> Any:
    return parsed(read(given), printable(given))


def _built(content: Any, path: str) -> Any:
    """What a file describes. Beside the coefficients a fit may stand in it, which is checked, too."""
    with_fit = isinstance(content, dict) and "fit" in content
    described = {key: value for key, value in content.items() if key != "fit"} if with_fit else content
    kind = KINDS.get(str(content.get("kind"))) if with_fit else None
    if kind is not None and kind.role is Role.RATES:
        raise UsageError(
            f"{path} holds the pass rates of one model's problems, which say nothing of N and D: "
            "plan with a law or a task"
        )
    found = built(described, path)
    if with_fit:
        check_fit(content["fit"], path, list(names_in(described)))
    return found
