"""Why a coefficient is at a boundary of its fit: the kinds of reasons, what each measures, and how it is said."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from t2jax.fitting._coordinates import Kind

__all__ = ["Boundary", "BoundaryKind", "Loose", "boundary_of"]


class BoundaryKind(enum.Enum):
    """Why the data do not say what a coefficient is. What `Boundary.measured` is for each:"""

    ZERO = "zero"
    """An irreducible loss of 0, from where the objective does not fall: the objective's slope, ∂F/∂E just above 0."""
    ONE_VALUE = "one value"
    """All rows have one value of the column whose effect it describes: that value."""
    UNFELT = "unfelt"
    """It ran away to where it does nothing: the most that any prediction moves, relatively, by a step of it."""
    FLAT = "flat"
    """It can move, alone or with others, at no cost: the objective's curvature that way, as a share of the largest."""
    WIDE = "wide"
    """Its standard error is beyond reason: that error, of its logarithm or log odds; None where it is no number."""
    CARRIED = "carried"
    """It moves along with one that is not identified, as an amplitude with its exponent: None."""


@dataclass(frozen=True)
class Boundary:
    """Why one coefficient is at a boundary: kind, the reason as a sentence, and the number that it was seen by."""

    kind: BoundaryKind
    sentence: str
    measured: float | None = None

    def __str__(self) -> str:
        return self.sentence


class Loose(NamedTuple):
    """Why one coordinate is not identified. others: coordinates that move along with it. column: of one value."""

    kind: BoundaryKind
    measured: float | None = None
    others: tuple[int, ...] = ()
    column: str = ""


_UNKNOWN = "{name} is not identified: "
_SENTENCES: Mapping[BoundaryKind, str] = {
    BoundaryKind.ZERO: "{name} is 0: no larger one was found to lower the objective, whose slope there is {:+.3g}",
    BoundaryKind.ONE_VALUE: _UNKNOWN + "all rows have {column} {:.4g}",
    BoundaryKind.UNFELT: _UNKNOWN + "while {grows}, no {row} changes by more than {:.2g}{of_it}",
    BoundaryKind.FLAT: _UNKNOWN + "it can move together with {others} at no cost ({:.1g} of the largest curvature)",
    BoundaryKind.WIDE: _UNKNOWN + "one standard error of {its} is a factor of e^{:.3g}",
    BoundaryKind.CARRIED: _UNKNOWN + "it moves with {others}",
}
_WITHOUT: Mapping[BoundaryKind, str] = {
    BoundaryKind.FLAT: _UNKNOWN + "the objective does not bend along it",  # no others
    BoundaryKind.WIDE: _UNKNOWN + "its standard error is too large for a number",  # nothing measured
}
_GROWS = {
    Kind.POSITIVE: "it grows by a factor of e",
    Kind.SHARE: "its odds grow by a factor of e",
    Kind.REAL: "it grows by 1",
}


def boundary_of(name: str, coordinate: Kind, reason: Loose, names: Sequence[str], *, counted: bool) -> Boundary:
    """The reason in words. names: of all coordinates. counted: are rows counts, which have a likelihood each?"""
    others = [names[i] for i in reason.others]
    is_bare = not others if reason.kind is BoundaryKind.FLAT else reason.measured is None
    sentence = _WITHOUT[reason.kind] if is_bare and reason.kind in _WITHOUT else _SENTENCES[reason.kind]
    words = sentence.format(
        reason.measured,
        name=name,
        column=reason.column,
        others=" and ".join(others),
        grows=_GROWS[coordinate],
        its="its odds" if coordinate is Kind.SHARE else "it",
        row="row's log likelihood" if counted else "prediction",
        of_it="" if counted else " of itself",
    )
    return Boundary(reason.kind, words, reason.measured)
