"""What an AVIF file says of its samples, which Pillow does not tell: their bits, their colours.

The codes of colours are those of ITU-T H.273, as in a PNG's cICP; they lie in a box of their own
that belongs to the picture (ISO/IEC 23008-12, and 14496-12 for boxes). Where there is a profile
besides, that holds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from srnet import pngcolour
from srnet.boxes import boxes

_MOST_ITEMS = 10_000  # whose properties are told; a picture has a few
_SRGB_CURVE = 13
# Of cameras for video. Files that say so are shown by browsers with the curve of sRGB.
_VIDEO_CURVES = (1, 6, 14, 15)
_NCLX = b"colrnclx"
_WRITTEN = _NCLX + struct.pack(">HH", 1, _SRGB_CURVE)  # by Pillow


def profile(data: bytes) -> bytes | None:
    """The profile that the codes amount to; None if that is sRGB, unknown, or nothing is said."""
    found = codes(data)
    if found is None or max(found) > 255:
        return None
    primaries, curve = found
    curve = _SRGB_CURVE if curve in _VIDEO_CURVES else curve
    return pngcolour.profile({b"cICP": bytes((primaries, curve, 0, 1))}, grey=False)


def codes(data: bytes) -> tuple[int, int] | None:
    """The numbers of primaries and curve; None where a profile holds, or nothing is said."""
    found: tuple[int, int] | None = None
    try:
        for box in _properties(data):
            if box[:8] in (b"colrprof", b"colrrICC"):
                return None
            if box[:8] == _NCLX:
                found = found or struct.unpack_from(">HH", box, 8)
    except (IndexError, struct.error):  # damaged: the decoder will say whether it matters
        return None
    return found


def with_codes(data: bytes, primaries: int, curve: int) -> bytes:
    """A file that Pillow wrote without a profile, with other codes than those of sRGB.

    Raises ``ValueError`` where there are none to replace.
    """
    head, kind, samples = data.partition(b"mdat")  # nothing is moved, so its place stays known
    if _WRITTEN not in head:
        raise ValueError("its codes of colours are not where they should be")
    coded = _NCLX + struct.pack(">HH", primaries, curve)
    return head.replace(_WRITTEN, coded) + kind + samples  # a sequence has them twice


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


def _properties(data: bytes) -> Iterator[bytes]:
    """The boxes that describe the picture itself, each from its kind on.

    Others describe its alpha channel, a thumbnail or a map of gains.
    """
    meta = _inside(data, b"meta")[4:]  # after version and flags
    tables = _inside(meta, b"iprp")
    shared = _inside(tables, b"ipco")
    every = [kind + shared[start:end] for kind, start, end in boxes(shared)]
    main = _inside(meta, b"pitm")
    (picture,) = struct.unpack_from(">I" if main[0] else ">H", main, 4)
    for number in _numbers(_inside(tables, b"ipma"), picture):
        if 1 <= number <= len(every):
            yield every[number - 1]


def _numbers(table: bytes, picture: int) -> Iterator[int]:
    """The numbers, from one, of the properties of one item."""
    version, wide, count = table[0], table[3] & 1, struct.unpack_from(">I", table, 4)[0]
    item, at = (">I" if version else ">H"), 8
    for _ in range(min(count, _MOST_ITEMS)):
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
    return next((data[start:end] for name, start, end in boxes(data) if name == kind), b"")
