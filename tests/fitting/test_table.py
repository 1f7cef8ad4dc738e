"""Tables of measurements: every way to give one is read alike, and every flaw is met with its place."""

import math
import subprocess
import sys
from decimal import Decimal
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from t2jax.fitting._table import FINITE, NATURAL, NONNEGATIVE, POSITIVE, SHARE, Column, read_table

PARAMS = Column("params", "N, model parameters", POSITIVE)
TOKENS = Column("tokens", "D, training tokens", POSITIVE)
LOSS = Column("loss", "nats per token", FINITE)
SAMPLES = Column("samples", "k, samples per query", NATURAL, optional=True)
WANTED = (PARAMS, TOKENS, LOSS, SAMPLES)

GOOD = {"params": [1e8, 2e8, 4e8], "tokens": [10**10, 2 * 10**10, 10**30], "loss": [3.0, 2.5, 2.25]}
CSV = "params,tokens,loss,run\n1e8,10000000000,3.0,a\n2e8, 2e10 ,2.5,b\n4e8,1e30,2.25,c\n"


def says(error, data, wanted=WANTED, **options):
    with pytest.raises(error) as caught:
        read_table(data, wanted, **options)
    assert caught.type is error
    return str(caught.value)


@pytest.fixture
def written(tmp_path):
    """A function that writes a file and gives its path."""

    def write(content, name="runs.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def arrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


class Frame:
    """What a dataframe is to `read_table`."""

    def __init__(self, columns):
        self._columns, self.columns = columns, list(columns)

    def __getitem__(self, name):
        return self._columns[name]


# --- What is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        {name: np.array(column, dtype=float) for name, column in GOOD.items()},
        {name: jnp.array(column, dtype=float) for name, column in GOOD.items()},
        {name: tuple(map(Decimal, column)) for name, column in GOOD.items()},
        Frame({name: np.array(column, dtype=object) for name, column in GOOD.items()}),
    ],
    ids=["lists", "numpy", "jax", "decimals", "frame"],
)
def test_columns_in_memory(data):
    table = read_table(data, WANTED)
    assert list(table.columns) == ["params", "tokens", "loss"]
    assert len(table) == 3
    assert (table.source, table.others) == (None, ())
    assert all(column.dtype == np.float64 for column in table.columns.values())
    assert all(table[name].tolist() == [float(x) for x in GOOD[name]] for name in GOOD)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint64, jnp.bfloat16])
def test_every_numeric_dtype(dtype):
    assert read_table({"loss": np.array([1, 2], dtype=dtype)}, [LOSS])["loss"].tolist() == [1, 2]


def test_columns_are_copies():
    loss = np.array([1.0, 2.0])
    table = read_table({"loss": loss}, [LOSS], labels=["loss"])
    loss[0] = 7
    assert table["loss"][0] == table.labels["loss"][0] == 1


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_csv(written, as_path):
    table = read_table(as_path(written(CSV)), WANTED)
    assert all(table[name].tolist() == [float(x) for x in GOOD[name]] for name in GOOD)
    assert all(column.dtype == np.float64 for column in table.columns.values())
    assert (table.source, table.others) == ("runs.csv", ("run",))
    assert table.where(0) == "runs.csv, line 2"


def test_csv_as_programs_write_it(written):
    """With a byte order mark, Windows line ends, quotes, blank lines, blanks in the header, columns without a name."""
    content = '\r\n"params", tokens ,loss,,\r\n"1e8",1e10,3,,\r\n\r\n2e8,2e10,2.5,,\r\n'
    table = read_table(written(content, encoding="utf-8-sig"), WANTED)
    assert table["tokens"].tolist() == [1e10, 2e10]
    assert table.others == ()
    assert [table.where(row) for row in (0, 1)] == ["runs.csv, line 3", "runs.csv, line 5"]


def test_tsv(written):
    table = read_table(written(CSV.replace(",", "\t"), "RUNS.TSV"), WANTED, labels=["run"])
    assert table["loss"].tolist() == GOOD["loss"]
    assert table.labels["run"].tolist() == ["a", "b", "c"]


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = arrow({"loss": [3, 2], "run": ["a", "b"], "loss.std": [1.0, 2.0]})
    columns = columns.set_column(1, "run", columns["run"].dictionary_encode())
    parquet.write_table(columns, tmp_path / "runs.parquet")
    table = read_table(tmp_path / "runs.parquet", [LOSS, SAMPLES], labels=["run"])
    assert table["loss"].tolist() == [3, 2]
    assert table.labels["run"].tolist() == ["a", "b"]
    assert (table.source, table.others, table.where(1)) == ("runs.parquet", ("loss.std",), "runs.parquet, row 1")
    assert read_table(tmp_path / "runs.parquet", [LOSS], rename={"loss": "loss.std"})["loss"].tolist() == [1, 2]


def test_arrow_table_and_batch():
    columns = arrow({"loss": [3, 2], "more": [1, 1]})
    for data in (columns, columns.to_batches()[0]):
        table = read_table(data, [LOSS])
        assert table["loss"].tolist() == [3, 2]
        assert table.others == ("more",)


def test_rename_and_labels():
    data = {"k": [1, 2], "loss": [3.0, 2.0], "run": ["a", "b"], "seed": [7, 8], "samples": [0, 0]}
    table = read_table(data, [LOSS, SAMPLES], rename={"samples": "k"}, labels=["run", "seed"])
    assert table["samples"].tolist() == [1, 2]
    assert table.labels["run"].tolist() == ["a", "b"]
    assert table.labels["seed"].tolist() == [7, 8]
    assert table.others == ("samples",)


def test_a_column_may_be_number_and_label(written):
    table = read_table(written("loss\n1.50\n"), [LOSS], labels=["loss"])
    assert (table["loss"].tolist(), table.labels["loss"].tolist()) == ([1.5], ["1.50"])


def test_rows_taken_keep_their_places(written):
    table = read_table(written(CSV), WANTED, labels=["run"])
    some = table.take(table["loss"] < 3)
    assert len(some) == 2
    assert some["params"].tolist() == [2e8, 4e8]
    assert some.labels["run"].tolist() == ["b", "c"]
    assert some.take(np.array([1])).where(0) == "runs.csv, line 4"
    assert len(some.take([])) == 0
    memory = read_table(GOOD, WANTED).take(jnp.array([2, 0]))
    assert memory["loss"].tolist() == [2.25, 3.0]
    assert memory.where(0) == "row 2"


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (FINITE, [-1.5, 0.0], []),
        (POSITIVE, [1e-300, 2.5], [0.0, -1.0]),
        (NONNEGATIVE, [0.0, 2.5], [-1e-300]),
        (NATURAL, [0.0, 3.0, 1e30], [0.5, -1.0]),
        (SHARE, [0.0, 0.5, 1.0], [-1e-9, 1.0000001]),
    ],
)
def test_rules(rule, good, bad):
    assert rule.holds(np.array(good)).all()
    assert not rule.holds(np.array([*bad, math.inf, -math.inf, math.nan])).any()


# --- What is wrong with a cell ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("-3", "must be positive and finite, got -3"),
        (" 0.0 ", "must be positive and finite, got 0.0"),
        ("nan", "must be positive and finite, got nan"),
        ("1e999", "must be positive and finite, got 1e999"),
        ("abc", "must be a number, got 'abc'"),
        ("1.5 B", "must be a number, got '1.5 B'"),
        ('"1,5"', "must be a number, got '1,5'"),
        ("True", "must be a number, got 'True'"),
        ("x" * 99, f"must be a number, got '{'x' * 39}…'"),
        ("", "must be positive and finite, but is empty"),
        ("  ", "must be positive and finite, but is empty"),
    ],
)
def test_bad_cell_of_csv(written, cell, fault):
    path = written(f"params,tokens\n1,1\n1,{cell}\n1,1\n")
    assert says(ValueError, path, [PARAMS, TOKENS]) == f'runs.csv, line 3, column "tokens": {fault}'


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        ([1, -3], "must be positive and finite, got -3"),
        (np.array([1, -3], dtype=np.float32), "must be positive and finite, got -3.0"),
        ([1.0, math.nan], "must be positive and finite, got nan"),
        ([1, 10**400], f"must be positive and finite, got 1{'0' * 38}…"),
        ([1.0, None], "must be positive and finite, but is empty"),
        ([1.0, ""], "must be positive and finite, but is empty"),
        (np.ma.array([1, 7], mask=[False, True]), "must be positive and finite, but is empty"),
        ([1, "12"], "must be a number, got '12'"),
        (np.array([1, True], dtype=object), "must be a number, got True"),
        (np.array([1, 2j], dtype=object), "must be a number, got 2j"),
        (np.array([1, np.timedelta64(2, "s")], dtype=object), "must be a number, got 2 seconds"),
        (np.array([1, [2]], dtype=object), "must be a number, got [2]"),
    ],
)
def test_bad_cell_in_memory(column, fault):
    assert says(ValueError, {"tokens": column}, [TOKENS]) == f'row 1, column "tokens": {fault}'


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (np.array(["12", "13"]), "'12'"),
        (np.array([True, False]), "True"),
        (np.array([1 + 0j, 2]), "(1+0j)"),
        (np.array(["2020-01-01"] * 2, dtype="M8[ns]"), "2020-01-01T00:00:00.000000000"),
        (np.array([1, 2], dtype="m8[s]"), "1 seconds"),
    ],
)
def test_columns_of_something_else(column, shown):
    message = f'row 0, column "tokens": must be a number, got {shown} (and 1 more bad cell)'
    assert says(ValueError, {"tokens": column}, [TOKENS]) == message


def test_nulls_of_arrow_are_empty(tmp_path):
    columns = arrow({"tokens": [1, None, 3, -1]})
    fault = 'row 1, column "tokens": must be positive and finite, but is empty (and 1 more bad cell)'
    assert says(ValueError, columns, [TOKENS]) == fault
    pytest.importorskip("pyarrow.parquet").write_table(columns, tmp_path / "runs.parquet")
    assert says(ValueError, tmp_path / "runs.parquet", [TOKENS]) == f"runs.parquet, {fault}"


def test_the_first_bad_cell_and_how_many_follow(written):
    path = written("tokens,params\n1,1\n1,-3\nabc,0\n,1\n")
    first = 'runs.csv, line 3, column "params": must be positive and finite, got -3'
    assert says(ValueError, path, [TOKENS, PARAMS]) == f"{first} (and 3 more bad cells)"
    data = {"D": [1, -1, -1], "loss": [1, 2, math.nan]}
    fault = 'row 1, column "D": must be positive and finite, got -1 (and 2 more bad cells)'
    assert says(ValueError, data, [LOSS, TOKENS], rename={"tokens": "D"}) == fault


def test_an_optional_column_that_is_there_is_checked(written):
    fault = 'runs.csv, line 2, column "samples": must be a whole number, zero or more, got 1.5'
    assert says(ValueError, written("loss,samples\n1,1.5\n"), [LOSS, SAMPLES]) == fault


def test_lines_are_those_of_an_editor(written):
    path = written('note,loss\n"over\nthree\nlines",1\n\n"over\ntwo",x\n')
    assert says(ValueError, path, [LOSS]) == "runs.csv, line 6, column \"loss\": must be a number, got 'x'"


# --- What is wrong with a table ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("params,tokens,los", 'column "loss" (nats per token): did you mean "los"? It has params, tokens, los'),
        ("params,tokens,x", 'column "loss" (nats per token). It has params, tokens, x'),
        (
            "params,TOKEN,Loss",
            'columns "tokens" (D, training tokens), "loss" (nats per token): did you mean "TOKEN" or "Loss"? '
            "It has params, TOKEN, Loss",
        ),
        (
            "params,tokens," + ",".join(f"x{i}" for i in range(20)),
            'column "loss" (nats per token). It has params, tokens, x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, …',
        ),
    ],
)
def test_missing_columns(written, header, fault):
    assert says(ValueError, written(header + "\n")) == f"runs.csv has no {fault}"
    # In memory, the names are those of the mapping.
    assert says(ValueError, {name: [1.0] for name in header.split(",")}) == f"the data has no {fault}"


def test_missing_columns_by_other_names():
    data = {"loss": [1.0], "runs": ["a"], 3: [1]}
    fault = 'the data has no column "run" (label): did you mean "runs"? It has loss, runs, 3'
    assert says(ValueError, data, [LOSS], labels=["run"]) == fault
    # An optional column that was asked for by its name must be there.
    fault = 'the data has no column "k" (k, samples per query). It has loss, runs, 3'
    assert says(ValueError, data, [LOSS, SAMPLES], rename={"samples": "k"}) == fault
    assert says(ValueError, {}, [LOSS]) == 'the data has no column "loss" (nats per token). It has none'


def test_rename_of_an_unknown_column():
    fault = 'rename: no column "sample" is needed: did you mean "samples"?'
    assert says(ValueError, GOOD, rename={"sample": "k"}) == fault
    fault = 'rename: no column "x" is needed: needed are params, tokens, loss, samples'
    assert says(ValueError, GOOD, rename={"x": "k"}) == fault


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        (5, 'column "loss" must be one-dimensional, got shape ()'),
        ("abc", 'column "loss" must be one-dimensional, got shape ()'),
        (np.ones((2, 3)), 'column "loss" must be one-dimensional, got shape (2, 3)'),
        ([[1], [2, 3]], 'column "loss" must be one-dimensional, got rows of unequal shapes'),
        ([1, 2], 'columns must be of one length: "params" has 3, "tokens" has 3, "loss" has 2'),
    ],
)
def test_columns_of_another_shape(column, fault):
    assert says(ValueError, GOOD | {"loss": column}) == fault


def test_labels_must_fit_the_columns():
    data = {"loss": [1.0, 2.0], "run": ["a"]}
    fault = 'columns must be of one length: "loss" has 2, "run" has 1'
    assert says(ValueError, data, [LOSS], labels=["run"]) == fault


def test_no_rows(written):
    assert says(ValueError, {"loss": []}, [LOSS]) == "the data has no rows"
    assert says(ValueError, written("loss\n\n"), [LOSS]) == "runs.csv has no rows"


def test_a_column_twice(written):
    assert says(ValueError, written("loss,x,x \n1,2,3\n"), [LOSS]) == 'runs.csv has more than one column "x"'
    twice = SimpleNamespace(column_names=["loss", "loss"], column=None)  # as pyarrow's tables may be
    assert says(ValueError, twice, [LOSS]) == 'the data has more than one column "loss"'


@pytest.mark.parametrize(("row", "cells"), [("1", "1 cell"), ("1,2,3", "3 cells")])
def test_rows_of_another_length(written, row, cells):
    path = written(f"params,loss\n1,2\n{row}\n")
    assert says(ValueError, path, [LOSS]) == f"runs.csv, line 3: has {cells}, the header has 2"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", " is empty"),
        (b"\xef\xbb\xbf\r\n\r\n", " is empty"),
        ("loss,ü\n1,2\n".encode("latin-1"), " is not a text file in UTF-8"),
        ("loss\n1\n".encode("utf-16"), " is not a text file in UTF-8"),
        (b'loss,run\n1,a\n2,"b\n3,c\n', ", line 3: not valid CSV: unexpected end of data"),
    ],
)
def test_files_that_are_not_csv(written, content, fault):
    assert says(ValueError, written(content), [LOSS]) == f"runs.csv{fault}"


def test_files_in_the_folder_of_data(written, monkeypatch):
    path = written(CSV)
    monkeypatch.setenv("T2JAX_DATA", str(path.parent))
    assert len(read_table(path.name, [LOSS])) == len(read_table(path, [LOSS]))
    assert says(FileNotFoundError, "no-such-runs.csv") == "there is no file no-such-runs.csv"


def test_files_that_are_none(written, tmp_path):
    assert says(FileNotFoundError, tmp_path / "runs.csv") == f"there is no file {tmp_path / 'runs.csv'}"
    assert says(ValueError, tmp_path) == f"{tmp_path} is a folder, not a file"
    assert says(ValueError, written(CSV, "runs.xls")) == "runs.xls must end in .csv, .tsv, .jsonl, .xlsx or .parquet"


def test_parquet_that_is_none(written):
    pytest.importorskip("pyarrow")
    message = says(ValueError, written(CSV, "runs.parquet"))
    assert message.startswith("cannot read runs.parquet as Parquet: ")


def test_parquet_without_pyarrow(written, monkeypatch):
    for module in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    assert says(ImportError, written("", "runs.parquet")) == 'reading Parquet needs pyarrow: pip install "t2jax[io]"'


@pytest.mark.parametrize("data", [None, 5, [{"loss": 1.0}], np.ones(3), b"runs.csv"])
def test_data_of_another_type(data):
    accepted = "a mapping of names to columns, a dataframe, a pyarrow table or the path of a .csv or .parquet file"
    assert says(TypeError, data) == f"data must be {accepted}, got {type(data).__name__}"


def test_loads_nothing_heavy():
    # By path: the package around it may load more.
    source = sys.modules["t2jax.fitting._table"].__file__
    code = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("table", {source!r})
sys.modules["table"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert module.read_table({{"loss": [1.0]}}, [module.Column("loss", "nats", module.FINITE)])["loss"] == [1.0]
assert not {{"jax", "pyarrow", "pandas"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
