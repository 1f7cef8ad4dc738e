"""What every quantity, law and task is held to: `check_quantity`, `check_law`, `check_task`, for tests of your own.

Each looks at an object at random decisions and raises AssertionError with what failed, where and by how much, with
pytest or without it. JAX's precision makes no difference: everything is computed in float64, and again in float32.
"""

import contextlib
import copy
import functools
import json
import math
import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from t2jax.laws import LossLaw
from t2jax.literature import built, described, kind_of
from t2jax.quantities import Allocation, Curvature, Provenance, Quantity, Scale, declaration, name_of
from t2jax.tasks import Task

__all__ = ["check_law", "check_quantity", "check_task"]
Ranges = Mapping[str, tuple[float, float]]

RANGES: Ranges = {"params": (1e7, 1e12), "tokens": (1e9, 1e14), "samples": (1.0, 1e4)}
"""Where decisions are drawn, log-uniformly. Other variables: from a thirtieth to thirty times of what is given."""
POINTS = 8
STEP = 1e-3  # of central differences of fourth order, in logarithms: their error is 1e-12 of a fifth derivative
EXACT = 1e-9  # what rounding may do in float64, relative to one and to the number itself
SMOOTH = 1e-6  # how far a derivative may be from its differences, relative to one and to the largest of them
PLATFORMS = ("cpu", "cuda", "tpu")


def check_quantity(
    quantity: Quantity,
    *,
    decision: Any = None,
    ranges: Ranges | None = None,
    increasing: Sequence[str] = (),
    decreasing: Sequence[str] = (),
    float32_tolerance: float = 1e-4,
    seed: int = 0,
) -> None:
    """Assert that a quantity is what the optimiser takes it for.

    ```python
    class EnergyJoules(t2.Quantity):
        per_flop: jax.Array

        def score(self, log):
            return jnp.log(6.0 * self.per_flop) + log.params + log.tokens

    t2.testing.check_quantity(EnergyJoules(jnp.asarray(3e-12)), increasing=("params", "tokens"))
    ```

    At random decisions: it is a pytree whose static fields compare, and prints; its score is finite, the same with and
    without `jax.jit`, and in `jax.vmap` as in a loop; calling it gives the value of that score. First and second
    derivatives agree in both modes and with central differences, and the second are symmetric. `curvature` holds along
    chords and at every point, `power_terms` add up to the value, and only `variables` change it. In float32 its score
    and slopes are those in float64, and it compiles for CPU, CUDA and TPU.

    quantity: one, not an ensemble. decision: an `Allocation` or another module of positive numbers; one with the
    quantity's `variables` unless given. ranges: of variables by name, where decisions are drawn. increasing,
    decreasing: variables in which the value never falls, or never rises. float32_tolerance: how far the score may be
    off in float32, relative to one and to itself; slopes ten times as far. seed: of the decisions. A corner within a
    thousandth of a decision is taken for a wrong slope: it is no fault, and another seed avoids it.
    Raises AssertionError for what does not hold, TypeError for what is no quantity.
    """
    _check(Quantity, quantity, decision, ranges, seed, float32_tolerance, increasing, decreasing)


def check_law(
    law: LossLaw, *, decision: Any = None, ranges: Ranges | None = None, float32_tolerance: float = 1e-4, seed: int = 0
) -> None:
    """Assert that a loss law is what fits and plans take it for. Arguments and errors as `check_quantity`.

    Everything that it does; and the loss never rises with N or D and is the same for any k, broadcasts, has an equation
    in print and names in that of an ensemble, and comes back from JSON if it is registered (`t2jax.register`).
    """
    falls = ("params", "tokens", "samples")
    seen = _check(LossLaw, law, decision, ranges, seed, float32_tolerance, ("samples",), falls)
    _is_written_and_read(seen, law)


def check_task(
    task: Task, *, decision: Any = None, ranges: Ranges | None = None, float32_tolerance: float = 1e-4, seed: int = 0
) -> None:
    """Assert that a task is what plans take it for. Arguments and errors as `check_quantity`.

    Everything that it does; and the value never gets worse with k, has a name, is as good as its `pass_at_k`, which is
    between 0 and 1 where there is one, broadcasts, prints and comes back from JSON as `check_law` says.
    """
    rises, falls = (("samples",), ()) if getattr(task, "higher_is_better", False) else ((), ("samples",))
    seen = _check(Task, task, decision, ranges, seed, float32_tolerance, rises, falls)
    _says_what_it_is(task)
    _is_as_good_as_its_pass_at_k(seen)
    _is_written_and_read(seen, task)


def _check(
    base: type, given: Any, decision: Any, ranges: Any, seed: int, tolerance: float, rises: Any, falls: Any
) -> "_Seen":
    if not isinstance(given, base):
        raise TypeError(f"this check takes a t2jax.{base.__name__}, got {type(given).__name__}")
    with jax.enable_x64(True):
        _is_a_pytree(given)
        _prints(given)
        seen = _Seen(_rounded(given), _usual(given) if decision is None else decision, ranges or {}, seed)
        for check in (_is_finite, _same_compiled, _has_derivatives, _bends_as_declared, _adds_up, _reads_what_it_says):
            check(seen)
        for name, sign in [*((one, 1.0) for one in rises), *((one, -1.0) for one in falls)]:
            _goes_one_way(seen, name, sign)
    _fits_float32(seen, tolerance)
    return seen


def _usual(quantity: Any) -> Allocation:
    """A decision with all variables that the quantity depends on."""
    with _said(quantity, "its variables cannot be told"):
        others = {name: declaration(name).start for name in quantity.variables if name not in RANGES}
    return Allocation(1e9, 2e10, 8.0, **others)


class _Seen:
    """A quantity as a function of vectors, and what it is at random ones: logarithms of the variables of decisions."""

    def __init__(self, quantity: Any, decision: Any, ranges: Ranges, seed: int):
        self.quantity = quantity
        paths, self.treedef = jax.tree_util.tree_flatten_with_path(decision)
        self.shapes = [np.shape(leaf) for _, leaf in paths]
        least = getattr(decision, "lower_bounds", dict)()
        elements = [(name_of(path), i, x) for path, leaf in paths for i, x in np.ndenumerate(np.asarray(leaf))]
        self.fields = [name for name, _, _ in elements]
        self.names = [f"{name}{list(i)}" if i else name for name, i, _ in elements]
        around = [(max(float(x) / 30.0, least.get(name, 0.0)), float(x) * 30.0) for name, _, x in elements]
        known = [ranges.get(name) or RANGES.get(name) for name in self.fields]
        low, high = np.log([one or other for one, other in zip(known, around, strict=True)]).T

        rng, size = np.random.default_rng(seed), len(low)
        self.points = rng.uniform(low, high, (POINTS, size)).astype(np.float32).astype(np.float64)
        pairs = np.stack(np.triu_indices(POINTS, 1), 1)
        self.chords, self.share = pairs, rng.uniform(0.05, 0.95, len(pairs))
        first, second = self.points[pairs[:, 0]], self.points[pairs[:, 1]]
        steps = STEP * np.array([-2.0, -1.0, 1.0, 2.0])[:, None] * np.eye(size)[:, None, :]
        moved = (self.points[:, None, None, :] + steps).reshape(-1, size)
        rows = np.concatenate([self.points, moved, first + self.share[:, None] * (second - first)])

        smooth, given = jax.jit(self.smooth), (_numbers(quantity), jnp.asarray(rows))
        with _said(quantity, "it cannot be compiled and differentiated under jit and vmap"):
            *every, looped = (np.asarray(one, np.float64) for one in smooth(*given))
        with _said(quantity, f"it does not compile for all of {', '.join(PLATFORMS)}"):
            jax.export.export(smooth, platforms=PLATFORMS)(*given)
        self.scores, self.slopes, self.forward, self.second = (one[:POINTS] for one in every)
        self.moved = [one[POINTS : POINTS + len(moved)].reshape(POINTS, size, 4, *one.shape[1:]) for one in every[:2]]
        self.looped, self.on_chords = looped, every[0][-len(pairs) :]

    def decision(self, x: Any) -> Any:
        """Of a vector, or of a last axis of them, as NumPy or JAX has it."""
        xp = np if isinstance(x, np.ndarray) else jnp
        pieces = xp.split(x, np.cumsum([math.prod(shape) for shape in self.shapes])[:-1], -1)
        leaves = [piece.reshape(*x.shape[:-1], *shape) for piece, shape in zip(pieces, self.shapes, strict=True)]
        return jax.tree.unflatten(self.treedef, leaves)

    def score(self, numbers: Sequence[Any], x: Any) -> Any:
        score = _with_numbers(self.quantity, numbers).score(self.decision(x))
        assert jnp.shape(score) == (), f"at one decision its score has the shape {jnp.shape(score)}"
        return score

    def sloped(self, numbers: Sequence[Any], rows: Any) -> tuple[Any, Any]:
        return jax.vmap(jax.value_and_grad(lambda x: self.score(numbers, x)))(rows)

    def smooth(self, numbers: Sequence[Any], rows: Any) -> tuple[Any, ...]:
        """Scores, slopes by reverse and by forward mode, second derivatives; and scores of the points in a loop."""

        def score(x: Any) -> Any:
            return self.score(numbers, x)

        forward, second = jax.vmap(jax.jacfwd(score))(rows), jax.vmap(jax.jacfwd(jax.grad(score)))(rows)
        return *self.sloped(numbers, rows), forward, second, jax.lax.map(score, rows[:POINTS])

    def holds(self, held: Any, claim: str, point: Any, found: str) -> None:
        where = ", ".join(f"{name} {math.exp(x):.4g}" for name, x in zip(self.names, self.points[point], strict=True))
        _assert(held, self.quantity, claim, f"at {where} {found}")

    def agrees(self, found: Any, expected: Any, tolerance: float, claim: str) -> None:
        """Assert that arrays with a row a decision are the same. Relative to one, and to the largest of the row."""
        found, expected = (np.asarray(one, np.float64) for one in (found, expected))
        largest = np.abs(expected).max(axis=tuple(range(1, expected.ndim)), keepdims=True)
        wrong = np.nan_to_num(np.abs(found - expected) / np.maximum(1.0, largest), nan=np.inf)
        worst = np.unravel_index(np.argmax(wrong), wrong.shape)
        of = "".join(f" in {self.names[i]}" for i in worst[1:])
        apart = f"{found[worst]:.9g} is not {expected[worst]:.9g}{of}, {wrong[worst]:.2g} apart (up to {tolerance:.2g})"
        self.holds(wrong[worst] <= tolerance, claim, worst[0], apart)


def _numbers(quantity: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(quantity) if eqx.is_inexact_array(leaf)]


def _with_numbers(quantity: Any, numbers: Sequence[Any]) -> Any:
    fresh = iter(numbers)
    return jax.tree.map(lambda leaf: next(fresh) if eqx.is_inexact_array(leaf) else leaf, quantity)


def _cast(quantity: Any, dtype: Any) -> Any:
    return _with_numbers(quantity, [jnp.asarray(np.asarray(leaf), dtype) for leaf in _numbers(quantity)])


def _rounded(quantity: Any) -> Any:
    """In float64, with coefficients as float32 holds them, so that both precisions compute the same."""
    with np.errstate(over="ignore"):
        narrow = _cast(quantity, np.float32)
    for leaf in _numbers(narrow):
        _assert(np.isfinite(leaf).all(), quantity, "its coefficients are finite in float32", f"one is {leaf}")
    return _cast(narrow, np.float64)


def _assert(held: Any, quantity: Any, claim: str, found: str) -> None:
    if not held:
        raise AssertionError(f"{type(quantity).__name__}: {claim}, but {found}")


@contextlib.contextmanager
def _said(quantity: Any, failure: str) -> Generator[None]:
    """Any error becomes an AssertionError that says what did not work."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{type(quantity).__name__}: {failure}: {type(error).__name__}: {error}") from error


def _is_a_pytree(quantity: Any) -> None:
    leaves, treedef = jax.tree.flatten(quantity)
    for leaf in (leaf for leaf in leaves if isinstance(leaf, str | bytes | bool)):
        _assert(False, quantity, "its leaves are numbers", f"{leaf!r} is one: make it eqx.field(static=True)")
    with _said(quantity, "its static fields must compare by ==, and anything may stand in place of its numbers"):
        same = jax.tree.structure(copy.deepcopy(jax.tree.unflatten(treedef, leaves))) == treedef
        jax.tree.map(lambda _: object(), quantity)
    _assert(same, quantity, "taken apart and put together it is the same", "its structure is another")


def _prints(quantity: Any) -> None:
    for name in (one for one in ("__str__", "__repr__", "_repr_html_") if hasattr(quantity, one)):
        with _said(quantity, f"its {name} must not fail"):
            shown = getattr(quantity, name)()
        _assert(isinstance(shown, str) and shown.strip(), quantity, f"its {name} is a text", f"it is {shown!r}")
    _names_coefficients(quantity, repr(quantity), "its __repr__ has the name of each coefficient")
    for source in quantity.provenances():
        _assert(isinstance(source, Provenance), quantity, "provenances are of Provenance", f"one is {source!r}")


def _names_coefficients(quantity: Any, text: str, claim: str) -> None:
    for name in quantity.__dataclass_fields__:
        held = re.search(rf"\b{name}\b", text) or not eqx.is_inexact_array(getattr(quantity, name))
        _assert(held, quantity, claim, f"{name} is not there")


def _is_finite(seen: _Seen) -> None:
    for name, numbers in (("score", seen.scores), ("slope", seen.slopes), ("second derivative", seen.second)):
        for bad in np.argwhere(~np.isfinite(numbers))[:1]:
            of = "".join(f" in {seen.names[i]}" for i in bad[1:])
            seen.holds(False, f"its {name} is a finite number", bad[0], f"it is {numbers[tuple(bad)]}{of}")


def _same_compiled(seen: _Seen) -> None:
    """And a call is the value of the score."""
    seen.agrees(seen.scores, seen.looped, EXACT, "vmap gives what a loop does")
    with _said(seen.quantity, "it fails outside jit"):
        logs = [seen.decision(jnp.asarray(x)) for x in seen.points[:2]]
        eager = [float(seen.quantity.score(log)) for log in logs]
        values = [float(seen.quantity(jax.tree.map(jnp.exp, log))) for log in logs]
        ratios = np.array(values) / [float(seen.quantity.scale.to_value(jnp.asarray(one))) for one in eager]
    seen.agrees(seen.scores[:2], eager, EXACT, "jit gives what eager execution does")
    seen.agrees(ratios, np.ones(2), EXACT, "a call gives the value of the score")


def _has_derivatives(seen: _Seen) -> None:
    seen.agrees(seen.forward, seen.slopes, EXACT, "slopes by forward mode are those by reverse mode")
    seen.agrees(seen.second, np.swapaxes(seen.second, 1, 2), EXACT, "second derivatives are symmetric")
    weights = np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * STEP)
    first, second = (np.einsum("pvs...,s->p...v", one, weights) for one in seen.moved)
    seen.agrees(seen.slopes, first, SMOOTH, "slopes are those of differences")
    seen.agrees(seen.second, second, SMOOTH, "second derivatives are differences of slopes")


def _bends_as_declared(seen: _Seen) -> None:
    """Convex: on chords at most what is between the ends, and nowhere bent down. Affine: not bent at all."""
    curvature, (first, second) = seen.quantity.curvature, seen.chords.T
    if curvature > Curvature.CONVEX:
        return
    claim = f"it is {curvature.name.lower()} in the logarithms, as declared"
    straight = seen.scores[first] + seen.share * (seen.scores[second] - seen.scores[first])
    above = (seen.on_chords - straight) / np.maximum(1.0, np.abs(straight))
    worst = int(np.argmax(above))
    to = ", ".join(f"{x:.4g}" for x in np.exp(seen.points[second[worst]]))
    seen.holds(above[worst] <= EXACT, claim, first[worst], f"and on the way to ({to}) it is {above[worst]:.3g} above")
    lowest = np.linalg.eigvalsh(seen.second)[:, 0]
    worst = int(np.argmin(lowest))
    seen.holds(lowest[worst] >= -EXACT, claim, worst, f"a second derivative is {lowest[worst]:.3g}")
    if curvature is Curvature.AFFINE:
        seen.agrees(seen.second, 0.0 * seen.second, EXACT, claim)


def _adds_up(seen: _Seen) -> None:
    terms, logs = seen.quantity.power_terms(), seen.decision(seen.points)
    if terms is not None:
        with np.errstate(divide="ignore"):  # a term may be 0
            sizes = [np.log(np.asarray(one.coefficient)) + np.asarray(one.log_rest(logs)) for one in terms]
        total, value = functools.reduce(np.logaddexp, sizes), seen.quantity.scale.to_log(jnp.asarray(seen.scores))
        seen.agrees(np.broadcast_to(total, (POINTS,)), value, EXACT, "power_terms add up to its value, in logarithms")


def _reads_what_it_says(seen: _Seen) -> None:
    if isinstance(seen.decision(seen.points), Allocation):  # which has all variables that are declared
        told = seen.quantity.variables
        others = seen.slopes * [name not in told for name in seen.fields]
        seen.agrees(others, 0.0 * others, EXACT, f"it depends on nothing but its variables, {', '.join(told)}")


def _goes_one_way(seen: _Seen, name: str, sign: float) -> None:
    columns = [i for i, field in enumerate(seen.fields) if field == name]
    if not columns:
        raise ValueError(f"the decision has no variable {name!r}, only {', '.join(dict.fromkeys(seen.fields))}")
    least = np.min(sign * seen.slopes[:, columns], axis=1)
    worst, way = int(np.argmin(least)), "falls" if sign > 0 else "rises"
    slope = f"d score / d log {name} is {sign * least[worst]:.3g}"
    seen.holds(least[worst] >= -EXACT, f"its value never {way} with {name}", worst, slope)


def _fits_float32(seen: _Seen, tolerance: float) -> None:
    with jax.enable_x64(False), _said(seen.quantity, "it fails in float32"):
        narrow, points = _numbers(_cast(seen.quantity, np.float32)), jnp.asarray(seen.points, jnp.float32)
        scores, slopes = jax.jit(seen.sloped)(narrow, points)
    seen.agrees(scores, seen.scores, tolerance, "its score in float32 is that in float64")
    seen.agrees(slopes, seen.slopes, 10.0 * tolerance, "its slopes in float32 are those in float64")


def _is_written_and_read(seen: _Seen, given: Any) -> None:
    """At arrays of decisions, as an equation, as the names of coefficients, as JSON."""
    with jax.enable_x64(True):
        one = _cast(given, np.float64)
        with _said(one, "it fails at arrays of decisions"):
            scores = np.asarray(seen.quantity.score(seen.decision(jnp.asarray(seen.points[:, None]))))
        _assert(scores.shape == (POINTS, 1), one, f"at {(POINTS, 1)} decisions it has a score each", f"{scores.shape}")
        seen.agrees(scores[:, 0], seen.scores, EXACT, "at arrays of decisions it has the score of each")
        with _said(one, "it fails to print as an ensemble"):
            printed = str(_with_numbers(one, [jnp.stack([leaf, leaf]) for leaf in _numbers(one)]))
        sides = [side.strip() for side in str(one).partition("\n")[0].split(" = ")]
        _assert(all(sides) and sides[1:], one, "it prints as an equation", f"its first line is {' = '.join(sides)!r}")
        _names_coefficients(one, printed, "as an ensemble it prints the name of each coefficient")
        parts = [one, getattr(one, "law", None)]
        if all(part is None or kind_of(part) is not None for part in parts):
            with _said(one, "it fails to be written as JSON and read again"):
                again = built(json.loads(json.dumps(described(one))), "JSON")
            _assert(eqx.tree_equal(one, again), one, "it comes back from JSON as it was", f"it is {again!r}")


def _says_what_it_is(task: Task) -> None:
    right = {
        "value_name": isinstance(task.value_name, str) and task.value_name.isidentifier(),
        "value_title": isinstance(task.value_title, str) and bool(task.value_title.strip()),
        "unit": isinstance(task.unit, str),
        "higher_is_better": isinstance(task.higher_is_better, bool),
        "law": task.law is None or isinstance(task.law, Quantity),
    }
    for name, held in right.items():
        _assert(held, task, f"{name} is as t2jax.Task describes it", f"it is {getattr(task, name)!r}")


def _is_as_good_as_its_pass_at_k(seen: _Seen) -> None:
    """Between 0 and 1, better where the value is, alike for numbers and arrays; of that name, the value itself."""
    task = seen.quantity
    with jax.enable_x64(True), _said(task, "pass_at_k fails at a number, or at arrays of NumPy or JAX"):
        values = task.scale.to_value(jnp.asarray(seen.scores))
        rates = task.pass_at_k(values)
        if rates is None:
            return
        alike = [task.pass_at_k(np.asarray(values)), [task.pass_at_k(float(one)) for one in values]]
    for others in alike:
        seen.agrees(others, rates, EXACT, "pass_at_k is the same of numbers and of arrays")
    rates = np.asarray(rates)
    worst = int(np.argmax(np.abs(rates - 0.5)))
    seen.holds(abs(rates[worst] - 0.5) <= 0.5, "pass_at_k is between 0 and 1", worst, f"it is {rates[worst]:.6g}")
    better = np.argsort(seen.scores if task.higher_is_better else -seen.scores)
    gains = np.diff(rates[better])
    worst = int(np.argmin(gains))
    drop = f"where the value is better than there it is {-gains[worst]:.3g} less"
    seen.holds(gains[worst] >= -EXACT, "pass_at_k rises as the value gets better", better[worst], drop)
    if task.value_name == "pass_at_k" and task.scale is Scale.LOG_ODDS:
        seen.agrees(rates, values, EXACT, "pass_at_k is the value of that name")
