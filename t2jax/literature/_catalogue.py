"""What data there are: for each its meaning, where it comes from, who measured it and under which licence."""

from dataclasses import dataclass

from t2jax._io.display import Displayed, Grid

__all__ = ["CATALOGUE", "Catalogue", "Entry", "File", "list_datasets"]


@dataclass(frozen=True)
class File:
    """One file of a public GitHub repository at a pinned commit; sha256 of its bytes."""

    repository: str
    commit: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """One data set.

    about: what a row is. files: what is fetched, in the order that its conversion takes them; empty where the
    data only come from a local copy. upstream: repository, commit and file of the original. copy_sha256: of the local
    copy that was compared with the original; one with other bytes is not cited as the original.
    """

    name: str
    rows: int
    about: str
    columns: str
    upstream: str
    citation: str
    licence: str
    copy_sha256: str
    files: tuple[File, ...] = ()


class Catalogue(Displayed, tuple[Entry, ...]):
    """The data sets, which print as an aligned table."""

    def _parts(self) -> list[str | Grid]:
        lines = [("name", "rows", "a row is", "source", "licence")]
        lines += [(one.name, f"{one.rows:,}", one.about, one.citation, one.licence) for one in self]
        return [Grid(lines, header=True, left=(0, 2, 3, 4), indent="")]

    def __repr__(self) -> str:
        return str(self)


def list_datasets() -> Catalogue:
    """Every data set that `dataset` knows, with its source and licence, as rows that print as a table."""
    return Catalogue(CATALOGUE.values())


_MONKEYS = "RylanSchaeffer/KoyejoLab-Large-How-Do-Language-Monkey-Power-Get-Their-Power"
_MONKEYS_COMMIT = "cd078aef2a13e4310fab204860b99c4c39c25d40"
_GSM8K = File(
    _MONKEYS,
    _MONKEYS_COMMIT,
    "data/raw_data/large_language_monkeys/gsm8k_pass_at_k.parquet",
    "48a79ead300b0ac41db1b8091861ed6d4e3093d100514e6677482ca31e8f5e3d",
)
_MATH = File(
    _MONKEYS,
    _MONKEYS_COMMIT,
    "data/raw_data/large_language_monkeys/math_pass_at_k.parquet",
    "2527fbab2e2467c9dc145a09235cc5b25c290b0cd35b63f1535bedb22696ee80",
)
_PYTHIA = File(
    _MONKEYS,
    _MONKEYS_COMMIT,
    "data/raw_data/gpt4_gsm8k/models_pythia.csv",
    "99605284fdbe0ba3787a1b4e7bda6d36e10409dc7eb2f6d47c2f6c79987b1f11",
)
_HOFFMANN = File(
    "epoch-research/analyzing-chinchilla",
    "92258837425e1b5f2851d624287f0120583a3d0e",
    "data/svg_extracted_data.csv",
    "193478df4e90f040016431996c45682659306840ecdadf83cfb9cd5ca0aa1b30",
)
_COUNTS = "Schaeffer et al. 2025, arXiv:2502.17578"

_TABLE = (
    Entry(
        "chinchilla_besiroglu",
        245,
        "a training run, read off a figure of Hoffmann 2022",
        "params, tokens (= flops/(6·params)), flops, loss (nats per token, read off a colour scale), "
        "besiroglu_excluded (1 for the five highest losses, which Besiroglu et al. leave out)",
        "github.com/epoch-research/analyzing-chinchilla @9225883, data/svg_extracted_data.csv",
        "Besiroglu et al. 2024, arXiv:2404.10102",
        "none stated; numbers read off a published figure",
        "9346b96b5f5170acf1031f98ebfe2af32efe4642a755769ff93daddce76b03a6",
        (_HOFFMANN,),
    ),
    Entry(
        "pythia_repeated_sampling",
        19_370,
        "a problem and a Pythia checkpoint: samples, correct",
        "benchmark, model, step, problem_id, num_samples (unequal: 128 to 3.7 million), num_correct, math_level",
        f"github.com/{_MONKEYS} @cd078ae, data/raw_data/large_language_monkeys",
        _COUNTS,
        "none stated; bare counts, to be attributed",
        "fa7faf8bad3304ffbe00e87760bffe780be2a3c7d010b74a67c9629066391aa0",
        (_PYTHIA, _GSM8K, _MATH),
    ),
    Entry(
        "pythia_checkpoints",
        81,
        "a Pythia checkpoint: parameters, tokens",
        "model, step, params (with both embeddings), params_non_embedding, tokens (2,097,152 a step), tokens_nominal "
        "(as the source rounds them), warming_up (1 before step 1,000), flops, flops_non_embedding (6·params·tokens)",
        f"github.com/{_MONKEYS} @cd078ae, data/raw_data/gpt4_gsm8k/models_pythia.csv",
        "Biderman et al. 2023, arXiv:2304.01373",
        "none stated; facts about Apache-2.0 models",
        "86776cce278568996e865a872fd2d4127000497fbce9f5a982324f05139453e4",
        (_PYTHIA,),
    ),
    Entry(
        "pythia_t2_pass_at_k",
        1_872,
        "a benchmark, a Pythia checkpoint and k: mean pass@k",
        "benchmark, model, step, params, params_non_embedding, tokens, k (up to the fewest samples of any problem), "
        "n_problems, min_num_samples, n_problems_solved, pass_at_k, pass_at_k_se, neg_log_pass_at_k, warming_up",
        "computed from pythia_repeated_sampling and pythia_checkpoints",
        _COUNTS,
        "as pythia_repeated_sampling",
        "a241e73e54523c33cd5b2403ee405d1a160c6546e26b77ab5a73a3e03422f1fa",
        (_PYTHIA, _GSM8K, _MATH),
    ),
    Entry(
        "gadre_overtraining",
        104,
        "a model, 5 to 640 tokens per parameter",
        "name, train_set, params, tokens, flops, loss_* (nats per token), err_avg17, acc_* and more",
        "github.com/mlfoundations/scaling @a003c49, exp_data/models and exp_data/evals (a JSON file for each model)",
        "Gadre et al. 2024, arXiv:2403.08540",
        "MIT, © 2024 mlfoundations",
        "1f160805a65429e84067dc3f13f03688c7dc2decb647332a2ebc357266a1ef84",
    ),
    Entry(
        "porian_isoflop",
        1_745,
        "a model size on an isoFLOP slice",
        "dataset, hparams, warmup, lr_decay, param_count, loss_split, params, tokens, flops, loss and source",
        "github.com/formll/resolving-scaling-law-discrepancies @0dc60d9, data/summary_df*.pickle.xz (pickles, which "
        "can run code: t2jax does not open them)",
        "Porian et al. 2024, arXiv:2406.19146",
        "MIT text, with the copyright line of another project",
        "9353c69650b4433663c24bd7d761ea969b780ab9223b08d2d40f6c0690e9eda7",
    ),
    Entry(
        "datablations",
        307,
        "a training run on repeated data",
        "name, params, tokens, unique_tokens, epochs, flops, loss, deduplicated, seed and more",
        "github.com/huggingface/datablations @1370131, plotstables/return_alloc.ipynb (numbers in a notebook's cell)",
        "Muennighoff et al. 2023, arXiv:2305.16264",
        "Apache-2.0",
        "e72b1566d42da0e2b7856e710929b1d4adc9b6054e1aad742a23c425e5075765",
    ),
)
CATALOGUE = {entry.name: entry for entry in _TABLE}
