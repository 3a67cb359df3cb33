"""PNG and TIFF stills, written strip by strip.

That keeps 16 bits together with alpha, the ICC profile and EXIF, which neither Pillow nor
OpenCV does, and beside the file itself needs no memory but a strip: a second copy of a
100-megapixel picture would be 300 MB.

What an ``Image`` holds is written as it is: ``srnet/encode.py`` has made it fit.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from srnet.container import EXIF_IFD, GPS_IFD, described
from srnet.convert import coloured
from srnet.notes import IPTC_TAG, png_texts
from srnet.pillow import FOREIGN
from srnet.pixels import Image, Samples, strips
from srnet.pngchunks import SIGNATURE, chunk
from srnet.xmp import PNG_KEYWORD

_PAETH = 4
_MAX_TIFF = 2**32 - 2**20  # offsets have 32 bits; some room for the directory


def write_png(image: Image, level: int, check: Callable[[], None]) -> bytes:
    """A PNG still; ``level`` is zlib's 0-9; ``check`` is called before each strip.

    Every row is predicted by Paeth's rule, which suits photographs best.
    """
    rgb, alpha = image.rgb, image.alpha
    height, width, colours = rgb.shape
    kind = (0 if colours == 1 else 2) + (0 if alpha is None else 4)
    out = io.BytesIO()
    out.write(SIGNATURE)
    depth = rgb.itemsize * 8
    _chunk(out, b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    if image.icc:
        _chunk(out, b"iCCP", b"ICC profile\0\0" + zlib.compress(image.icc))
    if image.dpi is not None:
        _chunk(out, b"pHYs", struct.pack(">IIB", *(round(each / 0.0254) for each in image.dpi), 1))
    if image.exif:
        _chunk(out, b"eXIf", image.exif)
    for name, body, *_ in png_info(image).chunks:
        _chunk(out, name, body)
    packer = zlib.compressobj(level)
    above = None
    for strip in _strips_of(rgb, alpha, ">", check):
        rows = strip.view(np.uint8).reshape(len(strip), -1)
        above = np.zeros_like(rows[:1]) if above is None else above
        if packed := packer.compress(_predicted(rows, above, rows.shape[1] // width).data):
            _chunk(out, b"IDAT", packed)
        above = rows[-1:]
    _chunk(out, b"IDAT", packer.flush())
    _chunk(out, b"IEND", b"")
    return out.getvalue()


def png_info(image: Image) -> PngInfo:
    """XMP and texts, none of them packed: some programs that look for them read no others."""
    info = PngInfo()
    if image.xmp:
        info.add(b"iTXt", PNG_KEYWORD + b"\0\0\0\0\0" + image.xmp)  # and of no language
    for keyword, text in png_texts(image.notes):
        info.add_text(keyword, text)  # as iTXt where it is not Latin-1
    return info


def write_tiff(image: Image, check: Callable[[], None]) -> bytes:
    """A TIFF still: deflated strips of horizontal differences. ``ValueError`` above 4 GB."""
    rgb, alpha = image.rgb, image.alpha
    height, width, colours = rgb.shape
    if colours == 1 and alpha is not None and rgb.dtype == np.uint16:
        # Readers, ours included, know 16-bit grey with alpha only as colour.
        image = coloured(image)
        rgb, alpha, colours = image.rgb, image.alpha, 3
    parts: list[bytes] = []
    for strip in _strips_of(rgb, alpha, "<", check):
        strip[:, 1:] -= strip[:, :-1].copy()
        parts.append(zlib.compress(strip.data, 6))
    sizes = [len(part) for part in parts]
    if sum(sizes) > _MAX_TIFF:
        raise ValueError("a TIFF holds at most 4 GB")
    bands = colours + (alpha is not None)
    layout = {
        256: width,
        257: height,
        258: (rgb.itemsize * 8,) * bands,
        274: 1,  # or some would ask XMP, which may tell of what nobody heeded
        259: 8,
        277: bands,
        262: 1 if colours == 1 else 2,  # white is full; grey or RGB
        273: tuple(np.cumsum([0, *sizes[:-1]]).tolist()),
        278: next(strips(height, width))[1],  # rows in a strip
        279: tuple(sizes),
        317: 2,  # horizontal differences
        **({} if alpha is None else {338: (2,)}),  # not premultiplied
        **({34675: image.icc} if image.icc else {}),
        **({700: image.xmp} if image.xmp else {}),
        **({IPTC_TAG: image.notes.iptc} if image.notes.iptc else {}),
        **({} if image.dpi is None else {282: image.dpi[0], 283: image.dpi[1], 296: 2}),  # an inch
    }
    out = io.BytesIO()
    out.write(b"II*\0\x08\0\0\0")
    out.write(_directory(layout, image.exif))  # which moves the offsets of the strips behind itself
    for index, part in enumerate(parts):
        out.write(part)
        parts[index] = b""
    return out.getvalue()


def _strips_of(
    rgb: Samples, alpha: Samples | None, order: Literal["<", ">"], check: Callable[[], None]
) -> Iterator[npt.NDArray[Any]]:
    """Copies ``(h, W, bands)``, alpha last, in the given byte order; before each, ``check``."""
    dtype = rgb.dtype.newbyteorder(order)
    bands = rgb.shape[2] + (alpha is not None)
    for top, bottom in strips(*rgb.shape[:2]):
        check()
        strip = np.empty((bottom - top, rgb.shape[1], bands), dtype)
        strip[..., : rgb.shape[2]] = rgb[top:bottom]
        if alpha is not None:
            strip[..., -1] = alpha[top:bottom]
        yield strip


def _chunk(out: io.BytesIO, kind: bytes, body: bytes) -> None:
    out.write(chunk(kind, body))


def _predicted(
    rows: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], step: int
) -> npt.NDArray[np.uint8]:
    """Rows ``(n, bytes)`` less Paeth's prediction, each after its filter byte."""
    up = np.concatenate([above, rows[:-1]]).astype(np.int16)
    left, corner = np.zeros_like(up), np.zeros_like(up)
    left[:, step:], corner[:, step:] = rows[:, :-step], up[:, :-step]
    by_left, by_up = np.abs(up - corner), np.abs(left - corner)
    by_corner = np.abs(left + up - 2 * corner)
    near_up = np.where(by_up <= by_corner, up, corner)
    guess = np.where((by_left <= by_up) & (by_left <= by_corner), left, near_up)
    result = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    result[:, 0] = _PAETH
    result[:, 1:] = rows - guess.astype(np.uint8)
    return result


def _directory(layout: dict[int, Any], exif: bytes | None) -> bytes:
    """The directory at byte 8 of a TIFF, with what EXIF says; unusable EXIF is dropped."""
    tags: Any = ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    try:
        for tag, value in {**(_described(exif) if exif else {}), **layout}.items():
            tags[tag] = value
        return bytes(tags.tobytes(8))
    except FOREIGN:
        if exif is None:
            raise
        return _directory(layout, None)


def _described(exif: bytes) -> dict[int, Any]:
    """What an EXIF block says, as tags of a TIFF directory."""
    block = PIL.Image.Exif()
    block.load(exif)
    groups = {group: described(block, group) for group in (EXIF_IFD, GPS_IFD)}
    return described(block) | {group: tags for group, tags in groups.items() if tags}
