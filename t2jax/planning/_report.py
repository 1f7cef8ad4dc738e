"""The answer of `t2jax plan` as a person reads it, from the dictionary that `--json` prints."""

import math
import textwrap
from functools import partial
from typing import Any

from t2jax._io.text import aligned, fixed, flops, gigabytes, human, milliseconds, percent, times
from t2jax.planning._field import Kind
from t2jax.planning._fields import TABLE, field
from t2jax.planning._figure_table import figure
from t2jax.planning._spelling import Spelling, as_option

__all__ = ["assumed", "limit_title", "plan_text", "shown_baselines"]

_WIDTH = 100
_TOTAL = {"flops": "total_flops", "usd": "usd"}
_IN_WORDS = {"flops": "FLOPs", "usd": "dollars"}


def plan_text(said: dict[str, Any], spelled: Spelling = as_option) -> str:
    """The problem, the allocations side by side, what more would buy, and what to be careful about."""
    blocks = [_problem(said), _table(said), _summary(said), _uncertainty(said), _prices(said), _notes(said)]
    if "hardware" in said:
        blocks.append("\n".join(assumed(said, spelled)))
    if said["plot"] is not None:
        blocks.append(f"The picture is in {said['plot']}")
    return "\n\n".join(block for block in blocks if block)


def _unit(said: dict[str, Any]) -> str:
    return "usd" if "hardware" in said else "flops"


def limit_title(name: str) -> str:
    """What a limit is on: of a field, or of the memory that devices have."""
    return figure("replica_memory").title if name == "memory" else field(name).limit


def _problem(said: dict[str, Any]) -> str:
    inputs, objective = said["inputs"], said["objective"]
    of, best = objective["title"], "highest" if objective["higher_is_better"] else "lowest"
    name = inputs["task"] or inputs["law"]
    if inputs["target"] is not None:
        sign = "≥" if objective["higher_is_better"] else "≤"
        lines = [f"The fewest {_IN_WORDS[_unit(said)]} for {of} {sign} {inputs['target']:g} ({name})"]
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
        f"{one.symbol or one.limit} ≤ {one.written(inputs[one.name])}"
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
    sampled = "k samples of " if _of_task(said) else ""
    answers = f"{queries} of {sampled}{_count(output)} token{'' if output == 1 else 's'}"
    if not prompt:
        return answers
    shared = ", read for each sample" if inputs["no_share_prompt"] else ", read once" if sampled else ""
    return f"{answers}, after a prompt of {_count(prompt)}{shared}"


def _of_task(said: dict[str, Any]) -> bool:
    return said["objective"]["of"] != "loss_nats"


def _columns(said: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The allocations to show, by their headings."""
    heading = {"chinchilla": ("Chinchilla-optimal,", "sampled with the rest"), "one_sample": ("one sample", "(k = 1)")}
    if not _of_task(said):
        heading["chinchilla"] = ("", "Chinchilla-optimal")
    return {("", "optimum"): said["optimum"], **{heading[key]: said["baselines"][key] for key in shown_baselines(said)}}


def shown_baselines(said: dict[str, Any]) -> tuple[str, ...]:
    """Those that can differ from the optimum."""
    if _of_task(said):
        return "chinchilla", "one_sample"
    return ("chinchilla",) if _serves(said) else ()


def _serves(said: dict[str, Any]) -> bool:
    return "hardware" in said or said["optimum"]["inference_flops"] is not None


def _table(said: dict[str, Any]) -> str:
    columns = _columns(said)
    task = _of_task(said)
    headings = [["", *(heading[i] for heading in columns)] for i in (0, 1)]
    rows = [row for row in headings if any(row)]

    def add(label: str, shown: Any) -> None:
        cells = [shown(one) if one["why_none"] is None else "–" for one in columns.values()]
        if any(cells):
            rows.append([label, *cells])

    def show(name: str, more: str = "", mark: Any = lambda _: " ") -> None:
        """A row for a figure of the table. more: behind its title. mark: behind each number."""
        row = figure(name)
        add(row.title + more, lambda one: row.written(one[name]) + mark(one))

    def outside(name: str) -> Any:
        return lambda one: "*" if any(sentence.startswith(name) for sentence in one["outside_fit"]) else " "

    of = said["objective"]["of"]
    show("params", mark=outside("params"))
    show("tokens", mark=outside("tokens"))
    if task:
        show("samples", mark=outside("samples"))
    show("tokens_per_param")
    add(figure("overtraining_ratio").title, lambda one: _times(one["overtraining_ratio"]))
    if of == "task_loss_nats":
        add(figure(of).title, lambda one: f"{figure(of).written(one['value'])} ")
    elif said["optimum"]["loss_nats"] is not None:
        show("loss_nats")
    if of not in ("task_loss_nats", "loss_nats", "pass_at_k"):
        add(said["objective"]["title"], lambda one: f"{one['value']:.4g} ")
    if task and said["optimum"]["pass_at_k"] is not None:
        show("pass_at_k", " (exp −loss)" if of == "task_loss_nats" else "")
    if "hardware" in said:
        show("training_usd")
        show("serving_usd")
        if task:
            add(figure("usd_per_solved_task").title, lambda one: human(one["usd_per_solved_task"] or math.nan) + " ")
        show("time_per_output_token")
        show("replica_memory")
    else:
        for name in ("train_flops", "inference_flops"):
            add(figure(name).title, partial(_share, key=name))
    if said["inputs"]["target"] is not None:
        show(_TOTAL[_unit(said)])
    lines = [aligned(rows)]
    lines += _unspent(said)
    lines += [
        f"  {' '.join(part for part in heading if part)}: {one['why_none']}"
        for heading, one in columns.items()
        if one["why_none"] is not None
    ]
    legend = ["D*(N): the tokens for which N parameters are compute-optimal in training"]
    if any(one["outside_fit"] for one in columns.values()):
        legend.append("*: outside the range that was fitted")
    return "\n".join([*lines, f"  {'; '.join(legend)}"])


def _unspent(said: dict[str, Any]) -> list[str]:
    """Why a capped baseline does not spend what it might."""
    key = _TOTAL[_unit(said)]
    spent, total = said["baselines"]["chinchilla"][key], said["inputs"][key]
    if total is None or spent is None or spent > 0.99 * total:
        return []
    left = percent(1 - spent / total)
    return [f"  Chinchilla-optimal: within the limits, {left} of the budget stays unspent"]


def _share(one: dict[str, Any], key: str) -> str:
    if one[key] is None:
        return ""
    if one["inference_flops"] is None or one["total_flops"] is None:
        return flops(one[key]) + " "
    return f"{flops(one[key])} ({100 * one[key] / one['total_flops']:.3g}%)"


def _summary(said: dict[str, Any]) -> str:
    """How much better the optimum is than each baseline."""
    optimum = said["optimum"]
    names = {"chinchilla": "the Chinchilla-optimal model sampled with the rest", "one_sample": "one sample per query"}
    if not _of_task(said):
        names = {"chinchilla": "the Chinchilla-optimal model"} if _serves(said) else {}
    against = [
        f"{_advantage(said['objective'], optimum, said['baselines'][key])} {name}"
        for key, name in names.items()
        if said["baselines"][key]["why_none"] is None
    ]
    verb = "takes" if said["objective"]["quantity"] in _TOTAL else "is"
    return textwrap.fill(f"The optimum {verb} {', and '.join(against)}.", _WIDTH) if against else ""


def _advantage(objective: dict[str, Any], optimum: dict[str, Any], other: dict[str, Any]) -> str:
    cost = objective["quantity"] in _TOTAL
    key = _TOTAL.get(objective["quantity"], "value")
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
    return f"{gain:.3g} nats below"


def _uncertainty(said: dict[str, Any]) -> str:
    """Intervals of the optimum, and where they come from."""
    found = said["uncertainty"]
    if found is None:
        return ""
    quantity = said["objective"]["quantity"]
    try:
        of = figure(_TOTAL.get(quantity, quantity))
        value = of.title, of.written
    except KeyError:  # of a user's own task
        value = said["objective"]["title"], fixed(4)
    shown = {name: (figure(name).title, figure(name).written) for name in ("params", "tokens", "samples")}
    shown["value"] = value
    if not _of_task(said):
        del shown["samples"]
    rows = []
    for key, (label, written) in shown.items():
        low, high = ("–", "") if found[key] is None else (written(one) for one in found[key])
        rows.append([label, low, *(["–", high] if high and high != low else [])])
    left_out = found["method"] == "ensemble" and found["members"] - found["solved"]
    how = "the fit's standard errors, by the delta method"
    if found["method"] == "ensemble":
        how = f"{found['members']:,} resampled fits"
    lines = [f"How sure the optimum is ({100 * found['level']:g} % intervals from {how})", aligned(rows)]
    if left_out:
        lines.append(f"  {left_out:,} of the {found['members']:,} resampled fits have no optimum and are left out")
    return "\n".join(lines)


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
    price, name = row["price"], row["constraint"]
    if price is None:
        return "–"
    if said["objective"]["quantity"] in _TOTAL:
        per_percent = price / said["optimum"][_TOTAL[said["objective"]["quantity"]]]
        cost = _IN_WORDS[said["objective"]["quantity"]]
        if name != "target":
            return f"10% more → {_signed(100 * per_percent * math.log(1.1))}% {cost}"
        if said["objective"]["of"] == "pass_at_k":
            return f"1 point more → {_signed(per_percent / row['limit'])}% {cost}"
        return f"0.01 nats less → {_signed(-per_percent / row['limit'])}% {cost}"
    gain = price * math.log(1.1)
    if said["objective"]["of"] == "pass_at_k":
        return f"10% more → pass@k {_signed(100 * gain)} points"
    return f"10% more → loss {_signed(gain)} nats"


def _notes(said: dict[str, Any]) -> str:
    lines = []
    for note in said["notes"]:
        lines += textwrap.wrap(note, _WIDTH, initial_indent="note: ", subsequent_indent="      ")
    return "\n".join(lines)


def _raw(price: float | None) -> str:
    return "–" if price is None else f"{price:.4g}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number < 1e6 and number == round(number) else human(number)


def _amount(said: dict[str, Any], cost: float) -> str:
    return human(cost) if "hardware" in said else flops(cost)


def _times(ratio: float | None) -> str:
    return "– " if ratio is None else times(ratio)


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
