"""Grids: every row is that of the product of the axes, however large the grid, and every flaw of an axis is named."""

import itertools

import numpy as np
import pytest

import t2jax as t2


def test_rows_are_those_of_the_product_of_the_axes():
    """Against itertools.product, for random axes and random slices; long strides and short ones."""
    random = np.random.default_rng(0)
    for _ in range(300):
        axes = {name: random.normal(size=random.integers(1, 6)) for name in "abcd"[: random.integers(1, 5)]}
        grid, rows = t2.grid(**axes), np.array(list(itertools.product(*axes.values())))
        assert len(grid) == len(rows)
        assert grid.shape == tuple(map(len, axes.values()))
        start, stop = random.integers(-len(rows) - 2, len(rows) + 3, 2)
        for part in (slice(start, stop), slice(start, stop, 3), slice(None, None, -1), slice(None)):
            for j, (name, column) in enumerate(grid[part].items()):
                assert name == grid.names[j]
                assert column.dtype == np.float64
                np.testing.assert_array_equal(column, rows[part, j])
        i = int(random.integers(-len(rows), len(rows)))
        assert grid[i] == dict(zip(axes, rows[i].tolist(), strict=True))


def test_a_grid_of_1e15_rows_is_never_written_out():
    grid = t2.grid(a=range(10**5), b=range(10**5), c=np.arange(10**5))
    assert len(grid) == 10**15
    rows = grid[10**14 + 99_999 : 10**14 + 100_001]
    assert {name: column.tolist() for name, column in rows.items()} == {
        "a": [10_000.0, 10_000.0],
        "b": [0.0, 1.0],
        "c": [99_999.0, 0.0],
    }
    assert grid[-1] == {"a": 99_999.0, "b": 99_999.0, "c": 99_999.0}
    assert len(grid[5:5]["a"]) == 0


def test_a_grid_prints_its_axes_and_keeps_its_numbers():
    axis = np.geomspace(1e20, 1e26, 1000)
    grid = t2.grid(budget=axis, queries=[10**6, 10**9], k=3)
    axis[:] = 0  # the caller's own
    assert grid[0] == {"budget": 1e20, "queries": 1e6, "k": 3.0}
    assert repr(grid).splitlines() == [
        "grid of 2,000 scenarios",
        "  budget   1,000  1e+20  –  1e+26",
        "  queries      2  1e+06  –  1e+09",
        "  k            1      3",
    ]


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ({}, ValueError, "one axis or more"),
        ({"a": []}, ValueError, "axis 'a' is empty"),
        ({"a": [[1, 2]]}, ValueError, r"axis 'a' must be one-dimensional, got shape \(1, 2\)"),
        ({"a": [[1], [2, 3]]}, ValueError, "axis 'a' must be one-dimensional, got rows of unequal shapes"),
        ({"a": 1, "b": [1.0, np.nan]}, ValueError, "axis 'b' must be finite, got nan"),
        ({"a": [10**400]}, ValueError, "axis 'a' must be finite, got inf"),
        ({"a": "1e20"}, TypeError, "axis 'a' must hold real numbers"),
        ({"a": None}, TypeError, "axis 'a' must hold real numbers"),
        ({"a": [1j]}, TypeError, "axis 'a' must hold real numbers, got complex128"),
        ({"a": [1.0, True]}, TypeError, "axis 'a' must hold real numbers, got true and false: give 0.0 and 1.0"),
        ({name: range(10**4) for name in "abcde"}, ValueError, r"fewer than 2\*\*63 rows"),
    ],
)
def test_a_flaw_of_an_axis_is_named(axes, error, message):
    with pytest.raises(error, match=message):
        t2.grid(**axes)


def test_a_row_beyond_the_grid_is_refused():
    grid = t2.grid(a=[1, 2])
    with pytest.raises(IndexError, match="row 2 of a grid of 2 rows"):
        grid[2]
