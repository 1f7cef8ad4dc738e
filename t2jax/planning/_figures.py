"""What there is to say of an allocation: one definition of every figure, for one plan or for the columns of a table."""

from dataclasses import dataclass, fields
from typing import Any

__all__ = ["Figures", "figures_at"]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """An allocation of a plan, what it achieves and what it takes. None where a figure does not exist.

    params, tokens, samples: N, D, k. tokens_per_param: D/N. overtraining_ratio: D over the tokens for which N is
    compute-optimal. loss_nats: of the loss law, per token. pass_at_k: the share of tasks solved. value: of what is
    planned for. FLOPs: train_flops, inference_flops, total_flops. With hardware instead: training_usd, serving_usd,
    usd, usd_per_solved_task, training_device_hours, time_per_output_token and time_to_first_token in seconds,
    replica_memory in bytes. outside_fit: in sentences, what lies outside the range that was fitted. why_none: why
    there is no such allocation.
    """

    params: float | None = None
    tokens: float | None = None
    samples: float | None = None
    tokens_per_param: float | None = None
    overtraining_ratio: float | None = None
    loss_nats: float | None = None
    pass_at_k: float | None = None
    value: float | None = None
    train_flops: float | None = None
    inference_flops: float | None = None
    total_flops: float | None = None
    training_usd: float | None = None
    serving_usd: float | None = None
    usd: float | None = None
    usd_per_solved_task: float | None = None
    training_device_hours: float | None = None
    time_per_output_token: float | None = None
    time_to_first_token: float | None = None
    replica_memory: float | None = None
    outside_fit: tuple[str, ...] = ()
    why_none: str | None = None

    def to_dict(self, spending: tuple[str, ...]) -> dict[str, Any]:
        """The figures that every allocation has, and those of what is spent that have these names."""
        names = [one.name for one in fields(self)]
        spent = names[names.index("train_flops") : names.index("outside_fit")]
        shown = {name: getattr(self, name) for name in names if name in spending or name not in spent}
        return {**shown, "outside_fit": list(self.outside_fit)}


def figures_at(
    params: Any, tokens: Any, samples: Any, *, value: Any, loss: Any, balanced_tokens: Any, pass_at_k: Any
) -> dict[str, Any]:
    """The figures that do not depend on what is paid for. Numbers, or arrays of one shape.

    balanced_tokens: for which N is compute-optimal. pass_at_k: None for a plain loss law.
    """
    return {
        "params": params,
        "tokens": tokens,
        "samples": samples,
        "tokens_per_param": tokens / params,
        "overtraining_ratio": tokens / balanced_tokens,
        "loss_nats": loss,
        "pass_at_k": pass_at_k,
        "value": value,
    }
