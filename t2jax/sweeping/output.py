"""Results on disk: a folder of Parquet parts that is whole or not there, and can be taken up where a run ended.

While parts are written the folder is called `NAME.partial`; the last step gives it its name. A folder that has its name
is therefore whole, and pyarrow, pandas and Spark read it as one table, as DuckDB and Polars do with `NAME/*.parquet`.
Each part is written aside, flushed to the disk and renamed. Its name ends with the checksum of its bytes, by which a
part that is not as it was written is found. Nothing depends on the time or on how often the run was taken up.
"""

import errno
import importlib
import json
import os
import re
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Output", "arrow"]

MANIFEST = "_manifest.json"  # readers of a folder of Parquet pass over what begins with an underscore
_ASIDE = ".aside"
_PART = re.compile(r"part-(\d{8,})-[0-9a-f]{8}\.parquet")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
        with _explained(folder):
            if found is None:
                folder.mkdir(exist_ok=True)
                _replace(folder / MANIFEST, _manifest_bytes(settings))
            for left in folder.glob(f"*{_ASIDE}"):  # by a process that was killed
                left.unlink(missing_ok=True)
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
        """Is this part there, and as it was written? Reads all of it."""
        return any(_is_as_written(part, self.folder / name) for name in self._names.get(part, []))

    def write(self, part: int, table: Any) -> None:
        """Write a pyarrow table as this part, in place of what there may be. Raises OSError that says how to go on."""
        content = _encoded(table)
        name = _name(part, content)
        with _explained(self.folder):
            _replace(self.folder / name, content)
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
        with _explained(self.folder):
            _replace(self.folder / MANIFEST, _manifest_bytes(self._settings, parts=parts, rows=rows))
            if self.folder != self.path:
                os.rename(self.folder, self.path)
                _flush(self.path.parent)
        self.folder = self.path


def arrow(module: str = "pyarrow") -> Any:
    """pyarrow, or a module of it. Raises ImportError that says what to install."""
    try:
        # Not an import statement: type checkers would ask for pyarrow, which may be absent.
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError('Parquet needs pyarrow: pip install "t2jax[io]"') from error


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _nothing_in(folder: Path) -> bool:
    """Was a process killed before it had written the manifest?"""
    return folder.is_dir() and all(name.endswith(_ASIDE) for name in os.listdir(folder))


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
        listed = ", ".join(f"{name} was {_shown(old.get(name))}, is {_shown(new.get(name))}" for name in different)
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


def _replace(path: Path, content: Any) -> None:
    """Write aside, flush to the disk, rename."""
    aside = path.with_name(f"{path.name}.{os.getpid()}{_ASIDE}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)  # above all on a full disk
        raise
    _flush(path.parent)


def _flush(folder: Path) -> None:
    """So that the new names outlast a loss of power, too."""
    if os.name == "nt":  # no folder can be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _explained(path: Path) -> Generator[None]:
    """OSErrors as sentences: which path, why, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            message = f"no space to write {path}: the parts there are whole; make room, continue with resume=True"
        elif not path.parent.is_dir():
            message = f"cannot write {path}: there is no folder {path.parent}"
        else:
            message = f"cannot write {path}: {error.strerror or error}"
        explained = type(error)(message)
        explained.errno = error.errno
        raise explained from error
