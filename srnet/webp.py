"""Whether a WebP file lost anything when it was written, which Pillow does not tell."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

_MOST_PARTS = 20_000  # that are looked at: four for each frame of the longest animation read


def is_lossless(data: bytes) -> bool:
    """Whether every picture in a WebP file is coded without loss; of all else, False."""
    if data[8:12] != b"WEBP":
        return False
    kinds = set(islice(_parts(data), _MOST_PARTS))
    return b"VP8L" in kinds and b"VP8 " not in kinds


def _parts(data: bytes) -> Iterator[bytes]:
    """The kind of each part, and of those that frames are made of."""
    start, end = 12, min(8 + int.from_bytes(data[4:8], "little"), len(data))
    while start + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, start)
        yield kind
        start += 8 + (16 if kind == b"ANMF" else length + length % 2)  # a frame's own parts next
