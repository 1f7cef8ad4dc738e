"""`BetaPassRate.log_failure` against two `betaln`s of JAX, and SciPy's: values, gradients and Hessians a second.

Points are drawn log-uniformly from a in [1e-3, 1e1], b in [1, 1e5], k in [1, 1e6]. Speed is half of the story: two
`betaln`s subtract numbers that nearly agree, so the worst relative error of the values is there, too (against mpmath).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import Row, arguments, finish, interleaved, needs

import t2jax as t2

SciPy = Callable[[np.ndarray, np.ndarray, np.ndarray], Any]


def main() -> None:
    options = arguments(__doc__).parse_args()
    needs("scipy", "test")
    needs("mpmath", "test")
    jax.config.update("jax_enable_x64", True)
    n, rounds, checked = (10_000, 3, 50) if options.quick else (1_000_000, 5, 1000)
    scipy = dict(zip(("value", "gradient", "Hessian"), scipy_functions(), strict=True))
    rows = []
    for dtype in ("float64", "float32"):
        points = draw(n, dtype)
        for order, (ours, theirs) in pairs().items():
            as_numpy, baseline = tuple(np.asarray(p) for p in points), scipy[order]
            jax.block_until_ready((ours(*points), theirs(*points)))  # compiles
            times = interleaved(
                rounds,
                lambda ours=ours, points=points: jax.block_until_ready(ours(*points)),
                lambda theirs=theirs, points=points: jax.block_until_ready(theirs(*points)),
                lambda baseline=baseline, points=as_numpy: baseline(*points),
            )
            mine, jaxs, scipys = (n / 1e6 / one for one in times)
            rows.append(Row(f"{order}, {dtype}", mine, "M/s", jaxs, "jax.scipy betaln twice"))
            rows.append(Row(f"{order}, {dtype}", mine, "M/s", scipys, "SciPy betaln twice"))
        few = tuple(np.asarray(p[:checked]) for p in points)
        ours, theirs = (worst_error(np.asarray(fn(*few)), few) for fn in pairs()["value"])
        rows.append(Row(f"worst relative error, {dtype}", ours, "", theirs, "jax.scipy betaln twice"))
    finish("passk", rows, options)


def draw(n: int, dtype: str) -> tuple[jax.Array, ...]:
    rng = np.random.default_rng(0)
    ranges = ((-3, 1), (0, 5), (0, 6))
    return tuple(jnp.asarray(10.0 ** rng.uniform(low, high, n), dtype).block_until_ready() for low, high in ranges)


def pairs() -> dict[str, tuple[Any, Any]]:
    """For each order of derivative: ours and JAX's `betaln` twice, for a batch."""

    def ours(a: Any, b: Any, k: Any) -> Any:
        return t2.BetaPassRate(a, b).log_failure(k)

    def theirs(a: Any, b: Any, k: Any) -> Any:
        return jax.scipy.special.betaln(a, b + k) - jax.scipy.special.betaln(a, b)

    orders = {
        "value": lambda fn: fn,
        "gradient": lambda fn: jax.grad(fn, (0, 1, 2)),
        "Hessian": lambda fn: jax.hessian(fn, (0, 1, 2)),
    }
    return {name: tuple(jax.jit(jax.vmap(of(fn))) for fn in (ours, theirs)) for name, of in orders.items()}


def scipy_functions() -> tuple[SciPy, SciPy, SciPy]:
    """The same by hand, each special function evaluated once."""
    from scipy.special import betaln, polygamma, psi

    def value(a: np.ndarray, b: np.ndarray, k: np.ndarray) -> Any:
        return betaln(a, b + k) - betaln(a, b)

    def gradient(a: np.ndarray, b: np.ndarray, k: np.ndarray) -> Any:
        at_b, at_ab, at_bk, at_all = psi(b), psi(a + b), psi(b + k), psi(a + b + k)
        return at_ab - at_all, at_bk - at_all - at_b + at_ab, at_bk - at_all

    def hessian(a: np.ndarray, b: np.ndarray, k: np.ndarray) -> Any:
        at_b, at_ab, at_bk, at_all = (polygamma(1, x) for x in (b, a + b, b + k, a + b + k))
        return at_ab - at_all, at_bk - at_all - at_b + at_ab, at_bk - at_all, -at_all

    return value, gradient, hessian


def worst_error(values: np.ndarray, points: tuple[np.ndarray, ...]) -> float:
    """The largest relative error of log B(a, b+k) − log B(a, b), against 60 digits."""
    import mpmath

    def exact(a: Any, b: Any, k: Any) -> Any:
        a, b, k = (mpmath.mpf(float(one)) for one in (a, b, k))
        lgamma = mpmath.loggamma
        return lgamma(b + k) + lgamma(a + b) - lgamma(b) - lgamma(a + b + k)

    with mpmath.workdps(60):
        errors = [abs(mpmath.mpf(float(v)) / exact(*point) - 1) for v, *point in zip(values, *points, strict=True)]
    return float(max(errors))


if __name__ == "__main__":
    main()
