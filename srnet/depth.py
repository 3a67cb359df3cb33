"""Whether an opened file has 16 bits, and whether decoding will cut more bits than 8."""

from __future__ import annotations

from typing import Any

from srnet import avif
from srnet.structure import jpeg2000_bits

BITS = 258  # the tag of a TIFF


def deep(pil: Any, data: bytes) -> bool:
    """Whether the file has 16 bits, which in colour Pillow would cut to 8."""
    if pil.format == "PNG":
        return data[24] == 16
    if pil.mode.startswith("I;16"):
        return True
    bits = pil.tag_v2.get(BITS, (8,)) if pil.format == "TIFF" else (8,)
    return bits[0] == 16 and pil.mode in ("RGB", "RGBA")


def cut(pil: Any, data: bytes) -> bool:
    """Whether the file has more than the 8 bits that Pillow makes of it."""
    if pil.format == "AVIF":
        return avif.bits(data) > 8
    if pil.format == "JPEG2000":
        return not pil.mode.startswith("I;16") and jpeg2000_bits(data) > 8
    bits = pil.tag_v2.get(BITS, (8,)) if pil.format == "TIFF" and pil.mode == "CMYK" else (8,)
    return bool(bits[0] > 8)
