"""`t2jax list`: the published laws and tasks as a table, or as JSON with their coefficients."""

from collections.abc import Iterable
from typing import Any

from t2jax._io.text import aligned
from t2jax.literature import KINDS, Published, Role, list_published

__all__ = ["as_text", "hardware_as_text", "hardware_rows", "rows"]


_HEADING = ("name", "kind", "params N", "tokens D", "samples k")


def as_text() -> str:
    """Tasks, laws, and what plan cannot use, each with the range it was fitted on."""
    known = list_published()
    blocks = [
        ("Tasks: t2jax plan --task NAME", _with_role(known, Role.TASK)),
        ("Loss laws: t2jax plan --law NAME", _with_role(known, Role.LAW)),
        ("From loss to benchmark error: in Python only", _with_role(known, Role.ERROR)),
    ]
    cells = [_HEADING, *map(_cells, known)]
    heading, *each = aligned(cells, left=range(len(_HEADING))).splitlines()  # all blocks have the same columns
    line = dict(zip((row.name for row in known), each, strict=True))
    lines = []
    for title, members in blocks:
        lines += [title, heading]
        for row in members:
            counts = "; N without embeddings" if row.convention == "non-embedding" else ""
            lines += [line[row.name], f"      {row.citation}{counts}"]
        lines.append("")
    lines += _registered()
    lines.append("Ranges are those of the runs that were fitted; N counts all parameters unless it says otherwise.")
    return "\n".join(lines)


def _with_role(rows: Iterable[Published], role: Role) -> list[Published]:
    return [row for row in rows if KINDS[row.kind].role is role]


def _registered() -> list[str]:
    """The kinds that plugins registered, by what follows `t2jax fit --model`."""
    own = [kind for kind in KINDS.values() if not kind.is_own]
    if not own:
        return []
    rows = [["name", "kind", "coefficients", "module"]]
    rows += [[one.typed, one.name, ", ".join(one.field_names), one.module] for one in own]
    return ["Registered by plugins: t2jax fit --model NAME", aligned(rows, left=(0, 1, 2, 3)), ""]


def _cells(row: Published) -> tuple[str, ...]:
    ranges = [row.provenance.shown(variable) for variable in ("params", "tokens", "samples")]
    return (row.name, row.kind, *ranges)


def rows() -> list[dict[str, Any]]:
    """For JSON: an object for each law and task; ranges are [low, high]."""
    return [_row(row) for row in list_published()]


def _row(row: Published) -> dict[str, Any]:
    role = KINDS[row.kind].role
    return {
        "name": row.name,
        "kind": row.kind,
        "plan_option": f"--{role.value}" if role.plans else None,
        "citation": row.citation,
        "params": row.params,
        "tokens": row.tokens,
        "samples": row.samples,
        "convention": row.convention,
        "note": row.note,
        "coefficients": _plain(row.coefficients),
        "arguments": row.arguments,
    }


def _plain(coefficients: Any) -> dict[str, Any]:
    """As in a file of coefficients: a law inside is an object with its kind."""
    return {
        key: {"kind": value[0], **_plain(value[1])} if key == "law" and isinstance(value, tuple) else value
        for key, value in coefficients.items()
    }


def hardware_as_text() -> str:
    """The accelerators of `t2jax cost`."""
    from t2jax.costs import list_accelerators

    note = "Peaks are dense and per device. No prices: they are yours to give, with --usd-per-hour."
    return f"{list_accelerators()}\n\n{note}"


def hardware_rows() -> list[dict[str, Any]]:
    """For JSON: an object for each accelerator, in FLOP/s, bytes, bytes per second and watts."""
    from t2jax.costs import list_accelerators

    return [one.to_dict() for one in list_accelerators()]
