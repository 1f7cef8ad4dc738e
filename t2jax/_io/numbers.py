"""Numbers as people type them, read by one rule in options, tables, fit files and arguments: 7B, 1e24, 110M."""

__all__ = ["SUFFIXES", "number"]

SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
"""What a letter at the end, in either case and without a blank before it, multiplies by."""


def number(word: str) -> float:
    """'7B' → 7e9, '1e24' → 1e24. Raises ValueError for what is no number."""
    word = word.strip()
    scale = SUFFIXES.get(word[-1:].upper(), 1.0)
    digits = word[:-1] if scale > 1 else word
    if digits != digits.rstrip():  # '7 B' may be a number beside a unit, bytes for example
        raise ValueError(f"could not convert string to number: {word!r}")
    return float(digits) * scale
