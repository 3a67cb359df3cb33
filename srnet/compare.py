"""Two pictures against each other: figures, and a picture to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from srnet.bicubic import resize
from srnet.errors import OptionError
from srnet.image import Image
from srnet.metrics import luma, psnr, ssim

Array = npt.NDArray[Any]

_GAP = 8  # pixels between panels
_ZOOM = 4  # of the detail crops
_APART = 4  # crops are this part of the longer side from each other: two eyes are one detail


@dataclass(frozen=True)
class Score:
    """How alike two pictures are on Y: PSNR in dB, SSIM from 0 to 1, largest difference."""

    psnr: float
    ssim: float
    largest: int  # of all channels, in 8-bit levels


def score(a: Image, b: Image) -> Score:
    """Compare two pictures of one size; what is transparent counts as white.

    Raises:
        OptionError: the sizes differ.
    """
    x, y = (luma(rgb8(p) if p.alpha is not None else p.rgb) for p in (a, b))
    dense = np.abs(rgb8(a).astype(np.int16) - rgb8(b)) if a.rgb.shape[:2] == b.rgb.shape[:2] else 0
    return Score(psnr(x, y), ssim(x, y), int(np.max(dense)))


def side_by_side(panels: list[Image], crops: int = 3, crop: int = 64) -> Image:
    """Panels of one size in a row, and under each the same detail crops, enlarged 4x.

    The crops are where the first two panels differ most, a quarter of the longer side from each
    other while there is room for that, and do not overlap.

    Raises:
        OptionError: the sizes differ, or there are fewer than two panels.
    """
    pictures = [rgb8(panel) for panel in panels]
    if len({picture.shape for picture in pictures}) != 1 or len(pictures) < 2:
        raise OptionError("a comparison needs at least two pictures of the same size")
    height, width = pictures[0].shape[:2]
    edge = min(crop, height, width)
    places = _places(pictures[0], pictures[1], crops, edge)
    columns = []
    for picture in pictures:
        details = [_enlarged(picture[y : y + edge, x : x + edge]) for y, x in places]
        columns.append(_stack([picture, _row(details)] if details else [picture]))
    return Image(_row(columns))


def rgb8(image: Image) -> npt.NDArray[np.uint8]:
    """Any picture as uint8 ``(H, W, 3)``, transparent parts over white."""
    rgb = image.rgb.astype(np.float32) / np.iinfo(image.rgb.dtype).max
    if image.alpha is not None:
        alpha = image.alpha.astype(np.float32)[..., None] / np.iinfo(image.alpha.dtype).max
        rgb = rgb * alpha + (1 - alpha)
    whole = np.broadcast_to(rgb, (*rgb.shape[:2], 3))
    return np.rint(whole * 255).astype(np.uint8)


def _places(a: Array, b: Array, count: int, edge: int) -> list[tuple[int, int]]:
    """Corners of the windows with the largest mean difference, apart while there is room."""
    difference = np.abs(a.astype(np.float32) - b).mean(axis=2)
    rows, columns = difference.shape[0] // edge, difference.shape[1] // edge
    cells = difference[: rows * edge, : columns * edge].reshape(rows, edge, columns, edge)
    order = np.argsort(cells.mean(axis=(1, 3)), axis=None)[::-1]
    places = [(int(i) // columns * edge, int(i) % columns * edge) for i in order]
    apart = max(difference.shape) // _APART
    chosen: list[tuple[int, int]] = []
    for place in places:
        far = all(max(abs(place[0] - y), abs(place[1] - x)) >= apart for y, x in chosen)
        if far and len(chosen) < count:
            chosen.append(place)
    near = [place for place in places if place not in chosen]
    return (chosen + near)[:count]


def _enlarged(picture: Array) -> Array:
    """Pixels as squares, so that nothing is smoothed away."""
    return picture.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)


def _stack(parts: list[Array]) -> Array:
    """Parts under each other, left-aligned on white."""
    width = max(part.shape[1] for part in parts)
    height = sum(part.shape[0] + _GAP for part in parts) - _GAP
    sheet = np.full((height, width, 3), 255, np.uint8)
    y = 0
    for part in parts:
        sheet[y : y + part.shape[0], : part.shape[1]] = part
        y += part.shape[0] + _GAP
    return sheet


def _row(columns: list[Array]) -> Array:
    gap = np.full((columns[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for column in columns for part in (column, gap)][:-1]
    return np.concatenate(parts, axis=1)


def same_size(image: Image, height: int, width: int) -> Image:
    """The picture, resized by bicubic, its transparent parts white, if it has another size.

    Raises:
        OptionError: it has another shape, by more than a pixel of a side.
    """
    if image.rgb.shape[:2] == (height, width):
        return image
    if abs(image.height * width - image.width * height) > max(height, width):
        raise OptionError(
            f"pictures of {image.width} x {image.height} and {width} x {height} pixels differ in "
            "shape: crop one of them to compare them"
        )
    return Image(resize(rgb8(image), height, width))
