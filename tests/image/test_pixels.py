"""Values of samples, from file to file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srnet.image import (
    FORMATS,
    decode,
    encode,
    from_array,
    read_header,
)
from tests.image.support import bands, dtypes, noise, same, shapes, slope


@settings(max_examples=60)
@given(shapes, bands, dtypes, st.integers(0, 9), st.integers(0, 99))
def test_png_keeps_every_value(shape, count, dtype, level, seed):
    image = noise(*shape, count, dtype, seed)
    data = encode([image], "png", png_level=level)
    assert same(decode(data)[0], image)
    header = read_header(data, "x")
    assert (header.height, header.width, header.frames) == (*shape, 1)
    assert header.depth == np.dtype(dtype).itemsize * 8
    assert header.alpha == (count in (2, 4))


@settings(max_examples=60)
@given(shapes, bands, dtypes, st.integers(0, 99))
def test_tiff_keeps_every_value(shape, count, dtype, seed):
    image = noise(*shape, count, dtype, seed)
    found = decode(encode([image], "tiff"))[0]
    if count == 2 and dtype == np.uint16:  # no reader knows 16-bit grey with alpha
        image = replace(image, rgb=np.repeat(image.rgb, 3, axis=2))
    assert same(found, image)


@settings(max_examples=30)
@given(shapes, st.sampled_from([3, 4]), st.integers(0, 99))
def test_webp_without_loss_keeps_every_value(shape, count, seed):
    image = noise(*shape, count, seed=seed)
    found = decode(encode([image], "webp", lossless=True))[0]
    if image.alpha is not None and image.alpha.min() == 255:
        image = replace(image, alpha=None)
    assert same(found, image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_formats_that_lose_something_come_close(name, count, dtype):
    image = slope(61, 83, count, dtype)
    found = decode(encode([image], name, background=(255, 255, 255)))[0]
    assert found.rgb.dtype == np.uint8
    if name == "jpeg":
        assert found.alpha is None
        assert found.rgb.shape[2] == image.rgb.shape[2]
    if name != "jpeg" or count < 4:
        wanted = image.rgb.astype(float) / np.iinfo(dtype).max * 255
        assert np.abs(found.rgb - wanted).mean() < 2
    if name != "jpeg" and image.alpha is not None:
        assert np.abs(found.alpha - image.alpha.astype(float) / np.iinfo(dtype).max * 255).max() < 3


def test_strips_join_without_a_seam():
    for dtype in (np.uint8, np.uint16):
        image = noise(900, 400, 4, dtype)
        for name in ("png", "tiff"):
            assert same(decode(encode([image], name))[0], image)


def test_jpeg_is_444_unless_asked():
    image = noise(64, 64, 3)
    sizes = [len(encode([image], "jpeg", subsampling=s)) for s in ("4:4:4", "4:2:2", "4:2:0")]
    assert sizes == sorted(sizes, reverse=True)
    assert encode([image], "jpeg") == encode([image], "jpeg", subsampling="4:4:4")
    assert len(encode([image], "jpeg", quality=30)) < len(encode([image], "jpeg", quality=90))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("count", [1, 3])
def test_white_stays_white_and_black_black(name, count):
    for value in (0, 255):
        image = from_array(np.full((20, 20, count), value, np.uint8))
        assert (decode(encode([image], name))[0].rgb == value).all()


def test_sixteen_bits_are_rounded_not_cut():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = decode(encode([from_array(np.dstack([values] * 3))], "webp", lossless=True))[0].rgb
    assert np.array_equal(found[..., 0], np.rint(values * 255.0 / 65535))
