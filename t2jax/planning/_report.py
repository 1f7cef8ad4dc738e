"""The answer of `t2jax plan` as a person reads it, from the dictionary that `--json` prints."""

import math
import textwrap
from typing import Any

from t2jax._io.text import aligned, flops, gigabytes, human, milliseconds, percent
from t2jax.planning._allocations import TOTAL, allocations_table, is_sampled, serves, unit
from t2jax.planning._field import Kind
from t2jax.planning._fields import TABLE, field
from t2jax.planning._figure_table import figure
from t2jax.planning._inputs import named
from t2jax.planning._intervals import intervals_text
from t2jax.planning._spelling import Spelling, as_option

__all__ = ["assumed", "limit_title", "plan_text"]

_WIDTH = 100
_IN_WORDS = {"flops": "FLOPs", "usd": "dollars"}
_LOSSES = ("loss_nats", "task_loss_nats")


def plan_text(said: dict[str, Any], spelled: Spelling = as_option) -> str:
    """The problem, the allocations side by side, what more would buy, and what to be careful about."""
    blocks = [_problem(said), allocations_table(said), _summary(said), _uncertainty(said), _prices(said), _notes(said)]
    if "hardware" in said:
        blocks.append("\n".join(assumed(said, spelled)))
    if said["plot"] is not None:
        blocks.append(f"The picture is in {said['plot']}")
    return "\n\n".join(block for block in blocks if block)


def limit_title(name: str) -> str:
    """What a limit is on: of a field, or of the memory that devices have."""
    return figure("replica_memory").title if name == "memory" else field(name).limit


def _problem(said: dict[str, Any]) -> str:
    inputs, objective = said["inputs"], said["objective"]
    of, best = objective["title"], "highest" if objective["higher_is_better"] else "lowest"
    name = named(inputs["task"] or inputs["law"])
    if inputs["target"] is not None:
        sign = "≥" if objective["higher_is_better"] else "≤"
        lines = [f"The fewest {_IN_WORDS[unit(said)]} for {of} {sign} {inputs['target']:g} ({name})"]
    else:
        lines = [f"The {best} {of} ({name}) for {_budgets(said)}"]
    if "hardware" in said:
        lines.append(f"  devices    {said['hardware']['name']} at {inputs['usd_per_hour']:g} USD an hour")
    if inputs["G"] is not None:
        lines.append(f"  task loss  L(N, D) + {inputs['G']:g}/k^{inputs['gamma']:g}")
    for source in objective["sources"]:
        cited = f"{source['name']}: {source['citation']}".rstrip(": ")
        lines += textwrap.wrap(cited, _WIDTH, initial_indent="  source     ", subsequent_indent=" " * 13)
    if inputs["queries"] is not None or inputs["inference_flops"] is not None:
        lines.append(f"  demand     {_demand(said)}")
    caps = [
        f"{one.symbol or one.limit} {one.sign} {one.written(inputs[one.name])}"
        for one in TABLE
        if one.group == "cap" and one.kind is Kind.NUMBER and inputs[one.name] is not None
    ]
    if inputs["target"] is not None and (inputs["train_flops"] or inputs["inference_flops"]):
        caps.append(_budgets(said))
    if inputs.get("max_time_per_token") is not None:
        caps.append(f"{milliseconds(inputs['max_time_per_token'])} per output token")
    if objective["unique_tokens"] is not None:
        caps.append(f"{human(objective['unique_tokens'])} unique tokens")
    if caps:
        lines.append(f"  limits     {', '.join(caps)}")
    return "\n".join(lines)


def _budgets(said: dict[str, Any]) -> str:
    inputs = said["inputs"]
    if "hardware" in said:
        return f"{human(inputs['usd'])} USD of training and serving together"
    served = inputs["queries"] is not None
    one = "query" if inputs["output_tokens"] or inputs["prompt_tokens"] else "token served"
    named = {
        "total_flops": "training and inference together" if served else "training",
        "train_flops": "training",
        "inference_flops": "inference" if served else f"inference per {one}",
    }
    given = [f"{flops(inputs[key])} FLOPs of {what}" for key, what in named.items() if inputs[key] is not None]
    return " and ".join(given) or "any number of FLOPs"


def _demand(said: dict[str, Any]) -> str:
    inputs = said["inputs"]
    output, prompt = inputs["output_tokens"] or 1.0, inputs["prompt_tokens"] or 0.0
    if inputs["queries"] is None and output == 1 and not prompt:
        return "one token, sampled k times: 2Nk FLOPs"
    queries = "one query" if inputs["queries"] is None else f"{human(inputs['queries'])} queries"
    sampled = "k samples of " if is_sampled(said) else ""
    answers = f"{queries} of {sampled}{_count(output)} token{'' if output == 1 else 's'}"
    if not prompt:
        return answers
    shared = ", read for each sample" if inputs["no_share_prompt"] else ", read once" if sampled else ""
    return f"{answers}, after a prompt of {_count(prompt)}{shared}"


def _summary(said: dict[str, Any]) -> str:
    """How much better the optimum is than each baseline."""
    optimum = said["optimum"]
    names = {"chinchilla": "the Chinchilla-optimal model sampled with the rest", "one_sample": "one sample per query"}
    if not is_sampled(said):
        names = {"chinchilla": "the Chinchilla-optimal model"} if serves(said) else {}
    against = [
        f"{_advantage(said['objective'], optimum, said['baselines'][key])} {name}"
        for key, name in names.items()
        if said["baselines"][key]["why_none"] is None
    ]
    verb = "takes" if said["objective"]["quantity"] in TOTAL else "is"
    return textwrap.fill(f"The optimum {verb} {', and '.join(against)}.", _WIDTH) if against else ""


def _advantage(objective: dict[str, Any], optimum: dict[str, Any], other: dict[str, Any]) -> str:
    cost = objective["quantity"] in TOTAL
    key = TOTAL.get(objective["quantity"], "value")
    much = "money" if objective["quantity"] == "usd" else "compute"
    size = optimum[key]
    if objective["quantity"] == "pass_at_k":  # near certainty failures are what counts
        size = min(size, 1 - size)
    if abs(other[key] - optimum[key]) <= 1e-6 * size:
        return f"as much {much} as" if cost else "as good as"
    if cost:
        return f"{percent(1 - optimum[key] / other[key])} less {much} than"
    gain = abs(other[key] - optimum[key])
    if objective["of"] == "pass_at_k":
        return f"{100 * gain:.3g} points of pass@k above"
    where = "above" if objective["higher_is_better"] else "below"
    return f"{gain:.3g} {objective['unit'] or 'of ' + objective['title']} {where}"


def _uncertainty(said: dict[str, Any]) -> str:
    """Intervals of the optimum, and where they come from."""
    if said["uncertainty"] is None:
        return ""
    names = ("params", "tokens", *(["samples"] if is_sampled(said) else []), "value")
    return intervals_text(said["uncertainty"], names, said["objective"]["quantity"], said["objective"]["title"])


def _prices(said: dict[str, Any]) -> str:
    rows = [["", "limit", "used", "", "raw price"]]
    for row in said["prices"]:
        name = row["constraint"]
        shown = gigabytes if name == "memory" else _target if name == "target" else field(name).written
        used = "all" if row["binding"] else percent(row["used"] / row["limit"])
        if name == "target":
            used = "reached" if row["binding"] else shown(row["used"])
        rows.append([limit_title(name), shown(row["limit"]), used, _in_words(said, row), _raw(row["price"])])
    if len(rows) == 1:
        return ""
    value = _IN_WORDS.get(said["objective"]["quantity"], "value")
    title = f"What more would buy (raw price: d {value} / d ln limit)"
    return title + "\n" + aligned(rows)


def _in_words(said: dict[str, Any], row: dict[str, Any]) -> str:
    if not row["binding"]:
        return "does not bind"
    price, name, objective = row["price"], row["constraint"], said["objective"]
    if price is None:
        return "–"
    if objective["quantity"] in TOTAL:
        per_percent = price / said["optimum"][TOTAL[objective["quantity"]]]
        cost = _IN_WORDS[objective["quantity"]]
        if name != "target":
            return f"10% more → {_signed(100 * per_percent * math.log(1.1))}% {cost}"
        if objective["of"] == "pass_at_k":
            return f"1 point more → {_signed(per_percent / row['limit'])}% {cost}"
        if objective["of"] in _LOSSES:
            return f"0.01 nats less → {_signed(-per_percent / row['limit'])}% {cost}"
        if objective["higher_is_better"]:
            return f"1% more {objective['title']} → {_signed(per_percent)}% {cost}"
        return f"1% less {objective['title']} → {_signed(-per_percent)}% {cost}"
    gain = price * math.log(1.1)
    if objective["of"] == "pass_at_k":
        return f"10% more → pass@k {_signed(100 * gain)} points"
    title = "loss" if objective["of"] in _LOSSES else objective["title"]
    return f"10% more → {title} {_signed(gain)} {objective['unit']}".rstrip()


def _notes(said: dict[str, Any]) -> str:
    lines = []
    for note in said["notes"]:
        lines += textwrap.wrap(note, _WIDTH, initial_indent="note: ", subsequent_indent="      ")
    return "\n".join(lines)


def _raw(price: float | None) -> str:
    return "–" if price is None else f"{price:.4g}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number < 1e6 and number == round(number) else human(number)


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "−")


def _target(value: float) -> str:
    return f"{value:.6g}"


def assumed(said: dict[str, Any], spelled: Spelling = as_option) -> list[str]:
    """What a bill rests on, in words. said: the dictionary that `--json` prints."""
    i = said["inputs"]
    names = f"{spelled('kv_heads')}, {spelled('head_dim')} and {spelled('layers')}"
    own = "" if i["kv_heads"] else f"\n    (a model's own: {names})"
    return [
        f"Assumed: training reaches {i['mfu']:.0%} of peak {i['dtype']}, serving {i['serving_mfu']:.0%} of it and "
        f"{i['serving_mbu']:.0%} of bandwidth;",
        f"  devices per replica: {i['devices']:g}, batch {i['batch']:g}, busy {i['utilization']:.0%} of the time.",
        f"  KV cache: {said['kv_cache']}{own}.",
        f"Peaks: {said['hardware']['source']}. The price is yours.",
    ]
