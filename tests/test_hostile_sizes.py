"""Files that promise or hide far more than they are: refused by their header, quickly."""

from __future__ import annotations

import struct
import time
import zlib
from contextlib import suppress

import numpy as np
import pytest

from srnet.errors import DecodeError, TooLargeError
from srnet.image import MAX_FRAMES, decode, read_header, read_size
from tests.hostile import CORPUS, chunk, png, refusal


def gif(width: int, height: int, frames: list[tuple[int, int]]) -> bytes:
    """A GIF whose frames are ``frames`` in size, with almost no data in them."""
    image = b"".join(b",\0\0\0\0" + struct.pack("<HHB", *size, 0) + b"\2\1\0\0" for size in frames)
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + image + b";"


def tiff(width: int, height: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


HUGE = {
    "png": png(60_000, 60_000, chunk(b"IDAT", zlib.compress(b""))),
    "png-16": png(60_000, 60_000, chunk(b"IDAT", zlib.compress(b"")), depth=16),
    "gif": gif(60_000, 60_000, [(1, 1)]),
    "gif-frame-outside-the-screen": gif(1, 1, [(60_000, 60_000)]),
    "gif-later-frame": gif(10, 10, [(10, 10), (60_000, 60_000)]),
    "gif-frames-together": gif(1000, 1000, [(1, 1)] * 300),
    "gif-many-frames": gif(1, 1, [(1, 1)] * (MAX_FRAMES + 1)),
    "tiff": tiff(60_000, 60_000),
    "bmp": b"BM" + struct.pack("<IIIIiiHH", 0, 0, 54, 40, 60_000, 60_000, 1, 24) + bytes(24),
    "webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\0" * 2 + bytes(4),
    "jpeg": CORPUS["jpeg"].replace(b"\x00\x17\x00\x1f", b"\xea\x60\xea\x60"),
}


@pytest.mark.parametrize("kind", HUGE)
def test_huge_sizes_are_refused_by_the_header_at_once(kind):
    start = time.monotonic()
    # an empty WebP of that size is refused for being empty
    with pytest.raises(DecodeError if kind == "webp" else TooLargeError, match=r"huge\.bin"):
        decode(HUGE[kind], "huge.bin")
    assert time.monotonic() - start < 0.5


def test_too_many_frames_are_refused_wherever_the_header_is_read():
    with pytest.raises(TooLargeError, match="4097 frames, more than 4096: split it"):
        read_header(HUGE["gif-many-frames"], "huge.bin")


def vast_tile(side: int = 4096) -> bytes:
    """A TIFF of 16 x 16 grey pixels in one tile of ``side`` x ``side``."""
    packed = zlib.compress(bytes(side**2), 9)
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side}
    tags |= {324: 8 + 2 + 12 * 10 + 4, 325: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + packed


SCAN = b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0"
BOMB = zlib.compress(bytes(50_000_000), 9)
JUNK = {
    "profile bomb": png(1, 1, chunk(b"iCCP", b"x\0\0" + BOMB), chunk(b"IDAT", b"")),
    "text bomb": png(1, 1, *[chunk(b"zTXt", b"x\0\0" + BOMB)] * 9, chunk(b"IDAT", b"")),
    "empty PNG chunks": png(1, 1, *[chunk(b"teST", b"")] * 300_000),
    "millions of empty PNG chunks": png(1, 1, chunk(b"teST", b"") * 4_000_000),
    "JPEG of nothing": b"\xff\xd8\xff" + bytes(5_000_000),
    "JPEG of markers": b"\xff\xd8" + b"\xff\xe1\0\2" * 1_000_000,
    "GIF of nothing": b"GIF89a\1\0\1\0\0\0\0" + bytes(5_000_000),
    "GIF of comments": b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\1x\0" * 1_000_000,
    "JPEG of scans": CORPUS["jpeg"][:-2] + SCAN * 500,
    "GIF of crumbs": b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1x" * 5_000_000,
    "GIF of empty parts": b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\0" * 5_000_000,
    "TIFF of one vast tile": vast_tile(),
    "JPEG of hidden scans": CORPUS["jpeg"][:-2] + b"\xff\x02\xff\xff" + SCAN * 500,
}


@pytest.mark.parametrize("kind", JUNK)
def test_bombs_and_endless_junk_end_soon(kind, tmp_path):
    start = time.monotonic()
    assert isinstance(refusal(JUNK[kind]), DecodeError)
    (tmp_path / "junk").write_bytes(JUNK[kind])
    with suppress(DecodeError):
        read_size(tmp_path / "junk")
    assert time.monotonic() - start < 3


def test_a_tile_may_be_larger_than_a_small_picture():
    assert decode(vast_tile(512))[0].rgb.shape == (16, 16, 1)


def test_what_follows_a_jpeg_is_not_looked_at():
    film = np.random.default_rng(0).bytes(20) + b"\xff\xda\0\2" * 5000
    assert decode(CORPUS["jpeg"] + film)[0].rgb.shape == (31, 23, 3)  # turned


def test_idat_that_inflates_past_its_header_stays_within_it():
    data = png(2, 2, chunk(b"IDAT", BOMB))
    assert decode(data)[0].rgb.shape == (2, 2, 3)


@pytest.mark.parametrize("place", ["before its scan", "within it"])
def test_a_jpeg_of_fill_bytes_takes_no_time(place):
    data = CORPUS["jpeg"]
    at = data.index(b"\xff\xda") if place == "before its scan" else len(data) - 2
    start = time.monotonic()
    with suppress(DecodeError):
        decode(data[:at] + b"\xff" * 1_000_000 + b"\0" + data[at:])
    assert time.monotonic() - start < 2
