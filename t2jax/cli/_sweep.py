"""`t2jax sweep`: a file of scenarios to a file of plans, and a summary of how it went."""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from t2jax._io.output import versions
from t2jax._io.text import aligned
from t2jax._io.usage import UsageError, printable
from t2jax.cli._plugins import fingerprints
from t2jax.cli._progress import progress
from t2jax.cli._sweep_options import Sweep
from t2jax.planning._coefficients import law_or_task
from t2jax.planning._fields import FLAGS, NAMES, NUMBERS
from t2jax.planning._law_files import same_named_file
from t2jax.planning._spelling import as_option
from t2jax.planning.tables._header import passed_through
from t2jax.planning.tables._reading import Source
from t2jax.planning.tables._tables import answer_table

__all__ = ["Stopped", "answer", "asides", "defaults_of", "sweep_text"]


_LISTED = 20
"""Names of columns."""


class Stopped(Exception):  # noqa: N818
    """Ctrl-C. The message says how to go on."""


def answer(sweep: Sweep, batch_size: int, words: Sequence[str]) -> dict[str, Any]:
    """What `--json` prints. words: what was typed, to say how to go on. Raises `UsageError`, `Stopped`."""
    begun = time.perf_counter()
    settings = versions("t2jax", "jax", "jaxlib", "numpy", "pyarrow")
    plugins = {"plugins": fingerprints(sweep.plugin)} if sweep.plugin else {}
    out = Path(str(sweep.out))
    for name in NAMES:
        if (given := getattr(sweep, name)) is not None:
            law_or_task(given)  # a name that there is not is no fault of the rows
    try:
        source = Source(sweep.scenarios, pass_through=sweep.pass_through, spelled=as_option)
        with progress("planning", "rows") as tell:
            tally = answer_table(
                source,
                out,
                defaults_of(sweep),
                batch_size=batch_size,
                settings={**settings, "platform": jax.default_backend(), **plugins},
                resume=sweep.resume,
                files=not sweep.no_files,
                pass_through=sweep.pass_through,
                tell=tell,
            )
    except ImportError:
        raise UsageError('t2jax sweep needs pyarrow: pip install "t2jax[io]"') from None
    except (OSError, ValueError) as error:
        raise UsageError(str(error).replace("resume=True", "--resume")) from None
    except KeyboardInterrupt:
        again = shlex.join(["t2jax", *words, *([] if "--resume" in words else ["--resume"])])
        raise Stopped(f"stopped; what is finished is kept. Go on with\n  {again}") from None
    return {
        "inputs": {"scenarios": sweep.scenarios, **defaults_of(sweep)},
        "out": str(out),
        "passed_through": passed_through(source.names, sweep.pass_through),
        "rows": tally.rows,
        "solved": tally.solved,
        "statuses": dict(sorted(tally.counts.items())),
        "first": {name: {"where": where, "reason": reason} for name, (where, reason) in tally.first.items()},
        "seconds": round(time.perf_counter() - begun, 3),
    }


def defaults_of(options: Any) -> dict[str, Any]:
    """The options that say anything about scenarios, as `plan_batch` takes them."""
    named = {name: getattr(options, name) for name in (*NUMBERS, *NAMES)}
    flags = {name: True for name in FLAGS if getattr(options, name)}
    return {name: value for name, value in named.items() if value is not None} | flags


def asides(sweep: Sweep, said: dict[str, Any]) -> list[str]:
    """What to say beside the answer: which columns were not read, and which of two laws was meant."""
    lines = [same_named_file(given) for name in NAMES if (given := getattr(sweep, name)) is not None]
    if names := [printable(name, 60) for name in said["passed_through"]]:
        more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
        lines.append(f"passed through unread: {', '.join(names[:_LISTED])}{more}")
    return [line for line in lines if line is not None]


def sweep_text(said: dict[str, Any]) -> str:
    """The summary as a person reads it."""
    seconds = said["seconds"]
    rows = f"{said['rows']:,} row{'' if said['rows'] == 1 else 's'}"
    speed = f" ({said['rows'] / seconds:,.0f} rows a second)" if said["rows"] > 10 * seconds else ""
    lines = [f"{rows} in {seconds:,.1f} s{speed}"]
    first = said["first"]
    order = sorted(said["statuses"], key=lambda name: (name != "solved", name))
    counts = [[name.replace("_", " "), f"{said['statuses'][name]:,}"] for name in order]
    for name, line in zip(order, aligned(counts).splitlines(), strict=True):
        if name in first:
            begins = "for example" if said["statuses"][name] > 1 else "it is"
            line = f"{line}  {begins} {first[name]['where']}: {first[name]['reason']}"
        lines.append(line)
    if set(said["statuses"]) - {"solved"}:
        lines.append("  The columns status and reason say so in every row.")
    lines.append(f"The plans are in {said['out']}")
    return "\n".join(lines)
