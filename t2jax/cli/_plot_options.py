"""`--plot FILE`: what it takes, and what is wrong with it, before anything is computed. Loads no matplotlib."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import tyro

from t2jax._io.usage import UsageError, refuse_existing
from t2jax.cli._arguments import text

__all__ = ["PlotFile", "check_plot"]

_FORMATS = (".png", ".pdf", ".svg")

PlotFile = Annotated[str | None, text("FILE"), tyro.conf.arg(help_behavior_hint="")]


def check_plot(plot: str | None) -> None:
    """Raises `UsageError` where no picture can be written."""
    if plot is None:
        return
    path = Path(plot)
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"--plot must end in .png, .pdf or .svg, got {plot}")
    if not path.parent.is_dir():
        raise UsageError(f"--plot {plot}: there is no folder {path.parent}")
    refuse_existing(plot)
    if find_spec("matplotlib") is None:
        raise UsageError('--plot needs matplotlib: pip install "t2jax[plot]"')
