"""Packages that load lazily tell type checkers of the names that they have, no more and no fewer."""

import ast
import importlib
from pathlib import Path

import pytest


def told(path: Path) -> set[str]:
    """The names below `if TYPE_CHECKING:`."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
            for one in ast.walk(node):
                if isinstance(one, ast.ImportFrom):
                    names |= {alias.asname or alias.name for alias in one.names}
                elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                    names.add(one.target.id)
    return names


@pytest.mark.parametrize("package", ["t2jax", "t2jax.quantities", "t2jax.literature", "t2jax.planning"])
def test_type_checkers_are_told_every_name(package):
    module = importlib.import_module(package)
    modules = {"plot", "testing"} if package == "t2jax" else set()  # found, but not among what `import *` loads
    assert told(Path(module.__file__)) - modules == set(module.__all__)
    assert all(getattr(module, name) is not None for name in module.__all__)


def test_an_unknown_name_is_said_to_be_none():
    with pytest.raises(AttributeError, match="module 't2jax' has no attribute 'minimise'"):
        importlib.import_module("t2jax").minimise  # noqa: B018
