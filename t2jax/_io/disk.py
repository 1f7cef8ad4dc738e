"""Files that are whole or not there: written aside, flushed to the disk, then given their name.

What is aside has a name that nobody can foresee and is made new, so that no link leads elsewhere. Its ending
tells what a killed process left.
"""

import errno
import os
import re
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["explained", "flush", "is_aside", "place", "replace", "written_aside"]

_ASIDE = ".aside"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEFT = re.compile(r".+\.([0-9a-f]{16}|\d+)" + re.escape(_ASIDE))
_RESUME = "the parts there are whole; make room, continue with resume=True"


def is_aside(name: str) -> bool:
    """Is a file of this name one that was never finished?"""
    return _LEFT.fullmatch(name) is not None


@contextmanager
def written_aside(folder: Path, name: str, then: Callable[[Path], None]) -> Generator[Any]:
    """Within it a new binary file, which after it is on the disk, and `then` gives it its name."""
    aside = folder / f"{name}.{secrets.token_hex(8)}{_ASIDE}"
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        then(aside)
    except BaseException:
        aside.unlink(missing_ok=True)  # above all on a full disk
        raise


def replace(path: Path, content: Any) -> None:
    """These bytes as this file, in place of what there may be."""
    with written_aside(path.parent, path.name, lambda aside: os.replace(aside, path)) as file:
        file.write(content)
    flush(path.parent)


def place(aside: Path, path: Path) -> None:
    """Give a file its name. Raises FileExistsError where something has it by now."""
    try:
        os.link(aside, path)
    except OSError as error:
        if os.path.lexists(path):
            raise FileExistsError(f"{path} has been made by another meanwhile: move it away") from None
        if isinstance(error, FileExistsError):
            raise
        os.rename(aside, path)  # a file system without hard links
    else:
        aside.unlink()
    flush(path.parent)


def flush(folder: Path) -> None:
    """So that the new names outlast a loss of power, too."""
    if os.name == "nt":  # no folder can be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explained(path: Path, *, full: str = _RESUME) -> Generator[None]:
    """OSErrors as sentences: which path, why, and what to do. full: that, where there is no space."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a sentence already
            raise
        if error.errno in _FULL:
            message = f"no space to write {path}: {full}"
        elif not path.parent.is_dir():
            message = f"cannot write {path}: there is no folder {path.parent}"
        else:
            message = f"cannot write {path}: {error.strerror or error}"
        explained = type(error)(message)
        explained.errno = error.errno
        raise explained from error
