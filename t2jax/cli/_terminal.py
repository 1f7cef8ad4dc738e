"""What reaches the terminal: characters that it can show, no control sequences, no message without end.

Cells, headers, law files and file names are strangers' text. Loads neither tyro nor JAX.
"""

import codecs
import io
import json
import os
import re
import sys
import unicodedata
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

__all__ = ["complain", "output", "restyled", "say", "say_json", "shortened", "visible", "writable"]

_LONGEST_MESSAGE = 4_000
"""Characters of what is said on standard error."""
_LONGEST_TEXT = 200_000
"""Characters of an answer in words; that of --json is never cut."""
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"  # also what turns text around
)


def say(text: str) -> None:
    """An answer, on standard output."""
    with output():
        print(visible(shortened(text, _LONGEST_TEXT)))


def say_json(content: Any) -> None:
    """An object on standard output: with escapes for control characters, and for what the output cannot encode."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(content, indent=2, allow_nan=False)
    # Beside line feeds between values they stand only within strings.
    with output():
        print(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def complain(message: str) -> None:
    """What is wrong, on standard error. Where that is closed or full there is nowhere left to say so."""
    _to_stderr(f"t2jax: {visible(shortened(message, _LONGEST_MESSAGE))}")


def restyled(text: str, *, trusted: bool) -> None:
    """Text with colours, on standard error: kept on a terminal where the text is `trusted`, else taken out."""
    stream = sys.stderr
    if trusted and stream is not None and stream.isatty():
        parts, styles = _STYLE.split(text), _STYLE.findall(text)
        shown = "".join(visible(part) + style for part, style in zip(parts, [*styles, ""], strict=True))
    else:
        shown = visible(_STYLE.sub("", text))
    _to_stderr(shortened(shown, _LONGEST_MESSAGE).rstrip("\n"))


def visible(text: str) -> str:
    """The same with control characters other than line feeds written out: ESC is shown as \\x1b."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, most: int) -> str:
    """The same, or its beginning and its end where it has more characters than `most`."""
    if len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 4
    return f"{text[:head]} … ({len(text) - head - tail:,} characters left out) … {text[-tail:]}"


@contextmanager
def writable() -> Generator[None]:
    """Within it standard output and error replace what their encoding lacks, such as α in ASCII, by what it has."""
    changed = []
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                changed.append((stream, stream.errors))
                stream.reconfigure(errors=_PLAINLY)
        yield
    finally:
        for stream, errors in changed:
            with suppress(OSError, ValueError):  # closed meanwhile, or full
                stream.reconfigure(errors=errors)


@contextmanager
def output() -> Generator[None]:
    """For what is printed on standard output: a closed pipe or a full disk is met here. Raises OSError, which names it.

    What is left to be written then goes nowhere: Python would fail again as it ends.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):  # a stream that is no file
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            raise
        raise OSError(error.errno, error.strerror, "standard output") from None


def _to_stderr(text: str) -> None:
    stream: TextIO | None = sys.stderr
    if stream is not None:  # print(file=None) would write to standard output
        with suppress(OSError, ValueError):
            print(text, file=stream, flush=True)


# --- Characters that an encoding lacks --------------------------------------------------------------------------------

_PLAINLY = "t2jax.plainly"
_PLAIN = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "eps",
    "η": "eta",
    "θ": "theta",
    "λ": "lambda",
    "μ": "mu",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "Σ": "Sigma",
    "×": "x",
    "·": "*",
    "−": "-",
    "–": "-",
    "—": "--",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "≠": "!=",
    "±": "+/-",
    "→": "->",
    "²": "^2",
    "³": "^3",
    "√": "sqrt",
    "∞": "inf",
    "∂": "d",
    "…": "...",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "©": "(c)",
    "│": "|",
    "─": "-",
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
}


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_PLAIN.get(one) or _without_marks(one) or "?" for one in missing), error.end


def _without_marks(character: str) -> str:
    """é → e; nothing where no ASCII is left."""
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()


codecs.register_error(_PLAINLY, _plainly)
