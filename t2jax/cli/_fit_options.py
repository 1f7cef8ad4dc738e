"""What can be typed after `t2jax fit`, and what is wrong with it, before anything heavy is loaded."""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path
from typing import Annotated

import tyro

from t2jax._io.numbers import number
from t2jax._io.usage import UsageError, meant
from t2jax.cli._arguments import Flag, Number, check_number, text, whole
from t2jax.cli._command import Command, float64, say, status
from t2jax.cli._plugins import Plugged
from t2jax.literature import Kind, typed_names

__all__ = ["ESTIMATORS", "Fit", "checked_fit", "fixed_values", "renamed"]

ESTIMATORS: Mapping[str, str] = {
    "huber": "Huber",
    "lad": "LeastAbsoluteDeviations",
    "least-squares": "LeastSquares",
}
_EXAMPLE = "t2jax fit runs.csv --model chinchilla --out law.json"

_Words = Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="")]
_Column = Annotated[str | None, text("COLUMN"), tyro.conf.arg(help_behavior_hint="")]


@dataclass(frozen=True, kw_only=True)
class Fit(Plugged, Command):
    """A law from a table of training runs or of benchmark counts, with its uncertainty, for t2jax plan.

        A loss law from runs, and the uncertainty of a plan from 1,000 resamples of them:
          t2jax fit runs.csv --model chinchilla --bootstrap 1000 --out law.json
          t2jax plan --law law.json --train-flops 1e23

        How pass@k falls short, where the table calls the columns differently:
          t2jax fit passes.csv --model t2-loss --columns samples=k loss=neg_log_pass_at_k --out task.json
          t2jax plan --task task.json --total-flops 1e24 --queries 1e9 --output-tokens 500

        Each --model is fitted to these columns, a row for each run (counts: for each problem)
    {models}

        Losses are in nats per token. Exit status: 0 fitted,
          1 not converged (what was reached is printed, no file is written), 2 bad usage or data.

        The object that --json prints has
          version, command, status, reason, inputs (as given), kind, source, rows, estimator, coefficients,
          objective, log_likelihood, starts, share_at_best, bootstrap (members, failed), written, notes.
          Each coefficient has value, state (fitted, fixed, at its boundary, not identified, a column),
          standard_error, interval [low, high] at 90 %, and bootstrap_standard_error, bootstrap_interval.
          What there is none of is null.
    """

    data: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """A .csv, .tsv, .jsonl, .xlsx or .parquet file with a header."""
    model: Annotated[str | None, text("MODEL"), tyro.conf.arg(help_behavior_hint="")] = None
    """What to fit: one of the above."""
    out: Annotated[str | None, text("FILE.json"), tyro.conf.arg(help_behavior_hint="")] = None
    """Write the law with its uncertainty here, for t2jax plan --law or --task. Not over a file that is there."""
    force: Flag = False
    """With --out: over it all the same."""
    bootstrap: Number = None
    """Fit so many resamples of the rows (or groups), too, for standard errors and for intervals of a plan."""
    groups: _Column = None
    """Rows with the same entry are of one run: correlated, and resampled as one."""
    weights: _Column = None
    """How much each row counts."""
    columns: Annotated[_Words, tyro.conf.arg(metavar="NEEDED=YOURS ...")] = ()
    """What the file calls a column that is needed, such as samples=k."""
    fixed: Annotated[_Words, tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """Coefficients that are not fitted, such as E=1.69."""
    law: Annotated[str | None, text("NAME|FILE.json"), tyro.conf.arg(help_behavior_hint="")] = None
    """The loss law inside --model t2-accuracy, which is held fixed: a published one or a file."""
    estimator: Annotated[str | None, text("ESTIMATOR"), tyro.conf.arg(help_behavior_hint="")] = None
    """huber on the log of the loss (so unless given), lad or least-squares. Counts: their likelihood."""
    delta: Number = None
    """Of huber, where squares turn into absolute values (0.001)."""
    starts: Number = None
    """How many places to search from (4,500 for chinchilla, 8 to 500 for others)."""
    seed: Number = None
    """Of random starts and resamples (0)."""
    json: Flag = False
    """Print one JSON object, at full precision."""

    def run(self, words: Sequence[str]) -> int:
        options = checked_fit(self)
        with float64():
            from t2jax.cli._fit import answer
            from t2jax.cli._interrupts import in_order

            with in_order():
                said, text = answer(options)
        say("fit", said, as_json=options.json, text=lambda _: text)
        return status(said)


def _in_help(typed: str, kind: Kind) -> str:
    """A line of help: what is typed, the columns, the formula."""
    assert kind.observed is not None
    inputs = [one.name for one in (*kind.inputs, *kind.per_row)]
    if kind.counted:
        others = ", ".join(name for name in inputs if name != "samples")
        either = "num_samples, num_correct"
        columns = f"{others}, and {either}, or samples, {kind.observed.name}" if others else either
    else:
        columns = ", ".join([*inputs, kind.observed.name])
    columns = f"{columns:<28}  " if kind.formula else columns
    return f"      {typed:<16}  {columns}{kind.formula}"


Fit.__doc__ = (Fit.__doc__ or "").replace("{models}", "\n".join(starmap(_in_help, typed_names().items())))


def checked_fit(options: Fit) -> Fit:
    """The same with whole numbers, if it makes sense before the data are looked at. Raises `UsageError`."""
    renamed(options)
    fixed_values(options)
    if not options.data:
        raise UsageError(f"no data: name a .csv or .parquet file; for example\n  {_EXAMPLE}")
    models = typed_names()
    _one_of("--model", options.model, models)
    if options.estimator is not None:
        _one_of("--estimator", options.estimator, ESTIMATORS)
    if options.delta is not None:
        check_number("--delta", options.delta)
        if options.estimator not in (None, "huber"):
            raise UsageError(f"--delta is of --estimator huber, not {options.estimator}")
    given = {
        name: value if value is None else whole(f"--{name}", value, least=least, most=most)
        for name, value, least, most in (
            ("starts", options.starts, 1, 1_000_000),
            ("bootstrap", options.bootstrap, 2, 1_000_000),
            ("seed", options.seed, 0, 2**63 - 1),
        )
    }
    needs_law = not models[str(options.model)].begins
    if needs_law and options.law is None:
        raise UsageError(
            f"--model {options.model} needs the loss law inside: give --law, for example --law besiroglu2024 or a file"
        )
    if not needs_law and options.law is not None:
        takes = " or ".join(name for name, kind in models.items() if not kind.begins)
        raise UsageError(f"--law is the loss law inside --model {takes}: {options.model} takes none")
    _check_out(options)
    return replace(options, **given)


def renamed(options: Fit) -> dict[str, str]:
    """What the data call a column that is needed. Raises `UsageError`."""
    return _pairs("--columns", options.columns, "samples=k")


def fixed_values(options: Fit) -> dict[str, float]:
    """Coefficients by name that are not fitted. Raises `UsageError`."""
    found = {}
    for name, word in _pairs("--fixed", options.fixed, "E=1.69").items():
        try:
            found[name] = number(word)
        except ValueError:
            raise UsageError(f"--fixed {name} must be a number, got {word!r}") from None
        if not math.isfinite(found[name]):
            raise UsageError(f"--fixed {name} must be finite, got {word}")
    return found


def _pairs(option: str, words: Iterable[str], example: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not (name and equals and value):
            last = (
                "; the data file comes first, before options"
                if re.search(r"\.(csv|tsv|jsonl|xlsx|parquet)$", word)
                else ""
            )
            raise UsageError(f"{option} takes pairs such as {example}, got {word!r}{last}")
        if name in found:
            raise UsageError(f"{option} names {name} more than once")
        found[name] = value
    return found


def _one_of(option: str, given: str | None, known: Iterable[str]) -> None:
    if given is None:
        raise UsageError(f"no {option.lstrip('-')}: give {option}, one of {', '.join(known)}")
    if given not in known:
        near = meant(given, known)
        raise UsageError(f"{option} is one of {', '.join(known)}, got {given!r}{near}")


def _check_out(options: Fit) -> None:
    """Nothing is overwritten without being asked, and nobody waits for a fit that cannot be written."""
    if options.out is None:
        if options.force:
            raise UsageError("--force is for a file that --out would overwrite: give --out, too")
        return
    out = Path(options.out)
    if not options.out.strip() or out.is_dir():
        raise UsageError(f"--out must name a file such as law.json, got {options.out!r}")
    data = Path(options.data or "")
    if out.exists() and data.exists() and out.samefile(data):
        raise UsageError(f"--out {out} is the file of the data: name another one")
    if out.exists() and not options.force:
        raise UsageError(f"{out} exists: name another file, or --force to overwrite it")
    if not out.parent.is_dir():
        raise UsageError(f"cannot write {out}: there is no folder {out.parent}")
    if not os.access(out.parent, os.W_OK):
        raise UsageError(f"cannot write {out}: no permission for the folder {out.parent}")
