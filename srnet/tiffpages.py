"""How many pages a TIFF has beyond its first, found by walking its directories."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

_MOST_PAGES = 10_000  # that are counted
_SUBFILE_TYPE = 254  # the first tag of a directory that has it
_SHORT = 3  # the type of a number of 16 bits
_NO_PAGE = 1 | 4  # a smaller copy of another picture, a mask of it


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
