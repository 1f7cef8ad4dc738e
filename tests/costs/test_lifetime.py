"""The bill of a life: every figure written out, optima against grids, the command line as a person meets it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax.cli import main

LAW = t2.published("besiroglu2024")
H100 = t2.accelerator("h100-sxm")
TRAINING = t2.Training(H100, mfu=0.4, usd_per_hour=2.5, overhead=0.1, post_training_usd=2e5)
SERVING = t2.Serving(
    H100, batch=64, prompt_tokens=1000, output_tokens=500, queries_per_month=1e8, usd_per_hour=2.5, mfu=0.5, mbu=0.7
)
LIFE = t2.Lifetime(TRAINING, SERVING, months=24)
POINT = t2.Allocation(8e9, 15e12, 4.0)
HOURS = 1.1 * 6 * 8e9 * 15e12 / (989.4e12 * 0.4) / 3600


def test_training_written_out():
    assert float(TRAINING.device_hours(POINT)) == pytest.approx(HOURS, rel=1e-12)
    assert float(TRAINING.usd(POINT)) == pytest.approx(2.5 * HOURS + 2e5, rel=1e-12)
    assert float(TRAINING.energy_kwh(POINT)) == pytest.approx(0.7 * HOURS, rel=1e-12)


def test_a_life_is_training_and_months_of_serving():
    monthly = float(SERVING.usd_per_month(POINT))
    assert float(LIFE.usd(POINT)) == pytest.approx(2.5 * HOURS + 2e5 + 24 * monthly, rel=1e-12)
    assert float(LIFE.tasks) == 24e8
    task = t2.published("pythia-gsm8k")
    per_task = float(LIFE.usd_per_solved_task(task)(POINT))
    assert per_task == pytest.approx(float(LIFE.usd(POINT)) / (24e8 * float(task(POINT))), rel=1e-12)
    bill = LIFE.bill(POINT, task)
    assert bill.usd == pytest.approx(float(LIFE.usd(POINT)), rel=1e-12)
    assert bill.usd_per_solved_task == pytest.approx(per_task, rel=1e-12)
    assert bill.training_usd + bill.serving_usd == pytest.approx(bill.usd, rel=1e-12)


def test_in_float32():
    training = t2.Training(H100, mfu=np.float32(0.4), usd_per_hour=np.float32(2.5), overhead=np.float32(0.1))
    training = jax.tree.map(lambda a: a.astype(jnp.float32), training)
    point = jax.tree.map(lambda a: a.astype(jnp.float32), POINT)
    found = training.usd(point)
    assert found.dtype == jnp.float32
    assert float(found) == pytest.approx(2.5 * HOURS, rel=1e-5)


@pytest.mark.slow
def test_money_for_training_is_flops_for_training():
    """Dollars buy FLOPs at a fixed rate, so the optimum is Chinchilla's, by the same one equation."""
    training = t2.Training(H100, mfu=0.4, usd_per_hour=2.5)
    flops = 1e6 / 2.5 * 3600 * 0.4 * 989.4e12
    money = t2.minimize(LAW, [training.usd <= 1e6])
    compute = t2.minimize(LAW, [t2.TrainingFLOPs() <= flops])
    assert float(money.allocation.params) == pytest.approx(float(compute.allocation.params), rel=1e-9)
    # A price is money per log dollar, whatever the unit: cents change nothing but the limit.
    cents = t2.minimize(LAW, [training.usd * 100 <= 1e8])
    assert float(cents.allocation.params) == pytest.approx(float(money.allocation.params), rel=1e-9)
    assert float(cents.shadow_prices[0]) == pytest.approx(float(money.shadow_prices[0]), rel=1e-9)


def test_what_post_training_takes_is_not_there_for_the_run():
    training = t2.Training(H100, mfu=0.4, usd_per_hour=2.5, post_training_usd=4e5)
    plain = t2.Training(H100, mfu=0.4, usd_per_hour=2.5)
    found, less = t2.minimize(LAW, [training.usd <= 1e6]), t2.minimize(LAW, [plain.usd <= 6e5])
    assert float(found.value) == pytest.approx(float(less.value), rel=1e-10)
    assert float(found.allocation.tokens) == pytest.approx(float(less.allocation.tokens), rel=1e-6)


@pytest.mark.slow
def test_least_dollars_for_a_solved_task_are_those_of_a_grid():
    task = t2.published("pythia-gsm8k")
    cost = LIFE.usd_per_solved_task(task)
    found = t2.minimize(cost, [t2.samples <= 1e4])
    n, d, k = (jnp.geomspace(low, high, 90) for low, high in ((1e6, 1e12), (1e9, 1e15), (1.0, 1e4)))
    grid = cost(t2.Allocation(n[:, None, None], d[None, :, None], k[None, None, :]))
    assert float(found.value) <= float(grid.min()) * (1 + 1e-9)
    assert float(found.value) == pytest.approx(float(grid.min()), rel=0.02)


def test_what_a_ratio_is_made_of():
    half = t2.PerSolvedTask(t2.TrainingFLOPs(), t2.quantity(lambda a: 0.5 + 0.0 * a.params), tasks=4.0)
    assert float(half(POINT)) == pytest.approx(6 * 8e9 * 15e12 / 2.0, rel=1e-12)
    with pytest.raises(TypeError, match="quality must be a quantity"):
        t2.PerSolvedTask(t2.TrainingFLOPs(), 0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: t2.Training("h100", mfu=0.4), "Training takes a Hardware first, such as t2jax.accelerator"),
        (lambda: t2.Training(H100, mfu=1.2), "mfu must be above 0 and at most 1, got 1.2"),
        (lambda: t2.Training(H100, mfu=0.4, overhead=-0.1), "overhead must be zero or positive, and finite, got -0.1"),
        (lambda: t2.Training(H100, mfu=0.4, dtype="fp4"), "h100-sxm has no peak in 'fp4'"),
        (lambda: t2.Training(H100, mfu=0.4).usd, "usd needs usd_per_hour: give it to Training"),
        (lambda: t2.Training(t2.accelerator("tpu-v5e"), mfu=0.4).energy_kwh, "energy_kwh needs the power of tpu-v5e"),
        (lambda: t2.Lifetime(TRAINING, None, 1.0), "Lifetime takes a Training and a Serving"),
        (lambda: t2.Lifetime(TRAINING, SERVING, 0.0), "months must be positive and finite, got 0.0"),
        (
            lambda: t2.Lifetime(TRAINING, t2.Serving(H100, output_tokens=5), 1.0).tasks,
            "tasks needs queries_per_month: give it to Serving",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


# ── t2jax cost ──

ASKED = [
    *("cost", "--params", "8B", "--tokens", "15T", "--samples", "4", "--hardware", "h100-sxm", "--usd-per-hour", "2.5"),
    *("--queries-per-month", "100M", "--prompt-tokens", "1000", "--output-tokens", "500", "--months", "24"),
    *("--overhead", "0.1", "--post-training-usd", "200K", "--utilization", "1"),
]


def test_the_command_prints_the_same_bill(capsys):
    assert main([*ASKED, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["training"]["device_hours"] == pytest.approx(HOURS, rel=1e-12)
    assert said["usd"] == pytest.approx(float(LIFE.usd(POINT)), rel=1e-12)
    assert said["serving"]["time_per_output_token"] == pytest.approx(
        float(SERVING.time_per_output_token(POINT)), rel=1e-12
    )
    assert said["solved"] is None
    assert said["hardware"]["source"].startswith("NVIDIA H100")


def test_the_command_says_what_it_assumed(capsys):
    assert main([*ASKED, "--task", "pythia-gsm8k"]) == 0
    text = capsys.readouterr().out
    for part in ("training", "serving, months: 24", "per task solved", "Assumed: training reaches 40% of peak bf16"):
        assert part in text
    assert "note: tokens 15T is above the fitted range" in text
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--hardware", "h100"], "no accelerator is called 'h100': did you mean 'h100-sxm' or"),
        (["--params", "70B"], "the model does not fit: a replica needs"),
        (["--mfu", "1.2"], "--mfu must be above 0 and at most 1, got 1.2"),
        (["--months", "0"], "--months must be positive and finite, got 0"),
        (["--batch", "many"], "--batch must be a number such as 1e24, 7B or 15T, got 'many'"),
        (["--task", "pythia-gsm8k-loss"], "--task pythia-gsm8k-loss does not say how many tasks are solved"),
        (["--dtype", "fp4"], "h100-sxm has no peak in 'fp4', only in"),
    ],
)
def test_bad_usage(capsys, more, message):
    assert main([*ASKED, *more]) == 2
    assert capsys.readouterr().err.startswith(f"t2jax: {message}")


QWEN = [
    *("cost", "--params", "7.61B", "--tokens", "18T", "--hardware", "l40s", "--usd-per-hour", "1", "--dtype", "int8"),
    *("--queries-per-month", "1M", "--prompt-tokens", "2048", "--output-tokens", "1024", "--batch", "100"),
    *("--bytes-per-param", "1"),
]


def test_the_cache_is_said_and_can_be_given(capsys):
    """Qwen2.5-7B: 28 layers, 4 KV heads of 128, 28,672 numbers a token; 7 query heads share one, not 4."""
    assert main(QWEN) == 2
    said = capsys.readouterr().err
    assert said.startswith("t2jax: the model does not fit: a replica needs 52.6 GB (7.6 GB of weights, 45.0 GB of KV")
    assumed = "4 query heads per KV head at every size; layers and width follow from N"
    assert f"KV cache: {assumed}; --kv-heads, --head-dim and --layers give its own\n" in said
    own = ["--kv-heads", "4", "--head-dim", "128", "--layers", "28"]
    assert main([*QWEN, *own, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["serving"]["replica_memory"] == pytest.approx(7.61e9 + 100 * 3072 * 28_672 * 2, rel=1e-12)
    assert said["kv_cache"] == "28 layers of 4 KV heads of 128 numbers"
    assert [said["inputs"][name] for name in ("kv_heads", "head_dim", "layers")] == [4, 128, 28]
    assert main([*QWEN, *own]) == 0
    assert "\n  KV cache: 28 layers of 4 KV heads of 128 numbers.\n" in capsys.readouterr().out
    assert main([*QWEN, "--batch", "50"]) == 0
    text = capsys.readouterr().out
    assert f"\n  KV cache: {assumed}\n    (a model's own: --kv-heads, --head-dim and --layers).\n" in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--kv-heads", "8"], "--kv-heads and --head-dim belong together"),
        (["--head-dim", "128"], "--kv-heads and --head-dim belong together"),
        (["--layers", "28"], "--layers is of the KV cache: give --kv-heads and --head-dim, too"),
        (["--kv-heads", "0", "--head-dim", "128"], "--kv-heads must be positive and finite, got 0"),
        (["--utilization", "0"], "--utilization must be above 0 and at most 1, got 0"),
    ],
)
def test_what_a_cache_cannot_be(capsys, more, message):
    for command in (QWEN, [*MONEY, *SUM]):
        assert main([*command, *more]) == 2
        assert capsys.readouterr().err.startswith(f"t2jax: {message}")


def test_what_is_missing_is_named(capsys):
    assert main(["cost", "--params", "8B"]) == 2
    assert "cost needs --tokens, --hardware, --usd-per-hour" in capsys.readouterr().err


def test_list_of_hardware(capsys):
    assert main(["list", "--hardware"]) == 0
    assert "h100-sxm" in capsys.readouterr().out
    assert main(["list", "--hardware", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} >= {"h100-sxm", "tpu-v5e"}
    assert all(row["source"] for row in rows)


# ── t2jax plan --hardware ──

MONEY = [
    *("plan", "--hardware", "h100-sxm", "--usd-per-hour", "2.5", "--queries", "1e9"),
    *("--output-tokens", "500", "--prompt-tokens", "300", "--law", "besiroglu2024", "--G", "1", "--gamma", "0.3"),
]


SUM = ["--usd", "5M"]


def planned(capsys, *more):
    assert main([*MONEY, *more, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_plan_in_money_is_that_of_a_grid(capsys):
    """Over N and k, with D from what serving leaves; under a limit on time as well."""
    serving = t2.Serving(
        H100,
        batch=64,
        prompt_tokens=300,
        output_tokens=500,
        queries_per_month=1e9,
        usd_per_hour=2.5,
        mfu=0.5,
        mbu=0.7,
        utilization=0.5,
    )
    low, high = 1e6, 1e12  # the largest model that is fast enough, by bisection: the grid is to have it exactly
    for _ in range(60):
        middle = np.sqrt(low * high)
        fast = float(serving.time_per_output_token(t2.Allocation(middle, 1.0))) <= 0.002
        low, high = (middle, high) if fast else (low, middle)
    sizes = np.append(np.geomspace(1e8, 1e11, 1500), low)
    n, k = (a.ravel() for a in np.meshgrid(sizes, np.geomspace(1, 1e4, 1500)))
    where = t2.Allocation(n, n, k)
    left = 5e6 - np.asarray(serving.usd_per_month(where))
    per_token = 6 * n / (0.4 * 989.4e12) / 3600 * 2.5
    d = np.where(left > 0, left, np.nan) / per_token
    loss = np.asarray(LAW.loss(n, np.nan_to_num(d, nan=1.0))) + k**-0.3
    for more, allowed in (((), left > 0), (("--max-time-per-token", "0.002"), None)):
        if allowed is None:
            allowed = (left > 0) & (np.asarray(serving.time_per_output_token(where)) <= 0.002)
        said = planned(capsys, *SUM, *more)
        best = np.min(loss[allowed])
        assert said["optimum"]["value"] <= best + 1e-12
        assert said["optimum"]["value"] == pytest.approx(best, rel=2e-5)
        assert said["optimum"]["usd"] == pytest.approx(5e6, rel=1e-9)
        for other in said["baselines"].values():
            assert other["value"] > said["optimum"]["value"]
            assert other["usd"] <= 5e6 * (1 + 1e-6)
    assert said["optimum"]["time_per_output_token"] == pytest.approx(0.002, rel=1e-9)
    chinchilla = said["baselines"]["chinchilla"]
    assert chinchilla["overtraining_ratio"] == pytest.approx(1.0, rel=1e-6)
    assert chinchilla["time_per_output_token"] <= 0.002


def test_a_plan_in_money_as_text(capsys):
    assert main([*MONEY, *SUM]) == 0
    text = capsys.readouterr().out
    for part in ("for 5.00M USD", "devices    h100-sxm at 2.5 USD", "Chinchilla-optimal", "serving, USD", "Assumed:"):
        assert part in text
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.slow
def test_a_plan_in_money_knows_its_cache(capsys):
    """The largest model that fits: with N = 12·128²·n³, n layers of 8 KV heads of 128 numbers, w·N + cache = memory."""
    more = ["--usd", "500M", "--batch", "256", "--kv-heads", "8", "--head-dim", "128"]
    said = planned(capsys, *more)
    assert said["kv_cache"] == "8 KV heads of 128 numbers in layers that follow from N"

    def memory(n):
        return 2 * n + 256 * 800 * 2 * 2 * (n / 12 / 128**2) ** (1 / 3) * 8 * 128

    assert said["optimum"]["replica_memory"] == pytest.approx(0.9 * 80e9, rel=1e-9)  # it binds
    assert memory(said["optimum"]["params"]) == pytest.approx(0.9 * 80e9, rel=1e-9)
    assert planned(capsys, *SUM)["kv_cache"].startswith("4 query heads per KV head at every size")


@pytest.mark.slow
def test_the_least_dollars_of_a_target_are_the_dual(capsys):
    """What 5M USD buy at best costs 5M USD at least; an allocation that there is not has every key all the same."""
    best = planned(capsys, *SUM)
    least = planned(capsys, "--target", str(best["optimum"]["value"]))
    assert least["objective"]["quantity"] == "usd"
    assert least["optimum"]["usd"] == pytest.approx(5e6, rel=1e-7)
    assert least["optimum"]["params"] == pytest.approx(best["optimum"]["params"], rel=1e-3)
    assert set(least["baselines"]["one_sample"]) == set(least["optimum"])
    assert least["baselines"]["chinchilla"]["usd"] > 5e6
    assert {row["constraint"] for row in least["prices"]} == {"memory", "target"}


@pytest.mark.slow
def test_a_fitted_law_has_intervals_in_money(capsys, tmp_path):
    rng = np.random.default_rng(0)
    params, tokens = np.exp(rng.uniform(np.log([1e7, 1e9]), np.log([1e10, 1e11]), (60, 2))).T
    loss = np.asarray(LAW.loss(params, tokens)) * np.exp(0.003 * rng.normal(size=60))
    t2.fit(t2.Chinchilla, {"params": params, "tokens": tokens, "loss": loss}, starts=64).to_json(tmp_path / "law.json")
    law = [str(tmp_path / "law.json") if word == "besiroglu2024" else word for word in MONEY]
    assert main([*law, *SUM, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    low, high = said["uncertainty"]["params"]
    assert low < said["optimum"]["params"] < high


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["plan", "--hardware", "b200"], "--hardware needs --usd-per-hour, --queries, --output-tokens"),
        (MONEY, "--hardware plans for the best that --usd buys or for the least dollars of a --target: give one"),
        ([*MONEY, *SUM, "--target", "2.4"], "--hardware plans for the best that --usd buys or for the least dollars"),
        ([*MONEY, *SUM, "--total-flops", "1e24"], "--hardware counts in dollars: leave out --total-flops"),
        ([*MONEY, "--usd", "0"], "--usd must be positive and finite, got 0"),
        ([*MONEY, *SUM, "--hardware", "h1000"], "no accelerator is called 'h1000'"),
        ([*MONEY, *SUM, "--serving-mbu", "2"], "--serving-mbu must be above 0 and at most 1, got 2"),
        (["plan", *SUM], "--usd is for a plan in money: give --hardware, too"),
        (["plan", "--total-flops", "1e24", "--queries", "1", "--mfu", ".3"], "--mfu is for a plan in money"),
    ],
)
def test_bad_usage_of_money(capsys, typed, message):
    assert main(typed) == 2
    assert capsys.readouterr().err.startswith(f"t2jax: {message}")


def test_post_training_may_take_all_of_it(capsys):
    assert main([*MONEY, *SUM, "--post-training-usd", "6M"]) == 1
    assert "no solution: infeasible" in capsys.readouterr().err
