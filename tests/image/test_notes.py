"""Comments, the texts of a PNG, and IPTC travel along."""

from __future__ import annotations

import io
import struct
import time
import zlib
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

from srnet.errors import OptionError
from srnet.image import FORMATS, Image, decode, encode, from_pil, to_pil
from srnet.notes import MOST, MOST_TEXTS, Notes
from tests.image.support import chunk, frames_of, noise, pillow

IPTC = b"\x1c\x02\x78\x00\x07caption\x1c\x02\x19\x00\x03key"
RESOURCE = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + b"\0"
OTHER = b"8BIM\x03\xe8\x03abc" + struct.pack(">I", 3) + b"xyz\0"  # of another kind, with a name
TEXTS = (("Comment", "Größe"), ("parameters", "a castle, 東京"), ("workflow", "{}" * 40_000))
NOTES = Notes(TEXTS, IPTC)
BARE = pillow(PIL.Image.new("RGB", (9, 7)), "PNG")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("name", FORMATS)
def test_what_a_format_can_hold_travels_along_or_stays_behind(name, bands, dtype):
    image = replace(noise(9, 8, bands, dtype), notes=NOTES)
    found = decode(encode([image], name, background=(0, 0, 0)))[0].notes
    assert found.texts == {"png": TEXTS, "jpeg": TEXTS[:1]}.get(name, ())
    assert found.iptc == (IPTC if name in ("png", "jpeg", "tiff") else None)
    bare = encode([image], name, background=(0, 0, 0), keep_metadata=False)
    assert decode(bare)[0].notes == Notes()


@pytest.mark.parametrize("name", ["png", "webp", "avif"])
def test_animations_keep_what_they_can(name):
    frames = [replace(frame, notes=NOTES) for frame in frames_of(3, 3)]
    assert decode(encode(frames, name))[0].notes == (NOTES if name == "png" else Notes())


def test_texts_are_read_however_they_are_stored():
    info = PngInfo()
    info.add_text("Title", "Größe")
    info.add_text("Author", "packed", zip=True)
    info.add_itxt("Place", "東京", lang="ja", tkey="場所")
    info.add_itxt("Far", "東京", zip=True)
    pil = PIL.Image.new("RGB", (9, 7))
    found = decode(pillow(pil, "PNG", pnginfo=info))[0].notes
    expected = (("Title", "Größe"), ("Author", "packed"), ("Place", "東京"), ("Far", "東京"))
    assert found == Notes(expected)


def test_texts_after_the_pixels_are_read_too():
    data = BARE
    data = data[:-12] + chunk(b"tEXt", b"Title\0late") + data[-12:]
    assert decode(data)[0].notes.texts == (("Title", "late"),)


@pytest.mark.parametrize(
    "body",
    [
        b"zTXtTitle\0\0junk",
        b"tEXt" + b"k" * 80 + b"\0text",
        b"tEXt\0text",
        b"iTXtTitle\0\0\0\0\0\xff",
    ],
)
def test_damaged_texts_are_left_out(body):
    data = BARE
    data = data[:-12] + chunk(body[:4], body[4:]) + data[-12:]
    assert decode(data)[0].notes == Notes()


def test_texts_are_bounded_in_size_and_number():
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(MOST + 1), 9))
    data = BARE
    assert decode(data[:-12] + bomb + data[-12:])[0].notes == Notes()
    many = b"".join(chunk(b"tEXt", b"k\0%d" % n) for n in range(MOST_TEXTS + 10))
    assert len(decode(data[:-12] + many + data[-12:])[0].notes.texts) == MOST_TEXTS


@pytest.mark.parametrize("packed", [False, True])
def test_a_text_that_is_too_long_hides_no_other(packed):
    info = PngInfo()
    info.add_text("before", "a", zip=packed)
    info.add_text("workflow", "x" * (MOST + 1), zip=packed)
    info.add_text("prompt", "a castle", zip=packed)
    opened = PIL.Image.open(io.BytesIO(pillow(PIL.Image.new("RGB", (9, 7)), "PNG", pnginfo=info)))
    for found in (decode(opened.fp.getvalue())[0], from_pil(opened)):
        assert found.notes.texts == (("before", "a"), ("prompt", "a castle"))


def test_all_texts_together_are_bounded():
    info = PngInfo()
    for name in "abc":
        info.add_text(name, name * (MOST // 2))
    data = pillow(PIL.Image.new("RGB", (9, 7)), "PNG", pnginfo=info)
    assert [keyword for keyword, _ in decode(data)[0].notes.texts] == ["a", "b"]


def test_comments_of_other_formats_become_texts():
    pil = PIL.Image.new("P", (9, 7))
    assert decode(pillow(pil, "GIF", comment=b"hello"))[0].notes == Notes((("Comment", "hello"),))
    data = pillow(pil.convert("RGB"), "JPEG", comment=b"caf\xe9\0")
    assert decode(data)[0].notes == Notes((("Comment", "café"),))
    both = data[:2] + b"\xff\xfe\0\x07first" + data[2:]
    assert decode(both)[0].notes == Notes((("Comment", "first\ncafé"),))


def jpeg_with(segment: bytes) -> bytes:
    data = pillow(PIL.Image.new("RGB", (9, 7)), "JPEG")
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


@pytest.mark.parametrize("order", ["<", ">"])
def test_iptc_is_read_from_what_others_write(order):
    pil = PIL.Image.new("RGB", (9, 7))
    padded = IPTC + bytes(-len(IPTC) % 4)
    count = len(padded) // 4
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    entries = {256: (4, 1, 1), 257: (4, 1, 1), 258: (3, 1, 8), 262: (3, 1, 1), 277: (3, 1, 1)}
    entries |= {273: (4, 1, 150), 278: (4, 1, 1), 279: (4, 1, 1), 33723: (4, count, 160)}
    tiff += struct.pack(order + "H", len(entries))
    for tag, (kind, many, value) in sorted(entries.items()):
        form = "HHIHH" if kind == 3 else "HHII"
        tiff += struct.pack(order + form, tag, kind, many, value, *([0] * (kind == 3)))
    tiff = tiff.ljust(160, b"\0")
    assert decode(tiff + padded)[0].notes.iptc == padded
    turned = struct.pack(f"<{count}I", *struct.unpack(f">{count}I", padded))
    assert decode(tiff + turned)[0].notes.iptc == padded
    resources = pillow(pil, "TIFF", tiffinfo={34377: OTHER + RESOURCE})
    assert decode(resources)[0].notes.iptc == IPTC
    assert decode(jpeg_with(b"Photoshop 3.0\0" + OTHER + RESOURCE))[0].notes.iptc == IPTC
    info = PngInfo()
    digits = (b"Photoshop 3.0\0" + OTHER + RESOURCE).hex()
    info.add_text("Raw profile type 8bim", f"\n8bim\n{len(digits) // 2:8}\n{digits}\n", zip=True)
    assert decode(pillow(pil, "PNG", pnginfo=info))[0].notes == Notes((), IPTC)


@pytest.mark.parametrize("length", [0, 5, 9, 12, 20])
def test_resources_that_break_off_hold_nothing(length):
    cut = RESOURCE[:length]
    pil = PIL.Image.new("RGB", (9, 7))
    found = decode(pillow(pil, "TIFF", tiffinfo={34377: OTHER + cut}))[0].notes.iptc
    assert found is None or IPTC.startswith(found)
    info = PngInfo()
    info.add_text("Raw profile type iptc", "\niptc\n 3\nxyz")
    assert decode(pillow(pil, "PNG", pnginfo=info))[0].notes == Notes()


def test_what_is_too_long_for_a_jpeg_is_left_out():
    notes = Notes((("Comment", "x" * 70_000),), IPTC + bytes(70_000))
    found = decode(encode([replace(noise(9, 8, 3), notes=notes)], "jpeg"))[0].notes
    assert found == Notes()


def test_pil_images_bring_them():
    info = PngInfo()
    info.add_text("Title", "a")
    opened = PIL.Image.open(io.BytesIO(pillow(PIL.Image.new("RGB", (9, 7)), "PNG", pnginfo=info)))
    assert from_pil(opened).notes.texts == (("Title", "a"),)
    jpeg = PIL.Image.open(io.BytesIO(pillow(PIL.Image.new("RGB", (9, 7)), "JPEG", comment="hello")))
    assert to_pil(from_pil(jpeg)).info["comment"] == b"hello"
    assert "comment" not in to_pil(noise(9, 8, 3)).info


@pytest.mark.parametrize(
    "pair", [("", "a"), (" a", "a"), ("a" * 80, "a"), ("東", "a"), ("a", "\0")]
)
def test_what_no_png_can_hold_is_refused(pair):
    with pytest.raises(OptionError, match="keyword"):
        Notes((pair,))
    assert Image(np.zeros((1, 1, 3), np.uint8)).notes == Notes()


def test_a_comment_in_small_letters_hides_no_other_text():
    info = PngInfo()
    info.add_text("comment", "small")
    info.add_text("parameters", "a castle")
    data = pillow(PIL.Image.new("RGB", (9, 7)), "PNG", pnginfo=info)
    expected = (("comment", "small"), ("parameters", "a castle"))
    assert decode(data)[0].notes.texts == expected
    assert from_pil(PIL.Image.open(io.BytesIO(data))).notes.texts == expected


@pytest.mark.parametrize("name", ["default_image", "dpi", "transparency", "icc_profile", "loop"])
def test_texts_are_taken_for_nothing_else(name):
    info = PngInfo()
    info.add_text(name, "1")
    picture = noise(9, 8, 3)
    late = encode([picture], "png")
    late = late[:-12] + chunk(b"tEXt", name.encode() + b"\0" + b"1") + late[-12:]
    for data in (late, pillow(PIL.Image.fromarray(picture.rgb), "PNG", pnginfo=info)):
        (found,) = decode(data)
        assert np.array_equal(found.rgb, picture.rgb)
        assert (found.alpha, found.dpi, found.icc) == (None, None, None)
        assert found.notes.texts == ((name, "1"),)


def test_texts_that_break_off_late_take_no_time():
    packer = zlib.compressobj(9)
    body = packer.compress(bytes(MOST - 100)) + packer.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 8
    many = chunk(b"zTXt", b"a\0\0" + body) * 200
    start = time.monotonic()
    assert decode(BARE[:-12] + many + BARE[-12:])[0].notes == Notes()
    assert time.monotonic() - start < 1
