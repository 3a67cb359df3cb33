"""Codes of high dynamic range (PQ, HLG), which PNG and AVIF can hold, from file to file.

Other codes become profiles, see :mod:`srnet.pngcolour`. A profile cannot say how bright these are
shown, so the codes themselves travel along, and what other formats would show is refused.
"""

from __future__ import annotations

from srnet import avif, pngcolour
from srnet.errors import OutputError
from srnet.pngchunks import before_pixels, with_chunk

_CURVES = (16, 18)  # PQ and HLG, by their numbers in ITU-T H.273
_FORMATS = ("png", "avif")


def high_range(kind: str, data: bytes) -> tuple[int, int] | None:
    """The codes of primaries and curve of a file, where that is one of high dynamic range.

    ``kind`` is the format as Pillow names it.
    """
    found = None
    if kind == "PNG":
        found = pngcolour.codes(before_pixels(data))
    elif kind == "AVIF":
        found = avif.codes(data)
    return found if found and found[1] in _CURVES and found[0] <= 255 else None


def check(name: str, codes: tuple[int, int] | None) -> None:
    """Refuse with ``OutputError`` codes that a format has no place for."""
    if codes is not None and name not in _FORMATS:
        raise OutputError(
            f"{name} cannot hold high dynamic range (PQ or HLG): write png or avif, or turn the "
            "picture into sRGB first, with a program that can"
        )


def written(data: bytes, name: str, codes: tuple[int, int]) -> bytes:
    """A file in one of the formats that :func:`check` lets through, with these codes.

    Raises ``ValueError`` when it has no place for them.
    """
    if name == "avif":
        return avif.with_codes(data, *codes)
    return with_chunk(data, b"cICP", bytes((*codes, 0, 1)))  # RGB, of the whole range
