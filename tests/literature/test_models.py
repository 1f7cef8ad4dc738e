"""Known models: counts that follow from published shapes, ratios that the literature quotes, a table that lines up."""

import re

import pytest

import t2jax as t2

BY_NAME = {one.name: one for one in t2.known_models()}


def gated(width, layers, heads, kv_heads, head_size, hidden, vocabulary, embeddings):
    """Parameters of a decoder with gated feed-forward layers, no biases and two norms a layer."""
    attention = 2 * width * heads * head_size + 2 * width * kv_heads * head_size
    return layers * (attention + 3 * width * hidden + 2 * width) + width + embeddings * vocabulary * width


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        # Of the papers' tables; Gemma ties its two embeddings, and its table gives both feed-forward inputs as one.
        ("Gemma 2B", (2048, 18, 8, 1, 256, 16384, 256128, 1)),
        ("Gemma 7B", (3072, 28, 16, 16, 256, 24576, 256128, 1)),
        ("Mistral 7B", (4096, 32, 32, 8, 128, 14336, 32000, 2)),
        ("LLaMA 7B", (4096, 32, 32, 32, 128, 11008, 32000, 2)),
        ("LLaMA 65B", (8192, 80, 64, 64, 128, 22016, 32000, 2)),
        ("Llama 3 8B", (4096, 32, 32, 8, 128, 14336, 128256, 2)),
        ("Llama 3 70B", (8192, 80, 64, 8, 128, 28672, 128256, 2)),
        ("Llama 3.1 405B", (16384, 126, 128, 8, 128, 53248, 128256, 2)),
    ],
)
def test_parameters_are_those_of_the_shape(name, shape):
    assert BY_NAME[name].params == pytest.approx(gated(*shape), rel=0.01)


@pytest.mark.parametrize(("name", "ratio"), [("Mistral 7B", 57), ("Llama 3 8B", 94), ("Phi-2", 26), ("LLaMA 7B", 7.1)])
def test_over_training_is_as_quoted(name, ratio):
    """As in the literature, which rounds N to 7B: within 6 %."""
    one = BY_NAME[name]
    assert float(t2.overtraining_ratio(one.params, one.tokens)) == pytest.approx(ratio, rel=0.06)


def test_every_row_has_a_source_and_says_what_is_not_published():
    assert len(BY_NAME) == len(t2.known_models())
    for one in t2.known_models():
        assert re.search(r"arXiv:\d{4}\.\d{5}|model card", one.source), one
        assert one.tokens_per_param == one.tokens / one.params
    assert "second-hand" in BY_NAME["Mistral 7B"].note
    assert "more than" in BY_NAME["Llama 3 8B"].note


def test_it_prints_as_an_aligned_table():
    header, *lines = str(t2.known_models()).split("\n")
    assert len(lines) == len(BY_NAME)
    assert repr(t2.known_models()) == str(t2.known_models())
    column = header.index("source")
    for line, one in zip(lines, t2.known_models(), strict=True):
        assert line.startswith(one.name)
        assert line[column:].startswith(one.source)
