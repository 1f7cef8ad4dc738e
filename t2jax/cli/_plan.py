"""`t2jax plan`: a scenario → a plan, printed or drawn. Loads JAX."""

from t2jax.cli._interrupts import in_order
from t2jax.cli._options import Plan as Options
from t2jax.cli._progress import progress
from t2jax.cli._scenario_options import typed_in
from t2jax.planning._plan import Plan, planned
from t2jax.planning._problem import Problem
from t2jax.planning._scenario import checked_scenario
from t2jax.planning._spelling import as_option

__all__ = ["answer"]


def answer(options: Options) -> Plan:
    """The plan, which is drawn, too, where a picture is asked for. Raises `UsageError`."""
    problem = Problem.of(checked_scenario(typed_in(options), as_option), as_option)
    with progress("how sure", "solves") as tell:
        plan = planned(problem, progress=tell)
    if options.plot is not None and plan.ok:
        with in_order():
            plan.plot(options.plot)
    return plan
