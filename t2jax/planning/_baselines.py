"""What people do today: train the Chinchilla-optimal model, then sample it with what is left.

Everything is evaluated for many models at once by two small compiled functions, whatever the law.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax.planning._balance import FAR, balanced
from t2jax.planning._costing import Costing, Limits, Point
from t2jax.quantities import Allocation, Quantity

__all__ = ["Measured", "Sampling", "balanced_tokens", "measure", "sampled_with_the_rest"]

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


class _Models(NamedTuple):
    """LANES models with what each is sampled: (N, D, k). gain: the best is looked for; −∞ where there is no such k."""

    params: Any
    tokens: Any
    samples: Any
    gain: Any

    def at(self, i: int) -> Point:
        return float(self.params[i]), float(self.tokens[i]), float(self.samples[i])


@dataclass(frozen=True)
class Sampling:
    """What Chinchilla-optimal models are sampled for, and within what.

    depends: does the task depend on k? whole: k is. better: 1 where more of the task is better, −1 where less is.
    target: of the task, to be reached as cheaply as can be; None for the most that is affordable.
    """

    task: Quantity
    law: Quantity
    limits: Limits
    costing: Costing
    depends: bool
    whole: bool
    better: float
    target: float | None

    def models(self, train_flops: Any) -> _Models:
        """The compute-optimal models of so many training FLOPs, each sampled with what is left."""
        params, tokens = _compute_optimal(self.law, train_flops)
        left = np.minimum(self.limits.total - self.costing.training(params, tokens), self.limits.inference)
        most = np.minimum(self.costing.samples_for(params, left), self.limits.samples)
        if self.target is None:
            return self._with_all_that_is_left(params, tokens, most)
        return self._until(self.target, params, tokens, most)

    def _with_all_that_is_left(self, params: Any, tokens: Any, most: Any) -> _Models:
        samples = np.ones_like(params)
        if self.depends:
            samples = np.floor(most * (1 + 1e-12)) if self.whole else most
        possible = most >= 1.0 - 1e-12
        samples = np.where(possible, np.maximum(samples, 1.0), 1.0)
        # A k that rounding made affordable is paid for by as tiny a part of the model.
        params = params * np.where(possible & (samples > most), most / samples, 1.0)
        gain = self.better * self._value(params, tokens, samples)
        return _Models(params, tokens, samples, np.where(possible, gain, -np.inf))

    def _until(self, target: float, params: Any, tokens: Any, most: Any) -> _Models:
        """With the fewest samples that reach the target."""

        def reached(samples: Any) -> Any:
            return self.better * (self._value(params, tokens, samples) - target) >= 0

        one, clipped = np.ones(LANES), np.clip(most, 1.0, np.exp(FAR))
        possible = (most >= 1.0) & reached(np.exp(np.log(clipped)) if self.depends else one)
        samples = np.where(reached(one), 1.0, _fewest(reached, clipped) if self.depends else clipped)
        samples = np.ceil(samples * (1 - 1e-12)) if self.whole else samples
        possible &= samples <= most * (1 + 1e-12)
        cost = self.costing.training(params, tokens) + self.costing.serving(params, samples)
        return _Models(params, tokens, samples, np.where(possible, -cost, -np.inf))

    def _value(self, params: Any, tokens: Any, samples: Any) -> Any:
        return measure(self.task, self.law, params, tokens, samples).value

    @property
    def spends_all_on_training(self) -> bool:
        """Is there a training budget, and no total one to be shared with answers?"""
        return self.target is None and bool(np.isinf(self.limits.total) and np.isfinite(self.limits.train))


# What is beyond the largest number is affordable, or not; what is no number is looked over.
@np.errstate(divide="ignore", over="ignore", invalid="ignore")
def sampled_with_the_rest(sampling: Sampling) -> Point | str:
    """(N, D, k) of the Chinchilla-optimal model sampled with what is left, or why there is none.

    With a training budget and no total one, all of it is spent on the compute-optimal model. Otherwise the share of
    training is the one that is best for the task (or, for a target, cheapest): the baseline at its best. Under caps the
    model stays compute-optimal and is as large as they let it be; what is left then may stay unspent.
    """
    end = _most_training(sampling.law, sampling.limits, sampling.costing)
    if not end:
        return "no such model fits the limits"
    if sampling.spends_all_on_training:
        return _of_all_training(sampling, end)
    no_model = "no such model fits the budget" if sampling.target is None else "no such model reaches the target"
    return _best_of(sampling.models, end) or no_model


def _of_all_training(sampling: Sampling, train_flops: float) -> Point | str:
    models = sampling.models(np.full(LANES, train_flops))
    if np.isinf(models.gain[0]):
        needed = sampling.costing.serving(models.params[0], 1.0)
        return f"one sample per query takes {needed / sampling.limits.inference:.3g} times the inference budget"
    return models.at(0)


def _fewest(reached: Callable[[Any], Any], most: Any) -> Any:
    """The fewest samples that reach the target, where `most` do: by halves, in logarithms."""
    low, high = np.zeros(LANES), np.log(most)
    for _ in range(56):
        middle = 0.5 * (low + high)
        enough = reached(np.exp(middle))
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.exp(high)


def _most_training(law: Quantity, limits: Limits, costing: Costing) -> float:
    """The training FLOPs of the largest compute-optimal model within the budgets and the caps; 0 if there is none."""
    most = min(costing.training_flops_for(min(limits.total, limits.train)), _MOST_FLOPS)
    if np.isinf(limits.params) and np.isinf(limits.tokens):
        return most

    def within_the_caps(train_flops: Any) -> _Models:
        params, tokens = _compute_optimal(law, train_flops)
        fits = (params <= limits.params) & (tokens <= limits.tokens)
        return _Models(params, tokens, np.ones(LANES), np.where(fits, train_flops, -np.inf))

    best = _best_of(within_the_caps, most)
    return 6.0 * best[0] * best[1] if best else 0.0


def _best_of(models: Callable[[Any], _Models], most: float) -> Point | None:
    """The one of greatest gain over training FLOPs up to `most`: first everywhere, then ever closer to the best."""
    found = None
    low, high = np.log(most) - FAR, np.log(most)
    start, end = low, high
    for _ in range(7):
        log_flops = np.linspace(start, end, LANES)
        here = models(np.exp(log_flops))
        gain = np.where(np.isnan(here.gain), -np.inf, here.gain)  # models too small for the law's numbers
        i = int(np.argmax(gain))
        if not np.isfinite(gain[i]):
            break
        found = here.at(i)
        step = (end - start) / (LANES - 1)
        start, end = max(low, log_flops[i] - step), min(high, log_flops[i] + step)
    return found


def _padded(values: Any) -> Float[np.ndarray, "lanes"]:
    values = np.asarray(values, dtype=np.float64)
    return np.concatenate([values, np.ones(LANES - len(values))])
