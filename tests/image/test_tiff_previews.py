"""TIFFs in which something smaller comes before the picture, and raw files of cameras."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
import tifffile

from srnet.errors import DecodeError
from srnet.image import decode, read_header, read_size
from tests.image.support import SRGB
from tests.image.test_tiff_pages import MASK, PAGE, THUMBNAIL, chain

SMALL = np.full((12, 16, 3), 9, np.uint8)
LARGE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
RAW = "raw data of a camera: develop it first"


def tiff(*pages: tuple[np.ndarray, dict], **options) -> bytes:
    """A file of pages, each of samples and what ``tifffile`` is told of them."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out, **options) as writer:
        for samples, how in pages:
            writer.write(samples, **{"photometric": "rgb", "metadata": None, **how})
    return out.getvalue()


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}])
def test_the_first_that_is_no_smaller_copy_is_read(options, tmp_path):
    orientation = (274, "H", 1, 6, True)
    maker = (271, "s", 0, "maker", True)
    data = tiff(
        (SMALL, {"subfiletype": 1, "iccprofile": b"another"}),
        (LARGE, {"iccprofile": SRGB, "extratags": [orientation, maker], "resolution": (300, 96)}),
        (LARGE[:8], {}),
        **options,
    )
    header, (image,) = read_header(data, "x"), decode(data)
    assert (header.width, header.height, header.pages_left_out) == (24, 32, 1)
    assert np.array_equal(image.rgb, np.rot90(LARGE, -1))
    assert image.icc == SRGB
    assert b"maker" in image.exif
    assert image.dpi == (96, 300)
    (tmp_path / "a.tif").write_bytes(data)
    assert read_size(tmp_path / "a.tif") == (32, 24)


def test_where_all_are_smaller_copies_the_first_is_read():
    data = tiff((SMALL, {"subfiletype": 1}), (SMALL[:4], {"subfiletype": 1}))
    assert np.array_equal(decode(data)[0].rgb, SMALL)
    assert read_header(data, "x").pages_left_out == 0


def test_what_cannot_be_read_right_is_refused(tmp_path):
    deep = tiff((SMALL, {"subfiletype": 1}), (LARGE.astype(np.uint16), {}))
    below = tiff((SMALL, {"subfiletype": 1, "subifds": 1}), (LARGE, {}))
    for data, reason in ((deep, "16 bits"), (below, "only a smaller copy")):
        for refused in (decode, read_header):
            with pytest.raises(DecodeError, match=rf"^x .*{reason}"):
                refused(data, "x")
    grey = LARGE[..., 0].astype(np.uint16)
    smaller = (SMALL[..., 0], {"subfiletype": 1, "photometric": "minisblack"})
    found = decode(tiff(smaller, (grey, {"photometric": "minisblack"})))[0]
    assert np.array_equal(found.rgb[..., 0], grey)


@pytest.mark.parametrize("reduced", [0, 1])
@pytest.mark.parametrize("kind", [32803, 34892])
@pytest.mark.parametrize("below", [0, 1, 3])
def test_raw_files_are_refused(kind, below, reduced, tmp_path):
    samples = (LARGE if kind == 34892 else LARGE[..., 0]).astype(np.uint16)
    sensor = (samples, {"photometric": kind, "subfiletype": 0})
    preview = (SMALL, {"subfiletype": reduced, "subifds": below})
    others = [(SMALL[:5], {"subfiletype": 1})] * (below - 1)
    data = tiff(*([preview, *others, sensor] if below else [sensor]))
    (tmp_path / "a.dng").write_bytes(data)
    for refused in (
        lambda: decode(data, "a.dng"),
        lambda: read_header(data, "a.dng"),
        lambda: read_size(tmp_path / "a.dng"),
    ):
        with pytest.raises(DecodeError, match=rf"a\.dng .*{RAW}"):
            refused()


def test_the_mark_of_a_raw_file_is_heeded_where_it_belongs():
    page = chain(PAGE)[8:]
    with pytest.raises(DecodeError, match=RAW):
        read_header(b"II*\0" + struct.pack("<L", 16) + b"CR\2\0" + bytes(4) + page, "a.cr2")
    samples = np.frombuffer(b"CR\2" * 100, np.uint8).reshape(10, 10, 3)
    body = samples.tobytes()
    tags = {256: 10, 257: 10, 258: 8, 262: 2, 273: 8, 277: 3, 278: 10, 279: len(body)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    after = struct.pack("<H", len(tags)) + entries + bytes(4)
    plain = b"II*\0" + struct.pack("<L", 8 + len(body)) + body + after
    assert np.array_equal(decode(plain)[0].rgb, samples)


def test_a_pyramid_of_smaller_copies_is_an_ordinary_picture():
    tag = (50706, "B", 4, (1, 4, 0, 0), True)  # which programs leave there that copy all tags
    data = tiff(
        (LARGE, {"subifds": 2, "tile": (16, 16), "extratags": [tag]}),
        (LARGE[::2, ::2], {"subfiletype": 1, "tile": (16, 16)}),
        (LARGE[::4, ::4], {"subfiletype": 1, "tile": (16, 16)}),
    )
    assert np.array_equal(decode(data)[0].rgb, LARGE)


def test_damaged_and_endless_directories_end_soon():
    data = chain(THUMBNAIL, MASK, PAGE)
    for length in range(len(data)):
        with pytest.raises(DecodeError):
            read_header(data[:length], "x")
    many = struct.pack("<H", 64) + struct.pack("<HHII", 1, 4, 1, 1) * 64
    body, size = bytearray(b"II*\0\x08\0\0\0"), len(many) + 4
    for number in range(12_000):
        body += many + struct.pack("<I", 8 + (number + 1) * size)
    start = time.monotonic()
    with pytest.raises(DecodeError):
        read_header(bytes(body), "x")
    assert time.monotonic() - start < 2
