"""The catalogue of accelerators against their makers' figures, and what is said of a card that it lacks."""

import re

import jax
import jax.numpy as jnp
import pytest

import t2jax as t2

ALL = {one.name: one for one in t2.list_accelerators()}


def test_every_card_that_people_serve_on_is_there():
    expected = "a100-sxm-40gb a100-sxm-80gb h100-sxm h100-pcie h200-sxm b200 l40s mi300x tpu-v5e tpu-v5p tpu-v6e"
    assert set(expected.split()) <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_every_card_has_a_source_and_figures_of_its_kind(name):
    one = ALL[name]
    maker = {"tpu": "Google", "mi3": "AMD"}.get(name[:3], "NVIDIA")
    assert one.source.startswith(maker)
    assert re.search(r"20[12]\d", one.source)
    assert set(one.peak_flops) <= {"bf16", "fp16", "fp8", "int8", "fp32"}
    assert 1e14 < float(one.peak("bf16")) < 1e16
    assert 1e10 < float(one.memory_bytes) < 1e12
    assert 5e11 < float(one.bandwidth) < 1e13
    # Dense: one byte a number is twice as fast as two, and no half of it is sparsity.
    eight = one.peak_flops.get("int8", one.peak_flops.get("fp8"))
    assert float(eight / one.peak("bf16")) == pytest.approx(2, rel=0.03)
    assert (one.power_watts is None) == name.startswith("tpu")


def test_figures():
    h100 = t2.accelerator("h100-sxm")
    assert float(h100.peak("bf16")) == 989.4e12  # not the 1,979e12 of sparse matrices
    assert float(h100.intensity("bf16")) == pytest.approx(295.3, abs=0.1)
    assert float(t2.accelerator("a100-sxm-80gb").peak("fp16")) == 312e12
    assert float(t2.accelerator("b200").peak("fp8") / t2.accelerator("b200").bandwidth) == 562.5


def test_names_as_people_write_them():
    assert t2.accelerator(" H100_SXM").name == t2.accelerator("H100 SXM").name == "h100-sxm"


def test_the_list_is_a_table():
    lines = str(t2.list_accelerators()).splitlines()
    assert len(lines) == 1 + len(ALL)
    assert lines[0].split()[0] == "name"
    assert all(name in text for name, text in zip(ALL, lines[1:], strict=True))


def test_ones_own():
    mine = t2.Hardware("mine", peak_flops={"bf16": 1e14}, memory_bytes=1e10, bandwidth=1e12, power_watts=100)
    assert str(mine) == "mine"
    assert float(mine.intensity("bf16")) == 100
    batch = jax.vmap(
        lambda b: t2.Hardware("m", peak_flops={"bf16": 1e14}, memory_bytes=1e10, bandwidth=b).intensity("bf16")
    )(jnp.array([1e12, 2e12]))
    assert batch.tolist() == [100.0, 50.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: t2.accelerator("h100"),
            "no accelerator is called 'h100': did you mean 'h100-sxm' or 'h100-pcie' or 'h200-sxm'? "
            "list_accelerators() shows all 12, and Hardware(...) describes another",
        ),
        (
            lambda: t2.accelerator("abacus"),
            "no accelerator is called 'abacus': list_accelerators() shows all 12, and Hardware(...) describes another",
        ),
        (
            lambda: t2.Hardware("x", peak_flops={"bf16": 1e14}, memory_bytes=1e10, bandwidth=0),
            "bandwidth must be positive and finite, got 0",
        ),
        (
            lambda: t2.Hardware("x", peak_flops={"bf16": -1}, memory_bytes=1e10, bandwidth=1),
            "peak_flops['bf16'] must be positive and finite, got -1",
        ),
        (
            lambda: t2.accelerator("a100-sxm-40gb").peak("fp8"),
            "a100-sxm-40gb has no peak in 'fp8', only in bf16, fp16, fp32, int8",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=r".") as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.usefixtures("untyped")
def test_peaks_that_are_no_mapping():
    with pytest.raises(TypeError, match=r"^peak_flops must give FLOP/s by dtype, such as \{'bf16': 312e12\}, got 7$"):
        t2.Hardware("x", peak_flops=7, memory_bytes=1e10, bandwidth=1)
