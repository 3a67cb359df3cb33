"""Colour under transparent pixels.

What lies under alpha 0 is invisible and arbitrary (often black). An enlargement would mix it
into the visible edge as a dark fringe, so it is first replaced by the colour of the nearest
visible surroundings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def fill_hidden(rgb: Array, alpha: Array) -> Array:
    """``rgb`` (H, W, C) with new colour where ``alpha`` (H, W) is 0; the rest is untouched.

    Pull-push (Gortler et al., "The lumigraph", 1996): averages of the visible pixels on ever
    coarser grids, and each hidden pixel takes the finest that saw anything.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return rgb
    coarse = _pull(rgb.astype(np.float32), (~hidden).astype(np.float32))
    filled = rgb.copy()
    rows, columns = np.nonzero(hidden)
    found = coarse[rows // 2, columns // 2]
    filled[rows, columns] = (found + 0.5).astype(rgb.dtype)
    return filled


def _pull(colour: Array, weight: Array) -> Array:
    """Half-size averages, each hole filled from the coarser grids; (ceil(H/2), ceil(W/2), C)."""
    total = _sum_2x2(colour * weight[..., None])
    count = _sum_2x2(weight[..., None])
    mean = total / np.maximum(count, 1)
    seen = count[..., 0] > 0
    if not seen.all():
        coarser = _pull(mean, seen.astype(np.float32))
        rows, columns = np.nonzero(~seen)
        mean[rows, columns] = coarser[rows // 2, columns // 2]
    return np.asarray(mean, np.float32)


def _sum_2x2(values: Array) -> Array:
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return np.asarray(even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2])
