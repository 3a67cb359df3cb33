"""Whether a WebP file lost anything when it was written, which Pillow does not tell."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_FILE, _FRAME = 12, 16  # bytes before the first part, of a file and of a frame


def is_lossless(data: bytes) -> bool:
    """Whether every picture in a WebP file is coded without loss; of all else, False."""
    kinds = set(_codings(data, _FILE, len(data))) if data[8:12] == b"WEBP" else set()
    return kinds == {b"VP8L"}


def _codings(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """``VP8L`` (exact) or ``VP8 `` for each picture between two places."""
    while start + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, start)
        start += 8
        if kind == b"ANMF":
            yield from _codings(data, start + _FRAME, min(start + length, end))
        elif kind in (b"VP8L", b"VP8 "):
            yield kind
        start += length + length % 2
