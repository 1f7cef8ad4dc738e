"""Problems that the tests of the optimiser share: structures with every number as data, and reference formulas.

A structure is compiled once and then solves any numbers, so tests draw many problems and sort them into one batch.
What their answers are held to is in `oracles`, and here by the same names.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from oracles import (
    chinchilla_optimum as chinchilla_optimum,
    loss as loss,
    serve_flops as serve_flops,
    slsqp as slsqp,
    train_flops as train_flops,
    violation as violation,
)

import t2jax as t2

QUICK = {"xla_backend_optimization_level": 0}
"""Compile three times faster, run slower: for tests where the numbers are the point and not the machine code."""

NO_CAP = 1e36
"""A bound that never binds, but has the structure of one."""

Data = dict[str, Any]

BESIROGLU = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
NUMBERS = {
    **BESIROGLU,
    "G": 1.0,
    "gamma": 0.3,
    "total": 1e23,  # one budget of training and inference
    "train": NO_CAP,  # or one of each
    "serve": NO_CAP,
    "queries": 1e9,
    "prompt": 0.0,
    "output": 1.0,
    "train_factor": 6.0,
    "serve_factor": 2.0,
    "max_params": NO_CAP,
    "max_tokens": NO_CAP,
    "max_samples": NO_CAP,
    "min_samples": 1.0,
    "target": 2.5,
}
THETA = (0.78, 3.1, 1.0, -1.83, 2.45)


def numbers(size: int, **given: Any) -> Data:
    """A batch of `size` problems: the reference problem of the equation sheet, but for what is given."""
    return {
        name: np.broadcast_to(np.asarray(given.get(name, default), float), (size,)) for name, default in NUMBERS.items()
    }


def uniform(rng: np.random.Generator, low: float, high: float, size: int) -> np.ndarray:
    return rng.uniform(low, high, size)


def log_uniform(rng: np.random.Generator, low: float, high: float, size: int) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def draw(seed: int, size: int, *, prompts: bool = False, caps: bool = False, two: bool = False) -> Data:
    """Random laws around the published ones, budgets from 1e15 to 1e30 FLOPs, up to 1e12 queries.

    prompts: half of the problems pay for prompts. caps: each of N, D and k is capped in half of the problems, by up to
    a thousandth of what it would be. two: a budget each for training and inference.
    """
    rng = np.random.default_rng(seed)
    budget = log_uniform(rng, 1e15, 1e30, size)
    data = numbers(
        size,
        E=uniform(rng, 0.5, 2.5, size),
        A=log_uniform(rng, 50, 5e5, size),
        B=log_uniform(rng, 50, 5e6, size),
        alpha=uniform(rng, 0.25, 0.7, size),
        beta=uniform(rng, 0.25, 0.7, size),
        G=log_uniform(rng, 0.1, 5.0, size),
        gamma=uniform(rng, 0.15, 0.7, size),
        queries=log_uniform(rng, 1.0, 1e12, size),
        total=budget,
    )
    if prompts:
        data["prompt"] = np.where(rng.random(size) < 0.5, log_uniform(rng, 1.0, 1e4, size), 0.0)
        data["output"] = log_uniform(rng, 1.0, 1e4, size)
    if two:
        # It buys between one and 1e8 samples per query of a model between 1e3 parameters and its Chinchilla size.
        largest = np.sqrt(budget / 6)
        params = np.exp(rng.uniform(np.log(1e3), np.log(largest)))
        per_sample = 2 * params * data["queries"] * (data["prompt"] + data["output"])
        serve = np.minimum(per_sample * log_uniform(rng, 1.0, 1e8, size), 1e34)
        data |= {"total": np.full(size, NO_CAP), "train": budget, "serve": serve}
    if caps:
        scales = {"max_params": np.sqrt(budget / 6), "max_tokens": np.sqrt(budget / 6), "max_samples": 1e6}
        for name, scale in scales.items():
            cap = scale * log_uniform(rng, 1e-3, 10.0, size)
            data[name] = np.where(rng.random(size) < 0.5, np.maximum(cap, 1.0), NO_CAP)
    return data


def law_of(d: Data) -> t2.Chinchilla:
    return t2.Chinchilla(d["E"], d["A"], d["B"], d["alpha"], d["beta"])


def task_of(d: Data) -> t2.T2Loss:
    return t2.T2Loss(law_of(d), d["G"], d["gamma"])


def train_of(d: Data) -> t2.TrainingFLOPs:
    return t2.TrainingFLOPs(d["train_factor"])


def serve_of(d: Data, *, share_prompt: bool = True) -> t2.InferenceFLOPs:
    return t2.InferenceFLOPs(d["queries"], d["prompt"], d["output"], share_prompt, d["serve_factor"])


def caps_of(d: Data) -> list[Any]:
    return [
        t2.params <= d["max_params"],
        t2.tokens <= d["max_tokens"],
        t2.samples <= d["max_samples"],
        t2.samples >= d["min_samples"],
    ]


def chinchilla(d: Data, **options: Any) -> t2.Solution:
    """A Chinchilla law on 6ND = C."""
    return t2.minimize(law_of(d), [train_of(d) <= d["total"]], **options)


def bare(d: Data, **options: Any) -> t2.Solution:
    """T2Loss, one budget, no bounds but the implied ones."""
    return t2.minimize(task_of(d), [train_of(d) + serve_of(d) <= d["total"]], **options)


def one_budget(d: Data, **options: Any) -> t2.Solution:
    """T2Loss, one budget for training and inference, every coordinate capped."""
    return t2.minimize(task_of(d), [train_of(d) + serve_of(d) <= d["total"], *caps_of(d)], **options)


def two_budgets(d: Data, **options: Any) -> t2.Solution:
    """T2Loss, a budget each for training and inference, prompts not shared, every coordinate capped."""
    serve = serve_of(d, share_prompt=False)
    return t2.minimize(task_of(d), [train_of(d) <= d["train"], serve <= d["serve"], *caps_of(d)], **options)


def cheapest(d: Data, **options: Any) -> t2.Solution:
    """The dual: least total FLOPs that reach a target loss."""
    return t2.minimize(train_of(d) + serve_of(d), [task_of(d) <= d["target"], *caps_of(d)], **options)


def accuracy_one_budget(d: Data, **options: Any) -> t2.Solution:
    """T2Accuracy, one budget, every coordinate capped."""
    task = t2.T2Accuracy(law_of(d), d["theta"])
    return t2.maximize(task, [train_of(d) + serve_of(d) <= d["total"], *caps_of(d)], **options)


def accuracy_two_budgets(d: Data, **options: Any) -> t2.Solution:
    """T2Accuracy, a budget each for training and inference, every coordinate capped."""
    task = t2.T2Accuracy(law_of(d), d["theta"])
    return t2.maximize(task, [train_of(d) <= d["train"], serve_of(d) <= d["serve"], *caps_of(d)], **options)


class Batched:
    """A structure as a function of batches of numbers: compiled once per dtype, whatever the number of problems.

    Batches are filled up to whole multiples of `lanes` with their last problem, as every new size would compile anew.
    """

    def __init__(self, solve: Callable[[Any], Any], lanes: int = 256, options: dict[str, int] | None = QUICK):
        self.lanes = lanes
        self.compiled = jax.jit(jax.vmap(solve), compiler_options=options)

    def __call__(self, data: Any, dtype: Any = np.float64) -> Any:
        with jax.enable_x64(dtype == np.float64):
            return self._solve(data, dtype)

    def _solve(self, data: Any, dtype: Any) -> Any:
        size = len(jax.tree.leaves(data)[0])
        pieces = -(-size // self.lanes)
        take = np.minimum(np.arange(pieces * self.lanes), size - 1)
        filled = jax.tree.map(lambda a: jnp.asarray(np.asarray(a)[take], dtype), data)
        parts = [
            self.compiled(jax.tree.map(lambda a, i=i: a[i * self.lanes : (i + 1) * self.lanes], filled))
            for i in range(pieces)
        ]
        return jax.tree.map(lambda *arrays: np.concatenate([np.asarray(a) for a in arrays])[:size], *parts)


def solved(solution: t2.Solution) -> np.ndarray:
    return np.asarray(solution.ok)


def as_printed(found: Any, *digits: float) -> None:
    """Assert that numbers agree with printed ones, to half a unit of the last digit that is printed."""
    for one, printed in zip(np.ravel(found), digits, strict=True):
        half = 0.5 * 10.0 ** int(Decimal(repr(printed)).normalize().as_tuple().exponent)
        assert abs(float(one) - printed) <= half * (1 + 1e-6), f"{float(one)!r} is not {printed!r}"
