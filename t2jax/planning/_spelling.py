"""How a field is written where a person gives it: as an option, as a column of a table, or as an argument in Python."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Spelling", "as_argument", "as_column", "as_option"]


@dataclass(frozen=True)
class Spelling:
    """Called with the name of a field: how it is written.

    assign: with a value. switch: a flag that is set. help: where a person reads more. range: what says that a field
    varies. table: what plans for a table of scenarios. all_rows: where every row of a frontier is.
    """

    write: Callable[[str], str]
    assign: Callable[[str, str], str]
    switch: Callable[[str], str]
    between: str = " "
    help: str = "t2jax plan --help"
    range: str = "START:STOP:COUNT"
    table: str = "t2jax sweep"
    all_rows: str = "--out and --json give all"

    def __call__(self, name: str) -> str:
        return self.write(name)

    def examples(self, **values: str) -> str:
        """queries="1e9", output_tokens="500" → '--queries 1e9 --output-tokens 500'."""
        return self.between.join(self.assign(name, value) for name, value in values.items())


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _in_python(value: str) -> str:
    """Numbers and lists as they are, in quotes what is a text."""
    try:
        float(value)
    except ValueError:
        return value if value.startswith("[") else repr(value)
    return value


as_option = Spelling(_option, lambda name, value: f"{_option(name)} {value}", _option)
"""total_flops → --total-flops."""
as_column = Spelling(str, lambda name, value: f"{name} {value}", str)
"""The field's name itself."""
as_argument = Spelling(
    lambda name: f"{name}=",
    lambda name, value: f"{name}={_in_python(value)}",
    lambda name: f"{name}=True",
    between=", ",
    help="help(t2.plan)",
    range="START:STOP:COUNT, or a sequence of numbers",
    table="t2.plan_batch",
    all_rows="rows, to_pandas() and write(path) give all",
)
"""total_flops → total_flops=."""
