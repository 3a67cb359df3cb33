"""Colours of other spaces in sRGB, by LittleCMS; a private part of ``srnet/image.py``."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ImageCms

Conversion = Callable[[PIL.Image.Image], npt.NDArray[Any]]

_MODES = {1: "L", 3: "RGB"}  # of Pillow, by the number of channels
_NEAR = 2  # levels: a profile that changes no more is one of sRGB
_DAMAGED = (ImageCms.PyCMSError, OSError, TypeError, ValueError)  # what a profile may raise
_SOME = np.array([0, 32, 64, 96, 128, 160, 192, 224, 255], np.uint8)


def to_srgb(mode: str, icc: bytes | None) -> Conversion:
    """For CMYK and Lab: through the embedded profile, else plainly (white stays white)."""
    found = None
    if mode == "LAB":
        found = _through(ImageCms.createProfile("LAB"), mode)
    elif icc and icc[16:20] == b"CMYK":
        found = _profiled(icc, mode)
    return found or (lambda strip: np.asarray(strip.convert("RGB")))


def from_profile(icc: bytes, channels: int) -> Conversion | None:
    """From grey or RGB in the space of a profile to RGB in sRGB, both in 8 bits.

    None where that changes nothing that can be seen, or the profile says nothing.
    """
    mode = _MODES[channels]
    convert = _profiled(icc, mode)
    grid = np.stack(np.meshgrid(*[_SOME] * channels), axis=-1).reshape(1, -1, channels)
    if convert is None:
        return None
    changed = convert(PIL.Image.fromarray(grid[..., 0] if mode == "L" else grid))
    return convert if np.abs(changed - grid.astype(np.int16)).max() > _NEAR else None


def in_profile(colour: tuple[int, int, int], icc: bytes, channels: int) -> tuple[int, ...] | None:
    """A colour of sRGB (0-255 each) as it is in the space of a profile of grey or RGB.

    None where the profile says only how to leave its space.
    """
    try:
        there = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        convert = _through(ImageCms.createProfile("sRGB"), "RGB", there, _MODES[channels])
        return tuple(convert(PIL.Image.new("RGB", (1, 1), colour)).ravel().tolist())
    except _DAMAGED:
        return None


def _profiled(icc: bytes, mode: str) -> Conversion | None:
    try:
        return _through(ImageCms.ImageCmsProfile(io.BytesIO(icc)), mode)
    except _DAMAGED:
        return None  # a damaged profile is as good as none


def _through(source: Any, mode: str, target: Any = None, target_mode: str = "RGB") -> Conversion:
    """To sRGB, where no other space is given."""
    transform = ImageCms.buildTransform(
        source,
        target or ImageCms.createProfile("sRGB"),
        mode,
        target_mode,
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return lambda strip: np.asarray(ImageCms.applyTransform(strip, transform))
