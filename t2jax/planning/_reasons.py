"""What is wrong with a scenario, in words: what does not go together, what is missing, why there is no solution.

`spelled` turns a field's name into what the person wrote (see `_spelling`). Loads no JAX and no NumPy.
"""

from collections.abc import Collection

from t2jax.planning._fields import FOR_MONEY, OTHER_CAPS
from t2jax.planning._spelling import Spelling

__all__ = [
    "cache_fault",
    "contradiction",
    "lacks_demand",
    "missed_target",
    "money_fault",
    "out_of_reach",
    "serves",
    "target_fault",
    "too_small",
    "without_end",
]

_BUDGETS = ("total_flops", "train_flops", "inference_flops")


def target_fault(target: float, spelled: Spelling) -> str:
    """For a pass@k that is none."""
    return f"{spelled('target')} is a pass@k, between 0 and 1 (0.6 is 60 %), got {target:g}"


def contradiction(given: Collection[str], spelled: Spelling, *, example: str = "") -> str | None:
    """Why the fields that are given do not make a problem, whatever their values and the law; None where they may."""
    if not {*_BUDGETS, "usd", "target"} & set(given):
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
        law = spelled.examples(law="muennighoff2023")
        return f"{spelled('unique_tokens')} is for a law of repeated data: give {law}, too"
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


def lacks_demand(given: Collection[str], *, sampled: bool, spelled: Spelling) -> str | None:
    """What to add where one budget pays for training and answering, and nothing says how much is answered."""
    together = "total_flops" in given or "target" in given
    if "queries" in given or not together or not (sampled or serves(given)):
        return None
    what = f"{spelled('target')} is reached by" if "target" in given else f"{spelled('total_flops')} pays for"
    return (
        f"{what} training and answering: say how much is answered, "
        f"for example {spelled.examples(queries='1e9', output_tokens='500')}"
    )


# --- Plans in money ---------------------------------------------------------------------------------------------------


def money_fault(given: Collection[str], spelled: Spelling) -> str | None:
    """Why the fields that are given make no plan in money, or why it takes one; None where they may."""
    if "hardware" not in given:
        for name in FOR_MONEY:
            if name in given:
                return f"{spelled(name)} is for a plan in money: give {spelled('hardware')}, too"
        return None
    hardware = spelled("hardware")
    missing = [name for name in ("usd_per_hour", "queries", "output_tokens") if name not in given]
    if missing:
        return f"{hardware} needs {', '.join(map(spelled, missing))}; {spelled.help} has an example"
    if ("usd" in given) == ("target" in given):
        return (
            f"{hardware} plans for the best that {spelled('usd')} buys or for the least dollars of a "
            f"{spelled('target')}: give one"
        )
    if fault := cache_fault(given, spelled):
        return fault
    if others := [name for name in _BUDGETS if name in given]:
        return f"{hardware} counts in dollars: leave out {' and '.join(map(spelled, others))}"
    return None


def cache_fault(given: Collection[str], spelled: Spelling) -> str | None:
    """Why these fields do not say what shape a KV cache has; None where they may."""
    heads = f"{spelled('kv_heads')} and {spelled('head_dim')}"
    if ("kv_heads" in given) != ("head_dim" in given):
        return f"{heads} belong together: the KV cache has both in every layer"
    if "layers" in given and "kv_heads" not in given:
        return f"{spelled('layers')} is of the KV cache: give {heads}, too"
    return None


# --- Why there is no solution: (status, reason) -----------------------------------------------------------------------


def without_end(given: Collection[str], *, sampled: bool, spelled: Spelling) -> tuple[str, str] | None:
    """("unbounded", what to add) where nothing limits the answer."""
    if {"target", "total_flops", *OTHER_CAPS} & set(given):  # what other caps leave without end, the optimiser says
        return None
    if sampled and not {"inference_flops", "max_samples"} & set(given):
        add = f"{spelled('inference_flops')} or {spelled('max_samples')}"
        return "unbounded", f"more samples are always better: add {add}"
    if not {"train_flops", "max_tokens"} & set(given):
        add = f"{spelled('train_flops')} or {spelled('max_tokens')}"
        return "unbounded", f"more training tokens are always better: add {add}"
    return None


def out_of_reach(target: float, best: float, *, what: str, capped: bool) -> tuple[str, str]:
    """Not even unlimited FLOPs reach the target within the caps: `best` is all there is. what: "pass@k is at most"."""
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
