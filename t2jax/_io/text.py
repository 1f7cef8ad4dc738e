"""Numbers and tables as people read them. Imports nothing heavy: the command line's help uses it, too."""

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Sequence

__all__ = [
    "LONGEST",
    "UNITS",
    "aligned",
    "fixed",
    "flops",
    "gigabytes",
    "human",
    "milliseconds",
    "nearest",
    "percent",
    "significant",
    "times",
    "unknown",
    "whole_or_significant",
]

UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"))


def human(value: float, digits: int = 3) -> str:
    """7.3e9 → '7.30B', 1.5e13 → '15.0T', 1e24 → '1.00e+24', 2755.7 → '2,760'; `digits` significant ones."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1e15 or (0 < size < 1e-3):
        return f"{value:.{digits - 1}e}"
    # Rounding may carry into the next unit: 999.96e6 is '1.00B', not '1000M'.
    rounded = float(f"{value:.{digits - 1}e}")
    for unit, letter in UNITS:
        if abs(rounded) >= unit:
            return _significant(rounded / unit, digits) + letter
    return _significant(rounded, digits)


def _significant(value: float, digits: int) -> str:
    if abs(value) < 1:
        return f"{value:.{digits}g}"
    whole = len(str(int(abs(value))))
    return f"{value:,.{max(digits - whole, 0)}f}"


def flops(value: float) -> str:
    """1e24 → '1.00e24', 2e9 → '2.00e9'."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def significant(digits: int) -> Callable[[float], str]:
    """0.6 → '0.6', with at most so many digits."""
    return lambda value: f"{value:.{digits}g}"


def fixed(digits: int) -> Callable[[float], str]:
    """2 → '2.0000', with so many digits after the point."""
    return lambda value: f"{value:.{digits}f}"


def whole_or_significant(value: float) -> str:
    """1234.5 → '1,234', 12.345 → '12.35': a number of samples, whole or not."""
    whole = value >= 1000 or abs(value - round(value)) < 1e-6 * value
    return f"{value:,.0f}" if whole else f"{value:.4g}"


def percent(share: float) -> str:
    """0.5 → '50%'; near certainty the failures are what tells two numbers apart: '99.9987%'."""
    size = 100 * share
    if size > 99:
        return f"{100 - float(f'{100 - size:.2g}'):.10g}%"
    return f"{size:.3g}%"


def times(ratio: float) -> str:
    """2.5 → '2.50×'."""
    return f"{human(ratio)}×"


def milliseconds(seconds: float) -> str:
    """0.0125 → '12.5 ms'."""
    return f"{human(1e3 * seconds)} ms"


def gigabytes(size: float) -> str:
    """16e9 → '16.0 GB'."""
    return f"{size / 1e9:.1f} GB"


LONGEST = 100
"""Letters of a name that may have been mistyped. To compare longer ones takes long."""


def nearest(given: str, known: Iterable[str], *, most: int = 3, likeness: float = 0.6) -> list[str]:
    """The known names that are most like the given one, in either case; likeness: share of letters in common."""
    if len(given) > LONGEST:
        return []
    by_lower = {name.lower(): name for name in known}
    return [by_lower[name] for name in difflib.get_close_matches(given.lower(), by_lower, n=most, cutoff=likeness)]


def unknown(what: str, name: object, known: Collection[str], listing: str) -> str:
    """ "no accelerator is called 'h1000': did you mean 'h100-sxm'? list_accelerators() shows all 14"."""
    near = nearest(str(name), known, likeness=0.5)
    meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"no {what} is called {name!r}: {meant}{listing} shows all {len(known)}"


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ", left: Sequence[int] = (0,)) -> str:
    """Rows of cells as lines with straight columns: those of `left` to the left, the others to the right."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(columns)]
    lines = []
    for row in rows:
        cells = [cell.ljust(widths[i]) if i in left else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)
