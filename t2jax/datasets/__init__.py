"""Measurements of the literature by name: the training runs and benchmark counts that laws are fitted to."""

from t2jax.datasets.catalogue import Catalogue, list_datasets
from t2jax.datasets.columns import Dataset
from t2jax.datasets.load import NoDataError, dataset

__all__ = ["Catalogue", "Dataset", "NoDataError", "dataset", "list_datasets"]
