"""The key "fit" of a file that `t2jax fit` wrote: checked first, then read as a `Fit`. Loads JAX only to read."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from t2jax._io.usage import UsageError, as_json, meant, printable, quoted

__all__ = ["check_fit", "read_fit"]


def check_fit(content: Any, file: str, names: Sequence[str]) -> None:
    """Raises `UsageError` unless `content` is what a fit of these coefficients leaves in its file."""

    def refuse(what: str, value: Any) -> UsageError:
        return UsageError(f'{file}: "fit{what}, got {as_json(value)}')

    if not isinstance(content, dict):
        raise refuse('" must be an object as t2jax fit writes it', content)
    for key in content:
        if key not in _KEYS:
            raise UsageError(f'{file}: "fit" has no "{printable(key, 60)}"{meant(key, _KEYS)}')
    missing = [f'"{key}"' for key in _KEYS if key not in content and key not in _LATER]
    if missing:
        raise UsageError(f'{file}: "fit" lacks {", ".join(missing)}')
    for key, (words, holds) in _KEYS.items():
        if key in content and not holds(content[key]):
            raise refuse(f'.{key}" must be {words}', content[key])
    free, columns = content["free"], content["ensemble"]
    for key in ("free", "at_boundary", "boundaries"):
        for name in content.get(key, ()):
            if name not in names:
                near = meant(name, names)
                raise UsageError(f'{file}: "fit.{key}" names {quoted(name)}, which is no coefficient{near}')
    if len(set(free)) < len(free):
        raise refuse('.free" must name each coefficient once', free)
    if len(content["kinds"]) != len(names):
        raise refuse(f'.kinds" must be one for each of the {len(names)} coefficients', content["kinds"])
    covariance = content["covariance"]
    if len(covariance) != len(free) or any(len(row) != len(free) for row in covariance):
        raise UsageError(f'{file}: "fit.covariance" must have a row and a column for each of "fit.free"')
    if columns is not None and (sorted(columns) != sorted(free) or len({len(one) for one in columns.values()}) != 1):
        raise UsageError(f'{file}: "fit.ensemble" must have a list for each of "fit.free", all of one length')
    if columns is not None and not len(columns[free[0]]):
        raise UsageError(f'{file}: "fit.ensemble" has no members')


def read_fit(path: Path) -> Any:
    """The `Fit` in a file whose key "fit" has been checked. Raises `UsageError`."""
    from t2jax.fitting import Fit

    try:
        return Fit.from_json(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(f'{path}: "fit" is not as t2jax fit writes it: {error}') from None


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond float64
        return False


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_column(value: Any) -> bool:
    return isinstance(value, list) and all(_is_finite(one) for one in value)


def _is_matrix(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(row, list) and all(one is None or _is_finite(one) for one in row) for row in value
    )


def _is_estimator(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return False
    wanted = {"kind", "delta"} if value["kind"] == "Huber" else {"kind"}
    return value["kind"] in _ESTIMATORS and set(value) == wanted and _is_finite(value.get("delta", 1.0))


def _is_boundaries(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(one, dict)
        and set(one) == {"kind", "sentence", "measured"}
        and _is_texts([one["kind"], one["sentence"]])
        and (one["measured"] is None or _is_finite(one["measured"]))
        for one in value.values()
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_ESTIMATORS = ("BetaBinomial", "Huber", "LeastAbsoluteDeviations", "LeastSquares")
_KINDS = ("positive", "real", "share")
_LATER = ("boundaries",)
"""Keys that files of earlier versions lack."""
_KEYS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "estimator": (f'an object with "kind", one of {", ".join(_ESTIMATORS)}, and "delta" of Huber', _is_estimator),
    "source": ("text", lambda value: isinstance(value, str)),
    "rows": ("a whole number", _is_count),
    "objective": ("a finite number", _is_finite),
    "log_likelihood": ("a finite number or null", lambda value: value is None or _is_finite(value)),
    "starts": ("a whole number", _is_count),
    "share_at_best": ("a finite number", _is_finite),
    "converged": ("true or false", lambda value: isinstance(value, bool)),
    "at_boundary": ("a list of names", _is_texts),
    "boundaries": ('an object of objects with "kind", "sentence" and "measured"', _is_boundaries),
    "notes": ("a list of texts", _is_texts),
    "free": ("a list of names, at least one", lambda value: _is_texts(value) and len(value) > 0),
    "kinds": (
        f"a list of {', '.join(_KINDS)}",
        lambda value: _is_texts(value) and all(one in _KINDS for one in value),
    ),
    "covariance": ("a list of lists of finite numbers or null", _is_matrix),
    "ensemble": (
        "null, or an object with lists of finite numbers",
        lambda value: value is None or (isinstance(value, dict) and all(_is_column(one) for one in value.values())),
    ),
}
