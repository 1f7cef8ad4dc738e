"""Fits as JSON: the file of coefficients that `t2jax plan --law` reads, with the fit's uncertainty beside them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from t2jax._io.disk import explained, replace
from t2jax.fitting import _estimators as estimators
from t2jax.fitting._boundary import Boundary, BoundaryKind
from t2jax.fitting._coordinates import Coordinates, Kind, as_leaf, coefficient_names, coefficient_values
from t2jax.fitting._result import Fit
from t2jax.literature import Role, built, described, names_of, numbers_in

__all__ = ["read", "write"]


def write(fit: Fit, path: Path, ensemble: Any, *, overwrite: bool) -> None:
    """The file is whole or not there. Raises FileExistsError where there is one, unless it may be overwritten."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: name another file, or remove it")
    content = described(fit.model, fit.coefficients)
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
        "boundaries": {name: _described(one) for name, one in fit.boundaries.items()},
        "notes": list(fit.notes),
        "free": list(fit.free),
        "kinds": [one.value for one in fit.kinds],
        "covariance": [[_finite(one) for one in row] for row in fit.covariance.tolist()],
        "ensemble": None if ensemble is None else _columns(ensemble, fit.free),
    }
    with explained(path, full="make room"):
        replace(path, (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read(path: Path) -> Fit:
    """What `write` wrote. Raises ValueError for a file without a fit."""
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(content, dict) or "fit" not in content:
        raise ValueError(f'{path} holds no fit: it has no key "fit"')
    told = dict(content.pop("fit"))
    model = built(content, str(path), names_of(Role.LAW, Role.TASK, Role.RATES))
    names = coefficient_names(model)
    coefficients = dict(zip(names, coefficient_values(model).tolist(), strict=True)) | numbers_in(content)
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
        boundaries={name: _boundary(**one) for name, one in told.pop("boundaries", {}).items()},
        residuals=np.zeros(0),
        notes=tuple(told.pop("notes")),
        ensemble=None if columns is None else _ensemble(model, coefficients, columns),
        **told,
    )


def _described(boundary: Boundary) -> dict[str, Any]:
    measured = None if boundary.measured is None else _finite(boundary.measured)
    return {"kind": boundary.kind.value, "sentence": boundary.sentence, "measured": measured}


def _boundary(kind: str, sentence: str, measured: float | None) -> Boundary:
    return Boundary(BoundaryKind(kind), sentence, measured)


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
