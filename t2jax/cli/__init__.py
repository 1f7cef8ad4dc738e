"""The command line, `t2jax plan` and its siblings: exit status 0 answered, 1 no solution, 2 bad usage, 130 stopped.

Help and lists load neither JAX nor NumPy; plans and fits run on the CPU in float64, whatever the machine.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

__all__ = ["main"]

ANSWERED, NO_SOLUTION, BAD_USAGE, STOPPED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. argv: what follows `t2jax`, by default what was typed."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--version"]:
        print(f"t2jax {_version()}")
        return ANSWERED
    try:
        import tyro  # noqa: F401
    except ModuleNotFoundError:
        return _complain('the command line needs tyro: pip install "t2jax[cli]"')
    from t2jax.cli import cost_options, fit_options, options
    from t2jax.planning.usage import UsageError

    try:
        command = options.parse(words)
        match command:
            case options.List():
                status = _list(command)
            case options.Cost():
                status = _cost(cost_options.checked_cost(command))
            case options.Fit():
                status = _fit(fit_options.checked_fit(command))
            case options.Sweep():
                status = _sweep(command, words)
            case options.Frontier():
                status = _frontier(command)
            case _:
                status = _plan(options.checked(command))
        sys.stdout.flush()  # here, where a closed pipe is caught
        return status
    except UsageError as error:
        return _complain(str(error))
    except SystemExit as end:  # tyro's, after it has printed help or what is wrong
        return int(end.code or 0)
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:  # `t2jax list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ANSWERED


def _plan(plan: Any) -> int:
    with _float64():
        from t2jax.cli.plan import Problem, answer

        if plan.hardware is None:
            problem = Problem.of(plan)
        else:
            from t2jax.cli.money import PaidProblem

            problem = PaidProblem.of(plan)
        said = {"version": _version(), "command": "plan", **answer(problem), "plot": plan.plot}
        if plan.plot is not None and said["reason"] is None:
            from t2jax.cli.pictures import draw_plan

            draw_plan(problem, said, plan.plot)
    if plan.json:
        print(json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False))
    elif said["reason"] is None:
        from t2jax.cli.plan_text import plan_text

        print(plan_text(said))
    if said["reason"] is None:
        return ANSWERED
    print(f"t2jax: no solution: {said['status']}: {said['reason']}", file=sys.stderr)
    return NO_SOLUTION


def _fit(options: Any) -> int:
    with _float64():
        from t2jax.cli.fit import answer

        said, text = answer(options)
    if options.json:
        print(
            json.dumps({"version": _version(), "command": "fit", **said}, indent=2, ensure_ascii=False, allow_nan=False)
        )
    else:
        print(text)
    if said["reason"] is None:
        return ANSWERED
    print(f"t2jax: no solution: {said['status']}: {said['reason']}", file=sys.stderr)
    return NO_SOLUTION


def _sweep(command: Any, words: Sequence[str]) -> int:
    from t2jax.cli.sweep_options import checked_sweep

    sweep, batch_size = checked_sweep(command)
    with _float64():
        from t2jax.cli.sweep import Stopped, answer, asides, sweep_text

        try:
            said = answer(sweep, batch_size, words)
        except Stopped as stopped:
            print(f"t2jax: {stopped}", file=sys.stderr)
            return STOPPED
    for line in asides(sweep, said):
        print(f"t2jax: {line}", file=sys.stderr)
    _say("sweep", said, as_json=sweep.json, text=sweep_text)
    if said["solved"]:
        return ANSWERED
    print("t2jax: no row has a solution", file=sys.stderr)
    return NO_SOLUTION


def _frontier(command: Any) -> int:
    from t2jax.cli.sweep_options import checked_frontier

    span = checked_frontier(command)
    with _float64():
        from t2jax.cli.frontier import answer, frontier_text

        said = answer(command, span)
        if command.plot is not None and any(row["status"] == "solved" for row in said["rows"]):
            from t2jax.cli.pictures import draw_frontier

            draw_frontier(said, command.plot)
    _say("frontier", said, as_json=command.json, text=frontier_text)
    return ANSWERED if any(row["status"] == "solved" for row in said["rows"]) else NO_SOLUTION


def _say(command: str, said: dict[str, Any], *, as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    if as_json:
        whole = {"version": _version(), "command": command, **said}
        print(json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(text(said))


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


def _cost(command: Any) -> int:
    with _float64():
        from t2jax.cli.cost import answer, cost_text

        said, bill = answer(command)
    _say("cost", said, as_json=command.json, text=lambda said: cost_text(said, bill))
    return ANSWERED


def _list(command: Any) -> int:
    from t2jax.cli import listing

    if command.hardware:
        with _float64():
            print(listing.hardware_as_json() if command.json else listing.hardware_as_text())
        return ANSWERED
    print(listing.as_json() if command.json else listing.as_text())
    return ANSWERED


def _complain(message: str) -> int:
    print(f"t2jax: {message}", file=sys.stderr)
    return BAD_USAGE


def _version() -> str:
    try:
        return metadata.version("t2jax")
    except metadata.PackageNotFoundError:
        return "not installed"
