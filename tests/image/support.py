"""Small pictures and files for the tests of reading and writing."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import PIL.Image
from hypothesis import strategies as st
from PIL import ImageCms

from srnet.image import (
    Image,
    from_array,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


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


def frames_of(count: int, bands: int = 4) -> list[Image]:
    frames = [noise(12, 14, bands, seed=seed) for seed in range(count)]
    return [replace(f, duration=40 + 10 * i, loop=3) for i, f in enumerate(frames)]
