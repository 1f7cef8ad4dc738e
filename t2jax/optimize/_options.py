"""How long and how widely a solver searches, and what counts as solved."""

import dataclasses
from typing import Any

import jax.numpy as jnp

__all__ = ["SolverOptions"]


@dataclasses.dataclass(frozen=True)
class SolverOptions:
    """What `minimize` and `maximize` take as `options`; the defaults are what they use without.

    ```python
    law, train = t2.published("besiroglu2024"), t2.TrainingFLOPs()
    t2.minimize(law, [train <= 5.88e23], options=t2.SolverOptions(tolerance=1e-12)).ok
    ```

    tolerance: the largest KKT residual, and violation of a constraint on its log scale, that counts as solved; None:
        1e-8 in float64 and 1e-3 in float32. Searches go to rounding whatever it is, so a larger one takes no less time:
        it says which answers are NaN.
    max_steps: Newton steps of a search, of the barrier and of the budget's multiplier. ≥ 1.
    starts: of a problem that is not convex, further points from which it is searched; None: 12, or 2 where only few
        optima have ever been seen (`Quantity.few_optima`) and the first start will mostly do.
    candidates: among how many points each of these starts is the best; None: 50, or 12 where few optima have been seen.
    max_nodes: boxes of several whole numbers that are searched before it is given up. ≥ 1.
    Raises TypeError or ValueError for anything else.
    """

    tolerance: float | None = None
    max_steps: int = 60
    starts: int | None = None
    candidates: int | None = None
    max_nodes: int = 4000

    def __post_init__(self):
        if self.tolerance is not None:
            if isinstance(self.tolerance, bool) or not isinstance(self.tolerance, int | float):
                raise TypeError(f"tolerance must be a number, got {self.tolerance!r}")
            if not 0.0 < self.tolerance < 1.0:
                raise ValueError(f"tolerance must lie between 0 and 1, got {self.tolerance!r}")
        for name in ("max_steps", "starts", "candidates", "max_nodes"):
            value = getattr(self, name)
            if value is None and name in ("starts", "candidates"):
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}")

    def limit(self, dtype: Any) -> float:
        """The tolerance in this precision."""
        if self.tolerance is not None:
            return float(self.tolerance)
        return 1e-8 if dtype == jnp.float64 else 1e-3

    def spread(self, few_optima: bool) -> tuple[int, int]:
        """(starts after the first, candidates among which to choose them) of a problem that is not convex.

        `T2Accuracy` needs them where its first start is not solved: one found the best of six of 96 in all of 4,000
        random problems that it solved, and what it missed in others was in sight of what it found.
        """
        starts = self.starts or (2 if few_optima else 12)
        return starts, starts * (self.candidates or (12 if few_optima else 50))
