"""The rows of a table by the problem that they make: those of one law or task in one form are solved together."""

from dataclasses import dataclass, field

import jax
import numpy as np

from t2jax._io.usage import UsageError
from t2jax.planning._aim import Aim
from t2jax.planning._answers import Answers
from t2jax.planning._coefficients import not_identified
from t2jax.planning._fields import NAMES, NUMBERS
from t2jax.planning._law_files import ReadFile
from t2jax.planning._objective import objective
from t2jax.planning._programs import Form, Structure, without_sources
from t2jax.planning._reasons import contradiction, lacks_demand, serves, target_fault, without_end
from t2jax.planning._spelling import as_column
from t2jax.planning.tables._scenarios import Scenarios
from t2jax.quantities import Quantity

__all__ = ["Rows", "grouped"]


@dataclass
class Rows:
    """Rows that plan for one law or task in one form."""

    rows: np.ndarray
    structure: Structure
    coefficients: list[np.ndarray]
    task: Quantity
    given: set[str] = field(default_factory=set)


def grouped(scenarios: Scenarios, answers: Answers, read: ReadFile) -> list[Rows]:
    """Rows that make a problem, by what is given, by law and task. The others are refused, with the reason."""
    size = len(answers.status)
    given = [~np.isnan(scenarios.numbers[name]) for name in NUMBERS]
    keys = [*given, *scenarios.names.values(), scenarios.flags["integer_samples"]]
    readable = np.array([status is None for status in answers.status], bool)
    code = np.zeros(size, np.int64)  # one number for each combination
    for key in keys:
        distinct, ranks = np.unique(key, return_inverse=True)
        _, code = np.unique(code * len(distinct) + ranks, return_inverse=True)
    order = np.flatnonzero(readable)
    order = order[np.argsort(code[order], kind="stable")]
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        if len(rows):
            try:
                found += _problem(rows, scenarios, answers, read)
            except UsageError as error:
                answers.refuse(rows, str(error))
    return found


def _problem(rows: np.ndarray, scenarios: Scenarios, answers: Answers, read: ReadFile) -> list[Rows]:
    """The problem of rows with one combination of columns; nothing where there is none. Raises `UsageError`."""
    first = int(rows[0])
    named = {
        name: scenarios.known[name][scenarios.names[name][first]] for name in NAMES if scenarios.names[name][first] >= 0
    }
    given = {name for name in NUMBERS if not np.isnan(scenarios.numbers[name][first])} | set(named)
    if fault := contradiction(given, as_column):
        raise UsageError(fault)
    # One number in place of those of all rows, until they are stacked.
    numbers = {name: 1.0 if name in given else None for name in ("G", "gamma", "unique_tokens")}
    task, law = objective(
        named.get("task"),
        named.get("law"),
        G=numbers["G"],
        gamma=numbers["gamma"],
        unique_tokens=numbers["unique_tokens"],
        spelled=as_column,
        read=read,
    )
    if fault := lacks_demand(given, sampled=Aim.of(task).sampled, spelled=as_column):
        raise UsageError(fault)
    if Aim.of(task).probability and "target" in given:
        target = scenarios.numbers["target"][rows]
        for row in rows[target >= 1].tolist():
            answers.refuse([row], target_fault(float(scenarios.numbers["target"][row]), as_column))
        rows = rows[target < 1]
    if not len(rows):
        return []
    ending = without_end(given, sampled=Aim.of(task).sampled, spelled=as_column)
    ending = ending or not_identified(named.get("law") or named.get("task"), read)
    if ending:
        answers.refuse(rows, ending[1], ending[0])
        return []
    whole = bool(scenarios.flags["integer_samples"][first]) and Aim.of(task).sampled
    form = Form.of(given, serves=serves(given), whole=whole)
    bare = without_sources(task)
    structure, coefficients = Structure.of(bare, form)
    places = {jax.tree_util.keystr(path): i for i, (path, _) in enumerate(jax.tree_util.tree_leaves_with_path(bare))}
    lanes = [np.broadcast_to(one, (len(rows), *one.shape)) for one in coefficients]
    within = "" if law is task else ".law"
    for name, path in (("G", ".G"), ("gamma", ".gamma"), ("unique_tokens", f"{within}.unique_tokens")):
        if name in given:
            lanes[places[path]] = scenarios.numbers[name][rows]
    return [Rows(rows, structure, lanes, task, given)]
