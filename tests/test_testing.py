"""Of quantities, laws and tasks that are broken in one way each, the checks say which, where and by how much."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import t2jax as t2
from t2jax.literature import KINDS
from t2jax.quantities import Curvature, Equation, PowerTerm, Quantity, Scale, is_traced
from t2jax.testing import check_law, check_quantity, check_task


class Law(t2.LossLaw):
    """2 + a/N^0.3 + b/D^0.3: whole, and the base of laws that are broken in one way each."""

    a: jax.Array = eqx.field(default_factory=lambda: jnp.asarray(400.0))
    b: jax.Array = eqx.field(default_factory=lambda: jnp.asarray(900.0))

    def score(self, log):
        falling = jnp.logaddexp(jnp.log(self.a) - 0.3 * log.params, jnp.log(self.b) - 0.3 * log.tokens)
        return jnp.logaddexp(jnp.log(2.0), falling)


class Odds(t2.Task):
    """Log odds ½·log k − L(N, D) + 3: whole, and the base of tasks that are broken in one way each."""

    law: Quantity = eqx.field(default_factory=Law)
    scale = Scale.LOG_ODDS

    def score(self, log):
        return 3.0 + 0.5 * log.samples - jnp.exp(self.law.log_value(log))


class Monomial(Quantity):
    """c·N·D: whole, and the base of quantities that are broken in one way each."""

    c: jax.Array = eqx.field(default_factory=lambda: jnp.asarray(6.0))
    curvature = Curvature.AFFINE

    def score(self, log):
        return jnp.log(self.c) + log.params + log.tokens


class Dearer(Monomial):
    """With variables of its own."""

    def score(self, log):
        return super().score(log) + 2.0 * log.batch


class Batch(eqx.Module):
    params: jax.Array
    tokens: jax.Array
    batch: jax.Array


def test_other_variables():
    """Of a decision of one's own, and declared ones, drawn around where a search begins."""
    decision = Batch(jnp.asarray(1e9), jnp.asarray(2e10), jnp.asarray(64.0))
    check_quantity(Dearer(), decision=decision, ranges={"batch": (1.0, 512.0)}, increasing=["batch"])
    with pytest.raises(AssertionError, match=r"never rises with batch, but at params \S+ tokens \S+ batch [23]\d"):
        check_quantity(Dearer(), decision=decision, ranges={"batch": (20.0, 39.0)}, decreasing=["batch"])
    with pytest.raises(ValueError, match=r"no variable 'pramas', only params, tokens, batch"):
        check_quantity(Dearer(), decision=decision, increasing=["pramas"])
    drawn = t2.Variable("tested_only", lower=1.0, start=100.0)
    check_quantity(drawn * t2.params, increasing=["tested_only", "params"])
    with pytest.raises(
        AssertionError, match=r"never rises with tested_only, but at .*samples \S+, tested_only [\d.]+ d"
    ):
        check_quantity(drawn * t2.params, decreasing=["tested_only"])


def test_what_is_not_to_be_checked(untyped):
    for check in (check_quantity, check_law, check_task):
        with pytest.raises(TypeError, match=r"takes a t2jax\.\w+, got int"):
            check(3)
    with pytest.raises(TypeError, match=r"takes a t2jax\.Task, got Law"):
        check_task(Law())


def test_json_comes_back_as_it_went():
    @t2.register
    class Drifting(t2.LossLaw):
        """Made anew, its coefficient is another."""

        a: jax.Array

        def __init__(self, a):
            self.a = jnp.asarray(a, float) + 1e-12

        def score(self, log):
            return jnp.log(2.0 + self.a * jnp.exp(-0.3 * log.params))

    try:
        with pytest.raises(AssertionError, match=r"Drifting: it comes back from JSON as it was, but it is .*Drifting"):
            check_law(Drifting(400.0))
    finally:
        KINDS.drop("Drifting")


def test_what_is_whole():
    check_law(Law())
    check_task(Odds())
    check_quantity(Monomial(), increasing=("params", "tokens"))


class Concave(Monomial):
    curvature = Curvature.CONVEX

    def score(self, log):
        return jnp.log(self.c) - jnp.logaddexp(-log.params, -log.tokens)


class Dented(Monomial):
    """Convex along most chords, but not where it is dented."""

    curvature = Curvature.CONVEX

    def score(self, log):
        return 0.1 * log.params**2 + 0.01 * jnp.sin(10.0 * log.tokens) + 0.1 * log.tokens**2


class Bent(Monomial):
    def score(self, log):
        return jnp.logaddexp(log.params, log.tokens)


class Peeking(Monomial):
    def score(self, log):
        return super().score(log) + (0.0 if is_traced(log.params) else 1e-3)


class Crowded(Monomial):
    """Each lane of a batch feels how many there are."""

    def score(self, log):
        lanes = jax.custom_batching.custom_vmap(lambda x: 0.0 * x)
        lanes.def_vmap(lambda size, batched, x: (0.0 * x + 1e-6 * size, batched[0]))
        constant = jax.custom_jvp(lambda x: lanes(x))
        constant.defjvp(lambda primals, tangents: (lanes(*primals), 0.0 * tangents[0]))
        return super().score(log) + constant(log.params)


class Miscalled(Monomial):
    def __call__(self, allocation):
        return 2.0 * super().__call__(allocation)


def with_slope(of):
    """The square of a number, with a derivative of one's own."""
    square = jax.custom_jvp(lambda x: x**2)
    square.defjvp(lambda primals, tangents: (square(*primals), of(*primals) * tangents[0]))
    return square


class WrongSlope(Monomial):
    def score(self, log):
        return with_slope(lambda x: 2.01 * x)(log.params)


class FlatSlope(Monomial):
    """The slope is right, and says that it is constant."""

    def score(self, log):
        return with_slope(lambda x: 2.0 * jax.lax.stop_gradient(x))(log.params)


class Lopsided(Monomial):
    def score(self, log):
        product = jax.custom_jvp(lambda x, y: x * y)

        @product.defjvp
        def _(primals, tangents):
            x, y = primals
            return x * y, y * tangents[0] + jax.lax.stop_gradient(x) * tangents[1]

        return product(log.params, log.tokens)


class ReverseOnly(Monomial):
    def score(self, log):
        same = jax.custom_vjp(lambda x: x)
        same.defvjp(lambda x: (x, None), lambda _, g: (g,))
        return same(log.params)


class TwoSlopes(Monomial):
    """Forward mode solves x = log N, and reverse mode another equation."""

    def score(self, log):
        solves = {"solve": lambda _, b: b, "transpose_solve": lambda _, b: 2.0 * b}
        return jax.lax.custom_linear_solve(lambda x: x, log.params, **solves)


class NotANumber(Monomial):
    """The branch that is not taken has no slope."""

    def score(self, log):
        return jnp.where(log.params < 50.0, log.params, jnp.sqrt(jnp.maximum(log.params - 50.0, 0.0)))


class Infinite(Monomial):
    def score(self, log):
        return jnp.log(jnp.maximum(log.params - log.tokens, 0.0))


class Overflowing(Monomial):
    def score(self, log):
        return jnp.log(self.c * jnp.exp(log.params) ** 4 * jnp.exp(log.tokens))


class Cancelling(Monomial):
    def score(self, log):
        return log.params + 0.3 * jnp.log((jnp.exp(log.tokens) + 1e6) - jnp.exp(log.tokens))


class Misadded(Monomial):
    def power_terms(self):
        return (PowerTerm(self.c, 0.0, {"params": 1.0, "tokens": 1.001}),)


class Underdeclared(Monomial):
    variables = ("params",)


class ManyScores(Monomial):
    def score(self, log):
        return jnp.stack([log.params, log.tokens])


class OnCPU(Monomial):
    """TPUs have no eigenvalues of matrices that are not symmetric."""

    def score(self, log):
        matrix = jnp.stack([log.params, log.tokens, log.samples, log.params]).reshape(2, 2)
        return super().score(log) + 0.0 * jnp.abs(jnp.linalg.eigvals(jax.lax.stop_gradient(matrix))).sum()


class Table:
    """As a data frame compares: cell by cell."""

    def __eq__(self, other):
        raise ValueError("the truth value is ambiguous")

    __hash__ = None


class Incomparable(Monomial):
    table: object = eqx.field(static=True, default_factory=Table)


class Named(Monomial):
    name: str = "energy"


class Silent(Monomial):
    @property
    def label(self):
        return ""


class Nameless(Monomial):
    def __repr__(self):
        return "a quantity"


class Broken(Monomial):
    def __str__(self):
        raise KeyError("c")


class Worse(Law):
    """Past its best size the loss rises."""

    def score(self, log):
        return super().score(log) + 1e-2 * (log.params - jnp.log(1e9)) ** 2


class Sampled(Law):
    def score(self, log):
        return super().score(log) - 0.01 * log.samples


class Alone(Law):
    """Of one decision at a time."""

    def score(self, log):
        return jnp.log(2.0 + jnp.sum(self.a * jnp.exp(-0.3 * jnp.stack([log.params, log.tokens]))))


class Unsaid(Law):
    def equation(self, say):
        return Equation("L(N, D)", "", "")


class Forgetful(Law):
    def equation(self, say):
        return Equation("L(N, D)", "a/N^0.3", "nats")

    def _parts(self):
        return ["Forgetful: L(N, D) = /N^0.3"]


class MoreIsWorse(Odds):
    def score(self, log):
        return -0.5 * log.samples


class Beyond(Odds):
    def pass_at_k(self, value):
        return 2.0 * value


class Backwards(Odds):
    def pass_at_k(self, value):
        return 1.0 - value


class Other(Odds):
    def pass_at_k(self, value):
        return value**2


class Unequal(Odds):
    def pass_at_k(self, value):
        return value if isinstance(value, jax.Array) else 0.5 * value


class Spaced(Odds):
    value_name = "pass at k"


BROKEN = {
    Concave: r"convex in the logarithms, as declared, but at params .* above",
    Dented: r"convex in the logarithms, as declared, but at params .*",
    Bent: r"affine in the logarithms, as declared, but",
    Peeking: r"jit gives what eager execution does, but at params \S+, tokens \S+, samples \S+ .* apart",
    Crowded: r"vmap gives what a loop does, but",
    Miscalled: r"a call gives the value of the score, but .* 2 is not 1,",
    WrongSlope: r"slopes are those of differences, but .* in params, 0.0\d+ apart",
    FlatSlope: r"second derivatives are differences of slopes, but .* in params in params",
    Lopsided: r"second derivatives are symmetric, but",
    ReverseOnly: r"cannot be compiled and differentiated under jit and vmap: TypeError: ",
    TwoSlopes: r"slopes by forward mode are those by reverse mode, but .* 1 is not 2 in params",
    NotANumber: r"its slope is a finite number, but .* it is nan in params",
    Infinite: r"its score is a finite number, but .* it is -inf",
    Overflowing: r"its score in float32 is that in float64, but .* inf",
    Cancelling: r"its score in float32 is that in float64, but",
    Misadded: r"power_terms add up to its value, in logarithms, but",
    Underdeclared: r"it depends on nothing but its variables, params, but .* 1 is not 0 in tokens",
    ManyScores: r"at one decision its score has the shape \(2,\)",
    OnCPU: r"does not compile for all of cpu, cuda, tpu: ",
    Incomparable: r"static fields must compare by ==, .*: ValueError: ",
    Named: r"its leaves are numbers, but 'energy' is one: make it eqx.field\(static=True\)",
    Silent: r"its __str__ is a text, but it is ''",
    Nameless: r"its __repr__ has the name of each coefficient, but c is not there",
    Broken: r"its __str__ must not fail: KeyError: 'c'",
    Worse: r"its value never rises with params, but at params .* d score / d log params is 0\.",
    Sampled: r"its value never rises|its value never falls with samples, but",
    Alone: r"at arrays of decisions it has|at \(8, 1\) decisions it has a score each, but",
    Unsaid: r"it prints as an equation, but",
    Forgetful: r"as an ensemble it prints the name of each coefficient, but a is not there",
    MoreIsWorse: r"its value never falls with samples, but .* is -0.5",
    Beyond: r"pass_at_k is between 0 and 1, but at params .* it is 1\.",
    Backwards: r"pass_at_k rises as the value gets better, but",
    Other: r"pass_at_k is the value of that name, but",
    Unequal: r"pass_at_k is the same of numbers and of arrays, but",
    Spaced: r"value_name is as t2jax.Task describes it, but it is 'pass at k'",
}


@pytest.mark.parametrize("cls", BROKEN, ids=lambda cls: cls.__name__)
def test_what_is_broken_is_caught(cls):
    check = next(
        check
        for base, check in ((Law, check_law), (Odds, check_task), (Quantity, check_quantity))
        if issubclass(cls, base)
    )
    with pytest.raises(AssertionError, match=rf"^{cls.__name__}: .*{BROKEN[cls]}"):
        check(cls())
