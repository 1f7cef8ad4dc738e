"""Results on disk: a folder of Parquet parts that is whole or not there, and can be taken up where a run ended.

While parts are written the folder is called `NAME.partial`; the last step gives it its name. A folder that has its name
is therefore whole, and pyarrow, pandas and Spark read it as one table, as DuckDB and Polars do with `NAME/*.parquet`.
Each part is written aside, flushed to the disk and renamed. Its name ends with the checksum of its bytes, by which a
part that is not as it was written is found. Nothing depends on the time or on how often the run was taken up.
"""

import importlib
import json
import os
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from t2jax._io.disk import explained, flush, is_aside, replace

__all__ = ["Output", "arrow", "discard", "versions"]

MANIFEST = "_manifest.json"  # readers of a folder of Parquet pass over what begins with an underscore
_MOST_SHOWN = 5
_PART = re.compile(r"part-(\d{8,})-[0-9a-f]{8}\.parquet")


class Output:
    """The folder of one run: `begin` makes it or takes it up; then `write` the parts that are not `done`, and `finish`.

    path: where the finished folder is. folder: where it is now.
    """

    def __init__(self, path: Path, folder: Path, settings: Mapping[str, Any]):
        """Private: see `begin` and `join`."""
        self.path, self.folder, self._settings = path, folder, settings
        self._names: dict[int, list[str]] = {}
        for name in sorted(os.listdir(folder)):
            if match := _PART.fullmatch(name):
                self._names.setdefault(int(match[1]), []).append(name)

    @classmethod
    def begin(cls, path: Any, *, settings: Mapping[str, Any], resume: bool = False) -> "Output":
        """Make the output, or with `resume` take up one that was begun; where there is none, `resume` makes it, too.

        path: the folder to make; the folder it is in must exist. settings: JSON values that decide the results, byte
        for byte: a hash of the inputs, versions, sizes, dtype. They go into the manifest.

        Raises FileExistsError where there is something and `resume` is false, or where it is no output; ValueError
        where it was begun with other settings, naming them; another OSError where the folder cannot be made.
        """
        arrow()  # that it is missing is said before anything is made
        path = Path(path)
        settings = json.loads(json.dumps(settings, allow_nan=False))
        if os.path.lexists(path):
            folder, found = path, _manifest(path)
            if found is None:
                raise FileExistsError(f"{path} exists and is not an output of t2jax: choose another name")
        else:
            folder = _partial(path)
            found = _manifest(folder)
            if found is None and os.path.lexists(folder) and not _nothing_in(folder):
                raise FileExistsError(f"{folder} exists and is not an output of t2jax: choose another name")
        if found is not None:
            if not resume:
                state = "exists" if folder == path else "is unfinished"
                raise FileExistsError(f"{folder} {state}: continue it with resume=True, or choose another name")
            _compare(folder, found["settings"], settings)
        with explained(folder):
            if found is None:
                folder.mkdir(exist_ok=True)
                replace(folder / MANIFEST, _manifest_bytes(settings))
            for name in filter(is_aside, os.listdir(folder)):  # by a process that was killed
                (folder / name).unlink(missing_ok=True)
        return cls(path, folder, settings)

    @classmethod
    def join(cls, path: Any, *, settings: Mapping[str, Any]) -> "Output":
        """The output that another process of this run has begun. Raises ValueError where it did so otherwise."""
        path = Path(path)
        folder = path if os.path.lexists(path) else _partial(path)
        found = _manifest(folder)
        if found is None:
            raise FileNotFoundError(f"{folder} was not begun by process 0: do all processes see the same folder?")
        settings = json.loads(json.dumps(settings, allow_nan=False))
        _compare(folder, found["settings"], settings)
        return cls(path, folder, settings)

    def done(self, part: int) -> bool:
        """Is this part there, and as it was written? Reads all of it. Removes what else has its number."""
        names = self._names.get(part, [])
        whole = next((name for name in names if _is_as_written(part, self.folder / name)), None)
        if whole is None:
            return False
        self._keep_only(part, whole)
        return True

    def file(self, part: int) -> Path:
        """Where a part is that is `done`."""
        (name,) = self._names[part]
        return self.folder / name

    def write(self, part: int, table: Any) -> None:
        """Write a pyarrow table as this part, in place of what there may be. Raises OSError that says how to go on."""
        content = _encoded(table)
        name = _name(part, content)
        with explained(self.folder):
            replace(self.folder / name, content)
        self._keep_only(part, name)

    def _keep_only(self, part: int, name: str) -> None:
        with explained(self.folder):
            for other in self._names.get(part, []):
                if other != name:
                    (self.folder / other).unlink(missing_ok=True)
        self._names[part] = [name]

    def finish(self, *, parts: int, rows: int) -> None:
        """Say that this is all, in the manifest, and give the folder its name. Other processes may have written parts.

        Raises RuntimeError where one of the parts 0 … parts − 1 is missing.
        """
        there = {int(match[1]) for name in os.listdir(self.folder) if (match := _PART.fullmatch(name))}
        missing = sorted(set(range(parts)) - there)
        if missing or len(there) != parts:
            lacks = f"lacks {len(missing):,} of {parts:,} parts, the first is {missing[0] if missing else None}"
            raise RuntimeError(f"{self.folder} {lacks if missing else f'has more than {parts:,} parts'}")
        with explained(self.folder):
            replace(self.folder / MANIFEST, _manifest_bytes(self._settings, parts=parts, rows=rows))
            if self.folder != self.path:
                if os.path.lexists(self.path):
                    raise FileExistsError(
                        f"{self.path} has been made by another meanwhile: all parts are in {self.folder}. "
                        "Move it away and continue with resume=True"
                    )
                os.rename(self.folder, self.path)
                flush(self.path.parent)
        self.folder = self.path


def arrow(module: str = "pyarrow") -> Any:
    """pyarrow, or a module of it. Raises ImportError that says what to install."""
    try:
        # Not an import statement: type checkers would ask for pyarrow, which may be absent.
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError('Parquet needs pyarrow: pip install "t2jax[io]"') from error


def versions(*packages: str) -> dict[str, str]:
    """Of what decides the bytes of results."""
    found = {}
    for package in packages:
        found[package] = "not installed"
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def discard(path: Path) -> None:
    """Remove the output at this path, finished or not, unless something else is in it. The manifest goes last."""
    for folder in (path, _partial(path)):
        if folder.is_symlink() or not folder.is_dir():
            continue
        names = sorted(os.listdir(folder), key=lambda name: name == MANIFEST)
        if all(name == MANIFEST or is_aside(name) or _PART.fullmatch(name) for name in names):
            with explained(folder):
                for name in names:
                    (folder / name).unlink(missing_ok=True)
                folder.rmdir()


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _nothing_in(folder: Path) -> bool:
    """Was a process killed before it had written the manifest?"""
    return folder.is_dir() and not folder.is_symlink() and all(map(is_aside, os.listdir(folder)))


def _manifest(folder: Path) -> Any:
    """What the manifest says, None where this is no output."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("settings"), dict) else None


def _manifest_bytes(settings: Mapping[str, Any], **whole: int) -> bytes:
    said = {"format": "t2jax parts 1", "settings": settings, **whole}
    return (json.dumps(said, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _compare(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    different = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if different:
        shown = different[:_MOST_SHOWN]
        listed = ", ".join(f"{name} was {_shown(old.get(name))}, is {_shown(new.get(name))}" for name in shown)
        listed += f", and {len(different) - len(shown):,} more" if len(different) > len(shown) else ""
        raise ValueError(f"{folder} was begun otherwise: {listed}. Run it as it was, or choose another name")


def _shown(value: Any, most: int = 60) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else text[: most - 1] + "…"


def _encoded(table: Any) -> Any:
    """The bytes of a Parquet file. The same table gives the same bytes."""
    pa, parquet = arrow(), arrow("pyarrow.parquet")
    # Dictionaries of floats would take five times as long as all the rest.
    texts = [f.name for f in table.schema if pa.types.is_dictionary(f.type) or pa.types.is_string(f.type)]
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="snappy", use_dictionary=texts or False)
    return sink.getvalue()


def _name(part: int, content: Any) -> str:
    return f"part-{part:08d}-{zlib.crc32(content):08x}.parquet"


def _is_as_written(part: int, path: Path) -> bool:
    try:
        return path.name == _name(part, path.read_bytes())
    except OSError:  # what cannot be read is written again
        return False
