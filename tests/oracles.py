"""What answers are held to: closed forms, and SciPy's SLSQP as well as we know how to call it.

Written from the papers' formulas, in NumPy and plain floats, not with t2jax. SLSQP takes logarithms of N, D, k, with
gradients by hand (on three variables floats are faster than arrays), and solves one problem after the other: it is the
baseline of the benchmarks, too, which import this file.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds, minimize

Numbers = dict[str, Any]
"""A problem by the names of `problems.NUMBERS`, or many of them: arrays."""

# Closed forms


def compute_optimal_params(flops: Any, A: Any, B: Any, alpha: Any, beta: Any) -> Any:
    """N on 6ND = C, in closed form: (αA/βB)^(1/(α+β))·(C/6)^(β/(α+β))."""
    return (alpha * A / (beta * B)) ** (1 / (alpha + beta)) * (flops / 6) ** (beta / (alpha + beta))


def chinchilla_optimum(d: Numbers) -> tuple[Any, Any, Any]:
    """(N, D, L) that are optimal on 6ND = C."""
    n = compute_optimal_params(d["total"], *(d[name] for name in ("A", "B", "alpha", "beta")))
    t = d["total"] / 6 / n
    return n, t, d["E"] + d["A"] / n ** d["alpha"] + d["B"] / t ** d["beta"]


def loss(d: Numbers, n: Any, t: Any, k: Any) -> Any:
    """E + A/N^α + B/D^β + G/k^γ."""
    return d["E"] + d["A"] / n ** d["alpha"] + d["B"] / t ** d["beta"] + d["G"] / k ** d["gamma"]


def train_flops(n: Any, t: Any) -> Any:
    return 6.0 * n * t


def serve_flops(d: Numbers, n: Any, k: Any, *, share_prompt: bool = True) -> Any:
    per_query = d["prompt"] + k * d["output"] if share_prompt else k * (d["prompt"] + d["output"])
    return 2.0 * n * d["queries"] * per_query


def violation(d: Numbers, n: Any, t: Any, k: Any, *, share_prompt: bool = True) -> Any:
    """The largest factor by which a budget or bound is exceeded, minus 1."""
    train, serve = train_flops(n, t), serve_flops(d, n, k, share_prompt=share_prompt)
    used = [
        (train + serve) / d["total"],
        train / d["train"],
        serve / d["serve"],
        n / d["max_params"],
        t / d["max_tokens"],
        k / d["max_samples"],
        d["min_samples"] / k,
    ]
    return np.max(used, axis=0) - 1.0


# SLSQP

Vector = np.ndarray
LOWEST = np.log((1e6, 1e8, 1.0))
"""Far below every answer of the benchmarks; without it SLSQP tries models of one parameter, whose loss overflows."""
FAR = 60.0
"""The logarithm that stands for no upper bound."""


@dataclass(frozen=True)
class Chinchilla:
    """L = E + A/N^α + B/D^β."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def __call__(self, log_n: float, log_d: float) -> tuple[float, float, float]:
        """L, ∂L/∂log N, ∂L/∂log D."""
        of_n, of_d = self.A * math.exp(-self.alpha * log_n), self.B * math.exp(-self.beta * log_d)
        return self.E + of_n + of_d, -self.alpha * of_n, -self.beta * of_d


@dataclass(frozen=True)
class LogLoss:
    """log(L + G/k^γ), to be minimised."""

    law: Chinchilla
    G: float
    gamma: float

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        n, d, k = x.tolist()
        loss, by_n, by_d = self.law(n, d)
        of_k = self.G * math.exp(-self.gamma * k)
        total = loss + of_k
        return math.log(total), np.array((by_n / total, by_d / total, -self.gamma * of_k / total))


@dataclass(frozen=True)
class Failure:
    """Minus the log odds of pass@k, to be minimised. `odds(L, log k)` → (log odds, ∂/∂L, ∂/∂log k)."""

    law: Chinchilla
    odds: Callable[[float, float], Sequence[float]]

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        n, d, k = x.tolist()
        loss, by_n, by_d = self.law(n, d)
        odds, by_loss, by_k = self.odds(loss, k)
        return -odds, np.array((-by_loss * by_n, -by_loss * by_d, -by_k))


def log_odds(theta: Sequence[float]) -> Callable[[float, float], Sequence[float]]:
    """Log odds of 1 − B(a, b+k)/B(a, b), a = μν, b = (1−μ)ν, μ = θ2/(1 + exp(θ1·(L−θ0))), ν = exp(θ3 + θ4·L).

    The one part not by hand: with SciPy's `betaln` and `digamma` a call is three times faster, but the digits they lose
    (k is up to 1e8 here) keep SLSQP from stopping, and it solves half as many. To be called under `jax.enable_x64`.
    """
    import jax
    import jax.numpy as jnp

    from t2jax import BetaPassRate

    def odds(loss: jax.Array, log_k: jax.Array) -> jax.Array:
        steep = theta[1] * (loss - theta[0])
        nu = jnp.exp(theta[3] + theta[4] * loss)
        a = nu * theta[2] * jax.nn.sigmoid(-steep)
        b = nu * (1.0 - theta[2] + theta[2] * jax.nn.sigmoid(steep))
        log_fail = BetaPassRate(a, b).log_failure(jnp.exp(log_k))
        return jnp.log(-jnp.expm1(log_fail)) - log_fail

    @jax.jit
    def with_slopes(point: jax.Array) -> jax.Array:
        value, slopes = jax.value_and_grad(odds, argnums=(0, 1))(point[0], point[1])
        return jnp.stack([value, *slopes])

    return lambda loss, log_k: np.asarray(with_slopes(np.array((loss, log_k)))).tolist()


@dataclass(frozen=True)
class Budget:
    """6·N·D + s·N·k ≤ C, with s the FLOPs of one sample of every query per parameter."""

    log_budget: float
    log_serve: float

    def room(self, x: Vector) -> float:
        n, d, k = x.tolist()
        train, serve = math.log(6.0) + d, self.log_serve + k
        return self.log_budget - n - max(train, serve) - math.log1p(math.exp(-abs(train - serve)))

    def slope(self, x: Vector) -> Vector:
        _, d, k = x.tolist()
        share = 1.0 / (1.0 + math.exp(self.log_serve + k - math.log(6.0) - d))
        return np.array((-1.0, -share, share - 1.0))

    def start(self, upper: Vector) -> Vector:
        """Half of the budget trains a model on 20 tokens per parameter, what is left of it samples."""
        n = 0.5 * (self.log_budget - math.log(2 * 6 * 20))
        k = self.log_budget - math.log(2.0) - self.log_serve - n
        return np.clip((n, n + math.log(20.0), k), LOWEST, upper)


def solve(objective: LogLoss | Failure, budget: Budget, caps: tuple[float, float, float] | None) -> tuple[Vector, bool]:
    """(log N, log D, log k) and whether SLSQP reports success."""
    upper = np.log(caps) if caps else np.full(3, FAR)
    found = minimize(
        objective,
        budget.start(upper),
        jac=True,
        method="SLSQP",
        bounds=Bounds(LOWEST, upper),
        constraints={"type": "ineq", "fun": budget.room, "jac": budget.slope},
        options={"ftol": 1e-12, "maxiter": 200},
    )
    return found.x, bool(found.success)


def slsqp(one: dict[str, float], start: np.ndarray, *, share_prompt: bool = True) -> np.ndarray:
    """Log (N, D, k) found by SciPy's SLSQP for T2Loss, in log space and with analytic gradients, from log `start`."""
    log, law = np.log, Chinchilla(*(float(one[name]) for name in ("E", "A", "B", "alpha", "beta")))
    upper = [min(one[name], 1e37) for name in ("max_params", "max_tokens", "max_samples")]

    def costs(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, t, k = np.exp(x)
        train, serve = train_flops(n, t), serve_flops(one, n, k, share_prompt=share_prompt)
        sampled = one["output"] * k / (one["prompt"] + k * one["output"]) if share_prompt else 1.0
        of_train, of_serve = np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, sampled])
        total = train + serve
        values = log([total / one["total"], train / one["train"], serve / one["serve"]])
        return values, np.array([(train * of_train + serve * of_serve) / total, of_train, of_serve])

    bounds = list(zip([-80.0, -80.0, log(one["min_samples"])], log(upper), strict=True))
    found = minimize(
        LogLoss(law, float(one["G"]), float(one["gamma"])),
        start,
        jac=True,
        method="SLSQP",
        bounds=bounds,
        constraints={"type": "ineq", "fun": lambda x: -costs(x)[0], "jac": lambda x: -costs(x)[1]},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return found.x
