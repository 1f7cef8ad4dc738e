"""Files with tables, of every kind, say the same to `fit` and to a sweep; what people's spreadsheets do is said."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spreadsheets import write_xlsx

import t2jax as t2
from t2jax.cli import main
from t2jax.fitting._table import FINITE, POSITIVE, Column, read_table
from t2jax.planning.tables import _reading as reading
from t2jax.planning.tables._reading import Source
from t2jax.planning.tables._scenarios import read_scenarios

PARAMS = Column("params", "N, model parameters", POSITIVE)
LOSS = Column("loss", "nats per token", FINITE)
HEADER = ["params", "loss", "run"]
ROWS = [["7B", 3.5, "a"], [2e8, 2.25, "b,c"], [125e6, 2, "d"]]
NUMBERS = {"params": [7e9, 2e8, 125e6], "loss": [3.5, 2.25, 2.0]}


def csv_with(delimiter, quote=""):
    def write(path, rows):
        lines = [delimiter.join(f'"{x}"' if "," in str(x) else f"{quote}{x}{quote}" for x in row) for row in rows]
        path.write_text("\n".join(lines) + "\n")

    return write


def jsonl(path, rows):
    path.write_text("".join(json.dumps(dict(zip(rows[0], row, strict=True))) + "\n" for row in rows[1:]))


FILES = {
    "commas": ("x.csv", csv_with(",")),
    "semicolons": ("x.csv", csv_with(";")),
    "quoted": ("X.CSV", csv_with(";", '"')),
    "tabs in .csv": ("x.csv", csv_with("\t")),
    "tabs": ("x.tsv", csv_with("\t")),
    "json lines": ("x.jsonl", jsonl),
    "xlsx": ("x.xlsx", lambda path, rows: write_xlsx(path, runs=rows)),
}


@pytest.fixture(params=FILES.values(), ids=FILES)
def of_kind(request, tmp_path):
    """A function that writes rows, the header first, as a file of one kind."""
    name, write = request.param

    def written(rows):
        write(tmp_path / name, rows)
        return tmp_path / name

    return written


def scenarios_of(path):
    (piece,) = Source(path).pieces(100)
    return piece.table, read_scenarios(piece.table, {}, piece.faults), piece.places.tolist()


def test_every_kind_of_file_is_the_same_table_to_fit(of_kind):
    path = of_kind([HEADER, *ROWS])
    table = read_table(path, [PARAMS, LOSS], labels=["run"])
    assert {name: table[name].tolist() for name in NUMBERS} == NUMBERS
    assert table.labels["run"].tolist() == ["a", "b,c", "d"]
    first = {".jsonl": "line 1", ".xlsx": "row 2"}.get(path.suffix, "line 2")
    assert table.where(0) == f"{path.name}, {first}"
    assert read_table(path, [LOSS]).others == ("params", "run")


def test_every_kind_of_file_is_the_same_table_to_a_sweep(of_kind):
    path = of_kind([["total_flops", "queries", "note"], ["1e24", 1e9, "a"], [3e22, "7B", "b,c"], [2.5e23, 12, "d"]])
    table, scenarios, places = scenarios_of(path)
    assert table.column("note").to_pylist() == ["a", "b,c", "d"]
    assert scenarios.faults == {}
    assert scenarios.numbers["total_flops"].tolist() == [1e24, 3e22, 2.5e23]
    assert scenarios.numbers["queries"].tolist() == [1e9, 7e9, 12]
    begins = 1 if path.suffix == ".jsonl" else 2
    assert places == [begins, begins + 1, begins + 2]


@pytest.mark.parametrize("name", ["semicolons", "json lines", "xlsx"])
def test_a_sweep_of_every_kind_gives_the_plans_of_a_csv(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    rows = [["train_flops", "law", "id"], ["1e21", "besiroglu2024", 7], [1e22, "besiroglu2024", 8], ["x", None, 9]]
    plain = [["" if cell is None else cell for cell in row] for row in rows]
    FILES["commas"][1](tmp_path / "plain.csv", plain)
    other, write = FILES[name]
    write(tmp_path / other, plain if name == "semicolons" else rows)
    for source, out in (("plain.csv", "plain.parquet"), (other, "other.parquet")):
        assert main(["sweep", source, "--out", out]) == 0
    capsys.readouterr()
    one, two = (pq.read_table(out).drop_columns("reason") for out in ("plain.parquet", "other.parquet"))
    if name != "semicolons":  # null where a CSV has an empty text
        assert two.column("law").to_pylist()[2] is None
        one, two = one.drop_columns("law"), two.drop_columns("law")
    assert one.equals(two)
    assert one.column("status").to_pylist() == ["solved", "solved", "bad_input"]


# --- Decimal commas ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "note"),
    [
        ("3,66", ", which looks like a decimal comma: write 3.66"),
        ("-0,5", ", which looks like a decimal comma: write -0.5"),
        ("1,5e9", ", which looks like a decimal comma: write 1.5e9"),
        ("7,25B", ", which looks like a decimal comma: write 7.25B"),
        ("1.234,5", ", which looks like a decimal comma: write 1234.5"),
        ("1,234", ", which has a decimal comma (write 1.234) or one between thousands (write 1234)"),
        ("0,125", ", which looks like a decimal comma: write 0.125"),
        ("3;66", ""),
        ("a,b", ""),
        ("1,2,3", ""),
    ],
)
def test_a_decimal_comma_is_said(tmp_path, cell, note):
    path = tmp_path / "x.tsv"
    path.write_text(f"params\tloss\n1e9\t3.5\n1e9\t{cell}\n")
    with pytest.raises(ValueError, match="x") as caught:
        read_table(path, [PARAMS, LOSS])
    assert str(caught.value) == f"x.tsv, line 3, column \"loss\": must be a number, got '{cell}'{note}"
    path.write_text(f"total_flops\n{cell}\n")
    _, scenarios, _ = scenarios_of(path)
    assert scenarios.faults == {0: f"total_flops must be a number such as 1e24, 7B or 15T, got '{cell}'{note}"}


def test_a_decimal_comma_in_a_file_of_semicolons(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("params;loss\n7B;3,66\n8B;3,5\n")
    with pytest.raises(ValueError, match=r"line 2, column \"loss\".* write 3\.66 \(and 1 more bad cell\)"):
        read_table(path, [PARAMS, LOSS])


# --- Titles -----------------------------------------------------------------------------------------------------------

RUNS, SCENARIOS = ["params", "loss", "run"], ["total_flops", "queries", "note"]


@pytest.mark.parametrize("title", [["Runs of July"], ["Runs of July, in nats"], ["Runs", "of July", ""]])
def test_a_title_above_the_header_is_said(tmp_path, title):
    """By both readers, whatever separates the cells below it, which the title's own line does not show."""
    shown = ", ".join(filter(None, title))
    for delimiter in ",;\t":
        for names, read in ((RUNS, lambda path: read_table(path, [PARAMS, LOSS])), (SCENARIOS, Source)):
            lines = [",".join(title), "", delimiter.join(names), delimiter.join(["1", "2", "3"])]
            (tmp_path / "x.csv").write_text("\n".join(lines))
            with pytest.raises(ValueError, match="title") as caught:
                read(tmp_path / "x.csv")
            assert str(caught.value) == (
                f"x.csv, line 1 looks like a title ({shown!r}), and line 3 like the header ({', '.join(names)}): "
                "remove the 2 lines above it"
            )


@pytest.mark.parametrize(
    ("names", "read"), [(RUNS, lambda path: read_table(path, [PARAMS, LOSS])), (SCENARIOS, Source)]
)
def test_a_title_in_a_sheet_is_said(tmp_path, names, read):
    path = write_xlsx(tmp_path / "x.xlsx", Sheet=[["Our runs"], names, [1, 2, "a"]])
    with pytest.raises(ValueError, match="title") as caught:
        read(path)
    assert str(caught.value) == (
        f"x.xlsx, row 1 looks like a title ('Our runs'), and row 2 like the header ({', '.join(names)}): "
        "remove the row above it"
    )


def test_no_title_where_the_header_is_one(tmp_path):
    """Columns of other names are missing, or pass through, as ever."""
    path = tmp_path / "x.csv"
    path.write_text("id,kind\nparams,loss\n3,4\n")
    with pytest.raises(ValueError, match=r"^x\.csv has no columns"):  # as wide as its rows
        read_table(path, [PARAMS, LOSS])
    path.write_text("id\n1\n")
    assert Source(path).names == ["id"]
    path.write_text("Runs of July\n1,2\n")
    with pytest.raises(ValueError, match=r"^x\.csv has no column .*It has Runs of July$"):
        read_table(path, [LOSS])


# --- JSON lines -------------------------------------------------------------------------------------------------------

BAD_LINES = [
    ('{"loss": 1', "not valid JSON: Expecting ',' delimiter, at column 11"),
    ("[1, 2]", 'is not a JSON object such as {"params": 1e9}'),
    ('{"loss": 1, "loss": 2}', 'has "loss" more than once'),
    (b'{"loss": "\xff"}', "is not text in UTF-8"),
    ('{"loss": "\\ud800"}', "is not text in UTF-8"),
    ("[" * 100_000, "is nested too deeply"),
]


@pytest.mark.parametrize(("line", "fault"), BAD_LINES)
def test_bad_lines_of_json(tmp_path, line, fault):
    path = tmp_path / "x.jsonl"
    line = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(b'{"loss": 1, "total_flops": 1e24}\n\n' + line + b'\n{"total_flops": "2e24"}\n')
    with pytest.raises(ValueError, match="line 3") as caught:
        read_table(path, [LOSS])
    assert str(caught.value) == f"x.jsonl, line 3: {fault}"
    (piece,) = Source(path).pieces(100)  # other rows are answered
    assert (piece.faults, piece.places.tolist()) == ({1: fault}, [1, 3, 4])
    found = read_scenarios(piece.table, {}, piece.faults)
    assert found.numbers["total_flops"][[0, 2]].tolist() == [1e24, 2e24]


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("true", "must be a number, got True"),
        ("null", "must be finite, but is empty"),
        ('" "', "must be finite, but is empty"),
        ("[1]", "must be a number, got [1]"),
        ("NaN", "must be finite, got nan"),
        ('"3,5"', "must be a number, got '3,5', which looks like a decimal comma: write 3.5"),
    ],
)
def test_bad_cells_of_json(tmp_path, cell, fault):
    path = tmp_path / "x.jsonl"
    path.write_text(f'{{"loss": 2}}\n{{"loss": {cell}, "more": 1}}\n')
    with pytest.raises(ValueError, match="line 2") as caught:
        read_table(path, [LOSS])
    assert str(caught.value) == f'x.jsonl, line 2, column "loss": {fault}'


def test_json_lines_without_rows(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("")
    with pytest.raises(ValueError, match=r"^x\.jsonl is empty$"):
        read_table(path, [LOSS])
    assert list(Source(path).pieces(10)) == []
    path.write_text("{}\n")
    with pytest.raises(ValueError, match=r"no line with a scenario; line 1: is \{\}"):
        Source(path)


def test_json_lines_come_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_ROWS", 7)
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"total_flops": 1e20 * (i + 1)}) + "\n" for i in range(50)))
    pieces = list(Source(path).pieces(20))
    assert [piece.table.num_rows for piece in pieces] == [20, 20, 10]
    assert np.concatenate([piece.places for piece in pieces]).tolist() == list(range(1, 51))
    assert pieces[-1].share == 1
    values = [float(text) for piece in pieces for text in piece.table.column("total_flops").to_pylist()]
    assert values == [1e20 * (i + 1) for i in range(50)]


# --- Spreadsheets -----------------------------------------------------------------------------------------------------


def test_places_and_blanks_of_a_sheet(tmp_path):
    rows = [[None], [None, "loss", "params"], [], [None, 3, 1e9], [None, None, None], [None, "x", 2e9]]
    path = write_xlsx(tmp_path / "x.xlsx", Sheet=rows)
    with pytest.raises(ValueError, match="x") as caught:
        read_table(path, [PARAMS, LOSS])
    assert str(caught.value) == "x.xlsx, row 6, column \"loss\": must be a number, got 'x'"
    write_xlsx(path, Sheet=[[None], [None, "total_flops", "note"], [], [None, 3e20, "a"], [None], [None, "1e21"]])
    table, scenarios, places = scenarios_of(path)
    assert (table.column_names, places) == (["total_flops", "note"], [4, 6])
    assert scenarios.numbers["total_flops"].tolist() == [3e20, 1e21]
    assert table.column("note").to_pylist() == ["a", None]
    write_xlsx(path, Sheet=[["a", None], [1, 2]])
    with pytest.raises(ValueError, match="column 2 of the header has no name"):
        Source(path)
    write_xlsx(path, Sheet=[])
    with pytest.raises(ValueError, match=r"^x\.xlsx is empty$"):
        read_table(path, [LOSS])


def test_only_the_first_sheet_is_read_and_that_is_said(tmp_path):
    path = write_xlsx(tmp_path / "x.xlsx", Notes=[["hello"]], Runs=[["loss"], [1]])
    with pytest.raises(ValueError, match="x") as caught:
        read_table(path, [LOSS])
    message = (
        'x.xlsx has no column "loss" (nats per token). It has hello; of its sheets only "Notes" is read, not "Runs"'
    )
    assert str(caught.value) == message


def test_xlsx_without_its_library(tmp_path, monkeypatch):
    path = write_xlsx(tmp_path / "x.xlsx", Sheet=[["loss"], [1]])
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    message = r'^reading \.xlsx needs python-calamine: pip install "t2jax\[io\]"$'
    with pytest.raises(ImportError, match=message):
        read_table(path, [LOSS])
    with pytest.raises(t2.UsageError, match=message):
        Source(path)


# --- Tables of other libraries ----------------------------------------------------------------------------------------


class Exports:
    """A table that is known by its Arrow export alone."""

    def __init__(self, columns):
        self._table = pa.table(columns)

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


RUN_COLUMNS = {
    "params": [1e7, 1e8, 1e9, 1e10, 3e8, 3e9] * 3,
    "tokens": [n * 20 * r for n in (1e7, 1e8, 1e9, 1e10, 3e8, 3e9) for r in (0.5, 1, 2)],
    "run": [f"r{i}" for i in range(18)],
}
RUN_COLUMNS["loss"] = [
    1.8 + 400 / n**0.34 + 400 / d**0.28 for n, d in zip(RUN_COLUMNS["params"], RUN_COLUMNS["tokens"], strict=True)
]


@pytest.mark.parametrize("frame", [pd.DataFrame, Exports])
def test_frames_are_tables_of_measurements(frame):
    table = read_table(frame(RUN_COLUMNS), [PARAMS, LOSS], labels=["run"])
    assert table["params"].tolist() == RUN_COLUMNS["params"]
    assert table["loss"].tolist() == RUN_COLUMNS["loss"]
    assert table.labels["run"].tolist() == RUN_COLUMNS["run"]
    assert table.others == ("tokens",)


def frame_of(dtype):
    return pd.DataFrame({"loss": pd.array([1, None, 3], dtype=dtype)})


@pytest.mark.parametrize(
    "frame",
    [frame_of("Int64"), frame_of("int64[pyarrow]"), frame_of("object"), Exports({"loss": [1, None, 3]})],
    ids=["of pandas", "of pandas with Arrow", "objects", "export"],
)
def test_missing_cells_of_frames_are_empty(frame):
    with pytest.raises(ValueError, match=r'^row 1, column "loss": must be finite, but is empty$'):
        read_table(frame, [LOSS])


@pytest.mark.parametrize("frame", [pd.DataFrame, Exports])
def test_frames_are_tables_of_scenarios(frame):
    columns = {"train_flops": [1e21, 1e22], "law": ["besiroglu2024", None], "id": [7, 8]}
    plans = t2.plan_batch(frame(columns))
    assert isinstance(plans, pa.Table)
    assert plans.drop_columns("law").equals(t2.plan_batch(pa.table(columns)).drop_columns("law"))
    assert plans.column("status").to_pylist()[0] == "solved"


@pytest.mark.parametrize("frame", [pd.DataFrame, Exports])
def test_fit_and_what_follows_take_frames(frame):
    """As they take the same columns in a mapping."""
    data = frame(RUN_COLUMNS)
    fit = t2.fit(t2.Chinchilla, data, starts=8)
    same = t2.fit(t2.Chinchilla, RUN_COLUMNS, starts=8)
    assert fit.coefficients == same.coefficients
    out, expected = (t2.holdout(same, one, by="params") for one in (data, None))
    assert (out.cut, out.relative_error) == (expected.cut, expected.relative_error)
    sizes = np.geomspace(1e8, 1e10, 9)
    runs = [(n, c / (6 * n)) for c in (1e20, 1e21) for n in sizes]
    columns = {"params": [n for n, _ in runs], "tokens": [d for _, d in runs]}
    columns["loss"] = [1.8 + 400 / n**0.34 + 400 / d**0.28 for n, d in runs]
    assert t2.isoflop(frame(columns)).exponent == t2.isoflop(columns).exponent
    curves = [(n, d) for n in np.geomspace(1e8, 1e9, 6) for d in np.geomspace(1e9, 1e11, 12)]
    columns = {"params": [n for n, _ in curves], "tokens": [d for _, d in curves]}
    columns["loss"] = [1.8 + 400 / n**0.34 + 400 / d**0.28 for n, d in curves]
    assert t2.envelope(frame(columns)).exponent == t2.envelope(columns).exponent


def test_plan_batch_says_what_it_takes():
    with pytest.raises(TypeError, match=r"got dict: dataframes of pandas or polars, .*\(__arrow_c_stream__\)"):
        t2.plan_batch({"train_flops": [1e21]})


def test_no_library_of_frames_is_loaded():
    code = "import sys, t2jax, t2jax.fitting, t2jax.planning._batch; "
    code += "assert not {'pandas', 'polars', 'python_calamine'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
