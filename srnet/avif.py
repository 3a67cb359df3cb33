"""What an AVIF file says of its samples, which Pillow does not tell: their bits, their colours.

The codes of colours are those of ITU-T H.273, as in a PNG's cICP; they lie in a box of their own
that belongs to the picture (ISO/IEC 23008-12, and 14496-12 for boxes). Where there is a profile
besides, that holds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from srnet import pngcolour

_MOST_BOXES = 10_000  # in one; a picture has dozens
_SRGB_CURVE = 13
# Of cameras for video. Files that say so are shown by browsers with the curve of sRGB.
_VIDEO_CURVES = (1, 6, 14, 15)


def profile(data: bytes) -> bytes | None:
    """The profile that the codes amount to; None if that is sRGB, unknown, or nothing is said."""
    try:
        for box in _properties(data):
            if box[:8] == b"colrnclx":
                primaries, curve = struct.unpack_from(">HH", box, 8)
                return _of_codes(primaries, _SRGB_CURVE if curve in _VIDEO_CURVES else curve)
    except (IndexError, struct.error):  # damaged: the decoder will say whether it matters
        pass
    return None


def bits(data: bytes) -> int:
    """Bits of a sample: 8, 10 or 12."""
    try:
        for box in _properties(data):
            if box[:4] == b"av1C":
                high, twelve = box[6] & 0x40, box[6] & 0x20
                return (12 if twelve else 10) if high else 8
    except (IndexError, struct.error):  # damaged, as above
        pass
    return 8


def _of_codes(primaries: int, curve: int) -> bytes | None:
    if max(primaries, curve) > 255:
        return None
    return pngcolour.profile({b"cICP": bytes((primaries, curve, 0, 1))}, grey=False)


def _properties(data: bytes) -> Iterator[bytes]:
    """The boxes that describe the picture itself, each from its kind on.

    Others describe its alpha channel, a thumbnail or a map of gains.
    """
    meta = _inside(data, b"meta")[4:]  # after version and flags
    tables = _inside(meta, b"iprp")
    every = list(_boxes(_inside(tables, b"ipco")))
    main = _inside(meta, b"pitm")
    (picture,) = struct.unpack_from(">I" if main[0] else ">H", main, 4)
    for number in _numbers(_inside(tables, b"ipma"), picture):
        if 1 <= number <= len(every):
            yield every[number - 1]


def _numbers(table: bytes, picture: int) -> Iterator[int]:
    """The numbers, from one, of the properties of one item."""
    version, wide, count = table[0], table[3] & 1, struct.unpack_from(">I", table, 4)[0]
    item, at = (">I" if version else ">H"), 8
    for _ in range(min(count, _MOST_BOXES)):
        (name,) = struct.unpack_from(item, table, at)
        at += struct.calcsize(item)
        (links,) = struct.unpack_from(">B", table, at)
        kind = f">{links}{'H' if wide else 'B'}"
        if name == picture:
            found = struct.unpack_from(kind, table, at + 1)
            yield from (each & (0x7FFF if wide else 0x7F) for each in found)
        at += 1 + struct.calcsize(kind)


def _inside(data: bytes, kind: bytes) -> bytes:
    """The contents of the first box of a kind; nothing if there is none."""
    return next((box[4:] for box in _boxes(data) if box[:4] == kind), b"")


def _boxes(data: bytes) -> Iterator[bytes]:
    """The boxes one after the other, each from its kind on, as far as they are there in full."""
    at, left = 0, _MOST_BOXES
    while at + 8 <= len(data) and left:
        (size,), head = struct.unpack_from(">I", data, at), 4
        if size == 1 and at + 16 <= len(data):  # which is written after the kind, in eight bytes
            (size,), head = struct.unpack_from(">Q", data, at + 8), 12
        size = size or len(data) - at  # to the end
        if size < head + 4 or at + size > len(data):
            return
        yield data[at + 4 : at + 8] + data[at + head + 4 : at + size]
        at, left = at + size, left - 1
