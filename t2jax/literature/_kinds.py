"""The registry: a row for each class of laws and tasks, and those that users add. No other list of them is anywhere.

Loads no JAX, so that help and lists are quick.
"""

from collections.abc import Iterator, Mapping

from t2jax.literature._kind import Column, Domain, Field, Kind, Role, Term

__all__ = [
    "COUNTS",
    "KINDS",
    "LOSS",
    "PARAMS",
    "PASS",
    "SAMPLES",
    "TASK_LOSS",
    "TOKENS",
    "kind_of",
    "names_of",
    "typed_names",
]

PARAMS = Column("params", "N, model parameters")
TOKENS = Column("tokens", "D, training tokens")
SAMPLES = Column("samples", "k, samples per query")
LOSS = Column("loss", "nats per token")
TASK_LOSS = Column("loss", "−log pass@k, nats")
PASS = Column("pass_at_k", "a probability", Domain.UNIT)
COUNTS = (
    Column("num_samples", "n, samples drawn of a problem", Domain.COUNT),
    Column("num_correct", "c, of these right", Domain.COUNT),
)
_OF_LOSS = (PARAMS, TOKENS)
_OF_TASK = (PARAMS, TOKENS, SAMPLES)
_LOSS_TITLE = "loss (nats per token)"
_SERVED = "--total-flops 1e24 --queries 1e9 --output-tokens 500"

_TABLE = (
    Kind(
        "Chinchilla",
        "t2jax.laws",
        Role.LAW,
        (
            Field("E", Domain.NONNEGATIVE, 1.7, "nats"),
            Field("A", typical=400.0),
            Field("B", typical=400.0),
            Field("alpha", typical=0.35),
            Field("beta", typical=0.35),
        ),
        typed="chinchilla",
        formula="E + A/N^alpha + B/D^beta",
        inputs=_OF_LOSS,
        observed=LOSS,
        terms=(Term("A", "params", "alpha"), Term("B", "tokens", "beta")),
        title=_LOSS_TITLE,
    ),
    Kind(
        "Kaplan",
        "t2jax.laws",
        Role.LAW,
        (
            Field("N_c", typical=6.4e13, unit="parameters"),
            Field("D_c", typical=1.8e13, unit="tokens"),
            Field("alpha_N", typical=0.076),
            Field("alpha_D", typical=0.103),
        ),
        typed="kaplan",
        formula="((N_c/N)^(alpha_N/alpha_D) + D_c/D)^alpha_D",
        inputs=_OF_LOSS,
        observed=LOSS,
        title=_LOSS_TITLE,
    ),
    Kind(
        "Overtraining",
        "t2jax.laws",
        Role.LAW,
        (
            Field("E", Domain.NONNEGATIVE, 1.7, "nats"),
            Field("a", typical=140.0),
            Field("b", typical=190.0),
            Field("eta", typical=0.12),
        ),
        typed="overtraining",
        formula="E + a/(6N²)^eta + b/(6D²)^eta",
        inputs=_OF_LOSS,
        observed=LOSS,
        terms=(Term("a", "params", "eta", 2.0), Term("b", "tokens", "eta", 2.0)),
        title=_LOSS_TITLE,
    ),
    Kind(
        "DataConstrained",
        "t2jax.laws",
        Role.LAW,
        (
            Field("law", law=("Chinchilla",)),  # only such a law has repeats to discount
            Field("unique_tokens", unit="tokens"),
            Field("R_D", typical=15.0),
            Field("R_N", typical=5.0),
        ),
        typed="data-constrained",
        formula="chinchilla with repeated data",
        inputs=_OF_LOSS,
        observed=LOSS,
        per_row=(Column("unique_tokens", "U, distinct tokens"),),
        title=_LOSS_TITLE,
        options="--unique-tokens 100B --train-flops 1e23",
    ),
    Kind(
        "T2Loss",
        "t2jax.tasks",
        Role.TASK,
        (Field("law", law=()), Field("G", unit="nats"), Field("gamma", typical=0.3)),
        typed="t2-loss",
        formula="(−log of the mean pass@k)",
        inputs=_OF_TASK,
        observed=TASK_LOSS,
        terms=(Term("G", "samples", "gamma"),),
        title="task loss −log pass@k (nats)",
        options=_SERVED,
    ),
    Kind(
        "T2Accuracy",
        "t2jax.tasks",
        Role.TASK,
        (
            Field("law", law=()),
            Field(
                "theta",
                typical=(1.5, 3.0, 0.9, 0.0, 0.0),
                entries=(Domain.REAL, Domain.POSITIVE, Domain.SHARE, Domain.REAL, Domain.REAL),
            ),
        ),
        typed="t2-accuracy",
        inputs=_OF_TASK,
        observed=PASS,
        counted=True,
        begins=False,
        link="log odds",
        higher_is_better=True,
        title="pass@k",
        options=_SERVED,
    ),
    Kind(
        "BetaPassRate",
        "t2jax.tasks",
        Role.RATES,
        (Field("a"), Field("b")),
        typed="beta",
        formula="the pass rates of one model's problems",
        inputs=(SAMPLES,),
        observed=PASS,
        counted=True,
        link="log odds",
        higher_is_better=True,
        title="pass@k",
    ),
    Kind(
        "ErrorFromLoss",
        "t2jax.laws",
        Role.ERROR,
        (Field("epsilon", Domain.PROBABILITY, 0.85), Field("kappa"), Field("gamma", unit="1/nats")),
        formula="epsilon - kappa*exp(-gamma*L)",
        title="mean top-1 error",
    ),
)


class _Kinds(Mapping[str, Kind]):
    """The rows by name: those of t2jax, and those that were registered after them."""

    def __init__(self) -> None:
        self._rows = {row.name: row for row in _TABLE}

    def __getitem__(self, name: str) -> Kind:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Kind) -> None:
        """One more, or in place of one of its name."""
        self._rows[row.name] = row

    def drop(self, name: str) -> None:
        """Without it, as if it had never been registered."""
        del self._rows[name]


KINDS = _Kinds()


def kind_of(one: object) -> Kind | None:
    """The row of an object or a class; None where its class is not in the registry, whatever it is called."""
    cls = one if isinstance(one, type) else type(one)
    row = KINDS.get(cls.__name__)
    return row if row is not None and row.load() is cls else None


def names_of(*roles: Role) -> tuple[str, ...]:
    """Names of all kinds with these roles, role by role, each in alphabetical order."""
    return tuple(name for role in roles for name in sorted(KINDS) if KINDS[name].role is role)


def typed_names() -> dict[str, Kind]:
    """The kinds that can be fitted, by what follows `t2jax fit --model`."""
    return {row.typed: row for row in KINDS.values() if row.typed}
