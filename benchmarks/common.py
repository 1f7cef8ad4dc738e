"""What the benchmarks share: the machine in words, fresh processes, rows held to their bars, the file of results."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.jsonl"
INSTALLED = find_spec("t2jax") is not None
if not INSTALLED:  # without one installed, the checkout's
    sys.path.append(str(HERE.parent))
sys.path.append(str(HERE.parent / "tests"))  # for `oracles`, which the tests hold t2jax to, too


@dataclass(frozen=True)
class Row:
    """One measured number, the baseline's of the same run, and the bar it is held to.

    bar: ("ratio" or "value", ">=" or "<=", limit), of value / baseline or of the value itself.
    """

    what: str
    value: float
    unit: str
    baseline: float | None = None
    against: str = ""
    bar: tuple[str, str, float] | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.baseline is None else self.value / self.baseline

    @property
    def passes(self) -> bool | None:
        if self.bar is None:
            return None
        of, sign, limit = self.bar
        number = self.value if of == "value" else self.ratio
        assert number is not None, f"{self.what} has a bar on a ratio and no baseline"
        return number >= limit if sign == ">=" else number <= limit


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table: ratio first, its bar and verdict beside it, then the absolute numbers."""
    lines = ["| what | ratio | bar | | t2jax | baseline |", "|---|--:|:--|:--|--:|:--|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.3g}×"
        bar = "" if row.bar is None else f"{row.bar[0]} {row.bar[1]} {row.bar[2]:g}"
        verdict = {None: "", True: "pass", False: "**fail**"}[row.passes]
        baseline = "" if row.baseline is None else f"{_number(row.baseline)} {row.unit}, {row.against}"
        lines.append(f"| {row.what} | {ratio} | {bar} | {verdict} | {_number(row.value)} {row.unit} | {baseline} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    digits = f"{value:.3g}"
    return f"{float(digits):,.0f}" if abs(value) >= 1000 else digits


def arguments(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run? Numbers mean nothing")
    parser.add_argument("--save", action="store_true", help=f"append the rows to {RESULTS.name}, for report.py")
    return parser


def finish(benchmark: str, rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Print the rows and, where asked to, keep them."""
    where = environment()
    print(f"\n{headline(where)}\n\n{table(rows)}")
    if options.save and options.quick:
        print("\nNot saved: --quick measures nothing.")
    elif options.save:
        line = {"benchmark": benchmark, "environment": where, "rows": [asdict(row) for row in rows]}
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def environment() -> dict[str, Any]:
    """Device, cores, load and versions. Loads JAX in a fresh process, never in this one."""
    device = in_fresh_process("-c", "import jax; d = jax.devices(); print(len(d), d[0].device_kind)").stdout.strip()
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "processor": _processor(),
        "cores": cores(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "t2jax": "installed" if INSTALLED else "checkout",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("jax", "jaxlib", "equinox", "numpy", "scipy")},
    }


def headline(where: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {where[name]}" for name in ("python", "jax", "equinox", "numpy", "scipy"))
    return f"{where['device']} ({where['processor']}), {where['cores']} cores, load {where['load']}; {versions}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_fresh_process(*command: str, cpu_devices: int = 1) -> subprocess.CompletedProcess[str]:
    """Run this Python on a command line, with t2jax importable and no cache of compiled code. Raises if it fails.

    cpu_devices: into how many JAX devices the CPU is split; one program then runs on as many cores.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    if cpu_devices > 1:
        split = f"--xla_force_host_platform_device_count={cpu_devices}"
        clean["XLA_FLAGS"] = " ".join(filter(None, (clean.get("XLA_FLAGS"), split)))
    if not INSTALLED:
        clean["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE.parent), clean.get("PYTHONPATH"))))
    done = subprocess.run([sys.executable, *command], env=clean, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
    return done


def seconds(fn: Callable[[], Any]) -> float:
    start = time.perf_counter()
    fn()
    return time.perf_counter() - start


def interleaved(rounds: int, *fns: Callable[[], Any]) -> list[float]:
    """The median seconds of each function; every round runs all of them, so that a busy spell hits all alike."""
    times = [[seconds(fn) for fn in fns] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def needs(module: str, extra: str) -> None:
    """Exit with what to install where a module is missing."""
    if find_spec(module) is None:
        raise SystemExit(f'This benchmark needs {module}: pip install "t2jax[{extra}]"')
