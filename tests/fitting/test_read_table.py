"""`t2.read_table`: any table as columns, and what is said of it."""

import json

import numpy as np
import pytest
from spreadsheets import write_xlsx

import t2jax as t2

PARAMS, LOSS, RUN = [7e9, 1e24, 1.1e8], [2.0, 2.5, 3.25], ["a", "b", "c"]
WORDS = ["7B", "1e24", "110M"]


def text(delimiter):
    rows = zip(WORDS, map(str, LOSS), RUN, strict=True)
    return "\n".join(delimiter.join(row) for row in [("params", "loss", "run"), *rows]) + "\n"


def in_pandas(tmp_path):
    return pytest.importorskip("pandas").DataFrame({"params": PARAMS, "loss": LOSS, "run": RUN})


def in_arrow(tmp_path):
    return pytest.importorskip("pyarrow").table({"params": PARAMS, "loss": LOSS, "run": RUN})


def in_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(in_arrow(tmp_path), tmp_path / "runs.parquet")
    return tmp_path / "runs.parquet"


def in_text(name, content):
    def write(tmp_path):
        (tmp_path / name).write_text(content, encoding="utf-8")
        return str(tmp_path / name)

    return write


LINES = [json.dumps({"params": p, "loss": x, "run": r}) for p, x, r in zip(WORDS, LOSS, RUN, strict=True)]
WAYS = {
    "csv": (in_text("runs.csv", text(",")), ()),
    "semicolons": (in_text("runs.csv", text(";")), ("cells are separated by semicolons",)),
    "tabs": (in_text("runs.csv", text("\t")), ("cells are separated by tabs",)),
    "tsv": (in_text("runs.tsv", text("\t")), ()),
    "jsonl": (in_text("runs.jsonl", "\n".join(LINES)), ()),
    "parquet": (in_parquet, ()),
    "arrow": (in_arrow, ()),
    "pandas": (in_pandas, ()),
    "mapping": (lambda _: {"params": PARAMS, "loss": LOSS, "run": RUN}, ()),
}


@pytest.mark.parametrize(("written", "notes"), WAYS.values(), ids=WAYS)
def test_any_table_is_its_columns(written, notes, tmp_path):
    data = written(tmp_path)
    table = t2.read_table(data)
    assert len(table) == 3
    assert (list(table.columns), list(table.labels), table.others) == (["params", "loss"], ["run"], ())
    assert (table["params"].tolist(), table["loss"].tolist(), table["run"].tolist()) == (PARAMS, LOSS, RUN)
    assert table["loss"].dtype == np.float64
    assert table.notes == notes
    some = t2.read_table(data, ["loss"], labels=["run"])
    assert (list(some.columns), list(some.labels), some.others) == (["loss"], ["run"], ("params",))


def test_other_sheets_are_said_not_to_be_read(tmp_path):
    pytest.importorskip("python_calamine")
    write_xlsx(tmp_path / "runs.xlsx", runs=[("params", "loss"), *zip(PARAMS, LOSS, strict=True)], old=[("x",)])
    table = t2.read_table(tmp_path / "runs.xlsx")
    assert table["loss"].tolist() == LOSS
    assert table.notes == ('of its sheets only "runs" is read, not "old"',)
    assert str(table).endswith('\n  note: of its sheets only "runs" is read, not "old"')


def test_empty_cells_are_said(tmp_path):
    (tmp_path / "runs.csv").write_text("params,loss\n1e9,\n2e9,2.5\n", encoding="utf-8")
    table = t2.read_table(tmp_path / "runs.csv")
    np.testing.assert_array_equal(table["loss"], [np.nan, 2.5])
    assert table.notes == ('column "loss" has 1 cell without a number, which is NaN',)
    with pytest.raises(ValueError, match=r'^runs\.csv, line 2, column "loss": must be finite, but is empty$'):
        t2.read_table(tmp_path / "runs.csv", ["loss"])


def test_a_decimal_comma_is_an_error_that_says_what_to_write(tmp_path):
    (tmp_path / "runs.csv").write_text("params;loss\n1e9;2,5\n2e9;2.25\n3e9;2,125\n", encoding="utf-8")
    message = r"""^runs\.csv, line 2, column "loss": must be a number, got '2,5', which looks like a decimal comma: """
    with pytest.raises(ValueError, match=message + r"write 2\.5 \(and 1 more bad cell\)$"):
        t2.read_table(tmp_path / "runs.csv")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("Runs of March\nparams,tokens,loss\n1e9,2e10,2.5\n", "params, tokens, loss"),
        ("Runs of March,,\nours,theirs,when\n1e9,2e10,2.5\n", "ours, theirs, when"),
        ("Scenarios\ntotal_flops;queries\n1e24;1e9\n", "total_flops, queries"),
    ],
)
def test_a_title_is_an_error_that_names_the_header(content, names, tmp_path):
    (tmp_path / "runs.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"^runs\.csv, line 1 looks like a title") as caught:
        t2.read_table(tmp_path / "runs.csv")
    assert f"and line 2 like the header ({names})" in str(caught.value)


@pytest.mark.parametrize("content", ["loss\n2.5\n", "run\na\nb\n"])
def test_a_header_of_one_name_is_no_title(content, tmp_path):
    (tmp_path / "runs.csv").write_text(content, encoding="utf-8")
    assert len(t2.read_table(tmp_path / "runs.csv")) == content.count("\n") - 1


def test_a_fit_takes_it_and_keeps_its_places(tmp_path):
    n, d = np.tile([1e8, 1e9, 1e10], 3), np.repeat([1e9, 1e10, 1e11], 3)
    loss = 1.8 + 400 * n**-0.34 + 2000 * d**-0.37
    lines = ["params;tokens;loss", *(f"{a};{b};{c}" for a, b, c in zip(n, d, loss.tolist(), strict=True))]
    (tmp_path / "runs.csv").write_text("\n".join(lines), encoding="utf-8")
    table = t2.read_table(tmp_path / "runs.csv")
    held = t2.Chinchilla(1.8, 400.0, 2000.0, 0.34, 0.37)
    found = t2.fit(held, table, fixed=("E", "alpha", "beta"), starts=2)
    assert (found.source, found.rows) == ("runs.csv", 9)
    assert found.run.table.where(0) == table.where(0) == "runs.csv, line 2"
    again = t2.fit(held, tmp_path / "runs.csv", fixed=("E", "alpha", "beta"), starts=2)
    np.testing.assert_array_equal(found.values, again.values)


def test_it_prints_what_it_holds(tmp_path):
    (tmp_path / "runs.csv").write_text(text(";"), encoding="utf-8")
    head, *lines, note = str(t2.read_table(tmp_path / "runs.csv")).splitlines()
    assert head == "runs.csv: 3 rows"
    assert [line.split() for line in lines] == [
        ["from", "to"],
        ["params", "110.0M", "1.000e+24"],
        ["loss", "2.000", "3.250"],
        ["run", "text"],
    ]
    assert note == "  note: cells are separated by semicolons"


def test_it_is_a_public_name():
    assert "read_table" in dir(t2)
