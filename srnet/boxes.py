"""Boxes, of which JPEG 2000 and AVIF files are made (ISO/IEC 15444-1, annex I)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MOST = 10_000  # in one; a picture has dozens


def boxes(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where the contents begin and end, of each box that is there in full.

    ``at`` and ``end`` bound the box in which they lie; nothing is copied.
    """
    end, left = len(data) if end is None else end, _MOST
    while at + 8 <= end and left:
        (size, kind), head = struct.unpack_from(">I4s", data, at), 8
        if size == 1 and at + 16 <= end:  # which is written after the kind, in eight bytes
            (size,), head = struct.unpack_from(">Q", data, at + 8), 16
        size = size or end - at  # to the end
        if size < head or at + size > end:
            return
        yield kind, at + head, at + size
        at, left = at + size, left - 1
