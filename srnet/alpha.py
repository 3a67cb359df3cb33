"""Colour under transparent pixels.

What lies under alpha 0 is invisible and arbitrary (often black). An enlargement would mix it
into the visible edge as a dark fringe, so it is first replaced by the colour of the nearest
visible surroundings. What lies under the faintest alphas is hardly better known: programs keep
colours times alpha in 8 bits, where alpha 1 leaves black and one other. It is replaced in part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_FAINT = 8  # of 255: below it, colours are not quite believed
_STRIP_PIXELS = 2**18  # looked at at a time: whole pictures of floats would be many times the input


def fill_hidden(rgb: Array, alpha: Array) -> Array:
    """``rgb`` (H, W, C) with new colour where ``alpha`` (H, W) is 0, or faint: below 8 of 255.

    Of a faint pixel so much of its own colour stays as it is of 8, which over any background is
    at most two levels from what was seen; the rest is untouched.

    Pull-push (Gortler et al., "The lumigraph", 1996): averages of the visible pixels on ever
    coarser grids, and each hidden pixel takes the finest that saw anything. Beside the result it
    needs about five bytes for each pixel of RGB.
    """
    known = alpha >= np.iinfo(alpha.dtype).max // 255 * _FAINT
    if not known.any():
        known = alpha > 0
    if known.all() or not known.any():
        return rgb
    coarse = _pull(rgb, known)
    coarse += np.float32(0.5)  # for the rounding
    return _faded(_filled(rgb.copy(), known, coarse), rgb, alpha)


def _faded(filled: Array, rgb: Array, alpha: Array) -> Array:
    """``filled``, changed in place where alpha is faint: towards the colour that was there."""
    most = np.iinfo(alpha.dtype).max // 255 * _FAINT
    for top, bottom in _pairs_of_rows(*alpha.shape):
        faint = (alpha[top:bottom] > 0) & (alpha[top:bottom] < most)
        if faint.any():
            share = (alpha[top:bottom][faint] / np.float32(most))[:, None]
            new, own = filled[top:bottom][faint], rgb[top:bottom][faint]
            filled[top:bottom][faint] = new + (own - new.astype(np.float32)) * share + 0.5
    return filled


def _pull(colour: Array, seen: Array) -> Array:
    """Half-size averages, each hole filled from the coarser grids; (ceil(H/2), ceil(W/2), C)."""
    mean, found = _halved(colour, seen)
    return mean if found.all() else _filled(mean, found, _pull(mean, found))


def _halved(colour: Array, seen: Array) -> tuple[Array, Array]:
    """Averages over 2 x 2 of what is ``seen``, float32, and where there was any."""
    height, width, channels = colour.shape
    half = ((height + 1) // 2, (width + 1) // 2)
    mean, found = np.empty((*half, channels), np.float32), np.empty(half, bool)
    for top, bottom in _pairs_of_rows(height, width):
        weight = seen[top:bottom, :, None].astype(np.float32)
        total, count = _sum_2x2(colour[top:bottom] * weight), _sum_2x2(weight)
        mean[top // 2 : (bottom + 1) // 2] = total / np.maximum(count, 1)
        found[top // 2 : (bottom + 1) // 2] = count[..., 0] > 0
    return mean, found


def _filled(colour: Array, seen: Array, coarse: Array) -> Array:
    """``colour``, changed in place where it is not ``seen`` to that of the grid twice as coarse."""
    for top, bottom in _pairs_of_rows(*seen.shape):
        holes = ~seen[top:bottom]
        if holes.any():
            near = coarse[top // 2 : (bottom + 1) // 2].repeat(2, 0).repeat(2, 1)
            colour[top:bottom][holes] = near[: bottom - top, : seen.shape[1]][holes]
    return colour


def _pairs_of_rows(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut rows into (top, bottom) pieces that begin at even ones."""
    step = 2 * max(1, _STRIP_PIXELS // 2 // width)
    for top in range(0, height, step):
        yield top, min(top + step, height)


def _sum_2x2(values: Array) -> Array:
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return np.asarray(even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2])
