"""Ctrl-C: the process ends at once, with status 130, but for where files must be put in order first.

A KeyboardInterrupt would be raised anywhere, in imports too: C extensions turn it into an ImportError, or abort.
"""

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["STOPPED", "end_at_once", "in_order", "was_interrupted"]

STOPPED = 130

_interrupted = threading.Event()


def end_at_once() -> None:
    """For a process of our own. An interrupt that somebody ignores or handles already stays theirs."""
    if _is_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


@contextmanager
def in_order() -> Generator[None]:
    """Within it Ctrl-C is a KeyboardInterrupt, for those who have something to finish or to say."""
    ours = _is_main_thread() and signal.getsignal(signal.SIGINT) is _end
    if ours:
        signal.signal(signal.SIGINT, _raise)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, _end)


def was_interrupted() -> bool:
    """Was there a KeyboardInterrupt, whatever became of it on its way?"""
    return _interrupted.is_set()


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _end(*_: Any) -> None:
    os._exit(STOPPED)


def _raise(*_: Any) -> None:
    _interrupted.set()
    raise KeyboardInterrupt
