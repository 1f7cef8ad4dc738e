"""The command line, `t2jax plan` and its siblings: exit status 0 answered, 1 no solution, 2 bad usage, 130 stopped.

Help and lists load neither JAX nor NumPy; plans and fits run on the CPU in float64, whatever the machine.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["main"]

ANSWERED, NO_SOLUTION, BAD_USAGE, STOPPED = 0, 1, 2, 130


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
        with _float64():
            load_plugins(plugins)
    from t2jax.cli import _fit_options as fit_options, _options as options

    try:
        with terminal.output():
            command = options.parse(words)
    except SystemExit as end:  # tyro's, after it has printed help or what is wrong
        return int(end.code or 0)
    match command:
        case options.List():
            return _run_list(command)
        case options.Cost():
            return _run_cost(command)
        case options.Fit():
            return _run_fit(fit_options.checked_fit(command))
        case options.Sweep():
            return _run_sweep(command, words)
        case options.Frontier():
            return _run_frontier(command)
        case _:
            return _run_plan(options.checked(command))


def _run_plan(options: Any) -> int:
    with _float64():
        from t2jax.cli._plan import answer

        report = {**answer(options).to_dict(), "plot": options.plot}
    from t2jax.planning._report import plan_text

    _say("plan", report, as_json=options.json, text=plan_text if report["reason"] is None else None)
    return _status(report)


def _run_fit(options: Any) -> int:
    with _float64():
        from t2jax.cli._fit import answer
        from t2jax.cli._interrupts import in_order

        with in_order():
            said, text = answer(options)
    _say("fit", said, as_json=options.json, text=lambda _: text)
    return _status(said)


def _run_sweep(command: Any, words: Sequence[str]) -> int:
    from t2jax.cli._sweep_options import checked_sweep

    sweep, batch_size = checked_sweep(command)
    with _float64():
        from t2jax.cli._interrupts import in_order
        from t2jax.cli._sweep import Stopped, answer, asides, sweep_text
        from t2jax.cli._terminal import complain

        try:
            with in_order():
                said = answer(sweep, batch_size, words)
        except Stopped as stopped:
            complain(str(stopped))
            return STOPPED
    for line in asides(sweep, said):
        complain(line)
    _say("sweep", said, as_json=sweep.json, text=sweep_text)
    if said["solved"]:
        return ANSWERED
    complain("no row has a solution")
    return NO_SOLUTION


def _run_frontier(options: Any) -> int:
    from t2jax.cli._frontier_options import checked_frontier

    varied, scenario = checked_frontier(options)
    with _float64():
        from t2jax.cli._frontier import answer

        found = answer(options, varied, scenario)
    from t2jax.planning._frontier_report import frontier_text

    said = {**found.to_dict(), "out": options.out, "plot": options.plot}
    _say("frontier", said, as_json=options.json, text=frontier_text)
    return ANSWERED if found.ok else NO_SOLUTION


def _run_cost(options: Any) -> int:
    from t2jax.cli._cost import answer, checked

    fields = checked(options)
    with _float64():
        found = answer(fields)
    _say("cost", found.to_dict(), as_json=options.json, text=lambda _: str(found))
    return ANSWERED


def _run_list(command: Any) -> int:
    from t2jax.cli import _listing as listing, _terminal as terminal

    if command.hardware:
        with _float64():
            if command.json:
                terminal.say_json(listing.hardware_rows())
            else:
                terminal.say(listing.hardware_as_text())
    elif command.json:
        terminal.say_json(listing.rows())
    else:
        terminal.say(listing.as_text())
    return ANSWERED


def _say(command: str, said: dict[str, Any], *, as_json: bool, text: Callable[[dict[str, Any]], str] | None) -> None:
    """text: of `said`; None where there is nothing to say in words."""
    from t2jax._io.version import version
    from t2jax.cli import _terminal as terminal

    if as_json:
        terminal.say_json({"version": version(), "command": command, **said})
    elif text is not None:
        terminal.say(text(said))


def _status(said: dict[str, Any]) -> int:
    """And why there is no solution, where there is none."""
    if said["reason"] is None:
        return ANSWERED
    from t2jax.cli._terminal import complain

    complain(f"no solution: {said['status']}: {said['reason']}")
    return NO_SOLUTION


def _float64() -> Any:
    """A context in which JAX has float64, on the CPU: an accelerator takes longer to wake up than such problems do.

    Loops are not unrolled: programs run as fast without, and compile up to twice as fast.
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_backend_extra_options" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_extra_options=xla_cpu_disable_loop_unrolling".strip()
    import jax

    return jax.enable_x64(True)
