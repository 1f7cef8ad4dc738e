"""Bad input is met at the door: checks in plain Python, before anything is traced.

A checked number comes back as a floating JAX array. Tracers pass unchecked: inside `jit` a bad number becomes a status.
"""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = ["as_float", "memory", "natural", "nonnegative", "positive", "probability", "real", "refuse", "share"]


def as_float(name: str, value: Any) -> Float[Array, "..."]:
    """`value` as a floating JAX array of at least 32 bits; `name` is what the error message calls it."""
    if isinstance(value, bool) or value is None or isinstance(value, str | bytes):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if isinstance(value, int):  # any size: Python's integers have no dtype of their own
        try:
            value = float(value)
        except OverflowError:
            raise ValueError(f"{name} must be finite, got a whole number of {len(str(value))} digits") from None
    try:
        array = value if isinstance(value, jax.Array) else np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a number or an array of numbers, got {value!r}") from error
    kind = array.dtype
    if kind == jnp.float16 or kind == jnp.bfloat16:
        raise TypeError(f"{name} is {kind.name}, which cannot hold FLOPs or tokens: use float32 or float64")
    if not (jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer)):
        raise TypeError(f"{name} must be real numbers, got {_shown(value)} of type {kind.name}")
    # NumPy's float64 is cut to float32 where x64 is off, as JAX does with Python's floats: the caller decides.
    wanted = kind if jnp.issubdtype(kind, jnp.floating) else float
    wanted = jax.dtypes.canonicalize_dtype(wanted)
    if isinstance(array, np.ndarray):
        with np.errstate(over="ignore"):  # what does not fit is met by name
            array = array.astype(wanted)
        with jax.ensure_compile_time_eval():  # known it stays, also where it is said inside of `jit`
            return jnp.asarray(array, dtype=wanted)
    return jnp.asarray(array, dtype=wanted)


def real(name: str, value: Any) -> Float[Array, "..."]:
    """A finite number or array of numbers."""
    return _checked(name, value, np.isfinite, "finite")


def positive(name: str, value: Any) -> Float[Array, "..."]:
    """A number or array of numbers, each finite and above zero."""
    return _checked(name, value, lambda x: np.isfinite(x) & (x > 0), "positive and finite")


def nonnegative(name: str, value: Any) -> Float[Array, "..."]:
    """A number or array of numbers, each finite and at least zero."""
    return _checked(name, value, lambda x: np.isfinite(x) & (x >= 0), "zero or positive, and finite")


def probability(name: str, value: Any) -> Float[Array, "..."]:
    """A number or array of numbers strictly between 0 and 1."""
    return _checked(name, value, lambda x: (x > 0) & (x < 1), "strictly between 0 and 1")


def share(name: str, value: Any) -> Float[Array, "..."]:
    """A number or array of numbers above 0 and at most 1."""
    return _checked(name, value, lambda x: (x > 0) & (x <= 1), "above 0 and at most 1")


def natural(name: str, value: Any) -> Any:
    """A whole number ≥ 0 or an array of them, as given: NumPy where concrete, so that large counts stay exact."""
    if isinstance(value, jax.core.Tracer):
        return value
    if isinstance(value, bool | str | bytes) or value is None:
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
        raise TypeError(f"{name} must be whole numbers, got {_shown(value)}")
    if not np.all(np.isfinite(array) & (array >= 0) & (array == np.floor(array))):
        raise ValueError(f"{name} must be whole numbers, zero or more, got {_shown(value)}")
    return array


def memory(what: str, size: float) -> None:
    """Raises MemoryError where `what` takes more bytes than the machine has, before any of them is taken."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not known here
        return
    if size > whole > 0:
        raise MemoryError(f"{what} take {size / 1e9:,.0f} GB, and this machine has {whole / 1e9:,.0f}: ask for fewer")


def refuse(wrong: Any, message: str, *values: np.ndarray) -> None:
    """Raise a ValueError that names the first wrong entry and where it is."""
    if not np.any(wrong):
        return
    index = np.unravel_index(np.argmax(wrong), np.shape(wrong))
    shown = (f"{value[index]:.15g}" for value in values)
    where = f" (at index {', '.join(str(i) for i in index)})" if index else ""
    raise ValueError(message.format(*shown) + where)


def _checked(name: str, value: Any, accepts: Any, accepted: str) -> Float[Array, "..."]:
    array = as_float(name, value)
    if isinstance(array, jax.core.Tracer):
        return array
    # Judge what was given, not its rounding: 1e39 is finite, but not in float32, and must not pass as infinity.
    given, kept = np.asarray(value, dtype=np.float64), np.asarray(array)
    if not np.all(accepts(given)):
        raise ValueError(f"{name} must be {accepted}, got {_shown(value)}")
    if not np.all(accepts(kept)):
        raise ValueError(
            f"{name} = {_shown(value)} does not fit {kept.dtype.name}: enable float64 (jax_enable_x64) or change units"
        )
    return array


def _shown(value: Any) -> str:
    array = np.asarray(value)
    if array.ndim == 0:
        return repr(array.item())
    bad = array if array.size <= 4 else array.ravel()[:4]
    return f"{np.array2string(bad, separator=', ')}{'' if array.size <= 4 else '…'} (shape {array.shape})"
