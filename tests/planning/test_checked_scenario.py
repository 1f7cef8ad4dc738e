"""`checked_scenario`: what Python's arguments, options and columns have in common."""

import dataclasses
import math
import string
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from t2jax._io.usage import UsageError
from t2jax.planning._fields import FLAGS, FOR_MONEY, NAMES, NUMBERS, TABLE
from t2jax.planning._scenario import checked_scenario, fields_set
from t2jax.planning._spelling import as_argument, as_column, as_option


def test_every_field_is_there_and_what_is_not_given_has_its_default():
    scenario = checked_scenario({"total_flops": 1e24, "queries": None, "integer_samples": True}, as_argument)
    assert list(scenario) == [one.name for one in TABLE]
    assert scenario["total_flops"] == 1e24
    assert scenario["queries"] is scenario["task"] is scenario["usd"] is None
    assert (scenario["no_share_prompt"], scenario["integer_samples"]) == (False, True)
    assert (scenario["mfu"], scenario["dtype"], scenario["batch"]) == (0.4, "bf16", 64.0)
    assert fields_set(scenario) == {"total_flops", "integer_samples"}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("7B", 7e9),
        (" 1e24 ", 1e24),
        ("110M", 1.1e8),
        (10**24, 1e24),
        (Decimal("1e24"), 1e24),
        (Fraction(7, 2), 3.5),
        (np.float32(0.5), 0.5),
        (np.array(3), 3.0),
    ],
)
def test_numbers_are_read_as_options_are(value, read):
    found = checked_scenario({"train_flops": value, "law": "besiroglu2024"}, as_argument)["train_flops"]
    assert type(found) is float
    assert found == read


def test_laws_and_tasks_may_be_objects_that_compare_in_their_own_way():
    class Odd:
        def __eq__(self, other):
            raise AssertionError("asked")

        __hash__ = None

    one = Odd()
    scenario = checked_scenario({"train_flops": 1, "law": one}, as_argument)
    assert scenario["law"] is one
    assert fields_set(scenario) == {"train_flops", "law"}


MONEY_PLAN = {"hardware": "h100-sxm", "usd_per_hour": 2.5, "usd": "5M", "queries": 1e9, "output_tokens": 500}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"total_flop": 1}, "there is no total_flop=: did you mean total_flops"),
        ({"\x1b[31m": 1}, "there is no \\x1b[31m="),
        ({"total_flops": 0}, "total_flops= must be positive and finite, got 0"),
        ({"total_flops": math.inf}, "total_flops= must be positive and finite, got inf"),
        ({"total_flops": 10**400}, "total_flops= must be positive and finite, got inf"),
        ({"total_flops": "7Q"}, "total_flops= must be a number such as 1e24, 7B or 15T, got '7Q'"),
        ({"total_flops": True}, "total_flops= must be a number such as 1e24, 7B or 15T, got True"),
        ({"total_flops": np.True_}, "total_flops= must be a number such as 1e24, 7B or 15T, got np.True_"),
        ({"total_flops": [1.0]}, "total_flops= must be a number such as 1e24, 7B or 15T, got [1.0]"),
        ({"total_flops": np.ones(1)}, "total_flops= must be a number such as 1e24, 7B or 15T, got array([1.])"),
        ({"total_flops": 1e-320}, "total_flops= must be zero or of a size of at least 2.23e-308, got 9.99989e-321"),
        ({"prompt_tokens": -1}, "prompt_tokens= must be zero or positive, and finite, got -1"),
        ({"max_params": 0.5}, "max_params= must be at least 1, got 0.5"),
        ({"max_params": -0.5}, "max_params= must be positive and finite, got -0.5"),
        ({"mfu": 1.5}, "mfu= must be above 0 and at most 1, got 1.5"),
        ({"mfu": math.nan}, "mfu= must be above 0 and at most 1, got nan"),
        ({"overhead": -1}, "overhead= must be zero or positive, and finite, got -1"),
        ({"integer_samples": 1}, "integer_samples= must be True or False, got 1"),
        ({"law": " "}, "the name of the law or task is empty: give a published name (see t2jax list) or a JSON file"),
        ({"queries": 1}, "no budget: give total_flops=, or train_flops= with inference_flops=, or a target= to reach"),
        (
            {"train_flops": 1, "unique_tokens": 1},
            "unique_tokens= is for a law of repeated data: give law='muennighoff2023', too",
        ),
        ({"usd": 1}, "usd= is for a plan in money: give hardware=, too"),
        ({"hardware": "x", "queries": 1}, "hardware= needs usd_per_hour=, output_tokens=; help(t2.plan) has an exa"),
        ({**MONEY_PLAN, "target": 0.5}, "hardware= plans for the best that usd= buys or for the least dollars of a"),
        ({**MONEY_PLAN, "kv_heads": 8}, "kv_heads= and head_dim= belong together"),
        ({**MONEY_PLAN, "layers": 8}, "layers= is of the KV cache: give kv_heads= and head_dim=, too"),
        ({**MONEY_PLAN, "train_flops": 8}, "hardware= counts in dollars: leave out train_flops="),
        ({**MONEY_PLAN, "law": "a", "task": "b"}, "law= and task= are two things to plan for: give one of them"),
    ],
)
def test_faults_are_said_as_the_command_line_says_them(given, message):
    with pytest.raises(UsageError) as caught:
        checked_scenario(given, as_argument)
    assert str(caught.value).startswith(message)


def test_one_fault_is_spelled_in_three_ways():
    said = {}
    for spelled in (as_option, as_column, as_argument):
        with pytest.raises(UsageError) as caught:
            checked_scenario({"train_flops": 1, "output_tokens": 1}, spelled)
        said[spelled] = str(caught.value)
    assert said == {
        as_option: "--output-tokens is per query: say how many there are with --queries, for example 1e9",
        as_column: "output_tokens is per query: say how many there are with queries, for example 1e9",
        as_argument: "output_tokens= is per query: say how many there are with queries=, for example 1e9",
    }


def test_a_plan_in_money_needs_no_other_budget():
    scenario = checked_scenario(MONEY_PLAN, as_argument)
    assert scenario["usd"] == 5e6
    assert {"usd", "hardware"} <= fields_set(scenario)


def test_every_name_of_a_field_in_a_help_text_is_one():
    for one in TABLE:
        named = {name for _, name, _, _ in string.Formatter().parse(one.help) if name is not None}
        assert named <= {other.name for other in TABLE}
        assert "--" not in one.help.replace("t2jax list --hardware", "")
        assert one.help.endswith((".", ")"))


def test_the_names_are_those_of_the_table():
    columns = [one.name for one in TABLE if one.column]
    assert sorted((*NUMBERS, *NAMES, *FLAGS)) == sorted(columns)
    assert set(FOR_MONEY) == {one.name for one in TABLE} - set(columns)
    assert all(dataclasses.is_dataclass(one) for one in TABLE)
