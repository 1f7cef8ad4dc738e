"""Several processes at one output: each computes its own batches, and they meet before the first and after the last."""

import logging
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

__all__ = ["together"]


def together(step: Callable[[], Any]) -> Any:
    """What `step` returns here, once it is done in every process of `jax.distributed`; else an error in each of them.

    A process whose step fails raises its own error, the others RuntimeError with the number of the one that failed.
    """
    if jax.process_count() == 1:
        return step()
    done, error = None, None
    try:
        done = step()
    except Exception as caught:
        error = caught
        # Raised only when the others are done, too, which may be hours from now.
        logging.getLogger("t2jax").error("process %d has failed: %s", jax.process_index(), error)
    try:
        failed = multihost_utils.process_allgather(np.array(error is not None))
    except Exception as broken:
        raise error or RuntimeError(
            "another process has ended before its work was done. What is done is on disk: start all processes again, "
            "with resume=True"
        ) from broken
    if error is not None:
        raise error
    if failed.any():
        raise RuntimeError(
            f"process {int(np.flatnonzero(failed)[0])} has failed, and says why. What is done is on disk: start all "
            "processes again, with resume=True"
        )
    return done
