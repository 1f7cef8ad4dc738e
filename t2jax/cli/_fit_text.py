"""The answer of `t2jax fit` as a person reads it: the fit's own summary, the resamples, and what to type next."""

import shlex
from typing import Any

from t2jax._io.text import aligned, human
from t2jax.fitting import Fit
from t2jax.literature import KINDS

__all__ = ["fit_text"]


def fit_text(fit: Fit, said: dict[str, Any]) -> str:
    """said: the dictionary that `--json` prints."""
    blocks = [str(fit), _resampled(said), _what_next(said)]
    return "\n\n".join(block for block in blocks if block)


def _resampled(said: dict[str, Any]) -> str:
    """Standard errors from resamples beside those of the fit."""
    if said["bootstrap"] is None:
        return ""
    members, failed = said["bootstrap"]["members"], said["bootstrap"]["failed"]
    of = f"groups of {said['inputs']['groups']}" if said["inputs"]["groups"] else "rows"
    rows = [["", "standard error", "bootstrap", "90 % of resamples"]]
    for name, one in said["coefficients"].items():
        if one["bootstrap_interval"] is not None:
            low, high = one["bootstrap_interval"]
            errors = [
                "–" if error is None else human(error, 3)
                for error in (one["standard_error"], one["bootstrap_standard_error"])
            ]
            rows.append([name, *errors, f"{human(low, 4)} – {human(high, 4)}"])
    lines = [f"Fitted to {members:,} resamples ({of} drawn with replacement)", aligned(rows)]
    if failed:
        lines.append(f"  {failed:,} more could not be fitted and are left out")
    return "\n".join(lines)


def _what_next(said: dict[str, Any]) -> str:
    if said["reason"] is not None:
        return ""
    written, kind = said["written"], KINDS[said["kind"]]
    if written is None:
        return "Not written: --out FILE.json keeps it" + (" for t2jax plan" if kind.role.plans else "")
    kept = f"Written to {written}" + (", with the resamples" if said["bootstrap"] else "")
    if not kind.role.plans:
        return f"{kept}. In Python:\n  t2jax.Fit.from_json({written!r}).model.pass_at_k(100)"
    line = f"t2jax plan --{kind.role.value} {shlex.quote(written)} {kind.options}"
    return f"{kept}. Next, with a budget of your own:\n  {line}"
