"""Grey keeps its shades where a format has only colour, though its profile is one of grey."""

from __future__ import annotations

import io
import struct

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

from srnet import pngcolour
from srnet.convert import flattened
from srnet.image import Image, decode, encode
from tests.image.support import chunk, png

LINEAR = chunk(b"gAMA", struct.pack(">I", 100_000))
FULL = np.full((16, 16), 255, np.uint8)


def linear_grey() -> bytes:
    """A profile in which 100 is a light grey."""
    icc = decode(png(np.full((1, 1), 100, np.uint8), 0, 8, LINEAR))[0].icc
    assert icc is not None
    assert icc[16:20] == b"GRAY"
    return icc


def shown(data: bytes) -> np.ndarray:
    """The first pixel as a viewer shows it, which heeds profiles of the right kind."""
    pil = PIL.Image.open(io.BytesIO(data))
    pil.load()
    icc = pil.info.get("icc_profile")
    if icc is None:
        return np.asarray(pil.convert("RGB"))[0, 0]
    assert icc[16:20] == (b"GRAY" if pil.mode == "L" else b"RGB ")
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    through = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), pil.mode, "RGB")
    return np.asarray(ImageCms.applyTransform(pil, through))[0, 0]


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "webp", "avif"])
def test_a_still_looks_the_same_in_every_format(name: str) -> None:
    grey = Image(np.full((16, 16, 1), 100, np.uint8), icc=linear_grey())
    assert np.abs(shown(encode([grey], name)).astype(int) - 168).max() <= 2
    bare = decode(encode([grey], name, keep_metadata=False))[0]
    assert bare.icc is None
    assert abs(int(bare.rgb[0, 0, 0]) - 168) <= 2


def test_so_it_does_on_a_colour() -> None:
    grey = Image(np.full((16, 16, 1), 100, np.uint8), FULL, linear_grey())
    data = encode([grey], "jpeg", background=(255, 0, 0))
    assert np.abs(shown(data).astype(int) - 168).max() <= 2


def test_sixteen_bits_with_alpha_keep_them_in_a_tiff() -> None:
    deep = Image(
        np.full((16, 16, 1), 25_700, np.uint16), FULL.astype(np.uint16) * 257, linear_grey()
    )
    found = decode(encode([deep], "tiff"))[0]
    assert (found.rgb == 25_700).all()
    plain = decode(encode([found], "png", keep_metadata=False))[0]  # 16 bits stay: with a profile
    assert plain.icc is not None
    eight = decode(encode([found], "webp", keep_metadata=False, lossless=True))[0]
    assert np.abs(eight.rgb[0, 0].astype(int) - 168).max() <= 2


def test_animations_too() -> None:
    frames = [
        Image(np.full((16, 16, 1), v, np.uint8), icc=linear_grey(), duration=40, loop=0)
        for v in (100, 200)
    ]
    assert np.abs(shown(encode(frames, "webp", lossless=True)).astype(int) - 168).max() <= 2


def test_a_profile_of_another_kind_turns_into_srgb() -> None:
    icc = bytearray(linear_grey())
    icc[20:24] = b"Lab "  # whose curves end in L*: linear, 50 % is the lightness of half
    assert pngcolour.for_three_channels(bytes(icc)) is None
    grey = Image(np.full((16, 16, 1), 128, np.uint8), icc=bytes(icc))
    found = decode(encode([grey], "webp", lossless=True))[0]
    assert found.icc is None
    assert np.abs(found.rgb[0, 0].astype(int) - 119).max() <= 2


def test_and_is_then_mixed_with_a_colour_in_the_depth_that_it_has() -> None:
    icc = bytearray(linear_grey())
    icc[20:24] = b"Lab "
    half = np.full((16, 16), 32_768, np.uint16)
    found = flattened(Image(half[..., None], half, bytes(icc)), (255, 0, 0))
    assert (found.rgb.dtype, found.icc) == (np.uint8, None)
    wanted = [(119 + 255) / 2, 119 / 2, 119 / 2]
    assert np.abs(found.rgb[0, 0] - wanted).max() <= 2


@pytest.mark.parametrize("cut", [0, 100, 131, 140, 200])
def test_what_is_cut_off_has_no_curve(cut: int) -> None:
    assert pngcolour.for_three_channels(linear_grey()[:cut]) is None
