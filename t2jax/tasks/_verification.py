"""What k samples are worth where nobody knows which are right: an imperfect verifier, a majority vote, repairs."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from t2jax._io import validate
from t2jax._numerics.averages import average_stopped, beta_average
from t2jax._numerics.votes import majority, upper_half
from t2jax.quantities import Allocation, Curvature, PowerTerm, Quantity, log_of_sum
from t2jax.tasks._passk import BetaPassRate

__all__ = ["MajorityVote", "RepairLoop", "VerificationFLOPs", "Verifier"]


class Verifier(eqx.Module):
    """A test that accepts a right sample with probability c and a wrong one with probability s.

    Samples of a problem with pass rate p are accepted with probability β = c·p + s·(1 − p), and an accepted sample is
    right with probability c·p/β. Sampling stops at the first accepted sample, or after k samples with no answer.
    Verdicts on the samples of a problem are independent given p. All averages over the Beta prior of p are exact.

    completeness: c in (0, 1]. soundness_error: s in [0, 1). Numbers or arrays, which broadcast against the pass rates.
    With c = 1, s = 0 it is `BetaPassRate`'s perfect verifier: `prob_solved` is pass@k.

    Raises ValueError outside these ranges; at s = 1 everything is accepted, the first sample always: that is pass@1.

    As an objective, for a task whose pass rates depend on (N, D):

    ```python
    def solved(a, task, verifier):
        return verifier.prob_solved(task.pass_rates(a.params, a.tokens), a.samples)

    solved = t2.quantity(functools.partial(solved, task=task, verifier=verifier), probability=True)
    t2.maximize(solved, [train + serve + t2.VerificationFLOPs(1e9, queries=1e9) <= 1e24])
    ```

    Source: the definitions of completeness and soundness error; the averages are this library's own.
    """

    completeness: Float[Array, "..."]
    soundness_error: Float[Array, "..."]

    def __init__(self, completeness: Any, soundness_error: Any):
        self.completeness = validate.share("completeness", completeness)
        self.soundness_error = validate.nonnegative("soundness_error", soundness_error)
        if not isinstance(self.soundness_error, jax.core.Tracer):
            given = np.asarray(soundness_error, dtype=np.float64)
            validate.refuse(
                given == 1,
                "soundness_error must be below 1, got {}: a verifier that accepts every wrong sample says nothing, "
                "and what it accepts first is right as often as one sample, pass@1",
                given,
            )
            validate.refuse(given > 1, "soundness_error must be in [0, 1), got {}", given)

    def expected_samples(self, rate: BetaPassRate, k: Any) -> Float[Array, "..."]:
        """Expected number of samples drawn and checked: `E[(1 − (1 − β)^k)/β] = Σ_{j<k} E[(1 − β)^j]`, in [1, k].

        rate: the pass rates over problems. k: most samples per query, real, ≥ 1. All shapes broadcast. Relative errors
        stay below 1e-11 (float64) and 2e-5 (float32) over a in [1e-3, 50], b in [1e-2, 1e6], k in [1, 1e6].
        Raises ValueError for k < 1, TypeError where rate is no `BetaPassRate`.
        """
        a, b, k, c, s = self._arrays(rate, k)
        return average_stopped(a, b, k, c, s)

    def prob_solved(self, rate: BetaPassRate, k: Any) -> Float[Array, "..."]:
        """Probability that k samples end in an accepted answer that is right, `E[c·p/β · (1 − (1 − β)^k)]`.

        Never above pass@k of a perfect verifier. Arguments, accuracy and errors as `expected_samples`.
        """
        # Weighing by p makes Beta(a, b) a Beta(a + 1, b), and turns the rest into an expected number of samples.
        a, b, k, c, s = self._arrays(rate, k)
        return c * (a / (a + b)) * average_stopped(a + 1.0, b, k, c, s)

    def prob_false(self, rate: BetaPassRate, k: Any) -> Float[Array, "..."]:
        """Probability that k samples end in an accepted answer that is wrong, `E[s·(1 − p)/β · (1 − (1 − β)^k)]`.

        Arguments, accuracy and errors as `expected_samples`.
        """
        a, b, k, c, s = self._arrays(rate, k)
        return s * (b / (a + b)) * average_stopped(a, b + 1.0, k, c, s)

    def prob_accepted(self, rate: BetaPassRate, k: Any) -> Float[Array, "..."]:
        """Probability that k samples end in an accepted answer, right or wrong, `1 − E[(1 − β)^k]`.

        Arguments, accuracy and errors as `expected_samples`.
        """
        return jnp.minimum(self.prob_solved(rate, k) + self.prob_false(rate, k), 1.0)  # rounding could exceed it

    def precision(self, rate: BetaPassRate, k: Any) -> Float[Array, "..."]:
        """Share of the accepted answers that are right, `prob_solved / prob_accepted`.

        With k it falls: what is accepted late comes from hard problems. Arguments, accuracy, errors as above.
        """
        solved = self.prob_solved(rate, k)
        return solved / (solved + self.prob_false(rate, k))

    def _arrays(self, rate: Any, k: Any) -> tuple[Array, ...]:
        return _same(_rate(rate), rate.checked_samples(k), self.completeness, self.soundness_error)


class VerificationFLOPs(Quantity):
    """C = Q·k·V: every one of k samples of each of Q queries is checked, at V FLOPs a sample.

    flops_per_sample: V > 0. queries: Q > 0 over the whole life of the model. It adds to other costs:
    `InferenceFLOPs(...) + VerificationFLOPs(...)`. A verifier that is the model itself, reading T tokens per sample,
    costs 2·N·T instead: add T to `InferenceFLOPs`' `output_tokens`. Where sampling stops at the first accepted sample
    the k of this cost is `Verifier.expected_samples`. Raises ValueError or TypeError for anything else.
    """

    flops_per_sample: Float[Array, "..."]
    queries: Float[Array, "..."]

    def __init__(self, flops_per_sample: Any, queries: Any = 1.0):
        self.flops_per_sample = validate.positive("flops_per_sample", flops_per_sample)
        self.queries = validate.positive("queries", queries)

    def score(self, log: Allocation) -> Float[Array, "..."]:
        return log_of_sum(self.power_terms(), log)

    def power_terms(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(self.flops_per_sample, jnp.log(self.queries), {"samples": 1.0}),)

    @property
    def curvature(self) -> Curvature:
        return Curvature.AFFINE


class MajorityVote(eqx.Module):
    """The most frequent of k answers, where a sample is right with probability p and all wrong samples agree.

    Two answers are the hardest case: wrong answers that differ from each other split their votes. No verifier is
    needed, and more samples do not always help: this is never pass@k, and at k → ∞ it stays below 1.

    Source: Condorcet's jury theorem; the average over the Beta prior is a tail of the beta-binomial distribution.
    """

    def prob_solved(self, rate: BetaPassRate, k: Any) -> Float[Array, "..."]:
        """Probability that the vote of k samples is right, ties split fairly: `E[P(Bin(k, p) > k/2) + P(tie)/2]`.

        An even k is worth as much as k − 1: with m = ⌈k/2⌉ it is the tail of the beta-binomial distribution,
        `Σ_{j≥m} C(2m−1, j) B(a + j, b + 2m − 1 − j)/B(a, b)`.

        rate: the pass rates over problems. k: samples per query, whole, ≥ 1; shapes broadcast. Time grows with k.
        Differentiable in the pass rates, once in reverse and any number of times in forward mode; k is a count.
        Raises ValueError where k is not whole or below 1 (inside traced code: NaN).
        """
        checked = validate.natural("k", k)
        a, b = _same(_rate(rate))
        if not isinstance(checked, jax.core.Tracer):
            validate.refuse(checked < 1, "k must be 1 or more, got {}", np.asarray(checked, dtype=np.float64))
        k = jnp.asarray(checked)
        whole = (k >= 1) & (k == jnp.floor(k))
        m = jnp.where(whole, (k.astype(int) + 1) // 2, 1)
        shape = jnp.broadcast_shapes(a.shape, m.shape)
        vote = majority(*(jnp.broadcast_to(x, shape) for x in (a, b, m)))
        return jnp.where(jnp.broadcast_to(whole, shape), vote, jnp.nan)

    def limit(self, rate: BetaPassRate) -> Float[Array, "..."]:
        """The vote's probability of being right as k → ∞: the right answer is the mode, `P(p > 1/2) = I_{1/2}(b, a)`.

        rate: the pass rates over problems, of any shape. `prob_solved` differs from it by O(1/k).
        """
        return upper_half(*_same(_rate(rate)))


class RepairLoop(eqx.Module):
    """Generate, test, and while the test rejects, repair and test again, at most r times.

    A Markov chain per problem over the state of the candidate, right or wrong, until the verifier accepts it:

    1. The first candidate is right with the problem's pass rate p.
    2. The verifier accepts a right one with probability c and a wrong one with probability s. Accepted: stop.
    3. A repair makes a wrong candidate right with probability p′, whose odds are `odds_ratio` times those of p:
       p′ = φp/(φp + 1 − p). A right candidate that was rejected by mistake stays right with probability `keep`; by
       default p′ too, for repairs that are new candidates and remember nothing. Back to 2.

    With φ = 1 and no `keep` the loop is `Verifier` with k = r + 1 samples. Averages over the Beta prior of p are
    exact.

    verifier: its c and s. repairs: r ≥ 0, a whole Python number. odds_ratio: φ > 0; above 1 where the test's
    report helps. keep: in (0, 1], or None. Numbers or arrays that broadcast. Raises ValueError or TypeError else.
    """

    verifier: Verifier
    repairs: int = eqx.field(static=True)
    odds_ratio: Float[Array, "..."]
    keep: Float[Array, "..."] | None

    def __init__(self, verifier: Verifier, repairs: int, odds_ratio: Any = 1.0, keep: Any = None):
        if not isinstance(verifier, Verifier):
            raise TypeError(f"verifier must be a Verifier, got {verifier!r}")
        if isinstance(repairs, jax.core.Tracer) or np.ndim(repairs):
            raise TypeError("repairs must be one whole Python number: it is the length of the loop")
        self.verifier = verifier
        self.repairs = int(validate.natural("repairs", repairs))
        self.odds_ratio = validate.positive("odds_ratio", odds_ratio)
        self.keep = None if keep is None else validate.share("keep", keep)

    def solved_at(self, rate: BetaPassRate) -> Float[Array, "... attempts"]:
        """Probability that attempt j = 0 … r is the accepted one and right; a last axis of r + 1. Its sum: solved."""
        return self._averages(rate)[0]

    def prob_solved(self, rate: BetaPassRate) -> Float[Array, "..."]:
        """Probability that the loop ends in an accepted answer that is right."""
        return jnp.sum(self._averages(rate)[0], -1)

    def prob_accepted(self, rate: BetaPassRate) -> Float[Array, "..."]:
        """Probability that the loop ends in an accepted answer, right or wrong."""
        solved, false, _ = self._averages(rate)
        return jnp.sum(solved + false, -1)

    def precision(self, rate: BetaPassRate) -> Float[Array, "..."]:
        """Share of the accepted answers that are right."""
        solved, false, _ = self._averages(rate)
        return jnp.sum(solved, -1) / jnp.sum(solved + false, -1)

    def expected_attempts(self, rate: BetaPassRate) -> Float[Array, "..."]:
        """Expected number of candidates that are made and tested, in [1, r + 1]."""
        return jnp.sum(self._averages(rate)[2], -1)

    def expected_cost(self, rate: BetaPassRate, generation: Any, repair: Any, test: Any = 0.0) -> Float[Array, "..."]:
        """Expected cost of a query, `generation + repair·(n − 1) + test·n` with n = `expected_attempts`.

        generation, repair, test: the cost of one of each, ≥ 0, all in one unit (FLOPs, dollars, seconds).
        """
        given = {"generation": generation, "repair": repair, "test": test}
        attempts = self.expected_attempts(rate)
        costs = [validate.nonnegative(name, value).astype(attempts.dtype) for name, value in given.items()]
        attempts, generation, repair, test = jnp.broadcast_arrays(attempts, *costs)
        return generation + repair * (attempts - 1.0) + test * attempts

    @eqx.filter_jit  # one loop, compiled once for all measures of it
    def _averages(self, rate: BetaPassRate) -> tuple[Array, ...]:
        """E over problems of (accepted and right, accepted and wrong, tested) at each attempt, on the last axis."""
        own = (self.verifier.completeness, self.verifier.soundness_error, self.odds_ratio)
        arrays = _same(_rate(rate), *own, *(() if self.keep is None else (self.keep,)))
        a, b, c, s, odds, *keep = (x[..., None] for x in arrays)

        def chain(p: Array, q: Array) -> Array:
            fixed = odds * p / (odds * p + q)
            kept = keep[0] if keep else fixed

            def attempt(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
                right, wrong = state
                missed, caught = (1.0 - c) * right, (1.0 - s) * wrong
                # q/(φp + q) rather than 1 − p′: a wrong candidate of a certain problem is no rounding error.
                now_wrong = missed * (1.0 - kept if keep else q / (odds * p + q)) + caught * q / (odds * p + q)
                return (missed * kept + caught * fixed, now_wrong), jnp.stack((c * right, s * wrong, right + wrong))

            return jax.lax.scan(attempt, (p, q), length=self.repairs + 1)[1]

        # The chain bends where p′ does, at p = 1/φ or q = φ, and by a factor of the attempts before.
        scale = (1.0 + self.repairs) * jnp.ones_like(odds)
        average = beta_average(chain, a, b, scale * jnp.maximum(odds, 1.0), scale / jnp.minimum(odds, 1.0))
        solved, false, tested = (jnp.moveaxis(average[:, i], 0, -1) for i in range(3))
        return solved, false, tested


def _rate(rate: Any) -> BetaPassRate:
    if not isinstance(rate, BetaPassRate):
        raise TypeError(f"rate must be a BetaPassRate, for example t2jax.BetaPassRate(0.5, 3.0), got {rate!r}")
    return rate


def _same(rate: BetaPassRate, *others: Array) -> tuple[Array, ...]:
    """a, b and the others, of one shape and the pass rates' precision."""
    return tuple(jnp.broadcast_arrays(rate.a, rate.b, *(x.astype(rate.a.dtype) for x in others)))
