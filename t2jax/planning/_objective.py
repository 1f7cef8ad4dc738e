"""What is planned for: the task and its loss law, from names or objects."""

from typing import Any

from t2jax._io.usage import UsageError, printable
from t2jax.literature import columns_read, is_plain
from t2jax.planning._coefficients import law_or_task
from t2jax.planning._fields import DEFAULT_TASK
from t2jax.planning._law_files import ReadFile, read_law_file
from t2jax.planning._spelling import Spelling
from t2jax.quantities import Quantity, Scale
from t2jax.tasks import Success, T2Loss, Task

__all__ = ["looked_up", "objective"]


def objective(
    task: Any,
    law: Any,
    *,
    G: float | None,
    gamma: float | None,
    unique_tokens: float | None,
    spelled: Spelling,
    read: ReadFile = read_law_file,
) -> tuple[Any, Any]:
    """(what is planned for, its loss law). task, law: a published name, a JSON file, an object, or None.

    read: the bytes of a file, by its name. Without G and gamma a law is planned for as it is. Raises `UsageError`.
    """
    if law is None:
        found = looked_up(task or DEFAULT_TASK, None, read)
        if found.scale is Scale.LOG_ODDS and not isinstance(
            found, Task
        ):  # a function of the user's: no loss law is one
            found = Success(found)
        if not isinstance(found, Task):
            raise UsageError(f"{_called(task)} is a loss law, not a task: give it with {spelled('law')}")
        return found, found.law
    found = looked_up(law, unique_tokens, read)
    if isinstance(found, Task):
        raise UsageError(f"{_called(law)} is a task, not a loss law: give it with {spelled('task')}")
    if G is None:
        return found, found
    return T2Loss(found, G, gamma), found


def looked_up(given: Any, unique_tokens: float | None = None, read: ReadFile = read_law_file) -> Any:
    """The law or task that is named, in a file, or an object. Raises `UsageError`."""
    if isinstance(given, str):
        return _decided(given, law_or_task(given, unique_tokens=unique_tokens, read=read))
    if not isinstance(given, Quantity):
        raise UsageError(
            f"a law or task is a published name, a JSON file or an object of a class of them, got {given!r}"
        )
    _decided(given, given)
    if unique_tokens is None:
        return given
    import equinox as eqx
    import jax.numpy as jnp

    if not hasattr(given, "unique_tokens"):
        raise UsageError(f"{_called(given)} does not know of repeated tokens: DataConstrained does")
    return eqx.tree_at(lambda one: one.unique_tokens, given, jnp.asarray(unique_tokens, given.unique_tokens.dtype))


def _decided(given: Any, found: Any) -> Any:
    """What was looked up, if N, D and k are all that it depends on."""
    others = [] if is_plain(found) else [name for name in columns_read(found) if name not in _DECIDED]
    if others:
        raise UsageError(
            f"{_called(given)} depends on {' and '.join(others)}, and a plan decides on {', '.join(_DECIDED)}: make it "
            "a coefficient of the law, or decide on more with t2jax.minimize"
        )
    return found


_DECIDED = ("params", "tokens", "samples")


def _called(given: Any) -> str:
    return printable(given) if isinstance(given, str) else type(given).__name__
