"""The algebra of quantities: arithmetic against plain numbers, users' own, printing, bad input word for word."""

# ruff: noqa: SIM300 (the order of a comparison is what is tested)

import functools
import math
import operator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax._numerics.logs import log_sum
from t2jax.quantities import Curvature, Scale

LAW = t2.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
TRAIN, SERVE = t2.TrainingFLOPs(), t2.InferenceFLOPs(1e6, 100.0, 50.0)
ACCURACY = t2.T2Accuracy(LAW, (0.78, 3.1, 1.0, -1.83, 2.45))
POINT = t2.Allocation(3e9, 7e10, 20.0)
NAN, INF = float("nan"), float("inf")


def fails(error, call):
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    return str(caught.value)


# Allocation


def test_allocation():
    assert float(POINT.tokens_per_param) == pytest.approx(70 / 3, rel=1e-15)
    assert float(t2.Allocation(1e9, 2e10).samples) == 1.0
    assert POINT.params.dtype == jnp.float64
    assert t2.Allocation(jnp.float32(1), jnp.float32(2), jnp.float32(3)).tokens_per_param.dtype == jnp.float32
    many = t2.Allocation(np.array([1e9, 2e9]), 1e10)
    np.testing.assert_allclose(TRAIN(many), [6e19, 1.2e20], rtol=1e-13)
    grid = t2.Allocation(np.array([[1e9], [2e9]]), np.array([[1e10, 2e10, 3e10]]))
    assert LAW(grid).shape == (2, 3)


# Arithmetic

EXPRESSIONS = {
    "TrainingFLOPs + InferenceFLOPs": (lambda: TRAIN + SERVE, lambda t, s: t + s),
    "3.00 * TrainingFLOPs": (lambda: 3 * TRAIN, lambda t, s: 3 * t),
    "0.25 * TrainingFLOPs": (lambda: TRAIN / 4, lambda t, s: t / 4),
    "6.00 * InferenceFLOPs": (lambda: 2 * (SERVE * 3.0), lambda t, s: 6 * s),
    "2.00 * (TrainingFLOPs + InferenceFLOPs)": (lambda: (TRAIN + SERVE) * 2, lambda t, s: 2 * (t + s)),
    "TrainingFLOPs + 1.00e+18": (lambda: TRAIN + 1e18, lambda t, s: t + 1e18),
    "InferenceFLOPs + 5.00B": (lambda: 5e9 + SERVE, lambda t, s: s + 5e9),
    "TrainingFLOPs + InferenceFLOPs + TrainingFLOPs": (lambda: sum([TRAIN, SERVE, TRAIN]), lambda t, s: 2 * t + s),
    "0.5 * TrainingFLOPs + 2.00 * InferenceFLOPs + 7.00": (
        lambda: 0.5 * TRAIN + (2 * SERVE + 7),
        lambda t, s: t / 2 + 2 * s + 7,
    ),
}


@pytest.mark.parametrize("label", EXPRESSIONS)
def test_arithmetic(label):
    build, plain = EXPRESSIONS[label]
    t, s = 6 * 3e9 * 7e10, 2 * 3e9 * 1e6 * (100 + 20 * 50)
    assert str(build()) == label
    assert float(build()(POINT)) == pytest.approx(plain(t, s), rel=1e-13)


def test_numbers_may_be_numpy_or_jax():
    for two in (2, 2.0, np.float64(2), np.int32(2), np.array(2.0), jnp.array(2.0), jnp.array(2)):
        assert float((TRAIN * two)(POINT)) == pytest.approx(2 * float(TRAIN(POINT)), rel=1e-13)
        assert float((two * TRAIN)(POINT)) == pytest.approx(2 * float(TRAIN(POINT)), rel=1e-13)
        assert float((TRAIN + two)(POINT)) == pytest.approx(float(TRAIN(POINT)) + 2, rel=1e-13)
        assert float((TRAIN <= two).limit) == float((two >= TRAIN).limit) == 2.0


def test_a_sum_of_probabilities_adds_probabilities():
    both = ACCURACY + 2 * ACCURACY
    assert float(both(POINT)) == pytest.approx(3 * float(ACCURACY(POINT)), rel=1e-13)
    assert both.scale is Scale.LOG


def test_curvature_is_known_where_it_can_be():
    assert (2 * t2.params).curvature is Curvature.AFFINE
    assert (TRAIN + SERVE).curvature is Curvature.CONVEX
    assert (TRAIN + t2.quantity(lambda a: a.params)).curvature is Curvature.UNKNOWN
    assert (ACCURACY + 1.0).curvature is Curvature.UNKNOWN
    assert (2 * ACCURACY).curvature is Curvature.UNKNOWN


def test_constraints():
    at_most, at_least = TRAIN <= 1e24, ACCURACY >= 0.6
    assert (at_most.upper, at_least.upper) == (True, False)
    assert (1e24 >= TRAIN).upper
    assert not (0.6 <= ACCURACY).upper
    log = jax.tree.map(jnp.log, POINT)
    assert float(at_most.violation(log)) == pytest.approx(math.log(6 * 3e9 * 7e10 / 1e24), rel=1e-12)
    odds = math.log(float(ACCURACY(POINT)) / (1 - float(ACCURACY(POINT))))
    assert float(at_least.violation(log)) == pytest.approx(math.log(0.6 / 0.4) - odds, rel=1e-9)
    assert (at_most.convex, (SERVE >= 1.0).convex, (TRAIN >= 1.0).convex) == (True, False, True)


@pytest.mark.parametrize(
    ("constraint", "text"),
    [
        (lambda: TRAIN <= 1e24, "TrainingFLOPs <= 1.00e+24"),
        (lambda: 2 * t2.params <= 80e9, "2.00 * params <= 80.0B"),
        (lambda: TRAIN + SERVE <= 3e14, "TrainingFLOPs + InferenceFLOPs <= 300T"),
        (lambda: t2.samples >= 4, "samples >= 4.00"),
        (lambda: ACCURACY >= 0.6, "T2Accuracy >= 0.6"),
        (lambda: t2.tokens <= [1e9, 2e9], "tokens <= …"),
    ],
)
def test_constraints_print(constraint, text):
    assert str(constraint()) == text


def test_printing_inside_traced_code():
    seen = []

    @jax.jit
    def traced(x):
        seen.extend([str(TRAIN <= x), str(x * TRAIN), str(TRAIN + x), str(x * TRAIN <= x)])
        return x

    traced(1.0)
    assert seen == [
        "TrainingFLOPs <= …",
        "factor * TrainingFLOPs",
        "TrainingFLOPs + constant",
        "factor * TrainingFLOPs <= …",
    ]


# Users' own


class Memory(eqx.Module):
    bytes_per_param: jax.Array

    def __call__(self, a):
        return self.bytes_per_param * a.params


def energy_joules(a):
    return 3e-12 * a.params * a.tokens


@pytest.mark.parametrize(
    ("fn", "label", "value"),
    [
        (lambda a: 2 * a.params, "quantity", 6e9),
        (energy_joules, "energy_joules", 3e-12 * 3e9 * 7e10),
        (functools.partial(lambda c, a: c * a.samples, 5.0), "partial", 100.0),
        (Memory(jnp.array(2.0)), "Memory", 6e9),
    ],
)
def test_users_own(fn, label, value):
    own = t2.quantity(fn)
    assert str(own) == label
    assert str(t2.quantity(fn, name="mine") <= 3e9) == "mine <= 3.00B"
    assert float(own(POINT)) == pytest.approx(value, rel=1e-13)
    assert float((2 * own + TRAIN)(POINT)) == pytest.approx(2 * value + float(TRAIN(POINT)), rel=1e-13)
    assert own.curvature is Curvature.UNKNOWN
    assert t2.quantity(fn, convex=True).curvature is Curvature.CONVEX


def test_leaves_of_users_own_are_leaves():
    own = t2.quantity(Memory(jnp.array(2.0)))
    assert [float(leaf) for leaf in jax.tree.leaves(eqx.filter(own, eqx.is_array))] == [2.0]
    slope = eqx.filter_grad(lambda own: own(POINT))(own)
    assert float(slope.fn.bytes_per_param) == pytest.approx(3e9, rel=1e-13)
    partial = t2.quantity(functools.partial(lambda c, a: c * a.samples, jnp.array(5.0)))
    assert [float(leaf) for leaf in jax.tree.leaves(eqx.filter(partial, eqx.is_array))] == [5.0]
    batch = eqx.filter_vmap(lambda own: own(POINT))(t2.quantity(Memory(jnp.array([1.0, 2.0]))))
    np.testing.assert_allclose(batch, [3e9, 6e9], rtol=1e-13)


def test_users_own_probability():
    own = t2.quantity(lambda a: a.samples / (1.0 + a.samples), probability=True)
    assert own.scale is Scale.LOG_ODDS
    assert float(own(POINT)) == pytest.approx(20 / 21, rel=1e-14)
    assert float(own.score(jax.tree.map(jnp.log, POINT))) == pytest.approx(math.log(20), rel=1e-13)
    assert float((2 * own)(POINT)) == pytest.approx(40 / 21, rel=1e-14)


def test_quantities_compute_in_float32_if_given_float32():
    factor = TRAIN.flops_per_param_token.astype(jnp.float32)
    train = t2.TrainingFLOPs(factor)
    at = t2.Allocation(jnp.float32(1e12), jnp.float32(1e17))
    # 6e29 is beyond neither float32 nor its products, as they are sums of logarithms.
    assert train(at).dtype == jnp.float32
    assert float(train(at)) == pytest.approx(6e29, rel=1e-5)


@pytest.mark.parametrize("two", [False, True])
def test_log_sum_has_right_derivatives_where_coefficients_vanish(two):
    def total(c, z):
        return log_sum((c, z), (2.0, 0.5 * z), *([(0.0, 1.2 * z)] if two else []))

    # log(c·e^z + 2·e^(z/2)) at c = 0, z = 700: e^700 alone is near overflow, twice z is beyond.
    c, z = jnp.array(0.0), jnp.array(700.0)
    slopes = jax.grad(total, (0, 1))(c, z)
    assert float(total(c, z)) == pytest.approx(math.log(2) + 350, rel=1e-14)
    assert float(slopes[0]) == pytest.approx(math.exp(350) / 2, rel=1e-12)
    assert float(slopes[1]) == pytest.approx(0.5, rel=1e-12)
    # The second derivative is the variance of the exponents' slopes, 1 and 1/2, under the terms' shares.
    share = math.exp(2) / (math.exp(2) + 2 * math.exp(1))
    variance = share * (1 - share) / 4
    assert float(jax.grad(jax.grad(total, 1), 1)(jnp.array(1.0), jnp.array(2.0))) == pytest.approx(variance, rel=1e-12)


# Bad input

LIMITS = [
    (-1, ValueError, "the limit of TrainingFLOPs must be positive and finite, got -1"),
    (0, ValueError, "the limit of TrainingFLOPs must be positive and finite, got 0"),
    (NAN, ValueError, "the limit of TrainingFLOPs must be positive and finite, got nan"),
    (INF, ValueError, "the limit of TrainingFLOPs must be positive and finite, got inf"),
    ("1e24", TypeError, "the limit of TrainingFLOPs must be a number, got '1e24'"),
    (None, TypeError, "the limit of TrainingFLOPs must be a number, got None"),
    (True, TypeError, "the limit of TrainingFLOPs must be a number, got True"),
    (1j, TypeError, "the limit of TrainingFLOPs must be real numbers, got 1j of type complex128"),
    (
        np.float16(1),
        TypeError,
        "the limit of TrainingFLOPs is float16, which cannot hold FLOPs or tokens: use float32 or float64",
    ),
    (
        jnp.bfloat16(1),
        TypeError,
        "the limit of TrainingFLOPs is bfloat16, which cannot hold FLOPs or tokens: use float32 or float64",
    ),
    (
        np.array([1e20, -1.0]),
        ValueError,
        "the limit of TrainingFLOPs must be positive and finite, got [ 1.e+20, -1.e+00] (shape (2,))",
    ),
    (ACCURACY, TypeError, "a constraint compares a quantity with a number, not TrainingFLOPs with T2Accuracy"),
]


@pytest.mark.parametrize(("limit", "error", "message"), LIMITS)
def test_bad_limits(limit, error, message):
    assert fails(error, lambda: TRAIN <= limit) == message
    assert fails(error, lambda: TRAIN >= limit) == message


def test_a_limit_too_large_for_any_float():
    assert "the limit of TrainingFLOPs" in fails(ValueError, lambda: TRAIN <= 10**400)


def test_a_limit_too_large_for_float32():
    with jax.enable_x64(False):
        assert fails(ValueError, lambda: t2.TrainingFLOPs() <= 1e39) == (
            "the limit of TrainingFLOPs = 1e+39 does not fit float32: enable float64 (jax_enable_x64) or change units"
        )


@pytest.mark.parametrize("limit", [0, 1, 1.5, -0.1, NAN])
def test_probabilities_are_limited_between_0_and_1(limit):
    assert fails(ValueError, lambda: ACCURACY >= limit) == (
        f"the limit of T2Accuracy must be strictly between 0 and 1, got {limit}"
    )


def test_strict_inequalities():
    assert fails(TypeError, lambda: TRAIN < 1e24) == "TrainingFLOPs < … is not a closed constraint: use <= or >="
    assert fails(TypeError, lambda: TRAIN > 1e24) == "TrainingFLOPs > … is not a closed constraint: use <= or >="


def test_chained_bounds():
    expected = (
        "`samples >= 1.00` has no truth value: write bounds on both sides as two constraints, "
        "[samples >= low, samples <= high]"
    )
    assert fails(TypeError, lambda: 1 <= t2.samples <= 4) == expected


def test_constraints_have_no_truth_value():
    for use in (bool, operator.not_, lambda c: c and c, lambda c: c or c):
        assert fails(TypeError, lambda use=use: use(TRAIN <= 1e24)).startswith(
            "`TrainingFLOPs <= 1.00e+24` has no truth value: write "
        )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: TRAIN * LAW,
            TypeError,
            "quantities multiply by numbers only: write the product of two as t2jax.quantity(fn)",
        ),
        (lambda: TRAIN * -1, ValueError, "the factor of TrainingFLOPs must be positive and finite, got -1"),
        (lambda: 0 * TRAIN, ValueError, "the factor of TrainingFLOPs must be positive and finite, got 0"),
        (lambda: NAN * TRAIN, ValueError, "the factor of TrainingFLOPs must be positive and finite, got nan"),
        (lambda: TRAIN / 0, ValueError, "the divisor of TrainingFLOPs must be positive and finite, got 0"),
        (lambda: TRAIN + -5, ValueError, "an added constant must be positive and finite, got -5"),
        (lambda: TRAIN + INF, ValueError, "an added constant must be positive and finite, got inf"),
        (
            lambda: TRAIN * np.float16(2),
            TypeError,
            "the factor of TrainingFLOPs is float16, which cannot hold FLOPs or tokens: use float32 or float64",
        ),
    ],
)
def test_bad_arithmetic(make, error, message):
    assert fails(error, make) == message


@pytest.mark.parametrize("other", ["1", None, True, [1.0], (TRAIN <= 1.0)])
def test_arithmetic_with_what_is_no_number(other):
    for operation in (operator.add, operator.mul, operator.truediv):
        with pytest.raises(TypeError):
            operation(TRAIN, other)


def test_what_quantities_cannot_do():
    for make in (lambda: TRAIN - 1, lambda: -TRAIN, lambda: TRAIN ** np.array([1.0, 2.0]), lambda: TRAIN % 2):
        with pytest.raises(TypeError, match="TrainingFLOPs"):
            make()
    for make in (lambda: 2 / LAW, lambda: LAW**2, lambda: TRAIN / LAW, lambda: LAW**True):
        with pytest.raises(TypeError, match="Chinchilla"):
            make()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1e9, -1), ValueError, "tokens must be positive and finite, got -1"),
        ((0, 1e9), ValueError, "params must be positive and finite, got 0"),
        ((1e9, 1e9, NAN), ValueError, "samples must be positive and finite, got nan"),
        (("7B", 1e9), TypeError, "params must be a number, got '7B'"),
        (
            (1e9, np.float16(1)),
            TypeError,
            "tokens is float16, which cannot hold FLOPs or tokens: use float32 or float64",
        ),
    ],
)
def test_bad_allocations(arguments, error, message):
    assert fails(error, lambda: t2.Allocation(*arguments)) == message


@pytest.mark.usefixtures("untyped")
def test_quantity_of_what_is_no_function():
    assert fails(TypeError, lambda: t2.quantity(3)) == "quantity takes a function of an allocation, got 3"


@pytest.mark.usefixtures("untyped")
def test_a_coordinate_the_decision_lacks():
    class Other(eqx.Module):
        width: float

    assert fails(TypeError, lambda: t2.samples(Other(2.0))) == "Other has no coordinate 'samples'"
