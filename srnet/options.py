"""What to make of a picture: one frozen object that every door fills in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypedDict

from srnet.errors import OptionError
from srnet.image import FORMATS, PNG_LEVEL, SUBSAMPLINGS, check_options
from srnet.sizes import check_target


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _wholes(value: object) -> bool:
    return isinstance(value, tuple | list) and all(map(_whole, value))


def _plain(value: Any) -> Any:
    """Numbers as Python's own, which do not overflow as those of numpy do."""
    if isinstance(value, tuple | list):
        return tuple(_plain(part) for part in value)
    if _whole(value):
        return int(value)
    return float(value) if _number(value) else value


def _truth(value: object) -> bool:
    return isinstance(value, bool)


_PIXELS = (_whole, "a whole number of pixels")
_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {  # option: its type, and that in words
    "scale": (_number, "a number from 1 to 16"),
    "width": _PIXELS,
    "height": _PIXELS,
    "fit": (_wholes, "two whole numbers of pixels, (width, height)"),
    "strength": (_number, "a number from 0 to 1"),
    "ensemble": (_whole, "1, 2, 4 or 8"),
    "format": (lambda value: isinstance(value, str), f"one of {', '.join(FORMATS)}"),
    "quality": (_whole, "a whole number from 1 to 100"),
    "lossless": (_truth, "True or False"),
    "subsampling": (lambda value: isinstance(value, str), f"one of {', '.join(SUBSAMPLINGS)}"),
    "png_level": (_whole, "a whole number from 0 to 9"),
    "keep_metadata": (_truth, "True or False"),
    "background": (_wholes, "three whole numbers from 0 to 255, (red, green, blue)"),
    "tile": _PIXELS,
    "batch_pixels": _PIXELS,
    "max_pixels": (_number, "a number of pixels"),
}
_OPTIONAL = {"scale", "width", "height", "fit", "format", "quality", "lossless", "background"}
_OPTIONAL |= {"batch_pixels"}


class OptionWords(TypedDict, total=False):
    """The fields of :class:`Options` as keywords, for those who check types or complete names."""

    scale: float | None
    width: int | None
    height: int | None
    fit: tuple[int, int] | None
    strength: float
    ensemble: int
    format: str | None
    quality: int | None
    lossless: bool | None
    subsampling: str
    png_level: int
    keep_metadata: bool
    background: tuple[int, int, int] | None
    tile: int
    batch_pixels: int | None
    max_pixels: int


@dataclass(frozen=True)
class Options:
    """What to make of a picture.

    At most one of the four sizes; none means the smallest scale of the model, which is 2 for
    every family that comes with srnet.

    Raises:
        OptionError: a value that could work for no picture.
    """

    scale: float | None = None  # 1 to 16
    width: int | None = None  # pixels
    height: int | None = None  # pixels
    fit: tuple[int, int] | None = None  # box of width, height in pixels, as large as fits

    strength: float = 1.0  # of what the network adds: 0 is bicubic, 1 is all of it
    ensemble: int = 1  # orientations that are averaged: 1, 2, 4 or 8, as many times the work

    format: str | None = None  # png, jpeg, webp, tiff, avif; None: that of the input
    quality: int | None = None  # 1 to 100; None: the format's default
    lossless: bool | None = None  # WebP; None: as a WebP input is, unless there is a quality
    subsampling: str = SUBSAMPLINGS[0]  # of the colour in JPEG and AVIF: 4:4:4 keeps all of it
    png_level: int = PNG_LEVEL  # 0 (quick, large) to 9 (slow, small)
    keep_metadata: bool = True  # profile (else sRGB), EXIF, XMP, IPTC, texts, dpi
    background: tuple[int, int, int] | None = None  # under transparent pixels, for JPEG

    tile: int = 512  # input pixels each way; larger is slower with PyTorch, no quicker elsewhere
    batch_pixels: int | None = None  # that the network is given at once; None: tile squared
    max_pixels: int = 500_000_000  # of output, all frames together

    def __post_init__(self) -> None:
        for name, (fits, words) in _KINDS.items():
            value = getattr(self, name)
            if not fits(value) and not (value is None and name in _OPTIONAL):
                raise OptionError(f"{name} must be {words}, not {value!r}")
            object.__setattr__(self, name, _plain(value))
        if not 0 <= self.strength <= 1:
            raise OptionError(f"strength must be from 0 to 1, not {self.strength:g}")
        if self.ensemble not in (1, 2, 4, 8):
            raise OptionError(f"ensemble must be 1, 2, 4 or 8, not {self.ensemble}")
        if self.tile < 1 or (self.batch_pixels is not None and self.batch_pixels < 1):
            raise OptionError("tile and batch_pixels must be at least 1")
        if not self.max_pixels >= 1:
            raise OptionError(f"max_pixels must be at least 1, not {self.max_pixels}")
        if (self.scale, self.width, self.height, self.fit) != (None, None, None, None):
            check_target(self.scale, self.width, self.height, self.fit)
        any_format = "webp"  # which may be lossy or not, so that all else is still checked
        check_options(
            self.format or any_format,
            self.quality,
            bool(self.lossless),
            self.background,
            self.subsampling,
            self.png_level,
        )
