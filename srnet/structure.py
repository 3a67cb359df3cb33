"""What JPEG, GIF and TIFF files are made of, found by walking them before anything is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice

_MAX_JPEG_SCANS = 100  # real progressive files have about ten; each one costs a whole pass
_MAX_JPEG_PARTS = 10_000  # of 64 kB at most
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")  # not within a scan
_MAX_TILE = 2**22  # pixels that a tile of a TIFF may always have, whatever the picture
_MOST_PAGES = 10_000  # that are counted
_SUBFILE_TYPE = 254  # the first tag of a directory that has it
_SHORT = 3  # the type of a number of 16 bits
_NO_PAGE = 1 | 4  # a smaller copy of another picture, a mask of it


def check_scans(data: bytes) -> None:
    """``ValueError`` for a JPEG of more scans than anybody makes; what follows its end is free."""
    at = scans = 0
    for _ in range(_MAX_JPEG_PARTS):
        marker = _JPEG_MARKER.search(data, at)
        if marker is None or marker[1] == b"\xd9":
            return
        at = marker.end()
        if marker[1] >= b"\xc0" and marker[1] != b"\xd8":  # others have no length
            scans += marker[1] == b"\xda"
            at += int.from_bytes(data[at : at + 2], "big")
        if scans > _MAX_JPEG_SCANS:
            break
    raise ValueError("absurdly many scans")


def gif_extent(data: bytes) -> tuple[int, int, int, bool]:
    """Width, height, number of frames, and whether the first covers all; by walking the blocks.

    Pillow would learn them by decoding, and lets a frame enlarge the picture as it goes.
    ``ValueError`` where it ends too early, or is made of absurdly many parts.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, frames, parts_left = 13 + gif_table(flags), 0, 100_000 + len(data) // 64
    first: tuple[int, int] | None = None  # its extent
    while at + 10 < len(data) and data[at] in (0x21, 0x2C):
        if data[at] == 0x2C:
            left, top, w, h, flags = struct.unpack_from("<HHHHB", data, at + 1)
            width, height, frames = max(width, left + w), max(height, top + h), frames + 1
            first = first or (w, h)
            at += 11 + gif_table(flags)
        else:
            at += 2
        while at < len(data) and data[at] and parts_left > 0:
            at, parts_left = at + data[at] + 1, parts_left - 1
        at, parts_left = at + 1, parts_left - 1
        if parts_left < 0:
            raise ValueError("made of absurdly many parts")
    if at > len(data):
        raise ValueError("it ends too early")
    return width, height, frames, first == (width, height)


def gif_table(flags: int) -> int:
    """Bytes of the table of colours that such flags of a GIF tell of."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def check_tiles(width: int, height: int, pixels: int) -> None:
    """``ValueError`` for tiles, decoded one by one, that are far larger than a TIFF's picture."""
    if width * height > max(4 * pixels, _MAX_TILE):
        raise ValueError("its tiles are far larger than the picture")


def jpeg2000_bits(data: bytes) -> int:
    """Bits of a sample in the first channel of a JPEG 2000 file, as its code stream says."""
    start = data.find(b"\xff\x4f\xff\x51")  # SOC and SIZ (ISO/IEC 15444-1, A.5.1)
    if start < 0 or len(data) <= start + 42:
        return 8  # damaged: the decoder will say so
    return (data[start + 42] & 0x7F) + 1


def later_pages(data: bytes) -> int:
    """Pages of a TIFF or BigTIFF after its first picture, without thumbnails and masks.

    0 for all else. A damaged chain of directories ends where it is damaged.
    """
    return sum(islice(_pages(data), 1, _MOST_PAGES))


def _pages(data: bytes) -> Iterator[bool]:
    """For each directory, whether it is of a page."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
    big = data[2:4] in (b"+\0", b"\0+")
    number, offset, entry = ("Q", "Q", 20) if big else ("H", "L", 12)
    at, seen = (8 if big else 4), set[int]()
    try:
        (at,) = struct.unpack_from(order + offset, data, at) if order else (0,)
        while at and at not in seen:
            seen.add(at)
            (entries,) = struct.unpack_from(order + number, data, at)
            first = at + struct.calcsize(order + number)
            (at,) = struct.unpack_from(order + offset, data, first + entries * entry)
            yield not entries or not _kind(data, first, order, big) & _NO_PAGE
    except (struct.error, OverflowError):  # beyond the end
        return


def _kind(data: bytes, entry: int, order: str, big: bool) -> int:
    """The NewSubfileType of the directory with this first entry; 0 is a page as any other."""
    tag, kind = struct.unpack_from(order + "HH", data, entry)
    if tag != _SUBFILE_TYPE:
        return 0
    width = "H" if kind == _SHORT else "L"
    (value,) = struct.unpack_from(order + width, data, entry + (12 if big else 8))
    return int(value)
