"""Colour profiles and XMP in JPEG 2000, BMP and GIF."""

from __future__ import annotations

import struct

import numpy as np
import PIL.Image
import pytest

from srnet.errors import DecodeError
from srnet.image import FORMATS, decode, encode
from srnet.pngcolour import profile
from tests.image.support import SRGB, pillow
from tests.image.test_kinds import cmyk_profile

P3 = profile({b"cICP": bytes((12, 13, 0, 1))}, grey=False)
GREY = profile({b"cICP": bytes((1, 8, 0, 1))}, grey=True)
PACKET = b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>' + b"<?xpacket end='w'?>"
COLOUR = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8))
XMP_BOX = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
TRAIL = b"\1" + bytes(range(255, -1, -1)) + b"\0"


def box(kind: bytes, body: bytes, long: bool = False) -> bytes:
    if long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def jpeg2000(*colours: bytes, pil: PIL.Image.Image = COLOUR, long: bool = False) -> bytes:
    """A file with these boxes of colours, and XMP."""
    data = pillow(pil, "JPEG2000")
    header, stream = data.index(b"jp2h") - 4, data.index(b"jp2c") - 4
    colour = data.index(b"colr") - 4
    inner = data[header + 8 : colour] + b"".join(box(b"colr", each) for each in colours)
    packet = box(b"uuid", b"another box here" + b"?") + box(b"uuid", XMP_BOX + PACKET, long)
    return data[:header] + box(b"jp2h", inner) + packet + data[stream:]


def bmp(
    icc: bytes, *, kind: bytes = b"DEBM", grow: int = 0, pixels: bytes = b"\1\2\3\0" * 8
) -> bytes:
    """A BMP of 1 x 8 pixels; ``grow`` is added to the length of its profile."""
    header = struct.pack("<IiiHHIIiiII", 124, 1, 8, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    header += bytes(16) + kind + bytes(48)
    header += struct.pack("<IIII", 4, 124 + len(pixels), len(icc) + grow, 0)
    size = 14 + len(header) + len(pixels) + len(icc)
    return b"BM" + struct.pack("<III", size, 0, 14 + len(header)) + header + pixels + icc


def gif(*extensions: bytes, frames: int = 1) -> bytes:
    pil = [COLOUR.rotate(90 * n).quantize(16) for n in range(frames)]
    data = pillow(pil[0], "GIF", save_all=True, append_images=pil[1:])
    at = 13 + (3 << (data[10] & 7) + 1)
    return data[:at] + b"".join(b"\x21\xff\x0b" + each for each in extensions) + data[at:]


def blocks(body: bytes) -> bytes:
    parts = [body[at : at + 255] for at in range(0, len(body), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


@pytest.mark.parametrize(
    "data",
    [
        jpeg2000(b"\2\0\0" + P3),
        jpeg2000(b"\3\0\0" + P3, b"\2\0\0" + SRGB, long=True),
        bmp(P3),
        gif(b"ICCRGBG1012" + blocks(P3)),
        gif(b"NETSCAPE2.0" + blocks(b"\1\0\0"), b"ICCRGBG1012" + blocks(P3), frames=3),
    ],
    ids=["restricted", "any", "bmp", "gif", "animation"],
)
@pytest.mark.parametrize("name", ["png", "webp"])
def test_profiles_travel_along(data, name):
    frames = decode(data)
    assert [frame.icc for frame in frames] == [P3] * len(frames)
    assert decode(encode(frames, name))[0].icc == P3


def test_the_first_colours_of_a_jpeg2000_hold():
    enumerated = b"\1\0\0" + struct.pack(">I", 16)
    assert decode(jpeg2000(enumerated, b"\2\0\0" + P3))[0].icc is None


def test_profiles_of_other_colours_are_left_out_or_refused():
    assert decode(jpeg2000(b"\2\0\0" + GREY))[0].icc is None
    assert decode(jpeg2000(b"\2\0\0" + P3, pil=COLOUR.convert("L")))[0].icc is None
    assert decode(jpeg2000(b"\2\0\0" + GREY, pil=COLOUR.convert("L")))[0].icc == GREY
    inks = jpeg2000(b"\2\0\0" + cmyk_profile(), pil=COLOUR.convert("RGBA"))
    with pytest.raises(DecodeError, match=r"x .*CMYK"):
        decode(inks, "x")


@pytest.mark.parametrize(
    "data",
    [
        *(
            jpeg2000(body)
            for body in (b"\2\0\0" + P3[:140][:100], b"\2\0\0junk", b"\2\0\0\0\0\0\0")
        ),
        *(bmp(P3, grow=1), bmp(P3, grow=2**31), bmp(b""), bmp(P3, kind=b"KNIL")),
        *(gif(b"ICCRGBG1012\0"), gif(b"ICCRGBG1012" + blocks(b"junk"))),
        *(gif(b"XMP DataXMP\0"), gif(b"XMP DataXMP" + blocks(PACKET))),
    ],
)
def test_what_is_damaged_is_left_out(data):
    (found,) = decode(data)
    assert found.icc is None
    assert found.xmp in (None, PACKET)  # which in a JPEG 2000 is sound


@pytest.mark.parametrize("long", [False, True])
def test_xmp_is_read_from_jpeg2000(long):
    (found,) = decode(jpeg2000(b"\2\0\0" + P3, long=long))
    assert found.xmp == PACKET


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("name", FORMATS)
def test_xmp_is_read_from_gif(frames, name):
    found = decode(gif(b"XMP DataXMP" + PACKET + TRAIL, frames=frames))
    assert len(found) == frames
    assert found[0].xmp == PACKET
    still = encode(found[:1], name)
    assert decode(still)[0].xmp == PACKET
