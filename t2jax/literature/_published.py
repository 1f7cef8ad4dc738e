"""Coefficients of the literature by name, each with its citation, the range it was fitted on and how it counts N.

The constants disagree: at 5.88e23 training FLOPs, rounded and unrounded coefficients of one paper differ by a quarter
in N, and a refit of the same runs by a factor of two. So a preset never comes without its provenance. Nothing here
loads JAX until a law is asked for.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from t2jax._io.display import Displayed, Grid
from t2jax._io.text import unknown
from t2jax.literature._kinds import KINDS
from t2jax.quantities import Provenance, Range

__all__ = ["Published", "Registry", "list_published", "published"]

_Coefficients = Mapping[str, Any]


@dataclass(frozen=True)
class Published:
    """One row of the registry.

    kind: the class that `published(name)` returns. coefficients: its arguments; a law inside a task is a pair
    (kind, coefficients). arguments: what `published` accepts beside the name.
    """

    kind: str
    provenance: Provenance
    coefficients: _Coefficients
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.provenance.name

    @property
    def citation(self) -> str:
        return self.provenance.citation

    @property
    def params(self) -> Range | None:
        return self.provenance.params

    @property
    def tokens(self) -> Range | None:
        return self.provenance.tokens

    @property
    def samples(self) -> Range | None:
        return self.provenance.samples

    @property
    def convention(self) -> Literal["total", "non-embedding"]:
        return self.provenance.convention

    @property
    def note(self) -> str:
        return self.provenance.note


class Registry(Displayed, tuple[Published, ...]):
    """The rows, which print as an aligned table."""

    def _parts(self) -> list[str | Grid]:
        cells = [("name", "kind", "params", "tokens", "samples", "N counts", "source")]
        for row in self:
            ranges = [row.provenance.shown(variable) for variable in ("params", "tokens", "samples")]
            cells.append((row.name, row.kind, *ranges, row.convention, row.citation))
        return [Grid(cells, header=True, left=(0, 1, 2, 3, 4, 5, 6), indent="")]

    def __repr__(self) -> str:
        return str(self)


def list_published() -> Registry:
    """Every law and task that `published` knows, as rows that print as a table. Does not load JAX."""
    return Registry(_ROWS.values())


def published(name: str, **arguments: Any) -> Any:
    """A loss law, task or error law of the literature by its name, with its provenance.

    name: one of `list_published()`. arguments: "muennighoff2023" takes `unique_tokens`, the size of the user's corpus
    in tokens, and is a `DataConstrained` law; without it every token is new and it is the `Chinchilla` law inside.
    Raises ValueError for an unknown name, TypeError for an argument that the entry does not take.

    ```python
    law = t2jax.published("besiroglu2024")
    repeated = t2jax.published("muennighoff2023", unique_tokens=25e9)
    ```
    """
    if name not in _ROWS:
        raise ValueError(unknown("published law or task", name, _ROWS, "list_published()"))
    row = _ROWS[name]
    for argument in arguments:
        if argument not in row.arguments:
            accepted = f"accepts {', '.join(row.arguments)}" if row.arguments else "takes no arguments"
            raise TypeError(f"published({name!r}) {accepted}, got {argument}")
    if row.arguments and not arguments:
        kind, coefficients = row.coefficients["law"]
        return _build(kind, coefficients, provenance=row.provenance)
    return _build(row.kind, row.coefficients, provenance=row.provenance, **arguments)


def _build(kind: str, coefficients: _Coefficients, **extra: Any) -> Any:
    inner = {
        key: _build(*value) if key == "law" and isinstance(value, tuple) else value
        for key, value in coefficients.items()
    }
    return KINDS[kind].load()(**inner, **extra)


# What follows is the table. Ranges are those of the points fitted, where they are known; the note says what differs.

_HOFFMANN = Provenance(
    "hoffmann2022",
    "Hoffmann et al. 2022, arXiv:2203.15556, approach 3",
    params=(70e6, 16e9),
    tokens=(5e9, 500e9),
    note="printed constants, rounded so far that predictions are biased: see hoffmann2022-tex; ranges of the abstract",
)
_GADRE = "Gadre et al. 2024, arXiv:2403.08540"
_GADRE_NOTE = (
    "loss on C4 eval; fitted on 5 models (M = 20, and the smallest at M = 320), N with both embeddings; "
    "within 1 % on the 1.4B model at M = 640 and the 6.9B model at M = 20 for RedPajama, 4.3 % off the latter for C4"
)
_GADRE_ERROR_NOTE = "mean top-1 error of 17 tasks from loss on C4 eval; the 5 models of the loss law and 1.4B at M = 20"
_GADRE_PARAMS, _GADRE_TOKENS = (10_569_312.0, 411_616_256.0), (211_386_240.0, 8_232_325_120.0)
_PYTHIA = Provenance(
    "pythia-gsm8k",
    "T² approach 2 (arXiv:2604.01411), fitted here to counts of Schaeffer et al. 2025, arXiv:2502.17578",
    params=(14_067_712.0, 11_846_072_320.0),
    tokens=(2_097_152_000.0, 299_892_736_000.0),
    samples=(1.0, 10_000.0),
    note="Pythia on 128 GSM8K problems, 54 checkpoints from step 1000 on, beta-binomial likelihood of up to 100,096 "
    "samples a problem; the loss is besiroglu2024's by least absolute deviations, not the task's own",
)


def _gadre(train_set: str, name: str, **coefficients: float) -> Published:
    source = Provenance(name, f"{_GADRE}, {train_set}", _GADRE_PARAMS, _GADRE_TOKENS, note=_GADRE_NOTE)
    return Published("Overtraining", source, coefficients)


def _gadre_error(train_set: str, name: str, **coefficients: float) -> Published:
    params, tokens = (_GADRE_PARAMS[0], 1_439_795_200.0), (_GADRE_TOKENS[0], 28_795_904_000.0)
    source = Provenance(name, f"{_GADRE}, {train_set}, 17 tasks", params, tokens, note=_GADRE_ERROR_NOTE)
    return Published("ErrorFromLoss", source, coefficients)


_TABLE = (
    Published("Chinchilla", _HOFFMANN, {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}),
    Published(
        "Chinchilla",
        replace(
            _HOFFMANN,
            name="hoffmann2022-tex",
            citation="Hoffmann et al. 2022, arXiv:2203.15556, TeX source",
            note="unrounded constants of approach 3 from the paper's TeX source, via Besiroglu et al. 2024",
        ),
        {
            "E": math.exp(0.5267228),
            "A": math.exp(6.0073404),
            "B": math.exp(6.0179186),
            "alpha": 0.33917084,
            "beta": 0.2849083,
        },
    ),
    Published(
        "Chinchilla",
        Provenance(
            "besiroglu2024",
            "Besiroglu et al. 2024, arXiv:2404.10102",
            params=(57_334_197.40687078, 16_183_346_310.730501),
            tokens=(818_680_776.817937, 317_754_489_343.9688),
            note="240 of Hoffmann's runs read off a figure; standard errors A 124.5, B 1293, E .0257, α .0154, β .0206",
        ),
        {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
    ),
    Published(
        "Chinchilla",
        replace(
            _HOFFMANN,
            name="devries2023",
            citation="de Vries 2023, Go smol or go home; Sardana et al. 2024, arXiv:2401.00448",
            note="Hoffmann's law with exponents of three digits; de Vries's page itself prints E 1.62",
        ),
        {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.336, "beta": 0.283},
    ),
    Published(
        "Kaplan",
        Provenance(
            "kaplan2020",
            "Kaplan et al. 2020, arXiv:2001.08361, table 2",
            params=(768.0, 1.5e9),
            tokens=(22e6, 23e9),
            convention="non-embedding",
            note="joint fit of L(N, D), ranges of section 3; D is the size of a dataset, trained on until the "
            "test loss stops falling",
        ),
        {"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
    ),
    _gadre("C4", "gadre2024-c4", E=1.5083, a=141.2773, b=189.5155, eta=0.12124),
    _gadre("RedPajama", "gadre2024-redpajama", E=1.8366, a=212.2361, b=366.6872, eta=0.13643),
    _gadre("RefinedWeb", "gadre2024-refinedweb", E=1.7345, a=157.1163, b=246.2067, eta=0.12720),
    _gadre_error("C4", "gadre2024-c4-error", epsilon=0.84974, kappa=2.07891, gamma=0.75612),
    _gadre_error("RedPajama", "gadre2024-redpajama-error", epsilon=0.85699, kappa=2.20649, gamma=0.71459),
    _gadre_error("RefinedWeb", "gadre2024-refinedweb-error", epsilon=0.86528, kappa=2.21481, gamma=0.70705),
    Published(
        "DataConstrained",
        Provenance(
            "muennighoff2023",
            "Muennighoff et al. 2023, arXiv:2305.16264",
            params=(7_098_752.0, 8.67e9),
            tokens=(100e6, 900e9),
            note="takes unique_tokens (fitted: 100M to 178B). E, A, B, α = β were fitted on 54 points of Hoffmann's C4 "
            "figure (1e19 to 1e21 FLOPs), then R_D and R_N on 182 of their own runs, whose ranges these are",
        ),
        {
            "law": (
                "Chinchilla",
                {
                    "E": math.exp(0.6254804),
                    "A": math.exp(6.255414),
                    "B": math.exp(7.3049974),
                    "alpha": 0.3526596,
                    "beta": 0.3526596,
                },
            ),
            "R_D": 15.387756,
            "R_N": 5.309743,
        },
        arguments=("unique_tokens",),
    ),
    Published(
        "T2Accuracy",
        _PYTHIA,
        {
            "law": (
                "Chinchilla",
                {"E": 1.81686413, "A": 482.006055, "B": 2085.436245, "alpha": 0.34781307, "beta": 0.36585416},
            ),
            # logit μ = 2.420678 − 3.106828·L and log ν = −1.827815 + 2.448948·L.
            "theta": (2.420678 / 3.106828, 3.106828, 1.0, -1.827815, 2.448948),
        },
    ),
    Published(
        "T2Loss",
        replace(
            _PYTHIA,
            name="pythia-gsm8k-loss",
            citation=_PYTHIA.citation.replace("approach 2", "approach 1"),
            note="Pythia on 128 GSM8K problems, 54 checkpoints from step 1000 on: −log of their mean pass@k, "
            "Huber 1e-3 on its log; R² .768; the data do not identify E, which went to 0",
        ),
        {
            "law": ("Chinchilla", {"E": 0.0, "A": 1.6259e7, "B": 9.7598e8, "alpha": 0.93695, "beta": 0.93527}),
            "G": 6.29565,
            "gamma": 0.43883,
        },
    ),
)
_ROWS = {row.name: row for row in _TABLE}
