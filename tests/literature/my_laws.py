"""A plugin: a law with a column of its own and a task, as a user would write them outside the package."""

import equinox as eqx
import jax
import jax.numpy as jnp

import t2jax as t2
from t2jax.quantities import Scale


@t2.register(
    domains={"E": "nonnegative", "A": "positive", "B": "positive", "alpha": "positive", "beta": "positive"},
    columns={"bits": "bits of a weight"},
    terms={"A": ("params", "alpha"), "B": ("tokens", "beta")},
)
class Quantised(t2.LossLaw):
    """E + A/N′^alpha + B/D^beta, where N′ = N·(1 − exp(−bits/4)): weights of few bits are worth less."""

    E: jax.Array
    A: jax.Array
    B: jax.Array
    alpha: jax.Array
    beta: jax.Array
    bits: jax.Array
    provenance: t2.Provenance | None = eqx.field(static=True, default=None)

    def score(self, log):
        of_params = jnp.log(self.A) - self.alpha * (log.params + jnp.log1p(-jnp.exp(-self.bits / 4.0)))
        of_tokens = jnp.log(self.B) - self.beta * log.tokens
        return jnp.logaddexp(jnp.log(self.E), jnp.logaddexp(of_params, of_tokens))


@t2.register(name="sparse", domains={"E": "nonnegative"}, terms={"A": ("active_params", "alpha")})
class Sparse(t2.LossLaw):
    """E + A/active^alpha·(N/active)^−gamma + B/D^0.3: a mixture of experts, by what a decision says of it."""

    E: jax.Array
    A: jax.Array
    alpha: jax.Array
    gamma: jax.Array
    B: jax.Array
    provenance: t2.Provenance | None = eqx.field(static=True, default=None)

    def score(self, log):
        spare = log.params - log.active_params
        of_params = jnp.log(self.A) - self.alpha * log.active_params - self.gamma * spare
        return jnp.logaddexp(jnp.log(self.E), jnp.logaddexp(of_params, jnp.log(self.B) - 0.3 * log.tokens))


@t2.register(domains={"slope": ("real", "positive", "positive")})
class Odds(t2.Task):
    """Log odds of success: slope[0] + slope[1]·log k − slope[2]·L(N, D)."""

    law: t2.Chinchilla
    slope: jax.Array
    scale = Scale.LOG_ODDS

    def score(self, log):
        easy, more, steep = (self.slope[..., i] for i in range(3))
        return easy + more * log.samples - steep * jnp.exp(self.law.log_value(log))
