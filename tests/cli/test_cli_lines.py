"""Command lines by the ten thousand, drawn at random: each ends with a status and plain words, whatever is typed.

Options are drawn from the tables that the commands themselves are made of. Most lines are wrong in some way, which is
cheap to find out; a few hundred are solved. T2JAX_TEST_SCALE asks for so many times as many lines.
"""

import io
import json
import os
import random
import sys
from dataclasses import fields

import pytest

import t2jax
from t2jax.cli import _options as options, main
from t2jax.cli._scenario_options import with_fields

SCALE = int(os.environ.get("T2JAX_TEST_SCALE", "1"))
COMMANDS = {
    name: with_fields(command)
    for name, command in {
        "plan": options.Plan,
        "frontier": options.Frontier,
        "sweep": options.Sweep,
        "fit": options.Fit,
        "cost": options.Cost,
        "list": options.List,
    }.items()
}
FLAGS = {"json", "hardware_list", "force", "resume", "no_share_prompt", "integer_samples"}
RAW = {chr(i) for i in (*range(10), *range(11, 32), *range(127, 160), 0x202E, 0x2066)}

SOLVED = [  # each a structure of its own, which is compiled once
    "plan --law besiroglu2024 --train-flops {flops}",
    "plan --law law.json --train-flops {flops} --max-params {size}",
    "plan --law besiroglu2024 --target {loss} --queries {count} --json",
    "plan --task task.json --total-flops {flops} --queries {count} --output-tokens {few}",
    "plan --law evil.json --train-flops {flops}",
    "cost --params {size} --tokens {size} --hardware {device} --usd-per-hour {few} --queries-per-month {count} "
    "--output-tokens {few} --batch {few} --months {few}",
    "cost --params {size} --tokens {size} --hardware h100-sxm --usd-per-hour {few} --queries-per-month {count} "
    "--output-tokens {few} --kv-heads {few} --head-dim {few} --post-training-usd {count} --json",
    "frontier --law besiroglu2024 --train-flops {flops}:{flops}:{few}",
    "frontier --law law.json --max-tokens {size} --train-flops {flops}:{flops}:{few} --out {out} --json",
    "sweep scenarios.csv --out {out}",
    "sweep evil.csv --out {out} --json",
]
DEAR = [  # to compile: only in a longer run
    "plan --hardware h100-sxm --usd-per-hour {few} --queries {count} --output-tokens {few} --usd {size} --batch {few} "
    "--law besiroglu2024 --devices {few} --bytes-per-param {few} --overhead {few} --post-training-usd {few}",
    "plan --law muennighoff2023 --unique-tokens {size} --total-flops {flops} --queries {count}",
    "plan --train-flops {flops} --inference-flops {size} --task pythia-gsm8k",
    "frontier --law besiroglu2024 --G {few} --gamma {few} --queries {count} --total-flops {flops}:{flops}:5",
    "frontier --target {loss}:{loss}:4 --law besiroglu2024 --queries {count} --output-tokens {few}",
]
if SCALE > 1:
    SOLVED += DEAR
FITTED = [
    "fit runs.csv --model chinchilla --starts 8 --out {out}",
]
REFUSED = [  # before anything is compiled, but for what random changes make of them
    "plan --hardware H100 --usd-per-hour {few} --queries {count} --output-tokens {few} --usd {size}",
    "plan --law muennighoff2023 --unique-tokens {size} --total-flops {flops}",
    "plan --task {out} --total-flops {flops} --queries {count}",
    "fit header.csv --model t2-loss --columns samples=k --groups params",
    "fit runs.csv --model t2-accuracy --law besiroglu2024 --bootstrap {few}",
    "fit runs.csv --model beta --weights loss --delta {few}",
    "fit zero.csv --model kaplan --estimator lad",
    "sweep header.csv --out {out} --batch-size {few}",
    "frontier --target {loss}:{loss}:{few} --out {out} --plot {out}",
]
LISTED = ["list", "list --json", "list --hardware", "list --hardware --json", "--version", "--help"]
NORMAL = {
    "flops": ["1e20", "1e22", "3.3e23", "1e25"],
    "size": ["1e9", "7B", "70B", "2e9"],
    "count": ["1e6", "1e9", "100K"],
    "few": ["2", "3", "5", "64", "500"],
    "loss": ["2.1", "2.5", "3"],
    "device": ["h100-sxm", "l40s", "tpu-v5e", "H100", "B200"],
}
EXTREME = [
    *("1e300", "1e308", "1.7e308", "1e-300", "5e-324", "1", "0.999", "1e38", "1e39", "1e19", "9223372036854775808"),
    *("1_000", " 7 ", "1e5K", "٣", "1e-5", "0", "100000000000000000000000", "1.0000000000000002"),
]
HOSTILE = [
    *("", " ", "nan", "inf", "-inf", "1e999", "-1", "-0", "-1e308", "lots", "0x10", "7BB", "B", "1:2", "1:2:3:4"),
    *("1e20:1e22:0", "1e20:1e20:5", "0:1:3", "1e20:1e22:1e9", "a" * 300, "a" * 5000, "--", "-", "-h", "=", "a=", "=1"),
    *("E=1", "E=nan", "E=1e999", "law=3", "params=", "x=y=z", "true", "None", "%s%n{}", "'", '"', "\\", "\n", "\t"),
    *("\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b31m", "\x7f", "\u202egnp.exe", "\udcff", "💥", "é" * 100, "\x00"),
    *("/", "..", "/dev/null", "/nowhere/at.json", "folder", "folder.csv", "nothing.csv", "a" * 300 + ".csv"),
    *("empty.csv", "header.csv", "ragged.csv", "evil.csv", "binary.parquet", "latin.csv", "wide.csv", "zero.csv"),
    *("broken.json", "empty.json", "deep.json", "long.json", "evil.json", "binary.json", "nan.json", "beta.json"),
    *("besiroglu2042", "pythia-gsm8k", "kaplan2020", "muennighoff2023", "gadre2024-c4-error", "chinchilla"),
    *("x.png", "folder/x.png", "nowhere/x.svg", "x.txt", "law.json", "runs.csv", "x.parquet", "h100", "bf16", "fp4"),
]
LAW = {"kind": "Chinchilla", "E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
EVIL = "\x1b]0;owned\x07\x9b31m\u202e"


@pytest.fixture
def folder(tmp_path, monkeypatch, untyped):
    """Files good and bad, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("T2JAX_DATA", raising=False)
    for name in ("folder", "folder.csv"):
        (tmp_path / name).mkdir()
    law = t2jax.published("besiroglu2024")
    rows = [(n, d, float(law.loss(n, d)) * (1 + 1e-3 * (-1) ** i)) for i, n in enumerate((1e8, 1e9, 8e9)) for d in
            (2e9, 2e10, 1e11, 5e11)]  # fmt: skip
    evil = {"name": EVIL, "citation": EVIL * 9, "note": EVIL}
    texts = {
        "law.json": json.dumps(LAW),
        "task.json": json.dumps({"kind": "T2Loss", "law": LAW, "G": 1.0, "gamma": 0.3}),
        "broken.json": '{"kind": "Chinchilla",',
        "empty.json": "",
        "deep.json": "[" * 100_000,
        "long.json": json.dumps({"kind": "T2Accuracy", "law": LAW, "theta": [1.5] * 50_000}),
        "evil.json": json.dumps({**LAW, "provenance": evil}, ensure_ascii=False),
        "nan.json": json.dumps({**LAW, "A": float("nan"), EVIL: 1}),
        "beta.json": json.dumps({"kind": "BetaPassRate", "a": 1.0, "b": 1.0, "fit": {EVIL: EVIL}}),
        "runs.csv": "params,tokens,loss\n" + "".join(f"{n},{d},{loss}\n" for n, d, loss in rows),
        "empty.csv": "",
        "header.csv": f"params,tokens,{EVIL}\n",
        "ragged.csv": f'params,tokens,loss\n1,2\n1,2,3,4\n"{EVIL}\n',
        "evil.csv": f"law,train_flops,{EVIL}\n{EVIL},1e20,{EVIL}\nbesiroglu2024,{EVIL},\nbesiroglu2024,1e22,{EVIL}\n",
        "wide.csv": ",".join(f"column{i}" for i in range(300)) + "\n" + ",".join("1" for i in range(300)) + "\n",
        "zero.csv": "params,tokens,loss\n" + "0,0,0\n" * 50,
        "scenarios.csv": "law,train_flops\nbesiroglu2024,1e20\nbesiroglu2024,1e22\nkaplan2020,-1\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    (tmp_path / "binary.parquet").write_bytes(b"PAR1" + bytes(range(256)) + b"PAR1")
    (tmp_path / "latin.csv").write_bytes("params,tokens,größe\n1,2,ä\n".encode("latin-1"))
    return tmp_path


@pytest.fixture
def parsers(monkeypatch):
    """What tyro makes of each command is made once: a hundred lines in the time of three. One in fifty is made anew."""
    parsers = pytest.importorskip("tyro._parsers")
    made, kept, calls = parsers.ParserSpecification.from_callable_or_type, {}, iter(range(10**9))

    def once(command, **others):
        asked = str((command, sorted(others.items())))
        if next(calls) % 50 == 0 or asked not in kept:
            kept[asked] = made(command, **others)
        return kept[asked]

    monkeypatch.setattr(parsers.ParserSpecification, "from_callable_or_type", staticmethod(once))


class Lines:
    """Random command lines."""

    def __init__(self, seed):
        self.random, self.count = random.Random(seed), 0

    def draw(self):
        self.count += 1
        one = self.random.random()
        if one < 0.008:
            return self.filled(self.random.choice(SOLVED))
        if one < 0.02:
            return self.filled(self.random.choice(SOLVED), extreme=0.5)
        if one < 0.021:
            return self.filled(self.random.choice(FITTED))
        if one < 0.03:
            return self.random.choice(LISTED).split()
        if one < 0.033:
            return self.at_random()
        return self.broken()

    def filled(self, template, *, extreme=0.0):
        def value(kind):
            return self.random.choice(EXTREME if self.random.random() < extreme else NORMAL[kind])

        return [
            word.format_map(_Drawn(value, f"out{self.count}.{'json' if template.startswith('fit') else 'csv'}"))
            for word in template.split()
        ]

    def at_random(self):
        """Options of a command, each with a value that may do."""
        command = self.random.choice(list(COMMANDS))
        names = [one.name for one in fields(COMMANDS[command])]
        words = [command]
        for name in self.random.sample(names, self.random.randint(1, min(5, len(names)))):
            words += self.option(command, name, [*EXTREME, *(one for some in NORMAL.values() for one in some)])
        return words

    def broken(self):
        """A line with something wrong in it, mostly."""
        words = self.filled(self.random.choice([*SOLVED, *FITTED, *REFUSED]), extreme=0.1)
        for _ in range(self.random.choice([1, 1, 1, 2])):
            command = words[0] if words and words[0] in COMMANDS else self.random.choice(list(COMMANDS))
            names = [one.name for one in fields(COMMANDS[command])]
            valued = [one.name for one in fields(COMMANDS[command]) if one.default is not False] or names
            place = self.random.randrange(len(words) + 1)
            match self.random.randrange(12):
                case 0 | 1 | 2 | 3:  # another value
                    values = [i for i, word in enumerate(words) if i and not word.startswith("--")]
                    if values:
                        words[self.random.choice(values)] = self.random.choice(HOSTILE)
                case 4 | 5 | 6 | 7:  # one option more
                    words += self.option(command, self.random.choice(valued), HOSTILE)
                case 8:  # a stray word, or a lot of one
                    words[place:place] = [self.random.choice(HOSTILE)] * self.random.choice([1, 1, 50])
                case 9:  # a misspelt option
                    word = self.option(command, self.random.choice(names), HOSTILE)[0]
                    cut = self.random.randrange(len(word) + 1)
                    words[place:place] = [word[:cut] + self.random.choice(["", "x", "-", "\x1b[1m"]) + word[cut + 1 :]]
                case 10 if words:  # one word less
                    words.pop(self.random.randrange(len(words)))
                case _:  # another command
                    words[:1] = [self.random.choice([*COMMANDS, "plann", "", "-h", "help", *HOSTILE])]
        return words

    def option(self, command, name, values):
        """--name and its value, which a flag has not."""
        field = next(one for one in fields(COMMANDS[command]) if one.name == name)
        word = f"--{name.replace('_', '-')}"
        return [word] if field.default is False else [word, self.random.choice(values)]


class _Drawn(dict):
    """{flops} and {size} of a template, each drawn anew."""

    def __init__(self, value, out):
        super().__init__(out=out)
        self.value = value

    def __missing__(self, kind):
        return self.value(kind)


def typed(words, monkeypatch):
    """(status, what was printed on standard output, on standard error)."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", streams[0])
        patched.setattr(sys, "stderr", streams[1])
        status = main(words)
    for stream in streams:
        stream.flush()
    return status, *(stream.buffer.getvalue().decode("utf-8") for stream in streams)


def fault(words, monkeypatch):
    """What is wrong with how a line ends; None where nothing is."""
    try:
        status, out, err = typed(words, monkeypatch)
    except BaseException as error:
        return f"raised {type(error).__name__}: {error}"
    if status not in (0, 1, 2):
        return f"status {status}"
    for what, wrong in {
        "a fault of ours": "a fault of t2jax" in err or "Traceback" in out + err,
        "a warning": "Warning" in err,
        "raw control characters": RAW & {*out, *err},
        "a message without bound": len(err) > 6_000,
        "a text without bound": len(out) > 20_000 and "--json" not in words and "--help" not in words,
        "nothing said": not (err if status == 2 else out + err),
        "an answer and bad usage": status == 2 and out,
    }.items():
        if wrong:
            return f"{what}: status {status}, out {out[:300]!r}, err {err[:600]!r}"
    if status == 0 and "--json" in words and out.startswith(("{", "[")):
        json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} in JSON of {words}"))
    return None


@pytest.mark.slow
@pytest.mark.usefixtures("folder", "parsers")
def test_every_line_ends_with_a_status_and_plain_words(monkeypatch):
    lines, faults = Lines(15), {}
    for _ in range(10_000 * SCALE):
        words = lines.draw()
        if (wrong := fault(words, monkeypatch)) and len(faults) < 10:
            faults[" ".join(ascii(word) for word in words)[:500]] = wrong
    assert not faults, "\n".join(f"{line}\n    {wrong}" for line, wrong in faults.items())
