"""Pictures out: arrays to files of five formats.

PNG and TIFF stills are written here, strip by strip: that keeps 16 bits, the ICC profile and
EXIF, which neither Pillow nor OpenCV does, and needs no copy of the pixels. The rest is
Pillow's. What a format cannot hold is refused with the cure, except that 16 bits are rounded
to 8 for JPEG, WebP and AVIF, and for animations. WebP and AVIF have no grey of their own.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageColor

from srnet import cicp, xmp
from srnet.container import fitting
from srnet.convert import coloured, eight_bit, flattened, plain
from srnet.errors import OptionError, OutputError
from srnet.exif import sized, upright, without_orientation
from srnet.formats import FORMATS, PNG_LEVEL, SUBSAMPLINGS, check_fit, check_options
from srnet.notes import NO_NOTES, jpeg_segments
from srnet.pillow import FOREIGN, quiet_pillow
from srnet.pixels import Image
from srnet.stills import png_info, write_png, write_tiff

_MAX_JPEG_EXIF = 65_527  # bytes
_MAX_JPEG_XMP = 65_504  # bytes; longer ones would need a form that few programs read
_MOST_16 = 2**16 - 1  # in each part of the fraction of seconds that a PNG has for a time


class _Out(io.BytesIO):
    """A file in memory whose writer is asked, at each piece, whether to go on."""

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check

    def write(self, data: Any) -> int:
        self._check()
        return super().write(data)


def encode(
    frames: Sequence[Image],
    format: str,  # noqa: A002 - the word that users know
    *,
    quality: int | None = None,
    lossless: bool = False,
    subsampling: str = SUBSAMPLINGS[0],
    keep_metadata: bool = True,
    background: tuple[int, int, int] | None = None,
    png_level: int = PNG_LEVEL,
    check: Callable[[], None] = lambda: None,
) -> bytes:
    """Encode a still (one frame) or an animation as one of ``FORMATS``.

    ``quality`` is 1-100, for JPEG, WebP and AVIF; others ignore it, as they do
    ``subsampling`` ("4:4:4", "4:2:2", "4:2:0"; WebP that loses is always 4:2:0).
    ``lossless`` is how WebP is told to be exact; PNG and TIFF always are.
    ``keep_metadata`` writes the ICC profile, EXIF, XMP, notes and dpi of the first frame; WebP and
    AVIF hold no notes, and no dpi but that of EXIF. Without it the colours are those of sRGB;
    16 bits, which LittleCMS would cut here, keep a profile that is of another space, and high
    dynamic range its codes.
    ``background`` (0-255 each) is what transparent pixels are flattened on where the format
    has no alpha. ``png_level`` is zlib's 0-9. What ``check`` raises ends the writing of PNG,
    TIFF and JPEG soon; WebP and AVIF are written in one piece.

    Raises ``OptionError`` for options out of range, ``OutputError`` when the format cannot
    hold the picture.
    """
    check_options(format, quality, lossless, background, subsampling, png_level)
    first = _check_alike(frames)
    check_fit(
        format,
        first.height,
        first.width,
        frames=len(frames),
        alpha=first.alpha is not None and background is None,
    )
    cicp.check(format, first.cicp)
    if not keep_metadata:
        frames = [_bare(plain(frame, FORMATS[format].sixteen_bit)) for frame in frames]
    if not FORMATS[format].alpha and background is not None:
        frames = [flattened(frame, background) for frame in frames]
    if not FORMATS[format].grey:
        frames = [coloured(frame) for frame in frames]
    options = _writer_options(format, quality, lossless, subsampling, png_level)
    try:
        data = _written(frames, format, options, check)
        return data if first.cicp is None else cicp.written(data, format, first.cicp)
    except (MemoryError, *FOREIGN) as error:
        raise OutputError(
            f"cannot write {frames[0].width} x {frames[0].height} pixels as {format} ({error}): "
            "choose another format, or leave the metadata out"
        ) from error


def read_colour(text: str) -> tuple[int, int, int]:
    """Red, green, blue (0-255) of a name of CSS or of ``#RRGGBB``, with or without the sign.

    Raises ``OptionError`` for anything else, alpha included.
    """
    digits = re.fullmatch(r"[0-9a-f]{6}", text, re.IGNORECASE)
    parts: tuple[int, ...] = ()
    with suppress(ValueError):
        parts = ImageColor.getrgb(f"#{text}" if digits else text)
    if len(parts) != 3:
        raise OptionError(f"a colour such as white or #ffffff, not {text}")
    return parts[0], parts[1], parts[2]


def _bare(image: Image) -> Image:
    """Without what tells of the picture, but for the profile or codes that its colours need."""
    return replace(image, exif=None, dpi=None, xmp=None, notes=NO_NOTES)


def to_pil(image: Image) -> PIL.Image.Image:
    """Convert to a Pillow image, metadata in ``info``.

    16-bit grey without alpha stays 16 bit; Pillow has no 16-bit colour, so the rest is
    rounded to 8 bits. It has no place for ``cicp`` either.
    """
    if image.rgb.dtype != np.uint16 or image.rgb.shape[2] == 3 or image.alpha is not None:
        image = eight_bit(image)
    grey = image.rgb.shape[2] == 1
    pil = PIL.Image.fromarray(image.rgb[..., 0] if grey else image.rgb)
    if image.alpha is not None:
        pil.putalpha(PIL.Image.fromarray(image.alpha))
    found = {
        "icc_profile": image.icc,
        "exif": image.exif,
        "dpi": image.dpi,
        "xmp": image.xmp,
        "comment": image.notes.comment.encode(),
    }
    pil.info.update({key: value for key, value in found.items() if value})
    return pil


def _writer_options(
    name: str, quality: int | None, lossless: bool, subsampling: str, png_level: int
) -> dict[str, Any]:
    every: dict[str, dict[str, Any]] = {
        "png": {"compress_level": png_level},
        "jpeg": {"subsampling": subsampling},
        "webp": {"lossless": lossless, "exact": lossless},
        "avif": {"subsampling": subsampling},
    }
    options = every.get(name, {})
    if FORMATS[name].quality is not None:
        options["quality"] = quality or FORMATS[name].quality
    return options


def _check_alike(frames: Sequence[Image]) -> Image:
    if not frames:
        raise OptionError("there is no frame to encode: give at least one")
    if len({(*frame.rgb.shape, frame.alpha is None) for frame in frames}) > 1:
        raise OptionError("the frames of an animation must be alike in size and channels")
    return frames[0]


def _exif_for(name: str, exif: bytes | None) -> bytes:
    """The block as Pillow takes it for a format; empty if there is none."""
    if not exif:
        return b""
    if name == "avif":
        return without_orientation(exif) or b""
    return b"Exif\0\0" + exif if name == "jpeg" else exif


def _png_time(duration: int) -> int:
    """A time in ms that a PNG can hold: to the 1, 10 or 100 ms, or the second, as it is long."""
    step = next((step for step in (1, 10, 100, 1000) if duration <= _MOST_16 * step), 1000)
    return min(round(duration / step), _MOST_16) * step


def _written(
    frames: Sequence[Image], name: str, options: dict[str, Any], check: Callable[[], None]
) -> bytes:
    """The file, by ``srnet.stills`` or by Pillow, with the metadata of the first frame."""
    quiet_pillow()
    first = frames[0]
    exif = sized(upright(first.exif)[0], first.width, first.height)
    packet = xmp.sized(first.xmp, first.width, first.height)
    if name == "jpeg":
        exif, packet = fitting(exif, _MAX_JPEG_EXIF), xmp.fitting(packet, _MAX_JPEG_XMP)
    first = replace(first, exif=exif, xmp=packet)
    if name == "avif" and first.cicp is not None:
        first = replace(first, icc=None)  # which would go before the codes there
    if len(frames) == 1 and name == "png":
        return write_png(first, options["compress_level"], check)
    if name == "tiff":
        return write_tiff(first, check)
    pictures = [to_pil(_bare(replace(eight_bit(frame), icc=None))) for frame in frames]
    options = {**options, "icc_profile": first.icc, "exif": _exif_for(name, exif)}
    if name in ("png", "jpeg") and first.dpi is not None:
        options["dpi"] = first.dpi
    if name == "png":
        options["pnginfo"] = png_info(first)
    elif packet is not None:
        options["xmp"] = packet
    if name == "jpeg":
        options |= jpeg_segments(first.notes)
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": pictures[1:], "loop": first.loop or 0}
        times = [frame.duration for frame in frames]
        options["duration"] = [_png_time(each) for each in times] if name == "png" else times
    out = _Out(check)
    pictures[0].save(out, name.upper(), **options)
    return out.getvalue()
