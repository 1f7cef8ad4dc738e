"""The options of `t2jax cost`, and what is wrong with them. Loads tyro, but neither JAX nor NumPy."""

from collections.abc import Sequence

from t2jax._io.usage import UsageError
from t2jax.cli._arguments import Flag
from t2jax.cli._scenario_options import HasFields, check_values
from t2jax.planning._field import NONNEGATIVE, Field, Kind
from t2jax.planning._fields import TABLE
from t2jax.planning._reasons import cache_fault
from t2jax.planning._spelling import as_option

__all__ = ["Cost", "checked_cost"]

MODEL = (
    Field("params", "model", "N, parameters."),
    Field("tokens", "model", "D, tokens it is trained on."),
    Field("samples", "model", "k, samples drawn per query (1).", default=1.0),
    Field("queries_per_month", "demand", "Q, queries answered in a month."),
    Field("prompt_tokens", "demand", "P, prompt tokens of a query (0).", domain=NONNEGATIVE, default=0.0),
    Field("output_tokens", "demand", "T, tokens of one sampled answer."),
    Field("months", "demand", "How long it serves (12).", default=12.0),
    Field("task", "objective", "What it is to solve, as t2jax list shows: for what one solved task costs.", Kind.LAW),
)
"""What is billed. A bill is of a model that there is, so these are not the fields of a scenario."""


class Cost(HasFields):
    """What a model costs over its life: training and serving on real devices, by part.

    An 8B model of 15T tokens that answers 100M queries a month for two years:
      t2jax cost --params 8B --tokens 15T --hardware h100-sxm --usd-per-hour 2.5
        --queries-per-month 100M --prompt-tokens 1000 --output-tokens 500 --months 24

    Training takes 6ND FLOPs at a part of the devices' peak (--mfu); serving is a roofline: a decode step takes as
      long as computing or reading weights and KV cache, whichever is longer. Numbers may end in K, M, B or T.
      t2jax list --hardware shows the devices. Exit status: 0 answered, 2 bad usage or a model that does not fit.

    The object that --json prints has version, command, inputs, hardware (name, source), kv_cache (what is assumed),
      training (device_hours, usd, energy_kwh), serving (tokens_per_second of a replica, time_to_first_token and
      time_per_output_token in seconds, replica_memory and memory_available in bytes, usd_per_million_tokens, and
      replica_hours, usd_per_month and energy_kwh of a month; usd of all months), usd, solved and usd_per_solved_task,
      and outside_fit, where the task was not fitted. What there is none of is null.
    """

    json: Flag = False
    """Print one JSON object, at full precision."""

    @staticmethod
    def rows() -> Sequence[Field]:
        return [*(one for one in TABLE if one.group == "devices"), *MODEL]


_NEEDED = ("params", "tokens", "hardware", "usd_per_hour", "queries_per_month", "output_tokens")


def checked_cost(cost: Cost) -> Cost:
    """The same, if every number is one and nothing is missing. Raises `UsageError`."""
    missing = [as_option(name) for name in _NEEDED if getattr(cost, name) is None]
    if missing:
        raise UsageError(f"cost needs {', '.join(missing)}; t2jax cost --help has an example")
    check_values(cost)
    shape = {name for name in ("kv_heads", "head_dim", "layers") if getattr(cost, name) is not None}
    if fault := cache_fault(shape, as_option):
        raise UsageError(fault)
    return cost
