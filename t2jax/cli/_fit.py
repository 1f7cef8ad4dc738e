"""What `t2jax fit` computes: the fit, its bootstrap, the file; and what it says of them, as text and for JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from t2jax import fitting
from t2jax._io.usage import UsageError, meant
from t2jax.cli._fit_options import ESTIMATORS, Fit, fixed_values, renamed
from t2jax.cli._fit_text import fit_text
from t2jax.cli._progress import progress
from t2jax.fitting._coordinates import Coordinates, coefficient_names
from t2jax.fitting._families import template_of
from t2jax.literature import example_of, per_row_of, typed_names
from t2jax.planning._coefficients import law_or_task
from t2jax.tasks import Task

__all__ = ["answer"]

_LEVEL = 0.9


def answer(options: Fit) -> tuple[dict[str, Any], str]:
    """(JSON's types only, the same as text). `status` says how the fit ended; `reason` why it is no answer, or None.

    Raises `UsageError` for what cannot be fitted or written.
    """
    seed = int(options.seed or 0)
    try:
        model, fixed = _model(options)
        with progress("fitting", "starts") as tell:
            fit = fitting.fit(
                model,
                options.data,
                estimator=_estimator(options),
                starts=None if options.starts is None else int(options.starts),
                groups=options.groups,
                weights=options.weights,
                fixed=fixed,
                columns=renamed(options),
                seed=seed,
                progress=tell,
            )
        resampled = _Resampled(None, 0, {})
        if fit.converged and options.bootstrap is not None:
            with progress("resampling", "resamples") as tell:
                resampled = _Resampled.of(
                    fit, fit.bootstrap(int(options.bootstrap), key=jax.random.key(seed), progress=tell)
                )
        written = _write(fit, options, resampled.ensemble) if fit.converged and options.out is not None else None
    except OSError as error:
        named = f": {error.filename}" if error.filename else ""
        raise UsageError(f"{error.strerror}{named}" if error.strerror else str(error)) from None
    except (ValueError, TypeError, ImportError) as error:
        # The library speaks of its argument `columns` as a renaming.
        raise UsageError(str(error).replace("rename: ", "--columns: ", 1)) from None
    said = _said(options, fit, resampled, written)
    return said, fit_text(fit, said)


class _Resampled:
    """Refits to resampled data: the finite ones, how many were not, and what they say of each coefficient."""

    def __init__(self, ensemble: Any, failed: int, columns: Mapping[str, np.ndarray]):
        self.ensemble, self.failed, self.columns = ensemble, failed, columns

    @classmethod
    def of(cls, fit: fitting.Fit, ensemble: Any) -> "_Resampled":
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(ensemble)]
        every = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
        finite = np.all(np.isfinite(every), axis=1)
        if not np.any(finite):
            raise UsageError("no resample could be fitted: leave out --bootstrap, or give more rows")
        named = [one for one in fit.free if one not in fit.at_boundary]
        columns = {name: every[finite, fit.names.index(name)] for name in named}
        return cls(jax.tree.map(lambda leaf: leaf[finite], ensemble), int(np.sum(~finite)), columns)

    def error(self, name: str) -> float | None:
        if name not in self.columns or self.members < 2:
            return None
        with np.errstate(over="ignore"):  # of a runaway amplitude
            return _finite(float(np.std(self.columns[name], ddof=1)))

    def interval(self, name: str) -> list[float] | None:
        if name not in self.columns:
            return None
        return np.quantile(self.columns[name], (0.5 - _LEVEL / 2, 0.5 + _LEVEL / 2)).tolist()

    @property
    def members(self) -> int:
        return 0 if self.ensemble is None else len(jax.tree.leaves(self.ensemble)[0])


def _model(options: Fit) -> tuple[Any, tuple[str, ...]]:
    """(what to fit, or an example of it with the values that are fixed; the names of these)."""
    kind = typed_names()[str(options.model)]
    values = fixed_values(options)
    held = () if kind.begins else ("law",)
    if held:
        law = law_or_task(str(options.law))
        if isinstance(law, Task):
            raise UsageError(f"--law {options.law} is a task, not the loss law inside one")
        template = example_of(kind, law)
    else:
        template = template_of(kind.load())
    if values:
        template = _with_values(template, values, held)
    return template, (*values, *held)


def _with_values(template: Any, values: Mapping[str, float], held: tuple[str, ...]) -> Any:
    """The same with these coefficients, checked as its class checks them. held: the law inside, where it is."""
    names = coefficient_names(template)
    columns = [name for name, _ in per_row_of(template)]
    free = [one for one in names if one.split(".")[0] not in held and one not in columns]
    for name in values:
        if name not in free:
            near = meant(name, free) or f": it has {', '.join(free)}"
            raise UsageError(f"--fixed: {type(template).__name__} has no coefficient {name!r} to fix{near}")
    every = np.concatenate([np.ravel(np.asarray(leaf)) for leaf in jax.tree.leaves(template)])
    changed = [jnp.asarray(values.get(name, one)) for name, one in zip(names, every, strict=True)]
    try:
        return _checked(Coordinates.of(template, {}, (), ()).built(changed))
    except (TypeError, ValueError) as error:
        raise UsageError(f"--fixed: {error}") from None


def _checked(model: Any) -> Any:
    """The same, made anew: constructors refuse coefficients that make no sense."""
    parts = {one.name: getattr(model, one.name) for one in fields(model)}
    return type(model)(**{name: _checked(one) if isinstance(one, eqx.Module) else one for name, one in parts.items()})


def _estimator(options: Fit) -> Any:
    """None: as the library chooses."""
    if options.delta is not None:
        return fitting.Huber(options.delta)
    return None if options.estimator is None else getattr(fitting, ESTIMATORS[options.estimator])()


def _write(fit: fitting.Fit, options: Fit, ensemble: Any) -> str:
    out = Path(str(options.out))
    fit.to_json(out, ensemble=ensemble, overwrite=options.force)
    return str(out)


def _said(options: Fit, fit: fitting.Fit, resampled: _Resampled, written: str | None) -> dict[str, Any]:
    inputs = asdict(options)
    del inputs["json"], inputs["plugin"]
    reason = None
    if not fit.converged:
        reason = "the objective still falls where the search ended: try more --starts, or fix a coefficient"
        reason += "; nothing was written" if options.out is not None else ""
    return {
        "status": fit.status,
        "reason": reason,
        "inputs": {**inputs, "columns": renamed(options), "fixed": fixed_values(options)},
        "kind": type(fit.model).__name__,
        "source": fit.source,
        "rows": fit.rows,
        "estimator": str(fit.estimator),
        "coefficients": _coefficients(fit, resampled),
        "objective": _finite(fit.objective),
        "log_likelihood": _finite(fit.log_likelihood),
        "starts": fit.starts,
        "share_at_best": fit.share_at_best,
        "bootstrap": {"members": resampled.members, "failed": resampled.failed} if resampled.members else None,
        "written": written,
        "notes": list(fit.notes),
    }


def _coefficients(fit: fitting.Fit, resampled: _Resampled) -> dict[str, Any]:
    errors, intervals = fit.standard_errors, fit.interval(_LEVEL)
    found = {}
    for name, value in fit.coefficients.items():
        ends = [_finite(one) for one in intervals.get(name, ())]
        found[name] = {
            "value": _finite(value),
            "state": fit.states[name],
            "reason": fit.boundaries[name].sentence if name in fit.boundaries else None,
            "standard_error": _finite(errors.get(name)),
            "interval": ends if ends and None not in ends else None,
            "bootstrap_standard_error": resampled.error(name),
            "bootstrap_interval": resampled.interval(name),
        }
    return found


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
