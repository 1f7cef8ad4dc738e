"""`t2jax plan --usd`: the best model for a sum of money on real devices, beside what the same sum buys otherwise."""

import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import numpy as np

import t2jax as t2
from t2jax.cli.baseline import Demand, Limits, balanced_tokens, measure, sampled_with_the_rest
from t2jax.cli.cost import assumed, lifetime
from t2jax.cli.options import Plan
from t2jax.planning.coefficients import is_task
from t2jax.planning.objective import objective
from t2jax.planning.scenario import DEFAULT_TASK, as_option
from t2jax.planning.usage import UsageError
from t2jax.report import aligned, human
from t2jax.tasks import T2Accuracy

__all__ = ["answer", "money_text"]

_NO_CAP = 1e38


def answer(plan: Plan) -> dict[str, Any]:
    """As `--json` prints it. Raises `UsageError` where the options do not make a problem."""
    task, law = objective(
        plan.task, plan.law, G=plan.G, gamma=plan.gamma, unique_tokens=plan.unique_tokens, spelled=as_option
    )
    try:
        # One "month" is the whole life: --queries counts all of it.
        life = lifetime(
            plan,
            queries_per_month=plan.queries,
            prompt_tokens=plan.prompt_tokens or 0.0,
            output_tokens=plan.output_tokens or 1.0,
            months=1.0,
            share_prompt=not plan.no_share_prompt,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    said: dict[str, Any] = {
        "status": "solved",
        "reason": None,
        "inputs": {
            **{name: getattr(plan, name) for name in plan.__dataclass_fields__ if name != "json"},
            "task": None if plan.law else plan.task or DEFAULT_TASK,
        },
        "hardware": {"name": life.training.hardware.name, "source": life.training.hardware.source},
        "objective": {
            "quantity": "pass_at_k"
            if isinstance(task, T2Accuracy)
            else "task_loss_nats"
            if is_task(task)
            else "loss_nats",
            "sources": [{"name": p.name, "citation": p.citation} for p in task.provenances()],
        },
        "optimum": None,
        "baselines": None,
        "prices": [],
        "notes": [],
    }
    found = _solve(plan, life, task, _NO_CAP)
    if not bool(found.ok):
        status, said["reason"] = found.reason.split(": ", 1)
        return {**said, "status": status}
    one = _solve(plan, life, task, 1.0)
    points = [_where(found), _chinchilla(plan, life, task, law), _where(one) if bool(one.ok) else one.reason]
    optimum, chinchilla, one_sample = (_described(point, life, task, law) for point in points)
    names = list(_constraints(plan, life, task, _NO_CAP))
    said["prices"] = [
        {"constraint": name, "price": float(price) + 0.0, "binding": abs(float(slack)) < 1e-6}
        for name, price, slack in zip(names, found.shadow_prices, found.slacks, strict=True)
        if name != "max_samples" or plan.max_samples is not None
    ]
    said["notes"] = list(found.extrapolations)
    return {**said, "optimum": optimum, "baselines": {"chinchilla": chinchilla, "one_sample": one_sample}}


def _constraints(plan: Plan, life: t2.Lifetime, task: Any, most_samples: float) -> dict[str, Any]:
    """By the name of what sets the limit; a model must fit its replica."""
    serving = life.serving
    found = {"usd": life.usd <= plan.usd, "memory": serving.replica_memory <= serving.memory_available}
    if plan.max_time_per_token is not None:
        found["max_time_per_token"] = serving.time_per_output_token <= plan.max_time_per_token
    if plan.max_params is not None:
        found["max_params"] = t2.params <= plan.max_params
    if plan.max_tokens is not None:
        found["max_tokens"] = t2.tokens <= plan.max_tokens
    most = min(most_samples, plan.max_samples or _NO_CAP) if is_task(task) else 1.0
    found["max_samples"] = t2.samples <= most
    return found


def _solve(plan: Plan, life: t2.Lifetime, task: Any, most_samples: float) -> t2.Solution:
    optimise = t2.maximize if isinstance(task, T2Accuracy) else t2.minimize
    constraints = list(_constraints(plan, life, task, most_samples).values())
    return optimise(task, constraints, integer_samples=plan.integer_samples and is_task(task), throw=False)


@dataclass(frozen=True)
class _Paid(Demand):
    """Demand as the baseline takes it, in training FLOPs: what serving costs in dollars, at the price of training."""

    life: t2.Lifetime
    flops_per_usd: float

    def inference_flops(self, params: Any, samples: Any) -> Any:
        return self.flops_per_usd * np.asarray(_serving_usd(self.life, params * np.ones_like(samples), samples))

    def samples(self, params: Any, flops: Any) -> Any:
        """The k that so much pays for: a bill is linear in k."""
        one, two = (self.inference_flops(params, np.full_like(params, k)) for k in (1.0, 2.0))
        return 1.0 + (flops - one) / (two - one)


@eqx.filter_jit
def _serving_usd(life: t2.Lifetime, params: Any, samples: Any) -> Any:
    return life.serving.usd_per_month(t2.Allocation(params, params, samples)) * life.months


def _chinchilla(plan: Plan, life: t2.Lifetime, task: Any, law: Any) -> tuple[float, float, float] | str:
    """The compute-optimal model, as large as is best, that samples with what is left, and fits its replica."""
    at = t2.Allocation(1e9, 1e9)
    run = float(life.training.usd(at)) - float(life.training.post_training_usd)
    flops_per_usd = 6e18 / run
    left = float(plan.usd or 0.0) - float(life.training.post_training_usd)
    if left <= 0:
        return "post-training takes all of it"
    none = math.inf
    limits = Limits(
        total=left * flops_per_usd,
        train=none,
        inference=none,
        params=min(plan.max_params or none, _largest(plan, life)),
        tokens=plan.max_tokens or none,
        samples=plan.max_samples or none,
    )
    return sampled_with_the_rest(
        task,
        law,
        limits,
        _Paid(float(plan.queries or 0.0), plan.prompt_tokens or 0.0, plan.output_tokens or 1.0, life, flops_per_usd),
        sampled=is_task(task),
        whole=plan.integer_samples,
        better=1.0 if isinstance(task, T2Accuracy) else -1.0,
        target=None,
    )


def _largest(plan: Plan, life: t2.Lifetime) -> float:
    """The most parameters that fit the memory and are as fast as asked: both grow with N."""
    sizes = np.geomspace(1e3, 1e15, 4001)
    fits = np.asarray(life.serving.replica_memory(t2.Allocation(sizes, 1.0))) <= float(life.serving.memory_available)
    if plan.max_time_per_token is not None:
        fits &= np.asarray(life.serving.time_per_output_token(t2.Allocation(sizes, 1.0))) <= plan.max_time_per_token
    return float(np.max(np.where(fits, sizes, 0.0)))


def _where(solution: t2.Solution) -> tuple[float, float, float]:
    a = solution.allocation
    return float(a.params), float(a.tokens), float(a.samples)


def _described(point: tuple[float, float, float] | str, life: t2.Lifetime, task: Any, law: Any) -> dict[str, Any]:
    if isinstance(point, str):
        return {"why_none": point}
    n, d, k = point
    one = measure(task, law, *(np.array([x]) for x in point))
    value, loss = float(one.value[0]), float(one.loss[0])
    where = t2.Allocation(n, d, k)
    probability, queries = isinstance(task, T2Accuracy), life.tasks
    passed = value if probability else math.exp(-value) if is_task(task) else None
    training = float(life.training.usd(where))
    serving = float(life.serving.usd_per_month(where)) * float(life.months)
    return {
        "params": n,
        "tokens": d,
        "samples": k,
        "tokens_per_param": d / n,
        "overtraining_ratio": d / float(balanced_tokens(law, np.array([n]))[0]),
        "loss_nats": loss,
        "pass_at_k": passed,
        "value": value,
        "training_usd": training,
        "serving_usd": serving,
        "usd": training + serving,
        "usd_per_solved_task": None if passed is None else (training + serving) / (passed * float(queries)),
        "training_device_hours": float(life.training.device_hours(where)),
        "time_per_output_token": float(life.serving.time_per_output_token(where)),
        "time_to_first_token": float(life.serving.time_to_first_token(where)),
        "replica_memory": float(life.serving.replica_memory(where)),
        "why_none": None,
    }


def money_text(said: dict[str, Any]) -> str:
    """The problem, three allocations side by side, and what they rest on."""
    i, best = said["inputs"], said["optimum"]
    quantity = said["objective"]["quantity"]
    what = {"pass_at_k": "highest pass@k", "task_loss_nats": "lowest task loss", "loss_nats": "lowest loss"}[quantity]
    lines = [
        f"The {what} ({i['task'] or i['law']}) for {human(i['usd'])} USD on {said['hardware']['name']} at "
        f"{i['usd_per_hour']:g} USD an hour",
        f"  demand  {human(i['queries'])} queries, {i['output_tokens'] or 1:g} output tokens a sample, "
        f"{i['prompt_tokens'] or 0:g} of prompt",
        "",
    ]
    columns = {"optimum": best}
    if quantity != "loss_nats":
        columns["one sample"] = said["baselines"]["one_sample"]
    columns["Chinchilla-optimal"] = said["baselines"]["chinchilla"]
    shown = [
        ("parameters N", lambda one: human(one["params"])),
        ("training tokens D", lambda one: human(one["tokens"])),
        ("samples per query k", lambda one: human(one["samples"])),
        ("tokens per parameter", lambda one: human(one["tokens_per_param"])),
        ("loss (nats per token)", lambda one: f"{one['loss_nats']:.4f}"),
        ("pass@k", lambda one: "–" if one["pass_at_k"] is None else f"{one['pass_at_k']:.2%}"),
        ("training, USD", lambda one: human(one["training_usd"])),
        ("serving, USD", lambda one: human(one["serving_usd"])),
        ("per solved task, USD", lambda one: human(one["usd_per_solved_task"] or math.nan)),
        ("time per output token", lambda one: f"{human(1e3 * one['time_per_output_token'])} ms"),
        ("memory of a replica", lambda one: f"{one['replica_memory'] / 1e9:.1f} GB"),
    ]
    if quantity == "loss_nats":
        shown = [row for row in shown if row[0] not in ("pass@k", "per solved task, USD", "samples per query k")]
    rows = [["", *columns]]
    rows += [[label, *("–" if one["why_none"] else cell(one) for one in columns.values())] for label, cell in shown]
    lines.append(aligned(rows))
    lines += [f"  {name}: {one['why_none']}" for name, one in columns.items() if one["why_none"]]
    binding = [row["constraint"] for row in said["prices"] if row["binding"]]
    lines += ["", f"What binds: {', '.join(binding) or 'nothing'}."]
    for row in said["prices"]:
        if row["binding"] and row["constraint"] == "usd":
            gain = row["price"] * math.log(1.1)
            points = f"{100 * gain:+.2g} points of pass@k" if quantity == "pass_at_k" else f"{gain:+.2g} nats"
            lines.append(f"10 % more money: {points}.")
    return "\n".join([*lines, *(f"note: {one}" for one in said["notes"]), *assumed(i, said["hardware"]["source"])])
