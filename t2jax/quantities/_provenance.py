"""Where coefficients come from and where they may be trusted. Loads no JAX, so that listing them is quick."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from t2jax._io.text import human

__all__ = ["Provenance"]

Range = tuple[float, float]
_EDGE = 1e-6  # of a range's end: a solver's rounding there does not count
_USUAL = ("params", "tokens", "samples")


@dataclass(frozen=True)
class Provenance:
    """The source of a law's coefficients and the ranges of the data they were fitted on.

    name: what reports call it, such as "besiroglu2024". citation: authors, year, where to find it.
    params, tokens, samples: (smallest, largest) N, D and k fitted on; None where the law has no such variable or
    the source does not say. others: the same of further variables by name, {"thinking_tokens": (1, 32e3)}.
    convention: whether N counts all parameters or leaves out the embeddings.
    """

    name: str
    citation: str
    params: Range | None
    tokens: Range | None
    samples: Range | None = None
    convention: Literal["total", "non-embedding"] = "total"
    note: str = ""
    others: Any = None  # kept as ((name, range), …), which hashes

    def __post_init__(self) -> None:
        further = dict(self.others or ())
        for name, given in (*((one, getattr(self, one)) for one in _USUAL), *further.items()):
            if given is None:
                continue
            low, high = given
            if not 0 < low <= high < math.inf:
                raise ValueError(f"{name} of {self.name} must be (low, high) with 0 < low <= high, got {given}")
            if name in _USUAL:
                object.__setattr__(self, name, (float(low), float(high)))
            else:
                further[name] = (float(low), float(high))
        object.__setattr__(self, "others", tuple(sorted(further.items())) or None)
        if self.convention not in ("total", "non-embedding"):
            raise ValueError(f"convention of {self.name} must be 'total' or 'non-embedding', got {self.convention!r}")

    @property
    def ranges(self) -> dict[str, Range]:
        """The fitted range of each variable that has one, by its name."""
        known = {name: getattr(self, name) for name in _USUAL if getattr(self, name) is not None}
        return known | dict(self.others or ())

    def holds(self, params: Any = None, tokens: Any = None, samples: Any = None, **others: Any) -> Any:
        """Are N, D, k and further variables within the fitted ranges? Elementwise for arrays of one shape.

        What is not given is not judged. Else as `outside`.
        """
        inside: Any = True
        given = {"params": params, "tokens": tokens, "samples": samples, **others}
        for name, (low, high) in self.ranges.items():
            value = given.get(name)
            if value is not None:
                inside = inside & (value >= low * (1 - _EDGE)) & (value <= high * (1 + _EDGE))
        return inside

    def outside(self, params: float, tokens: float, samples: float = 1.0, **others: float) -> list[str]:
        """One sentence for each of N, D, k and further variables that lies outside the fitted range.

        An empty list within it. Plain numbers.
        """
        sentences = []
        given = {"params": params, "tokens": tokens, "samples": samples, **others}
        for name, (low, high) in self.ranges.items():
            value = given.get(name)
            if value is None or low * (1 - _EDGE) <= value <= high * (1 + _EDGE):
                continue
            side = "above" if value > high else "below"
            sentences.append(f"{name} {_short(value)} is {side} the fitted range {self.shown(name)} of {self.name}")
        return sentences

    def shown(self, variable: str) -> str:
        """The fitted range of one variable as people read it: "70M–16B", or "–" where there is none."""
        fitted = self.ranges.get(variable)
        return "–" if fitted is None else "–".join(_short(end) for end in fitted)


def _short(value: float) -> str:
    """As `human`, without the zeros that carry nothing: '70M', not '70.0M'."""
    shown = human(value)
    digits = shown.rstrip("KMBT")
    if "." in digits and "e" not in digits:
        shown = digits.rstrip("0").rstrip(".") + shown[len(digits) :]
    return shown
