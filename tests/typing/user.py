"""What a user types: mypy and pyright accept it, and know what comes out. Checked by .ci/check, never run."""

from typing import assert_type

import numpy as np

import t2jax as t2

plan = t2.plan(total_flops=1e24, queries=1e9, output_tokens=500)
assert plan.optimum is not None
params: float | None = plan.optimum.params
price: float | None = plan.prices[0].price
assert plan.baselines is not None
loss: float | None = plan.baselines.chinchilla.loss_nats
print(plan.to_dict()["optimum"])
assert_type(plan, t2.Plan)
frontier = t2.frontier(law="besiroglu2024", train_flops=np.geomspace(1e20, 1e24, 5))
assert_type(frontier, t2.Frontier)
print(frontier.rows[0]["params"])
bill = t2.bill(params="8B", tokens="15T", hardware="h100-sxm", usd_per_hour=2.5)
assert_type(bill, t2.Bill)
dollars: float = bill.life.training_usd

law = t2.Chinchilla(1.8, 482.0, 2085.0, 0.35, 0.37)
solution = t2.minimize(law, [t2.TrainingFLOPs() <= 1e23])
assert_type(solution, t2.Solution)
assert_type(solution.allocation, t2.Allocation)
print(solution.allocation.params)
ok: bool = bool(solution.ok)

runs = {"params": np.ones(9), "tokens": np.ones(9), "loss": np.ones(9)}
table = t2.read_table("runs.csv", ["params", "tokens", "loss"])
column: np.ndarray = table["loss"]
assumed: tuple[str, ...] = table.notes
print(t2.read_table(runs), t2.fit(t2.Chinchilla, table))
fitted = t2.fit(t2.Chinchilla, runs)
assert_type(fitted, t2.Fit)
errors: dict[str, float] = fitted.standard_errors
reasons: dict[str, str] = {name: one.sentence for name, one in fitted.boundaries.items()}
held_out, approach_2 = t2.holdout(fitted, by="params"), t2.isoflop(runs)
print(held_out, approach_2, t2.sweep, t2.grid)
cost: t2.Constraint = t2.params <= 7e9
version: str = t2.__version__
source: t2.Provenance | None = law.provenance
