"""Where coefficients come from and where they may be trusted. Loads no JAX, so that listing them is quick."""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from t2jax._io.text import human

__all__ = ["Provenance"]

Range = tuple[float, float]
_EDGE = 1e-6  # of a range's end: a solver's rounding there does not count
_Variable = Literal["params", "tokens", "samples"]


@dataclass(frozen=True)
class Provenance:
    """The source of a law's coefficients and the ranges of the data they were fitted on.

    name: what reports call it, such as "besiroglu2024". citation: authors, year, where to find it.
    params, tokens, samples: (smallest, largest) N, D and k fitted on; None where the law has no such variable or
    the source does not say. convention: whether N counts all parameters or leaves out the embeddings.
    """

    name: str
    citation: str
    params: Range | None
    tokens: Range | None
    samples: Range | None = None
    convention: Literal["total", "non-embedding"] = "total"
    note: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            given = getattr(self, field.name)
            if field.name in ("params", "tokens", "samples") and given is not None:
                low, high = given
                if not 0 < low <= high < math.inf:
                    raise ValueError(
                        f"{field.name} of {self.name} must be (low, high) with 0 < low <= high, got {given}"
                    )
                object.__setattr__(self, field.name, (float(low), float(high)))
        if self.convention not in ("total", "non-embedding"):
            raise ValueError(f"convention of {self.name} must be 'total' or 'non-embedding', got {self.convention!r}")

    def holds(self, params: Any, tokens: Any, samples: Any) -> Any:
        """Are N, D and k within the fitted ranges? Elementwise for arrays of one shape; else as `outside`."""
        inside: Any = True
        for fitted, value in ((self.params, params), (self.tokens, tokens), (self.samples, samples)):
            if fitted is not None:
                inside = inside & (value >= fitted[0] * (1 - _EDGE)) & (value <= fitted[1] * (1 + _EDGE))
        return inside

    def outside(self, params: float, tokens: float, samples: float = 1.0) -> list[str]:
        """One sentence for each of N, D, k that lies outside the fitted range; an empty list within it.

        Plain numbers.
        """
        sentences = []
        given: tuple[tuple[_Variable, float], ...] = (("params", params), ("tokens", tokens), ("samples", samples))
        for variable, value in given:
            fitted = getattr(self, variable)
            if fitted is None:
                continue
            low, high = fitted
            if value > high * (1 + _EDGE):
                side = "above"
            elif value < low * (1 - _EDGE):
                side = "below"
            else:
                continue
            sentences.append(
                f"{variable} {_short(value)} is {side} the fitted range {self.shown(variable)} of {self.name}"
            )
        return sentences

    def shown(self, variable: _Variable) -> str:
        """The fitted range of one variable as people read it: "70M–16B", or "–" where there is none."""
        fitted = getattr(self, variable)
        return "–" if fitted is None else "–".join(_short(end) for end in fitted)


def _short(value: float) -> str:
    """As `human`, without the zeros that carry nothing: '70M', not '70.0M'."""
    shown = human(value)
    digits = shown.rstrip("KMBT")
    if "." in digits and "e" not in digits:
        shown = digits.rstrip("0").rstrip(".") + shown[len(digits) :]
    return shown
