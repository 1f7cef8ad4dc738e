"""The command line, `t2jax plan` and its siblings: exit status 0 answered, 1 no solution, 2 bad usage, 130 stopped.

Help and lists load neither JAX nor NumPy; plans and fits run on the CPU in float64, whatever the machine.
"""

import os
import sys
from collections.abc import Sequence

from t2jax.cli._command import ANSWERED, BAD_USAGE, STOPPED, float64

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. argv: what follows `t2jax`, by default what was typed.

    Nothing that happens is a traceback: every command ends here, with a status and a sentence.
    """
    try:
        from t2jax.cli import _interrupts as interrupts, _terminal as terminal

        if argv is None:
            interrupts.end_at_once()
        if sys.stdout is None:
            terminal.complain("standard output is closed: there is nowhere to print the answer")
            return BAD_USAGE
        with terminal.writable():
            return _ended(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return STOPPED


def _ended(words: list[str]) -> int:
    """The status of the command, whatever it raises."""
    from t2jax._io.usage import UsageError
    from t2jax.cli import _interrupts as interrupts, _terminal as terminal

    try:
        return _run(words)
    except UsageError as error:
        terminal.complain(str(error))
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:  # `t2jax list | head`
        return ANSWERED
    except OSError as error:
        named = "" if error.filename is None else f"{error.filename}: "
        terminal.complain(f"{named}{error.strerror or error}")
    except MemoryError as error:
        terminal.complain(str(error) or "not enough memory for this: ask for less at once")
    except Exception as error:
        if interrupts.was_interrupted():
            return STOPPED
        if os.environ.get("T2JAX_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        terminal.complain(f"a fault of t2jax, not of yours: {what}\n  T2JAX_TRACEBACK=1 shows where: please report it")
    return BAD_USAGE


def _run(words: list[str]) -> int:
    from t2jax.cli import _terminal as terminal

    if words == ["--version"]:
        from t2jax._io.version import version

        terminal.say(f"t2jax {version()}")
        return ANSWERED
    from t2jax._io.usage import UsageError

    try:
        import tyro  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError('the command line needs tyro: pip install "t2jax[cli]"') from None
    from t2jax.cli._plugins import load_plugins, plugins_in

    if plugins := plugins_in(words):
        with float64():
            load_plugins(plugins)
    from t2jax.cli import _options as options

    try:
        with terminal.output():
            command = options.parse(words)
    except SystemExit as end:  # tyro's, after it has printed help or what is wrong
        return int(end.code or 0)
    return command.run(words)
