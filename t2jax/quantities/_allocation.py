"""The decision: how many parameters, training tokens and samples, and how much of whatever else was declared."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax.quantities._declared import USUAL, declaration, declared, undeclared

__all__ = ["Allocation", "name_of"]


class Allocation(eqx.Module):
    """How much of each: the decision that every quantity is a function of.

    ```python
    t2.Allocation(7e9, 2e12, samples=16)
    thinking_tokens = t2.Variable("thinking_tokens", symbol="T", lower=1.0)
    t2.Allocation(7e9, 2e12, thinking_tokens=4000).thinking_tokens
    ```

    params: N, the number of model parameters. tokens: D, training tokens. samples: k, samples drawn per query, real.
    others: every further variable, by the name that `Variable` declared it by; each is an attribute, too.
    Each a positive number or an array of them, of shapes that broadcast. What a variable is declared to be at least,
    as k ≥ 1, is implied wherever it is optimised.
    Raises TypeError for a name that no variable has, ValueError for numbers that are not positive.
    """

    params: Float[Array, "..."]
    tokens: Float[Array, "..."]
    samples: Float[Array, "..."]
    others: Mapping[str, Any] = eqx.field(repr=False)

    def __init__(self, params: Any, tokens: Any, samples: Any = 1.0, **others: Any):
        for name in others:
            if name not in declared():
                raise TypeError(undeclared(name))
        self.params = validate.positive("params", params)
        self.tokens = validate.positive("tokens", tokens)
        self.samples = validate.positive("samples", samples)
        self.others = {name: validate.positive(name, others[name]) for name in sorted(others)}

    def __getattr__(self, name: str) -> Any:
        """A further variable. Called only for what is no field."""
        held = vars(self).get("others") or {}
        if name in held:
            return held[name]
        if name.startswith("_") or name not in declared():
            raise AttributeError(f"Allocation has no {name!r}: {undeclared(name)}")
        raise AttributeError(f"this Allocation has no {name!r}: give it one, Allocation(…, {name}=…)")

    @property
    def tokens_per_param(self) -> Float[Array, "..."]:
        """D / N. Chinchilla's rule of thumb is 20."""
        return self.tokens / self.params

    @property
    def variables(self) -> dict[str, Any]:
        """Every variable's value by its name: N, D, k and the others."""
        return {**{one.name: getattr(self, one.name) for one in USUAL}, **self.others}

    @staticmethod
    def lower_bounds() -> dict[str, float]:
        """What is implied for every decision of this kind: what each variable is declared to be at least."""
        known = (declaration(name) for name in declared())
        return {one.name: one.lower for one in known if one.lower is not None}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={eqx.tree_pformat(value)}" for name, value in self.variables.items())
        return f"Allocation({shown})"


def name_of(path: tuple[Any, ...]) -> str:
    """A decision's leaf as people call it, from its path in the tree: `params`, and `thinking_tokens` as well."""
    steps = path[1:] if len(path) > 1 and path[0] == jax.tree_util.GetAttrKey("others") else path
    return str(steps[0].key) if steps is not path else jax.tree_util.keystr(path).lstrip(".")
