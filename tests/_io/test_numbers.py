"""One number rule: a word is the same number, or none, wherever a person types it."""

import math

import pyarrow as pa
import pytest

from t2jax._io.numbers import number
from t2jax._io.usage import UsageError
from t2jax.cli._arguments import as_typed, read_number
from t2jax.cli._fit_options import Fit, fixed_values
from t2jax.fitting._table import FINITE, Column, read_table
from t2jax.planning._scenario import checked_scenario
from t2jax.planning._spelling import as_argument
from t2jax.planning.tables._cells import numbers_of

NUMBERS = {
    "7B": 7e9,
    "7b": 7e9,
    "1e24": 1e24,
    "110M": 1.1e8,
    "15T": 15e12,
    " 2.5k ": 2500.0,
    ".5K": 500.0,
    "5.": 5.0,
    "1E3M": 1e9,
    "1_000": 1000.0,
    "+3": 3.0,
}
NONE = ["", "B", "7Q", "7 B", "7 M", "7 7", "1,5", "0x10", "seven", "7BB", "1e", "7B parameters"]


def as_option(word, tmp_path):
    return as_typed(read_number([word]))


def as_cell(word, tmp_path):
    values, given, unread = numbers_of(pa.chunked_array([pa.array(["1", word])]))
    return float(values[1]) if given[1] and not unread else word


def as_cell_of_a_fit(word, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(f'x\n1\n"{word}"\n')
    try:
        return float(read_table(path, [Column("x", "any", FINITE)])["x"][1])
    except ValueError:
        return word


def as_fixed(word, tmp_path):
    try:
        return fixed_values(Fit(fixed=(f"E={word}",)))["E"]
    except UsageError:
        return word


def as_python(word, tmp_path):
    try:
        return checked_scenario({"train_flops": word, "law": "any"}, as_argument)["train_flops"]
    except UsageError:
        return word


PLACES = [as_option, as_cell, as_cell_of_a_fit, as_fixed, as_python]


@pytest.mark.parametrize("read", PLACES)
def test_a_word_is_the_same_number_everywhere(read, tmp_path):
    assert {word: read(word, tmp_path) for word in NUMBERS} == NUMBERS
    assert {word: number(word) for word in NUMBERS} == NUMBERS


@pytest.mark.parametrize("read", PLACES)
def test_a_word_that_is_no_number_is_none_anywhere(read, tmp_path):
    for word in NONE:
        with pytest.raises(ValueError, match="could not convert"):
            number(word)
        assert read(word, tmp_path) == word
    assert math.isnan(read_number(["7Q"]))
