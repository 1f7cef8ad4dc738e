"""The rules of a scenario, wherever it is written: as options of the command line, or as columns of a table.

`spelled` turns a field's name into what the person wrote: `--total-flops` or `total_flops`. Loads no JAX and no NumPy.
"""

import math
from collections.abc import Callable, Collection
from typing import Any

__all__ = [
    "ALLOCATION",
    "DEFAULT_TASK",
    "FLAGS",
    "FLOPS",
    "NAMES",
    "NUMBERS",
    "acceptable",
    "as_column",
    "as_option",
    "contradiction",
    "lacks_demand",
    "missed_target",
    "number",
    "number_fault",
    "out_of_reach",
    "serves",
    "target_fault",
    "too_small",
    "without_end",
]

NUMBERS = (
    "total_flops",
    "train_flops",
    "inference_flops",
    "target",
    "queries",
    "prompt_tokens",
    "output_tokens",
    "G",
    "gamma",
    "unique_tokens",
    "max_params",
    "max_tokens",
    "max_samples",
)
NAMES = ("task", "law")
FLAGS = ("no_share_prompt", "integer_samples")
DEFAULT_TASK = "pythia-gsm8k"
ALLOCATION = (
    "params",
    "tokens",
    "samples",
    "tokens_per_param",
    "overtraining_ratio",
    "loss_nats",
    "pass_at_k",
    "value",
)
"""What is said of an allocation, and FLOPS: what it spends."""
FLOPS = ("train_flops", "inference_flops", "total_flops")

_MAY_BE_ZERO = ("prompt_tokens",)
_AT_LEAST_ONE = ("max_params", "max_tokens", "max_samples")
_SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}

Spelling = Callable[[str], str]


def as_option(name: str) -> str:
    """total_flops → --total-flops."""
    return "--" + name.replace("_", "-")


def as_column(name: str) -> str:
    """The field's name itself."""
    return name


# --- Numbers ----------------------------------------------------------------------------------------------------------


def number(word: str) -> float:
    """'7B' → 7e9, '1e24' → 1e24. Raises ValueError for what is no number."""
    word = word.strip()
    scale = _SUFFIXES.get(word[-1:].upper(), 1.0)
    return float(word[:-1] if scale > 1 else word) * scale


def acceptable(name: str, value: Any) -> Any:
    """Is it a number that this field may hold? Of a float, or of each number of an array."""
    if name in _AT_LEAST_ONE:
        return (value >= 1) & (value < math.inf)
    return ((value >= 0) if name in _MAY_BE_ZERO else (value > 0)) & (value < math.inf)


def number_fault(name: str, value: float, spelled: Spelling) -> str | None:
    """Why the field may not hold this number; None where it may."""
    if acceptable(name, value):
        return None
    if name in _AT_LEAST_ONE and 0 < value < 1:
        return f"{spelled(name)} must be at least 1, got {value:g}"
    words = "zero or positive," if name in _MAY_BE_ZERO else "positive"
    return f"{spelled(name)} must be {words} and finite, got {value:g}"


def target_fault(target: float, spelled: Spelling) -> str:
    """For a pass@k that is none."""
    return f"{spelled('target')} is a pass@k, between 0 and 1 (0.6 is 60 %), got {target:g}"


# --- What goes together -----------------------------------------------------------------------------------------------


def contradiction(given: Collection[str], spelled: Spelling, *, example: str = "") -> str | None:
    """Why the fields that are given do not make a problem, whatever their values and the law; None where they may."""
    if not {"total_flops", "train_flops", "inference_flops", "target"} & set(given):
        return (
            f"no budget: give {spelled('total_flops')}, or {spelled('train_flops')} with {spelled('inference_flops')}, "
            f"or a {spelled('target')} to reach most cheaply{example}"
        )
    if "total_flops" in given and "target" in given:
        return (
            f"{spelled('total_flops')} asks for the best at a cost and {spelled('target')} for the least cost of "
            f"reaching it: give one of them (with {spelled('target')}, {spelled('train_flops')} and "
            f"{spelled('inference_flops')} are upper limits)"
        )
    if "law" in given and "task" in given:
        return f"{spelled('law')} and {spelled('task')} are two things to plan for: give one of them"
    if ("G" in given) != ("gamma" in given):
        return f"{spelled('G')} and {spelled('gamma')} belong together: the task loss is L(N, D) + G/k^gamma"
    if "G" in given and "law" not in given:
        return f"{spelled('G')} and {spelled('gamma')} make a task of a loss law: give {spelled('law')}, too"
    if "unique_tokens" in given and "law" not in given:
        return f"{spelled('unique_tokens')} is for a law of repeated data: give {spelled('law')} muennighoff2023, too"
    if not serves(given):
        for name in ("prompt_tokens", "output_tokens"):
            if name in given:
                return (
                    f"{spelled(name)} is per query: say how many there are with {spelled('queries')}, for example 1e9"
                )
    return None


def serves(given: Collection[str]) -> bool:
    """Does the model answer anything that is counted?"""
    return "queries" in given or "inference_flops" in given


def lacks_demand(given: Collection[str], *, for_task: bool, spelled: Spelling) -> str | None:
    """What to add where one budget pays for training and answering, and nothing says how much is answered."""
    together = "total_flops" in given or "target" in given
    if "queries" in given or not together or not (for_task or serves(given)):
        return None
    what = f"{spelled('target')} is reached by" if "target" in given else f"{spelled('total_flops')} pays for"
    return (
        f"{what} training and answering: say how much is answered, "
        f"for example {spelled('queries')} 1e9 {spelled('output_tokens')} 500"
    )


# --- Why there is no solution: (status, reason) -----------------------------------------------------------------------


def without_end(given: Collection[str], *, for_task: bool, spelled: Spelling) -> tuple[str, str] | None:
    """("unbounded", what to add) where nothing limits the answer."""
    if "target" in given or "total_flops" in given:
        return None
    if for_task and not {"inference_flops", "max_samples"} & set(given):
        add = f"{spelled('inference_flops')} or {spelled('max_samples')}"
        return "unbounded", f"more samples are always better: add {add}"
    if not {"train_flops", "max_tokens"} & set(given):
        add = f"{spelled('train_flops')} or {spelled('max_tokens')}"
        return "unbounded", f"more training tokens are always better: add {add}"
    return None


def out_of_reach(target: float, best: float, *, probability: bool, capped: bool) -> tuple[str, str]:
    """Not even unlimited FLOPs reach the target within the caps: `best` is all there is."""
    what = "pass@k is at most" if probability else "the loss is never below"
    caps = " within the caps" if capped else ""
    return "infeasible", f"no compute reaches the target {target:g}: {what} {best:.6g}{caps}"


def missed_target(target: float) -> str:
    """Of a target that is possible, but not within the budgets."""
    return f"the target {target:g} takes more than the limits allow"


def too_small(target: float | None) -> str:
    """Of an optimum below one parameter or one token."""
    if target is None:
        return "this budget buys no model of even one parameter and token"
    return f"the target {target:g} is reached by a model of less than one parameter or token"
