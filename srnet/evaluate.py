"""Score a model on a folder of pictures, through the product itself.

What is measured is what ships: each picture goes through :class:`srnet.upscaler.Upscaler`,
and the 8-bit result is compared, so rounding and tiling are part of the score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import isinf
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np
import numpy.typing as npt

from srnet import degrade
from srnet.bicubic import resize
from srnet.data import find_pictures, read_rgb8
from srnet.engine import Engine
from srnet.errors import DataError, OptionError
from srnet.image import Image
from srnet.metrics import luma, psnr, ssim
from srnet.openvino_engine import OpenVINOEngine
from srnet.product import engine_class
from srnet.upscaler import Upscaler

Pixels = npt.NDArray[np.uint8]
Degrade = Callable[[Pixels, int], Pixels]


@dataclass(frozen=True)
class Pair:
    """One picture: ``high`` (s * h, s * w, 3) and ``low`` (h, w, 3), uint8 RGB."""

    name: str
    high: Pixels
    low: Pixels


@dataclass(frozen=True)
class Row:
    """Scores of one picture: dB on Y, and SSIM on Y (0 to 1)."""

    name: str
    psnr: float
    ssim: float
    bicubic_psnr: float
    bicubic_ssim: float


def pairs(
    folder: Path,
    scale: int,
    degradation: Degrade = degrade.clean,
    limit: int | None = None,
) -> Iterator[Pair]:
    """The pictures of a benchmark folder, sorted by name, high resolution cut to fit.

    Two layouts: ``HR/<name>.png`` beside ``LRbicx<s>/<name>x<s>.png``, where the low side is
    read from its files; or pictures anywhere under ``folder``, where ``degradation`` makes
    it. A ``degradation`` other than the clean one is always applied. Which files there are is
    checked by the call; each is read when it is its turn.

    Raises:
        DataError: no pictures, or a low-resolution file is missing; from the iterator, a picture
            that is smaller than the scale or cannot be read, or a misshapen low-resolution file.
    """
    high_folder = folder / "HR" if (folder / "HR").is_dir() else folder
    low_folder = _low_folder(folder, scale) if degradation is degrade.clean else None
    files = find_pictures(high_folder)[:limit]
    lows = [low_folder and _low_file(low_folder, file, scale) for file in files]
    return (_pair(*both, scale, degradation) for both in zip(files, lows, strict=True))


def _pair(file: Path, low_file: Path | None, scale: int, degradation: Degrade) -> Pair:
    high = read_rgb8(file)
    height, width = high.shape[0] // scale, high.shape[1] // scale
    if not height * width:
        raise DataError(f"{file} is too small to be shrunk by {scale}: move it out of the folder")
    high = high[: height * scale, : width * scale]
    low = read_rgb8(low_file) if low_file else degradation(high, scale)
    if low.shape[:2] != (height, width):
        raise DataError(
            f"{file.stem}: the low-resolution picture has {low.shape[1]} x {low.shape[0]} "
            f"pixels, but {width} x {height} were expected at x{scale}"
        )
    return Pair(file.stem, high, low)


def _low_folder(folder: Path, scale: int) -> Path | None:
    """Where the small pictures of a benchmark are; None if ``folder`` is none."""
    others = sorted(path.name for path in folder.glob("LRbicx[2-4]"))
    found = folder / f"LRbicx{scale}"
    if others and not found.is_dir():
        raise DataError(
            f"{folder} has {', '.join(others)}, but no LRbicx{scale}: "
            f"add it, or give {folder / 'HR'} to have the small pictures made"
        )
    return found if others else None


def _low_file(folder: Path, high: Path, scale: int) -> Path:
    low = folder / f"{high.stem}x{scale}.png"
    if not low.is_file():  # nor a pipe, which would be waited for
        raise DataError(
            f"{low} is missing: that is how the small picture of {high} has to be called"
        )
    return low


def scores(upscaler: Upscaler, source: Iterator[Pair], scale: int) -> Iterator[Row]:
    """PSNR and SSIM on Y without a border of ``scale`` pixels, of the model and of bicubic.

    Raises:
        DataError: a picture is too small to be compared.
    """
    options = replace(upscaler.options, scale=float(scale), width=None, height=None, fit=None)
    for pair in source:
        ours = _measures(pair, upscaler(Image(pair.low), options).rgb, scale)
        yield Row(pair.name, *ours, *_measures(pair, _bicubic(pair), scale))


def _bicubic(pair: Pair) -> Pixels:
    return resize(pair.low, pair.high.shape[0], pair.high.shape[1])


def _measures(pair: Pair, found: Pixels, scale: int) -> tuple[float, float]:
    """PSNR and SSIM of what was found for the high side of a pair."""
    try:
        y, target = luma(found), luma(pair.high)
        return psnr(y, target, scale), ssim(y, target, scale)
    except OptionError as error:
        raise DataError(f"{pair.name}: {error}; move it out of the folder") from error


def mean(rows: list[Row]) -> Row:
    """The mean row, called ``mean``."""
    columns = ("psnr", "ssim", "bicubic_psnr", "bicubic_ssim")
    return Row("mean", *(fmean(getattr(row, column) for row in rows) for column in columns))


def validation(
    folder: Path, scale: int, degradation: Literal["clean", "photo"], device: str
) -> Callable[[Path], dict[str, float]]:
    """What scores a weights file on held-out photographs, in float32, while it is trained.

    Raises:
        DataError: the folder cannot be used, or holds a picture so flat that PSNR is infinite;
            said here, before hours of training.
    """

    def source() -> Iterator[Pair]:
        photo = degradation == "photo"
        return pairs(folder, scale, random_degradation("photo", 0) if photo else degrade.clean)

    for pair in source():
        if isinf(_measures(pair, _bicubic(pair), scale)[0]):
            raise DataError(
                f"{pair.name} is flat: bicubic lacks nothing, and PSNR is infinite; "
                "move it out of the folder"
            )

    make: Callable[..., Engine] = engine_class("auto", device)
    if make is OpenVINOEngine:
        make = partial(make, keep=False)  # these weights never come again

    def validate(weights: Path) -> dict[str, float]:
        upscaler = Upscaler([make(weights, device, "float32")])
        row = mean(list(scores(upscaler, source(), scale)))
        return {
            "validation psnr": round(row.psnr, 3),
            "validation bicubic psnr": round(row.bicubic_psnr, 3),
        }

    return validate


def jpeg_degradation(quality: int) -> Degrade:
    """Clean shrink, then JPEG (4:2:0) of a quality from 1 to 100."""

    def shrink_and_compress(high: Pixels, scale: int) -> Pixels:
        return degrade.jpeg(degrade.clean(high, scale), quality)

    return shrink_and_compress


def random_degradation(kind: Literal["photo", "mild"], seed: int) -> Degrade:
    """A degradation of :mod:`srnet.degrade` that is drawn, the same draws for each seed.

    ``photo`` is what ``photo`` weights are trained for, ``mild`` all of a JPEG, blur and noise.
    """
    rng = np.random.default_rng(seed)
    shrink = degrade.photo if kind == "photo" else degrade.mild
    return lambda high, scale: shrink(high, scale, rng)
