"""What a decision costs: FLOPs, seconds, bytes and dollars of training and of serving."""

from t2jax.costs._architecture import Architecture, CacheShape, FixedShape, ShapeLaw
from t2jax.costs._flops import EquivalentFLOPs, InferenceFLOPs, TrainingFLOPs
from t2jax.costs._hardware import Hardware, accelerator, list_accelerators
from t2jax.costs._lifetime import Lifetime, LifetimeBill, PerSolvedTask, Training
from t2jax.costs._serving import Bill, Serving

__all__ = [
    "Architecture",
    "Bill",
    "CacheShape",
    "EquivalentFLOPs",
    "FixedShape",
    "Hardware",
    "InferenceFLOPs",
    "Lifetime",
    "LifetimeBill",
    "PerSolvedTask",
    "Serving",
    "ShapeLaw",
    "Training",
    "TrainingFLOPs",
    "accelerator",
    "list_accelerators",
]
