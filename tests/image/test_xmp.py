"""XMP packets travel along, and tell no untruth."""

from __future__ import annotations

import io
import struct
import time
import zlib
from dataclasses import replace

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from PIL.PngImagePlugin import PngInfo

from srnet import xmp
from srnet.image import FORMATS, decode, encode, from_pil, read_header, to_pil
from tests.image.support import chunk, exif, frames_of, noise, pillow

PACKET = (
    '<?xpacket begin="\ufeff"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmp:Rating="4" '
    'tiff:Orientation="6" tiff:ImageWidth="9" exif:PixelXDimension="9"><dc:title>Größe</dc:title>'
    "<exif:PixelYDimension>7</exif:PixelYDimension></rdf:Description></x:xmpmeta>"
).encode()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("name", FORMATS)
def test_it_travels_along_or_stays_behind(name, bands, dtype):
    image = replace(noise(14, 18, bands, dtype), xmp=PACKET)
    found = decode(encode([image], name, background=(0, 0, 0)))[0].xmp
    assert found is not None
    assert b'xmp:Rating="4"' in found
    assert "Größe".encode() in found
    assert b'ImageWidth="18"' in found
    assert b'PixelXDimension="18"' in found
    assert b"<exif:PixelYDimension>14<" in found
    assert b'Orientation="6"' in found  # of the pixels as they were; nobody turned them
    bare = encode([image], name, background=(0, 0, 0), keep_metadata=False)
    assert decode(bare)[0].xmp is None


@pytest.mark.parametrize("name", ["png", "webp", "avif"])
def test_animations_keep_it(name):
    frames = [replace(frame, xmp=PACKET) for frame in frames_of(3, 3)]
    assert b"Rating" in decode(encode(frames, name))[0].xmp


def test_it_is_read_from_what_others_write():
    pil = PIL.Image.new("RGB", (9, 7))
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", PACKET.decode(), zip=True)
    files = [
        *(pillow(pil, kind, xmp=PACKET) for kind in ("JPEG", "WEBP", "AVIF")),
        pillow(pil, "PNG", pnginfo=info),
        pillow(pil, "TIFF", tiffinfo={700: PACKET}),
    ]
    assert [decode(data)[0].xmp for data in files] == [PACKET] * 5
    assert to_pil(decode(files[0])[0]).info["xmp"] == PACKET


def test_a_picture_that_was_turned_says_so_no_more():
    data = pillow(PIL.Image.new("RGB", (9, 7)), "JPEG", xmp=PACKET, exif=b"Exif\0\0" + exif(6))
    image = decode(data)[0]
    assert (image.height, image.width) == (9, 7)
    assert b'tiff:Orientation="1"' in image.xmp


def test_it_does_not_turn_a_picture_by_itself():
    """Pillow would turn a TIFF by it, and nothing else."""
    for data in (
        pillow(PIL.Image.new("RGB", (9, 7)), "TIFF", tiffinfo={700: PACKET}),
        pillow(PIL.Image.new("RGB", (9, 7)), "JPEG", xmp=PACKET),
    ):
        image, header = decode(data)[0], read_header(data, "x")
        assert (image.width, image.height) == (header.width, header.height) == (9, 7)


def test_all_else_stays():
    assert xmp.sized(None, 1, 2) is None
    for other in (
        b"",
        b"\0\xff",
        b'mytiff:Orientation="6" tiff:OrientationX="3"',
    ):
        assert xmp.sized(xmp.upright(other), 5, 6) == other
    assert xmp.upright(b"<tiff:Orientation> 8</tiff:Orientation>") == (
        b"<tiff:Orientation> 1</tiff:Orientation>"
    )


@pytest.mark.parametrize(
    "pointer",
    [
        b' xmpNote:HasExtendedXMP="%s"',
        b" xmpNote:HasExtendedXMP = '%s'",
        b"><xmpNote:HasExtendedXMP>%s</xmpNote:HasExtendedXMP><a",
    ],
)
def test_what_goes_on_elsewhere_in_a_jpeg_is_not_promised(pointer):
    packet = PACKET.replace(b" xmp:Rating", pointer % (b"A" * 32) + b" xmp:Rating")
    data = pillow(PIL.Image.new("RGB", (9, 7)), "JPEG", xmp=packet)
    rest = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + struct.pack(">II", 4, 0) + b"<b/>"
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(rest) + 2) + rest + data[2:]
    for found in (decode(data)[0], from_pil(PIL.Image.open(io.BytesIO(data)))):
        assert b"HasExtendedXMP" not in found.xmp
        assert b'xmp:Rating="4"' in found.xmp
        assert len(found.xmp) >= len(PACKET)  # nothing else is missing


def test_endless_promises_take_no_time():
    start = time.monotonic()
    for end in (b" ", b'="', b"='", b">"):
        assert xmp.usable(b"<xmpNote:HasExtendedXMP" + end * 150_000) is not None
        assert xmp.usable((b"<xmpNote:HasExtendedXMP" + end) * 150_000) is not None
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("tag", [1, 6])
@pytest.mark.parametrize("name", FORMATS)
def test_a_turned_tiff_is_turned_once(name, tag, dtype):
    """Pillow asks XMP where EXIF is silent, and so would turn the result again."""
    found = decode(tiff(tag, dtype))[0]
    sides = (found.width, found.height)
    assert sides == ((9, 7) if tag == 1 else (7, 9))
    with PIL.Image.open(io.BytesIO(encode([found], name))) as written:
        shown = PIL.ImageOps.exif_transpose(written)
    assert shown.size == (sides if tag == 6 or name == "tiff" else (7, 9))  # as XMP said, not we


def tiff(tag: int, dtype) -> bytes:
    data = encode([replace(noise(7, 9, 3, dtype), xmp=PACKET)], "tiff")
    entry = struct.pack("<HHII", 274, 3, 1, 1)
    assert data.count(entry) == 1
    return data.replace(entry, struct.pack("<HHII", 274, 3, 1, tag))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("image", [noise(7, 9, 3), noise(7, 9, 3, np.uint16)], ids=["8", "16"])
def test_it_is_found_after_the_pixels_of_a_png(image, packed):
    text = zlib.compress(PACKET) if packed else PACKET
    late = b"XML:com.adobe.xmp\0" + bytes([packed, 0]) + b"en\0title\0" + text
    for frames in ([image], frames_of(3, 3)):
        data = encode(frames, "png")
        assert decode(data[:-12] + chunk(b"iTXt", late) + data[-12:])[0].xmp == PACKET
        for damaged in (late[:18], late[:21], late[:-9] if packed else late[:19]):
            found = decode(data[:-12] + chunk(b"iTXt", damaged) + data[-12:])[0]
            assert found.xmp is None or PACKET.startswith(found.xmp)
        garbled = late[:18] + b"\1\0en\0title\0no stream"
        assert decode(data[:-12] + chunk(b"iTXt", garbled) + data[-12:])[0].xmp is None


def test_what_a_jpeg_cannot_hold_is_left_out_there_and_its_padding_first():
    end = b'<?xpacket end="w"?>'
    padded = replace(noise(9, 9, 3), xmp=PACKET + b" " * 70_000 + end)
    full = replace(padded, xmp=PACKET + b"x" * 70_000 + end)
    assert b"Rating" in decode(encode([padded], "jpeg"))[0].xmp
    assert decode(encode([full], "jpeg"))[0].xmp is None
    assert len(decode(encode([full], "webp"))[0].xmp) > 70_000
    vast = replace(padded, xmp=b"x" * (xmp.MOST + 1))
    assert decode(encode([vast], "tiff"))[0].xmp is None


def test_a_packet_that_is_no_text_is_no_reason_to_fail():
    frames = [replace(frame, xmp=b"\xff\xfe<") for frame in frames_of(3, 3)]
    assert decode(encode(frames, "png"))[0].xmp == b"\xff\xfe<"
    assert decode(encode(frames[:1], "png"))[0].xmp == b"\xff\xfe<"


def test_endless_padding_takes_no_time():
    start = time.monotonic()
    assert xmp.fitting(b"a" * 66_000 + b" " * 4_000_000 + b"x", 65_504) is None
    assert xmp.fitting(b"<a/>" + b" \n" * 2_000_000 + b"<?xpacket end='w'?>", 99) is not None
    assert time.monotonic() - start < 2
