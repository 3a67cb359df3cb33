"""Pictures in: files of many formats to arrays, without losing what they carry.

``decode`` turns untrusted bytes into ``Image`` values, one per frame. Limits are read from
the header, before anything is decompressed. Every failure is one ``PictureError``.

What is kept: depth (8 or 16 bit), grey, alpha, the ICC profile, the codes of high dynamic range,
EXIF, XMP, IPTC, comments, the texts of a PNG, resolution (dpi).
What is changed: EXIF orientation is applied and its tag reset; palettes become colour and
transparent colours become alpha; CMYK and Lab become sRGB through the embedded profile. Read as
8 bit: 16-bit CMYK, animations in 16-bit colour, AVIF and colour JPEG 2000 above 8 bit. Of a TIFF
or MPO the first picture is read.

Writing is in ``srnet/encode.py`` and ``srnet/formats.py``, whose public names can be imported from
here as well.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.PngImagePlugin

from srnet import cicp, pngcolour, xmp
from srnet.animation import frames
from srnet.container import (
    SUFFIXES,
    Header,
    Source,
    clear_factor,
    format_of,
    is_composed,
    open_picture,
    raw_exif,
    size_of,
    tiff_turn,
    without_words,
)
from srnet.encode import encode, read_colour, to_pil
from srnet.errors import DecodeError, OptionError, PictureError, TooLargeError
from srnet.exif import upright, with_sides_swapped
from srnet.files import write_atomic
from srnet.formats import (
    FORMATS,
    PNG_LEVEL,
    SUBSAMPLINGS,
    Format,
    check_fit,
    check_options,
    format_for,
)
from srnet.notes import of_picture
from srnet.pillow import FOREIGN, quiet_pillow
from srnet.pixels import Image, Samples, alike, deep_samples, resolution, samples
from srnet.pngchunks import bare_png

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FORMATS",
    "MAX_FRAMES",
    "PNG_LEVEL",
    "SUBSAMPLINGS",
    "SUFFIXES",
    "Format",
    "Header",
    "Image",
    "PILImage",
    "check_fit",
    "check_options",
    "decode",
    "encode",
    "format_for",
    "from_array",
    "from_pil",
    "read_colour",
    "read_file",
    "read_header",
    "read_size",
    "to_pil",
    "write_atomic",
]

PILImage = PIL.Image.Image  # for those who must tell one from other things
DEFAULT_MAX_PIXELS = 2**28  # 268 megapixels, all frames together
MAX_FRAMES = 4096
_MOST_PLAYS = 65_535  # that WebP can tell
_KNOWN = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF and JPEG 2000"

# Pillow's own limit would warn, and cannot be set per call: the header check replaces it.
PIL.Image.MAX_IMAGE_PIXELS = None
# Nor can that for the profile of a PNG, which is a megabyte: tables for printers are larger.
PIL.PngImagePlugin.MAX_TEXT_CHUNK = xmp.MOST
logging.getLogger("PIL").addHandler(logging.NullHandler())


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        PictureError: it cannot be read; the message says why.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise PictureError(
            f"{path} is a folder: give one picture, or use srnet upscale on the command line"
        ) from error
    except OSError as error:
        raise PictureError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise PictureError(f"{str(path)!r} is no path: {error}") from error


def read_header(data: bytes, name: str) -> Header:
    """Read size, frames and kind of a picture; nothing is decompressed.

    ``name`` is used in messages only. Raises ``DecodeError``, and ``TooLargeError`` when there are
    more than ``MAX_FRAMES`` frames, whatever their size.
    """
    with _decoding(name, data):
        header = open_picture(data).header
        _check_frames(header, name)
        return header


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of the picture in a file, of which hardly more than the header is read.

    Raises ``DecodeError``.
    """
    with _decoding(str(path), b""):
        return size_of(path)


def decode(data: bytes, name: str = "picture", max_pixels: int = DEFAULT_MAX_PIXELS) -> list[Image]:
    """Decode every frame of a file; one element for a still.

    Raises ``TooLargeError`` when all frames together have more than ``max_pixels`` pixels or
    there are more than ``MAX_FRAMES``, before decompressing; ``DecodeError`` otherwise.
    """
    with _decoding(name, data):
        source = open_picture(data)
        _check_limits(source.header, name, max_pixels)
        codes = cicp.high_range(source.header.format, data)
        return [replace(frame, cicp=codes) for frame in _decoded(source, data)]


def from_array(array: npt.ArrayLike) -> Image:
    """Wrap uint8 or uint16 ``(H, W)`` or ``(H, W, 1 | 2 | 3 | 4)``: grey, +alpha, RGB, +alpha.

    Grey and RGB are not copied. Raises ``OptionError`` for anything else.
    """
    samples = np.asarray(array)
    if not samples.dtype.isnative:
        samples = samples.astype(samples.dtype.newbyteorder("="))
    if samples.ndim == 2:
        samples = samples[..., None]
    if samples.ndim != 3 or not 1 <= samples.shape[2] <= 4:
        raise OptionError(
            "an array is (H, W) for grey, or (H, W, C) with 1 (grey), 2 (grey and alpha), 3 (RGB) "
            f"or 4 (RGB and alpha) channels, not {np.shape(array)}"
        )
    if samples.shape[2] in (2, 4):
        colour, alpha = np.split(samples, [-1], axis=2)
        return Image(np.ascontiguousarray(colour), np.ascontiguousarray(alpha[..., 0]))
    return Image(samples)


def from_pil(pil: PIL.Image.Image) -> Image:
    """Convert the current frame of a Pillow image, with its profile, EXIF and orientation.

    What Pillow has forgotten is lost: of a TIFF that it has loaded, and so turned, ``dpi`` is not
    turned; of a loaded PNG of 2 or 4 bits the transparent grey is another; cICP is not known.

    Raises ``DecodeError`` for modes without an 8- or 16-bit meaning.
    """
    with _decoding("the Pillow image", b""):
        quiet_pillow()
        turn, factor = tiff_turn(pil), clear_factor(pil)  # which are forgotten when it is done
        pil.load()
        if factor > 1:
            pil = pil.copy()
            pil.info["transparency"] *= factor
        kind, notes = pil.format or "", of_picture(pil, iter(getattr(pil, "text", {}).items()))
        exif, orientation = upright(raw_exif(pil))
        exif = with_sides_swapped(exif) if turn >= 5 else exif
        packet = xmp.usable(pil.info.get("xmp"))
        packet = xmp.upright(packet) if orientation > 1 else packet
        dpi = resolution(pil, max(orientation, turn))
        header = Header(kind, *pil.size)
        frame = _frame(Source(pil, header, exif, orientation, packet, dpi, notes))
        icc = pngcolour.of_info(pil.info, frame.rgb.shape[2] == 1) if kind == "PNG" else None
        return replace(frame, icc=frame.icc or icc)


def _decoded(source: Source, data: bytes) -> list[Image]:
    if source.header.depth == 16 and not source.pil.mode.startswith("I;16"):
        data = bare_png(data) if source.header.format == "PNG" else data
        rgb, alpha, icc = deep_samples(data, source.pil, source.orientation)
        return [_image(source, rgb, alpha, icc)]
    return alike([_frame(replace(source, pil=pil)) for pil in _frames_of(source, data)])


@contextmanager
def _decoding(name: str, data: bytes) -> Iterator[None]:
    """The one seam where what Pillow and OpenCV raise becomes ours."""
    try:
        yield
    except MemoryError as error:
        raise TooLargeError(f"{name}: not enough memory to decode it; use a smaller one") from error
    except FOREIGN as error:
        kind = format_of(data)
        if kind is None and data:
            raise DecodeError(
                f"{name} is not a picture of a known format ({_KNOWN}); convert it to PNG first"
            ) from error
        reason = "no reason given" if isinstance(error, PIL.UnidentifiedImageError) else error
        raise DecodeError(
            f"{name} cannot be decoded as {kind or 'a picture'} ({reason}): it is damaged, "
            "incomplete or of an unusual kind; copy it anew, or save it again as PNG"
        ) from error


def _check_frames(header: Header, name: str) -> None:
    if header.frames > MAX_FRAMES:
        raise TooLargeError(f"{name} has {header.frames} frames, more than {MAX_FRAMES}: split it")


def _check_limits(header: Header, name: str, max_pixels: int) -> None:
    _check_frames(header, name)
    pixels = header.width * header.height * header.frames
    if pixels > max_pixels:
        raise TooLargeError(
            f"{name} has {header.width} x {header.height} pixels in {header.frames} frame(s), "
            f"{pixels / 1e6:.1f} megapixels of at most {max_pixels / 1e6:.1f}: "
            "shrink or crop it, or raise the limit (max_pixels in Python)"
        )


def _frames_of(source: Source, data: bytes) -> Iterator[Any]:
    """One frame after the other, loaded."""
    pil, header = source.pil, source.header
    if is_composed(header.format, header.frames, pil):
        width, height = header.width, header.height
        if source.orientation >= 5:
            width, height = height, width
        for frame in frames(data, header.format, width, height, header.frames):
            others = {key: value for key, value in pil.info.items() if key != "transparency"}
            frame.info = {**others, **frame.info}
            yield frame
        return
    for index in range(header.frames):
        if index:
            pil.seek(index)
        pil.load()
        without_words(pil)
        yield pil


def _image(source: Source, rgb: Samples, alpha: Samples | None, icc: bytes | None) -> Image:
    """A frame with what the file says of it."""
    return Image(
        rgb,
        alpha,
        icc,
        source.exif,
        format=source.header.format,
        dpi=source.dpi,
        lossless=source.header.lossless,
        xmp=source.xmp,
        notes=source.notes,
    )


def _frame(source: Source) -> Image:
    """The frame that ``source.pil`` has loaded."""
    rgb, alpha, icc = samples(source.pil, source.orientation)
    frame = _image(source, rgb, alpha, icc)
    if source.header.frames == 1:
        return frame
    info = source.pil.info
    loop = int(info.get("loop", 0))  # AVIF has a count that Pillow does not tell
    if source.header.format == "GIF":  # which says how often it is repeated, if it is
        loop = 0 if info.get("loop") == 0 else min(loop + 1, _MOST_PLAYS)
    return replace(frame, duration=round(info.get("duration", 0)), loop=loop)
