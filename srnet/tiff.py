"""The directories of a TIFF or BigTIFF, walked before anything is decoded.

Decoders take the first one for the picture. In camera raw files it is a preview, in some others
a thumbnail.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_Data = bytes | mmap.mmap
_MOST_PAGES = 10_000  # that are counted
_MOST_ENTRIES = 64  # of a directory that are looked at: those with the tags below come early
_MOST_NUMBERS = 32  # of one tag
_SUBFILE_TYPE, _BITS, _PHOTOMETRIC, _SUB_DIRECTORIES = 254, 258, 262, 330
_NUMBERS = {3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}  # by their types
_NO_PAGE = 1 | 4  # a smaller copy of another picture, a mask of it
_RAW = {32803, 34892}  # samples of a sensor, behind its colour filter or not
_CR2 = b"CR\2"  # after the place of the first directory
_MAX_TILE = 2**22  # pixels that a tile may always have, whatever the picture


@dataclass(frozen=True)
class _Form:
    """How a file writes numbers; kinds of them are letters of ``struct``."""

    order: str
    offset: str
    number: str  # of entries
    at: int  # where the first directory is told

    def size(self, letters: str) -> int:
        return struct.calcsize(self.order + letters)

    def read(self, data: _Data, letters: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + letters, data, at)

    @property
    def entry(self) -> int:
        """Bytes of one: a tag, a type, how many numbers there are, and where."""
        return self.size("HH") + 2 * self.size(self.offset)


def check_tiles(width: int, height: int, pixels: int) -> None:
    """``ValueError`` for tiles, decoded one by one, that are far larger than a TIFF's picture."""
    if width * height > max(4 * pixels, _MAX_TILE):
        raise ValueError("its tiles are far larger than the picture")


def picture_first(data: bytes) -> bytes:
    """The same file, in which the picture is what decoders find first; all else as it is.

    ``ValueError`` for what only a raw developer can read, where the picture lies in none of the
    directories that follow one another, and for kinds that are not read.
    """
    form, (first, picture) = _form(data), _picture(data)
    if form is None or first == picture:
        return data
    place = struct.pack(form.order + form.offset, picture)
    return b"".join([data[: form.at], place, memoryview(data)[form.at + len(place) :]])


def smaller_first(data: _Data) -> bool:
    """Whether decoders would find a smaller copy or a mask first. ``ValueError`` as above."""
    first, picture = _picture(data)
    return first != picture


def later_pages(data: bytes) -> int:
    """Pages of a TIFF or BigTIFF beside its picture, without thumbnails and masks.

    0 for all else. A damaged chain of directories ends where it is damaged.
    """
    pages = sum(page for _, page in islice(_directories(data), _MOST_PAGES))
    return max(0, pages - 1)


def _picture(data: _Data) -> tuple[int, int]:
    """Where the first directory begins, and that of the picture; 0 where there is none.

    The picture is the first that is no smaller copy, or, where all are, the first.
    """
    form, (first, page) = _form(data), next(_directories(data), (0, True))
    if form is None or not first:
        return 0, 0
    below = _numbers(data, form, first, _SUB_DIRECTORIES)
    kinds = {k for at in (first, *below) for k in _numbers(data, form, at, _PHOTOMETRIC)[:1]}
    if kinds & _RAW or (first == 16 and data[8 : 8 + len(_CR2)] == _CR2):
        raise ValueError("it is raw data of a camera: develop it first, to TIFF or PNG")
    pages = (at for at, page in islice(_directories(data), _MOST_PAGES) if page)
    picture = first if page else next(pages, 0)
    if not picture and below:
        raise ValueError("only a smaller copy of its picture can be read")
    _check_known(data, form, picture or first)
    return first, picture or first


def _check_known(data: _Data, form: _Form, picture: int) -> None:
    """Of numbers whose high byte comes first, Pillow lacks what it knows of others."""
    if form.order == "<":
        return
    if form.number == "Q":
        raise ValueError("a BigTIFF in big-endian order is not read")
    white_is_zero = _numbers(data, form, picture, _PHOTOMETRIC)[:1] in ((), (0,))
    if white_is_zero and _numbers(data, form, picture, _BITS) == (16,):
        raise ValueError("grey of 16 bits in big-endian order, where 0 is white, is not read")


def _form(data: _Data) -> _Form | None:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    big = data[2:4] in (b"+\0", b"\0+")
    return _Form(order, "Q", "Q", 8) if big else _Form(order, "L", "H", 4)


def _directories(data: _Data) -> Iterator[tuple[int, bool]]:
    """Where each directory begins, and whether it is of a page."""
    form, seen = _form(data), set[int]()
    if form is None:
        return
    try:
        (at,) = form.read(data, form.offset, form.at)
        while at and at not in seen:
            seen.add(at)
            (entries,) = form.read(data, form.number, at)
            after = at + form.size(form.number) + entries * form.entry
            (following,) = form.read(data, form.offset, after)
            kind = _numbers(data, form, at, _SUBFILE_TYPE)
            yield at, not (kind and kind[0] & _NO_PAGE)
            at = following
    except (struct.error, OverflowError):  # beyond the end
        return


def _numbers(data: _Data, form: _Form, at: int, tag: int) -> tuple[int, ...]:
    """What a directory says under a tag; nothing if it does not have it, or is damaged."""
    try:
        (entries,) = form.read(data, form.number, at)
        start = at + form.size(form.number)
        for entry in range(start, start + min(entries, _MOST_ENTRIES) * form.entry, form.entry):
            found, kind, count = form.read(data, f"HH{form.offset}", entry)
            if found == tag:
                return _values(data, form, entry, _NUMBERS[kind], count)
            if found > tag:  # they are in order
                break
    except (KeyError, struct.error, OverflowError):
        pass
    return ()


def _values(data: _Data, form: _Form, entry: int, letter: str, count: int) -> tuple[int, ...]:
    """The numbers of an entry, which lie in it if there is room, and else where it says."""
    room = form.size(form.offset)
    place = entry + form.entry - room
    if count * form.size(letter) > room:
        (place,) = form.read(data, form.offset, place)
    return form.read(data, letter * min(count, _MOST_NUMBERS), place)
