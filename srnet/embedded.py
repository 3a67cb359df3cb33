"""Colour profiles and XMP in JPEG 2000, BMP and GIF, where Pillow does not look for them.

They are found by the headers of what holds them: ISO/IEC 15444-1, annex I, and 16684-1 for XMP;
Windows' BITMAPV5HEADER; GIF's application extensions. What is damaged counts as not there.
"""

from __future__ import annotations

import struct

from srnet.boxes import boxes
from srnet.structure import gif_parts
from srnet.xmp import MOST, usable

_RESTRICTED, _ANY = 2, 3  # the ways of JPEG 2000 to tell of colours that are a profile
_NOT_READ = (b"CMYK", b"Lab ")
_XMP_BOX = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
_V5, _COLOUR_SPACE, _PROFILE, _MBED = 124, 70, 126, b"DEBM"  # of a BMP, from its first byte
_BMP_HEADER = 14  # bytes before the one that offsets count from
_GIF_XMP, _GIF_PROFILE = b"XMP DataXMP", b"ICCRGBG1012"
_TRAIL = 258  # bytes that lead all who take a packet in a GIF for blocks to its end


def profile(kind: str | None, data: bytes) -> bytes | None:
    """The ICC profile of a file of this format (Pillow's name), as it is; None if it has none.

    ``ValueError`` where it is one of CMYK or Lab in JPEG 2000: Pillow takes such samples for RGB.
    """
    if kind == "JPEG2000":
        found = _jpeg2000_profile(data)
        if found[16:20] in _NOT_READ:
            raise ValueError(f"its colours are {found[16:20].decode().strip()}")
    else:
        found = {"BMP": _bmp_profile, "GIF": _gif_profile}.get(kind or "", lambda _: b"")(data)
    return found if 0 < len(found) <= MOST else None


def xmp(kind: str | None, data: bytes) -> bytes | None:
    """The XMP packet of a JPEG 2000 or GIF file; None if it has none, and for other formats."""
    if kind == "JPEG2000":
        for name, start, end in boxes(data):
            if name == b"uuid" and data[start : start + 16] == _XMP_BOX:
                return usable(data[start + 16 : end])
    if kind == "GIF":
        start, end = _gif_extension(data, _GIF_XMP)
        trail = data[max(start, end - _TRAIL) : end]
        return usable(data[start : end - _TRAIL]) if trail[:2] == b"\1\xff" else None
    return None


def _jpeg2000_profile(data: bytes) -> bytes:
    """That of the first box of colours, as readers are told to heed no other."""
    for name, start, end in boxes(data):
        if name == b"jp2h":
            for part, first, last in boxes(data, start, end):
                if part == b"colr":
                    known = data[first : first + 1] in (bytes([_RESTRICTED]), bytes([_ANY]))
                    return data[first + 3 : last] if known else b""
    return b""


def _bmp_profile(data: bytes) -> bytes:
    if len(data) < _BMP_HEADER + _V5 or int.from_bytes(data[14:18], "little") < _V5:
        return b""
    if data[_COLOUR_SPACE : _COLOUR_SPACE + 4] != _MBED:
        return b""
    at, size = struct.unpack_from("<II", data, _PROFILE)
    found = data[_BMP_HEADER + at : _BMP_HEADER + at + size]
    return found if len(found) == size else b""


def _gif_profile(data: bytes) -> bytes:
    at, end = _gif_extension(data, _GIF_PROFILE)
    blocks = []
    while at < end and data[at]:
        blocks.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(blocks)


def _gif_extension(data: bytes, name: bytes) -> tuple[int, int]:
    """Where the contents of the first extension of that name begin and end; twice 0 if nowhere."""
    head = b"\x21\xff\x0b" + name
    if head in data:
        for start, end in gif_parts(data):
            if data.startswith(head, start):
                return start + len(head), end
    return 0, 0
