"""Ticks that people read, colours that everybody tells apart, and nothing loaded before it is asked for."""

import itertools
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from t2jax.plot._style import COLOURS, log_axis, look, rounded, series, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0.5, "0.5"),
        (1e-4, "1e-4"),
        (2000, "2,000"),
        (100_000, "100,000"),
        (1e6, "1M"),
        (10**7, "10M"),
        (0.1 * 1e10, "1B"),
        (7e9, "7B"),
        (1.5e13, "15T"),
        (1e15, "1e15"),
        (10.0**23, "1e23"),
        (2.5e24, "2.5e24"),
        (0, "0"),
        (-2e6, "-2M"),
    ],
)
def test_ticks_read_as_people_write(value, text):
    assert short(value) == text


def test_names_have_three_digits():
    assert [rounded(one) for one in (196.83, 4.0918e9, 1.00049e24)] == ["197", "4.09B", "1e24"]


@pytest.mark.parametrize(("low", "times"), [(0.13, 1.4), (3e8, 8), (1.1e20, 60), (1e-3, 1e6), (1e9, 1e15)])
@pytest.mark.parametrize("width", [1.6, 6.4])
def test_log_axes_have_a_few_ticks_that_fit(low, times, width):
    figure, ax = plt.subplots(figsize=(width, width), layout="constrained")
    ax.plot([low, low * times], [low, low * times])
    log_axis(ax.xaxis)
    log_axis(ax.yaxis)
    figure.draw_without_rendering()
    for axis in (ax.xaxis, ax.yaxis):
        left, right = axis.get_view_interval()
        ticks = [tick for tick in axis.get_major_ticks() if left <= tick.get_loc() <= right]
        assert (1 if width < 2 else 2) <= len(ticks) <= 12
        boxes = [tick.label1.get_window_extent() for tick in ticks]
        if width > 2:
            assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))
        values = [tick.label1.get_text() for tick in ticks]
        assert len(set(values)) == len(values)


def test_series_differ_in_colour_and_without_it():
    looks = [look(i) for i in range(8)]
    assert len({one.colour for one in looks}) == len({str(one.line) for one in looks}) == 8
    assert len({one.marker for one in looks}) == 8
    # The first two, which most pictures have, are of different lightness, too (ITU-R BT.709).
    first, second = (np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)) for colour in COLOURS[:2])
    assert abs(first - second) > 0.05


def test_matplotlib_is_loaded_when_asked_for_and_said_to_be_missing():
    code = (
        "import sys, t2jax\n"
        "t2jax.known_models()\n"
        "assert not {'matplotlib', 'jax'} & set(sys.modules)\n"
        "assert 'plot' in dir(t2jax)\n"
        "sys.modules['matplotlib'] = None\n"
        "try:\n    t2jax.plot\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == 't2jax.plot needs matplotlib: pip install "t2jax[plot]"\n', done.stderr


@pytest.mark.parametrize("y", [[1.0], [1.0, 2.0], [1.0, np.nan], [np.nan, 1.0, np.nan, 2.0, 3.0]])
def test_series_of_few_points(y):
    ax = Figure().subplots()
    series(ax, np.arange(1.0, len(y) + 1.0), np.array(y))
    (line,) = ax.get_lines()
    assert line.get_markevery() == np.flatnonzero(np.isfinite(y)).tolist()
