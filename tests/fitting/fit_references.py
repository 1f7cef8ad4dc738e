"""Reference objectives of `fit`: the best of 500 starts of SciPy's L-BFGS-B, on public tables whole and thinned.

Independent of t2jax: own objective and gradient, own starts, and coordinates in which E = 0 is a bound like any other.
`python tests/fitting/fit_references.py` finds them anew (half an hour of one core) and writes `fit_references.json`.
"""

import csv
import itertools
import json
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog, minimize

STORED = Path(__file__).with_name("fit_references.json")
ESTIMATORS = ("Huber", "LeastAbsoluteDeviations", "LeastSquares")
DELTA = 1e-3
GADRE_LOSSES = (
    "loss_c4_val",
    "loss_openlm",
    "loss_paloma_c4_en",
    "loss_paloma_falcon_refinedweb",
    "loss_paloma_ptb",
    "loss_paloma_redpajama",
    "loss_paloma_dolma_100_programing_languages",
    "loss_val_de_en_100",
)


class Case(NamedTuple):
    """A table by name. rows: how many of its rows, drawn with `seed`; all of them where it is 0."""

    table: str
    rows: int
    seed: int


# ── Tables ──


def tables(folder: Path) -> dict[str, np.ndarray]:
    """(n, 3) of params, tokens, loss by the table's name."""
    found: dict[str, np.ndarray] = {}
    runs = _read(folder / "chinchilla_besiroglu.csv")
    found["chinchilla"] = _columns([row for row in runs if row["besiroglu_excluded"] == "0"])
    found["chinchilla with outliers"] = _columns(runs)
    porian = _read(folder / "porian_isoflop.csv")
    slice_of = ("dataset", "hparams", "warmup", "lr_decay", "param_count", "loss_split")
    for key, rows in _grouped(porian, lambda row: tuple(row[name] for name in slice_of)).items():
        found["porian " + " ".join(key)] = _columns(rows)
    gadre = _read(folder / "gadre_overtraining.csv")
    for train_set, rows in _grouped(gadre, lambda row: row["train_set"]).items():
        for loss in GADRE_LOSSES:
            found[f"gadre {train_set} {loss}"] = _columns(rows, loss=loss)
    repeated = _read(folder / "datablations.csv")
    found["datablations"] = _columns(repeated)
    found["datablations one epoch"] = _columns([row for row in repeated if float(row["epochs"]) <= 1])
    moe = _columns(_read(folder / "steplaw_moe.csv"), params="params_active", loss="loss_smoothed")
    best = {}
    for n, d, loss in moe.tolist():
        best[n, d] = min(loss, best.get((n, d), np.inf))
    found["steplaw"] = np.array([(*key, loss) for key, loss in best.items()])
    return {name: rows for name, rows in found.items() if len(rows) >= 6}


def thinned(table: np.ndarray, case: Case) -> np.ndarray:
    if not case.rows:
        return table
    return table[np.sort(np.random.default_rng(case.seed).choice(len(table), case.rows, replace=False))]


def cases(every: dict[str, np.ndarray]) -> list[Case]:
    """Most tables thinned to 12 and 30 rows (twice) and to 100, and all of them whole."""
    draws = [(12, 0), (30, 0), (100, 0), (12, 1), (30, 1)]
    thin = [name for name in every if not name.startswith("gadre") or name.endswith("loss_c4_val")]
    found = [Case(name, rows, seed) for (rows, seed), name in itertools.product(draws, thin) if rows < len(every[name])]
    return [*found, *(Case(name, 0, 0) for name in every)]


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _grouped(rows, key):
    found = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _columns(rows, params="params", tokens="tokens", loss="loss"):
    return np.array([[float(row[name]) for name in (params, tokens, loss)] for row in rows])


# ── The objective: L̂ = E + exp(a − α·u) + exp(b − β·v), u and v logarithms from the middle of the data ──


class Objective:
    """Value and gradient by x = (E, a, α, b, β), times `scale`: L-BFGS-B's tolerances are made for numbers near 1."""

    def __init__(self, table: np.ndarray, on_log: bool, delta: float = DELTA):
        log_n, log_d = np.log(table[:, 0]), np.log(table[:, 1])
        self.u, self.v, self.loss = log_n - log_n.mean(), log_d - log_d.mean(), table[:, 2]
        self.log_loss, self.on_log, self.delta = np.log(self.loss), on_log, delta
        self.scale = 1.0 / (delta * len(table)) if on_log else 1.0 / len(table)

    def __call__(self, x):
        of_n, of_d = (np.exp(np.minimum(x[i] - x[i + 1] * at, 200.0)) for i, at in ((1, self.u), (3, self.v)))
        predicted = x[0] + of_n + of_d
        if self.on_log:
            r = np.log(predicted) - self.log_loss
            clipped = np.minimum(np.maximum(r, -self.delta), self.delta)
            value, slope = clipped @ (r - 0.5 * clipped), clipped / predicted
        else:
            r = predicted - self.loss
            value, slope = r @ r, 2.0 * r
        of_n *= slope
        of_d *= slope
        gradient = np.array([slope.sum(), of_n.sum(), -(of_n @ self.u), of_d.sum(), -(of_d @ self.v)])
        return self.scale * value, self.scale * gradient

    def residuals(self, x):
        """log L̂ − log L of every row, and (n, 5) its derivatives by x."""
        of_n, of_d = (np.exp(x[i] - x[i + 1] * at) for i, at in ((1, self.u), (3, self.v)))
        predicted = x[0] + of_n + of_d
        slopes = [np.ones_like(of_n), of_n, -of_n * self.u, of_d, -of_d * self.v]
        return np.log(predicted) - self.log_loss, np.stack(slopes, axis=1) / predicted[:, None]


def bounds_of(table: np.ndarray) -> list[tuple[float, float]]:
    return [(0.0, float(table[:, 2].min())), (-30.0, 15.0), (0.0, 30.0), (-30.0, 15.0), (0.0, 30.0)]


def starts_of(table: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """E from 0 (a tenth of them) to the least loss, terms of any size in the middle of the data, any exponents."""
    least = table[:, 2].min()
    floor = least * np.where(rng.random(count) < 0.1, 0.0, rng.uniform(0.0, 0.98, count))
    sizes = np.log(least) + rng.uniform(np.log(0.01), np.log(10.0), (2, count))
    exponents = np.exp(rng.uniform(np.log(0.03), np.log(3.0), (2, count)))
    return np.stack([floor, sizes[0], exponents[0], sizes[1], exponents[1]], axis=1)


def best_of_scipy(table: np.ndarray, rng: np.random.Generator, count: int = 500) -> dict[str, float]:
    """The least objective of every estimator. All starts descend 40 steps, the best 24 go on, the best 6 to the end."""
    bounds, starts = bounds_of(table), starts_of(table, count, rng)

    def run(objective: Objective, x, steps: int):
        limits = {"maxiter": steps, "maxfun": 3 * steps, "ftol": 1e-15, "gtol": 1e-10}
        found = minimize(objective, x, jac=True, method="L-BFGS-B", bounds=bounds, options=limits)
        return float(found.fun), found.x

    def onward(objective: Objective, points, steps: int, kept: int):
        return sorted((run(objective, x, steps) for x in points), key=lambda found: found[0])[:kept]

    best: dict[str, float] = {}
    with np.errstate(all="ignore"):  # steps that overflow
        for name, objective in (("Huber", Objective(table, True)), ("LeastSquares", Objective(table, False))):
            first = onward(objective, starts, 40, 24)
            second = onward(objective, [x for _, x in first], 150, 6)
            last = onward(objective, [x for _, x in second], 1000, 1)
            best[name] = last[0][0] / objective.scale
            if name == "Huber":
                near = [x for _, x in second]
        # Absolute deviations have no slope at 0: a Huber's loss that narrows, from where Huber's own descents are.
        for delta in (3e-4, 1e-4, 1e-5, 1e-6):
            narrow = Objective(table, True, delta)
            near = [x for _, x in onward(narrow, near, 200, 6)]
        best["LeastAbsoluteDeviations"] = min(by_linear_programmes(narrow, x, bounds) for x in near[:2])
    return best


def by_linear_programmes(objective: Objective, x: np.ndarray, bounds: list[tuple[float, float]]) -> float:
    """Σ |log L − log L̂| at its optimum near x: the residuals linearised, within a box that halves where that fails."""
    r, slopes = objective.residuals(x)
    value, box, unit = float(np.abs(r).sum()), 0.03, np.eye(len(r))
    costs = np.concatenate([np.zeros(5), np.ones(2 * len(r))])
    for _ in range(15):
        within = [
            (max(low - at, -box), min(high - at, box)) for at, (low, high) in zip(x.tolist(), bounds, strict=True)
        ]
        # S·dx + r = over − under, both at least 0.
        step = linprog(costs, A_eq=np.hstack([slopes, -unit, unit]), b_eq=-r, bounds=within + [(0, None)] * 2 * len(r))
        if step.x is None:
            break
        there = np.clip(x + step.x[:5], *np.transpose(bounds))
        new_r, new_slopes = objective.residuals(there)
        if np.abs(new_r).sum() < value:
            x, r, slopes, value = there, new_r, new_slopes, float(np.abs(new_r).sum())
        else:
            box *= 0.25
    return value


def reference(every: dict[str, np.ndarray], case: Case, count: int = 500) -> dict[str, float]:
    rng = np.random.default_rng([zlib.crc32(case.table.encode()), case.rows, case.seed])
    return best_of_scipy(thinned(every[case.table], case), rng, count)


def main() -> None:
    folder = Path(os.environ.get("T2JAX_SHARED", "../shared")) / "data"
    every = tables(folder)
    plan, stored = cases(every), []
    for done, case in enumerate(plan, 1):
        stored.append({**case._asdict(), **reference(every, case)})
        STORED.write_text("[\n" + ",\n".join(json.dumps(one) for one in stored) + "\n]\n", encoding="utf-8")
        print(f"{done}/{len(plan)} {case}", flush=True)


if __name__ == "__main__":
    main()
