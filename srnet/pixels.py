"""``Image``, and how the samples of an opened file become one, upright, not premultiplied.

A private part of ``srnet/image.py``. Nothing here guards against damaged files: Pillow and
OpenCV raise what they like, and ``image.py`` turns it into one error.

Arrays are filled strip by strip, so that beside Pillow's own buffer there is one array of
the result and nothing else, whatever conversion is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from srnet.colour import Conversion, to_srgb
from srnet.errors import OptionError
from srnet.notes import NO_NOTES, Notes
from srnet.pillow import FOREIGN

Samples = npt.NDArray[Any]  # uint8 or uint16
Rows = Callable[[int, int], npt.NDArray[Any]]  # top, bottom -> (bottom - top, W, bands)

_MAX_DPI = 65535  # JPEG's limit
_RESOLUTIONS, _UNIT, _CENTIMETRE = (0x011A, 0x011B), 0x0128, 3  # tags of EXIF, across first
_STRIP_PIXELS = 2**18  # converted at a time; small enough for the cache
# Pillow's modes, and the mode with only what an Image can hold.
_TARGETS = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "YCbCr": "RGB",
    "HSV": "RGB",
}


@dataclass(frozen=True, eq=False)
class Image:
    """One decoded picture, or one frame of an animation.

    ``rgb`` is uint8 or uint16 (the dtype is the depth), ``(H, W, 3)`` or, for grey,
    ``(H, W, 1)``; sRGB-encoded, or in the space of ``icc``. ``alpha`` is ``(H, W)`` of the
    same dtype, not premultiplied, or None. ``exif`` is the TIFF-structured block without the
    ``Exif`` prefix, its orientation tag reset to 1. ``dpi`` is the resolution in pixels an inch,
    across and down, or None: how large to print, which enlarging leaves as it is. ``duration``
    is how long the frame is shown in ms, 0 for a still. ``loop`` is how often the animation
    plays, 0 for ever, None for a still. ``format`` is where it came from ("PNG", "JPEG", ...),
    or empty; ``lossless`` says that this was a WebP file that had lost nothing. ``xmp`` is the
    packet with titles, ratings and the like, as it was but for the orientation. ``notes`` are
    comments, the texts of a PNG, and IPTC. ``cicp`` are the codes (ITU-T H.273) of primaries and
    curve where those are of high dynamic range, for which no profile stands, or None; they go
    before ``icc``.

    Raises ``OptionError`` when the arrays do not fit this description.
    """

    rgb: Samples
    alpha: Samples | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    duration: int = 0
    loop: int | None = None
    format: str = ""
    dpi: tuple[float, float] | None = None
    lossless: bool = False
    xmp: bytes | None = None
    notes: Notes = NO_NOTES
    cicp: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.rgb.shape, self.rgb.dtype
        if dtype not in (np.uint8, np.uint16):
            raise OptionError(f"a picture has uint8 or uint16 samples, not {dtype}: convert it")
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
            raise OptionError(f"a picture is (H, W, 3) or (H, W, 1) and not empty, not {shape}")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (shape[:2], dtype):
            raise OptionError(f"alpha must be {shape[:2]} {dtype}, like the picture")

    @property
    def opaque(self) -> bool:
        """Whether nothing can be seen through it."""
        return self.alpha is None or bool((self.alpha == np.iinfo(self.alpha.dtype).max).all())

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return int(self.rgb.shape[1])


def resolution(pil: Any, orientation: int) -> tuple[float, float] | None:
    """``Image.dpi`` of an opened file; None where it is absent or absurd."""
    told = pil.info.get("dpi")
    if pil.format in ("JPEG", "MPO") and pil.info.get("jfif_unit") not in (1, 2):
        told = _in_exif(pil) or told  # where Pillow takes the number across for both
    try:
        across, down = (float(value) for value in told)
    except (TypeError, ValueError, ArithmeticError):
        return None
    if not (_is_sane(across) and _is_sane(down)):
        return None
    return (down, across) if orientation >= 5 else (across, down)


def _in_exif(pil: Any) -> tuple[float, float] | None:
    """Both numbers, in pixels an inch where no unit is told; None if one of them is absurd."""
    try:
        tags = pil.getexif()
        inch = 2.54 if tags.get(_UNIT) == _CENTIMETRE else 1.0
        across, down = (float(tags[tag]) * inch for tag in _RESOLUTIONS)
    except FOREIGN:
        return None
    return (across, down) if _is_sane(across) and _is_sane(down) else None


def _is_sane(dpi: float) -> bool:
    return 1 < dpi <= _MAX_DPI  # not NaN; and 1 is an empty TIFF to Pillow


def check_mode(mode: str) -> None:
    """``ValueError`` for a mode of Pillow that no ``Image`` can be made of."""
    if not mode.startswith("I;16") and mode not in (*_TARGETS, "CMYK", "LAB", "RGBa", "La"):
        raise ValueError(f"its samples are of kind {mode}, only 8 and 16 bit integers are read")


def samples(pil: Any, orientation: int) -> tuple[Samples, Samples | None, bytes | None]:
    """Samples ``(H, W, 1 | 3)``, alpha ``(H, W)`` or None, and the profile that still holds.

    ``pil`` is a loaded Pillow image; ``orientation`` 1-8 is applied.
    """
    bands, convert, icc = _conversion(pil)
    width, height = pil.size

    def rows(top: int, bottom: int) -> npt.NDArray[Any]:
        strip = convert(pil.crop((0, top, width, bottom)))
        return strip.reshape(bottom - top, width, bands)

    dtype = np.uint16 if pil.mode.startswith("I;16") else np.uint8
    rgb, alpha = _assemble(rows, (height, width, bands), dtype, orientation)
    return rgb, alpha, _matching(icc, rgb)


def deep_samples(
    data: bytes, pil: Any, orientation: int
) -> tuple[Samples, Samples | None, bytes | None]:
    """Like ``samples``, for 16-bit colour, which Pillow would cut to 8 bits: through OpenCV."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        # It applies the orientation of a TIFF by itself, and turns tRNS into alpha.
        array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(error.err or "OpenCV refused it") from error
    if array is None or array.dtype != np.uint16 or array.shape[:2] != pil.size[::-1]:
        raise ValueError("its 16-bit samples are damaged or stored in an unusual way")
    extra = pil.tag_v2.get(338, (2,))[0] if pil.format == "TIFF" else 2
    order = [2, 1, 0] if array.ndim < 3 or array.shape[2] == 3 or extra == 0 else [2, 1, 0, 3]
    if pil.format == "PNG" and data[25] == 4:  # grey and alpha come as colour
        order = [0, 3]

    def rows(top: int, bottom: int) -> npt.NDArray[Any]:
        strip = array[top:bottom][..., order]
        return _unpremultiplied(strip) if extra == 1 and len(order) == 4 else strip

    rgb, alpha = _assemble(rows, (*array.shape[:2], len(order)), np.uint16, orientation)
    return rgb, alpha, _matching(pil.info.get("icc_profile"), rgb)


def strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut ``height`` rows of ``width`` pixels into (top, bottom) pieces that fit the cache."""
    step = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, step):
        yield top, min(top + step, height)


def alike(frames: list[Image]) -> list[Image]:
    """Give every frame alpha when one has it, and colour; ``ValueError`` for unequal sizes."""
    if len({(frame.height, frame.width) for frame in frames}) > 1:
        raise ValueError("its frames differ in size")
    if len({frame.rgb.shape[2] for frame in frames}) > 1:
        frames = [
            replace(f, rgb=np.ascontiguousarray(np.broadcast_to(f.rgb, (f.height, f.width, 3))))
            for f in frames
        ]
    if len({frame.alpha is None for frame in frames}) > 1:
        opaque = np.full(frames[0].rgb.shape[:2], 255, np.uint8)
        frames = [f if f.alpha is not None else replace(f, alpha=opaque) for f in frames]
    return frames


def _conversion(pil: Any) -> tuple[int, Conversion, bytes | None]:
    """How many bands a strip of ``pil`` becomes, how, and the profile of the result."""
    mode, clear, icc = pil.mode, pil.info.get("transparency"), pil.info.get("icc_profile")
    check_mode(mode)
    if mode.startswith("I;16"):
        tags = pil.tag_v2 if pil.format == "TIFF" else {}
        return *_deep_grey(clear, tags), icc
    if mode in ("CMYK", "LAB"):
        return 3, to_srgb(mode, icc), None
    if mode in ("RGBa", "La"):
        return len(mode), lambda strip: _unpremultiplied(np.asarray(strip)), icc
    target = _TARGETS[mode]
    if mode == "P" and pil.palette is not None and pil.palette.mode == "RGBA":
        target = "RGBA"
    if clear is not None and target in ("L", "RGB"):
        target += "A"

    def convert(strip: PIL.Image.Image) -> npt.NDArray[Any]:
        return np.asarray(strip if strip.mode == target else strip.convert(target))

    return len(target), convert, icc


def _deep_grey(clear: int | None, tags: Any) -> tuple[int, Conversion]:
    """For 16-bit grey: TIFF's 12 bit and white-is-zero, and PNG's one transparent grey."""
    inverted, short = tags.get(262) == 0, tags.get(258) == (12,)

    def convert(strip: PIL.Image.Image) -> npt.NDArray[Any]:
        grey: npt.NDArray[Any] = np.asarray(strip).astype(np.uint16)
        if short:
            grey = (grey << 4) | (grey >> 8)
        if inverted:
            grey = 65535 - grey
        if clear is None:
            return grey
        return np.dstack([grey, np.where(grey == clear, 0, 65535)])

    return 1 if clear is None else 2, convert


def _assemble(
    rows: Rows, shape: tuple[int, int, int], dtype: Any, orientation: int
) -> tuple[Samples, Samples | None]:
    """Fill upright arrays from rows in file order; ``shape`` is ``(H, W, bands)`` in the file.

    The arrays are written through views turned the other way, which saves a copy.
    """
    height, width, bands = shape
    upright_shape = (width, height) if orientation >= 5 else (height, width)
    colours = bands - 1 if bands in (2, 4) else bands
    rgb = np.empty((*upright_shape, colours), dtype)
    alpha = np.empty(upright_shape, dtype) if bands > colours else None
    for top, bottom in strips(height, width):
        strip = rows(top, bottom)
        _as_stored(rgb, orientation)[top:bottom] = strip[..., :colours]
        if alpha is not None:
            _as_stored(alpha, orientation)[top:bottom] = strip[..., colours]
    return rgb, alpha


def _as_stored(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """View an upright array the way a file with this EXIF orientation stores it."""
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array.swapaxes(0, 1) if orientation >= 5 else array


def _unpremultiplied(strip: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rounded, where Pillow would cut; the last channel is alpha."""
    full = np.iinfo(strip.dtype).max
    alpha = np.maximum(strip[..., -1:].astype(np.uint64), 1)
    colour = (strip[..., :-1] * np.uint64(full) + alpha // 2) // alpha
    return np.concatenate([np.minimum(colour, full).astype(strip.dtype), strip[..., -1:]], axis=-1)


def _matching(icc: bytes | None, rgb: Samples) -> bytes | None:
    """The profile, unless it is damaged or made for another number of channels."""
    space = b"GRAY" if rgb.shape[2] == 1 else b"RGB "
    sound = icc is not None and len(icc) >= 132 and icc[36:40] == b"acsp" and icc[16:20] == space
    return icc if sound else None
