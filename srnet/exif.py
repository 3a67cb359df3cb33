"""EXIF blocks, changed in place where a picture's new form makes them untrue.

All else stays byte for byte: what other programs left there need not be understood.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
_RESOLUTIONS = (0x011A, 0x011B)  # across and down
_SHORT, _LONG = 3, 4
_WHOLE = {1: "B", _SHORT: "H", _LONG: "I", 6: "b", 8: "h", 9: "i"}  # types of whole numbers
_ORDERS = {b"II": "<", b"MM": ">"}


def upright(exif: bytes | None) -> tuple[bytes | None, int]:
    """Reset the orientation tag: the changed block without prefix, and what the tag said.

    Of whatever type it is, as readers do not mind, and Pillow dies of one that is left to an
    animation in AVIF. A block that cannot be walked as far as that tag is dropped.
    """
    if exif is None:
        return None, 1
    block, value = bytearray(exif.removeprefix(b"Exif\0\0")), None
    try:
        order, first = _start(block)
        for entry, tag, kind in _entries(block, order, first):
            if tag == _ORIENTATION:
                said = struct.unpack_from(order + _WHOLE.get(kind, "x"), block, entry + 8)
                value = value or next(iter(said), 1)
                struct.pack_into(order + "HIHH", block, entry + 2, _SHORT, 1, 1, 0)
    except (KeyError, struct.error):
        if value is None:
            return None, 1
    if value is None or not 2 <= value <= 8:
        return bytes(block), 1
    _leave_thumbnail(block, order, first)
    return (with_sides_swapped(bytes(block)) if value >= 5 else bytes(block)), value


def without_orientation(exif: bytes) -> bytes | None:
    """The block without that tag, for a writer that would make the block anew because of it."""
    block = bytearray(exif)
    try:
        order, first = _start(block)
        places = [(at, tag) for at, tag, _ in _entries(block, order, first)]
    except (KeyError, struct.error):
        return exif
    kept = [bytes(block[at : at + 12]) for at, tag in places if tag != _ORIENTATION]
    end = first + 2 + 12 * len(places)
    rest = bytes(block[end : end + 4])  # where the next directory begins
    body = struct.pack(order + "H", len(kept)) + b"".join(kept) + rest
    block[first : end + 4] = body.ljust(len(block[first : end + 4]), b"\0")
    return bytes(block) if kept else None


def with_sides_swapped(exif: bytes | None) -> bytes | None:
    """The block of a picture that was laid on its side: its resolutions change places."""
    if exif is None:
        return None
    block = bytearray(exif.removeprefix(b"Exif\0\0"))
    try:
        order, first = _start(block)
        found = {tag: entry for entry, tag, _ in _entries(block, order, first)}
    except (KeyError, struct.error):
        return exif
    if all(tag in found for tag in _RESOLUTIONS):
        across, down = (slice(found[tag] + 2, found[tag] + 12) for tag in _RESOLUTIONS)
        block[across], block[down] = block[down], block[across]
    return bytes(block)


def _leave_thumbnail(block: bytearray, order: str, first: int) -> None:
    """End the chain of directories after the first: the second is of a picture not turned."""
    (count,) = struct.unpack_from(order + "H", block, first)
    after = first + 2 + 12 * count
    if after + 4 <= len(block):
        struct.pack_into(order + "I", block, after, 0)


def sized(exif: bytes | None, width: int, height: int) -> bytes | None:
    """The block, in which the tags that tell the size of the picture tell this one.

    Tags that are not there are not added; a block that cannot be walked stays as it is.
    """
    if exif is None:
        return None
    block = bytearray(exif)
    try:
        order, first = _start(block)
        for folder in _folders(block, order, first):
            for entry, tag, kind in _entries(block, order, folder):
                if tag in _WIDTHS + _HEIGHTS and kind in (_SHORT, _LONG):
                    value = width if tag in _WIDTHS else height
                    struct.pack_into(order + "HII", block, entry + 2, _LONG, 1, value)
    except (KeyError, struct.error):
        return exif
    return bytes(block)


def _start(block: bytearray) -> tuple[str, int]:
    """Order of bytes, and where the first directory begins."""
    order = _ORDERS[bytes(block[:2])]
    (first,) = struct.unpack_from(order + "I", block, 4)
    return order, first


def _entries(block: bytearray, order: str, folder: int) -> Iterator[tuple[int, int, int]]:
    """Place, tag and type of each entry of a directory."""
    (count,) = struct.unpack_from(order + "H", block, folder)
    for entry in range(folder + 2, folder + 2 + 12 * count, 12):
        tag, kind, _, _ = struct.unpack_from(order + "HHII", block, entry)
        yield entry, tag, kind


def _folders(block: bytearray, order: str, first: int) -> Iterator[int]:
    """The first directory, and that for what a camera says."""
    yield first
    for entry, tag, _ in _entries(block, order, first):
        if tag == _EXIF_IFD:
            (folder,) = struct.unpack_from(order + "I", block, entry + 8)
            yield from [folder] if folder != first else []
            return  # a block of many such entries would be walked for minutes
