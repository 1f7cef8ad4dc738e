"""Imperfect verifiers, votes and repairs against high-precision integrals, direct sums and simulation."""

import functools

import equinox as eqx
import jax
import jax.export
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import problems as p
import pytest

import t2jax as t2
from t2jax import BetaPassRate, MajorityVote, RepairLoop, Verifier

BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32])

# a, b, k, c, s and E[S], E[c·p·S], E[s·(1 − p)·S], S = (1 − (1 − β)^k)/β: the trapezoidal rule in logit p with steps of
# 1/25, at 30 digits, on what is left of the integrand after its chord in p.
REFERENCE = [
    (0.5, 3.0, 10.5, 0.9, 0.05, 5.8059021602280361, 0.45606055829425871, 0.26495841032838745),
    (0.001, 0.01, 1000000.0, 1.0, 0.0, 897012.79740673505, 0.10388431813226231, 0.0),
    (0.001, 1000000.0, 1000000.0, 0.5, 0.0, 999783.63502452976, 0.000405383029083904, 0.0),
    (50.0, 1000000.0, 1000000.0, 0.75, 1e-06, 26477.162914022384, 0.97352413511789832, 0.026475864881842225),
    (50.0, 1000000.0, 1000000.0, 1.0, 0.0, 20409.163265306086, 0.99999999999999911, 0.0),
    (0.03125, 20.0, 2500.5, 0.25, 0.001, 860.90170820822828, 0.065896013654788584, 0.86063812415360914),
    (0.25, 0.01, 3000.0, 0.01, 0.0, 156.9670965123584, 0.98492419834667041, 0.0),
    (1.0, 1000.0, 10000.0, 1.0, 0.001, 596.64185496331069, 0.40375779616503824, 0.59623809716714566),
    (50.0, 0.01, 1000.0, 0.5, 0.9, 1.9996849818249277, 0.99964560455304372, 0.00035439544695628278),
    (2.0, 5.0, 1.25, 0.9, 0.3, 1.1643396351444827, 0.29639884718902669, 0.25050227481366924),
    (0.3, 10000.0, 100000.0, 0.125, 0.5, 2.0000450030375953, 7.5005062658883149e-6, 0.99999249949373411),
    (0.001, 1.0, 1000000.0, 0.875, 1e-06, 623957.88198340051, 0.013371017730914235, 0.62395786670223736),
    (7.0, 100000.0, 30.0, 1.0, 0.25, 3.9984475797998086, 0.00027986336189577171, 0.9995419291094782),
    (33.0, 6285.0, 1767.5, 0.0078125, 1e-06, 1703.8626195757775, 0.069453384009045236, 0.0016949725864226196),
    (50.0, 50.0, 1000000.0, 0.0001, 0.0, 20204.08163265306, 0.99999999999999999, 0.0),
    (1.5, 2.0, 8.0, 0.5, 0.5, 1.9921875, 0.42689732142857143, 0.56919642857142857),
]


def _stopped(z):
    """Samples, solved, false at (a, b, k, c, s)."""
    rate, verifier, k = BetaPassRate(z[0], z[1]), Verifier(z[3], z[4]), z[2]
    return jnp.stack(
        [measure(rate, k) for measure in (verifier.expected_samples, verifier.prob_solved, verifier.prob_false)], -1
    )


@BOTH
def test_stopping_matches_high_precision_integrals(dtype):
    rows = np.array(REFERENCE)
    points = jnp.asarray(rows[:, :5].T, dtype)
    found = jax.jit(_stopped)(points)
    assert found.dtype == dtype
    bar = {np.float64: 1e-12, np.float32: 1e-5}[dtype]
    np.testing.assert_allclose(found, rows[:, 5:], rtol=bar)


@BOTH
def test_stopping_is_a_number_where_nearly_every_sample_is_right(dtype):
    """c·p + s·(1 − p) of rounded p and 1 − p may exceed 1 where c = 1: no power of a negative number is taken."""
    rng = np.random.default_rng(15)
    n = 1000
    a, b = (10.0 ** rng.uniform(-6, high, n) for high in (1.7, 6))
    s = rng.choice([0.0, 1e-3, 0.5, 0.999], n)
    k = 10.0 ** rng.uniform(0, 6, n)
    samples, solved, false = np.moveaxis(
        np.asarray(jax.jit(_stopped)(jnp.asarray([a, b, k, np.ones(n), s], dtype))), -1, 0
    )
    most = k * (1 + 1e-4)
    for found, top in ((samples, most), (solved, 1 + 1e-4), (false, 1 + 1e-4)):
        assert np.all((found >= 0) & (found <= top))
    # With completeness 1 the answer is right with at least pass@1, and wrong only where the verifier errs.
    assert np.all(solved + false <= 1 + 1e-4)
    assert np.all(solved >= a / (a + b) * (1 - 1e-4))
    assert np.all(false[s == 0] == 0)


def _summed(a, b, k, c, s):
    """Σ_{j<k} E[(1 − β)^j], with 1 − β = (1 − s)·(1 − p) + (1 − c)·p expanded into Beta moments: all terms positive."""
    a, b, c, s = (mp.mpf(x) for x in (a, b, c, s))
    total = mp.mpf(0)
    for j in range(k):
        for i in range(j + 1):  # j choose i samples right
            moment = mp.rf(a, i) * mp.rf(b, j - i) / mp.rf(a + b, j)
            total += mp.binomial(j, i) * (1 - c) ** i * (1 - s) ** (j - i) * moment
    return total


@functools.cache
def _small_cases():
    rng = np.random.default_rng(0)
    size = 40
    a, b = 10 ** rng.uniform(-3, 1.7, size), 10 ** rng.uniform(-2, 6, size)
    c, s = rng.choice([1, 0.9, 0.5, 0.1, 0.01], size), rng.choice([0, 1e-6, 1e-3, 0.1, 0.5, 0.9], size)
    points = np.array([a, b, rng.integers(1, 10, size), c, s], np.float32).astype(np.float64)
    a, b, k, c, s = points
    sums = [[], [], []]
    for row in zip(a, b, k.astype(int), c, s, strict=True):
        for of, (more_a, more_b) in zip(sums, [(0, 0), (1, 0), (0, 1)], strict=True):
            of.append(float(_summed(row[0] + more_a, row[1] + more_b, *row[2:])))
    return points, np.stack([sums[0], c * a / (a + b) * sums[1], s * b / (a + b) * sums[2]], -1)


@BOTH
def test_stopping_is_the_sum_of_rejections_for_whole_k(dtype):
    points, expected = _small_cases()
    found = jax.jit(_stopped)(jnp.asarray(points, dtype))
    np.testing.assert_allclose(found, expected, rtol={np.float64: 1e-12, np.float32: 1e-5}[dtype])


def test_a_perfect_verifier_is_pass_at_k():
    rate = BetaPassRate(jnp.array([[0.001], [0.3], [7.0]]), jnp.array([[0.01], [40.0], [1e5]]))
    k, perfect = np.array([1, 2.5, 1e3, 1e6]), Verifier(1, 0)
    np.testing.assert_allclose(perfect.prob_solved(rate, k), rate.pass_at_k(k), rtol=1e-12)
    np.testing.assert_allclose(perfect.prob_accepted(rate, k), rate.pass_at_k(k), rtol=1e-12)
    np.testing.assert_allclose(perfect.expected_samples(rate, k), rate.expected_samples(k), rtol=1e-12)
    np.testing.assert_allclose(perfect.precision(rate, k), 1.0, rtol=1e-14)


@pytest.mark.slow
def test_a_worse_verifier_solves_less_and_more_samples_are_less_precise():
    rate, k = BetaPassRate(0.3, 4.0), np.geomspace(1, 1e6, 30)
    verifiers = [Verifier(c, s) for c, s in [(1.0, 0.0), (1.0, 0.01), (0.8, 0.01), (0.8, 0.2)]]
    solved = np.array([verifier.prob_solved(rate, k) for verifier in verifiers])
    assert np.all(np.diff(solved, axis=0)[:, 1:] < 0)
    assert np.all(np.diff(solved, axis=1) > -1e-13)
    assert np.all(np.diff(verifiers[1].precision(rate, k)) < 1e-13)
    # An endless supply of samples: the odds of an accepted answer are c·p : s·(1 − p), whatever k.
    np.testing.assert_allclose(verifiers[3].prob_accepted(rate, 1e6), 1.0, rtol=1e-12)


def _samples(z):
    return Verifier(z[3], z[4]).expected_samples(BetaPassRate(z[0], z[1]), z[2])


_slopes = jax.jit(jax.vmap(jax.grad(_samples)), compiler_options=p.QUICK)  # of what the other measures are made of


@pytest.mark.slow
def test_derivatives_of_stopping():
    points = np.array([(*row[:4], max(row[4], 1e-3)) for row in REFERENCE if row[3] < 1])
    # Differences of fourth order, all in one call.
    steps = np.array([-2, -1, 1, 2])[:, None] * 1e-3
    moved = points * (1 + steps[:, :, None, None] * np.eye(5)[:, None])  # step, direction, point, coordinate
    values = np.asarray(jax.jit(_samples)(moved.reshape(-1, 5).T)).reshape(moved.shape[:3])
    relative = np.einsum("s,sdp->pd", np.array([1, -8, 8, -1]) / 12e-3, values)  # d value / d log coordinate
    scale = np.mean(values, (0, 1))[:, None]
    np.testing.assert_array_less(np.abs(relative - np.asarray(_slopes(points)) * points) / scale, 1e-8)


@pytest.mark.slow
def test_second_derivatives_of_stopping():
    z = jnp.array([[0.5, 3.0, 10.5, 0.9, 0.05], [0.5, 3.0, 10.5, 1.0, 0.0]])
    h = 1e-5 * np.asarray(z[:1])
    second = jax.jit(jax.vmap(jax.hessian(_samples)), compiler_options=p.QUICK)(z)
    assert np.all(np.isfinite(second))
    steps = h * np.eye(5)[:, None]
    columns = [(_slopes(z[:1] + step) - _slopes(z[:1] - step)) / (2 * jnp.sum(step)) for step in steps]
    np.testing.assert_allclose(second[:1], np.stack(columns, -1), rtol=1e-7, atol=1e-8)


def _four_errors(draws, expected):
    error = np.std(draws) / np.sqrt(draws.size)
    assert abs(np.mean(draws) - float(expected)) < 4 * error, (np.mean(draws), expected, error)


def test_stopping_by_simulation():
    rng = np.random.default_rng(1)
    a, b, k, c, s, size = 0.6, 2.0, 7, 0.8, 0.15, 1_000_000
    p = rng.beta(a, b, size)
    drawn, solved, false = np.full(size, k), np.zeros(size, bool), np.zeros(size, bool)
    going = np.ones(size, bool)
    for j in range(1, k + 1):
        right = rng.random(size) < p
        accepted = going & (rng.random(size) < np.where(right, c, s))
        solved, false, drawn = solved | (accepted & right), false | (accepted & ~right), np.where(accepted, j, drawn)
        going &= ~accepted
    rate, verifier = BetaPassRate(a, b), Verifier(c, s)
    _four_errors(drawn, verifier.expected_samples(rate, k))
    _four_errors(solved, verifier.prob_solved(rate, k))
    _four_errors(solved | false, verifier.prob_accepted(rate, k))
    _four_errors(solved[solved | false], verifier.precision(rate, k))


# Majority vote


def _pass_rates(rng, count, top):
    """a and b of Betas, the first three even, that float32 holds exactly; b up to 10^top."""
    a, b = 10 ** rng.uniform(-3, 1.7, count), 10 ** rng.uniform(-2, top, count)
    a[:3] = b[:3]
    return a.astype(np.float32).astype(float), b.astype(np.float32).astype(float)


def _vote(a, b, k):
    """The beta-binomial's probabilities of more than half, and half of those of a tie."""
    a, b, total = mp.mpf(a), mp.mpf(b), mp.mpf(0)
    for j in range((k + 1) // 2, k + 1):
        share = mp.mpf(1) / 2 if 2 * j == k else 1
        total += share * mp.binomial(k, j) * mp.beta(a + j, b + k - j) / mp.beta(a, b)
    return float(total)


@BOTH
def test_vote_is_the_tail_of_the_beta_binomial(dtype):
    rng = np.random.default_rng(2)
    a, b = _pass_rates(rng, 40, 4)
    k = np.concatenate([[1, 2, 3, 4], rng.integers(1, 120, 36)])
    expected = np.array([_vote(*row) for row in zip(a, b, k.tolist(), strict=True)])
    found = MajorityVote().prob_solved(BetaPassRate(jnp.asarray(a, dtype), jnp.asarray(b, dtype)), k)
    assert found.dtype == dtype
    tiny = float(jnp.finfo(dtype).tiny)
    np.testing.assert_allclose(found, expected, rtol={np.float64: 1e-12, np.float32: 1e-5}[dtype], atol=1e3 * tiny)


@BOTH
def test_limit_of_the_vote_is_the_probability_that_the_right_answer_is_the_mode(dtype):
    a, b = _pass_rates(np.random.default_rng(3), 60, 2.3)
    expected = [float(mp.betainc(y, x, 0, 0.5, regularized=True)) for x, y in zip(a, b, strict=True)]
    found = MajorityVote().limit(BetaPassRate(jnp.asarray(a, dtype), jnp.asarray(b, dtype)))
    tiny = float(jnp.finfo(dtype).tiny)
    np.testing.assert_allclose(found, expected, rtol={np.float64: 1e-12, np.float32: 3e-5}[dtype], atol=1e3 * tiny)
    rate = BetaPassRate(3.0, 2.0)
    near = [float(MajorityVote().prob_solved(rate, k) - MajorityVote().limit(rate)) for k in (2001, 20001)]
    np.testing.assert_allclose(near[0] / near[1], 10.0, rtol=1e-2)  # O(1/k)


def test_vote_of_even_k_is_that_of_one_less_and_it_is_not_pass_at_k():
    rate, vote = BetaPassRate(jnp.array([[0.3], [4.0]]), jnp.array([[2.0], [0.7]])), MajorityVote()
    k = np.arange(1, 40, 2)
    np.testing.assert_array_equal(vote.prob_solved(rate, k), vote.prob_solved(rate, k + 1))
    np.testing.assert_allclose(vote.prob_solved(rate, 1)[:, 0], rate.pass_at_k(1)[:, 0], rtol=1e-14)
    assert np.all(np.asarray(vote.prob_solved(rate, k[1:])) < np.asarray(rate.pass_at_k(k[1:])))
    assert np.all(np.diff(vote.prob_solved(rate, k)[0]) < 0)  # where the right answer is rarely the mode, votes hurt
    assert np.all(np.diff(vote.prob_solved(rate, k)[1]) > 0)


def test_vote_differentiates_and_is_nan_where_traced_k_is_no_count():
    def vote(z):
        rate = BetaPassRate(z[0], z[1])
        return jnp.stack([MajorityVote().prob_solved(rate, 31), MajorityVote().limit(rate)])

    slopes = jax.jit(jax.jacrev(vote))
    vote = jax.jit(vote)
    for z in ([0.4, 2.0], [3.0, 1.5], [2.0, 2.0]):
        z, h = jnp.array(z), 1e-5
        by_difference = [(vote(z + h * e) - vote(z - h * e)) / (2 * h) for e in np.eye(2)]
        np.testing.assert_allclose(slopes(z), np.stack(by_difference, -1), rtol=1e-8)
    traced = jax.jit(lambda k: MajorityVote().prob_solved(BetaPassRate(2.0, 3.0), k))(jnp.array([3.0, 2.5, 0.0]))
    np.testing.assert_allclose(traced, [_vote(2, 3, 3), np.nan, np.nan], rtol=1e-13)


def test_vote_by_simulation():
    rng = np.random.default_rng(4)
    for a, b, k in [(0.6, 1.5, 9), (2.0, 1.0, 6)]:
        right = rng.binomial(k, rng.beta(a, b, 1_000_000))
        won = (2 * right > k) | ((2 * right == k) & (rng.random(right.size) < 0.5))
        _four_errors(won, MajorityVote().prob_solved(BetaPassRate(a, b), k))


# Repairs


@pytest.mark.slow
def test_repairs_that_are_new_samples_are_the_verifier_alone():
    rate, r = BetaPassRate(jnp.array([0.001, 0.4, 30.0]), jnp.array([0.5, 3.0, 1e5])), 6
    verifier = Verifier(0.8, 0.05)
    loop = RepairLoop(verifier, r)
    k = r + 1
    expected = verifier.prob_solved(rate, k), verifier.prob_accepted(rate, k), verifier.expected_samples(rate, k)
    solved, accepted, attempts = found = _repaired(loop, rate)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(loop.precision(rate), solved / accepted, rtol=1e-13)
    np.testing.assert_allclose(verifier.precision(rate, k), solved / accepted, rtol=1e-12)
    assert loop.solved_at(rate).shape == (3, r + 1)
    np.testing.assert_allclose(loop.solved_at(rate)[:, 0], 0.8 * rate.pass_at_k(1), rtol=1e-12)
    np.testing.assert_allclose(loop.expected_cost(rate, 5.0, 2.0, 0.5), 5 + 2 * (attempts - 1) + attempts / 2)
    np.testing.assert_allclose(RepairLoop(verifier, 0).expected_attempts(rate), 1.0, rtol=1e-14)


@eqx.filter_jit
def _repaired(loop, rate):
    return jnp.stack([loop.prob_solved(rate), loop.prob_accepted(rate), loop.expected_attempts(rate)])


def _chain(p, r, c, s, odds, keep):
    """(solved, accepted, attempts) of one problem, by the powers of its transition matrix."""
    fixed = odds * p / (odds * p + 1 - p)
    kept = fixed if keep is None else keep
    rejected = np.array([[(1 - c) * kept, (1 - s) * fixed], [(1 - c) * (1 - kept), (1 - s) * (1 - fixed)]])
    state, out = np.array([p, 1 - p]), np.zeros(3)
    for _ in range(r + 1):
        out += [c * state[0], c * state[0] + s * state[1], state.sum()]
        state = rejected @ state
    return out


@pytest.mark.parametrize(("odds", "keep"), [(1e4, 0.9), (0.02, 1.0)])
def test_repairs_are_the_average_of_a_markov_chain(odds, keep):
    a, b, r, c, s = 0.5, 3.0, 5, 0.7, 0.1
    t = np.linspace(-90, 25, 4001)  # trapezoidal rule in logit p, far finer than the library's
    weights = np.exp(-a * np.logaddexp(0, -t) - b * np.logaddexp(0, t))
    expected = weights @ [_chain(1 / (1 + np.exp(-x)), r, c, s, odds, keep) for x in t] / weights.sum()
    rate, loop = BetaPassRate(a, b), RepairLoop(Verifier(c, s), r, odds, keep)
    found = _repaired(loop, rate)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    with jax.enable_x64(False):
        rate, loop = BetaPassRate(a, b), RepairLoop(Verifier(c, s), r, odds, keep)
        found = _repaired(loop, rate)
        assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_repairs_by_simulation():
    rng = np.random.default_rng(5)
    a, b, r, c, s, odds, keep, size = 0.7, 2.5, 4, 0.85, 0.1, 4.0, 0.6, 1_000_000
    p = rng.beta(a, b, size)
    fixed = odds * p / (odds * p + 1 - p)
    right, going = rng.random(size) < p, np.ones(size, bool)
    attempts, solved, accepted_all = np.zeros(size), np.zeros((r + 1, size), bool), np.zeros(size, bool)
    for j in range(r + 1):
        attempts += going
        accepted = going & (rng.random(size) < np.where(right, c, s))
        solved[j], accepted_all = accepted & right, accepted_all | accepted
        going &= ~accepted
        right = rng.random(size) < np.where(right, keep, fixed)
    rate, loop = BetaPassRate(a, b), RepairLoop(Verifier(c, s), r, odds, keep)
    for draws, expected in zip(solved, loop.solved_at(rate), strict=True):
        _four_errors(draws, expected)
    _four_errors(solved.any(0), loop.prob_solved(rate))
    _four_errors(accepted_all, loop.prob_accepted(rate))
    _four_errors(attempts, loop.expected_attempts(rate))


@pytest.mark.slow
def test_derivatives_of_repairs():
    def solved(z):
        return RepairLoop(Verifier(z[2], z[3]), 3, z[4], z[5]).prob_solved(BetaPassRate(z[0], z[1]))

    z, h = jnp.array([0.5, 3.0, 0.9, 0.05, 2.0, 0.7]), 1e-5
    value, slopes = jax.jit(solved), jax.jit(jax.grad(solved))
    by_difference = [(value(z + h * e) - value(z - h * e)) / (2 * h) for e in np.eye(6)]
    np.testing.assert_allclose(slopes(z), by_difference, rtol=1e-7)


# Cost, batches, platforms, bad input


def test_verification_flops():
    at = t2.Allocation(3e9, 7e10, 20.0)
    check = t2.VerificationFLOPs(1e9, queries=1e6)
    assert float(check(at)) == pytest.approx(1e6 * 20 * 1e9, rel=1e-13)
    both = t2.InferenceFLOPs(1e6, output_tokens=500) + 2 * check
    assert float(both(at)) == pytest.approx(2 * 3e9 * 1e6 * 20 * 500 + 2 * 1e6 * 20 * 1e9, rel=1e-13)


@pytest.mark.slow
def test_batches_are_loops():
    a, b, k = jnp.array([0.3, 1.0, 4.0]), jnp.array([2.0, 0.5, 30.0]), 9
    verifier = Verifier(0.9, 0.1)
    measures = [lambda rate: verifier.prob_solved(rate, k), lambda rate: MajorityVote().prob_solved(rate, k)]
    measures.append(RepairLoop(verifier, 2).prob_solved)
    for measure in measures:
        loop = [measure(BetaPassRate(float(x), float(y))) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(eqx.filter_vmap(measure)(BetaPassRate(a, b)), loop, rtol=1e-13)
        np.testing.assert_allclose(measure(BetaPassRate(a, b)), loop, rtol=1e-13)


@BOTH
def test_lowers_for_every_platform(dtype):
    f = jax.jit(lambda z: (_stopped(z), MajorityVote().limit(BetaPassRate(z[0], z[1]))))
    exported = jax.export.export(f, platforms=("cpu", "cuda", "tpu"))(jax.ShapeDtypeStruct((5, 8), dtype))
    assert exported.out_avals[0].dtype == dtype


RATE = BetaPassRate(0.5, 3.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Verifier(0.0, 0.1), "completeness must be above 0 and at most 1, got 0.0"),
        (lambda: Verifier(1.1, 0.1), "completeness must be above 0 and at most 1, got 1.1"),
        (
            lambda: Verifier(0.9, [0.1, 1.0]),
            "soundness_error must be below 1, got 1: a verifier that accepts every wrong sample says nothing, and what "
            "it accepts first is right as often as one sample, pass@1 (at index 1)",
        ),
        (lambda: Verifier(0.9, 1.5), "soundness_error must be in [0, 1), got 1.5"),
        (lambda: Verifier(0.9, -0.1), "soundness_error must be zero or positive, and finite, got -0.1"),
        (lambda: Verifier(0.9, 0.1).prob_solved(RATE, 0.5), "k must be 1 or more, got 0.5"),
        (lambda: MajorityVote().prob_solved(RATE, 0), "k must be 1 or more, got 0"),
        (lambda: MajorityVote().prob_solved(RATE, 2.5), "k must be whole numbers, zero or more, got 2.5"),
        (lambda: RepairLoop(Verifier(0.9, 0.1), -1), "repairs must be whole numbers, zero or more, got -1"),
        (lambda: RepairLoop(Verifier(0.9, 0.1), 1, 0.0), "odds_ratio must be positive and finite, got 0.0"),
        (lambda: RepairLoop(Verifier(0.9, 0.1), 1, keep=2), "keep must be above 0 and at most 1, got 2"),
        (lambda: t2.VerificationFLOPs(0.0), "flops_per_sample must be positive and finite, got 0.0"),
    ],
)
def test_bad_numbers(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        make()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Verifier("high", 0.1), "completeness must be a number, got 'high'"),
        (lambda: Verifier(0.9, None), "soundness_error must be a number, got None"),
        (lambda: Verifier(0.9, 0.1).prob_solved(RATE, "all"), "k must be a number, got 'all'"),
        (lambda: MajorityVote().prob_solved(RATE, "all"), "k must be a whole number, got 'all'"),
    ],
)
def test_what_is_no_number(make, message):
    with pytest.raises(TypeError) as error:
        make()
    assert str(error.value) == message


# As an objective


@pytest.mark.slow
def test_verified_samples_are_an_objective():
    """N, D, k and the verifier's own cost together, never below a dense grid; derivatives of the optimum go through."""
    task = t2.published("pythia-gsm8k")

    def of(a, task, verifier):
        return verifier.prob_solved(task.pass_rates(a.params, a.tokens), a.samples)

    cost = t2.TrainingFLOPs() + t2.InferenceFLOPs(1e9, output_tokens=500) + t2.VerificationFLOPs(1e9, queries=1e9)

    def solved(soundness_error):
        made = functools.partial(of, task=task, verifier=Verifier(0.9, soundness_error))
        return t2.quantity(made, name="solved", probability=True)

    def best(soundness_error):
        found = t2.maximize(solved(soundness_error), [cost <= 1e24])
        return found.value, found.allocation

    (value, at), slope = jax.value_and_grad(best, has_aux=True)(1e-3)
    n, k = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e11, 200), np.geomspace(1, 1e5, 200)))
    left = 1e24 - 2 * n * 1e9 * 500 * k - 1e9 * 1e9 * k
    kept = left > 0
    grid = solved(1e-3)(t2.Allocation(n[kept], left[kept] / (6 * n[kept]), k[kept]))
    assert float(value) >= float(jnp.max(grid)) - 1e-12
    assert float(value) == pytest.approx(float(jnp.max(grid)), rel=1e-3)
    # The envelope theorem: at the optimum only the verifier itself moves the value.
    direct = jax.grad(lambda s: of(at, task, Verifier(0.9, s)))(1e-3)
    assert float(slope) == pytest.approx(float(direct), rel=1e-6)
    assert float(slope) < 0
