"""`sweep`: a function of one scenario, evaluated for any number of them, in memory, to a function, or to disk."""

import importlib
import os
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from t2jax.sweeping._grid import Grid
from t2jax.sweeping._lanes import Lanes, devices_of
from t2jax.sweeping._processes import together
from t2jax.sweeping._rows import Rows, check_fit
from t2jax.sweeping._sinks import Call, Disk, Memory, Sink

__all__ = ["BATCH", "Swept", "sweep"]

BATCH = 262_144
"""Scenarios at once, unless told."""
_AHEAD = 2
"""Batches given to the devices before the results of the first are taken up."""


@dataclass(frozen=True)
class Swept:
    """What a sweep did: rows of the output, those that this process computed now, and how long that took."""

    path: Path | None
    rows: int
    computed: int
    seconds: float

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        there = self.rows - self.computed
        others = f", of which {there:,} were there or come from other processes" if there else ""
        speed = f" ({self.computed / self.seconds:,.0f} a second)" if self.computed and self.seconds else ""
        return f"{where}{self.rows:,} rows{others}; {self.computed:,} computed in {self.seconds:.1f} s{speed}"


def sweep(
    fn: Callable[[dict[str, Any]], Any],
    scenarios: Any,
    *,
    batch_size: int = BATCH,
    out: Any = None,
    resume: bool = False,
    progress: bool = False,
    mesh: Any = None,
) -> Any:
    """Evaluate `fn` for every scenario: compiled once, batch after batch over all devices, in bounded memory.

    ```python
    scenarios = t2.grid(budget=np.geomspace(1e20, 1e26, 1_000), queries=[1e6, 1e9, 1e12])


    def plan(s):
        cost = train + t2.InferenceFLOPs(queries=s["queries"], output_tokens=500)
        return t2.minimize(task, [cost <= s["budget"]])


    plans = t2.sweep(plan, scenarios)  # a Solution of 3,000 lanes
    t2.sweep(plan, scenarios, out="plans.parquet", progress=True)  # columns budget, queries, allocation.params, …
    ```

    fn: any pure JAX function from one scenario, a dict of scalars, to a number or a pytree of them: a dict, a tuple, a
        `Solution`. It is traced once: what it does besides (randomness of NumPy, printing) happens once. Scenarios have
        JAX's precision, float32 unless float64 is enabled.
    scenarios: a `grid`, or a mapping of names to arrays of numbers of one length.
    batch_size: how many at once; also the rows of each part on disk.
    out: where results go. None: they come back, arrays of NumPy in what `fn` returns. A path: a folder of Parquet that
        pandas, pyarrow and Spark read as one table (DuckDB and Polars as NAME/*.parquet), a row for each scenario with
        its numbers and, named by their path, the results; the status of a `Solution` is a word there ("solved",
        "infeasible", …). Until all is done the folder is called NAME.partial. A function: it is called with each batch
        in turn, (scenarios, results), both of NumPy arrays that it may not write to, in a thread of its own.
    resume: go on with the unfinished folder at `out`. What is there is read and checked, and only the rest is
        computed; the folder is in the end byte for byte that of one run. Refused where inputs, function, versions or
        batch_size differ. Where nothing was begun, begin.
    progress: show a bar with the rate and the time left. Needs tqdm.
    mesh: a `jax.sharding.Mesh` of the devices to use; None: all of this process. JAX counts all cores of a CPU as one
        device, whose programs mostly run on one core: `jax.config.update("jax_num_cpu_devices", 8)`, before anything
        else is asked of JAX, makes eight of them.

    With several processes (`jax.distributed.initialize`) each calls `sweep` alike, with one path on a disk that all
    see, and computes its share of the batches on its own devices. If one fails or dies, the others finish theirs and
    raise RuntimeError, or end when `jax.distributed` notices; with `resume` the rest is computed.

    Returns the results where `out` is None, else a `Swept`, which prints as one line.
    Raises TypeError or ValueError for what is not as above, OSError where the disk does not take the results.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
    if not callable(fn):
        raise TypeError(f"sweep takes a function of a scenario first, got {fn!r}")
    to_disk = isinstance(out, str | os.PathLike)
    if not (out is None or to_disk or callable(out)):
        raise TypeError(f"out must be None, a path, or a function of (scenarios, results), got {out!r}")
    if resume and not to_disk:
        raise ValueError("resume=True goes on with a folder: say which with out=")
    if jax.process_count() > 1 and not to_disk:
        raise ValueError("with several processes results go to disk: give out= a path that all of them see")
    tqdm = _tqdm() if progress else None
    rows = scenarios if isinstance(scenarios, Grid) else Rows(scenarios)
    lanes = Lanes(fn, rows.names, min(batch_size, len(rows)), devices_of(mesh))
    check_fit(rows.columns, lanes.dtype)
    begun = time.perf_counter()
    sink: Sink
    if out is None:
        sink = Memory(lanes.structure, len(rows), batch_size)
    elif to_disk:
        sink = Disk(Path(out), rows, lanes, batch_size, resume)
    else:
        sink = Call(out, lanes.structure)
    mine = range(jax.process_index(), -(-len(rows) // batch_size), jax.process_count())
    with _bar(tqdm, len(rows)) as advance:
        computed = together(lambda: _run(lanes, rows, sink, mine, batch_size, advance))
    results = sink.finish()
    if out is None:
        return results
    return Swept(sink.path, len(rows), computed, time.perf_counter() - begun)


def _run(lanes: Lanes, rows: Grid | Rows, sink: Sink, batches: range, size: int, advance: Callable[[int], Any]) -> int:
    """Compute the batches that the sink lacks; returns how many rows.

    While the devices compute one, the next is prepared here and the last is taken up by a thread: all goes as fast as
    the slowest of the three.
    """
    computed, taken = 0, deque[tuple[int, Future[None]]]()

    def wait() -> None:
        count, future = taken.popleft()
        future.result()
        advance(count)

    pool = ThreadPoolExecutor(1, thread_name_prefix="t2jax-sweep")
    try:
        for i in batches:
            start, stop = i * size, min((i + 1) * size, len(rows))
            if sink.has(i):
                advance(stop - start)
                continue
            scenarios = rows[start:stop]
            results = lanes(scenarios)
            taken.append((stop - start, pool.submit(sink.take, i, scenarios, results)))
            computed += stop - start
            if len(taken) > _AHEAD:
                wait()
        while taken:
            wait()
    except KeyboardInterrupt:
        pool.shutdown(cancel_futures=True)
        raise KeyboardInterrupt(*filter(None, [sink.stopped()])) from None
    finally:
        pool.shutdown(cancel_futures=True)
    return computed


def _tqdm() -> Any:
    try:
        return importlib.import_module("tqdm").tqdm
    except ImportError as error:
        raise ImportError('progress=True needs tqdm: pip install "t2jax[io]"') from error


@contextmanager
def _bar(tqdm: Any, total: int) -> Generator[Callable[[int], Any]]:
    """Within it a bar, if there is to be one, with its rate and the time left. Gives what to tell of rows done."""
    if tqdm is None:
        yield lambda count: None
        return
    with tqdm(total=total, desc="sweep", unit=" rows", unit_scale=True, dynamic_ncols=True) as bar:
        yield bar.update
