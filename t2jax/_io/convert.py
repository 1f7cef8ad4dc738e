"""Results as tables of other programs (pandas, Arrow, LaTeX), from the columns that each says once.

The libraries are imported when they are asked for.
"""

import abc
import importlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from t2jax._io.text import human

__all__ = ["Converted", "ResultColumn", "as_latex"]

_LETTERS = "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"
_GREEK = dict(zip("αβγδεζηθκλμνξπρστφχψω", _LETTERS.split(), strict=True))
_SIGNS = {
    "−": "$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "√": r"$\surd$",
    "∞": r"$\infty$",
}
_SIGNS |= {"–": "--", "—": "---", "…": r"\ldots{}", "²": "$^2$", "³": "$^3$", "′": "$'$", "<": "$<$", ">": "$>$"}
_SIGNS |= {letter: f"$\\{name}$" for letter, name in _GREEK.items()}
_SPECIAL = {letter: f"\\{letter}" for letter in "&%$#_{}"}
_SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", '"': "''", "|": "$|$"}
_ESCAPES = str.maketrans(_SPECIAL | _SIGNS)
_POWER = re.compile(r"(-?[\d.,]+)e([+-]?\d+)")
_NONE = "---"


@dataclass(frozen=True)
class ResultColumn:
    """A column of a result.

    values: numbers, with None or NaN where there is none, or texts. title: the heading in LaTeX, with the unit.
    written: how a number is printed there. words: what stands there for a text.
    """

    name: str
    values: Sequence[Any] | np.ndarray
    title: str = ""
    written: Callable[[float], str] = human
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        return self.title or self.name

    @property
    def is_text(self) -> bool:
        return not isinstance(self.values, np.ndarray) and any(isinstance(one, str) for one in self.values)

    @property
    def array(self) -> np.ndarray:
        """float64, NaN for none; or objects, None for none."""
        if self.is_text:
            return np.array([None if one is None else str(one) for one in self.values], object)
        return np.array([math.nan if one is None else one for one in self.values], np.float64)

    @property
    def cells(self) -> list[str]:
        """As they stand in LaTeX."""
        if self.is_text:
            return [_escaped(self.words.get(one, one or "")) for one in self.array]
        return [_NONE if math.isnan(one) else _number(self.written(one)) for one in self.array.tolist()]


class Converted(abc.ABC):
    """Has `to_pandas`, `to_arrow` and `to_latex`, from the columns that `_columns` says."""

    @abc.abstractmethod
    def _columns(self) -> Sequence[ResultColumn]:
        """The columns, all of one length, as numbers of full precision."""

    _upright = True
    """Are the rows of the LaTeX those of the table? Else they are its columns: a few rows of many figures."""

    def to_pandas(self) -> Any:
        """The table of the result as a pandas DataFrame: numbers of full precision, NaN where there is none.

        ```python
        plan = t2.plan(total_flops=1e24, queries=1e9, output_tokens=500)
        plan.to_pandas().set_index("allocation").loc["optimum", "params"]
        ```

        A plan has a row for each allocation, a solution for each lane of the batch (in C order), a fit for each
        coefficient, an `OptimumInterval` for each number and method. Raises ImportError without pandas.
        """
        pandas = _library("pandas", "to_pandas needs pandas: pip install pandas")
        return pandas.DataFrame({column.name: column.array for column in self._columns()})

    def to_arrow(self) -> Any:
        """The table of the result as a pyarrow Table, as `to_pandas`, null where there is none.

        ```python
        solution = t2.minimize(t2.published("hoffmann2022"), [t2.TrainingFLOPs() <= 1e23])
        pyarrow.parquet.write_table(solution.to_arrow(), "optimum.parquet")
        ```

        Raises ImportError without pyarrow.
        """
        pa = _library("pyarrow", 'to_arrow needs pyarrow: pip install "t2jax[io]"')
        arrays = {}
        for column in self._columns():
            kind = pa.string() if column.is_text else pa.float64()
            arrays[column.name] = pa.array(column.array, kind, from_pandas=True)  # NaN is null
        return pa.table(arrays)

    def to_latex(self) -> str:
        r"""The table of the result as a LaTeX `tabular`, rounded for people. Needs `\usepackage{booktabs}`.

        ```python
        Path("fit.tex").write_text(t2.fit(t2.Chinchilla, "runs.csv").to_latex())
        ```

        Of a plan, the rows are the figures.
        """
        return as_latex(self._columns(), upright=self._upright)


def as_latex(columns: Sequence[ResultColumn], *, upright: bool = True) -> str:
    """Columns as a `tabular`; the first names the rows. upright: else rows and columns are exchanged."""
    grid = [[_escaped(column.heading), *column.cells] for column in columns]
    left = [column.is_text for column in columns]
    if upright:
        grid = [list(row) for row in zip(*grid, strict=True)]
    else:
        grid[0][0] = ""
        left = [True, *[False] * (len(grid[0]) - 1)]
    header, *rows = (f"{' & '.join(row)} \\\\" for row in grid)
    layout = "".join("l" if is_left else "r" for is_left in left)
    begin = [f"\\begin{{tabular}}{{{layout}}}", r"\toprule", header, r"\midrule"]
    return "\n".join([*begin, *rows, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("<=", "≤").replace(">=", "≥").translate(_ESCAPES)


def _number(text: str) -> str:
    """1.00e+24 → $1.00 \\times 10^{24}$, -3.1 → $-3.1$, 50% → 50\\%."""
    if found := _POWER.fullmatch(text):
        return f"${found[1]} \\times 10^{{{int(found[2])}}}$"
    return f"$-${_escaped(text[1:])}" if text.startswith("-") else _escaped(text)


def _library(module: str, message: str) -> Any:
    try:
        # Not an import statement: type checkers would ask for it, and it may be absent.
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(message) from error
