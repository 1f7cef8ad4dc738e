"""Which variables of a decision a function depends on: it is traced, and its program is followed back to them."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend import core

from t2jax.quantities._allocation import Allocation
from t2jax.quantities._declared import USUAL, declared
from t2jax.quantities._scales import is_array

__all__ = ["fields_read"]


def fields_read(quantity: Any) -> tuple[str, ...]:
    """The variables, of all that are declared, on which the score of a quantity depends: found by tracing it, once."""
    arrays, rest = eqx.partition(quantity, is_array)
    leaves, treedef = jax.tree.flatten(arrays)
    static, structure = jax.tree.flatten(rest)
    kinds = tuple((jnp.shape(leaf), leaf.dtype) for leaf in leaves)
    return _read(tuple(static), structure, treedef, kinds, declared())


@functools.lru_cache(maxsize=256)
def _read(static: Any, structure: Any, treedef: Any, kinds: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    floating = [dtype for _, dtype in kinds if jnp.issubdtype(dtype, jnp.floating)]
    scalar = jax.ShapeDtypeStruct((), jnp.result_type(*floating) if floating else jax.dtypes.canonicalize_dtype(float))
    with jax.ensure_compile_time_eval():
        others = {name: 1.0 for name in names if name not in (one.name for one in USUAL)}
        decision = jax.tree.map(lambda _: scalar, Allocation(1.0, 1.0, 1.0, **others))

    def score(arrays: Any, log: Any) -> Any:
        return eqx.combine(jax.tree.unflatten(treedef, arrays), jax.tree.unflatten(structure, static)).score(log)

    jaxpr = jax.make_jaxpr(score)([jax.ShapeDtypeStruct(*kind) for kind in kinds], decision).jaxpr
    used = _inputs_of(jaxpr, set(range(len(jaxpr.outvars))))
    fields = [*(one.name for one in USUAL), *sorted(others)]
    read = {name for place, name in enumerate(fields, start=len(kinds)) if place in used}
    return tuple(name for name in names if name in read)


def _inputs_of(jaxpr: Any, outputs: set[int]) -> set[int]:
    """The places of the inputs on which these outputs of a program depend, as far as that can be told."""
    needed = {one for place, one in enumerate(jaxpr.outvars) if place in outputs and not _is_literal(one)}
    for equation in reversed(jaxpr.eqns):
        wanted = {place for place, one in enumerate(equation.outvars) if one in needed}
        if not wanted:
            continue
        places = set(range(len(equation.invars)))
        if equation.primitive.name in ("jit", "pjit"):
            places = _inputs_of(equation.params["jaxpr"].jaxpr, wanted)
        elif equation.primitive.name == "optimization_barrier":
            places = wanted
        needed |= {equation.invars[place] for place in places if not _is_literal(equation.invars[place])}
    return {place for place, one in enumerate(jaxpr.invars) if one in needed}


def _is_literal(atom: Any) -> bool:
    return isinstance(atom, core.Literal)
