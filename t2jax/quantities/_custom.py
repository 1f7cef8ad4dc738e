"""A user's own law, cost or quality: a function of an allocation as a quantity like any other."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from t2jax._xla.from_logs import from_logs
from t2jax.quantities._quantity import Quantity
from t2jax.quantities._scales import Curvature, Scale, is_array, is_number, is_traced
from t2jax.quantities._traced import Program, Traced

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

    def traced(self, decision: Any, dtype: Any) -> Quantity:
        """The same quantity by the program that it traces to, which other functions may share.

        decision: the treedef of an allocation and the shapes of its leaves, which, as all floating arrays, are of
        this dtype. The quantity itself where its program depends on more: on a mesh, or on traced values.
        """
        arrays, rest = eqx.partition(self.fn, is_array)
        arrays, treedef = jax.tree.flatten(arrays)
        kinds = tuple((jnp.shape(a), dtype if jnp.issubdtype(a.dtype, jnp.floating) else a.dtype) for a in arrays)
        mesh = jax.sharding.get_abstract_mesh()
        if mesh.manual_axes or mesh.explicit_axes:
            return self
        static, structure = jax.tree.flatten(rest)
        found = _program(tuple(static), structure, treedef, kinds, decision, dtype, self.name, mesh)
        if found is None:
            return self
        return Traced(*found, tuple(arrays), self.scale, self.curvature)

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


@functools.lru_cache(maxsize=64)  # a function is traced once, unless many others came since
def _program(
    static: Any, structure: Any, treedef: Any, kinds: Any, decision: Any, dtype: Any, name: str, mesh: Any
) -> tuple[Program, tuple[Any, ...]] | None:
    """The program of a function and the constants that are arguments of it; None where it is not one number."""

    def value(arrays: Any, decision: Any) -> Array:
        fn = eqx.combine(jax.tree.unflatten(treedef, arrays), jax.tree.unflatten(structure, static))
        return Custom(fn, name, convex=False, probability=False)._value(decision)

    arrays = [jax.ShapeDtypeStruct(*kind) for kind in kinds]
    allocation = jax.tree.unflatten(decision[0], [jax.ShapeDtypeStruct(shape, dtype) for shape in decision[1]])
    closed = jax.make_jaxpr(value)(arrays, allocation)
    if closed.out_avals[0].shape or any(is_traced(one) for one in closed.consts):
        return None
    lifted = [i for i, one in enumerate(closed.consts) if getattr(one, "dtype", None) == dtype]
    return Program(closed, lifted), tuple(closed.consts[i] for i in lifted)


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
