"""Models that people know, as points (N, D): what was trained, on how many tokens, and who says so."""

from dataclasses import dataclass

from t2jax._io.text import aligned, human

__all__ = ["KnownModel", "KnownModels", "known_models"]


@dataclass(frozen=True)
class KnownModel:
    """params: N, with embeddings. tokens: D, of pre-training, repeats counted. source: where both are published.

    note: what the maker does not publish, or says only roughly.
    """

    name: str
    params: float
    tokens: float
    source: str
    note: str = ""

    @property
    def tokens_per_param(self) -> float:
        """D / N."""
        return self.tokens / self.params


class KnownModels(tuple[KnownModel, ...]):
    """The rows, which print as an aligned table."""

    def __str__(self) -> str:
        cells = [("name", "params", "tokens", "D/N", "source", "note")]
        cells += [
            (one.name, human(one.params), human(one.tokens), human(one.tokens_per_param), one.source, one.note)
            for one in self
        ]
        return aligned(cells, indent="", left=(0, 4, 5))

    __repr__ = __str__


def known_models() -> KnownModels:
    """Dense open models with their parameters and training tokens, as rows that print as a table. Does not load JAX.

    ```python
    t2.plot.plane(law, models=[one for one in t2.known_models() if one.name.startswith("Llama")])
    ```
    """
    return _ROWS


_LLAMA = "Touvron et al. 2023, arXiv:2302.13971"
_LLAMA_2 = "Touvron et al. 2023, arXiv:2307.09288"
_LLAMA_3 = "Grattafiori et al. 2024, arXiv:2407.21783"
_GEMMA = "Gemma Team 2024, arXiv:2403.08295"
_GEMMA_2 = "Gemma Team 2024, arXiv:2408.00118"
_PHI_3 = "Abdin et al. 2024, arXiv:2404.14219"
_OLMO = "Groeneveld et al. 2024, arXiv:2402.00838"
_OLMO_2 = "OLMo Team 2025, arXiv:2501.00656"
_PYTHIA = "Biderman et al. 2023, arXiv:2304.01373"

_ROWS = KnownModels(
    [
        KnownModel("LLaMA 7B", 6.7e9, 1.0e12, _LLAMA),
        KnownModel("LLaMA 13B", 13.0e9, 1.0e12, _LLAMA),
        KnownModel("LLaMA 33B", 32.5e9, 1.4e12, _LLAMA),
        KnownModel("LLaMA 65B", 65.2e9, 1.4e12, _LLAMA),
        KnownModel("Llama 2 7B", 7e9, 2.0e12, _LLAMA_2),
        KnownModel("Llama 2 13B", 13e9, 2.0e12, _LLAMA_2),
        KnownModel("Llama 2 70B", 70e9, 2.0e12, _LLAMA_2),
        KnownModel("Llama 3 8B", 8e9, 15e12, _LLAMA_3, "the model card says more than 15T tokens"),
        KnownModel("Llama 3 70B", 70e9, 15e12, _LLAMA_3, "the model card says more than 15T tokens"),
        KnownModel("Llama 3.1 405B", 405e9, 15.6e12, _LLAMA_3),
        KnownModel(
            "Mistral 7B", 7.24e9, 8e12, "Jiang et al. 2023, arXiv:2310.06825", "tokens second-hand: unpublished"
        ),
        KnownModel("Gemma 2B", 2_506_434_560, 3e12, _GEMMA, "0.52B of them embeddings"),
        KnownModel("Gemma 7B", 8_538_074_112, 6e12, _GEMMA, "0.79B of them embeddings"),
        KnownModel("Phi-2", 2.7e9, 1.4e12, "Microsoft 2023, model card of microsoft/phi-2", "several passes over 250B"),
        KnownModel("Phi-3-mini", 3.8e9, 3.3e12, _PHI_3, "filtered web and synthetic data"),
        KnownModel("Phi-3-medium", 14e9, 4.8e12, _PHI_3, "filtered web and synthetic data"),
        KnownModel("OLMo 7B", 6.9e9, 2.46e12, _OLMO),
        KnownModel("OLMo 2 13B", 13e9, 5e12, _OLMO_2, "rounded by its model card"),
        KnownModel("Pythia 160M", 162_322_944, 299_892_736_000, _PYTHIA),
        KnownModel("Pythia 1.4B", 1_414_647_808, 299_892_736_000, _PYTHIA),
        KnownModel("Pythia 12B", 11_846_072_320, 299_892_736_000, _PYTHIA),
    ]
)
