"""Data by name: the local copy, the conversion of the sources' files, and fetching, from a server of the test's own."""

import hashlib
import http.server
import os
import statistics
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from math import comb, log
from pathlib import Path

import numpy as np
import pytest

import t2jax as t2
from t2jax.literature import Dataset, _load as load
from t2jax.literature._catalogue import CATALOGUE, File
from t2jax.literature._convert import CONVERSIONS

MODELS = """Model Family,Model Nickname,HuggingFace Path,HuggingFace Revision,Tokens,Parameters,Layers,Dimension,\
Context Length,Parameters Excluding Embeddings,Batch Size,Warming Up
Pythia,Pythia_70M_2M,EleutherAI/pythia-70m,step1,2000000,70000000,6,512,2048,18915328,2000000,1
Pythia,Pythia_70M_2B,EleutherAI/pythia-70m,step1000,2000000000,70000000,6,512,2048,18915328,2000000,0
Pythia,Pythia_12B_2B,EleutherAI/pythia-12b,step1000,2000000000,12000000000,36,5120,2048,11327027200,2000000,0
"""
# (nickname, problem, n, c): unequal n, out of order; at step 1 nothing solved, and one problem fewer.
GSM8K = [
    ("Pythia_12B_2B", 9, 640, 300),
    ("Pythia_12B_2B", 7, 10_112, 1),
    ("Pythia_70M_2B", 7, 9, 9),
    ("Pythia_70M_2B", 9, 20, 2),
    ("Pythia_70M_2M", 9, 5, 0),
]
MATH = [("Pythia_12B_2B", 3, 100, 40), ("Pythia_12B_2B", 1, 128, 0)]  # none of the 70M: never filled in
FIGURE = "x,y,color,Model Size,Training FLOP,hex_color,loss\n" + "".join(
    f"0,0,#fff,{size},{6.0 * size * 1e9},#fff,{loss}\n"
    for size, loss in [(1e8, 3.0), (2e8, 5.0), (3e8, 4.0), (4e8, 6.0), (5e8, 2.0), (6e8, 3.5), (7e8, 2.5)]
)


def sources(folder: Path) -> dict[str, Path]:
    """Files like those of the sources, with their traps."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    paths = {name: folder / name for name in ("figure.csv", "models.csv", "gsm8k.parquet", "math.parquet")}
    paths["figure.csv"].write_text(FIGURE)
    paths["models.csv"].write_text(MODELS)
    for name, counts in (("gsm8k.parquet", GSM8K), ("math.parquet", MATH)):
        rows = [
            # Beyond the samples drawn the source says 1, and must not be believed.
            {"Model Nickname": nickname, "prompt_idx": problem, "Num. Samples": n, "Num. Samples Correct": float(c)}
            | {"k": k, "pass@k": 1.0 if k > n else 1 - comb(n - c, k) / comb(n, k)}
            | ({"Level": f"Level {problem}"} if name == "math.parquet" else {})
            for nickname, problem, n, c in counts
            for k in (10_000, 1, 10)
        ]
        parquet.write_table(pa.Table.from_pylist(rows), paths[name])
    return paths


@pytest.fixture(scope="module")
def upstream(tmp_path_factory) -> dict[str, Path]:
    return sources(tmp_path_factory.mktemp("upstream"))


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No local copy, an empty cache, no network but the test's own."""
    pooch = pytest.importorskip("pooch")
    monkeypatch.delenv("T2JAX_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(load, "_SERVER", "http://127.0.0.1:9")  # nobody answers there
    return monkeypatch


# ── The tables ──


def test_the_figure_and_its_five_highest_losses(upstream):
    table = CONVERSIONS["chinchilla_besiroglu"](upstream["figure.csv"])
    assert np.allclose(table["tokens"], 1e9, rtol=1e-15)
    assert table["besiroglu_excluded"].tolist() == [1, 1, 1, 1, 0, 1, 0]
    assert table["params"].tolist() == [1e8, 2e8, 3e8, 4e8, 5e8, 6e8, 7e8]


def test_checkpoints_have_their_exact_sizes_and_tokens(upstream):
    table = CONVERSIONS["pythia_checkpoints"](upstream["models.csv"])
    assert table["model"] == ["pythia-70m", "pythia-70m", "pythia-12b"]
    assert table["params"] == [70_426_624, 70_426_624, 11_846_072_320]  # of the models themselves
    assert table["tokens"] == [2_097_152, 2_097_152_000, 2_097_152_000]
    assert table["flops"][0] == 6 * 70_426_624 * 2_097_152


def test_counts_are_one_row_per_problem(upstream):
    table = CONVERSIONS["pythia_repeated_sampling"](*map(upstream.get, ("models.csv", "gsm8k.parquet", "math.parquet")))
    columns = ("benchmark", "model", "step", "problem_id", "num_samples", "num_correct")
    assert list(zip(*(table[name] for name in columns), strict=True)) == [
        ("GSM8K", "pythia-70m", 1, 9, 5, 0),
        ("GSM8K", "pythia-70m", 1000, 7, 9, 9),
        ("GSM8K", "pythia-70m", 1000, 9, 20, 2),
        ("GSM8K", "pythia-12b", 1000, 7, 10_112, 1),
        ("GSM8K", "pythia-12b", 1000, 9, 640, 300),
        ("MATH", "pythia-12b", 1000, 1, 128, 0),
        ("MATH", "pythia-12b", 1000, 3, 100, 40),
    ]
    assert np.array_equal(table["math_level"], [np.nan] * 5 + [1, 3], equal_nan=True)


def test_a_checkpoint_that_is_not_listed_is_met(upstream, tmp_path):
    fewer = tmp_path / "models.csv"
    fewer.write_text("\n".join(MODELS.splitlines()[:3]))
    with pytest.raises(ValueError, match=r"gsm8k.parquet has a checkpoint 'Pythia_12B_2B' that models.csv has not"):
        CONVERSIONS["pythia_repeated_sampling"](fewer, upstream["gsm8k.parquet"], upstream["math.parquet"])


def test_mean_pass_at_k_by_whole_numbers(upstream):
    """k only as far as every problem has samples; against binomial coefficients of Python's integers."""
    table = CONVERSIONS["pythia_t2_pass_at_k"](*map(upstream.get, ("models.csv", "gsm8k.parquet", "math.parquet")))
    found = {}
    for i, key in enumerate(zip(table["benchmark"], table["model"], table["step"], table["k"], strict=True)):
        found[key] = {name: column[i] for name, column in table.items()}
    ends = {("GSM8K", "pythia-70m", 1): 4, ("GSM8K", "pythia-70m", 1000): 8, ("GSM8K", "pythia-12b", 1000): 512}
    ends["MATH", "pythia-12b", 1000] = 64
    assert set(found) == {(*key, 2.0**i) for key, end in ends.items() for i in range(10) if 2**i <= end}
    for k in (1, 16, 512):
        each = [1 - comb(n - c, k) / comb(n, k) for n, c in ((10_112, 1), (640, 300))]
        row = found["GSM8K", "pythia-12b", 1000, k]
        assert row["pass_at_k"] == pytest.approx(statistics.mean(each), rel=1e-12)
        assert row["pass_at_k_se"] == pytest.approx(statistics.stdev(each) / 2**0.5, rel=1e-12)
        assert row["neg_log_pass_at_k"] == pytest.approx(-log(statistics.mean(each)), rel=1e-12)
        assert (row["n_problems"], row["n_problems_solved"], row["min_num_samples"]) == (2, 2, 640)
        assert (row["params"], row["warming_up"]) == (11_846_072_320, 0)
    nothing = found["GSM8K", "pythia-70m", 1, 4]
    assert nothing["pass_at_k"] == 0
    assert np.isnan(nothing["neg_log_pass_at_k"])
    assert np.isnan(nothing["pass_at_k_se"])  # of one problem


# ── The local copy ──


def test_the_local_copy_is_whole(shared, monkeypatch):
    monkeypatch.setenv("T2JAX_DATA", str(shared / "data"))
    assert len(t2.list_datasets()) == 7
    for entry in t2.list_datasets():
        data = t2.dataset(entry.name)
        assert data.rows == entry.rows
        for name in entry.columns.replace(" and ", ", ").split(", "):
            word = name.split(" ")[0]
            assert word in data or "(" in name or ")" in name or word in ("more", "loss_*", "acc_*"), name


def test_counts_join_checkpoints(shared, monkeypatch):
    monkeypatch.setenv("T2JAX_DATA", str(shared / "data"))
    counts = t2.dataset("pythia_repeated_sampling").where(benchmark="MATH", model="pythia-12b", step=143_000)
    sized = counts.join(t2.dataset("pythia_checkpoints"), on=("model", "step"))
    assert sized.rows == 128
    assert set(sized["params"]) == {11_846_072_320.0}
    assert set(sized["tokens"]) == {143_000 * 2_097_152.0}
    assert np.array_equal(sized["num_correct"], counts["num_correct"])


@pytest.fixture
def small(tmp_path, monkeypatch):
    (tmp_path / "pythia_checkpoints.csv").write_text("model,step,params\na,1,10\na,2,\nb,1,30000000\n")
    monkeypatch.setenv("T2JAX_DATA", str(tmp_path))
    return t2.dataset("pythia_checkpoints")


def test_columns_are_numbers_or_text_and_read_only(small):
    assert small["model"].tolist() == ["a", "a", "b"]
    assert np.array_equal(small["params"], [10, np.nan, 3e7], equal_nan=True)
    assert small["step"].dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        small["step"][0] = 3.0
    with pytest.raises(KeyError, match=r"pythia_checkpoints has no column 'size'. It has model, step, params"):
        small["size"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("model,step\na,1\nb\n", "line 3: has 1 cell, the header has 2"),
        ("model,step\n", "no rows"),
        ("", "no rows"),
    ],
)
def test_a_broken_local_copy_is_met(small, tmp_path, text, fault):
    (tmp_path / "pythia_checkpoints.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"pythia_checkpoints.csv.*{fault}"):
        t2.dataset("pythia_checkpoints")


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_tampered_copy_is_not_cited_as_the_original(shared, tmp_path, monkeypatch, name):
    monkeypatch.setenv("T2JAX_DATA", str(shared / "data"))
    whole = t2.dataset(name)
    assert whole.about == CATALOGUE[name]  # also says that the pinned hash is that of the copy
    text = (shared / "data" / f"{name}.csv").read_bytes()
    (tmp_path / f"{name}.csv").write_bytes(text[:-1])  # without the last line feed the numbers are the same
    monkeypatch.setenv("T2JAX_DATA", str(tmp_path))
    copy = t2.dataset(name)
    start = f"local copy {tmp_path / name}.csv, with other bytes than are known of"
    assert copy.about.citation == f"{start} {CATALOGUE[name].citation}"
    assert f"\n  {start}" in str(copy)
    assert copy.rows == whole.rows


def test_a_copy_in_another_encoding_is_met(tmp_path, monkeypatch):
    (tmp_path / "pythia_checkpoints.csv").write_bytes("model,größe\na,1\n".encode("latin-1"))
    monkeypatch.setenv("T2JAX_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"pythia_checkpoints.csv is not text in UTF-8"):
        t2.dataset("pythia_checkpoints")


def test_rows_are_chosen_by_value_or_mask(small):
    assert small.where(model="a", step=2).rows == 1
    assert small.take(small["step"] == 1)["model"].tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="no row of pythia_checkpoints has model = 'c'; it holds a, b"):
        small.where(model="c")


def test_a_join_wants_one_row_each(small):
    with pytest.raises(ValueError, match="more than one row to join has step = 1"):
        small.join(small, on=["step"])
    with pytest.raises(ValueError, match="no row to join has model = b"):
        small.join({"model": ["a"], "x": [1.0]}, on=["model"])
    assert small.join({"model": ["b", "a"], "x": [1.0, 2.0]}, on=["model"])["x"].tolist() == [2, 2, 1]


def test_a_table_prints_its_source_and_first_rows(small):
    lines = str(small).splitlines()
    copy = Path(os.environ["T2JAX_DATA"]) / "pythia_checkpoints.csv"
    assert lines[1] == (
        f"  local copy {copy}, with other bytes than are known of Biderman et al. 2023, arXiv:2304.01373; "
        "licence: none stated; facts about Apache-2.0 models"
    )
    assert lines[2:] == [
        "  model  step  params",
        "  a         1      10",
        "  a         2       –",
        "  b         1  30.00M",
    ]


def test_the_list_prints_one_line_each():
    lines = str(t2.list_datasets()).splitlines()
    assert len(lines) == 8
    for field in ("about", "citation", "licence"):
        assert (
            len({line.index(getattr(one, field)) for line, one in zip(lines[1:], t2.list_datasets(), strict=True)}) == 1
        )
    numbers = [f"  {one.rows:,}  " for one in t2.list_datasets()]
    assert len({line.index(rows) + len(rows) for line, rows in zip(lines[1:], numbers, strict=True)}) == 1


# ── Fetching ──


@pytest.fixture
def served(upstream, alone):
    """Two entries' files served over HTTP; yields the server's list of the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            asked.append(self.path)

        def translate_path(self, path):
            return str(upstream[path.rsplit("/", 1)[-1]])

    for name, files in {
        "chinchilla_besiroglu": ("figure.csv",),
        "pythia_repeated_sampling": ("models.csv", "gsm8k.parquet", "math.parquet"),
    }.items():
        known = [
            File("a/b", "c0ffee", f"data/{one}", hashlib.sha256(upstream[one].read_bytes()).hexdigest())
            for one in files
        ]
        alone.setitem(CATALOGUE, name, replace(CATALOGUE[name], files=tuple(known)))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler)) as server:
        alone.setattr(load, "_SERVER", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield asked
        server.shutdown()
        thread.join()


def test_fetched_once_then_kept(served, alone):
    assert t2.dataset("chinchilla_besiroglu").rows == 7
    assert served == ["/a/b/c0ffee/data/figure.csv"]
    alone.setattr(load, "_SERVER", "http://127.0.0.1:9")  # the network is gone
    assert t2.dataset("chinchilla_besiroglu").where(besiroglu_excluded=0)["loss"].tolist() == [2.0, 2.5]
    assert len(served) == 1


def test_parquet_is_fetched_and_fits(served):
    assert t2.dataset("pythia_repeated_sampling").where(benchmark="MATH")["num_correct"].tolist() == [0, 40]


def test_a_broken_copy_is_fetched_again(served, tmp_path):
    t2.dataset("chinchilla_besiroglu")
    (kept,) = (tmp_path / "cache" / "t2jax").iterdir()
    kept.write_text("cut off")
    assert t2.dataset("chinchilla_besiroglu").rows == 7
    assert len(served) == 2


def test_other_bytes_than_meant_are_no_data(served, alone):
    entry = CATALOGUE["chinchilla_besiroglu"]
    alone.setitem(CATALOGUE, entry.name, replace(entry, files=(replace(entry.files[0], sha256="0" * 64),)))
    with pytest.raises(t2.NoDataError, match=r"figure.csv failed \(ValueError\)"):
        t2.dataset(entry.name)


def test_without_a_network_one_line_says_what_to_do(alone):
    with pytest.raises(t2.NoDataError) as caught:
        t2.dataset("pythia_checkpoints")
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith("try again with a network, or set T2JAX_DATA to a folder that has pythia_checkpoints.csv")


def test_without_pooch_one_line_says_what_to_install(alone):
    alone.setitem(sys.modules, "pooch", None)
    with pytest.raises(t2.NoDataError, match=r'pip install "t2jax\[data\]" to fetch it, or set T2JAX_DATA to a folder'):
        t2.dataset("chinchilla_besiroglu")


@pytest.mark.parametrize("name", ["gadre_overtraining", "porian_isoflop", "datablations"])
def test_what_is_not_fetched_says_where_it_is(alone, name):
    with pytest.raises(t2.NoDataError, match=r"set T2JAX_DATA to a folder .* does not make it from its source, github"):
        t2.dataset(name)


def test_an_unknown_name_is_met():
    with pytest.raises(
        ValueError, match="no data set is called 'pythia_checkpoint': did you mean 'pythia_checkpoints'"
    ):
        t2.dataset("pythia_checkpoint")


def test_every_pinned_file_has_a_whole_hash_and_commit():
    for file in (file for entry in t2.list_datasets() for file in entry.files):
        assert (len(file.commit), len(file.sha256)) == (40, 64)
        assert int(file.commit, 16)
        assert int(file.sha256, 16)


def test_a_local_copy_loads_neither_jax_nor_what_fetches(shared):
    script = "import sys, t2jax; t2jax.list_datasets(); t2jax.dataset('pythia_checkpoints')\n"
    script += "print([name for name in ('jax', 'pooch', 'pyarrow') if name in sys.modules])"
    clean = os.environ | {"T2JAX_DATA": str(shared / "data")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=clean)
    assert done.stdout == "[]\n", done.stderr


def test_a_fit_names_its_data_set():
    n, d = (one.ravel() for one in np.meshgrid(np.geomspace(1e8, 1e10, 4), np.geomspace(1e9, 1e11, 4)))
    columns = {"params": n, "tokens": d, "loss": 1.7 + 400 / n**0.34 + 500 / d**0.3}
    (entry,) = (one for one in t2.list_datasets() if one.name == "chinchilla_besiroglu")
    runs = Dataset(columns, entry)
    fit = t2.fit(t2.Chinchilla, runs.where(), starts=16)
    assert fit.source == fit.model.provenance.name == "chinchilla_besiroglu"
    assert fit.model.provenance.citation == "fitted to chinchilla_besiroglu, 16 rows, Huber(0.001) on the log"
    with pytest.raises(ValueError, match=r'^chinchilla_besiroglu has no column "samples" \(k, samples per query\)'):
        t2.fit(t2.T2Loss, runs)
    columns["loss"][3] = -1.0
    with pytest.raises(ValueError, match=r'^chinchilla_besiroglu, row 3, column "loss": must be positive'):
        t2.fit(t2.Chinchilla, Dataset(columns, entry))
