"""A user's own law, cost or quality: a function of an allocation as a quantity like any other."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax.allocation import Curvature, Quantity, Scale, is_number, is_traced
from t2jax.from_logs import from_logs

__all__ = ["Custom", "quantity"]


class Custom(Quantity):
    """A user's function of an allocation."""

    fn: Callable[[Any], Any]
    name: str = eqx.field(static=True)
    convex: bool = eqx.field(static=True)
    probability: bool = eqx.field(static=True)

    def score(self, log: Any) -> Float[Array, "..."]:
        # A function may look at numbers that are known, as Python does: it is taken apart only where they are not.
        traced = any(is_traced(leaf) for leaf in jax.tree.leaves(log))
        value = from_logs(self._value, log) if traced else self._value(jax.tree.map(jnp.exp, log))
        return self.scale.of_value(value)

    def _value(self, decision: Any) -> Array:
        value = self.fn(decision)
        if not is_number(value):
            raise TypeError(f"{self.name} must return a positive number for an allocation, got {value!r}")
        return jnp.asarray(value, dtype=float) if isinstance(value, int | float) else jnp.asarray(value)

    @property
    def scale(self) -> Scale:
        return Scale.LOG_ODDS if self.probability else Scale.LOG

    @property
    def curvature(self) -> Curvature:
        return Curvature.CONVEX if self.convex else Curvature.UNKNOWN

    @property
    def label(self) -> str:
        return self.name


def quantity(
    fn: Callable[[Any], Any], *, name: str | None = None, convex: bool = False, probability: bool = False
) -> Quantity:
    """Make a quantity of any pure JAX function from an allocation to a positive number.

    ```python
    energy = t2.quantity(lambda a: 3e-12 * a.params * a.tokens, name="energy_joules")
    t2.minimize(law, [energy <= 1e12])
    ```

    fn: allocation → positive scalar. An `equinox.Module` with `__call__` keeps its arrays as leaves, so they batch and
        differentiate, and so do the arguments of a `functools.partial`. What a plain function closes over is constant;
        a traced value there is refused.
    name: what reports call it; the function's own name unless given.
    convex: promise that log fn is convex in (log N, log D, log k), as for sums of power laws. The optimiser then
        looks for one optimum from one start. A wrong promise may cost the global optimum.
    probability: fn is between 0 and 1 and is optimised on log odds.
    """
    if not callable(fn):
        raise TypeError(f"quantity takes a function of an allocation, got {fn!r}")
    called = name or getattr(fn, "__name__", type(fn).__name__)
    if _closed_over(fn):
        raise TypeError(
            f"{called} closes over a value that is differentiated, batched or compiled, whose derivative would be "
            "lost: pass it as an argument, t2jax.quantity(functools.partial(fn, value)), or as a field of an "
            "equinox.Module"
        )
    if isinstance(fn, functools.partial):
        fn = jax.tree_util.Partial(fn.func, *fn.args, **fn.keywords)
    return Custom(fn, "quantity" if called == "<lambda>" else called, convex, probability)


def _closed_over(fn: Any, seen: tuple[Any, ...] = ()) -> bool:
    """Does a function, or one that it uses, close over a traced value?"""
    cells = [cell.cell_contents for cell in getattr(fn, "__closure__", None) or () if _filled(cell)]
    held = [*cells, *(getattr(fn, "__defaults__", None) or ())]
    inner = [one for one in held if callable(one) and hasattr(one, "__closure__") and one not in seen]
    return any(is_traced(leaf) for leaf in jax.tree.leaves(held)) or any(_closed_over(f, (*seen, fn)) for f in inner)


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # the name is not bound yet
        return False
