"""Loss laws L(N, D): nats per token from parameters and training tokens. A file a family."""

from t2jax.laws._base import LossLaw
from t2jax.laws._chinchilla import Chinchilla
from t2jax.laws._data_constrained import DataConstrained
from t2jax.laws._downstream import ErrorFromLoss
from t2jax.laws._kaplan import Kaplan
from t2jax.laws._overtraining import Overtraining

__all__ = ["Chinchilla", "DataConstrained", "ErrorFromLoss", "Kaplan", "LossLaw", "Overtraining"]
