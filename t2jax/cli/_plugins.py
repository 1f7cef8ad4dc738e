"""`--plugin MODULE`: modules of a user's own, imported before anything is read, so that what they register is known.

Loads no JAX; modules do.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from t2jax._io.usage import UsageError, printable

__all__ = ["Plugged", "fingerprints", "load_plugins", "plugins_in"]

_Modules = Annotated[tuple[str, ...], tyro.conf.arg(metavar="MODULE", help_behavior_hint="")]


@dataclass(frozen=True, kw_only=True)
class Plugged:
    """The option of every command that knows of laws and tasks."""

    plugin: tyro.conf.UseAppendAction[_Modules] = ()
    """A module, or a .py file, that registers laws and tasks of your own (t2jax.register); may be given again."""


def plugins_in(words: Sequence[str]) -> list[str]:
    """The modules that were typed."""
    found = []
    for i, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == "--plugin" and (equals or i + 1 < len(words)):
            found.append(value if equals else words[i + 1])
    return found


def load_plugins(names: Sequence[str]) -> None:
    """Import them, also from the working folder. Raises `UsageError` for what is no module, or fails."""
    for name in names:
        shown = printable(name, 100)
        try:
            if name.endswith(".py"):
                _load_file(Path(name))
            else:
                _load_module(name)
        except UsageError:
            raise
        except Exception as error:
            if os.environ.get("T2JAX_TRACEBACK"):
                raise
            what = printable(f"{type(error).__name__}: {error}".rstrip(": "), 1000)
            raise UsageError(f"--plugin {shown} fails: {what}\n  T2JAX_TRACEBACK=1 shows where") from error


def fingerprints(names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of the file of each that was loaded: other laws of the same names give other plans."""
    found = {}
    for name in names:
        file = getattr(sys.modules.get(Path(name).stem if name.endswith(".py") else name), "__file__", None)
        if file is not None:
            found[name] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return found


def _load_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"--plugin {path}: there is no such file")
    name = path.stem
    if name in sys.modules:
        known = getattr(sys.modules[name], "__file__", None)
        if known is not None and Path(known).resolve() == path.resolve():
            return
        raise UsageError(f"--plugin {path}: there is another module called {name}: rename the file")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _load_module(name: str) -> None:
    here = os.getcwd()
    if here not in sys.path:  # as `python -m` has it
        sys.path.insert(0, here)
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise UsageError(
            f"--plugin {printable(name, 100)}: there is no module of that name, here or installed; a file is ./NAME.py"
        ) from None
    except (TypeError, ValueError):  # of an empty name, or a relative one
        raise UsageError(f"--plugin takes a module such as my_laws, or a file ./my_laws.py, got {name!r}") from None
