"""Which crops to run, and which part of each result to keep.

Because the network is local, a crop that has ``halo`` pixels of margin around its core (or
ends where the picture ends) gives exactly the pixels of the whole picture there. So nothing
is blended, and tiles may run in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from srnet.errors import OptionError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tile:
    """A crop of the input and the core of it that is kept, in input pixels.

    The crop is ``height x width`` at ``(y, x)``, in the surround if negative; the core is rows
    ``top`` to ``bottom - 1`` and columns ``left`` to ``right - 1`` of the picture.
    """

    y: int
    x: int
    height: int
    width: int
    top: int
    bottom: int
    left: int
    right: int


def plan(height: int, width: int, tile: int, halo: int, surround: int = 0) -> list[Tile]:
    """Cover ``height x width`` by crops of at most ``tile`` pixels each way, in reading order.

    All crops of a plan have the same size, the smallest that the number of tiles allows;
    the cores partition the picture. ``surround`` is in pixels, at most ``halo``.

    Raises:
        OptionError: ``tile`` leaves next to no core between two halos.
    """
    if tile < least(halo) and tile < max(height, width) + 2 * surround:
        raise OptionError(
            f"a tile of {tile} pixels is too small: this model needs at least {least(halo)}"
        )
    return [
        Tile(y, x, crop_height, crop_width, top, bottom, left, right)
        for y, crop_height, top, bottom in _cut(height, tile, halo, surround)
        for x, crop_width, left, right in _cut(width, tile, halo, surround)
    ]


def least(halo: int) -> int:
    """The smallest tile that is worth running: a fifth of its side is core, if just."""
    return 2 * halo + max(1, halo // 2)


def _cut(length: int, tile: int, halo: int, surround: int) -> list[tuple[int, int, int, int]]:
    """Cut one axis: (start and length of the crop, start and end of the core) of each piece."""
    whole = length + 2 * surround
    if whole <= tile:
        return [(-surround, whole, 0, length)]
    count = -(-(whole - 2 * halo) // (tile - 2 * halo))
    crop = -(-(whole - 2 * halo) // count) + 2 * halo
    starts = [min(i * (crop - 2 * halo), whole - crop) - surround for i in range(count)]
    # the margin of a crop that starts or ends inside the picture is not part of its core
    edges = [0, *(start + crop - halo for start in starts[:-1]), length]
    return [(start, crop, a, b) for start, (a, b) in zip(starts, pairwise(edges), strict=True)]


def crop(picture: Array, tile: Tile) -> Array:
    """The crop of ``(H, W, ...)``: a view, or a copy where it has part of the surround."""
    height, width = picture.shape[:2]
    bottom, right = tile.y + tile.height, tile.x + tile.width
    if min(tile.y, tile.x) >= 0 and bottom <= height and right <= width:
        return picture[tile.y : bottom, tile.x : right]
    rows = _mirrored(np.arange(tile.y, bottom), height)
    columns = _mirrored(np.arange(tile.x, right), width)
    return picture[rows[:, None], columns]


def _mirrored(places: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Places on an axis, those outside mirrored at its ends (which are there twice)."""
    places = places % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def core(output: Array, tile: Tile, scale: int) -> Array:
    """The core of a result ``(s * height, s * width, ...)`` for a tile, as a view."""
    top, left = (tile.top - tile.y) * scale, (tile.left - tile.x) * scale
    bottom, right = (tile.bottom - tile.y) * scale, (tile.right - tile.x) * scale
    return output[top:bottom, left:right]


def paste(canvas: Array, tile: Tile, kept: Array, scale: int) -> None:
    """Write what :func:`core` gave to its place on the canvas ``(s * H, s * W, ...)``."""
    rows = slice(tile.top * scale, tile.bottom * scale)
    columns = slice(tile.left * scale, tile.right * scale)
    canvas[rows, columns] = kept
