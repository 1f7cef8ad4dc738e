"""A bar on the terminal for whatever takes longer than a second. Needs tqdm; without it nothing is shown."""

import importlib
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["progress"]

_SOON = 1.0
"""Seconds without a bar."""


@contextmanager
def progress(what: str, of: str) -> Generator[Callable[[int, int], None] | None]:
    """Within it a bar called `what`, which counts `of`. Gives what to call with (done, of how many), or None.

    The bar is drawn by a thread of its own: compiling takes seconds in which nobody calls.
    """
    try:
        tqdm = importlib.import_module("tqdm").tqdm if sys.stderr.isatty() else None
    except ImportError:
        tqdm = None
    if tqdm is None:
        yield None
        return
    state: list[int | None] = [0, None]
    ended = threading.Event()

    def tell(done: int, total: int) -> None:
        state[:] = done, total

    thread = threading.Thread(target=_draw, args=(tqdm, what, of, state, ended, time.time()), daemon=True)
    thread.start()
    try:
        yield tell
    finally:
        ended.set()
        thread.join()


def _draw(tqdm: Any, what: str, of: str, state: list[int | None], ended: threading.Event, begun: float) -> None:
    if ended.wait(_SOON):
        return
    with tqdm(desc=what, unit=f" {of}", leave=False, file=sys.stderr, dynamic_ncols=True) as bar:
        bar.start_t = begun
        while not ended.wait(0.1):
            bar.n, bar.total = state
            bar.refresh()
