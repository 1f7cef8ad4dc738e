"""Figures in files: whole or not at all."""

from pathlib import Path

from matplotlib.figure import Figure

from t2jax._io.disk import place, written_aside
from t2jax._io.usage import UsageError, refuse_existing

__all__ = ["saved"]


def saved(figure: Figure, path: str) -> None:
    """Whole or not at all. Raises `UsageError`."""
    out = Path(path)

    def named(aside: Path) -> None:
        refuse_existing(path)  # again: it may have come since the options were looked at
        place(aside, out)

    try:
        with written_aside(out.parent, out.name, named) as file:
            figure.savefig(file, format=out.suffix.lower().removeprefix("."), dpi=160)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
