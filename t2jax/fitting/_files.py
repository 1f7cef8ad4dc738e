"""Fits as JSON: the file of coefficients that `t2jax plan --law` reads, with the fit's uncertainty beside them."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import jax
import numpy as np

from t2jax.fitting import _estimators as estimators
from t2jax.fitting._coordinates import Coordinates, Kind, as_leaf, coefficient_names
from t2jax.fitting._result import Fit
from t2jax.laws import Chinchilla, DataConstrained, Kaplan, Overtraining
from t2jax.quantities import Provenance
from t2jax.tasks import BetaPassRate, T2Accuracy, T2Loss

__all__ = ["CLASSES", "read", "write"]

CLASSES: Mapping[str, type] = {
    one.__name__: one for one in (Chinchilla, Kaplan, Overtraining, DataConstrained, T2Loss, T2Accuracy, BetaPassRate)
}


def write(fit: Fit, path: Path, ensemble: Any) -> None:
    """Beside it first, then in its place: a file is whole or not there. Raises FileExistsError where one is."""
    if path.exists():
        raise FileExistsError(f"{path} exists: name another file, or remove it")
    if type(fit.model) not in CLASSES.values():
        raise TypeError(f"only t2jax's own models are written as JSON, not {type(fit.model).__name__}")
    content = _described(fit.model, fit.coefficients)
    ensemble = fit.ensemble if ensemble is None else ensemble
    content["fit"] = {
        "estimator": {"kind": type(fit.estimator).__name__, **asdict(fit.estimator)},
        "source": fit.source,
        "rows": fit.rows,
        "objective": fit.objective,
        "log_likelihood": None if fit.log_likelihood is None else _finite(fit.log_likelihood),
        "starts": fit.starts,
        "share_at_best": fit.share_at_best,
        "converged": fit.converged,
        "at_boundary": list(fit.at_boundary),
        "notes": list(fit.notes),
        "free": list(fit.free),
        "kinds": [one.value for one in fit.kinds],
        "covariance": [[_finite(one) for one in row] for row in fit.covariance.tolist()],
        "ensemble": None if ensemble is None else _columns(ensemble, fit.free),
    }
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        aside.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def read(path: Path) -> Fit:
    """What `write` wrote. Raises ValueError for a file without a fit."""
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(content, dict) or "fit" not in content:
        raise ValueError(f'{path} holds no fit: it has no key "fit"')
    told = dict(content.pop("fit"))
    model, coefficients = _built(content), _coefficients(content)
    names = coefficient_names(model)
    chosen = dict(told.pop("estimator"))
    columns, covariance = told.pop("ensemble"), told.pop("covariance")
    free = tuple(told.pop("free"))
    return Fit(
        model=model,
        estimator=getattr(estimators, chosen.pop("kind"))(**chosen),
        names=names,
        values=np.array([coefficients[name] for name in names]),
        free=free,
        kinds=tuple(Kind(one) for one in told.pop("kinds")),
        covariance=np.array(covariance, dtype=float).reshape(len(free), len(free)),
        at_boundary=tuple(told.pop("at_boundary")),
        residuals=np.zeros(0),
        notes=tuple(told.pop("notes")),
        ensemble=None if columns is None else _ensemble(model, coefficients, columns),
        **told,
    )


def _described(model: Any, coefficients: Mapping[str, float], within: str = "") -> dict[str, Any]:
    """A model as `t2jax plan --law` reads it, with every digit of its coefficients."""
    found: dict[str, Any] = {"kind": type(model).__name__}
    for one in fields(model):
        value, name = getattr(model, one.name), within + one.name
        if isinstance(value, Provenance):
            found[one.name] = {key: kept for key, kept in asdict(value).items() if kept is not None}
        elif name in coefficients:
            found[one.name] = coefficients[name]
        elif value is not None:
            number_of = [coefficients[f"{name}[{i}]"] for i in range(5)] if one.name == "theta" else None
            found[one.name] = number_of or _described(value, coefficients, f"{name}.")
    return found


def _built(content: Mapping[str, Any]) -> Any:
    arguments = {
        key: _provenance(value) if key == "provenance" else _built(value) if isinstance(value, dict) else value
        for key, value in content.items()
        if key != "kind"
    }
    return CLASSES[content["kind"]](**arguments)


def _provenance(told: Mapping[str, Any]) -> Provenance:
    given: dict[str, Any] = {"params": None, "tokens": None}
    given |= {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}
    return Provenance(**given)


def _coefficients(content: Mapping[str, Any], within: str = "") -> dict[str, float]:
    """Names, as `coefficient_names` has them, and numbers."""
    found: dict[str, float] = {}
    for key, value in content.items():
        if key == "theta":
            found |= {f"{within}theta[{i}]": one for i, one in enumerate(value)}
        elif isinstance(value, dict) and key != "provenance":
            found |= _coefficients(value, f"{within}{key}.")
        elif isinstance(value, int | float):
            found[within + key] = float(value)
    return found


def _columns(ensemble: Any, free: Sequence[str]) -> dict[str, list[float]]:
    """The fitted coefficients of every member."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(ensemble):
        name, values = jax.tree_util.keystr(path).lstrip("."), np.asarray(leaf, np.float64)
        each = {name: values} if values.ndim == 1 else {f"{name}[{i}]": values[:, i] for i in range(values.shape[1])}
        found |= {one: column.tolist() for one, column in each.items() if one in free}
    return found


def _ensemble(model: Any, coefficients: Mapping[str, float], columns: Mapping[str, Sequence[float]]) -> Any:
    size = len(next(iter(columns.values())))
    every = [as_leaf(columns.get(name, [coefficients[name]] * size)) for name in coefficient_names(model)]
    return Coordinates.of(model, {}, (), ()).built(every)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
