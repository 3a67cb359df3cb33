"""Orientation and size, as a file tells them."""

from __future__ import annotations

import io
import struct

import numpy as np
import PIL.Image
import pytest

from srnet.errors import DecodeError
from srnet.image import (
    Header,
    decode,
    encode,
    read_header,
    read_size,
    to_pil,
)
from tests.image.support import chunk, exif, pillow, png, same, slope, tags

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
