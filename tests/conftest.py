"""How every test runs: float64, strict promotion, two virtual CPU devices, array types checked at run time."""

import ctypes
import gc
import os
import sys
import tempfile
from pathlib import Path

# Read once, when JAX first asks for its devices. Subprocesses of a test inherit them. Compilation is most of what tests
# take, and half of that is unrolling loops, which changes no operation and no order.
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2".strip()
if "xla_backend_extra_options" not in os.environ["XLA_FLAGS"]:
    os.environ["XLA_FLAGS"] += " --xla_backend_extra_options=xla_cpu_disable_loop_unrolling"
# SciPy's searches, which serve as oracles, factor matrices of a few rows. On several threads, which wait for each other
# by spinning, they took twenty times the processor time. Read once, when NumPy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import jaxtyping
import pytest
from jaxtyping import install_import_hook

# What tracing makes lives on in caches: to look through it for cycles again and again takes a twentieth of the time.
gc.set_threshold(200_000, 50, 1000)

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# beartype checks every annotation of t2jax, array shapes included; `float` accepts an int, as for type checkers.
# T2JAX_TYPECHECK=0 leaves it out, to time or debug.
if os.environ.get("T2JAX_TYPECHECK", "1") != "0":
    install_import_hook("t2jax", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


def pytest_configure(config: pytest.Config) -> None:
    """One folder of compiled programs for all workers of a run, as each would compile most of them again.

    Not of its environment: commands and notebooks that tests start compile as a user's do.
    """
    if not hasattr(config, "workerinput"):
        programs = tempfile.TemporaryDirectory(prefix="t2jax-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(programs.cleanup)
        os.environ["T2JAX_TEST_PROGRAMS"] = programs.name  # which workers inherit
    jax.config.update("jax_compilation_cache_dir", os.environ["T2JAX_TEST_PROGRAMS"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # Another worker may still be writing what is read here: then it is compiled here, too.
    config.addinivalue_line("filterwarnings", "ignore:Error reading persistent compilation cache entry:UserWarning")


@pytest.fixture(scope="module", autouse=True)
def programs_let_go():
    """What a file compiled is forgotten at its end: kept, the programs of all files take six gigabytes a worker.

    Another file finds on disk what it needs of them.
    """
    yield
    jax.clear_caches()
    gc.collect()
    if sys.platform == "linux":  # glibc keeps what is freed until it is told, others know no such call
        getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)(0)


@pytest.fixture
def untyped():
    """As users run it, without the run-time type checks of the tests, so that the library's own messages show."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data and reference values: `T2JAX_SHARED`, or `shared` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("T2JAX_SHARED") or beside)
    if not folder.is_dir():
        pytest.skip(f"no folder of shared data at {folder}: set T2JAX_SHARED to it")
    return folder
