"""Intervals of a plan as an object: printed, converted, and as JSON has them."""

import numpy as np
import pytest

import t2jax as t2

TRUE = {"E": 1.8, "A": 400.0, "B": 1200.0, "alpha": 0.34, "beta": 0.36}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Of a law that was fitted to 25 runs with a thousandth of noise."""
    noise, sizes, data = np.random.default_rng(0), np.geomspace(1e7, 1e10, 5), np.geomspace(1e9, 1e12, 5)
    n, d = (one.ravel() for one in np.meshgrid(sizes, data))
    loss = TRUE["E"] + TRUE["A"] / n ** TRUE["alpha"] + TRUE["B"] / d ** TRUE["beta"]
    fit = t2.fit(t2.Chinchilla, {"params": n, "tokens": d, "loss": loss * (1 + 1e-3 * noise.normal(size=25))})
    path = tmp_path_factory.mktemp("fit") / "law.json"
    fit.to_json(path)
    return t2.plan(law=str(path), train_flops=1e23)


def test_it_prints_as_in_the_plan(plan):
    said = str(plan.uncertainty)
    assert said in str(plan)
    assert repr(plan.uncertainty) == said
    lines = said.splitlines()
    assert lines[0] == "How sure the optimum is (90 % intervals from the fit's standard errors, by the delta method)"
    assert [line.split("  ")[1] for line in lines[1:]] == ["parameters N", "training tokens D", "loss (nats per token)"]
    assert plan.uncertainty._repr_html_().startswith("<pre>How sure")


def test_it_converts(plan):
    found = plan.uncertainty
    frame = found.to_pandas().set_index("name")
    assert list(frame.index) == ["params", "tokens", "value"]
    assert frame.loc["params"].tolist() == found.params
    assert frame.loc["params", "low"] < plan.optimum.params < frame.loc["params", "high"]
    assert found.to_arrow().to_pylist()[2] == {"name": "value", "low": found.value[0], "high": found.value[1]}
    latex = found.to_latex().splitlines()
    assert latex[2].split(" & ")[1:] == [r"90\% interval from", r"to \\"]
    assert latex[6].startswith("loss (nats per token) & ")


def test_its_json_is_that_of_the_plan(plan):
    said = plan.to_dict()["uncertainty"]
    assert said == plan.uncertainty.to_dict()
    assert list(said) == ["level", "method", "members", "solved", "params", "tokens", "samples", "value"]
