"""`t2jax frontier`: a scenario with a range → a frontier, printed, drawn or in a file. Loads JAX."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from t2jax._io.usage import UsageError, refuse_existing
from t2jax.cli._frontier_options import Frontier as Options
from t2jax.cli._interrupts import in_order
from t2jax.planning._frontier import Frontier, along
from t2jax.planning._spelling import as_option
from t2jax.planning._varied import Varied

__all__ = ["answer"]


def answer(options: Options, varied: Varied, scenario: Mapping[str, Any]) -> Frontier:
    """The frontier, which is drawn and written, too, where that is asked for. Raises `UsageError`."""
    if options.out is not None:
        refuse_existing(Path(options.out))
    with in_order():
        try:
            found = along(varied, scenario, as_option)
        except ImportError:
            raise UsageError('t2jax frontier needs pyarrow: pip install "t2jax[io]"') from None
        if options.out is not None:
            found.write(options.out)
        if options.plot is not None and found.ok:
            found.plot(options.plot)
    return found
