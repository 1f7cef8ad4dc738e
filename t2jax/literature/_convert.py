"""From the files of the sources to tables with the field's names and units. Nothing is dropped or filled in.

Each conversion takes the paths of its entry's files, in that order, and returns columns of one length.
"""

import csv
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CONVERSIONS"]

_Columns = Mapping[str, Any]


def _chinchilla(runs: Path) -> _Columns:
    rows = _rows(runs)
    params, flops, loss = (np.array([float(row[name]) for row in rows]) for name in _FIGURE)
    return {
        "source_row": np.arange(len(rows), dtype=float),
        "params": params,
        "tokens": flops / (6.0 * params),
        "flops": flops,
        "loss": loss,
        # Besiroglu et al. leave out the five runs of highest loss.
        "besiroglu_excluded": (loss >= np.sort(loss)[-5]).astype(float),
    }


_FIGURE = ("Model Size", "Training FLOP", "loss")


def _checkpoints(models: Path) -> _Columns:
    return _transposed([_checkpoint(row) for row in _rows(models)])


def _checkpoint(row: Mapping[str, str]) -> dict[str, Any]:
    model, step = _model_and_step(row)
    body = float(row["Parameters Excluding Embeddings"])
    # The source rounds sizes and tokens as the names do ("14M", "2M"). The embedding and its inverse are two matrices.
    params = body + 2.0 * float(row["Dimension"]) * _VOCABULARY.get(model, 50_304)
    tokens = step * 2_097_152.0  # a batch is 1,024 sequences of 2,048 tokens
    return {
        "model": model,
        "step": step,
        "params": params,
        "params_non_embedding": body,
        "tokens": tokens,
        "tokens_nominal": float(row["Tokens"]),
        "warming_up": float(row["Warming Up"]),
        "flops": 6.0 * params * tokens,
        "flops_non_embedding": 6.0 * body * tokens,
    }


_VOCABULARY = {"pythia-6.9b": 50_432, "pythia-12b": 50_688}
"""Rows of the embeddings, padded more for these, as their published configurations say."""


def _model_and_step(row: Mapping[str, str]) -> tuple[str, float]:
    return row["HuggingFace Path"].split("/")[-1], float(row["HuggingFace Revision"].removeprefix("step"))


def _counts(models: Path, *benchmarks: Path) -> _Columns:
    """One row for each problem and checkpoint.

    The source has a row for every k as well, with pass@k = 1 wherever k is above the samples drawn. Only the counts
    are taken, which its rows of one problem share.
    """
    parquet = importlib.import_module("pyarrow.parquet")  # type checkers would ask for it, and it may be absent
    known = {row["Model Nickname"]: _model_and_step(row) for row in _rows(models)}
    order = {key: i for i, key in enumerate(known.values())}
    table = []
    for path, benchmark in zip(benchmarks, ("GSM8K", "MATH"), strict=True):
        rows = []
        for row in parquet.read_table(path, filters=[("k", "==", 1)]).to_pylist():
            if row["Model Nickname"] not in known:
                raise ValueError(f"{path.name} has a checkpoint {row['Model Nickname']!r} that {models.name} has not")
            model, step = known[row["Model Nickname"]]
            level = float(row["Level"].removeprefix("Level ")) if "Level" in row else np.nan
            n, correct = float(row["Num. Samples"]), float(row["Num. Samples Correct"])
            rows.append((benchmark, model, step, float(row["prompt_idx"]), n, correct, level))
        table += sorted(rows, key=lambda row: (order[row[1], row[2]], row[3]))
    names = ("benchmark", "model", "step", "problem_id", "num_samples", "num_correct", "math_level")
    return _transposed([dict(zip(names, row, strict=True)) for row in table])


def _t2_pass_at_k(models: Path, *benchmarks: Path) -> _Columns:
    """Mean pass@k of each benchmark, checkpoint and k for which every problem has k samples."""
    import jax  # which the other tables do without

    from t2jax.tasks import pass_at_k

    counts, sizes = _counts(models, *benchmarks), {_key(row): row for row in map(_checkpoint, _rows(models))}
    groups: dict[tuple[str, str, float], list[int]] = {}
    for i, key in enumerate(zip(counts["benchmark"], counts["model"], counts["step"], strict=True)):
        groups.setdefault(key, []).append(i)
    table = []
    for (benchmark, model, step), places in groups.items():
        size = sizes[model, step]
        n, correct = (np.array([counts[name][i] for i in places]) for name in ("num_samples", "num_correct"))
        k = np.array([one for one in _SAMPLES if one <= np.min(n)])
        with jax.enable_x64(True):
            rate = np.asarray(pass_at_k(n[:, None], correct[:, None], k))
        mean, others = rate.mean(0), len(n) - 1 or np.nan  # of one problem there is no spread
        error = np.sqrt(np.sum((rate - mean) ** 2, axis=0) / others / len(n))
        with np.errstate(divide="ignore"):
            negative_log = np.where(mean > 0, -np.log(mean), np.nan)
        for i in range(len(k)):
            table.append(
                {
                    "benchmark": benchmark,
                    "model": model,
                    "step": step,
                    **{name: size[name] for name in ("params", "params_non_embedding", "tokens")},
                    "k": k[i],
                    "n_problems": float(len(n)),
                    "min_num_samples": np.min(n),
                    "n_problems_solved": float(np.sum(correct > 0)),
                    "pass_at_k": mean[i],
                    "pass_at_k_se": error[i],
                    "neg_log_pass_at_k": negative_log[i],
                    "warming_up": size["warming_up"],
                }
            )
    return _transposed(table)


_SAMPLES = (*(2.0**i for i in range(14)), 10_000.0)


def _key(row: Mapping[str, Any]) -> tuple[str, float]:
    return row["model"], row["step"]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _transposed(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


CONVERSIONS: Mapping[str, Callable[..., _Columns]] = {
    "chinchilla_besiroglu": _chinchilla,
    "pythia_checkpoints": _checkpoints,
    "pythia_repeated_sampling": _counts,
    "pythia_t2_pass_at_k": _t2_pass_at_k,
}
