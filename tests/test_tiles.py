"""Tile plans: equal crops, cores that partition, margins as wide as the halo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srnet import tiles
from srnet.errors import OptionError

sizes = st.integers(1, 97)


@given(sizes, sizes, st.integers(0, 39), st.integers(0, 9), st.integers(0, 4))
def test_plan(height: int, width: int, extra: int, halo: int, surround: int) -> None:
    tile, surround = tiles.least(halo) + extra, min(halo, surround)
    plan = tiles.plan(height, width, tile, halo, surround)
    seen = np.zeros((height, width), int)
    for t in plan:
        assert (t.height, t.width) == (plan[0].height, plan[0].width)
        assert t.height <= max(tile, 1)
        assert t.width <= max(tile, 1)
        assert -surround <= t.y <= height + surround - t.height
        assert -surround <= t.x <= width + surround - t.width
        bottom, right = t.y + t.height, t.x + t.width
        assert t.top - t.y >= (halo if t.y > -surround else surround)
        assert t.left - t.x >= (halo if t.x > -surround else surround)
        assert bottom - t.bottom >= (halo if bottom < height + surround else surround)
        assert right - t.right >= (halo if right < width + surround else surround)
        seen[t.top : t.bottom, t.left : t.right] += 1
    assert (seen == 1).all()


@given(sizes, sizes, st.integers(1, 20), st.sampled_from([1, 2, 3]))
def test_crop_core_paste_rebuild_the_picture(h: int, w: int, extra: int, scale: int) -> None:
    picture = np.arange(h * w).reshape(h, w)
    canvas = np.full((h * scale, w * scale), -1)
    for t in tiles.plan(h, w, 6 + extra, 3):
        enlarged = tiles.crop(picture, t).repeat(scale, 0).repeat(scale, 1)
        tiles.paste(canvas, t, tiles.core(enlarged, t, scale), scale)
    np.testing.assert_array_equal(canvas, picture.repeat(scale, 0).repeat(scale, 1))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 20), st.integers(0, 4))
def test_crops_see_the_picture_mirrored(h: int, w: int, extra: int, surround: int) -> None:
    picture = np.arange(h * w).reshape(h, w)
    around = np.pad(picture, surround, "symmetric")
    for t in tiles.plan(h, w, 9 + extra, 4, surround):
        rows = slice(t.y + surround, t.y + surround + t.height)
        columns = slice(t.x + surround, t.x + surround + t.width)
        np.testing.assert_array_equal(tiles.crop(picture, t), around[rows, columns])


@pytest.mark.parametrize("halo", [0, 1, 3, 15])
def test_a_tile_that_is_nearly_all_margin_is_refused(halo: int) -> None:
    least = tiles.least(halo)
    assert len(tiles.plan(100, 200, least, halo)) > 1
    assert least - 2 * halo >= max(1, least // 6)  # 36 times the work of a large tile, at most
    with pytest.raises(OptionError, match=f"at least {least}"):
        tiles.plan(100, 200, least - 1, halo)
    assert len(tiles.plan(least - 1, least - 1, least - 1, halo)) == 1  # whole, it needs no margin
