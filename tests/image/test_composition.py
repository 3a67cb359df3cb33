"""Frames of animations over each other, as the specifications have them."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from srnet.errors import DecodeError
from srnet.image import Image, decode, read_header
from srnet.output import rounds_to_8_bit
from tests.image.support import chunk, pillow

KEEP, CLEAR, PREVIOUS = 0, 1, 2
SOURCE, OVER = 0, 1
Step = tuple[NDArray[np.integer], int, int, int, int]  # pixels, x, y, disposal, blending


def rows(array: NDArray[np.integer]) -> bytes:
    stored = array.astype(array.dtype.newbyteorder(">"))
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in stored))


def apng(kind: int, steps: list[Step], *before: bytes, cover: bool = False) -> bytes:
    """An animated PNG by hand; with ``cover`` the first picture is no frame."""
    height, width = steps[0][0].shape[:2]
    depth = steps[0][0].itemsize * 8
    out = [b"\x89PNG\r\n\x1a\n"]
    out += [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    out += [chunk(b"acTL", struct.pack(">II", len(steps) - cover, 0)), *before]
    number = 0
    for index, (array, x, y, dispose, blend) in enumerate(steps):
        if index or not cover:
            size = (array.shape[1], array.shape[0], x, y, 3, 100, dispose, blend)
            out.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *size)))
            number += 1
        if index == 0:
            out.append(chunk(b"IDAT", rows(array)))
        else:
            out.append(chunk(b"fdAT", struct.pack(">I", number) + rows(array)))
            number += 1
    return b"".join([*out, chunk(b"IEND", b"")])


def flat(colour: tuple[int, ...], side: int = 8, dtype: type = np.uint8) -> NDArray[np.integer]:
    return np.full((side, side, len(colour)), colour, dtype)


def at(image: Image, y: int, x: int) -> list[int]:
    alpha = 255 if image.alpha is None else int(image.alpha[y, x])
    return [*map(int, image.rgb[y, x]), alpha]


HALF = (200, 100, 50, 128)


def test_half_transparent_pixels_over_what_is_there() -> None:
    small = (flat(HALF, 4), 2, 2, KEEP, OVER)
    nothing = decode(apng(6, [(flat((0, 0, 0, 0)), 0, 0, KEEP, SOURCE), small]))[1]
    assert at(nothing, 3, 3) == [*HALF]
    opaque = decode(apng(6, [(flat((0, 0, 0, 255)), 0, 0, KEEP, SOURCE), small]))[1]
    assert np.abs(np.subtract(at(opaque, 3, 3), [100, 50, 25, 255])).max() <= 1
    assert at(opaque, 0, 0) == [0, 0, 0, 255]
    twice = decode(apng(6, [(flat(HALF), 0, 0, KEEP, SOURCE), small]))[1]
    assert np.abs(np.subtract(at(twice, 3, 3), [200, 100, 50, 192])).max() <= 1
    replaced = (flat(HALF, 4), 2, 2, KEEP, SOURCE)
    found = decode(apng(6, [(flat((0, 0, 0, 255)), 0, 0, KEEP, SOURCE), replaced]))[1]
    assert at(found, 3, 3) == [*HALF]


@pytest.mark.parametrize("blend", [SOURCE, OVER])
def test_what_becomes_of_a_frame_after_its_time(blend: int) -> None:
    red, blue, dot = (255, 0, 0, 255), (0, 0, 255, 255), (0, 255, 0, 255)
    for dispose, left in ((KEEP, [*blue]), (CLEAR, [0, 0, 0, 0]), (PREVIOUS, [*red])):
        steps = [(flat(red), 0, 0, KEEP, SOURCE), (flat(blue, 4), 2, 2, dispose, blend)]
        frames = decode(apng(6, [*steps, (flat(dot, 1), 0, 0, KEEP, blend)]))
        assert at(frames[1], 3, 3) == [*blue]
        assert at(frames[2], 3, 3) == left
        assert at(frames[2], 0, 0) == [*dot]
        assert at(frames[2], 7, 7) == [*red]
        assert [frame.duration for frame in frames] == [30, 30, 30]


def test_opaque_kinds_have_no_alpha_unless_something_is_cleared() -> None:
    steps = [(flat((9, 8, 7)), 0, 0, KEEP, SOURCE), (flat((1, 2, 3), 4), 2, 2, KEEP, OVER)]
    assert all(frame.alpha is None for frame in decode(apng(2, steps)))
    steps[1] = (flat((1, 2, 3), 4), 2, 2, CLEAR, OVER)
    cleared = decode(apng(2, [*steps, (flat((5, 5, 5), 1), 0, 0, KEEP, OVER)]))
    assert at(cleared[2], 3, 3)[3] == 0
    assert at(cleared[0], 3, 3)[3] == 255


def test_transparent_greys_and_palettes_are_seen_through() -> None:
    clear = chunk(b"tRNS", struct.pack(">H", 85))
    grey = [(flat((10,)), 0, 0, KEEP, SOURCE), (flat((85,), 4), 2, 2, KEEP, OVER)]
    frames = decode(apng(0, grey, clear))
    assert frames[1].rgb.shape == (8, 8, 1)
    assert at(frames[1], 3, 3) == [10, 255]
    table = chunk(b"PLTE", bytes([1, 2, 3, 4, 5, 6])) + chunk(b"tRNS", b"\xff\0")
    indexed = [(flat((0,)), 0, 0, KEEP, SOURCE), (flat((1,), 4), 2, 2, KEEP, OVER)]
    assert at(decode(apng(3, indexed, table))[1], 3, 3) == [1, 2, 3, 255]


@pytest.mark.parametrize(("kind", "bands"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_are_rounded(kind: int, bands: int) -> None:
    colour = (0x4040, 0x8080, 0xC0C0, 65535)[4 - bands if bands in (2, 4) else 0 :][:bands]
    steps = [(flat(colour, 8, np.uint16), 0, 0, KEEP, SOURCE)]
    steps += [(flat(colour, 4, np.uint16), 2, 2, KEEP, OVER)]
    wanted = [v >> 8 for v in colour]
    found = at(decode(apng(kind, steps))[1], 3, 3)
    assert found[: len(wanted)] == wanted
    # where a cover comes first, the frame is meant
    cover = (flat((0,) * bands, 8, np.uint16), 0, 0, KEEP, SOURCE)
    (only,) = decode(apng(kind, [cover, steps[0]], cover=True))
    assert at(only, 3, 3)[: len(wanted)] == wanted
    for data in (apng(kind, steps), apng(kind, [cover, steps[0]], cover=True)):
        assert rounds_to_8_bit(read_header(data, "x"), "png")  # and so it is told


def gif(steps: list[tuple[int, int, int, int, int, int | None]]) -> bytes:
    """Squares (colour index, side, x, y, disposal, transparent index) on 8 x 8, by Pillow's LZW."""
    palette = bytes([214, 66, 27, 9, 9, 9, 0, 0, 255, 0, 255, 0])
    out = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x81, 0, 0) + palette
    for colour, side, x, y, dispose, clear in steps:
        pil = PIL.Image.new("P", (side, side), colour)
        pil.putpalette(palette)
        data = pillow(pil, "GIF", optimize=False)
        body = data[data.index(b"\x2c" + struct.pack("<HHHH", 0, 0, side, side)) + 10 : -1]
        flags = dispose << 2 | (clear is not None)
        out += b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 4, clear or 0, 0)
        out += b"\x2c" + struct.pack("<HHHHB", x, y, side, side, 0) + body
    return out + b";"


def test_gifs_show_nothing_where_nothing_is() -> None:
    frames = decode(gif([(1, 8, 0, 0, 1, None), (2, 4, 2, 2, 2, None), (3, 1, 0, 0, 1, None)]))
    assert [at(frame, 3, 3) for frame in frames] == [[9, 9, 9, 255], [0, 0, 255, 255], [0, 0, 0, 0]]
    assert at(frames[2], 0, 0) == [0, 255, 0, 255]
    assert at(frames[2], 7, 7) == [9, 9, 9, 255]
    assert [frame.duration for frame in frames] == [40, 40, 40]
    (part,) = decode(gif([(1, 4, 2, 2, 0, None)]))
    assert at(part, 0, 0)[3] == 0
    assert at(part, 3, 3) == [9, 9, 9, 255]
    previous = decode(gif([(1, 8, 0, 0, 1, None), (2, 4, 2, 2, 3, None), (3, 4, 2, 2, 1, 3)]))
    assert at(previous[2], 3, 3) == [9, 9, 9, 255]
    assert all(frame.alpha is None for frame in previous)


def test_frames_beyond_the_picture_or_missing_are_refused() -> None:
    first = (flat((0, 0, 0, 255)), 0, 0, KEEP, SOURCE)
    outside = apng(6, [first, (flat(HALF, 4), 6, 6, KEEP, OVER)])
    with pytest.raises(DecodeError, match="beyond the picture"):
        decode(outside)
    whole = apng(6, [first, (flat(HALF, 4), 2, 2, KEEP, OVER)])
    assert read_header(whole, "x").frames == 2
    last = whole.rindex(b"fcTL") - 4
    with pytest.raises(DecodeError):
        decode(whole[:last] + chunk(b"IEND", b""))
    damaged = bytearray(whole)
    damaged[whole.index(b"fdAT") + 12] ^= 1
    with pytest.raises(DecodeError, match="fdAT"):
        decode(bytes(damaged))


def test_one_palette_is_read_however_many_there_are() -> None:
    first = (flat((0,)), 0, 0, KEEP, SOURCE)
    table = chunk(b"PLTE", bytes([1, 2, 3, 4, 5, 6]))
    start = time.monotonic()
    many = [chunk(b"tRNS", b"\xff\0")] * 20_000
    frames = decode(apng(3, [first, *[(flat((1,), 1), 2, 2, KEEP, OVER)] * 20], table, *many))
    assert time.monotonic() - start < 2
    assert at(frames[1], 2, 2) == [1, 2, 3, 255]


def test_what_lacks_only_its_end_is_read() -> None:
    whole = apng(6, [(flat(HALF), 0, 0, KEEP, SOURCE), (flat(HALF, 4), 2, 2, KEEP, SOURCE)])
    assert len(decode(whole[:-12])) == 2


def test_a_gif_that_does_not_fill_itself_says_that_it_has_alpha() -> None:
    assert read_header(gif([(1, 4, 2, 2, 0, None)]), "x").alpha
    assert not read_header(gif([(1, 8, 0, 0, 0, None)]), "x").alpha


@pytest.mark.parametrize("kind", ["gif", "apng"])
def test_stills_take_little_memory(kind: str) -> None:
    side = 1500
    if kind == "gif":
        data = pillow(PIL.Image.new("P", (side, side), 1), "GIF")
    else:
        picture = (flat((9, 8, 7, 100), side), 0, 0, KEEP, OVER)
        data = apng(6, [(flat((0, 0, 0, 0), side), 0, 0, KEEP, SOURCE), picture], cover=True)
    tracemalloc.start()
    decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * side**2


def test_layers_take_little_memory() -> None:
    side = 1000
    picture = (flat((9, 8, 7, 100), side), 0, 0, KEEP, OVER)
    data = apng(6, [picture, picture])
    tracemalloc.start()
    decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 12 * side**2 + 4e6  # strips
