"""A function of one scenario becomes one compiled program for a batch of them, spread over the devices."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.tree_util import keystr, tree_leaves_with_path

__all__ = ["Lanes", "devices_of"]

_STRIDE = 64
"""Each device gets a multiple of so many lanes, which fills its vectors: what is left over may be rounded otherwise."""


class Lanes:
    """`fn` for up to `size` scenarios at once. Raises at once, with the reason, where fn does not take or give scalars.

    structure: what fn returns, with the shape and dtype of each leaf. dtype: what scenarios are cast to. platform: of
    the devices, "cpu" or "gpu".
    """

    def __init__(self, fn: Callable[..., Any], names: Sequence[str], size: int, devices: Sequence[jax.Device]):
        self.dtype = np.dtype(jax.dtypes.canonicalize_dtype(float))
        self._one = jax.jit(_scalars_of(fn))
        self._traced = self._one.trace({name: jax.ShapeDtypeStruct((), self.dtype) for name in names})
        self.structure = self._traced.out_info
        _check_scalars(self.structure)
        step = _STRIDE * len(devices)
        self.size = -(-size // step) * step
        self.platform = devices[0].platform
        self._sharding = NamedSharding(Mesh(np.array(devices), ("lanes",)), PartitionSpec("lanes"))
        self._program: Any = None

    def fingerprint(self) -> str:
        """A hash of the function and all its coefficients, as compiled; the same in every process."""
        return hashlib.sha256(self._traced.lower().as_text().encode()).hexdigest()[:32]

    def __call__(self, scenarios: Mapping[str, np.ndarray]) -> Any:
        """The results as they will be: returns before they are computed. Compiles on the first call.

        scenarios: columns of one length, at most `size`. Further lanes repeat the last one; their results are to be
        cut off.
        """
        columns = {name: self._filled(column) for name, column in scenarios.items()}
        batch = jax.device_put(columns, self._sharding)
        if self._program is None:
            lanes = self._sharding.spec
            spread = jax.shard_map(
                jax.vmap(self._one), mesh=self._sharding.mesh, in_specs=lanes, out_specs=lanes, check_vma=False
            )
            self._program = jax.jit(spread).lower(batch).compile()
        results = self._program(batch)
        for leaf in jax.tree.leaves(results):
            leaf.copy_to_host_async()  # begun as soon as it is computed, not when the host asks
        return results

    def _filled(self, column: np.ndarray) -> np.ndarray:
        if len(column) == self.size:
            return column.astype(self.dtype, copy=False)
        filled = np.empty(self.size, self.dtype)
        filled[: len(column)] = column
        filled[len(column) :] = column[-1]
        return filled


def devices_of(mesh: Any) -> list[jax.Device]:
    """The mesh's devices, or all of this process where it is None."""
    if mesh is None:
        return jax.local_devices()
    if not isinstance(mesh, Mesh):
        raise TypeError(f"mesh must be a jax.sharding.Mesh, or None for all devices, got {mesh!r}")
    devices = list(mesh.devices.flat)
    if any(device.process_index != jax.process_index() for device in devices):
        raise ValueError("mesh must hold devices of this process only: each process sweeps its own batches")
    return devices


def _scalars_of(fn: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
    """fn, whose results are arrays. Raises TypeError for those that are no numbers."""

    def scalars(scenario: dict[str, Any]) -> Any:
        result = fn(scenario)
        leaves = tree_leaves_with_path(result)
        if not leaves:
            raise TypeError(f"fn must return a number or a pytree of numbers for a scenario, got {result!r}")
        for path, leaf in leaves:
            number = isinstance(leaf, bool | int | float | np.ndarray | np.generic | jax.Array)
            if not number or (hasattr(leaf, "dtype") and not _real(leaf.dtype)):
                kind = leaf.dtype if isinstance(leaf, np.ndarray | np.generic | jax.Array) else type(leaf).__name__
                raise TypeError(f"fn must return real numbers for a scenario, but {_where(path)} is {kind}")
        return jax.tree.map(jnp.asarray, result)

    return scalars


def _real(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def _check_scalars(structure: Any) -> None:
    for path, leaf in tree_leaves_with_path(structure):
        if leaf.shape:
            raise ValueError(
                f"fn must return scalars for a scenario, but {_where(path)} has shape {leaf.shape}: "
                "return its entries one by one, as a tuple or by name"
            )


def _where(path: Any) -> str:
    return f"result{keystr(path)}"
