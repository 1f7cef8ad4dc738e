"""What is published: laws, tasks, models and data sets by name, each with its source. Lists load no JAX."""

from typing import TYPE_CHECKING

from t2jax._io.lazy import attach

if TYPE_CHECKING:
    from t2jax.literature._catalogue import Catalogue as Catalogue, list_datasets as list_datasets
    from t2jax.literature._columns import Dataset as Dataset
    from t2jax.literature._load import NoDataError as NoDataError, dataset as dataset
    from t2jax.literature._models import known_models as known_models
    from t2jax.literature._published import (
        Published as Published,
        list_published as list_published,
        published as published,
    )

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_catalogue": (
            "Catalogue",
            "list_datasets",
        ),
        "_columns": ("Dataset",),
        "_load": (
            "NoDataError",
            "dataset",
        ),
        "_models": ("known_models",),
        "_published": (
            "Published",
            "list_published",
            "published",
        ),
    },
)
