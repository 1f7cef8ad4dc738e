"""Accelerators: peak FLOP/s, memory, bandwidth and power as their makers state them, each with its source.

Peak figures are dense: half of what datasheets print "with sparsity". Prices are not here, as they change by the week
and by the seller: they are an argument, `usd_per_hour`, of what needs them.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._io.display import Displayed, Grid
from t2jax._io.text import unknown

__all__ = ["Catalogue", "Hardware", "accelerator", "list_accelerators"]


class Hardware(eqx.Module):
    """One accelerator, as a roofline sees it.

    ```python
    t2.Hardware("my-card", peak_flops={"bf16": 312e12}, memory_bytes=80e9, bandwidth=2.0e12, power_watts=400.0)
    ```

    name: what reports call it. peak_flops: dense FLOP/s (or integer operations per second) by dtype. memory_bytes: of
    one device. bandwidth: of its memory, bytes per second. power_watts: of the board, None where it is not published.
    source: where the figures are from. All numbers are leaves: they batch and differentiate.
    Raises ValueError for a number that is not positive, TypeError where peak_flops is no mapping.
    """

    peak_flops: dict[str, Float[Array, "..."]]
    memory_bytes: Float[Array, "..."]
    bandwidth: Float[Array, "..."]
    power_watts: Float[Array, "..."] | None
    name: str = eqx.field(static=True)
    source: str = eqx.field(static=True)

    def __init__(
        self,
        name: str,
        *,
        peak_flops: Mapping[str, Any],
        memory_bytes: Any,
        bandwidth: Any,
        power_watts: Any = None,
        source: str = "the user's own",
    ):
        if not isinstance(peak_flops, Mapping) or not peak_flops:
            raise TypeError(f"peak_flops must give FLOP/s by dtype, such as {{'bf16': 312e12}}, got {peak_flops!r}")
        self.peak_flops = {
            dtype: validate.positive(f"peak_flops[{dtype!r}]", flops) for dtype, flops in peak_flops.items()
        }
        self.memory_bytes = validate.positive("memory_bytes", memory_bytes)
        self.bandwidth = validate.positive("bandwidth", bandwidth)
        self.power_watts = None if power_watts is None else validate.positive("power_watts", power_watts)
        self.name, self.source = name, source

    def peak(self, dtype: str) -> Float[Array, "..."]:
        """Dense FLOP/s in a dtype such as "bf16". Raises ValueError, with those it has, for one it does not compute."""
        if dtype not in self.peak_flops:
            raise ValueError(f"{self.name} has no peak in {dtype!r}, only in {', '.join(sorted(self.peak_flops))}")
        return self.peak_flops[dtype]

    def intensity(self, dtype: str) -> Float[Array, "..."]:
        """FLOP per byte of memory traffic at which computing takes as long as reading: the roofline's ridge."""
        return self.peak(dtype) / self.bandwidth

    def to_dict(self) -> dict[str, Any]:
        """JSON's types only: FLOP/s by dtype, bytes, bytes per second and watts."""
        return {
            "name": self.name,
            "peak_flops": {dtype: float(peak) for dtype, peak in self.peak_flops.items()},
            "memory_bytes": float(self.memory_bytes),
            "bandwidth": float(self.bandwidth),
            "power_watts": None if self.power_watts is None else float(self.power_watts),
            "source": self.source,
        }

    def __str__(self) -> str:
        return self.name


class Catalogue(Displayed, tuple[Hardware, ...]):
    """Accelerators, which print as an aligned table."""

    def _parts(self) -> list[str | Grid]:
        cells = [("name", "peak dense TFLOP/s", "GB", "TB/s", "W", "source")]
        for one in self:
            peaks = ", ".join(f"{dtype} {float(flops) / 1e12:.4g}" for dtype, flops in one.peak_flops.items())
            power = "-" if one.power_watts is None else f"{float(one.power_watts):.0f}"
            size, speed = f"{float(one.memory_bytes) / 1e9:.0f}", f"{float(one.bandwidth) / 1e12:.4g}"
            cells.append((one.name, peaks, size, speed, power, one.source))
        return [Grid(cells, header=True, left=(0, 1, 2, 3, 4, 5), indent="")]

    def __repr__(self) -> str:
        return str(self)


def list_accelerators() -> Catalogue:
    """Every accelerator that `accelerator` knows, as rows that print as a table."""
    return Catalogue(accelerator(name) for name in _ROWS)


def accelerator(name: str) -> Hardware:
    """An accelerator of the catalogue by its name, such as "h100-sxm"; upper case, spaces and _ are as good.

    Raises ValueError for an unknown name, with the nearest ones.
    """
    key = name.strip().lower().replace("_", "-").replace(" ", "-") if isinstance(name, str) else name
    if key not in _ROWS:
        said = unknown("accelerator", name, _ROWS, "list_accelerators()")
        raise ValueError(f"{said}, and Hardware(...) describes another")
    return Hardware(key, **_ROWS[key])


# What follows is the table. Memory is in the makers' gigabytes of 1e9 bytes.


def _half(flops: float, **others: float) -> dict[str, float]:
    return {"bf16": flops, "fp16": flops, **others}


_HOPPER = _half(989.4e12, fp8=1978.9e12, int8=1978.9e12, fp32=66.9e12)
_A100 = {
    "peak_flops": _half(312e12, int8=624e12, fp32=19.5e12),
    "power_watts": 400.0,
    "source": "NVIDIA A100 Tensor Core GPU datasheet, June 2021",
}
_H100 = "NVIDIA H100 Tensor Core GPU architecture whitepaper, 2022, and datasheet, 2023"
_TPU = "Google Cloud TPU {} documentation, 2025; power is not published"

_ROWS: dict[str, dict[str, Any]] = {
    "a100-sxm-40gb": {
        **_A100,
        "memory_bytes": 40e9,
        "bandwidth": 1.555e12,
        "source": "NVIDIA A100 Tensor Core GPU datasheet, November 2020",
    },
    "a100-sxm-80gb": {**_A100, "memory_bytes": 80e9, "bandwidth": 2.039e12},
    "a100-pcie-80gb": {**_A100, "memory_bytes": 80e9, "bandwidth": 1.935e12, "power_watts": 300.0},
    "h100-sxm": {
        "peak_flops": _HOPPER,
        "memory_bytes": 80e9,
        "bandwidth": 3.35e12,
        "power_watts": 700.0,
        "source": _H100,
    },
    "h100-pcie": {
        "peak_flops": _half(756e12, fp8=1513e12, int8=1513e12, fp32=51.2e12),
        "memory_bytes": 80e9,
        "bandwidth": 2.0e12,
        "power_watts": 350.0,
        "source": _H100,
    },
    "h200-sxm": {
        "peak_flops": _HOPPER,
        "memory_bytes": 141e9,
        "bandwidth": 4.8e12,
        "power_watts": 700.0,
        "source": "NVIDIA H200 Tensor Core GPU datasheet, November 2023; FLOP/s as H100 SXM",
    },
    "b200": {
        "peak_flops": _half(2250e12, fp8=4500e12, int8=4500e12, fp32=80e12),
        "memory_bytes": 180e9,
        "bandwidth": 8.0e12,
        "power_watts": 1000.0,
        "source": "NVIDIA Blackwell architecture technical brief and DGX B200 datasheet, 2024, an eighth of the system",
    },
    "l40s": {
        "peak_flops": _half(362.05e12, fp8=733e12, int8=733e12, fp32=91.6e12),
        "memory_bytes": 48e9,
        "bandwidth": 864e9,
        "power_watts": 350.0,
        "source": "NVIDIA L40S datasheet, 2023",
    },
    "mi300x": {
        "peak_flops": _half(1307.4e12, fp8=2614.9e12, int8=2614.9e12, fp32=163.4e12),
        "memory_bytes": 192e9,
        "bandwidth": 5.3e12,
        "power_watts": 750.0,
        "source": "AMD Instinct MI300X data sheet, December 2023",
    },
    "tpu-v5e": {
        "peak_flops": {"bf16": 197e12, "int8": 393e12},
        "memory_bytes": 16e9,
        "bandwidth": 819e9,
        "source": _TPU.format("v5e"),
    },
    "tpu-v5p": {
        "peak_flops": {"bf16": 459e12, "int8": 918e12},
        "memory_bytes": 95e9,
        "bandwidth": 2.765e12,
        "source": _TPU.format("v5p") + "; int8 from its announcement, December 2023",
    },
    "tpu-v6e": {
        "peak_flops": {"bf16": 918e12, "int8": 1836e12},
        "memory_bytes": 32e9,
        "bandwidth": 1.638e12,
        "source": _TPU.format("v6e"),
    },
}
