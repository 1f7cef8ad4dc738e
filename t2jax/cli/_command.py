"""What every command is and has: options that run to an exit status, and ways to say the answer."""

import abc
import os
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["ANSWERED", "BAD_USAGE", "NO_SOLUTION", "STOPPED", "Command", "float64", "say", "status"]

ANSWERED, NO_SOLUTION, BAD_USAGE, STOPPED = 0, 1, 2, 130


class Command(abc.ABC):
    """The options of a command, by their names; its docstring is its help. Declared without JAX, which `run` may load.

    To add one: a class of these in a file of its own, and its line in `_options.COMMANDS`.
    """

    @abc.abstractmethod
    def run(self, words: Sequence[str]) -> int:
        """Answer, and return the exit status. words: all that was typed. Raises `UsageError` for nonsense."""


def say(command: str, said: dict[str, Any], *, as_json: bool, text: Callable[[dict[str, Any]], str] | None) -> None:
    """text: of `said`; None where there is nothing to say in words."""
    from t2jax._io.version import version
    from t2jax.cli import _terminal as terminal

    if as_json:
        terminal.say_json({"version": version(), "command": command, **said})
    elif text is not None:
        terminal.say(text(said))


def status(said: dict[str, Any]) -> int:
    """And why there is no solution, where there is none."""
    if said["reason"] is None:
        return ANSWERED
    from t2jax.cli._terminal import complain

    complain(f"no solution: {said['status']}: {said['reason']}")
    return NO_SOLUTION


def float64() -> Any:
    """A context in which JAX has float64, on the CPU: an accelerator takes longer to wake up than such problems do.

    Loops are not unrolled: programs run as fast without, and compile up to twice as fast.
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_backend_extra_options" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_extra_options=xla_cpu_disable_loop_unrolling".strip()
    import jax

    return jax.enable_x64(True)
