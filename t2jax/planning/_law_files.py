"""Files of coefficients: which names mean one, and reading them so that no name can hang or exhaust the process.

A name with a folder in it or with .json at its end is a file's; every other is that of a published law or task,
whatever files there are. Loads no JAX.
"""

import os
import stat
from collections.abc import Callable

from t2jax._io.usage import UsageError, printable

__all__ = ["MOST_BYTES", "ReadFile", "is_file_name", "read_law_file", "same_named_file"]

MOST_BYTES = 10_000_000
"""More than any law with its bootstrap ensemble takes."""

ReadFile = Callable[[str], bytes]


def is_file_name(given: str) -> bool:
    """Does this name a file, not a published law or task?"""
    return given.lower().endswith(".json") or any(mark in given for mark in (os.sep, os.altsep) if mark)


def same_named_file(given: str) -> str | None:
    """What to say where a published name is also that of a file in the working folder; None where it is not."""
    if is_file_name(given) or not os.path.exists(given):
        return None
    return f"{given} is the published one, not the file of that name: the file is ./{given}"


def read_law_file(given: str) -> bytes:
    """The bytes of a regular file of at most MOST_BYTES. Raises `UsageError` for whatever else the name stands for.

    Devices and pipes are told by their status, before they are opened: to open one may wait for ever, or act on it.
    """
    shown = printable(given)
    try:
        _check_regular(os.stat(given), shown)
        with open(given, "rb", opener=_without_waiting) as file:
            _check_regular(os.fstat(file.fileno()), shown)  # it may have been exchanged
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {error.strerror or error}") from None
    except UsageError:
        raise
    except ValueError:  # with a NUL in it, or in letters that the file system has no bytes for
        raise UsageError(f"cannot read {shown}: no file has such a name") from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"{shown} is not a law or task: it has more than {MOST_BYTES:,} bytes")
    return content


def _check_regular(status: os.stat_result, shown: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"cannot read {shown}: Is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"cannot read {shown}: it is not a regular file")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
