"""`register`: a law or task of a user's own becomes a kind like t2jax's."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any

from t2jax._io.usage import meant
from t2jax.literature._kind import Column, Domain, Field, Kind, Role, Term
from t2jax.literature._kinds import KINDS, LOSS, PARAMS, PASS, SAMPLES, TASK_LOSS, TOKENS
from t2jax.literature._parts import example_of

__all__ = ["register"]

_DOMAINS = {one.name.lower(): one for one in Domain if one not in (Domain.UNIT, Domain.COUNT)}
_USUAL = {"positive": 1.0, "nonnegative": 1.0, "share": 0.5, "probability": 0.5, "real": 0.0}


def register(
    cls: Any = None,
    *,
    name: str | None = None,
    domains: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    terms: Mapping[str, tuple[str, str]] | None = None,
    starts: Any = None,
) -> Any:
    """Make a loss law or a task of your own a kind like t2jax's: fitted, written to JSON, read, planned for by name.

    ```python
    @t2.register(domains={"E": "nonnegative"}, terms={"A": ("params", "alpha"), "B": ("active_params", "beta")})
    class Sparse(t2.LossLaw):
        E: jax.Array
        A: jax.Array
        alpha: jax.Array
        B: jax.Array
        beta: jax.Array

        def score(self, log):  # of a decision's logarithms: any column of a table by its name
            terms = [jnp.log(self.A) - self.alpha * log.params, jnp.log(self.B) - self.beta * log.active_params]
            return jnp.logaddexp(jnp.log(self.E), jnp.logaddexp(*terms))


    fit = t2.fit(Sparse, runs)  # a table with params, tokens, active_params and loss
    ```

    cls: a subclass of `Task`, or of `LossLaw` or `Quantity` for a loss law. Its fields are its coefficients, the laws
        inside, and perhaps `provenance`, which a fit fills in; other fields are static and have defaults. Its
        constructor takes the fields by name.
    name: what `t2jax fit --model` calls it; "my-law" for MyLaw unless given.
    domains: "positive", "nonnegative" (an irreducible loss), "share" (up to 1), "probability" or "real" of a field, or
        a tuple of them for a field that is a list of as many. Of others any number is read from JSON, and a fit from
        the class alone takes them to be positive.
    columns: fields that are columns of a fit's table, not fitted, with their meaning: {"bits": "bits per weight"}. The
        fitted law has the largest. A column of a name that `score` reads of the decision needs no mention.
    terms: power laws amplitude/column^exponent by the amplitude's field: {"A": ("params", "alpha")}. Fits of them begin
        better and are better conditioned.
    starts: models to begin fits at, or a function (columns, how many, numpy.random.Generator) → models. Unless given,
        the best of many draws from the domains.

    Returns the class, so that it is a decorator, too. A class of the same module and name takes the place of the
    registered one, as when a cell of a notebook runs again. `t2jax plan --plugin my_module` imports a module that
    registers. Raises TypeError for what is no such class, ValueError for what does not fit it, each with the reason.
    """
    if cls is None:
        return lambda one: register(one, name=name, domains=domains, columns=columns, terms=terms, starts=starts)
    role = _role(cls)
    _check_name(cls, name)
    coefficients = _coefficients(cls)
    per_row = tuple(Column(one, meaning) for one, meaning in (columns or {}).items())
    for what, told in (("domains", domains), ("columns", columns), ("terms", terms)):
        for one in told or {}:
            if one not in coefficients or coefficients[one] is not None:
                raise ValueError(
                    f"{what} names {one!r}, which is no coefficient of {cls.__name__}{_near(one, coefficients)}"
                )
    placed = tuple(_term(cls, one, told, coefficients) for one, told in (terms or {}).items())
    row = Kind(
        cls.__name__,
        cls.__module__,
        role,
        tuple(_field(one, inner, (domains or {}).get(one)) for one, inner in coefficients.items()),
        typed=_hyphenated(cls.__name__) if name is None else name,
        per_row=per_row,
        terms=placed,
        starts=starts,
        registered=cls,
    )
    before = KINDS.get(row.name)
    KINDS.add(row)
    try:
        KINDS.add(_completed(row))
    except BaseException:
        KINDS.drop(row.name)
        if before is not None:
            KINDS.add(before)
        raise
    return cls


# --- What is wrong with a class ---------------------------------------------------------------------------------------


def _role(cls: Any) -> Role:
    from t2jax.quantities import Quantity
    from t2jax.tasks import Task

    if not isinstance(cls, type) or not issubclass(cls, Quantity):
        what = cls.__name__ if isinstance(cls, type) else repr(cls)
        raise TypeError(
            f"register takes a class of laws or tasks, a subclass of t2jax.LossLaw or t2jax.Task, got {what}"
        )
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise TypeError(f"{cls.__name__} does not say {missing} yet: only a whole class can be registered")
    return Role.TASK if issubclass(cls, Task) else Role.LAW


def _check_name(cls: type, name: str | None) -> None:
    known = KINDS.get(cls.__name__)
    if known is not None and known.is_own:
        raise ValueError(f"{cls.__name__} is the name of a kind of t2jax: call the class otherwise")
    if known is not None and (known.module, known.load().__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"{cls.__name__} is registered already, from {known.module}: two kinds of one name cannot be told apart in "
            "JSON, so call the class otherwise"
        )
    typed = _hyphenated(cls.__name__) if name is None else name
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", typed):
        raise ValueError(f"name must be of small letters, digits and hyphens, such as my-law, got {typed!r}")
    for other in KINDS.values():
        if other.typed == typed and other.name != cls.__name__:
            raise ValueError(f"{typed!r} is what {other.name} is called: give {cls.__name__} another name=")


def _coefficients(cls: Any) -> dict[str, tuple[str, ...] | None]:
    """Fields of numbers (None) and of laws (the kinds that may stand there, () for any)."""
    found: dict[str, tuple[str, ...] | None] = {}
    for one in fields(cls):
        if one.name == "provenance":
            continue
        if one.metadata.get("static"):
            if one.default is MISSING and one.default_factory is MISSING:
                raise TypeError(f"{cls.__name__}.{one.name} is static and has no default: JSON has no place for it")
            continue
        found[one.name] = _laws_in(one)
    if not any(inner is None for inner in found.values()):
        raise TypeError(f"{cls.__name__} has no coefficients: a field for each, such as `alpha: jax.Array`")
    return found


def _laws_in(field: Any) -> tuple[str, ...] | None:
    from t2jax.quantities import Quantity

    annotated = field.type
    if isinstance(annotated, type) and issubclass(annotated, Quantity):
        return (annotated.__name__,) if annotated.__name__ in KINDS else ()
    return () if field.name == "law" else None


# --- A row of the registry --------------------------------------------------------------------------------------------


def _field(name: str, inner: tuple[str, ...] | None, told: Any) -> Field:
    if inner is not None:
        return Field(name, law=inner)
    if told is None:
        return Field(name, None)
    if isinstance(told, str):
        return Field(name, _domain(name, told), _USUAL[told])
    entries = tuple(_domain(name, one) for one in told)
    return Field(name, typical=tuple(_USUAL[one] for one in told), entries=entries)


def _domain(name: str, told: Any) -> Domain:
    if told not in _DOMAINS:
        known = ", ".join(_DOMAINS)
        near = meant(told, _DOMAINS) if isinstance(told, str) else ""
        raise ValueError(f"domains[{name!r}] must be one of {known}, or a tuple of them, got {told!r}{near}")
    return _DOMAINS[told]


def _term(cls: type, amplitude: str, told: Any, coefficients: Mapping[str, Any]) -> Term:
    if not isinstance(told, tuple | list) or len(told) != 2 or not all(isinstance(one, str) for one in told):
        raise ValueError(f'terms[{amplitude!r}] must be (column, exponent), such as ("params", "alpha"), got {told!r}')
    column, exponent = told
    if exponent not in coefficients:
        raise ValueError(
            f"terms[{amplitude!r}] has the exponent {exponent!r}, which is no coefficient of "
            f"{cls.__name__}{_near(exponent, coefficients)}"
        )
    return Term(amplitude, column, exponent)


def _completed(row: Kind) -> Kind:
    """With what only an object of the class tells: its scale, how its value is called, what it reads of a decision."""
    from t2jax.literature._reads import columns_read
    from t2jax.quantities import Scale
    from t2jax.tasks import Task

    example = _example(row)
    bounded = example.scale is Scale.LOG_ODDS
    extra = tuple(
        Column(one, "which the law reads")
        for one in columns_read(example)
        if one not in (PARAMS.name, TOKENS.name, SAMPLES.name)
    )
    observed, title, samples, higher = LOSS, "loss (nats per token)", (), False
    if isinstance(example, Task):
        unit = f" ({example.unit})" if example.unit else ""
        title, samples, higher = f"{example.value_title}{unit}", (SAMPLES,), example.higher_is_better
        usual = {PASS.name: PASS, "task_loss_nats": TASK_LOSS}
        own = Column(example.value_name, title, Domain.UNIT if bounded else Domain.POSITIVE)
        observed = usual.get(example.value_name, own)
    return replace(
        row,
        inputs=(PARAMS, TOKENS, *samples, *extra),
        observed=observed,
        counted=bounded and hasattr(example, "beta_at"),
        link="log odds" if bounded else "log",
        higher_is_better=higher,
        title=title,
        options="--total-flops 1e24 --queries 1e9 --output-tokens 500" if row.role is Role.TASK else row.options,
    )


def _example(row: Kind) -> Any:
    given = row.starts
    if is_dataclass(given):
        given = [given]
    if isinstance(given, Sequence):
        for one in given:
            if type(one) is not row.load():
                raise TypeError(f"starts must be models of {row.name}, got {one!r}")
        if not given:
            raise ValueError("starts must be at least one model")
        return given[0]
    if given is not None and not callable(given):
        raise TypeError(f"starts must be models of {row.name}, or a function that makes them, got {given!r}")
    try:
        return example_of(row)
    except Exception as error:
        shown = ", ".join(f"{one.name}={'a law' if one.is_law else one.typical}" for one in row.fields)
        raise ValueError(
            f"{row.name}({shown}) is not one: {error}. Say what its coefficients may be with domains=, or give one "
            "with starts="
        ) from error


def _hyphenated(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower().strip("_").replace("_", "-")


def _near(name: str, known: Any) -> str:
    return meant(name, known) or f": it has {', '.join(known)}"
