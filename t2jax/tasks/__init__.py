"""How well a decision solves tasks: pass@k of the T² laws, verifiers, votes, repair, and portfolios of tasks."""

from t2jax.tasks._base import Success, Task
from t2jax.tasks._passk import BetaPassRate, pass_at_k
from t2jax.tasks._portfolio import Portfolio, Workload
from t2jax.tasks._t2 import T2Accuracy, T2Loss
from t2jax.tasks._verification import MajorityVote, RepairLoop, VerificationFLOPs, Verifier

__all__ = [
    "BetaPassRate",
    "MajorityVote",
    "Portfolio",
    "RepairLoop",
    "Success",
    "T2Accuracy",
    "T2Loss",
    "Task",
    "VerificationFLOPs",
    "Verifier",
    "Workload",
    "pass_at_k",
]
