"""The formats that pictures are written in: their names, and what they can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from srnet.errors import OptionError, OutputError


@dataclass(frozen=True)
class Format:
    """A format we write: how its files are named, and what they can hold."""

    suffixes: tuple[str, ...]  # the usual one first
    media_type: str
    max_side: int  # pixels
    alpha: bool = True
    grey: bool = True
    sixteen_bit: bool = False
    animation: bool = False
    quality: int | None = None  # the default, for formats that lose something
    weight: int = 1  # what writing a pixel takes, by what a PNG takes: memory, in round figures
    heeds: tuple[str, ...] = ()  # options of `encode` that not every format has a use for

    @property
    def suffix(self) -> str:
        """The usual file name suffix, with its dot."""
        return self.suffixes[0]


FORMATS: Mapping[str, Format] = {
    "png": Format(
        (".png", ".apng"),
        "image/png",
        2**31 - 1,
        sixteen_bit=True,
        animation=True,
        heeds=("png_level",),
    ),
    "jpeg": Format(
        (".jpg", ".jpeg", ".jpe"),
        "image/jpeg",
        65500,
        alpha=False,
        quality=95,
        heeds=("quality", "subsampling", "background"),
    ),
    "webp": Format(
        (".webp",),
        "image/webp",
        16383,
        grey=False,
        animation=True,
        quality=90,
        weight=3,
        heeds=("quality",),
    ),
    "tiff": Format((".tif", ".tiff"), "image/tiff", 2**31 - 1, sixteen_bit=True),
    "avif": Format(
        (".avif",),
        "image/avif",
        32768,
        grey=False,
        animation=True,
        quality=85,
        weight=10,
        heeds=("quality", "subsampling"),
    ),
}
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")  # all colour, half of it, a quarter
PNG_LEVEL = 3  # higher ones take twice as long and save a twentieth


def format_for(path: Path) -> str:
    """The key of ``FORMATS`` that the suffix of ``path`` stands for; else ``OptionError``."""
    for name, known in FORMATS.items():
        if path.suffix.lower() in known.suffixes:
            return name
    every = ", ".join(suffix for known in FORMATS.values() for suffix in known.suffixes)
    raise OptionError(
        f"{path.name}: cannot write {path.suffix or 'a file without suffix'}; use one of {every}"
    )


def check_options(
    format: str,  # noqa: A002 - the word that users know
    quality: int | None,
    lossless: bool,
    background: tuple[int, int, int] | None,
    subsampling: str = SUBSAMPLINGS[0],
    png_level: int = PNG_LEVEL,
) -> None:
    """Refuse with ``OptionError``, for any picture, what :func:`encode` would refuse."""
    if format not in FORMATS:
        raise OptionError(f"cannot write {format!r}; choose one of {', '.join(FORMATS)}")
    if lossless and format in ("jpeg", "avif"):
        raise OptionError(f"{format} cannot be written without loss here: write png, webp or tiff")
    if lossless and quality is not None:
        raise OptionError("a picture without loss has no quality: give lossless or quality")
    if quality is not None and not 1 <= quality <= 100:
        raise OptionError(f"quality is 1 to 100, not {quality}")
    if background is not None and not (
        len(background) == 3 and all(0 <= part <= 255 for part in background)
    ):
        raise OptionError(f"background is three numbers from 0 to 255, not {background}")
    if subsampling not in SUBSAMPLINGS:
        raise OptionError(f"subsampling is one of {', '.join(SUBSAMPLINGS)}, not {subsampling}")
    if not 0 <= png_level <= 9:
        raise OptionError(f"the PNG level is 0 to 9, not {png_level}")


def check_fit(name: str, height: int, width: int, *, frames: int, alpha: bool) -> None:
    """Refuse with ``OutputError`` what a format cannot hold; ``alpha``: it must be kept."""
    target = FORMATS[name]
    if frames > 1 and not target.animation:
        raise OutputError(
            f"{name} cannot hold {frames} frames: write webp or png, or give one frame"
        )
    if max(width, height) > target.max_side:
        raise OutputError(
            f"{name} holds at most {target.max_side} pixels a side, not {width} x {height}: "
            "write png or tiff, or make it smaller"
        )
    if alpha and not target.alpha:
        raise OutputError(
            f"{name} cannot hold transparency: give a colour to put it on (--background), "
            "or write png or webp"
        )
