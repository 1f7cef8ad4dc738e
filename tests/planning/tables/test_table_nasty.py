"""Random nasty tables: cells of every type of Arrow, of any text, in any column. Each costs its own row only."""

import contextlib
import io
import json
import os
import random
import string
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import t2jax as t2
from t2jax.cli import main
from t2jax.planning.tables._header import RESULTS

pytestmark = pytest.mark.slow

SCALE = int(os.environ.get("T2JAX_TEST_SCALE", "1"))
LAW = "besiroglu2024"
# All of one program, so that nothing is compiled anew: a law's training budget, caps, and flags that change nothing.
FIELDS = ("train_flops", "max_params", "max_tokens", "law", "no_share_prompt", "integer_samples", "note")
SOUND = {"train_flops": "1e22", "max_params": "7B", "max_tokens": "1T", "law": LAW, "integer_samples": "yes"}
WORDS = [
    "",
    " ",
    "1e22",
    "7B",
    "-1",
    "0",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "1e-999",
    "9" * 400,
    "0x10",
    "true",
    "NO",
    LAW,
    "devries2023",
    LAW.upper(),
    "pythia-gsm8k",
    "gadre2024-c4-error",
    "law.json",
    "bad.json",
    "./law.json",
    "/dev/zero",
    "/dev/tty",
    "/",
    "/proc/self/mem",
    "..",
    "~",
    "n" * 256,
    "n/" * 5000,
    "a\x00b",
    "a\x00.json",
    "\x1b[31mred",
    'quote " and , and \n line',
    "\r",
    "é\u200b\ufeff",
    "\U0010ffff",
    "ﬁ",
    "٣",
    "1_000",
    "1e22T",
    "{}%s%n",
    "='cmd'!A1",
]
BYTES = [
    *(word.encode() for word in WORDS),
    b"\xff",
    b"\xff\xfe1e22",
    b"\xed\xa0\x80",
    b"\xc3",
    b"\xf8\x88\x80\x80\x80",
]


def bits(rng, size):
    return rng.choice([0, 1, -1, rng.getrandbits(size - 1), -rng.getrandbits(size - 1)])


def array(rng, size):
    """An array of a random type, with random values, nulls among them."""

    def values(make):
        return [None if rng.random() < 0.2 else make() for _ in range(size)]

    integers = values(lambda: bits(rng, 64))
    stamps = pa.array(integers, pa.int64())
    floats = values(lambda: rng.choice([1e22, 7e9, 0.0, -0.0, float("nan"), float("inf"), -1.0, 5e-324, rng.random()]))
    text = pa.array(values(lambda: rng.choice(BYTES)), pa.binary())
    sound = pa.array(values(lambda: rng.choice(WORDS)), pa.string())
    small = pa.array([None if one is None else abs(one) % 100 for one in integers], pa.int32())
    plain = [
        lambda: text.view(pa.string()),  # not all of it UTF-8
        lambda: text.cast(pa.large_binary()).view(pa.large_string()),
        lambda: text,
        lambda: text.cast(pa.binary_view()),
        lambda: pa.array(values(lambda: rng.randbytes(3)), pa.binary(3)),
        lambda: sound,
        lambda: sound.cast(pa.string_view()),
        lambda: stamps,
        lambda: small,
        lambda: pa.array([None if one is None else abs(one) for one in integers], pa.uint64()),
        lambda: pa.array(floats, pa.float64()),
        lambda: pa.array(floats, pa.float64()).cast(pa.float32(), safe=False),
        lambda: pa.array([None if one is None else np.float16(rng.random()) for one in floats], pa.float16()),
        lambda: pa.array(values(lambda: Decimal(bits(rng, 60)).scaleb(-3)), pa.decimal128(38, 3)),
        lambda: pa.array(values(lambda: Decimal(bits(rng, 200))), pa.decimal256(76, 0)),
        lambda: pa.array(values(lambda: rng.random() < 0.5), pa.bool_()),
        lambda: pa.nulls(size),
        lambda: stamps.cast(pa.timestamp(rng.choice(["s", "ms", "us", "ns"]))),
        lambda: stamps.cast(pa.timestamp("us", rng.choice(["UTC", "Europe/Paris", "+05:30", "Nowhere/Atlantis"]))),
        lambda: stamps.cast(pa.duration(rng.choice(["s", "ms", "us", "ns"]))),
        lambda: small.cast(pa.int32()).cast(pa.date32()),
        lambda: stamps.cast(pa.date64()),
        lambda: stamps.cast(pa.time64("us")),
        lambda: small.cast(pa.time32("s")),
        lambda: pa.array(values(lambda: (rng.randrange(99), 2, bits(rng, 60))), pa.month_day_nano_interval()),
        lambda: pa.ExtensionArray.from_storage(pa.bool8(), pa.array(values(lambda: 1), pa.int8())),
        lambda: pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values(lambda: rng.randbytes(16)), pa.binary(16))),
        lambda: pa.ExtensionArray.from_storage(pa.json_(), sound),
        lambda: pa.UnionArray.from_sparse(pa.array([i % 2 for i in range(size)], pa.int8()), [stamps, sound]),
    ]
    nested = [
        lambda one: pa.ListArray.from_arrays(pa.array(range(len(one) + 1), pa.int32()), one),
        lambda one: pa.LargeListArray.from_arrays(pa.array(range(len(one) + 1), pa.int64()), one),
        lambda one: pa.FixedSizeListArray.from_arrays(one, 1),
        lambda one: pa.StructArray.from_arrays([one, one], ["a", "b"]),
        lambda one: pa.MapArray.from_arrays(pa.array(range(len(one) + 1), pa.int32()), one.is_null(), one),
        lambda one: pa.DictionaryArray.from_arrays(pa.array(rng.choices(range(len(one)), k=size)), one),
        lambda one: pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(one) + 1), pa.int32()), one),
    ]
    found = rng.choice(plain)()
    while not pa.types.is_null(found.type) and rng.random() < 0.35:  # pyarrow 26 crashes on dictionaries of nulls
        with contextlib.suppress(pa.ArrowInvalid):  # what is checked when it is made
            found = rng.choice(nested)(found)
    if rng.random() < 0.2:
        cut = rng.randrange(size + 1)
        return pa.chunked_array([found.slice(0, cut), found.slice(cut)])
    return found


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    law = {"kind": "Chinchilla", "E": 1.5, "A": 400.0, "B": 2000.0, "alpha": 0.34, "beta": 0.36}
    (tmp_path / "law.json").write_text(json.dumps(law))
    (tmp_path / "bad.json").write_text('{"kind": "Chinchilla", "E": "\ud7ff\x1b", "A": NaN}')
    return tmp_path


@pytest.mark.parametrize("seed", range(3))
def test_cells_of_every_type_cost_their_own_rows(here, seed):
    """Every other row is sound, and answered as if it were alone."""
    (alone,) = t2.plan_batch(pa.table({name: [word] for name, word in SOUND.items()})).select(RESULTS).to_pylist()
    assert alone["status"] == "solved"
    statuses = set()
    for attempt in range(60 * SCALE):
        rng = random.Random(f"{seed} {attempt}")
        size = rng.randrange(1, 8)
        name = rng.choice(FIELDS)
        cells = array(rng, size)
        columns = {field: pa.array([word] * size) for field, word in SOUND.items()}
        plans = t2.plan_batch(pa.table({**columns, name: cells}), law=LAW, train_flops=1e22)
        answers = plans.select(RESULTS).to_pylist()
        for row, given in zip(answers, cells.is_valid().to_pylist(), strict=True):
            statuses.add(row["status"])
            assert (row["reason"] is None) == (row["status"] == "solved")
            assert row["reason"] is None or (row["reason"].isprintable() and len(row["reason"]) <= 1000)
            if name == "note" or (not given and name in ("law", "train_flops", "integer_samples")):
                assert row == alone
        assert plans.column(name).type == cells.type
    assert {"solved", "bad_input"} <= statuses


@pytest.mark.parametrize("seed", range(2))
def test_a_bad_row_among_sound_ones_changes_nothing_of_theirs(here, seed):
    rng = random.Random(seed)
    for _ in range(20 * SCALE):
        size = rng.randrange(2, 40)
        nasty = [rng.random() < 0.5 for _ in range(size)]
        budgets = [f"{rng.uniform(1, 9):.3f}e{rng.randrange(19, 25)}" for _ in range(size)]
        columns = {}
        for field in ("train_flops", "max_params", "law", "integer_samples"):
            sound = budgets if field == "train_flops" else [SOUND[field]] * size
            words = [rng.choice(BYTES) if bad else word.encode() for bad, word in zip(nasty, sound, strict=True)]
            columns[field] = pa.array(words, pa.binary()).view(pa.string())
        table = pa.table(columns)
        keep = pa.array([not bad for bad in nasty])
        assert t2.plan_batch(table).filter(keep).equals(t2.plan_batch(table.filter(keep)))


@pytest.mark.parametrize("seed", range(2))
def test_files_of_nasty_tables_are_answered_and_resumed(here, capsys, seed):
    """Whatever Parquet can hold goes through the command line, twice; status 2 is for what no CSV can hold, only."""
    for attempt in range(12 * SCALE):
        rng = random.Random(f"files {seed} {attempt}")
        size = rng.randrange(1, 8)
        columns = {name: array(rng, size) for name in rng.sample(FIELDS, 3)}
        try:
            pq.write_table(pa.table(columns), here / "in.parquet")
            pq.read_table(here / "in.parquet")
        except (pa.ArrowException, OSError):
            continue  # not every type of Arrow is one of Parquet
        for out in (f"{attempt}.parquet", f"{attempt}.csv"):
            line = ["sweep", "in.parquet", "--out", out, "--train-flops", "1e22", "--batch-size", "3"]
            status = main(line)
            said = capsys.readouterr()
            assert "Traceback" not in said.err
            if status == 2:
                assert out.endswith("csv")
                assert "cannot be written to" in said.err
                continue
            before = (here / out).read_bytes() if out.endswith("csv") else None
            assert main([*line, "--resume"]) == status
            assert capsys.readouterr().out.splitlines()[1:] == said.out.splitlines()[1:]
            assert before is None or (here / out).read_bytes() == before


@pytest.mark.parametrize("seed", range(2))
def test_any_file_of_a_law_is_a_law_or_a_reason(here, seed):
    """JSON that is almost a law, and bytes that are none."""
    law = {"kind": "Chinchilla", "E": 1.5, "A": 400.0, "B": 2000.0, "alpha": 0.34, "beta": 0.36}
    odd = [None, True, -1, 0, 1e999, float("nan"), 10**400, "", "\ud800", [], [[]], {}, {"kind": []}, LAW, 5e-324]
    keys = [
        *law,
        "law",
        "theta",
        "G",
        "gamma",
        "provenance",
        "fit",
        "unique_tokens",
        "R_D",
        "",
        "\x1b\ud800",
        "k" * 999,
    ]
    kinds = ["Chinchilla", "Kaplan", "T2Loss", "DataConstrained", "Overtraining", "BetaPassRate", "chinchilla", 7]
    rng, names = random.Random(seed), []
    for i in range(150 * SCALE):
        content = {**law, "kind": rng.choice([*["Chinchilla"] * 8, *kinds])}
        for _ in range(rng.randrange(4)):
            value = rng.choice([*odd, {**law, rng.choice(keys): rng.choice(odd)}])
            content[rng.choice(keys)] = value
        data = json.dumps(content).encode()
        if rng.random() < 0.3:
            cut = rng.randrange(len(data))
            data = data[:cut] + rng.choice([b"", b"\xff", b"\x00", b'"', b"}", b"[" * 9999]) + data[cut + 1 :]
        names.append(f"{rng.choice(string.ascii_letters)}{i}.json")
        (here / names[-1]).write_bytes(data)
    rows = t2.plan_batch(pa.table({"law": names}), train_flops=1e22).to_pylist()
    for row in rows:
        assert row["status"] in ("solved", "bad_input", "infeasible", "unbounded", "not_converged", "not_finite")
        assert row["reason"] is None or (row["reason"].isprintable() and len(row["reason"]) < 700)
    assert sum(row["status"] == "solved" for row in rows) > 5


def test_text_of_nasty_words_is_planned_as_it_is_read(here):
    """A CSV of all words gives each row the answer that `plan_batch` gives for those cells."""
    import csv

    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [["law", "train_flops"], *([word, "1e22"] for word in WORDS)]
    )
    (here / "in.csv").write_text(out.getvalue(), newline="")
    assert main(["sweep", "in.csv", "--out", "plans.parquet"]) == 0
    found = pq.read_table("plans.parquet")
    wanted = t2.plan_batch(pa.table({"law": WORDS, "train_flops": ["1e22"] * len(WORDS)}))
    assert found.column("status").equals(wanted.column("status"))
    assert found.column("params").equals(wanted.column("params"))
