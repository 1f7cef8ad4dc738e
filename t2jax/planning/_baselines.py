"""What people do today: train the Chinchilla-optimal model, then sample it with what is left.

Everything is evaluated for many models at once by two small compiled functions, whatever the law.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax.planning._balance import FAR, balanced
from t2jax.planning._costing import Costing, Limits
from t2jax.quantities import Allocation, Quantity

__all__ = ["Measured", "balanced_tokens", "measure", "sampled_with_the_rest"]

LANES = 512
"""Models looked at together. Always as many, so that each function is compiled once."""
_MOST_FLOPS = 1e45


@dataclass(frozen=True)
class Measured:
    """What a model achieves: the quantity that is planned for, and its loss in nats per token."""

    value: Any
    loss: Any


@eqx.filter_jit
def _measure(task: Quantity, law: Quantity | None, where: Allocation) -> tuple[Array, Array]:
    return task(where), jnp.full(LANES, jnp.nan) if law is None else law(where)


def measure(task: Quantity, law: Quantity | None, params: Any, tokens: Any, samples: Any) -> Measured:
    """At most LANES allocations at once."""
    where = Allocation(*(_padded(one) for one in (params, tokens, samples)))
    value, loss = _measure(task, law, where)
    size = len(params)
    return Measured(np.asarray(value)[:size], np.asarray(loss)[:size])


_balanced = eqx.filter_jit(balanced)


def balanced_tokens(law: Quantity | None, params: Any) -> Any:
    """D*(N): the tokens for which N parameters are compute-optimal; NaN where no number of tokens is."""
    if law is None:
        return np.full(len(params), np.nan)
    log_params = np.log(_padded(params))
    _, log_tokens = _balanced(law, jnp.asarray(log_params), jnp.zeros(LANES), jnp.zeros(()))
    tokens = np.exp(np.asarray(log_tokens))[: len(params)]
    return np.where(np.abs(np.log(tokens)) < FAR - 1e-6, tokens, np.nan)


def _compute_optimal(law: Quantity, train_flops: Any) -> tuple[Any, Any]:
    """(N, D) of least loss for each of LANES numbers of training FLOPs."""
    half = jnp.asarray(0.5 * np.log(train_flops / 6.0))
    log_params, log_tokens = _balanced(law, half, half, jnp.ones(()))
    return np.exp(np.asarray(log_params)), np.exp(np.asarray(log_tokens))


def _most_training(law: Quantity, limits: Limits, costing: Costing) -> float:
    """The training FLOPs of the largest compute-optimal model within the budgets and the caps; 0 if there is none."""
    most = min(costing.training_flops_for(min(limits.total, limits.train)), _MOST_FLOPS)
    if np.isinf(limits.params) and np.isinf(limits.tokens):
        return most

    def spent(train_flops: Any) -> tuple[Any, Any, Any, Any]:
        params, tokens = _compute_optimal(law, train_flops)
        fits = (params <= limits.params) & (tokens <= limits.tokens)
        return params, tokens, np.ones(LANES), np.where(fits, train_flops, -np.inf)

    best = _best_of(spent, most)
    return 6.0 * best[0] * best[1] if best else 0.0


# What is beyond the largest number is affordable, or not; what is no number is looked over.
@np.errstate(divide="ignore", over="ignore", invalid="ignore")
def sampled_with_the_rest(
    task: Quantity,
    law: Quantity,
    limits: Limits,
    costing: Costing,
    *,
    sampled: bool,
    whole: bool,
    better: float,
    target: float | None,
) -> tuple[float, float, float] | str:
    """(N, D, k) of the Chinchilla-optimal model sampled with what is left, or why there is none.

    With a training budget and no total one, all of it is spent on the compute-optimal model. Otherwise the share of
    training is the one that is best for the task (or, for a target, cheapest): the baseline at its best. Under caps the
    model stays compute-optimal and is as large as they let it be; what is left then may stay unspent.
    sampled: does the task depend on k? whole: k is. better: 1 where more of the task is better, −1 where less is.
    """

    def affordable(train_flops: Any) -> tuple[Any, Any, Any, Any]:
        """(N, D, k, gain), with a gain of −∞ where not even one sample is affordable."""
        params, tokens = _compute_optimal(law, train_flops)
        left = np.minimum(limits.total - costing.training(params, tokens), limits.inference)
        most = np.minimum(costing.samples_for(params, left), limits.samples)
        if target is None:
            samples = (np.floor(most * (1 + 1e-12)) if whole else most) if sampled else np.ones_like(params)
            possible = most >= 1.0 - 1e-12
            samples = np.where(possible, np.maximum(samples, 1.0), 1.0)
            # A k that rounding made affordable is paid for by as tiny a part of the model.
            params = params * np.where(possible & (samples > most), most / samples, 1.0)
            return (
                params,
                tokens,
                samples,
                np.where(possible, better * measure(task, law, params, tokens, samples).value, -np.inf),
            )

        def reached(samples: Any) -> Any:
            return better * (measure(task, law, params, tokens, samples).value - target) >= 0

        low, high = np.zeros(LANES), np.log(np.clip(most, 1.0, np.exp(FAR)))
        possible = (most >= 1.0) & reached(np.exp(high) if sampled else np.ones(LANES))
        for _ in range(56 if sampled else 0):
            middle = 0.5 * (low + high)
            enough = reached(np.exp(middle))
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        samples = np.where(reached(np.ones(LANES)), 1.0, np.exp(high))
        samples = np.ceil(samples * (1 - 1e-12)) if whole else samples
        possible &= samples <= most * (1 + 1e-12)
        cost = costing.training(params, tokens) + costing.serving(params, samples)
        return params, tokens, samples, np.where(possible, -cost, -np.inf)

    end = _most_training(law, limits, costing)
    if not end:
        return "no such model fits the limits"
    if target is None and np.isinf(limits.total) and np.isfinite(limits.train):
        params, tokens, samples, gain = (one[0] for one in affordable(np.full(LANES, end)))
        if np.isinf(gain):
            needed = costing.serving(params, 1.0)
            return f"one sample per query takes {needed / limits.inference:.3g} times the inference budget"
        return float(params), float(tokens), float(samples)
    best = _best_of(affordable, end)
    return best or ("no such model reaches the target" if target is not None else "no such model fits the budget")


def _best_of(points: Callable[[Any], tuple[Any, Any, Any, Any]], most: float) -> tuple[float, float, float] | None:
    """The point of greatest gain over training FLOPs up to `most`: first everywhere, then ever closer to the best."""
    found = None
    low, high = np.log(most) - FAR, np.log(most)
    start, end = low, high
    for _ in range(7):
        log_flops = np.linspace(start, end, LANES)
        params, tokens, samples, gain = points(np.exp(log_flops))
        gain = np.where(np.isnan(gain), -np.inf, gain)  # models too small for the law's numbers
        i = int(np.argmax(gain))
        if not np.isfinite(gain[i]):
            break
        found = float(params[i]), float(tokens[i]), float(samples[i])
        step = (end - start) / (LANES - 1)
        start, end = max(low, log_flops[i] - step), min(high, log_flops[i] + step)
    return found


def _padded(values: Any) -> Float[np.ndarray, "lanes"]:
    values = np.asarray(values, dtype=np.float64)
    return np.concatenate([values, np.ones(LANES - len(values))])
