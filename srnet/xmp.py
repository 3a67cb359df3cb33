"""XMP packets, changed where a picture's new form makes them untrue, as :mod:`srnet.exif` does.

All else stays byte for byte: titles, ratings and keywords are for other programs.
"""

from __future__ import annotations

import re

_VALUE = rb"\s*(?:=\s*[\"']|>)\s*)\d+"  # of an attribute, or of an element
_ORIENTATION = re.compile(rb"(\btiff:Orientation" + _VALUE)
_WIDTH = re.compile(rb"(\b(?:tiff:ImageWidth|exif:PixelXDimension)" + _VALUE)
_HEIGHT = re.compile(rb"(\b(?:tiff:ImageLength|exif:PixelYDimension)" + _VALUE)
_MORE = b"xmpNote:HasExtendedXMP"
_POINTER = re.compile(
    rb"\b%(name)s\s{0,9}=\s{0,9}(?:\"[^\"]{0,99}\"|'[^']{0,99}')|<%(name)s>[^<]{0,99}</%(name)s>"
    % {b"name": _MORE}
)
_PADDING = re.compile(rb"(?<!\s)\s+(?=<\?xpacket end)")  # for programs that change it in place
PNG_KEYWORD = b"XML:com.adobe.xmp"
MOST = 1 << 24  # bytes of a packet that is kept; others hold no description but data


def usable(xmp: object) -> bytes | None:
    """What was found as a packet, if it is one and not absurdly large.

    Without the word of a second packet, which a JPEG may have besides (what does not fit into
    the first: maps of depth, long histories of editing) and which is not kept.
    """
    if not isinstance(xmp, bytes) or not 0 < len(xmp) <= MOST:
        return None
    return _POINTER.sub(b"", xmp) if _MORE in xmp else xmp


def fitting(xmp: bytes | None, most: int) -> bytes | None:
    """The packet if it has at most that many bytes, perhaps without its padding; else None."""
    if xmp is not None and len(xmp) > most:
        xmp = _PADDING.sub(b"\n", xmp)
    return xmp if xmp is not None and len(xmp) <= most else None


def upright(xmp: bytes | None) -> bytes | None:
    """The packet of a picture that has been turned as its EXIF asked."""
    return None if xmp is None else _ORIENTATION.sub(rb"\g<1>1", xmp)


def sized(xmp: bytes | None, width: int, height: int) -> bytes | None:
    """The packet, in which what tells the size of the picture tells this one."""
    if xmp is None:
        return None
    xmp = _WIDTH.sub(rb"\g<1>%d" % width, xmp)
    return _HEIGHT.sub(rb"\g<1>%d" % height, xmp)
