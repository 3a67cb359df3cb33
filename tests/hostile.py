"""What the tests of damaged and hostile files have in common."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image

from srnet.errors import SRNetError
from srnet.image import DEFAULT_MAX_PIXELS, Image, decode, encode, from_array


def noise(bands: int, dtype=np.uint8, seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    full = np.iinfo(dtype).max
    return from_array(rng.integers(0, full, (23, 31, bands), dtype=dtype, endpoint=True))


def pillow(pil: PIL.Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    pil.save(out, kind, **options)
    return out.getvalue()


def exif() -> bytes:
    block = PIL.Image.Exif()
    block[0x0112], block[0x010F] = 6, "maker"
    block.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    return block.tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, kind: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def corpus() -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    colour = PIL.Image.fromarray(rng.integers(0, 256, (23, 31, 3), dtype=np.uint8))
    frames = [colour.rotate(angle) for angle in (0, 90, 180)]
    moving = {"save_all": True, "append_images": frames[1:], "duration": 40, "loop": 2}
    clear = colour.convert("RGBA")
    clear.putalpha(100)
    return {
        "png": pillow(colour, "PNG", exif=exif()),
        "png-palette": pillow(colour.quantize(16), "PNG", transparency=3),
        "png-16": encode([noise(3, np.uint16)], "png"),
        "png-16-alpha": encode([noise(4, np.uint16)], "png"),
        "apng": pillow(colour, "PNG", **moving),
        "jpeg": pillow(colour, "JPEG", exif=exif(), dpi=(72, 72)),
        "jpeg-progressive": pillow(colour, "JPEG", progressive=True),
        "jpeg-cmyk": pillow(colour.convert("CMYK"), "JPEG"),
        "webp": pillow(clear, "WEBP", exif=exif()),
        "webp-animation": pillow(colour, "WEBP", **moving),
        "tiff": pillow(colour, "TIFF", exif=exif()),
        "tiff-lzw": pillow(clear, "TIFF", compression="tiff_lzw"),
        "tiff-16": encode([noise(3, np.uint16)], "tiff"),
        "bmp": pillow(colour.quantize(16), "BMP"),
        "gif": pillow(colour, "GIF"),
        "gif-animation": pillow(colour, "GIF", **moving),
        "avif": pillow(clear, "AVIF", exif=exif()),
        "jpeg2000": pillow(colour, "JPEG2000"),
    }


CORPUS = corpus()


def refusal(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> SRNetError | None:
    """What decoding raises of ours; everything else goes through."""
    try:
        frames = decode(data, "evil.file", max_pixels)
    except SRNetError as error:
        return error
    assert sum(frame.height * frame.width for frame in frames) <= max_pixels
    return None
