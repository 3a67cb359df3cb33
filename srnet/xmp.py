"""XMP packets, changed where a picture's new form makes them untrue, as :mod:`srnet.exif` does.

All else stays byte for byte: titles, ratings and keywords are for other programs.
"""

from __future__ import annotations

import re

_VALUE = rb"\s*(?:=\s*[\"']|>)\s*)\d+"  # of an attribute, or of an element
_ORIENTATION = re.compile(rb"(\btiff:Orientation" + _VALUE)
_WIDTH = re.compile(rb"(\b(?:tiff:ImageWidth|exif:PixelXDimension)" + _VALUE)
_HEIGHT = re.compile(rb"(\b(?:tiff:ImageLength|exif:PixelYDimension)" + _VALUE)
PNG_KEYWORD = b"XML:com.adobe.xmp"


def upright(xmp: bytes) -> bytes:
    """The packet of a picture that has been turned as its EXIF asked."""
    return _ORIENTATION.sub(rb"\g<1>1", xmp)


def sized(xmp: bytes | None, width: int, height: int) -> bytes | None:
    """The packet, in which what tells the size of the picture tells this one."""
    if xmp is None:
        return None
    xmp = _WIDTH.sub(rb"\g<1>%d" % width, xmp)
    return _HEIGHT.sub(rb"\g<1>%d" % height, xmp)
