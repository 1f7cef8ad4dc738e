"""What varies along a frontier: the numbers of one field, in equal ratios or as they were listed.

Loads no JAX, and NumPy only for the numbers themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from t2jax._io.numbers import number
from t2jax._io.usage import UsageError
from t2jax.planning._fields import COLUMNS, NUMBERS, TABLE, field
from t2jax.planning._scenario import check_names, checked_scenario, checked_value, checked_whole
from t2jax.planning._spelling import Spelling

__all__ = ["Varied", "checked_range", "short"]

_EXAMPLE = "1e20:1e27:50"
_MOST_POINTS = 1_000_000
_SHOWN = 5
"""Numbers of a longer list are named."""


@dataclass(frozen=True)
class Varied:
    """start … stop in `count` equal ratios, of the field `name`; or the numbers that are `listed`."""

    name: str
    start: float
    stop: float
    count: int
    listed: tuple[float, ...] | None = None

    @property
    def points(self) -> Any:
        """The numbers, as an array."""
        import numpy as np

        return np.geomspace(self.start, self.stop, self.count) if self.listed is None else np.array(self.listed)

    def to_json(self) -> Any:
        if self.listed is not None:
            return list(self.listed)
        return {"start": self.start, "stop": self.stop, "count": self.count}

    @staticmethod
    def in_words(said: Any) -> str:
        """What `to_json` gives, as a person types it."""
        if not isinstance(said, list):
            return f"{short(said['start'])}:{short(said['stop'])}:{said['count']}"
        shown = [short(one) for one in said]
        if len(shown) > _SHOWN:
            shown = [*shown[:2], "…", shown[-1]]
        return f"[{', '.join(shown)}]"


def short(value: float) -> str:
    """1e+21 → '1e21'."""
    return f"{value:g}".replace("e+0", "e").replace("e+", "e")


def checked_range(given: Mapping[str, Any], spelled: Spelling) -> tuple[Varied, dict[str, Any]]:
    """What varies, and every other field, its default where it is not given. Raises `UsageError`."""
    for name in given:
        if name not in COLUMNS and name in [one.name for one in TABLE]:
            raise UsageError(f"{spelled(name)} is for a single plan, t2.plan: a frontier counts in FLOPs")
    check_names(given, list(COLUMNS), spelled)
    varied = _varied_in(given, spelled)
    example = f"; for example {spelled.assign('total_flops', _EXAMPLE)}"
    scenario = checked_scenario({**given, varied.name: varied.stop}, spelled, example=example)
    return varied, {name: value for name, value in scenario.items() if name != varied.name}


def _varied_in(scenario: Mapping[str, Any], spelled: Spelling) -> Varied:
    """The one field that is a range: text such as 1e20:1e27:50, or a sequence. Raises `UsageError`."""
    ranges = {name: value for name, value in scenario.items() if name in NUMBERS and _is_range(value)}
    if len(ranges) != 1:
        many = f"{' and '.join(map(spelled, ranges))} are ranges" if ranges else "nothing is a range"
        example = spelled.assign("total_flops", _EXAMPLE)
        raise UsageError(f"{many}: give one of the numbers as {spelled.range}, for example {example}")
    ((name, value),) = ranges.items()
    return _typed(name, value, spelled) if isinstance(value, str) else _listed(name, value, spelled)


def _is_range(value: Any) -> bool:
    if isinstance(value, str):
        return ":" in value
    return hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0


def _typed(name: str, word: str, spelled: Spelling) -> Varied:
    parts = word.split(":")
    called = spelled(name)
    refused = f"{called} takes {spelled.range}, for example {_EXAMPLE}, got {word!r}"
    if len(parts) != 3:
        raise UsageError(refused)
    try:
        start, stop, count = (number(part) for part in parts)
    except ValueError:
        raise UsageError(refused) from None
    for end in (start, stop):
        checked_value(field(name), end, lambda _: f"an end of {called}")
    if min(start, stop) <= 0 or start == stop:
        raise UsageError(f"the ends of {called} must be positive and differ, got {word!r}")
    points = checked_whole(f"COUNT of {called}", count, least=2, most=_MOST_POINTS, instead=spelled.table)
    return Varied(name, start, stop, points)


def _listed(name: str, values: Any, spelled: Spelling) -> Varied:
    called = spelled(name)
    checked_whole(f"the length of {called}", len(values), least=2, most=_MOST_POINTS, instead=spelled.table)
    each = values.tolist() if hasattr(values, "tolist") else values
    numbers = tuple(checked_value(field(name), one, lambda _: f"each of {called}") for one in each)
    even = Varied(name, numbers[0], numbers[-1], len(numbers))
    # What NumPy's geomspace gave is what the command line makes of the same range.
    is_even = min(numbers) > 0 and numbers[0] != numbers[-1] and tuple(even.points.tolist()) == numbers
    return even if is_even else Varied(name, numbers[0], numbers[-1], len(numbers), numbers)
