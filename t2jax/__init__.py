"""t2jax: how to spend compute on a language model, from training run to solved task, as a differentiable optimisation.

Given budgets, choose parameters N, training tokens D and samples per query k together. See `minimize`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from t2jax._io.lazy import attach

if TYPE_CHECKING:
    __version__: str
    from t2jax import plot as plot, testing as testing
    from t2jax.costs import (
        EquivalentFLOPs as EquivalentFLOPs,
        FixedShape as FixedShape,
        Hardware as Hardware,
        InferenceFLOPs as InferenceFLOPs,
        Lifetime as Lifetime,
        PerSolvedTask as PerSolvedTask,
        Serving as Serving,
        ShapeLaw as ShapeLaw,
        Training as Training,
        TrainingFLOPs as TrainingFLOPs,
        accelerator as accelerator,
        list_accelerators as list_accelerators,
    )
    from t2jax.fitting import (
        BetaBinomial as BetaBinomial,
        Fit as Fit,
        Huber as Huber,
        Interpolation as Interpolation,
        LeastAbsoluteDeviations as LeastAbsoluteDeviations,
        LeastSquares as LeastSquares,
        Polynomial as Polynomial,
        envelope as envelope,
        fit as fit,
        holdout as holdout,
        isoflop as isoflop,
        optimum_interval as optimum_interval,
        read_table as read_table,
    )
    from t2jax.laws import (
        Chinchilla as Chinchilla,
        DataConstrained as DataConstrained,
        ErrorFromLoss as ErrorFromLoss,
        Kaplan as Kaplan,
        LossLaw as LossLaw,
        Overtraining as Overtraining,
    )
    from t2jax.literature import (
        NoDataError as NoDataError,
        dataset as dataset,
        known_models as known_models,
        list_datasets as list_datasets,
        list_published as list_published,
        published as published,
        register as register,
    )
    from t2jax.optimize import (
        Method as Method,
        NoSolutionError as NoSolutionError,
        Solution as Solution,
        SolverOptions as SolverOptions,
        Status as Status,
        maximize as maximize,
        minimize as minimize,
    )
    from t2jax.planning import (
        Bill as Bill,
        Frontier as Frontier,
        Plan as Plan,
        UsageError as UsageError,
        bill as bill,
        break_even_tokens as break_even_tokens,
        capacity_floor as capacity_floor,
        compute_overhead as compute_overhead,
        frontier as frontier,
        inference_aware_optimum as inference_aware_optimum,
        inference_factor as inference_factor,
        overtraining_ratio as overtraining_ratio,
        plan as plan,
        plan_batch as plan_batch,
        serving_years as serving_years,
    )
    from t2jax.quantities import (
        Allocation as Allocation,
        Constraint as Constraint,
        Provenance as Provenance,
        Quantity as Quantity,
        Variable as Variable,
        equal as equal,
        params as params,
        quantity as quantity,
        samples as samples,
        tokens as tokens,
    )
    from t2jax.sweeping import (
        grid as grid,
        sweep as sweep,
    )
    from t2jax.tasks import (
        BetaPassRate as BetaPassRate,
        MajorityVote as MajorityVote,
        Portfolio as Portfolio,
        RepairLoop as RepairLoop,
        T2Accuracy as T2Accuracy,
        T2Loss as T2Loss,
        Task as Task,
        VerificationFLOPs as VerificationFLOPs,
        Verifier as Verifier,
        Workload as Workload,
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
        "read_table",
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
        "register",
    ),
    "optimize": (
        "Method",
        "NoSolutionError",
        "Solution",
        "SolverOptions",
        "Status",
        "maximize",
        "minimize",
    ),
    "planning": (
        "Bill",
        "bill",
        "break_even_tokens",
        "capacity_floor",
        "compute_overhead",
        "Frontier",
        "frontier",
        "inference_aware_optimum",
        "inference_factor",
        "overtraining_ratio",
        "Plan",
        "UsageError",
        "plan",
        "plan_batch",
        "serving_years",
    ),
    "quantities": (
        "Allocation",
        "Constraint",
        "Provenance",
        "Quantity",
        "Variable",
        "equal",
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
_MODULES = ("plot", "testing")  # not in __all__: `from t2jax import *` must not need matplotlib
_load, _names, __all__ = attach(__name__, _HOMES)
__all__ += ["__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"t2jax.{name}")
    if name == "__version__":
        from t2jax._io.version import version

        return version()
    if name not in __all__ and name[:1].isupper():  # every class of the registry is public, also one that is new
        from t2jax.literature import KINDS

        if name in KINDS and KINDS[name].is_own:
            return KINDS[name].load()
    return _load(name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
