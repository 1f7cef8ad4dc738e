"""The options that say what to plan for, which `plan`, `sweep` and `frontier` share."""

from dataclasses import dataclass

from t2jax._io.usage import UsageError
from t2jax.cli._arguments import Flag, Name, Number
from t2jax.planning._scenario import NAMES, NUMBERS

__all__ = ["Scenario", "check_names", "given"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Budgets, demand, what to be good at, and caps. None where an option is not given."""

    total_flops: Number = None
    """Budget for training and inference together."""
    train_flops: Number = None
    """Budget for training."""
    inference_flops: Number = None
    """Budget for inference: per token served, or for all of --queries where they are given."""
    target: Number = None
    """Instead of a total budget: the pass@k (such as 0.6) or loss to reach at the least FLOPs."""
    queries: Number = None
    """Q, queries answered over the life of the model (1 with --inference-flops)."""
    prompt_tokens: Number = None
    """P, prompt tokens of a query (0)."""
    output_tokens: Number = None
    """T, tokens of one sampled answer (1: then Q counts tokens)."""
    no_share_prompt: Flag = False
    """The k samples of a query do not share its prompt: 2NQk(P + T)."""
    task: Name = None
    """What to be good at, as t2jax list shows, or a JSON file (pythia-gsm8k)."""
    law: Name = None
    """A loss law instead of a task; with --G and --gamma it becomes one."""
    G: Number = None
    """With --law: plan for the task loss L(N, D) + G/k^gamma."""
    gamma: Number = None
    """With --law and --G."""
    unique_tokens: Number = None
    """With --law muennighoff2023, or a file of kind DataConstrained: distinct tokens there are, the rest repeats."""
    max_params: Number = None
    """Largest N, for example what fits the hardware."""
    max_tokens: Number = None
    """Largest D, for example what data there are."""
    max_samples: Number = None
    """Largest k."""
    integer_samples: Flag = False
    """The best whole k."""


def check_names(scenario: Scenario) -> None:
    """Raises `UsageError` for a name without a letter, which is not the same as none."""
    for name in NAMES:
        if (value := getattr(scenario, name)) is not None and not value.strip():
            raise UsageError(
                "the name of the law or task is empty: give a published name (see t2jax list) or a JSON file"
            )


def given(scenario: Scenario) -> set[str]:
    """The names of the options that say anything."""
    return {name for name in (*NUMBERS, *NAMES) if getattr(scenario, name) is not None}
