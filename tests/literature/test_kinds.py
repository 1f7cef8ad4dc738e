"""The registry says of every class what the class itself does, and its JSON comes back as it went."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import t2jax as t2
from t2jax.literature import KINDS, Domain, Role, built, described, example_of, kind_of, names_of, terms_of
from t2jax.quantities import Provenance, Quantity, Scale

OWN = sorted(KINDS)
OUTSIDE = {
    Domain.POSITIVE: 0.0,
    Domain.NONNEGATIVE: -0.1,
    Domain.SHARE: 1.1,
    Domain.PROBABILITY: 1.0,
    Domain.REAL: np.inf,
}


def test_what_there_is():
    assert names_of(Role.LAW) == ("Chinchilla", "DataConstrained", "Kaplan", "Overtraining")
    assert names_of(Role.TASK) == ("T2Accuracy", "T2Loss")
    assert {row.kind for row in t2.list_published()} == set(OWN) - {"BetaPassRate"}


@pytest.mark.parametrize("name", OWN)
def test_fields_are_those_of_the_class(name):
    kind = KINDS[name]
    cls = kind.load()
    fields = [one.name for one in dataclasses.fields(cls) if not one.metadata.get("static")]
    assert fields == list(kind.field_names)
    assert kind_of(cls) is kind
    assert kind_of(example_of(kind)) is kind


@pytest.mark.parametrize("name", OWN)
def test_domains_are_those_that_the_class_checks(name):
    kind = KINDS[name]
    typical = {one.name: example_of(KINDS["Chinchilla"]) if one.is_law else one.typical for one in kind.fields}
    for field in kind.fields:
        for i, (number, domain) in enumerate(field.numbers()):
            wrong = OUTSIDE[domain]
            value = typical[field.name]
            value = wrong if field.entries is None else [*value[:i], wrong, *value[i + 1 :]]
            with pytest.raises(ValueError, match="must be"):
                kind.load()(**{**typical, field.name: value})
            assert not domain.holds(wrong), number
            inside = typical[field.name] if field.entries is None else typical[field.name][i]
            assert domain.holds(inside), number


@pytest.mark.parametrize("name", OWN)
def test_json_comes_back(name):
    kind = KINDS[name]
    source = Provenance("mine", "our runs", params=(1e6, 1e9), tokens=(1e9, 1e11), convention="non-embedding")
    law = t2.published("devries2023")
    values = {
        one.name: law if one.is_law else one.typical if one.entries is None else [0.75 * entry for entry in one.typical]
        for one in kind.fields
    }
    model = kind.load()(**values, **({"provenance": source} if kind.keeps_source() else {}))
    content = json.loads(json.dumps(described(model), allow_nan=False))
    again = built(content, "mine.json", [name])
    assert type(again) is type(model)
    assert jax.tree.structure(again) == jax.tree.structure(model)  # with its sources
    assert [leaf.tolist() for leaf in jax.tree.leaves(again)] == [leaf.tolist() for leaf in jax.tree.leaves(model)]
    assert described(again) == content


@pytest.mark.parametrize("name", [name for name in OWN if KINDS[name].role.plans])
def test_what_is_said_of_a_value_is_what_an_object_says(name):
    kind = KINDS[name]
    model = example_of(kind)
    assert isinstance(model, Quantity)
    assert kind.link == ("log odds" if model.scale is Scale.LOG_ODDS else "log")
    assert isinstance(model, t2.Task) == (kind.role is Role.TASK)
    if isinstance(model, t2.Task):
        assert model.higher_is_better == kind.higher_is_better
        assert model.value_title.split()[0] in kind.title
    else:
        assert isinstance(model, t2.LossLaw)


@pytest.mark.parametrize("name", ["Chinchilla", "Overtraining", "T2Loss"])
def test_terms_are_powers_of_their_columns(name):
    """∂L/∂amplitude is column^(−power·exponent), but for a constant."""
    model = example_of(KINDS[name])
    names = [jax.tree_util.keystr(path).lstrip(".") for path, _ in jax.tree_util.tree_leaves_with_path(model)]
    leaves, treedef = jax.tree.flatten(model)
    terms = terms_of(model)
    assert len(terms) == (3 if name == "T2Loss" else 2)
    for term in terms:
        amplitude, exponent = names.index(term.amplitude), names.index(term.exponent)

        def loss(value, at, place=amplitude):
            moved = [value if i == place else leaf for i, leaf in enumerate(leaves)]
            return jax.tree.unflatten(treedef, moved)(t2.Allocation(**at))

        usual = {"params": 1e9, "tokens": 1e10, "samples": 10.0}
        slopes = [
            float(jax.grad(loss)(leaves[amplitude], usual | {term.column: usual[term.column] * factor}))
            for factor in (1.0, 7.0)
        ]
        np.testing.assert_allclose(
            np.log(slopes[1] / slopes[0]), -term.power * leaves[exponent] * np.log(7.0), rtol=1e-9
        )


def test_an_ensemble_is_no_json():
    law = t2.Chinchilla(jnp.ones(3), jnp.ones(3), jnp.ones(3), jnp.ones(3), jnp.ones(3))
    with pytest.raises(TypeError, match=r"one law at a time is written as JSON: E has shape \(3,\)"):
        described(law)


def test_what_is_not_registered_has_no_json():
    with pytest.raises(TypeError, match=r"not TrainingFLOPs: t2jax.register\(TrainingFLOPs\) makes it one"):
        described(t2.TrainingFLOPs())
