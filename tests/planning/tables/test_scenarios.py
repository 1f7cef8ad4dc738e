"""Tables of scenarios as files: each row is what Python's csv reads, or a bad row with its reason."""

import csv
import io
import os
import random
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from t2jax._io.numbers import number
from t2jax.planning.tables import _reading as reading
from t2jax.planning.tables._reading import Source
from t2jax.planning.tables._scenarios import read_scenarios

SCALE = int(os.environ.get("T2JAX_TEST_SCALE", "1"))


def read(path, rows=100):
    """(rows as dictionaries, their lines, {row: fault}) of a whole file."""
    cells, places, faults = [], [], {}
    for piece in Source(path).pieces(rows):
        assert 0 < piece.table.num_rows <= rows
        faults |= {len(cells) + row: fault for row, fault in piece.faults.items()}
        cells += piece.table.to_pylist()
        places += piece.places.tolist()
    return cells, places, faults


def written(tmp_path, content, name="scenarios.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("seed", range(4))
def test_rows_are_those_of_pythons_csv(tmp_path, monkeypatch, seed):
    """Random cells with quotes, delimiters and line ends, in blocks so small that every cut is met."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(reading, "BLOCK", 64)
    words = ["", "1e24", "70B", "a b", 'say "x"', "a,b", "two\nlines", "café", '"', " 7 "]
    likely = [0.9, 0.1] if seed % 2 else [0.6, 0.4]
    rows = [
        [str(words[rng.choice([rng.integers(4), rng.integers(10)], p=likely)]) for _ in range(3)] for _ in range(200)
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=["\n", "\r\n"][seed // 2])
    writer.writerows([["a", "b", "c"], *rows])
    content = text.getvalue()
    if seed == 1:
        content = "\ufeff" + content.rstrip("\n")
    cells, places, faults = read(written(tmp_path, content), rows=33)
    assert faults == {}
    assert [list(row.values()) for row in cells] == rows
    # The line of each row: how many line ends come before it.
    again = csv.reader(io.StringIO(content.removeprefix("\ufeff"), newline=""))
    begins = [1]
    for _ in again:
        begins.append(again.line_num + 1)
    assert places == begins[1:-1]


def test_a_cell_that_begins_with_a_line_end_at_the_border_of_a_block(tmp_path):
    """After an unquoted cell that ends with a quote: counted, its quotes look like those of whole cells."""
    lines = reading.BLOCK // 1024
    block = b"".join(b"%020d,%01002d\n" % (i, i) for i in range(lines - 1)) + b"%01019d" % 0 + b'5","\n'
    assert len(block) == reading.BLOCK
    cells, places, faults = read(written(tmp_path, b"a,b\n" + block + b'cell"\n7,8\n'), rows=1 << 20)
    assert faults == {}
    assert cells[-2:] == [{"a": "0" * 1019 + '5"', "b": "\ncell"}, {"a": "7", "b": "8"}]
    assert places == [*range(2, lines + 2), lines + 3]


def test_what_arrow_would_read_otherwise_is_read_as_csv_does(tmp_path):
    """A lone carriage return, which adds a row, with a line end in quotes, which takes one; too long a cell."""
    cells, places, faults = read(written(tmp_path, b'a,b\n1,"x\ny"\n2,3\r4,5\n'))
    assert places == [2, 4]
    assert cells[0] == {"a": "1", "b": "x\ny"}
    assert list(faults) == [1]
    long = "7" * (csv.field_size_limit() + 1)
    cells, _, faults = read(written(tmp_path, f"a,b\n1,2\n{long},4\n5,6\n"))
    assert faults == {1: "not valid CSV: field larger than field limit (131072)"}
    assert [cells[0], cells[2]] == [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]


@pytest.mark.slow
def test_nasty_tables_are_read_alike_however_they_are_cut(tmp_path, monkeypatch):
    """Random letters, sound or not, in blocks of a few bytes: as Python's csv reads the whole file at once.

    And where nothing is wrong with a row, as Arrow does.
    """
    text = pytest.importorskip("pyarrow.csv")
    by_arrow, at_once = [0, 0], reading.Source._at_once

    def counted(self, block, lines):
        table = at_once(self, block, lines)
        by_arrow[table is not None] += 1
        return table

    monkeypatch.setattr(reading.Source, "_at_once", counted)
    path, whole, sound = tmp_path / "nasty.csv", 1 << 20, 0
    for seed in range(1500 * SCALE):
        rng = random.Random(seed)
        names = ["x", "y", "z"][: rng.choice([1, 2, 3])]
        header = ",".join(names) + "\n"
        if seed % 3:  # anything at all
            letters = rng.choice(['"\n,5a', '"\n,5a\r', '"",\n\n5', '"\n,\r\n', ' "\n,aé\x00'])
            body = "".join(rng.choice(letters) for _ in range(rng.randrange(5, 60)))
        else:  # a table as programs write it
            words = ["", "5", "a b", 'say "x"', "a,b", "two\nlines", "\n", '"', "é"][: rng.choice([3, 9])]
            out = io.StringIO()
            rows = [[rng.choice(words) for _ in names] for _ in range(rng.randrange(1, 30))]
            csv.writer(out, lineterminator=rng.choice(["\n", "\r\n"])).writerows(rows)
            body = out.getvalue()
        path.write_bytes((header + body).encode())
        monkeypatch.setattr(reading, "BLOCK", whole)
        with monkeypatch.context() as patch:
            patch.setattr(reading.Source, "_at_once", lambda self, block, lines: None)
            wanted = read(path)
        assert read(path) == wanted, seed
        monkeypatch.setattr(reading, "BLOCK", rng.choice([100, 150, 250]))
        assert read(path, rows=rng.choice([1, 7, 100])) == wanted, seed
        if seed % 3 == 0:
            assert wanted[2] == {}
            table = text.read_csv(
                io.BytesIO(body.encode()),
                text.ReadOptions(column_names=names),
                text.ParseOptions(newlines_in_values=True),
                text.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
            )
            assert wanted[0] == table.to_pylist()
            assert [list(row.values()) for row in wanted[0]] == rows
            sound += len(wanted[0])
    assert min(by_arrow) > 500 < sound


def test_bad_rows_are_kept_with_their_line(tmp_path):
    content = b'a,b\n1,2\n\n"x\ny",4\n5\n1,2,3\n"q"z,3\n\xff\xfe,6\n7,8\nend,"never closed\n9,10'
    cells, places, faults = read(written(tmp_path, content))
    assert places == [2, 4, 6, 7, 8, 9, 10, 11]
    assert cells[0] == {"a": "1", "b": "2"}
    assert cells[1] == {"a": "x\ny", "b": "4"}
    assert cells[2] == {"a": "5", "b": None}
    assert cells[6] == {"a": "7", "b": "8"}
    assert faults.pop(2) == "has 1 cell, the header has 2"
    assert faults.pop(3) == "has 3 cells, the header has 2"
    assert faults.pop(4).startswith("not valid CSV: ")
    assert faults.pop(5) == "is not text in UTF-8"
    assert faults.pop(7) == "not valid CSV: unexpected end of data, up to line 12"
    assert faults == {}


def test_a_quote_that_is_never_closed_costs_the_rows_it_swallows_and_no_others(tmp_path):
    lines = ["a,b", *(f"{i},x" for i in range(60_000))]
    lines[1000] = '999,"x'
    cells, places, faults = read(written(tmp_path, "\n".join(lines)), rows=7000)
    ((row, fault),) = faults.items()
    assert (row, places[row]) == (999, 1001)
    end = int(fault.split("up to line ")[1])
    assert 131_072 / 8 < end - 1001 < 131_072 / 5  # as much as the longest cell that csv reads
    assert places[row + 1 :] == list(range(end + 1, 60_002))
    assert cells[-1] == {"a": "59999", "b": "x"}


def test_a_tsv_is_read_by_its_tabs(tmp_path):
    cells, places, faults = read(written(tmp_path, "name\ttotal_flops\nx, y\t1e24\n", "scenarios.tsv"))
    assert (cells, places, faults) == ([{"name": "x, y", "total_flops": "1e24"}], [2], {})


def test_parquet_is_read_across_its_row_groups(tmp_path):
    table = pa.table({"i": range(1000), "target": [0.5, None] * 500})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=170)
    pieces = list(Source(tmp_path / "x.parquet").pieces(300))
    assert [piece.table.num_rows for piece in pieces] == [300, 300, 300, 100]
    assert pa.concat_tables([piece.table for piece in pieces]).equals(table)
    assert np.concatenate([piece.places for piece in pieces]).tolist() == list(range(1000))
    assert pieces[-1].share == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "", "x.csv is empty"),
        ("x.csv", "\n1,2\n", "x.csv is empty"),
        ("x.csv", ",,\n1,2,3\n", "x.csv has no header in its first line"),
        ("x.csv", "a,,c\n1,2,3\n", "x.csv: column 2 of the header has no name"),
        ("x.csv", "a,b, a\n1,2,3\n", 'x.csv: the table has more than one column "a"'),
        ("x.csv", "id,status\n1,2\n", 'x.csv: the table has a column "status", which is the name of a result'),
        ("x.csv", "a,\xe9\n".encode("latin-1"), "x.csv is not a text file in UTF-8: line 1 is not"),
        ("x.csv", "a,b\n".encode("utf-16"), "x.csv is not a text file in UTF-8: line 1 is not"),
        ("x.csv", b"a" * 2_000_000, "x.csv, line 1 has more than 1,048,576 bytes"),
        ("x.csv", b"a\n" + b"1" * 2_000_000, "x.csv, line 2 has more than 1,048,576 bytes"),
        ("x.xls", "PK", "x.xls must end in .csv, .tsv, .jsonl, .xlsx or .parquet"),
        ("x.xlsx", "PK", "cannot read x.xlsx as .xlsx: "),
        ("x.parquet", "PAR1", "cannot read x.parquet as Parquet: "),
    ],
)
def test_what_is_no_table_is_said(tmp_path, name, content, message):
    with pytest.raises(ValueError, match="^" + message.replace(".", r"\.")):
        read(written(tmp_path, content, name))
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Source(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="is a folder"):
        Source(tmp_path)


TYPED = ["1e24", "70B", " 15T ", "2.5k", "1_000", "+3", ".5", "7.", "1E5m", "3" * 500, "1e-3", "0x10", "B", "1e", "inf"]


def test_numbers_are_read_as_options_are():
    found = read_scenarios(pa.table({"total_flops": TYPED}), {}, {})
    for row, word in enumerate(TYPED):
        try:
            wanted = number(word)
        except ValueError:
            assert found.faults[row].startswith("total_flops must be a number such as 1e24, 7B or 15T, got '")
            continue
        assert found.numbers["total_flops"][row] == wanted
        assert (row in found.faults) == np.isinf(wanted)
    assert [number(word) for word in TYPED[:9]] == [1e24, 7e10, 1.5e13, 2500, 1000, 3, 0.5, 7, 1e11]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None, 3]),
        pa.array([1.0, None, 3.0], pa.float32()),
        pa.array(["1", "", "3"]).dictionary_encode(),
        pa.array(["1", " ", "3"], pa.large_string()),
        pa.array(["1", None, "3"], pa.string_view()),
        pa.chunked_array([["1", None], [], ["3"]]),
        pa.chunked_array([pa.array([1, None, 3]).dictionary_encode()]),
        pa.array([1, None, 3]).cast(pa.decimal128(25, 2)),
    ],
    ids=lambda column: str(column.type),
)
def test_numbers_of_every_type_of_arrow(column):
    found = read_scenarios(pa.table({"queries": column}), {}, {})
    np.testing.assert_array_equal(found.numbers["queries"], [1, np.nan, 3])
    assert found.faults == {}


def test_other_types_are_no_numbers():
    times = pa.array([0, None], pa.timestamp("s"))
    found = read_scenarios(pa.table({"queries": times, "target": pa.array([True, False])}), {}, {})
    assert found.faults == {
        0: "target must be a number such as 1e24, 7B or 15T, got True",
        1: "target must be a number such as 1e24, 7B or 15T, got False",
    }
    nan = read_scenarios(pa.table({"queries": [float("nan")]}), {}, {})
    assert nan.faults == {0: "queries must be positive and finite, got nan"}


BIG = """
import resource, sys
from t2jax.planning.tables._reading import Source
list(Source(sys.argv[2]).pieces(65536))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(piece.table.num_rows for piece in Source(sys.argv[1]).pieces(65536))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_large_csv_is_read_in_bounded_memory(tmp_path):
    line = b"a scenario with a name,1e24,1e9,500,70B,\n"
    header = b"name,total_flops,queries,output_tokens,max_params,max_tokens\n"
    small, large = (tmp_path / name for name in ("small.csv", "large.csv"))
    small.write_bytes(header + line * 200_000)
    with large.open("wb") as file:
        file.write(header)
        for _ in range(15):
            file.write(line * 200_000)
    assert large.stat().st_size > 120e6
    done = subprocess.run([sys.executable, "-c", BIG, large, small], capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == 3_000_000
    assert grown * (1 if sys.platform == "darwin" else 1024) < 40e6
