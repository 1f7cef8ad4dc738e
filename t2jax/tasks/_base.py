"""What every task says of itself, so that nobody needs to know which task it is."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from t2jax._io.display import Displayed, Grid
from t2jax.quantities import Curvature, Equation, PowerTerm, Quantity, Say, Scale, law_parts, plain_equation

__all__ = ["Success", "Task"]


class Task(Displayed, Quantity):
    """A quality at a decision (N, D, k): what more samples improve, where a loss law knows of N and D alone.

    ```python
    class Reward(t2.Task):
        law: t2.Chinchilla
        slope: jax.Array
        higher_is_better = True
        value_name, value_title, unit = "reward", "reward", ""

        def score(self, log):  # the logarithm of the reward, from those of N, D and k
            return 0.1 * log.samples - self.slope * self.law(jax.tree.map(jnp.exp, log))
    ```

    A subclass says `score`, as every quantity does, and has `law`: a field, or `law = None` where there is no loss law
    inside. The rest follows from `scale`: on log odds a task is a pass@k, which is to be high; on the logarithm it is a
    loss in nats, which is to be low. What is otherwise is said by a class attribute or a property.
    """

    law: eqx.AbstractVar[Any]
    """The loss law of N and D inside, a quantity in nats per token; None where there is none."""

    @property
    def higher_is_better(self) -> bool:
        """Is it maximised?"""
        return self.scale is Scale.LOG_ODDS

    @property
    def unit(self) -> str:
        """Of the value; empty for a probability."""
        return "" if self.scale is Scale.LOG_ODDS else "nats"

    @property
    def value_name(self) -> str:
        """What JSON calls the value: "pass_at_k" or "task_loss_nats", if nothing else."""
        return "pass_at_k" if self.scale is Scale.LOG_ODDS else "task_loss_nats"

    @property
    def value_title(self) -> str:
        """What people call the value: "pass@k" or "task loss", if nothing else."""
        return "pass@k" if self.scale is Scale.LOG_ODDS else "task loss"

    def pass_at_k(self, value: Any) -> Any:
        """The pass@k where the task has this value, a number or an array; None where a task does not say."""
        return value if self.scale is Scale.LOG_ODDS else None

    def added_terms(self) -> tuple[PowerTerm, ...] | None:
        """Power laws of the decision that the task adds to its law's loss, where its value is their sum; else None."""
        return None

    def power_terms(self) -> tuple[PowerTerm, ...] | None:
        added = self.added_terms()
        loss = None if added is None else self.law.power_terms()
        return None if added is None or loss is None else (*loss, *added)

    def equation(self, say: Say) -> Equation:
        """The task in symbols, where `say` gives what stands for each coefficient. Its name with them, if no more."""
        return plain_equation(self, f"{self.value_title}(N, D, k)", self.unit, say)

    def _parts(self) -> list[str | Grid]:
        return law_parts(self)


class Success(Task):
    """A probability of a user's own, such as `t2jax.quantity(fn, probability=True)`, as a task without a loss law.

    quantity: on log odds. Raises TypeError for what is no probability.
    """

    quantity: Quantity
    law = None

    def __init__(self, quantity: Quantity):
        if not isinstance(quantity, Quantity) or quantity.scale is not Scale.LOG_ODDS:
            raise TypeError(f"Success takes a quantity that is a probability, got {quantity!r}")
        self.quantity = quantity

    def score(self, log: Any) -> Float[Array, "..."]:
        return self.quantity.score(log)

    @property
    def scale(self) -> Scale:
        return Scale.LOG_ODDS

    @property
    def curvature(self) -> Curvature:
        return self.quantity.curvature

    @property
    def label(self) -> str:
        return self.quantity.label
