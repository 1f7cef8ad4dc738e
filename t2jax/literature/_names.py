"""A published law or task by the name that a person typed, for a plan. Raises `UsageError` with what was meant."""

from typing import Any

from t2jax._io.usage import UsageError, meant, quoted
from t2jax.literature._kinds import KINDS
from t2jax.literature._published import list_published, published

__all__ = ["published_for_plan"]


def published_for_plan(name: str, unique_tokens: float | None = None) -> Any:
    """The law or task; `unique_tokens` for a law of repeated data."""
    rows = {row.name: row for row in list_published()}
    if name not in rows:
        usable = [one for one, row in rows.items() if KINDS[row.kind].role.plans]
        near = meant(name, usable) or ": t2jax list shows them all; a file's name has its folder, as ./law, or .json"
        raise UsageError(f"no published law or task is called {quoted(name)}{near}")
    row = rows[name]
    if not KINDS[row.kind].role.plans:
        law = name.removesuffix("-error")
        raise UsageError(
            f"{name} turns a loss into a benchmark error and says nothing of N, D and k by itself: plan with {law}"
        )
    if unique_tokens is None:
        return published(name)
    if "unique_tokens" not in row.arguments:
        takes = " or ".join(one for one, row in rows.items() if "unique_tokens" in row.arguments)
        raise UsageError(f"{name} does not know of repeated tokens: the law that takes unique tokens is {takes}")
    return published(name, unique_tokens=unique_tokens)
