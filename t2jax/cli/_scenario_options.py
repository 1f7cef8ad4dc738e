"""Options that are rows of the table of fields: which of them a command has, and as what tyro is to know them."""

import abc
import functools
from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from t2jax.cli._arguments import as_typed, option
from t2jax.planning._field import Field, documented
from t2jax.planning._fields import TABLE
from t2jax.planning._scenario import checked_value
from t2jax.planning._spelling import as_option

__all__ = ["HasFields", "Scenario", "check_values", "typed_in", "with_fields"]


class HasFields(abc.ABC):
    """A command with an option for each of its `rows`, before those that its class says itself.

    `with_fields` makes the dataclass that tyro parses: only then are all fields known that were added. A docstring may
    have names in braces, which begin lines, for which `words` has the text.
    """

    words: ClassVar[Mapping[str, str]] = {}

    @staticmethod
    @abc.abstractmethod
    def rows() -> Sequence[Field]:
        """In the order of the help."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class Scenario(HasFields):
    """What `sweep` and `frontier` share: budgets, demand, what to be good at, and caps."""

    @staticmethod
    def rows() -> Sequence[Field]:
        return [one for one in TABLE if one.column]


def with_fields(command: type) -> Any:
    """The command as a dataclass, a subclass of it; one without rows as it is."""
    return _built(command, tuple(command.rows())) if issubclass(command, HasFields) else command


@functools.cache
def _built(command: type[HasFields], rows: tuple[Field, ...]) -> Any:
    options = [(one.name, option(one.kind, one.help_for(as_option)), one.default) for one in rows]
    own = [
        (name, kind, *([vars(command)[name]] if name in vars(command) else []))
        for name, kind in command.__annotations__.items()
    ]
    spec: Any = [*options, *own]
    said = {"__doc__": documented(command.__doc__ or "", **command.words), "__module__": command.__module__}
    return make_dataclass(command.__name__, spec, bases=(command,), namespace=said, frozen=True, kw_only=True)


def typed_in(command: HasFields) -> dict[str, Any]:
    """The fields of a command by name, what is no number as the word that was typed."""
    return {one.name: as_typed(getattr(command, one.name)) for one in command.rows()}


def check_values(command: HasFields) -> None:
    """Raises `UsageError` for the first value that its field may not hold."""
    typed = typed_in(command)
    for one in command.rows():
        checked_value(one, typed[one.name], as_option)
