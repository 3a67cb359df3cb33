"""Colours that a PNG tells in chunks of its own, and not by a profile."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageCms

from srnet import pngcolour
from srnet.image import decode, encode, from_pil
from tests.image.support import chunk, png

LINEAR = chunk(b"gAMA", struct.pack(">I", 100_000))
SRGB_PLACES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3 = chunk(b"cICP", bytes([12, 13, 0, 1]))
COLOURS = np.array([[[90, 120, 150], [200, 180, 160], [10, 10, 10], [255, 255, 255]]], np.uint8)
P3_TO_SRGB = [  # of linear light; from the primaries and the white that both share
    [1.2249401763, -0.2249401763, 0.0],
    [-0.0420569547, 1.0420569547, 0.0],
    [-0.0196375546, -0.0786360456, 1.0982736001],
]


def chrm(*places: int) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *places))


def light(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(values: np.ndarray) -> np.ndarray:
    curve = 1.055 * np.maximum(values, 0) ** (1 / 2.4) - 0.055
    return np.where(values <= 0.0031308, values * 12.92, curve) * 255


def stripped(data: bytes) -> np.ndarray:
    """The colours in sRGB, as they are written without a profile."""
    return decode(encode(decode(data), "png", keep_metadata=False))[0].rgb


def test_linear_light_becomes_srgb_when_its_profile_goes() -> None:
    expected = encoded(COLOURS / 255)
    assert np.abs(stripped(png(COLOURS, 2, 8, LINEAR)) - expected).max() <= 1
    grey = COLOURS[..., 0]
    assert np.abs(stripped(png(grey, 0, 8, LINEAR))[..., 0] - expected[..., 0]).max() <= 1


def test_display_p3_becomes_srgb_when_its_profile_goes() -> None:
    expected = encoded(light(COLOURS / 255) @ np.array(P3_TO_SRGB).T)
    places = chrm(*SRGB_PLACES[:2], 68000, 32000, 26500, 69000, 15000, 6000)
    for before in ([P3], [chunk(b"gAMA", struct.pack(">I", 45455)), places]):
        assert np.abs(stripped(png(COLOURS, 2, 8, *before)) - expected).max() <= 1


def test_the_usual_gamma_is_a_plain_one_in_other_spaces_than_those_of_srgb() -> None:
    places = chrm(*SRGB_PLACES[:4], 21000, 71000, *SRGB_PLACES[6:])  # of Adobe RGB
    grey = np.repeat(np.arange(0, 256, 5, dtype=np.uint8)[None, :, None], 3, axis=2)
    for gamma in (45455, 45471):
        found = stripped(png(grey, 2, 8, chunk(b"gAMA", struct.pack(">I", gamma)), places))
        assert np.abs(found - encoded((grey / 255) ** (100_000 / gamma))).max() <= 1


CURVES = {
    1: lambda v: np.where(v < 0.081, v / 4.5, ((v + 0.099) / 1.099) ** (1 / 0.45)),
    4: lambda v: v**2.2,
    8: lambda v: v,
    13: light,
}


@pytest.mark.parametrize("primaries", [1, 9, 12])
@pytest.mark.parametrize("curve", CURVES)
def test_grey_stays_grey_in_every_space(primaries: int, curve: int) -> None:
    grey = np.repeat(np.arange(0, 256, 5, dtype=np.uint8)[None, :, None], 3, axis=2)
    found = stripped(png(grey, 2, 8, chunk(b"cICP", bytes([primaries, curve, 0, 1]))))
    assert np.abs(found - encoded(CURVES[curve](grey / 255))).max() <= 1.5


@pytest.mark.parametrize("name", ["png", "tiff", "jpeg", "webp", "avif"])
@pytest.mark.parametrize("before", [LINEAR, P3])
def test_it_travels_along_as_a_profile(name: str, before: bytes) -> None:
    (image,) = decode(png(np.tile(COLOURS, (8, 4, 1)), 2, 8, before))
    assert image.icc is not None
    assert decode(encode([image], name))[0].icc == image.icc
    told = ImageCms.ImageCmsProfile(io.BytesIO(image.icc))
    assert ImageCms.getProfileDescription(told).strip() == "From the codes in a picture"


def test_sixteen_bits_have_it_too() -> None:
    (image,) = decode(png(COLOURS.astype(np.uint16) * 257, 2, 16, LINEAR))
    assert image.rgb.dtype == np.uint16
    assert image.icc is not None


@pytest.mark.parametrize(
    "before",
    [
        [chunk(b"gAMA", struct.pack(">I", 45455))],
        [chunk(b"gAMA", struct.pack(">I", 45455)), chrm(*SRGB_PLACES)],
        [LINEAR, chunk(b"sRGB", b"\0")],
        [chrm(34570, 35850, *SRGB_PLACES[2:])],
        [chunk(b"cICP", bytes([1, 13, 0, 1]))],
        [chunk(b"cICP", bytes([9, 16, 0, 1]))],  # of high dynamic range
        [chunk(b"gAMA", struct.pack(">I", 0))],
        [LINEAR, chrm(*[0] * 8)],
    ],
)
def test_what_is_usual_or_says_nothing_is_srgb(before: list[bytes]) -> None:
    assert decode(png(COLOURS, 2, 8, *before))[0].icc is None


def test_a_profile_of_its_own_goes_before() -> None:
    (image,) = decode(png(COLOURS, 2, 8, P3))
    again = encode([image], "png")
    place = again.index(b"iCCP") - 4
    both = again[:place] + LINEAR + again[place:]
    assert decode(both)[0].icc == image.icc


@given(
    st.dictionaries(
        st.sampled_from([b"cICP", b"gAMA", b"cHRM", b"sRGB"]), st.binary(max_size=40), max_size=4
    ),
    st.booleans(),
)
def test_any_contents_are_a_profile_or_none(chunks: dict[bytes, bytes], grey: bool) -> None:
    found = pngcolour.profile(chunks, grey)
    if found is not None:
        ImageCms.ImageCmsProfile(io.BytesIO(found))


def test_a_code_goes_before_a_profile() -> None:
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    packed = chunk(b"iCCP", b"other\0\0" + zlib.compress(other))
    wide = decode(png(COLOURS, 2, 8, P3, packed))[0].icc
    assert wide == decode(png(COLOURS, 2, 8, P3))[0].icc
    usual = chunk(b"cICP", bytes([1, 13, 0, 1]))
    assert decode(png(COLOURS, 2, 8, usual, packed))[0].icc is None
    of_high_range = chunk(b"cICP", bytes([9, 16, 0, 1]))
    assert decode(png(COLOURS, 2, 8, of_high_range, packed))[0].icc == other


@pytest.mark.parametrize("grey", [False, True])
def test_pil_images_bring_gamma_and_primaries(grey: bool) -> None:
    array, kind = (COLOURS[..., 0], 0) if grey else (COLOURS, 2)
    data = png(array, kind, 8, LINEAR, *([] if grey else [chrm(*SRGB_PLACES)]))
    opened = PIL.Image.open(io.BytesIO(data))
    found = from_pil(opened)
    assert found.icc == decode(data)[0].icc is not None
    assert "icc_profile" not in opened.info  # which is not ours to change
