"""One of everything: every published law and task, every class of costs, and what they are added up to.

Numbers are those of a usual plan, so that any test may take these instead of making its own.
"""

import functools

import jax
import jax.numpy as jnp

import t2jax as t2
from t2jax.quantities import Quantity

UNIQUE_TOKENS = 25e9
LAW = t2.published("besiroglu2024")
LOSS_TASK = t2.T2Loss(LAW, 1.0, 0.3)

PUBLISHED = {
    row.name: t2.published(row.name, **({"unique_tokens": UNIQUE_TOKENS} if row.arguments else {}))
    for row in t2.list_published()
}
LAWS = {name: one for name, one in PUBLISHED.items() if isinstance(one, t2.LossLaw)}
TASKS = {name: one for name, one in PUBLISHED.items() if isinstance(one, t2.Task)}
ERRORS = {name: one for name, one in PUBLISHED.items() if isinstance(one, t2.ErrorFromLoss)}
ACCURACY_TASK = TASKS["pythia-gsm8k"]

HARDWARE = t2.accelerator("h100-sxm")
TRAIN = t2.TrainingFLOPs()
SERVE = t2.InferenceFLOPs(queries=1e9, prompt_tokens=100.0, output_tokens=500.0)
CHECK = t2.VerificationFLOPs(1e9, queries=1e9)
SERVING = t2.Serving(
    HARDWARE,
    batch=64,
    prompt_tokens=1000,
    output_tokens=500,
    mfu=0.5,
    mbu=0.7,
    queries_per_month=1e8,
    usd_per_hour=2.5,
)
TRAINING = t2.Training(HARDWARE, mfu=0.4, usd_per_hour=2.5, overhead=0.1, post_training_usd=2e5)


def energy(a):
    """Joules of a training run, as a user would write it."""
    return 3e-12 * 6.0 * a.params * a.tokens


def error_of(a, law, error):
    """Benchmark error where a law gives the loss."""
    return error(law(a))


def solved(a, law):
    """Of users' own: a probability that rises with k, and falls with the loss."""
    return a.samples / (a.samples + 50.0 * law(a) ** 3)


SUCCESS = t2.quantity(functools.partial(solved, law=LAW), name="solved", probability=True)

COSTS = {
    "training FLOPs": TRAIN,
    "inference FLOPs": SERVE,
    "inference FLOPs, prompts not shared": t2.InferenceFLOPs(1e9, 100.0, 500.0, share_prompt=False),
    "inference FLOPs with attention": t2.EquivalentFLOPs(1e9, 100.0, 500.0, intensity=295.0),
    "FLOPs of checking": CHECK,
    "training in dollars": TRAINING.usd,
    "serving in dollars": SERVING.usd_per_month,
    "time per output token": SERVING.time_per_output_token,
    "time to first token": SERVING.time_to_first_token,
    "tokens per second": SERVING.tokens_per_second,
    "memory of a replica": SERVING.replica_memory,
    "dollars per solved task": t2.PerSolvedTask(TRAINING.usd, SUCCESS, tasks=1e9),
}

ALGEBRA: dict[str, Quantity] = {
    "tokens": t2.tokens,
    "tokens per parameter": t2.tokens / t2.params,
    "a sum": TRAIN + SERVE + 1e20,
    "a multiple": 3.5e-18 * (TRAIN + SERVE),
    "a multiple of a probability": 2.0 * SUCCESS,
    "a function": t2.quantity(energy, convex=True),
    "benchmark error": t2.quantity(
        functools.partial(error_of, law=LAWS["gadre2024-c4"], error=ERRORS["gadre2024-c4-error"]),
        name="error",
        probability=True,
    ),
}

PORTFOLIO = t2.Portfolio(
    [
        t2.Workload(LOSS_TASK, queries=1e9, output_tokens=500),
        t2.Workload(t2.T2Loss(LAW, 0.2, 0.9), queries=1e7, prompt_tokens=200, output_tokens=8000, weight=3.0),
    ]
)
PORTFOLIOS = {"mean loss": PORTFOLIO.quality, "inference of all tasks": PORTFOLIO.inference}


class Regret(t2.Task):
    """A/N^a + 1/D^0.25 + 1/k: a task of a user's own, without a loss law."""

    A: jax.Array
    a: jax.Array
    law = None
    value_name, value_title, unit = "regret", "regret", "points"

    def score(self, log):
        of_params = jnp.log(self.A) - self.a * log.params
        return jnp.logaddexp(jnp.logaddexp(of_params, -0.25 * log.tokens), -log.samples)


OWN_TASK = Regret(jnp.asarray(40.0), jnp.asarray(0.3))
