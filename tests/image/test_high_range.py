"""Codes of high dynamic range travel along, or a format that has no place for them is refused."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from srnet import avif, pngchunks
from srnet.errors import OutputError
from srnet.image import Image, decode, encode, read_header
from tests.image.support import SRGB, chunk, frames_of, noise, png, slope

PQ, HLG = (9, 16), (9, 18)


def told(data: bytes) -> tuple[int, ...] | None:
    """The codes in a PNG or AVIF."""
    if data.startswith(pngchunks.SIGNATURE):
        body = pngchunks.before_pixels(data).get(b"cICP")
        return None if body is None else tuple(body)
    return avif.codes(data)


def coded(*body: int) -> bytes:
    return png(slope(16, 24, 3).rgb, 2, 8, chunk(b"cICP", bytes(body)))


@pytest.mark.parametrize("codes", [PQ, HLG, (12, 16)])
def test_they_go_from_png_to_avif_and_back(codes: tuple[int, int]) -> None:
    frames = decode(coded(*codes, 0, 1))
    assert (frames[0].cicp, frames[0].icc) == (codes, None)
    as_avif = encode(frames, "avif", quality=100)
    assert told(as_avif) == codes
    assert b"colrnclx" + struct.pack(">HH", 1, 13) not in as_avif
    again = decode(as_avif)
    assert (again[0].cicp, again[0].icc) == (codes, None)
    assert np.abs(again[0].rgb.astype(int) - frames[0].rgb).max() <= 4
    assert told(encode(again, "png")) == (*codes, 0, 1)


@pytest.mark.parametrize("name", ["png", "avif"])
@pytest.mark.parametrize("bands", [1, 4])
def test_grey_alpha_and_16_bits_have_them_too(name: str, bands: int) -> None:
    image = replace(noise(9, 8, bands, np.uint16), cicp=PQ)
    for keep in (True, False):  # without metadata the colours have to be right as well
        assert decode(encode([image], name, keep_metadata=keep))[0].cicp == PQ


@pytest.mark.parametrize("name", ["png", "avif"])
def test_animations_too(name: str) -> None:
    data = encode([replace(frame, cicp=HLG) for frame in frames_of(3)], name)
    found = decode(data)
    assert [frame.cicp for frame in found] == [HLG] * 3
    assert data.count(b"colrnclx\0\x09\0\x12") == (2 if name == "avif" else 0)  # and of the track


@pytest.mark.parametrize("name", ["jpeg", "webp", "tiff"])
def test_other_formats_are_refused_with_a_cure(name: str) -> None:
    with pytest.raises(OutputError, match=r"high dynamic range.*png or avif"):
        encode([replace(noise(9, 8, 3), cicp=PQ)], name)


@pytest.mark.parametrize("body", [(1, 13, 0, 1), (12, 13, 0, 1), (9, 16, 9, 1), (9, 16)])
def test_other_codes_are_none_of_these(body: tuple[int, ...]) -> None:
    assert decode(coded(*body))[0].cicp is None


def test_in_a_png_they_go_before_a_profile_which_stays_there() -> None:
    packed = chunk(b"iCCP", b"other\0\0" + zlib.compress(SRGB))
    data = png(slope(16, 24, 3).rgb, 2, 8, chunk(b"cICP", bytes((*PQ, 0, 1))), packed)
    (image,) = decode(data)
    assert (image.cicp, image.icc) == (PQ, SRGB)
    (again,) = decode(encode([image], "png"))
    assert (again.cicp, again.icc) == (PQ, SRGB)
    (other,) = decode(encode([image], "avif"))  # where a profile would hold
    assert (other.cicp, other.icc) == (PQ, None)


def test_the_profile_besides_changes_no_colours() -> None:
    linear = decode(png(slope(9, 8, 3).rgb, 2, 8, chunk(b"gAMA", struct.pack(">I", 100_000))))[0]
    image = Image(linear.rgb, icc=linear.icc, cicp=PQ)
    (bare,) = decode(encode([image], "png", keep_metadata=False))
    assert np.array_equal(bare.rgb, image.rgb)
    assert (bare.cicp, bare.icc) == (PQ, None)


def test_in_an_avif_a_profile_goes_before_them() -> None:
    data = encode([replace(slope(16, 24, 3), icc=SRGB)], "avif")
    place = data.index(b"colrnclx") + 8
    data = data[:place] + struct.pack(">HH", *PQ) + data[place + 4 :]
    (image,) = decode(data)
    assert (image.cicp, image.icc) == (None, SRGB)


@pytest.mark.parametrize("name", ["png", "avif"])
def test_the_header_tells_them(name):
    assert read_header(encode([replace(noise(9, 8, 3), cicp=HLG)], name), "x").cicp == HLG
    assert read_header(encode([noise(9, 8, 3)], name), "x").cicp is None
