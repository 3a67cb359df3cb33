"""Depths, palettes, CMYK and other kinds of samples."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile

from srnet.errors import DecodeError
from srnet.image import (
    decode,
    from_pil,
    read_header,
    read_size,
    to_pil,
)
from tests.image.support import SRGB, chunk, noise, pillow, png, same, slope


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


@pytest.mark.parametrize("depth", [2, 4])
def test_pil_images_of_few_bits_bring_what_is_transparent(depth):
    packed = np.array([[0b00011011], [0b11110100]], np.uint8)
    data = png(packed, 0, depth, chunk(b"tRNS", struct.pack(">H", 1)))
    opened = PIL.Image.open(io.BytesIO(data))
    assert same(from_pil(opened), decode(data)[0])
    assert opened.info["transparency"] == 1  # which is not ours to change


def test_palettes_of_pil_images_may_have_alpha():
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:2] = (250, 20, 10, 255)
    pil = PIL.Image.fromarray(rgba).quantize(4)
    assert pil.palette.mode == "RGBA"
    assert np.array_equal(from_pil(pil).alpha, rgba[..., 3])


@pytest.mark.parametrize("mode", ["RGBa", "La"])
def test_colours_times_alpha_are_divided_and_rounded(mode):
    bands = [PIL.Image.new("L", (2, 2), v) for v in ((40, 20, 10, 128)[-len(mode) :])]
    pil = PIL.Image.merge("RGBA" if mode == "RGBa" else "LA", bands)
    premultiplied = PIL.Image.frombytes(mode, (2, 2), pil.tobytes())
    found = from_pil(premultiplied)
    assert found.rgb[0, 0].tolist() == ([80, 40, 20] if mode == "RGBa" else [20])
    assert found.alpha[0, 0] == 128


def planar(dtype, channels: int, **options) -> bytes:
    """A TIFF whose channels lie one behind the other, each of one value."""
    planes = np.stack([np.full((40, 50), 10 * n + 10, dtype) for n in range(channels)])
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(out, planes, planarconfig="separate", **options)
    return out.getvalue()


def test_channels_in_planes_are_read_where_that_is_sure():
    for channels in (3, 4):
        extra = ["unassalpha"] if channels == 4 else None
        found = decode(planar(np.uint8, channels, photometric="rgb", extrasamples=extra))[0]
        assert (found.rgb == (10, 20, 30)).all()
        assert channels == 3 or (found.alpha == 40).all()
    deep = planar(np.uint16, 3, photometric="rgb")  # which gave memory that nobody had written
    with pytest.raises(DecodeError, match="separate planes"):
        decode(deep)
    grey = planar(np.uint8, 2, photometric="minisblack", extrasamples=["unassalpha"])
    with pytest.raises(DecodeError, match="separate planes"):
        decode(grey)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_decoding_cuts_to_8_bits_is_told(kind: type) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (64, 80, 4)).astype(kind)
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, samples, photometric="separated")  # CMYK
    jpeg2000 = cv2.imencode(".jp2", samples[..., :3])[1].tobytes()
    for data in (tiff.getvalue(), jpeg2000):
        header = read_header(data, "picture")
        assert (header.depth, header.cut) == (8, kind is np.uint16)
    grey = read_header(cv2.imencode(".jp2", samples[..., 0])[1].tobytes(), "grey")
    assert (grey.depth, grey.cut) == (8 * np.dtype(kind).itemsize, False)


@pytest.mark.parametrize("kind", [np.float32, np.uint32])
def test_samples_that_are_not_read_are_refused_by_the_header(kind: type) -> None:
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, np.zeros((6, 7), kind))
    for refused in (decode, read_header):
        with pytest.raises(DecodeError, match="only 8 and 16 bit integers"):
            refused(tiff.getvalue(), "x")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bigtiff": True}, "a BigTIFF in big-endian order is not read"),
        ({"photometric": "miniswhite"}, "16 bits in big-endian order, where 0 is white"),
    ],
)
def test_what_pillow_lacks_of_big_endian_tiffs_is_told(options, reason, tmp_path):
    path, grey = tmp_path / "a.tif", np.arange(42, dtype=np.uint16).reshape(6, 7)
    tifffile.imwrite(path, grey, byteorder=">", **options)
    for refused in (read_size, lambda path: decode(path.read_bytes(), str(path))):
        with pytest.raises(DecodeError, match=rf"a\.tif .*{reason}"):
            refused(path)
    tifffile.imwrite(path, grey, byteorder=">")
    assert np.array_equal(decode(path.read_bytes())[0].rgb[..., 0], grey)
    tifffile.imwrite(path, grey, byteorder="<", **options)
    found = decode(path.read_bytes())[0].rgb[..., 0]
    assert np.array_equal(found, grey if "bigtiff" in options else 65535 - grey)
