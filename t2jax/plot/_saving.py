"""Figures in files: whole or not at all."""

import os
from pathlib import Path

from matplotlib.figure import Figure

from t2jax._io.usage import UsageError, refuse_existing

__all__ = ["saved"]


def saved(figure: Figure, path: str) -> None:
    """Whole or not at all. Raises `UsageError`."""
    out = Path(path)
    aside = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        figure.savefig(aside, format=out.suffix.lower().removeprefix("."), dpi=160)
        refuse_existing(path)  # again: it may have come since the options were looked at
        os.replace(aside, out)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    finally:
        aside.unlink(missing_ok=True)
