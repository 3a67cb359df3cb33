"""Colour under transparent pixels."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srnet.alpha import fill_hidden


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_visible_pixels_are_untouched(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    alpha = rng.choice([0, 1, 4, 7, 8, 128, 255], (height, width)).astype(np.uint8)
    filled = fill_hidden(rgb, alpha)
    assert filled.dtype == rgb.dtype
    known = alpha >= 8 if alpha.max() >= 8 else alpha > 0
    np.testing.assert_array_equal(filled[known], rgb[known])
    over = [p * (alpha[..., None] / 255.0) for p in (rgb, filled)]  # less what is behind
    assert np.abs(over[0] - over[1])[alpha > 0].max(initial=0) <= 2.01
    if (alpha > 0).any():  # new colours lie between those that can be seen
        seen = rgb[alpha > 0]
        assert (filled >= seen.min(axis=0)).all()
        assert (filled <= seen.max(axis=0)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_visible_pixel_colours_everything(dtype: type) -> None:
    rgb = np.zeros((13, 9, 3), dtype)
    alpha = np.zeros((13, 9), dtype)
    rgb[4, 5], alpha[4, 5] = (200, 100, 50), 255
    assert (fill_hidden(rgb, alpha) == (200, 100, 50)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_that_is_hardly_seen_is_hardly_believed(dtype: type) -> None:
    unit = np.iinfo(dtype).max // 255
    rgb = np.full((5, 9, 3), 200 * unit, dtype)
    alpha = np.full((5, 9), 255 * unit, dtype)
    rgb[:, 4:], alpha[:, 4:] = 0, np.array([0, 1, 4, 7, 8], dtype) * unit
    found = fill_hidden(rgb, alpha)[2, 4:, 0] / unit
    # the faint ones are between black and what lies about them, which is black at last
    assert found[0] > 100
    assert 200 * 7 / 8 >= found[1] > 100 * 7 / 8
    assert 0 < found[2] <= 100
    assert found[4] == 0
    assert (fill_hidden(rgb[:, 4:], alpha[:, 4:])[:, 3:] == 0).all()


def test_nothing_to_do_returns_the_same_array() -> None:
    rgb = np.zeros((3, 3, 3), np.uint8)
    assert fill_hidden(rgb, np.full((3, 3), 255, np.uint8)) is rgb
    assert fill_hidden(rgb, np.zeros((3, 3), np.uint8)) is rgb


@pytest.mark.parametrize("shown", [1, -1], ids=["one hidden", "one visible"])
def test_it_takes_little_memory(shown: int) -> None:
    side = 2000
    rgb = np.zeros((side, side, 3), np.uint8)
    alpha = np.full((side, side), 255 if shown > 0 else 0, np.uint8)
    alpha[5, 5] = 255 - alpha[5, 5]
    tracemalloc.start()
    fill_hidden(rgb, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * side**2  # bytes; the result is three for each pixel
