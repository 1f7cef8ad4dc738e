"""What is published: laws, tasks, models and data sets by name, each with its source. Lists load no JAX."""

from typing import TYPE_CHECKING

from t2jax._io.lazy import attach

if TYPE_CHECKING:
    from t2jax.literature._catalogue import Catalogue as Catalogue, list_datasets as list_datasets
    from t2jax.literature._columns import Dataset as Dataset
    from t2jax.literature._json import (
        built as built,
        described as described,
        names_in as names_in,
        numbers_in as numbers_in,
        parsed as parsed,
    )
    from t2jax.literature._kind import (
        Column as Column,
        Domain as Domain,
        Field as Field,
        Kind as Kind,
        Role as Role,
        Term as Term,
    )
    from t2jax.literature._kinds import (
        COUNTS as COUNTS,
        KINDS as KINDS,
        LOSS as LOSS,
        PARAMS as PARAMS,
        PASS as PASS,
        SAMPLES as SAMPLES,
        TOKENS as TOKENS,
        kind_of as kind_of,
        names_of as names_of,
        typed_names as typed_names,
    )
    from t2jax.literature._load import NoDataError as NoDataError, dataset as dataset
    from t2jax.literature._models import known_models as known_models
    from t2jax.literature._names import published_for_plan as published_for_plan
    from t2jax.literature._parts import (
        domains_of as domains_of,
        example_of as example_of,
        is_plain as is_plain,
        per_row_of as per_row_of,
        terms_of as terms_of,
        with_fields as with_fields,
    )
    from t2jax.literature._published import (
        Published as Published,
        list_published as list_published,
        published as published,
    )
    from t2jax.literature._reads import columns_read as columns_read
    from t2jax.literature._register import register as register

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_catalogue": (
            "Catalogue",
            "list_datasets",
        ),
        "_columns": ("Dataset",),
        "_json": (
            "built",
            "described",
            "names_in",
            "numbers_in",
            "parsed",
        ),
        "_kind": (
            "Column",
            "Domain",
            "Field",
            "Kind",
            "Role",
            "Term",
        ),
        "_kinds": (
            "COUNTS",
            "KINDS",
            "LOSS",
            "PARAMS",
            "PASS",
            "SAMPLES",
            "TOKENS",
            "kind_of",
            "names_of",
            "typed_names",
        ),
        "_load": (
            "NoDataError",
            "dataset",
        ),
        "_models": ("known_models",),
        "_names": ("published_for_plan",),
        "_parts": (
            "domains_of",
            "example_of",
            "is_plain",
            "per_row_of",
            "terms_of",
            "with_fields",
        ),
        "_reads": ("columns_read",),
        "_register": ("register",),
        "_published": (
            "Published",
            "list_published",
            "published",
        ),
    },
)
