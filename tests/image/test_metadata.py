"""Profiles, EXIF and resolution."""

from __future__ import annotations

import io
import struct
import time
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import IFDRational

from srnet.exif import sized, upright
from srnet.image import (
    FORMATS,
    Image,
    decode,
    encode,
    from_pil,
    to_pil,
)
from tests.image.support import SRGB, chunk, exif, frames_of, noise, pillow, png, tags

GREY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]  # of the right kind by its header


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("name", FORMATS)
def test_profile_and_exif_travel_along_or_stay_behind(name, count, dtype):
    icc = GREY_PROFILE if count == 1 else SRGB
    image = replace(noise(9, 8, count, dtype), icc=icc, exif=exif(1))
    found = decode(encode([image], name, background=(0, 0, 0)))[0]
    if count > 1 or name not in ("webp", "avif"):  # which turn grey into colour
        assert found.icc == icc
    assert tags(found.exif)[0x010F] == "maker"
    assert tags(found.exif)[0x0132] == "2020:01:02 03:04:05"
    bare = decode(encode([image], name, background=(0, 0, 0), keep_metadata=False))[0]
    assert bare.icc is None
    assert not tags(bare.exif)


def exchanged() -> bytes:
    """A profile in which red is called green, and green red."""
    found = SRGB.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1)
    return found.replace(b"????", b"gXYZ", 1)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_without_its_profile_a_picture_keeps_its_colours(name, alpha):
    rgb = np.full((16, 16, 3), (200, 60, 30), np.uint8)
    image = Image(rgb, np.full((16, 16), 255, np.uint8) if alpha else None, exchanged())
    found = decode(encode([image], name, background=(0, 0, 0), keep_metadata=False))[0]
    assert found.icc is None
    assert np.abs(found.rgb.astype(int) - (60, 200, 30)).max() <= (
        8 if FORMATS[name].quality else 2
    )
    shown = decode(encode([image], name, background=(0, 0, 0)))[0]
    assert shown.icc == exchanged()
    assert np.abs(shown.rgb.astype(int) - (200, 60, 30)).max() <= (
        8 if FORMATS[name].quality else 0
    )
    under = Image(rgb, np.zeros((16, 16), np.uint8), exchanged())
    if name == "jpeg":  # the colour beneath is one of sRGB
        found = decode(encode([under], name, background=(0, 90, 200), keep_metadata=False))[0]
        assert np.abs(found.rgb.astype(int) - (0, 90, 200)).max() <= 8


@pytest.mark.parametrize("name", FORMATS)
def test_sixteen_bits_keep_a_profile_that_they_need(name):
    image = Image(np.full((16, 16, 3), (51400, 15420, 7710), np.uint16), icc=exchanged())
    found = decode(encode([image], name, keep_metadata=False))[0]
    if FORMATS[name].sixteen_bit:
        assert found.icc == exchanged()
        assert np.array_equal(found.rgb, image.rgb)
    else:
        assert found.icc is None
        assert np.abs(found.rgb.astype(int) - (60, 200, 30)).max() <= 8


@pytest.mark.parametrize("count", [1, 3])
def test_a_usual_or_damaged_profile_changes_nothing_when_it_goes(count):
    image = noise(40, 30, count, np.uint8)
    usual = GREY_PROFILE if count == 1 else SRGB
    for icc in (usual, usual[:150]):
        found = decode(encode([replace(image, icc=icc)], "png", keep_metadata=False))[0]
        assert found.icc is None
        assert np.array_equal(found.rgb, image.rgb)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", ["png", "jpeg", "tiff"])
def test_resolution_is_kept_as_it_is(name, count, dtype):
    image = replace(noise(9, 8, count, dtype), dpi=(300, 96), exif=exif(1))
    found = decode(encode([image], name))[0]
    assert found.dpi == pytest.approx((300, 96), abs=0.5 * 0.0254)  # PNG counts by the metre
    again = decode(encode([found], name))[0]
    assert again.dpi == found.dpi
    assert decode(encode([image], name, keep_metadata=False))[0].dpi is None
    assert decode(encode([noise(9, 8, count, dtype)], name))[0].dpi is None
    assert from_pil(to_pil(found)).dpi == found.dpi


def test_resolution_of_what_other_programs_wrote():
    pil = to_pil(noise(9, 8, 3))
    for kind in ("PNG", "JPEG", "TIFF", "BMP"):
        (found,) = decode(pillow(pil, kind, dpi=(300, 300)))
        assert found.dpi == pytest.approx((300, 300), abs=0.01)
    turned = decode(pillow(pil, "JPEG", dpi=(300, 96), exif=b"Exif\0\0" + exif(6)))[0]
    assert turned.dpi == (96, 300)
    assert decode(encode([replace(turned, dpi=(300, 300))], "webp"))[0].dpi is None
    frames = [replace(frame, dpi=(300, 300)) for frame in frames_of(2)]
    assert decode(encode(frames, "png"))[0].dpi == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("number", [0, 1, 2**32 - 1])
def test_absurd_resolution_is_dropped(number):
    body = struct.pack(">IIB", number, number, 1)
    data = png(np.zeros((2, 2, 3), np.uint8), 2, 8, chunk(b"pHYs", body))
    assert decode(data)[0].dpi is None


def test_exif_survives_a_tiff_with_its_directories():
    block = PIL.Image.Exif()
    block[0x010F] = "maker"
    block.get_ifd(0x8769).update(
        {0x9003: "2020:01:02 03:04:05", 0x829A: 0.5, 0x927C: b"\1\2\3\4\5"}
    )
    block.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    image = replace(noise(5, 6, 3, np.uint16), exif=block.tobytes()[6:])
    found = PIL.Image.Exif()
    found.load(decode(encode([image], "tiff"))[0].exif)
    assert found[0x010F] == "maker"
    assert found.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert float(found.get_ifd(0x8769)[0x829A]) == 0.5
    assert 0x927C not in found.get_ifd(0x8769)
    assert found.get_ifd(0x8825)[1] == "N"


def test_unusable_exif_does_not_stop_the_writing():
    for block in (b"junk", exif(1)[:30], exif(1).replace(b"\x0f\x01\2\0", b"\x0f\x01\x63\0")):
        image = replace(noise(5, 6, 3), exif=block)
        for name in FORMATS:
            assert decode(encode([image], name))[0].rgb.shape == (5, 6, 3)


def test_a_profile_for_other_channels_is_dropped():
    colour = PIL.Image.new("RGB", (4, 4))
    assert decode(pillow(colour, "PNG", icc_profile=SRGB))[0].icc == SRGB
    assert decode(pillow(colour, "PNG", icc_profile=GREY_PROFILE))[0].icc is None
    assert decode(pillow(colour.convert("L"), "JPEG", icc_profile=SRGB))[0].icc is None


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "tiff", "avif"])
def test_exif_tells_the_size_of_the_new_picture(name):
    block = PIL.Image.Exif()
    block[0x010F] = "maker"
    camera = block.get_ifd(0x8769)
    camera[0xA002], camera[0xA003], camera[0x9204] = 12, 9, 1.5
    image = replace(noise(70, 90, 3), exif=block.tobytes().removeprefix(b"Exif\0\0"))
    found = PIL.Image.Exif()
    found.load(decode(encode([image], name))[0].exif)
    told = found.get_ifd(0x8769)
    assert (told[0xA002], told[0xA003], told[0x9204]) == (90, 70, 1.5)
    assert found[0x010F] == "maker"


@pytest.mark.parametrize("block", [None, exif(1), exif(1, ">"), b"", b"II*\0", exif(1)[:40]])
def test_a_size_that_exif_does_not_tell_is_not_added(block):
    assert sized(block, 5, 6) == block


def test_resolution_turns_with_the_picture():
    upright = PIL.Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    for kind in ("JPEG", "TIFF"):
        block = upright.getexif()
        block[0x0112] = 6
        data = pillow(upright, kind, exif=block, dpi=(300, 150))
        assert decode(data)[0].dpi == (150, 300), kind
        assert from_pil(PIL.Image.open(io.BytesIO(data))).dpi == (150, 300), kind


def test_a_thumbnail_that_lies_the_other_way_is_left_behind():
    block = bytearray(exif(6))
    link = block.index(b"maker\0", 40) - 4
    block[link : link + 4] = struct.pack("<I", len(block))
    block += struct.pack("<HHHIII", 1, 0x0103, 3, 1, 6, 0)
    shape = PIL.Image.fromarray(np.zeros((4, 9, 3), np.uint8))

    def thumbnail(orientation: int) -> object:
        data = bytes(block).replace(struct.pack("<HHIH", 0x0112, 3, 1, 6), TURNS[orientation])
        found = PIL.Image.Exif()
        found.load(decode(pillow(shape, "JPEG", exif=b"Exif\0\0" + data))[0].exif)
        return found.get_ifd(IFD.IFD1).get(0x0103)

    assert thumbnail(1) == 6
    assert thumbnail(6) is None


TURNS = {n: struct.pack("<HHIH", 0x0112, 3, 1, n) for n in (1, 6)}


def test_exif_that_leads_back_to_itself_takes_no_time():
    count = 30_000
    second = 8 + 2 + 12 * count + 4
    start = time.monotonic()
    for goal in (8, second):
        entries = struct.pack("<HHII", 0x8769, 4, 1, goal) * count
        block = b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4)
        block += struct.pack("<H", count) + entries + bytes(4)
        assert sized(block, 9, 9) == block
        assert upright(block) == (block, 1)
    assert time.monotonic() - start < 2


def test_a_jpeg_leaves_out_of_long_exif_what_describes_nothing():
    block = PIL.Image.Exif()
    block[0x010F] = "maker"
    block.get_ifd(0x8769)[0x927C] = bytes(70_000)
    image = replace(noise(5, 6, 3), exif=block.tobytes()[6:])
    assert len(decode(encode([image], "png"))[0].exif) > 70_000
    kept = decode(encode([image], "jpeg"))[0].exif
    assert tags(kept)[0x010F] == "maker"
    assert len(kept) < 100
    block[0x010E] = "x" * 70_000
    image = replace(image, exif=block.tobytes()[6:])
    assert decode(encode([image], "jpeg"))[0].exif is None


@pytest.mark.parametrize("name", ["png", "tiff", "jpeg", "webp"])
def test_a_large_profile_comes_back(name):
    rng = np.random.default_rng(0)
    profile = SRGB[:132] + rng.bytes(3_000_000)
    assert decode(encode([replace(noise(5, 6, 3), icc=profile)], name))[0].icc == profile


def test_the_resolution_of_a_picture_on_its_side_turns_with_it():
    block = PIL.Image.Exif()
    block[274], block[282], block[283] = 6, IFDRational(300), IFDRational(150)
    pil = PIL.Image.new("RGB", (9, 7))
    image = decode(pillow(pil, "JPEG", exif=block, dpi=(300, 150)))[0]
    assert (image.width, image.height) == (7, 9)
    assert image.dpi == pytest.approx((150, 300), abs=0.1)
    for name in FORMATS:
        found = tags(decode(encode([image], name))[0].exif)
        assert (found[282], found[283]) == (150, 300)
    tiff = decode(pillow(pil, "TIFF", tiffinfo={274: 6, 282: 300.0, 283: 150.0, 296: 2}))[0]
    found = tags(decode(encode([tiff], "jpeg"))[0].exif)
    assert (found[282], found[283]) == (150, 300)


def test_ratings_and_titles_of_windows_survive_a_tiff():
    block = PIL.Image.Exif()
    title = "Größe".encode("utf-16-le") + bytes(2)
    block[0x4746], block[0x9C9B], block[316], block[269] = 4, title, "host", "name"
    there = replace(noise(9, 8, 3), exif=block.tobytes())
    back = decode(encode(decode(encode([there], "tiff")), "jpeg"))[0]
    found = tags(back.exif)
    assert (found[0x4746], found[316], found[269]) == (4, "host", "name")
    assert bytes(found[0x9C9B]) == title


@pytest.mark.parametrize(
    ("across", "down", "unit", "dpi"),
    [
        (204, 98, 2, (204, 98)),
        (204, 98, 1, (204, 98)),
        (204, 98, None, (204, 98)),  # of inches, where nothing is said
        (80, 40, 3, (203.2, 101.6)),
        (204, 0, 2, (204, 204)),
        (204, IFDRational(1, 0), 2, (204, 204)),
        (204, None, 2, (204, 204)),
        (0, 98, 2, None),
        (2**31, 98, 2, None),
    ],
)
def test_both_resolutions_of_a_jpeg_are_read_where_only_exif_has_them(across, down, unit, dpi):
    for turn in (1, 6):
        block = PIL.Image.Exif()
        told = {0x0112: turn, 0x011A: across, 0x011B: down, 0x0128: unit}
        block.update({tag: value for tag, value in told.items() if value is not None})
        data = pillow(to_pil(noise(9, 8, 3)), "JPEG", exif=block)
        (found,) = decode(data)
        wanted = dpi[::-1] if dpi and turn == 6 else dpi
        assert found.dpi == (wanted and pytest.approx(wanted))
        assert from_pil(PIL.Image.open(io.BytesIO(data))).dpi == found.dpi
        assert decode(encode([found], "tiff"))[0].dpi == (wanted and pytest.approx(wanted))


def test_the_density_of_a_jpeg_goes_before_exif():
    block = PIL.Image.Exif()
    block.update({0x011A: 204, 0x011B: 98, 0x0128: 2})
    data = pillow(to_pil(noise(9, 8, 3)), "JPEG", exif=block, dpi=(300, 150))
    assert decode(data)[0].dpi == (300, 150)
