"""What a frame has to become before a format can hold it; a private part of ``srnet/image.py``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from srnet.colour import from_profile, in_profile
from srnet.pixels import Image, strips
from srnet.pngcolour import for_three_channels


def plain(image: Image, deep: bool) -> Image:
    """In sRGB, without a profile. Where 16 bits are to stay (``deep``), it stays with them:

    LittleCMS as Pillow has it knows no 16-bit colour. Nor does it know high dynamic range, which
    stays what it is by its ``cicp``.
    """
    channels = image.rgb.shape[2]
    known = image.icc if image.cicp is None else None
    convert = None if known is None else from_profile(known, channels)
    if convert is None:
        return replace(image, icc=None)
    if image.rgb.dtype != np.uint8 and deep:
        return image
    image = eight_bit(image)
    rgb = np.empty_like(image.rgb)
    for top, bottom in strips(image.height, image.width):
        strip = image.rgb[top:bottom]
        pil = PIL.Image.fromarray(strip[..., 0] if channels == 1 else strip)
        rgb[top:bottom] = convert(pil)[..., :channels]
    return replace(image, rgb=rgb, icc=None)


def coloured(image: Image) -> Image:
    """Grey as three equal channels, with a profile in which they look the same.

    Where there can be none, 8 bits are turned into sRGB.
    """
    if image.rgb.shape[2] == 3:
        return image
    if image.icc is not None:
        icc = for_three_channels(image.icc)
        image = plain(image, deep=False) if icc is None else replace(image, icc=icc)
    rgb = np.broadcast_to(image.rgb, (image.height, image.width, 3))
    return replace(image, rgb=rgb)


def flattened(image: Image, background: tuple[int, int, int]) -> Image:
    """Lay the picture over a colour of sRGB, mixed in the encoded space as browsers do."""
    if image.alpha is None:
        return image
    if len(set(background)) > 1:
        image = coloured(image)
    image, colour = _in_one_space(image, background)
    alphas = image.alpha  # not before: with the colour it may have become one of 8 bits
    assert alphas is not None
    full = int(np.iinfo(image.rgb.dtype).max)
    bands = image.rgb.shape[2]
    below = np.array(colour[:bands], np.uint32) * (full // 255)
    rgb = np.empty((image.height, image.width, bands), image.rgb.dtype)
    for top, bottom in strips(image.height, image.width):
        alpha = alphas[top:bottom, :, None].astype(np.uint32)
        # at most 65535 * 65535 + 32767, which uint32 just holds
        mixed = image.rgb[top:bottom] * alpha + below * (full - alpha)
        rgb[top:bottom] = (mixed + full // 2) // full
    return replace(image, rgb=rgb, alpha=None)


def _in_one_space(image: Image, colour: tuple[int, int, int]) -> tuple[Image, tuple[int, ...]]:
    """Take a colour of sRGB into the space of the picture, or else the picture out of it."""
    channels = image.rgb.shape[2]
    if image.icc is None or from_profile(image.icc, channels) is None:
        return image, colour
    there = in_profile(colour, image.icc, channels)
    return (plain(image, deep=False), colour) if there is None else (image, there)


def eight_bit(image: Image) -> Image:
    """Round 16 bits to 8: v * 255 / 65535, to the nearest."""
    if image.rgb.dtype == np.uint8:
        return image
    alpha = None if image.alpha is None else _rounded(image.alpha)
    return replace(image, rgb=_rounded(image.rgb), alpha=alpha)


def _rounded(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    result = np.empty(array.shape, np.uint8)
    for top, bottom in strips(*array.shape[:2]):
        result[top:bottom] = (array[top:bottom].astype(np.uint32) + 128) // 257
    return result
