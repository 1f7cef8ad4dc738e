"""`t2jax cost`: a model and a demand → a bill, by part. Loads neither JAX nor NumPy before it runs."""

from collections.abc import Sequence
from dataclasses import replace

from t2jax.cli._arguments import Flag
from t2jax.cli._command import ANSWERED, Command, float64, say
from t2jax.cli._scenario_options import HasFields, typed_in
from t2jax.planning._bill_fields import bill_fields, checked_bill
from t2jax.planning._field import Field
from t2jax.planning._spelling import as_option

__all__ = ["Cost"]


class Cost(HasFields, Command):
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
        return bill_fields()

    def run(self, words: Sequence[str]) -> int:
        spelled = replace(as_option, help="t2jax cost --help")
        fields = checked_bill(typed_in(self), spelled, called="cost")
        with float64():
            from t2jax.planning._bill import billed

            bill = billed(fields, spelled)
        say("cost", bill.to_dict(), as_json=self.json, text=lambda _: str(bill))
        return ANSWERED
