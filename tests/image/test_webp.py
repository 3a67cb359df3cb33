"""Whether a WebP file lost anything."""

from __future__ import annotations

import struct

import PIL.Image
import pytest

from srnet.image import decode, encode, read_header
from srnet.webp import is_lossless
from tests.image.support import SRGB, frames_of, noise, pillow, slope


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("icc", [None, SRGB])  # with it, the pixels come late in the file
def test_stills(bands, lossless, icc):
    pil = PIL.Image.fromarray(slope(9, 8, 3).rgb)
    if bands == 4:
        pil.putalpha(100)
    data = pillow(pil, "WEBP", lossless=lossless, icc_profile=icc)
    assert read_header(data, "x").lossless is lossless
    assert [frame.lossless for frame in decode(data)] == [lossless]


@pytest.mark.parametrize("lossless", [True, False])
def test_animations(lossless):
    data = encode(frames_of(3, 4), "webp", lossless=lossless)
    assert is_lossless(data) is lossless
    assert {frame.lossless for frame in decode(data)} == {lossless}


def file_of(parts: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WEBP" + parts


def test_a_file_of_both_kinds_has_lost_something():
    exact, lossy = (encode([noise(8, 8, 3)], "webp", lossless=each)[12:] for each in (True, False))
    assert is_lossless(file_of(exact))
    assert is_lossless(file_of(exact) + lossy)  # behind its end
    assert not is_lossless(file_of(exact + lossy))


def test_junk_is_not_walked_for_long():
    exact, lossy = (encode([noise(8, 8, 3)], "webp", lossless=each)[12:] for each in (True, False))
    for part in (b"JUNK\0\0\0\0", b"ANMF\0\0\0\0" + bytes(16)):
        assert not is_lossless(file_of(exact + part * 1_000 + lossy))
        assert is_lossless(file_of(exact + part * 20_000 + lossy))  # what it does not come to


def test_what_is_damaged_or_no_webp_has_no_answer():
    data = encode([noise(8, 8, 3)], "webp", lossless=True)
    assert not any(is_lossless(data[:length]) for length in range(20))
    assert not is_lossless(encode([noise(8, 8, 3)], "png"))
