"""The files of laws that a table names, held to what they were when its run began: one output is of one law each."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from t2jax._io.usage import UsageError, printable
from t2jax.planning._fields import NAMES
from t2jax.planning._law_files import is_file_name, read_law_file
from t2jax.planning.tables._cells import texts_of
from t2jax.planning.tables._reading import Source

__all__ = ["FrozenFiles"]


class FrozenFiles:
    """Files by name. hashes: what each was, or why it could not be read. settings: those of cells, for a manifest."""

    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}
        self.settings: dict[str, str] = {}

    @classmethod
    def named_in(
        cls, source: Source, defaults: Mapping[str, Any], *, files: bool, pass_through: Collection[str]
    ) -> "FrozenFiles":
        """Those of all cells and defaults. Reads task and law of the whole source, if cells may name files."""
        found = cls()
        columns = [name for name in NAMES if files and name in source.names and name not in pass_through]
        for table in source.columns(columns) if columns else ():
            for name in columns:
                for word in filter(is_file_name, texts_of(table.column(name))[0]):
                    if word not in found.hashes:
                        found.settings[f"file {printable(word, 4096)}"] = found._now(word)[0]
        for default in defaults.values():
            if isinstance(default, str) and is_file_name(default):
                found._now(default)
        return found

    def read(self, given: str) -> bytes:
        """As `read_law_file`. Raises ValueError, which is no `UsageError`, where the file is not as it was."""
        state, content = self._now(given)
        if state != self.hashes[given]:
            raise ValueError(
                f"{printable(given)} is not what it was when this run began, and the output would be of both: put it "
                "back and continue with resume=True, or choose another output"
            )
        if isinstance(content, UsageError):
            raise content
        return content

    def _now(self, given: str) -> tuple[str, bytes | UsageError]:
        try:
            content = read_law_file(given)
            state = hashlib.sha256(content).hexdigest()
        except UsageError as error:
            content, state = error, str(error)
        self.hashes.setdefault(given, state)
        return state, content
