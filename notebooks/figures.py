"""The README's figures, made anew: `python notebooks/figures.py`. Fetches two data sets (extra `data`) the first time.

A minute on two cores, most of it for the resampled fits.
"""

import io
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import t2jax as t2

HERE = Path(__file__).resolve().parent / "figures"
TRAIN, SERVE = t2.TrainingFLOPs(), t2.InferenceFLOPs(queries=1e9, output_tokens=500)


def new(width: float, height: float) -> Axes:
    return Figure(figsize=(width, height), layout="constrained").subplots()


def keep(ax: Axes, name: str) -> None:
    drawn = io.BytesIO()
    ax.figure.savefig(drawn, dpi=120)
    small = Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)  # a third of the size
    small.save(HERE / f"{name}.png", optimize=True)


def plane() -> None:
    """The README's first plan among models that people know."""
    task = t2.T2Loss(t2.published("besiroglu2024"), G=1.0, gamma=0.3)
    budget = TRAIN + SERVE <= 1e24
    plan = t2.minimize(task, [budget, t2.tokens <= 15e12])
    ax = new(8.0, 5.2)
    k = float(plan.allocation.samples)
    budgets = {f"1e24 FLOPs to train, and to answer 1e9 queries {k:.0f} times each": budget}
    t2.plot.plane(
        task, params=(1e8, 1e12), tokens=(1e10, 1e14), samples=k, budgets=budgets, models=t2.known_models(),
        optimum=plan, ax=ax,
    )  # fmt: skip
    keep(ax, "plane")


def chinchilla() -> None:
    """Chinchilla's runs: isoFLOP curves of the law fitted to them, and how sure the frontier is."""
    runs = t2.dataset("chinchilla_besiroglu").where(besiroglu_excluded=0)
    fitted = t2.fit(t2.Chinchilla, runs)
    ax = new(6.0, 4.4)
    t2.plot.isoflop(fitted.model, [6e18, 1e19, 3e19, 6e19, 1e20, 3e20, 6e20, 1e21, 3e21], runs=runs, ax=ax)
    keep(ax, "isoflop")

    budgets = jnp.geomspace(1e18, 1e26, 33)

    @eqx.filter_jit
    def solve(law: t2.Chinchilla) -> t2.Solution:
        return jax.vmap(lambda budget: t2.minimize(law, [budget >= TRAIN]))(budgets)

    laws = fitted.bootstrap(500, key=jax.random.key(0))
    ensemble = eqx.filter_jit(eqx.filter_vmap(solve))(laws)
    ax = new(6.0, 4.4)
    t2.plot.frontier(
        budgets, solve(fitted.model), show="tokens_per_param", ensemble=ensemble, label="Chinchilla's runs, refitted",
        reference={"20 tokens per parameter": 20}, ax=ax,
    )  # fmt: skip
    keep(ax, "frontier")


def pass_at_k() -> None:
    """Counts of one model on one benchmark, and the distribution of difficulty that is likeliest to give them."""
    counts = t2.dataset("pythia_repeated_sampling").where(benchmark="GSM8K", model="pythia-12b", step=143000)
    fitted = t2.fit(t2.BetaPassRate, counts)
    ax = new(6.0, 4.4)
    ks = 2.0 ** np.arange(0, 14)
    n, c = (np.asarray(counts[name]) for name in ("num_samples", "num_correct"))
    t2.plot.pass_at_k(n, c, fit=fitted, k=ks[ks <= n.min()], ax=ax)
    keep(ax, "pass_at_k")


def demand() -> None:
    """The more a model will be asked, the longer it pays to train it."""
    law = t2.published("besiroglu2024")
    served = jnp.geomspace(1e9, 1e16, 29)

    @jax.jit
    @jax.vmap
    def least(tokens: jax.Array) -> t2.Solution:
        cost = TRAIN + t2.InferenceFLOPs(queries=tokens)
        return t2.minimize(cost, [law <= 2.0])

    ax = new(6.0, 4.4)
    known = [one for one in t2.known_models() if one.name in ("Llama 2 70B", "Llama 3 70B", "Llama 3 8B", "Gemma 7B")]
    t2.plot.overtraining(served, least(served), models=known, label="cheapest model with a loss of 2.0 nats", ax=ax)
    keep(ax, "overtraining")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    HERE.mkdir(exist_ok=True)
    for draw in (plane, chinchilla, pass_at_k, demand):
        draw()
