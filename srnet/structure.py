"""What JPEG and GIF files are made of, found by walking them before anything is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_MAX_JPEG_SCANS = 100  # real progressive files have about ten; each one costs a whole pass
_MAX_JPEG_PARTS = 10_000  # of 64 kB at most
_GIF_FRAME, _GIF_EXTENSION = 0x2C, 0x21
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")  # not within a scan


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
    width, height = struct.unpack_from("<HH", data, 6)
    frames, first = 0, None  # its extent
    for start, _ in gif_parts(data):
        if data[start] == _GIF_FRAME:
            left, top, w, h = struct.unpack_from("<HHHH", data, start + 1)
            width, height, frames = max(width, left + w), max(height, top + h), frames + 1
            first = first or (w, h)
    return width, height, frames, first == (width, height)


def gif_parts(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each frame and each extension of a GIF begins and ends. ``ValueError`` as above."""
    at, left = 13 + gif_table(data[10]), 100_000 + len(data) // 64
    while at + 10 < len(data) and data[at] in (_GIF_FRAME, _GIF_EXTENSION):
        start = at
        at += 11 + gif_table(data[at + 9]) if data[at] == _GIF_FRAME else 2
        while at < len(data) and data[at] and left > 0:
            at, left = at + data[at] + 1, left - 1
        at, left = at + 1, left - 1
        if left < 0:
            raise ValueError("made of absurdly many parts")
        yield start, at
    if at > len(data):
        raise ValueError("it ends too early")


def gif_table(flags: int) -> int:
    """Bytes of the table of colours that such flags of a GIF tell of."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def jpeg2000_bits(data: bytes) -> int:
    """Bits of a sample in the first channel of a JPEG 2000 file, as its code stream says."""
    start = data.find(b"\xff\x4f\xff\x51")  # SOC and SIZ (ISO/IEC 15444-1, A.5.1)
    if start < 0 or len(data) <= start + 42:
        return 8  # damaged: the decoder will say so
    return (data[start + 42] & 0x7F) + 1
