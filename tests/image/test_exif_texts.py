"""Texts of EXIF that are not ASCII, and EXIF where a PNG had no place for it."""

from __future__ import annotations

import struct
from dataclasses import replace

import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

from srnet.image import FORMATS, decode, encode, read_size
from tests.image.support import exif, noise, pillow, tags

ARTIST, SAID = "Jürgen Müller", "Grüße aus 東京"  # the first may be read as Latin-1, too


def worded(*, orientation: bool) -> bytes:
    """An EXIF block with two texts in UTF-8, as cameras and editors write them."""
    texts = {0x010E: SAID.encode() + b"\0", 0x013B: ARTIST.encode() + b"\0"}
    count = len(texts) + orientation
    entries, body, at = [], b"", 8 + 2 + 12 * count + 4
    for tag, text in texts.items():
        entries.append(struct.pack("<HHII", tag, 2, len(text), at + len(body)))
        body += text
    if orientation:
        entries.insert(1, struct.pack("<HHIHH", 0x0112, 3, 1, 1, 0))
    return struct.pack("<2sHIH", b"II", 42, 8, count) + b"".join(entries) + bytes(4) + body


@pytest.mark.parametrize("orientation", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_no_letter_is_lost(name, orientation):
    image = replace(noise(9, 8, 3), exif=worded(orientation=orientation))
    first = encode([image], name)
    assert all(text.encode() in first for text in (ARTIST, SAID))
    for other in FORMATS:  # from a TIFF, of which the block is built
        again = encode(decode(first), other)
        assert all(text.encode() in again for text in (ARTIST, SAID)), other


def test_nor_of_a_block_that_is_shortened_for_a_jpeg():
    image = replace(noise(9, 8, 3), exif=worded(orientation=True) + bytes(70_000))
    data = encode([image], "jpeg")
    assert ARTIST.encode() in data
    assert len(decode(data)[0].exif or b"") < 1_000


def with_raw(name: str, body: bytes) -> bytes:
    digits = body.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    info = PngInfo()
    info.add_text(f"Raw profile type {name}", f"\n{name}\n{len(body):8}\n{lines}\n", zip=True)
    return pillow(PIL.Image.new("RGB", (12, 8)), "PNG", pnginfo=info)


@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_exif_in_a_text_of_a_png_is_read(name, tmp_path):
    data = with_raw(name, b"Exif\0\0" + exif(6))
    (image,) = decode(data)
    assert (image.width, image.height) == (8, 12)  # turned as it asks
    assert tags(image.exif)[0x010F] == "maker"
    assert tags(image.exif)[0x0112] == 1
    assert tags(decode(encode([image], "png"))[0].exif)[0x010F] == "maker"
    (tmp_path / "a.png").write_bytes(data)
    assert read_size(tmp_path / "a.png") == (12, 8)


@pytest.mark.parametrize("head", [b"", b"http://ns.adobe.com/xap/1.0/\0"])
def test_so_is_xmp(head):
    packet = b"<x:xmpmeta>title</x:xmpmeta>"
    (image,) = decode(with_raw("APP1" if head else "xmp", head + packet))
    assert image.xmp == packet
    assert image.exif is None


@pytest.mark.parametrize("body", [b"", b"II*\0", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_a_damaged_one_is_left_out(body):
    (image,) = decode(with_raw("exif", body))
    assert image.exif is None
