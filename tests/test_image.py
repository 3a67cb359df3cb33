"""Pictures in and out: nothing that a file carries is lost or bent on the way."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms

from srnet.errors import DecodeError, OptionError, OutputError, PictureError
from srnet.image import (
    FORMATS,
    SUFFIXES,
    Header,
    Image,
    decode,
    encode,
    format_for,
    from_array,
    from_pil,
    read_file,
    read_header,
    read_size,
    to_pil,
    write_atomic,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]  # of the right kind by its header


def noise(height: int, width: int, bands: int, dtype=np.uint8, seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    full = np.iinfo(dtype).max
    return from_array(rng.integers(0, full, (height, width, bands), dtype, endpoint=True))


def slope(height: int, width: int, bands: int, dtype=np.uint8) -> Image:
    """A smooth picture, which codecs that lose something should hardly change."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    planes = np.stack([x, y, (x + y) / 2, 0.2 + x * 0.7][:bands], axis=-1)
    return from_array((planes * np.iinfo(dtype).max).astype(dtype))


def same(a: Image, b: Image) -> bool:
    if (a.alpha is None) != (b.alpha is None) or a.rgb.dtype != b.rgb.dtype:
        return False
    return np.array_equal(a.rgb, b.rgb) and (a.alpha is None or np.array_equal(a.alpha, b.alpha))


def pillow(pil: PIL.Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    pil.save(out, kind, **options)
    return out.getvalue()


def exif(orientation: int, order: str = "<") -> bytes:
    """An EXIF block with a maker, an orientation and a date, by hand."""
    maker, date = b"maker\0", b"2020:01:02 03:04:05\0"
    entries = struct.pack(order + "HHII", 0x010F, 2, len(maker), 50)
    entries += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack(order + "HHII", 0x0132, 2, len(date), 56)
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return start + struct.pack(order + "H", 3) + entries + bytes(4) + maker + date


def tags(block: bytes | None) -> dict[int, object]:
    found = PIL.Image.Exif()
    found.load(block or b"")
    return dict(found)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(array: np.ndarray, kind: int, depth: int, *before: bytes, after: bytes = b"") -> bytes:
    """A PNG by hand: ``array`` are the packed rows."""
    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in array)
    width = width * 8 // depth if depth < 8 else width
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + body


shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
dtypes = st.sampled_from([np.uint8, np.uint16])
bands = st.integers(1, 4)


@settings(max_examples=60)
@given(shapes, bands, dtypes, st.integers(0, 9), st.integers(0, 99))
def test_png_keeps_every_value(shape, count, dtype, level, seed):
    image = noise(*shape, count, dtype, seed)
    data = encode([image], "png", png_level=level)
    assert same(decode(data)[0], image)
    header = read_header(data, "x")
    assert (header.height, header.width, header.frames) == (*shape, 1)
    assert header.depth == np.dtype(dtype).itemsize * 8
    assert header.alpha == (count in (2, 4))


@settings(max_examples=60)
@given(shapes, bands, dtypes, st.integers(0, 99))
def test_tiff_keeps_every_value(shape, count, dtype, seed):
    image = noise(*shape, count, dtype, seed)
    found = decode(encode([image], "tiff"))[0]
    if count == 2 and dtype == np.uint16:  # no reader knows 16-bit grey with alpha
        image = replace(image, rgb=np.repeat(image.rgb, 3, axis=2))
    assert same(found, image)


@settings(max_examples=30)
@given(shapes, st.sampled_from([3, 4]), st.integers(0, 99))
def test_webp_without_loss_keeps_every_value(shape, count, seed):
    image = noise(*shape, count, seed=seed)
    found = decode(encode([image], "webp", lossless=True))[0]
    if image.alpha is not None and image.alpha.min() == 255:
        image = replace(image, alpha=None)
    assert same(found, image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_formats_that_lose_something_come_close(name, count, dtype):
    image = slope(61, 83, count, dtype)
    found = decode(encode([image], name, background=(255, 255, 255)))[0]
    assert found.rgb.dtype == np.uint8
    if name == "jpeg":
        assert found.alpha is None
        assert found.rgb.shape[2] == image.rgb.shape[2]
    if name != "jpeg" or count < 4:
        wanted = image.rgb.astype(float) / np.iinfo(dtype).max * 255
        assert np.abs(found.rgb - wanted).mean() < 2
    if name != "jpeg" and image.alpha is not None:
        assert np.abs(found.alpha - image.alpha.astype(float) / np.iinfo(dtype).max * 255).max() < 3


def test_strips_join_without_a_seam():
    for dtype in (np.uint8, np.uint16):
        image = noise(900, 400, 4, dtype)
        for name in ("png", "tiff"):
            assert same(decode(encode([image], name))[0], image)


def test_jpeg_is_444_unless_asked():
    image = noise(64, 64, 3)
    sizes = [len(encode([image], "jpeg", subsampling=s)) for s in ("4:4:4", "4:2:2", "4:2:0")]
    assert sizes == sorted(sizes, reverse=True)
    assert encode([image], "jpeg") == encode([image], "jpeg", subsampling="4:4:4")
    assert len(encode([image], "jpeg", quality=30)) < len(encode([image], "jpeg", quality=90))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("count", [1, 3])
def test_white_stays_white_and_black_black(name, count):
    for value in (0, 255):
        image = from_array(np.full((20, 20, count), value, np.uint8))
        assert (decode(encode([image], name))[0].rgb == value).all()


def test_sixteen_bits_are_rounded_not_cut():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = decode(encode([from_array(np.dstack([values] * 3))], "webp", lossless=True))[0].rgb
    assert np.array_equal(found[..., 0], np.rint(values * 255.0 / 65535))


# --- orientation

ORACLE = {  # of the picture "ab / cd / ef"
    1: ["ab", "cd", "ef"],
    2: ["ba", "dc", "fe"],
    3: ["fe", "dc", "ba"],
    4: ["ef", "cd", "ab"],
    5: ["ace", "bdf"],
    6: ["eca", "fdb"],
    7: ["fdb", "eca"],
    8: ["bdf", "ace"],
}
LETTERS = np.array([[97, 98], [99, 100], [101, 102]])


def oriented(kind: str, value: int, dtype) -> bytes:
    scale = 1 if dtype == np.uint8 else 257
    planes = np.dstack([LETTERS, LETTERS + 1, LETTERS + 2, LETTERS + 3])
    samples = (planes * scale).astype(dtype)
    if kind == "tiff":
        import tifffile

        out, extra = io.BytesIO(), [(0x0112, 3, 1, value, True)]
        tifffile.imwrite(
            out, samples, photometric="rgb", extrasamples=["unassalpha"], extratags=extra
        )
        return out.getvalue()
    order = ">" if value % 2 else "<"
    eight = PIL.Image.fromarray(planes.astype(np.uint8))
    if kind == "webp":
        return pillow(eight, "WEBP", lossless=True, exif=b"Exif\0\0" + exif(value, order))
    if kind == "avif":
        return pillow(eight, "AVIF", quality=100, subsampling="4:4:4", exif=exif(value, order))
    block = chunk(b"eXIf", exif(value, order))
    packed = samples.astype(samples.dtype.newbyteorder(">"))
    depth = samples.itemsize * 8
    if kind == "png-late":
        return png(packed, 6, depth, after=block)
    return png(packed, 6, depth, block)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["png", "png-late", "tiff", "webp", "avif"])
def test_orientation_is_applied_once(kind, dtype, value, tmp_path):
    data = oriented(kind, value, dtype)
    image = decode(data)[0]
    wanted = np.array([[ord(letter) for letter in row] for row in ORACLE[value]])
    scale = 257 if image.rgb.dtype == np.uint16 else 1
    assert image.rgb.dtype == (np.uint8 if kind in ("webp", "avif") else dtype)
    near = 4 if kind == "avif" else 0
    for plane in range(3):
        assert np.abs(image.rgb[..., plane] / scale - (wanted + plane)).max() <= near
    assert np.array_equal(image.alpha, (wanted + 3) * scale)
    header = read_header(data, "x")
    assert (header.height, header.width) == wanted.shape
    (tmp_path / "picture").write_bytes(data)
    assert read_size(tmp_path / "picture") == wanted.shape
    if image.exif:
        assert tags(image.exif).get(0x0112, 1) == 1
    again = decode(encode([image], "png"))[0]
    assert same(again, image)


def test_jpeg_orientation(tmp_path):
    image = slope(40, 64, 3)
    data = pillow(to_pil(image), "JPEG", quality=100, subsampling=0, exif=b"Exif\0\0" + exif(6))
    found = decode(data)[0]
    assert np.abs(found.rgb.astype(int) - np.rot90(image.rgb, -1)).max() < 4
    assert tags(found.exif) == {0x010F: "maker", 0x0112: 1, 0x0132: "2020:01:02 03:04:05"}
    assert read_header(data, "x") == Header("JPEG", 40, 64)
    (tmp_path / "picture").write_bytes(data)
    assert read_size(tmp_path / "picture") == (64, 40)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"text", b"\x89PNG\r\n\x1a\n"])
def test_the_size_of_what_is_no_picture(tmp_path, data):
    file = tmp_path / "picture"
    file.write_bytes(data)
    with pytest.raises(DecodeError, match="picture cannot be decoded"):
        read_size(file)
    with pytest.raises(DecodeError, match="no regular file"):
        read_size(tmp_path)


def test_the_size_of_a_gif_holds_all_of_its_frames(tmp_path):
    data = bytearray(pillow(PIL.Image.new("L", (9, 7)), "GIF"))
    struct.pack_into("<HH", data, 6, 1, 1)  # the screen; the frame stays
    (tmp_path / "a.gif").write_bytes(data)
    assert read_size(tmp_path / "a.gif") == (7, 9)


# --- metadata


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


# --- modes


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_small_depths_become_eight_bit_grey(depth):
    packed = np.array([[0b00011011], [0b11110100]], np.uint8)
    bits = np.unpackbits(packed, axis=1).reshape(2, -1, depth)
    values = (bits * 2 ** np.arange(depth)[::-1]).sum(axis=2)
    full = 2**depth - 1
    plain = decode(png(packed, 0, depth))[0]
    assert np.array_equal(plain.rgb[..., 0], values * (255 // full))
    clear = decode(png(packed, 0, depth, chunk(b"tRNS", struct.pack(">H", full))))[0]
    assert np.array_equal(clear.rgb, plain.rgb)
    assert np.array_equal(clear.alpha, np.where(values == full, 0, 255))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", [0, 2])
def test_a_transparent_colour_becomes_alpha(kind, depth):
    dtype = np.uint8 if depth == 8 else np.uint16
    image = noise(6, 7, 3 if kind == 2 else 1, dtype)
    colour = image.rgb[2, 3].astype(">u2").tobytes()
    data = png(
        image.rgb.astype(np.dtype(dtype).newbyteorder(">")), kind, depth, chunk(b"tRNS", colour)
    )
    found = decode(data)[0]
    full = np.iinfo(dtype).max
    wanted = np.where((image.rgb == image.rgb[2, 3]).all(axis=2), 0, full)
    assert same(found, replace(image, alpha=wanted.astype(dtype)))
    assert read_header(data, "x").alpha


def test_palettes_become_colour_and_their_alpha_alpha():
    pil = PIL.Image.new("P", (3, 1))
    pil.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    pil.putdata([0, 1, 2])
    wanted = np.array([[[10, 20, 30], [40, 50, 60], [70, 80, 90]]])
    assert np.array_equal(decode(pillow(pil, "PNG"))[0].rgb, wanted)
    assert np.array_equal(decode(pillow(pil, "BMP"))[0].rgb, wanted)
    found = decode(pillow(pil, "PNG", transparency=b"\x00\x80\xff"))[0]
    assert np.array_equal(found.rgb, wanted)
    assert np.array_equal(found.alpha, [[0, 128, 255]])
    assert np.array_equal(decode(pillow(pil, "GIF", transparency=1))[0].alpha, [[255, 0, 255]])


def test_cmyk_without_a_profile():
    inks = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [255, 0, 0, 0], [0, 255, 0, 0]]], np.uint8)
    pil = PIL.Image.fromarray(inks, "CMYK")
    wanted = np.array([[[255, 255, 255], [0, 0, 0], [0, 255, 255], [255, 0, 255]]])
    assert np.array_equal(decode(pillow(pil, "TIFF"))[0].rgb, wanted)
    jpeg = pillow(pil.resize((64, 16), PIL.Image.Resampling.NEAREST), "JPEG", quality=100)
    found = decode(jpeg)[0]
    assert np.abs(found.rgb[8, 8::16].astype(int) - wanted[0]).max() < 6
    damaged = SRGB[:16] + b"CMYK" + SRGB[20:]
    assert np.array_equal(decode(pillow(pil, "TIFF", icc_profile=damaged))[0].rgb, wanted)


def cmyk_profile() -> bytes:
    """A CMYK input profile of our own: a table from each corner of ink to a Lab colour.

    Paper is Lab (100, 0, 0); the inks only darken, in equal parts. A real profile differs in
    its numbers only, and from the plain conversion this one differs plainly.
    """

    def tag_lut() -> bytes:
        corners = np.indices((2, 2, 2, 2)).reshape(4, -1).T  # the last ink varies fastest
        light = np.clip(100 - corners @ [20, 20, 20, 40], 0, 100)
        table = np.stack([light * 255 / 100, np.full(16, 128), np.full(16, 128)], axis=1)
        ramp = bytes(range(256))
        matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
        body = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4
        return body + np.rint(table).astype(np.uint8).tobytes() + ramp * 3

    def text(kind: bytes, words: bytes) -> bytes:
        if kind == b"desc":
            return b"desc" + bytes(4) + struct.pack(">I", len(words) + 1) + words + bytes(79)
        return kind + bytes(4) + words + b"\0"

    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    parts = {b"A2B0": tag_lut(), b"desc": text(b"desc", b"test"), b"cprt": text(b"text", b"none")}
    parts[b"wtpt"] = white
    at, table, body = 128 + 4 + 12 * len(parts), struct.pack(">I", len(parts)), b""
    for name, part in parts.items():
        table += name + struct.pack(">II", at + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    header = struct.pack(">I4sI", 128 + len(table) + len(body), b"lcms", 0x02400000)
    header += b"prtrCMYKLab " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


def test_cmyk_goes_through_its_profile():
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255]]], np.uint8)
    data = pillow(PIL.Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=cmyk_profile())
    found = decode(data)[0]
    assert found.icc is None
    assert (found.rgb[0, 0] == 255).all()
    # The profile makes cyan a neutral grey, which the plain conversion never would.
    assert np.ptp(found.rgb[0, 1].astype(int)) <= 3
    assert 255 > found.rgb[0, 1].mean() > found.rgb[0, 2].mean()


def test_lab_becomes_srgb():
    lab = np.array([[[255, 0, 0], [0, 0, 0]]], np.uint8)  # TIFF's a and b are signed
    pil = PIL.Image.fromarray(lab, "LAB")
    found = decode(pillow(pil, "TIFF"))[0]
    assert np.abs(found.rgb.astype(int) - [[[255] * 3, [0] * 3]]).max() <= 3


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_without_a_scale_are_refused(mode):
    with pytest.raises(DecodeError, match=r"deep\.tif.*16 bit"):
        decode(pillow(PIL.Image.new(mode, (3, 3)), "TIFF"), "deep.tif")


def test_sixteen_bit_tiff_of_other_kinds():
    import tifffile

    grey = noise(5, 7, 1, np.uint16).rgb[..., 0]
    for name, wanted in (("minisblack", grey), ("miniswhite", 65535 - grey)):
        out = io.BytesIO()
        tifffile.imwrite(out, grey, photometric=name)
        assert np.array_equal(decode(out.getvalue())[0].rgb[..., 0], wanted)
    colour = noise(5, 7, 4, np.uint16)
    alpha = np.maximum(colour.alpha, 20_000)
    dim = np.rint(colour.rgb * (alpha[..., None] / 65535)).astype(np.uint16)
    out = io.BytesIO()
    stack = np.dstack([dim, alpha])
    tifffile.imwrite(out, stack, photometric="rgb", extrasamples=["assocalpha"], byteorder=">")
    found = decode(out.getvalue())[0]
    assert np.array_equal(found.alpha, alpha)
    assert np.abs(found.rgb.astype(int) - colour.rgb).max() <= 2


def test_only_the_first_page_of_a_tiff_is_read():
    pages = [PIL.Image.new("L", (4, 4), value) for value in (7, 9)]
    found = decode(pillow(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert len(found) == 1
    assert (found[0].rgb == 7).all()


def test_jpeg2000_is_read():
    image = slope(33, 44, 3)
    found = decode(pillow(to_pil(image), "JPEG2000", irreversible=False))[0]
    assert same(found, image)
    assert found.format == "JPEG2000"


# --- animations


def frames_of(count: int, bands: int = 4) -> list[Image]:
    frames = [noise(12, 14, bands, seed=seed) for seed in range(count)]
    return [replace(f, duration=40 + 10 * i, loop=3) for i, f in enumerate(frames)]


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("name", ["png", "webp"])
def test_animations_keep_frames_durations_and_loop(name, bands):
    frames = frames_of(3, bands)
    data = encode(frames, name, lossless=name == "webp")
    found = decode(data)
    assert [(f.duration, f.loop) for f in found] == [(40, 3), (50, 3), (60, 3)]
    for frame, wanted in zip(found, frames, strict=True):
        shown = wanted.rgb if wanted.alpha is None else wanted.rgb[wanted.alpha > 0]
        got = frame.rgb if wanted.alpha is None else frame.rgb[wanted.alpha > 0]
        assert np.array_equal(got, shown)
        if wanted.alpha is not None:
            assert np.array_equal(frame.alpha, wanted.alpha)
    assert read_header(data, "x").frames == 3


def test_avif_sequences():
    frames = [replace(slope(32, 32, 3), duration=100 * (i + 1), loop=0) for i in range(3)]
    found = decode(encode(frames, "avif"))
    assert [f.duration for f in found] == [100, 200, 300]
    assert np.abs(found[2].rgb.astype(int) - frames[2].rgb).mean() < 3


def test_gif_frames_are_composed():
    first = PIL.Image.new("RGB", (8, 8), (200, 0, 0))
    second = first.copy()
    second.paste((0, 0, 200), (2, 2, 5, 5))
    data = pillow(first, "GIF", save_all=True, append_images=[second], duration=[70, 90], loop=0)
    found = decode(data)
    assert [f.duration for f in found] == [70, 90]
    assert found[0].loop == 0
    assert np.array_equal(found[0].rgb, np.asarray(first))
    assert np.array_equal(found[1].rgb, np.asarray(second))
    assert {f.rgb.shape for f in found} == {(8, 8, 3)}
    still = decode(pillow(first, "GIF"))[0]
    assert (still.loop, still.duration) == (None, 0)


def test_grey_gif_frames_are_alike():
    frames = [PIL.Image.new("L", (8, 8), value) for value in (10, 200)]
    found = decode(pillow(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50))
    assert len({(f.rgb.shape, f.alpha is None) for f in found}) == 1
    assert [int(f.rgb[0, 0, 0]) for f in found] == [10, 200]


def test_an_apng_cover_is_no_frame():
    cover, *rest = (PIL.Image.new("RGB", (6, 6), (v, v, v)) for v in (1, 50, 100))
    data = pillow(cover, "PNG", save_all=True, append_images=rest, default_image=True, duration=20)
    assert [int(f.rgb[0, 0, 0]) for f in decode(data)] == [50, 100]


# --- refusals, each with its cure


def test_alpha_into_jpeg_needs_a_background():
    image = from_array(
        np.array([[[200, 100, 0, 255], [200, 100, 0, 0]]] * 16, np.uint8).repeat(16, 1)
    )
    with pytest.raises(OutputError, match="background"):
        encode([image], "jpeg")
    found = decode(encode([image], "jpeg", background=(10, 200, 60), quality=100))[0].rgb
    assert np.abs(found[:, 4].astype(int) - [200, 100, 0]).max() < 8
    assert np.abs(found[:, 28].astype(int) - [10, 200, 60]).max() < 8
    grey = from_array(np.dstack([image.rgb[..., 0], image.alpha]))
    assert decode(encode([grey], "jpeg", background=(9, 9, 9)))[0].rgb.shape[2] == 1
    assert decode(encode([grey], "jpeg", background=(9, 8, 9)))[0].rgb.shape[2] == 3


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 255))
def test_flattening_is_exact(colour, opacity, below):
    from srnet.convert import flattened

    image = from_array(np.array([[[colour, opacity]]], np.uint16))
    wanted = (colour * opacity + below * 257 * (65535 - opacity)) / 65535
    assert abs(float(flattened(image, (below,) * 3).rgb[0, 0, 0]) - wanted) <= 0.5


def test_what_a_format_cannot_hold_is_refused():
    wide = from_array(np.zeros((1, 16384, 1), np.uint8))
    with pytest.raises(OutputError, match=r"16383.*png"):
        encode([wide], "webp")
    with pytest.raises(OutputError, match=r"65500.*png"):
        encode([from_array(np.zeros((65501, 1), np.uint8))], "jpeg")
    assert decode(encode([wide], "png"))[0].width == 16384
    for name in ("jpeg", "tiff"):
        with pytest.raises(OutputError, match=r"2 frames.*webp"):
            encode(frames_of(2, 3), name)
    with pytest.raises(OutputError, match="metadata"):
        encode([replace(noise(2, 2, 3), exif=exif(1) + bytes(70_000))], "jpeg")


@pytest.mark.parametrize(
    "options",
    [
        *({"quality": 0}, {"quality": 101}, {"subsampling": "4:1:1"}, {"png_level": 10}),
        *({"background": (0, 0, 256)}, {"background": (0, 0)}),
    ],
)
def test_options_out_of_range(options):
    with pytest.raises(OptionError):
        encode([noise(2, 2, 3)], "png", **options)


def test_unknown_formats_and_frames():
    with pytest.raises(OptionError, match="webp"):
        encode([noise(2, 2, 3)], "gif")
    with pytest.raises(OptionError, match="without loss"):
        encode([noise(2, 2, 3)], "jpeg", lossless=True)
    with pytest.raises(OptionError):
        encode([], "png")
    with pytest.raises(OptionError):
        encode([noise(2, 2, 3), noise(2, 3, 3)], "png")


def test_format_for():
    assert [format_for(Path("a" + s)) for s in (".PNG", ".jpg", ".jpeg", ".tif")] == [
        *("png", "jpeg", "jpeg", "tiff")
    ]
    for name, known in FORMATS.items():
        assert format_for(Path(f"x{known.suffix}")) == name
        assert set(known.suffixes) <= SUFFIXES
        assert known.media_type == f"image/{name}"
    for path in ("a.gif", "a"):
        with pytest.raises(OptionError, match=r"\.png"):
            format_for(Path(path))


# --- arrays, Pillow, disk


@given(shapes, bands, dtypes)
def test_arrays_and_pillow_round_trip(shape, count, dtype):
    image = noise(*shape, count, dtype)
    assert image.rgb.flags.c_contiguous
    back = from_pil(to_pil(image))
    if dtype == np.uint8 or count == 1:
        assert same(back, image)
    else:
        assert np.array_equal(back.rgb, (image.rgb.astype(int) + 128) // 257)


def test_arrays_are_not_copied_without_need():
    array = np.zeros((4, 5, 3), np.uint8)
    assert np.shares_memory(from_array(array).rgb, array)
    assert from_array(array[..., 0]).rgb.shape == (4, 5, 1)


@pytest.mark.parametrize(
    "array",
    [
        *(np.zeros((4, 4, 3)), np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4), np.uint8)),
        *(np.zeros(4, np.uint8), np.zeros((4, 4), np.int16)),
    ],
)
def test_arrays_that_are_no_pictures(array):
    with pytest.raises(OptionError, match=r"samples|\(H, W\)|not empty"):
        from_array(array)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(PictureError, match="is a folder: give one picture"):
        read_file(tmp_path)


def test_alpha_must_fit():
    with pytest.raises(OptionError):
        Image(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))


def test_from_pil_applies_orientation_and_keeps_metadata():
    image = replace(slope(8, 12, 3), icc=SRGB)
    pil = to_pil(image)
    pil.info["exif"] = b"Exif\0\0" + exif(8, ">")
    found = from_pil(pil)
    assert np.array_equal(found.rgb, np.rot90(image.rgb))
    assert found.icc == SRGB
    assert tags(found.exif)[0x0112] == 1


def test_write_atomic(tmp_path):
    path = tmp_path / "ü.png"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_leaves_nothing_on_failure(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OutputError, match="folder"):
        write_atomic(folder, b"x")
    with pytest.raises(OutputError, match=r"gone"):
        write_atomic(tmp_path / "gone" / "x.png", b"x")
    assert list(tmp_path.iterdir()) == [folder]


def test_write_atomic_keeps_the_old_file_when_the_disk_is_full(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
