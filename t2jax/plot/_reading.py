"""What is drawn, checked and as NumPy: plans, runs, models. Failed lanes are NaN, which matplotlib leaves as gaps."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from t2jax.literature import KINDS
from t2jax.optimize import Solution
from t2jax.quantities import Allocation, Scale

__all__ = ["SHOWN", "along", "level_in", "points_of", "quality_title", "shown", "solution", "title_of"]

SHOWN = {
    "params": "parameters N",
    "tokens": "training tokens D",
    "samples": "samples per query k",
    "tokens_per_param": "tokens per parameter D/N",
    "value": "value",
}
"""What can be shown of plans, and how an axis calls it."""


def along(name: str, values: Any) -> np.ndarray:
    """An axis to draw along: positive, finite numbers of shape (n,)."""
    array = _floats(name, values)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must be numbers of shape (n,), got shape {array.shape}")
    if not np.all(np.isfinite(array) & (array > 0)):
        bad = array[~(np.isfinite(array) & (array > 0))][0]
        raise ValueError(f"{name} must be positive and finite, got {bad:g} (at index {int(np.argmax(array == bad))})")
    return array


def solution(name: str, given: Any, shape: tuple[int | None, ...]) -> Solution:
    """A batch of solutions of this shape, where None is any length."""
    if not isinstance(given, Solution):
        raise TypeError(f"{name} must be a Solution, as minimize and maximize return, got {type(given).__name__}")
    if not isinstance(given.allocation, Allocation):
        raise TypeError(f"{name} must decide on (N, D, k), not on {type(given.allocation).__name__}")
    found = np.shape(given.value)
    if len(found) != len(shape) or any(w is not None and w != f for w, f in zip(shape, found, strict=True)):
        wanted = ", ".join("m" if one is None else str(one) for one in shape) + ("," if len(shape) == 1 else "")
        raise ValueError(f"{name} must be a batched Solution of shape ({wanted}), got shape {found}")
    return given


def shown(plans: Solution, show: str) -> np.ndarray:
    """One of `SHOWN` of every plan, NaN where a lane failed."""
    if show not in SHOWN:
        raise ValueError(f"show must be one of {', '.join(SHOWN)}, got {show!r}")
    values = np.asarray(plans.value if show == "value" else getattr(plans.allocation, show), dtype=np.float64)
    ok = np.asarray(plans.ok)
    if values.shape != ok.shape:
        raise ValueError(f"{show} has one entry for each task, of shape {values.shape}: choose one of the tasks first")
    return np.where(ok, values, np.nan)


def title_of(plans: Solution, show: str) -> str:
    """How an axis calls what is shown, with its unit."""
    return quality_title(plans.objective_label, plans.objective_scale) if show == "value" else SHOWN[show]


def quality_title(label: str, scale: Scale) -> str:
    """How an axis calls a quantity, with its unit."""
    if label in KINDS and KINDS[label].title:
        return KINDS[label].title
    return "compute (FLOPs)" if "FLOPs" in label and scale is Scale.LOG else label


def level_in(level: Any) -> tuple[float, float]:
    """The tails of an interval: 0.9 → (0.05, 0.95)."""
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise ValueError(f"level must be strictly between 0 and 1, got {level!r}")
    return 0.5 - level / 2, 0.5 + level / 2


def points_of(models: Any) -> list[tuple[str, float, float]]:
    """(name, N, D) of every model: of rows as `known_models()` has, or of a mapping name → (N, D)."""
    if isinstance(models, Mapping):
        rows = [(name, *pair) for name, pair in models.items() if _is_pair(name, pair)]
    elif isinstance(models, Iterable) and not isinstance(models, str):
        rows = [(one.name, one.params, one.tokens) for one in models if _is_model(one)]
    else:
        raise TypeError(f"models must be known_models(), rows of it, or a mapping name → (N, D), got {models!r}")
    for name, params, tokens in rows:
        along(f"params and tokens of {name}", [params, tokens])
    return [(str(name), float(params), float(tokens)) for name, params, tokens in rows]


def _is_pair(name: Any, pair: Any) -> bool:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"models[{name!r}] must be (params, tokens), got {pair!r}")
    return True


def _is_model(one: Any) -> bool:
    if not all(hasattr(one, field) for field in ("name", "params", "tokens")):
        raise TypeError(f"each of models must have name, params and tokens, got {one!r}")
    return True


def _floats(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be numbers, got {values!r}") from None
