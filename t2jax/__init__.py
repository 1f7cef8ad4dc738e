"""t2jax: how to spend compute on a language model, from training run to solved task, as a differentiable optimisation.

Given budgets, choose parameters N, training tokens D and samples per query k together. See `minimize`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from t2jax._io.lazy import attach

if TYPE_CHECKING:
    from t2jax import plot as plot
    from t2jax.costs import (
        EquivalentFLOPs as EquivalentFLOPs,
    )
    from t2jax.costs import (
        FixedShape as FixedShape,
    )
    from t2jax.costs import (
        Hardware as Hardware,
    )
    from t2jax.costs import (
        InferenceFLOPs as InferenceFLOPs,
    )
    from t2jax.costs import (
        Lifetime as Lifetime,
    )
    from t2jax.costs import (
        PerSolvedTask as PerSolvedTask,
    )
    from t2jax.costs import (
        Serving as Serving,
    )
    from t2jax.costs import (
        ShapeLaw as ShapeLaw,
    )
    from t2jax.costs import (
        Training as Training,
    )
    from t2jax.costs import (
        TrainingFLOPs as TrainingFLOPs,
    )
    from t2jax.costs import (
        accelerator as accelerator,
    )
    from t2jax.costs import (
        list_accelerators as list_accelerators,
    )
    from t2jax.fitting import (
        BetaBinomial as BetaBinomial,
    )
    from t2jax.fitting import (
        Fit as Fit,
    )
    from t2jax.fitting import (
        Huber as Huber,
    )
    from t2jax.fitting import (
        Interpolation as Interpolation,
    )
    from t2jax.fitting import (
        LeastAbsoluteDeviations as LeastAbsoluteDeviations,
    )
    from t2jax.fitting import (
        LeastSquares as LeastSquares,
    )
    from t2jax.fitting import (
        Polynomial as Polynomial,
    )
    from t2jax.fitting import (
        envelope as envelope,
    )
    from t2jax.fitting import (
        fit as fit,
    )
    from t2jax.fitting import (
        holdout as holdout,
    )
    from t2jax.fitting import (
        isoflop as isoflop,
    )
    from t2jax.fitting import (
        optimum_interval as optimum_interval,
    )
    from t2jax.laws import (
        Chinchilla as Chinchilla,
    )
    from t2jax.laws import (
        DataConstrained as DataConstrained,
    )
    from t2jax.laws import (
        ErrorFromLoss as ErrorFromLoss,
    )
    from t2jax.laws import (
        Kaplan as Kaplan,
    )
    from t2jax.laws import (
        LossLaw as LossLaw,
    )
    from t2jax.laws import (
        Overtraining as Overtraining,
    )
    from t2jax.literature import (
        NoDataError as NoDataError,
    )
    from t2jax.literature import (
        dataset as dataset,
    )
    from t2jax.literature import (
        known_models as known_models,
    )
    from t2jax.literature import (
        list_datasets as list_datasets,
    )
    from t2jax.literature import (
        list_published as list_published,
    )
    from t2jax.literature import (
        published as published,
    )
    from t2jax.optimize import (
        NoSolutionError as NoSolutionError,
    )
    from t2jax.optimize import (
        Solution as Solution,
    )
    from t2jax.optimize import (
        Status as Status,
    )
    from t2jax.optimize import (
        maximize as maximize,
    )
    from t2jax.optimize import (
        minimize as minimize,
    )
    from t2jax.planning import (
        break_even_tokens as break_even_tokens,
    )
    from t2jax.planning import (
        capacity_floor as capacity_floor,
    )
    from t2jax.planning import (
        compute_overhead as compute_overhead,
    )
    from t2jax.planning import (
        inference_aware_optimum as inference_aware_optimum,
    )
    from t2jax.planning import (
        inference_factor as inference_factor,
    )
    from t2jax.planning import (
        overtraining_ratio as overtraining_ratio,
    )
    from t2jax.planning import (
        plan_batch as plan_batch,
    )
    from t2jax.planning import (
        serving_years as serving_years,
    )
    from t2jax.quantities import (
        Allocation as Allocation,
    )
    from t2jax.quantities import (
        Constraint as Constraint,
    )
    from t2jax.quantities import (
        Provenance as Provenance,
    )
    from t2jax.quantities import (
        Quantity as Quantity,
    )
    from t2jax.quantities import (
        params as params,
    )
    from t2jax.quantities import (
        quantity as quantity,
    )
    from t2jax.quantities import (
        samples as samples,
    )
    from t2jax.quantities import (
        tokens as tokens,
    )
    from t2jax.sweeping import (
        grid as grid,
    )
    from t2jax.sweeping import (
        sweep as sweep,
    )
    from t2jax.tasks import (
        BetaPassRate as BetaPassRate,
    )
    from t2jax.tasks import (
        MajorityVote as MajorityVote,
    )
    from t2jax.tasks import (
        Portfolio as Portfolio,
    )
    from t2jax.tasks import (
        RepairLoop as RepairLoop,
    )
    from t2jax.tasks import (
        T2Accuracy as T2Accuracy,
    )
    from t2jax.tasks import (
        T2Loss as T2Loss,
    )
    from t2jax.tasks import (
        Task as Task,
    )
    from t2jax.tasks import (
        VerificationFLOPs as VerificationFLOPs,
    )
    from t2jax.tasks import (
        Verifier as Verifier,
    )
    from t2jax.tasks import (
        Workload as Workload,
    )
    from t2jax.tasks import (
        pass_at_k as pass_at_k,
    )

# By package. Loaded when first asked for: `t2jax --help` and `t2jax list` answer without loading JAX.
_HOMES = {
    "costs": (
        "EquivalentFLOPs",
        "FixedShape",
        "Hardware",
        "InferenceFLOPs",
        "Lifetime",
        "PerSolvedTask",
        "Serving",
        "ShapeLaw",
        "Training",
        "TrainingFLOPs",
        "accelerator",
        "list_accelerators",
    ),
    "fitting": (
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
    "laws": (
        "Chinchilla",
        "DataConstrained",
        "ErrorFromLoss",
        "Kaplan",
        "LossLaw",
        "Overtraining",
    ),
    "literature": (
        "NoDataError",
        "dataset",
        "known_models",
        "list_datasets",
        "list_published",
        "published",
    ),
    "optimize": (
        "NoSolutionError",
        "Solution",
        "Status",
        "maximize",
        "minimize",
    ),
    "planning": (
        "break_even_tokens",
        "capacity_floor",
        "compute_overhead",
        "inference_aware_optimum",
        "inference_factor",
        "overtraining_ratio",
        "plan_batch",
        "serving_years",
    ),
    "quantities": (
        "Allocation",
        "Constraint",
        "Provenance",
        "Quantity",
        "params",
        "quantity",
        "samples",
        "tokens",
    ),
    "sweeping": (
        "grid",
        "sweep",
    ),
    "tasks": (
        "BetaPassRate",
        "MajorityVote",
        "Portfolio",
        "RepairLoop",
        "T2Accuracy",
        "T2Loss",
        "Task",
        "VerificationFLOPs",
        "Verifier",
        "Workload",
        "pass_at_k",
    ),
}
_load, _names, __all__ = attach(__name__, _HOMES)
__all__ += ["__version__"]


def __getattr__(name: str) -> Any:
    if name == "plot":  # a module, and not in __all__: `from t2jax import *` must not need matplotlib
        return importlib.import_module("t2jax.plot")
    if name == "__version__":
        from importlib import metadata

        return metadata.version("t2jax")
    return _load(name)


def __dir__() -> list[str]:
    return sorted([*__all__, "plot"])
