r"""Results as tables of pandas, Arrow and LaTeX: the numbers are the results' own, and the LaTeX is well made."""

import math
import re
import sys
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import t2jax as t2
from t2jax._io.convert import Converted, ResultColumn, as_latex
from t2jax.fitting._optimum import Interval, OptimumInterval

LAW = t2.Chinchilla(1.8, 400.0, 2000.0, 0.34, 0.37)
PARAMS = np.tile(np.geomspace(5e7, 1e10, 6), 6)
TOKENS = np.repeat(np.geomspace(1e9, 1e12, 6), 6)
LOSS = np.asarray(LAW(t2.Allocation(PARAMS, TOKENS, 1.0))) * np.exp(np.random.default_rng(0).normal(0, 0.004, 36))


@pytest.fixture(scope="module")
def fit():
    return t2.fit(t2.Chinchilla, {"params": PARAMS, "tokens": TOKENS, "loss": LOSS}, fixed={"E": 1.8}, starts=8)


@pytest.fixture(scope="module")
def solution():
    return t2.minimize(LAW, [t2.TrainingFLOPs() <= 1e21, t2.params <= 1e9])


@pytest.fixture(scope="module")
def batch():
    """2 × 3 of them, one of which is infeasible."""

    @eqx.filter_jit
    def solve(flops, least):
        return t2.minimize(LAW, [t2.TrainingFLOPs() <= flops, t2.params >= least, t2.tokens >= 1e9])

    each = jax.vmap(jax.vmap(solve, (None, 0)), (0, None))
    return each(jnp.array([1e20, 1e22]), jnp.array([1e8, 1e9, 1e20]))


@pytest.fixture(scope="module")
def plan():
    return t2.plan(total_flops=1e24, queries=1e9, output_tokens=500)


@pytest.fixture(scope="module")
def paid_plan():
    return t2.plan(usd=1e6, queries=1e9, output_tokens=500, hardware="h100-sxm", usd_per_hour=2.5)


INTERVAL = OptimumInterval(
    0.8,
    {"params": Interval(2e9, 1e9, 3e9), "value": Interval(2.5, math.nan, math.nan)},
    {"params": Interval(2.1e9, 1.1e9, 3.1e9), "value": Interval(2.51, 2.5, 2.52)},
    0.99,
)


def rows_of(result):
    """The rows by pandas and by Arrow, which must say the same."""
    frame, table = result.to_pandas(), result.to_arrow()
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(table, pa.Table)
    by_arrow = table.to_pylist()
    by_pandas = [
        {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in row.items()}
        for row in frame.to_dict("records")
    ]
    assert by_pandas == by_arrow
    return by_arrow


# --- The numbers ------------------------------------------------------------------------------------------------------


def test_a_fit_has_a_row_for_each_coefficient(fit):
    rows = {row["coefficient"]: row for row in rows_of(fit)}
    assert list(rows) == ["E", "A", "B", "alpha", "beta"]
    assert {name: row["value"] for name, row in rows.items()} == fit.coefficients
    assert {row.pop("state") for name, row in rows.items() if name != "E"} == {"fitted"}
    assert rows.pop("E") == {
        "coefficient": "E", "value": 1.8, "standard_error": None, "low": None, "high": None, "state": "fixed",
    }  # fmt: skip
    assert {name: row["standard_error"] for name, row in rows.items()} == fit.standard_errors
    assert {name: (row["low"], row["high"]) for name, row in rows.items()} == fit.interval(0.9)


def test_what_is_not_identified_has_no_interval(fit):
    rows = {row["coefficient"]: row for row in rows_of(replace(fit, at_boundary=("E", "alpha")))}
    assert [(rows[name]["state"], rows[name]["low"]) for name in ("E", "alpha")] == [
        ("at its boundary", None),
        ("not identified", None),
    ]
    assert rows["A"]["low"] == fit.interval(0.9)["A"][0]


def test_a_solution_has_a_row(solution):
    (row,) = rows_of(solution)
    a = solution.allocation
    prices = [float(one) for one in solution.shadow_prices]
    assert list(row) == [
        "params", "tokens", "samples", "value", "price of TrainingFLOPs <=", "price of params <=", "status",
    ]  # fmt: skip
    assert list(row.values()) == [float(a.params), float(a.tokens), 1.0, float(solution.value), *prices, "solved"]


def test_a_batch_has_a_row_for_each_lane(batch):
    rows = rows_of(batch)
    assert [row["status"] for row in rows] == ["solved", "solved", "infeasible"] * 2
    for i, row in enumerate(rows):
        lane = divmod(i, 3)
        for name, values in (("params", batch.allocation.params), ("value", batch.value)):
            expected = float(values[lane])
            assert row[name] == (None if math.isnan(expected) else expected)
        if row["status"] == "solved":
            flops, least = [1e20, 1e22][lane[0]], [1e8, 1e9][lane[1]]
            one = t2.minimize(LAW, [t2.TrainingFLOPs() <= flops, t2.params >= least, t2.tokens >= 1e9])
            assert row["params"] == pytest.approx(float(one.allocation.params), rel=1e-9)
            assert row["price of params >="] == pytest.approx(float(one.shadow_prices[1]), rel=1e-6, abs=1e-9)


def test_a_k_for_each_task_has_columns_of_its_own():
    tasks = t2.Portfolio([t2.Workload(t2.T2Loss(LAW, G, 0.5), queries=1e9) for G in (0.5, 1.5)])
    found = t2.minimize(tasks.quality, [t2.TrainingFLOPs() + tasks.inference <= 1e23], start=tasks.start)
    (row,) = rows_of(found)
    assert [row["samples[0]"], row["samples[1]"]] == np.asarray(found.allocation.samples).tolist()


def test_constraints_of_one_name_have_columns_of_their_own():
    found = t2.minimize(LAW, [t2.TrainingFLOPs() <= 1e21, t2.TrainingFLOPs() <= 1e22])
    (row,) = rows_of(found)
    prices = [float(one) + 0.0 for one in found.shadow_prices]
    assert [row["price of TrainingFLOPs <="], row["price of TrainingFLOPs <= (2)"]] == prices


def test_a_traced_solution_is_refused():
    @jax.jit
    def convert(flops):
        return t2.minimize(LAW, [t2.TrainingFLOPs() <= flops]).to_pandas()

    with pytest.raises(TypeError, match="a traced solution has no numbers yet"):
        convert(1e21)


@pytest.mark.parametrize("which", ["plan", "paid_plan"])
def test_a_plan_has_a_row_for_each_allocation(request, which):
    plan = request.getfixturevalue(which)
    said = plan.to_dict()
    rows = rows_of(plan)
    assert [row.pop("allocation") for row in rows] == ["optimum", "chinchilla", "one_sample"]
    for row, figures in zip(rows, (said["optimum"], *said["baselines"].values()), strict=True):
        figures.pop("outside_fit")
        known = {name: value for name, value in figures.items() if value is not None}
        assert {name: value for name, value in row.items() if value is not None} == known
    assert ("usd" in rows[0], "total_flops" in rows[0]) == ((True, False) if which == "paid_plan" else (False, True))


def test_why_there_is_no_baseline_is_said():
    plan = t2.plan(target=0.6, queries=1e9, output_tokens=500)
    reasons = [row["why_none"] for row in rows_of(plan)]
    assert reasons[0] is None
    assert reasons[1:] == [plan.baselines.chinchilla.why_none, plan.baselines.one_sample.why_none]
    assert any(reasons)


def test_intervals_have_a_row_for_each_number_and_method():
    rows = rows_of(INTERVAL)
    assert [(row["name"], row["method"], row["median"], row["low"], row["high"]) for row in rows] == [
        ("params", "delta method", 2e9, 1e9, 3e9),
        ("value", "delta method", 2.5, None, None),
        ("params", "ensemble", 2.1e9, 1.1e9, 3.1e9),
        ("value", "ensemble", 2.51, 2.5, 2.52),
    ]


# --- LaTeX ------------------------------------------------------------------------------------------------------------


def parsed(latex):
    """Cells of a `tabular`; that it is well made is asserted."""
    begin, top, header, middle, *rows, bottom, end = latex.splitlines()
    layout = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", begin)[1]
    assert (top, middle, bottom, end) == (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}")
    assert latex.endswith("\n")
    grid = []
    for line in (header, *rows):
        assert line.endswith(r" \\") or line == r"\\"
        cells = re.split(r"(?<!\\)&", line.removesuffix(r"\\"))
        assert len(cells) == len(layout)
        grid.append([cell.strip() for cell in cells])
    for cell in (cell for row in grid for cell in row):
        assert cell.isascii()
        bare = re.sub(r"\\[&%$#_{}]", "", cell)
        assert not set(bare) & set('&%#~"')
        assert bare.count("$") % 2 == 0
        outside = "".join(re.split(r"\$[^$]*\$", bare))
        assert not set(outside) & set("_^<>|")
        depth = 0
        for letter in bare:
            depth += {"{": 1, "}": -1}.get(letter, 0)
            assert depth >= 0
        assert depth == 0
    return grid


def test_latex_of_every_result_is_well_made(fit, solution, batch, plan, paid_plan):
    for result in (fit, solution, batch, plan, paid_plan, INTERVAL):
        header, *rows = parsed(result.to_latex())
        down, across = result.to_pandas().shape
        expected = (across - 1, down + 1) if result in (plan, paid_plan) else (down, across)
        assert (len(rows), len(header)) == expected


def test_latex_of_a_fit(fit):
    header, fixed, first, *_ = parsed(fit.to_latex())
    assert header == ["coefficient", "value", "standard error", r"90 \% interval from", "to", "state"]
    assert fixed == ["E", "1.8000", "---", "---", "---", "fixed"]
    assert first[0] == "A"
    assert float(first[1].replace(",", "")) == pytest.approx(fit.coefficients["A"], rel=1e-4)
    assert float(first[2].replace(",", "")) == pytest.approx(fit.standard_errors["A"], rel=1e-2)


def test_latex_of_a_plan_has_figures_as_rows(plan):
    header, *rows = parsed(plan.to_latex())
    assert header == ["", "optimum", "Chinchilla-optimal", "one sample (k = 1)"]
    cells = {row[0]: row[1] for row in rows}
    assert cells["loss (nats per token)"] == f"{plan.optimum.loss_nats:.4f}"
    mantissa, exponent = f"{plan.optimum.train_flops:.2e}".split("e+")
    assert cells["training FLOPs"] == rf"${mantissa} \times 10^{{{exponent}}}$"
    assert cells["pass@k"] == rf"{100 * plan.optimum.pass_at_k:.3g}\%"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 50% of $3 #1 {x}", r"a\_b \& 50\% of \$3 \#1 \{x\}"),
        ("C:\\x~y^2", r"C:\textbackslash{}x\textasciitilde{}y\textasciicircum{}2"),
        ("D/N <= 20, α ≥ β·γ", r"D/N $\le$ 20, $\alpha$ $\ge$ $\beta$$\cdot$$\gamma$"),
        ("1 – 2 × 3 …", r"1 -- 2 $\times$ 3 \ldots{}"),
    ],
)
def test_latex_escapes(text, expected):
    column = ResultColumn("x", [text], text)
    assert parsed(as_latex([column])) == [[expected], [expected]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1e24, r"$1.00 \times 10^{24}$"),
        (-2.5e-7, r"$-2.50 \times 10^{-7}$"),
        (-3.25, r"$-$3.25"),
        (7e9, "7.00B"),
        (None, "---"),
        (math.nan, "---"),
        (math.inf, "inf"),
    ],
)
def test_latex_numbers(value, expected):
    assert parsed(as_latex([ResultColumn("n", ["x"]), ResultColumn("v", [value])])) == [["n", "v"], ["x", expected]]


# --- Libraries that are not there -------------------------------------------------------------------------------------


class Own(Converted):
    def _columns(self):
        return [ResultColumn("x", [1.0, None]), ResultColumn("y", ["a", None]), ResultColumn("z", [None, None])]


def test_types_of_columns():
    table, frame = Own().to_arrow(), Own().to_pandas()
    assert table.schema.types == [pa.float64(), pa.string(), pa.float64()]
    assert table.to_pydict() == {"x": [1.0, None], "y": ["a", None], "z": [None, None]}
    assert (frame["x"].dtype, frame["z"].dtype) == (np.float64, np.float64)


@pytest.mark.parametrize(
    ("module", "method", "message"),
    [
        ("pandas", "to_pandas", "to_pandas needs pandas: pip install pandas"),
        ("pyarrow", "to_arrow", 'to_arrow needs pyarrow: pip install "t2jax[io]"'),
    ],
)
def test_what_to_install_is_said(monkeypatch, module, method, message):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$"):
        getattr(Own(), method)()
    assert "tabular" in Own().to_latex()  # needs neither
