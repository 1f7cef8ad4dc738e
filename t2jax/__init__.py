"""t2jax: how to spend compute on a language model, from training run to solved task, as a differentiable optimisation.

Given budgets, choose parameters N, training tokens D and samples per query k together. See `minimize`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from t2jax import plot as plot
    from t2jax.allocation import Allocation, Quantity, params, samples, tokens
    from t2jax.architecture import FixedShape, ShapeLaw
    from t2jax.costs import EquivalentFLOPs, InferenceFLOPs, TrainingFLOPs
    from t2jax.custom import quantity
    from t2jax.datasets import NoDataError, dataset, list_datasets
    from t2jax.fitting import (
        BetaBinomial,
        Fit,
        Huber,
        Interpolation,
        LeastAbsoluteDeviations,
        LeastSquares,
        Polynomial,
        envelope,
        fit,
        holdout,
        isoflop,
        optimum_interval,
    )
    from t2jax.hardware import Hardware, accelerator, list_accelerators
    from t2jax.laws import Chinchilla, DataConstrained, ErrorFromLoss, Kaplan, Overtraining
    from t2jax.lifetime import Lifetime, PerSolvedTask, Training
    from t2jax.literature import list_published, published
    from t2jax.models import known_models
    from t2jax.optimize import NoSolutionError, Solution, Status, maximize, minimize
    from t2jax.passk import BetaPassRate, pass_at_k
    from t2jax.portfolio import Portfolio, Workload
    from t2jax.rules import (
        break_even_tokens,
        capacity_floor,
        compute_overhead,
        inference_aware_optimum,
        inference_factor,
        overtraining_ratio,
        serving_years,
    )
    from t2jax.serving import Serving
    from t2jax.sweeping import grid, sweep
    from t2jax.sweeping.plans import plan_batch
    from t2jax.tasks import T2Accuracy, T2Loss
    from t2jax.verification import MajorityVote, RepairLoop, VerificationFLOPs, Verifier

# Loaded when first asked for: `t2jax --help` and `t2jax list` then answer without loading JAX.
_HOME = {
    "t2jax.allocation": ("Allocation", "Quantity", "params", "samples", "tokens"),
    "t2jax.architecture": ("FixedShape", "ShapeLaw"),
    "t2jax.costs": ("EquivalentFLOPs", "InferenceFLOPs", "TrainingFLOPs"),
    "t2jax.custom": ("quantity",),
    "t2jax.datasets": ("NoDataError", "dataset", "list_datasets"),
    "t2jax.fitting": (
        "BetaBinomial",
        "Fit",
        "Huber",
        "Interpolation",
        "LeastAbsoluteDeviations",
        "LeastSquares",
        "Polynomial",
        "envelope",
        "fit",
        "holdout",
        "isoflop",
        "optimum_interval",
    ),
    "t2jax.hardware": ("Hardware", "accelerator", "list_accelerators"),
    "t2jax.laws": ("Chinchilla", "DataConstrained", "ErrorFromLoss", "Kaplan", "Overtraining"),
    "t2jax.optimize": ("NoSolutionError", "Solution", "Status", "maximize", "minimize"),
    "t2jax.passk": ("BetaPassRate", "pass_at_k"),
    "t2jax.portfolio": ("Portfolio", "Workload"),
    "t2jax.lifetime": ("Lifetime", "PerSolvedTask", "Training"),
    "t2jax.literature": ("list_published", "published"),
    "t2jax.models": ("known_models",),
    "t2jax.serving": ("Serving",),
    "t2jax.rules": (
        "break_even_tokens",
        "capacity_floor",
        "compute_overhead",
        "inference_aware_optimum",
        "inference_factor",
        "overtraining_ratio",
        "serving_years",
    ),
    "t2jax.sweeping": ("grid", "sweep"),
    "t2jax.sweeping.plans": ("plan_batch",),
    "t2jax.tasks": ("T2Accuracy", "T2Loss"),
    "t2jax.verification": ("MajorityVote", "RepairLoop", "VerificationFLOPs", "Verifier"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Allocation",
    "BetaBinomial",
    "BetaPassRate",
    "Chinchilla",
    "DataConstrained",
    "EquivalentFLOPs",
    "ErrorFromLoss",
    "Fit",
    "FixedShape",
    "Hardware",
    "Huber",
    "InferenceFLOPs",
    "Interpolation",
    "Kaplan",
    "LeastAbsoluteDeviations",
    "LeastSquares",
    "Lifetime",
    "MajorityVote",
    "NoDataError",
    "NoSolutionError",
    "Overtraining",
    "PerSolvedTask",
    "Polynomial",
    "Portfolio",
    "Quantity",
    "RepairLoop",
    "Serving",
    "ShapeLaw",
    "Solution",
    "Status",
    "T2Accuracy",
    "T2Loss",
    "Training",
    "TrainingFLOPs",
    "VerificationFLOPs",
    "Verifier",
    "Workload",
    "accelerator",
    "break_even_tokens",
    "capacity_floor",
    "compute_overhead",
    "dataset",
    "envelope",
    "fit",
    "grid",
    "holdout",
    "inference_aware_optimum",
    "inference_factor",
    "isoflop",
    "known_models",
    "list_accelerators",
    "list_datasets",
    "list_published",
    "maximize",
    "minimize",
    "optimum_interval",
    "overtraining_ratio",
    "params",
    "pass_at_k",
    "plan_batch",
    "published",
    "quantity",
    "samples",
    "serving_years",
    "sweep",
    "tokens",
]


def __getattr__(name: str) -> Any:
    if name == "plot":  # a module, and not in __all__: `from t2jax import *` must not need matplotlib
        return importlib.import_module("t2jax.plot")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 't2jax' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "plot"})
