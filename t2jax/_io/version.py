"""The version of the package that is installed."""

from importlib import metadata

__all__ = ["version"]


def version() -> str:
    try:
        return metadata.version("t2jax")
    except metadata.PackageNotFoundError:
        return "not installed"
