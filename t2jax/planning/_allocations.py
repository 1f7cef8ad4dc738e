"""The allocations of a plan side by side: a column for each, a row for each figure, and what to know of them."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from t2jax._io.text import aligned, flops, human, percent, significant
from t2jax.planning._figure_table import figure

__all__ = ["TOTAL", "allocations_table", "is_sampled", "serves", "shown_baselines", "unit"]

_Allocation = Mapping[str, Any]

TOTAL = {"flops": "total_flops", "usd": "usd"}
"""The figure of all that is spent, by unit."""


def allocations_table(said: dict[str, Any]) -> str:
    """The table with what stands beneath it. said: the dictionary that `--json` prints."""
    columns = _columns(said)
    headings = [["", *(heading[i] for heading in columns)] for i in (0, 1)]
    rows = [row for row in headings if any(row)]
    for row in _rows(said):
        cells = [row.cell(one) if one["why_none"] is None else "–" for one in columns.values()]
        if any(cells):
            rows.append([row.title, *cells])
    return "\n".join([aligned(rows), *_unspent(said), *_absent(columns), *_legend(columns)])


# --- Which columns ----------------------------------------------------------------------------------------------------


def unit(said: dict[str, Any]) -> str:
    return "usd" if "hardware" in said else "flops"


def is_sampled(said: dict[str, Any]) -> bool:
    """Does what is planned for depend on k?"""
    return said["objective"]["sampled"]


def serves(said: dict[str, Any]) -> bool:
    return "hardware" in said or said["optimum"]["inference_flops"] is not None


def shown_baselines(said: dict[str, Any]) -> tuple[str, ...]:
    """Those that can differ from the optimum."""
    if is_sampled(said):
        return "chinchilla", "one_sample"
    return ("chinchilla",) if serves(said) else ()


def _columns(said: dict[str, Any]) -> dict[tuple[str, str], _Allocation]:
    """The allocations to show, by their headings."""
    heading = {"chinchilla": ("Chinchilla-optimal,", "sampled with the rest"), "one_sample": ("one sample", "(k = 1)")}
    if not is_sampled(said):
        heading["chinchilla"] = ("", "Chinchilla-optimal")
    return {("", "optimum"): said["optimum"], **{heading[key]: said["baselines"][key] for key in shown_baselines(said)}}


# --- Which rows -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """title: what stands before it. cell: what it says of an allocation, with room for a star or a sign behind it."""

    title: str
    cell: Callable[[_Allocation], str]

    @classmethod
    def of(cls, name: str, *, key: str | None = None, more: str = "") -> "_Row":
        """Of a figure of the table. key: where it is in an allocation, if not by its name. more: behind its title."""
        one = figure(name)
        return cls(one.title + more, lambda at: f"{one.written(at[key or name])} ")

    @classmethod
    def fitted(cls, name: str) -> "_Row":
        """Of what is decided: with a star where it is outside the range that was fitted."""
        one = figure(name)
        return cls(one.title, lambda at: one.written(at[name]) + ("*" if _is_outside(name, at) else " "))


def _is_outside(name: str, at: _Allocation) -> bool:
    return any(sentence.startswith(name) for sentence in at["outside_fit"])


def _rows(said: dict[str, Any]) -> Iterator[_Row]:
    yield from _decided(said)
    yield from _reached(said)
    yield from _dollars(said) if unit(said) == "usd" else map(_flops, ("train_flops", "inference_flops"))
    if said["inputs"]["target"] is not None:
        yield _Row.of(TOTAL[unit(said)])


def _decided(said: dict[str, Any]) -> Iterator[_Row]:
    for name in ("params", "tokens", *(["samples"] if is_sampled(said) else [])):
        yield _Row.fitted(name)
    yield _Row.of("tokens_per_param")
    ratio = figure("overtraining_ratio")
    yield _Row(ratio.title, lambda at: "– " if at[ratio.name] is None else ratio.written(at[ratio.name]))


def _reached(said: dict[str, Any]) -> Iterator[_Row]:
    """The loss, the value where it is neither loss nor pass@k, and the pass@k that belongs to it."""
    of, optimum = said["objective"]["of"], said["optimum"]
    if of == "task_loss_nats":
        yield _Row.of(of, key="value")
    elif optimum["loss_nats"] is not None:
        yield _Row.of("loss_nats")
    if of not in ("task_loss_nats", "loss_nats", "pass_at_k"):
        written = significant(4)
        yield _Row(said["objective"]["title"], lambda at: f"{written(at['value'])} ")
    if is_sampled(said) and optimum["pass_at_k"] is not None:
        yield _Row.of("pass_at_k", more=" (exp −loss)" if of == "task_loss_nats" else "")


def _dollars(said: dict[str, Any]) -> Iterator[_Row]:
    yield _Row.of("training_usd")
    yield _Row.of("serving_usd")
    if is_sampled(said):
        solved = figure("usd_per_solved_task")
        yield _Row(solved.title, lambda at: f"{human(at[solved.name] or math.nan)} ")
    yield _Row.of("time_per_output_token")
    yield _Row.of("replica_memory")


def _flops(name: str) -> _Row:
    return _Row(figure(name).title, lambda at: _share(at, name))


def _share(at: _Allocation, name: str) -> str:
    if at[name] is None:
        return ""
    if at["inference_flops"] is None or at["total_flops"] is None:
        return f"{flops(at[name])} "
    return f"{flops(at[name])} ({100 * at[name] / at['total_flops']:.3g}%)"


# --- What stands beneath ----------------------------------------------------------------------------------------------


def _unspent(said: dict[str, Any]) -> list[str]:
    """Why a capped baseline does not spend what it might."""
    key = TOTAL[unit(said)]
    spent, total = said["baselines"]["chinchilla"][key], said["inputs"][key]
    if total is None or spent is None or spent > 0.99 * total:
        return []
    left = percent(1 - spent / total)
    return [f"  Chinchilla-optimal: within the limits, {left} of the budget stays unspent"]


def _absent(columns: Mapping[tuple[str, str], _Allocation]) -> list[str]:
    """Why there is no such allocation."""
    return [
        f"  {' '.join(part for part in heading if part)}: {one['why_none']}"
        for heading, one in columns.items()
        if one["why_none"] is not None
    ]


def _legend(columns: Mapping[tuple[str, str], _Allocation]) -> list[str]:
    balanced = any(one["overtraining_ratio"] is not None for one in columns.values())
    legend = ["D*(N): the tokens for which N parameters are compute-optimal in training"] if balanced else []
    if any(one["outside_fit"] for one in columns.values()):
        legend.append("*: outside the range that was fitted")
    return [f"  {'; '.join(legend)}"] if legend else []
