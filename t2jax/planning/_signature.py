"""Functions in Python whose arguments are rows of a table of fields: their signature and docstring come from it."""

import inspect
from collections.abc import Callable, Sequence
from typing import TypeVar

from t2jax.planning._field import Field, described, documented
from t2jax.planning._spelling import as_argument

__all__ = ["takes"]

_F = TypeVar("_F", bound=Callable[..., object])


def takes(rows: Sequence[Field], returns: type) -> Callable[[_F], _F]:
    """A decorator: the function takes these fields by name. Its docstring has {arguments} where they are described."""

    def told(function: _F) -> _F:
        if function.__doc__:  # not with python -OO
            function.__doc__ = documented(function.__doc__, arguments=described(rows, as_argument))
        keywords = [inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default) for one in rows]
        vars(function)["__signature__"] = inspect.Signature(keywords, return_annotation=returns)  # for completion
        return function

    return told
