"""Two pictures against each other: figures, and a picture to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log10
from typing import Any

import numpy as np
import numpy.typing as npt

from srnet.bicubic import resize
from srnet.convert import eight_bit, flattened, plain
from srnet.errors import OptionError
from srnet.image import Image
from srnet.metrics import luma, psnr, ssim

Array = npt.NDArray[Any]
Corner = tuple[int, int]  # y, x

_WHITE = (255, 255, 255)
_GAP = 8  # pixels between panels
_ZOOM = 4  # of the detail crops
_APART = 4  # crops are this part of the longer side from each other: two eyes are one detail
_STEPS = 4  # to the side of a crop: what is no larger than 3/4 of it lies whole within one
_PART = 2**22  # pixels that are scored at a time: SSIM takes 140 bytes for each
_FEWEST = 16  # rows of such a part
_REACH = 5  # rows that SSIM looks at above and below one


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
    _check_sizes([a, b])
    pair = [flattened(picture, _WHITE) for picture in (a, b)]
    rows, parts = a.height, max(1, min(a.height * a.width // _PART, a.height // _FEWEST))
    error, likeness, largest = 0.0, 0.0, 0
    for i in range(parts):
        top, bottom = rows * i // parts, rows * (i + 1) // parts
        first, last = max(0, top - _REACH), min(rows, bottom + _REACH)
        x, y = (luma(picture.rgb[first:last]) for picture in pair)
        own = slice(top - first, bottom - first)
        error += (bottom - top) * 10 ** (-psnr(x[own], y[own]) / 10)
        likeness += (last - first - 2 * _REACH) * ssim(x, y)
        change = _change(*(picture.rgb[top:bottom] for picture in pair))
        largest = max(largest, int(change.max()))
    mean = -10 * log10(error / rows) if error else inf
    return Score(mean, likeness / (rows - 2 * _REACH), largest)


def side_by_side(panels: list[Image], crops: int = 3, crop: int = 64) -> Image:
    """Panels of one size in a row, and under each the same detail crops, enlarged 4x.

    The crops are where the first two panels differ most, a quarter of the longer side from each
    other while there is room for that. They do not overlap, but where fewer would fit than are
    wanted: there it is by a quarter at most. The sheet has the profile of the panels; if theirs
    differ, its colours are those of sRGB. It has their codes of high dynamic range, too.

    Raises:
        OptionError: the sizes differ, or there are fewer than two panels; see also
            :func:`in_one_space`.
    """
    _check_sizes(panels)
    pictures = [eight_bit(flattened(panel, _WHITE)) for panel in in_one_space(panels)]
    height, width = pictures[0].height, pictures[0].width
    edge = min(crop, height, width)
    places = _places(pictures[0].rgb, pictures[1].rgb, crops, edge)
    side = edge * _ZOOM
    across = max(width, len(places) * (side + _GAP) - _GAP)
    down = height + (_GAP + side if places else 0)
    bands = max(picture.rgb.shape[2] for picture in pictures)  # grey stays grey, as its profile is
    sheet = np.full((down, len(pictures) * (across + _GAP) - _GAP, bands), 255, np.uint8)
    for i, picture in enumerate(pictures):
        column = sheet[:, i * (across + _GAP) :]
        column[:height, :width] = picture.rgb
        for j, (y, x) in enumerate(places):
            left = j * (side + _GAP)
            detail = _enlarged(picture.rgb[y : y + edge, x : x + edge])
            column[height + _GAP :, left : left + side] = detail
    return Image(sheet, icc=pictures[0].icc, cicp=pictures[0].cicp)


def in_one_space(pictures: Sequence[Image]) -> list[Image]:
    """The pictures as they are, or, if their profiles differ, all of them in sRGB.

    Raises:
        OptionError: their codes of high dynamic range differ, which nothing here can convert.
    """
    if len({picture.cicp for picture in pictures}) > 1:
        raise OptionError(
            "the pictures differ in their codes of high dynamic range (PQ or HLG), so that equal "
            "numbers are other colours: turn them into sRGB first, with a program that can"
        )
    if len({picture.icc for picture in pictures}) == 1:
        return list(pictures)
    return [plain(picture, deep=False) for picture in pictures]


def _check_sizes(pictures: Sequence[Image]) -> None:
    if len({picture.rgb.shape[:2] for picture in pictures}) != 1 or len(pictures) < 2:
        raise OptionError("a comparison needs at least two pictures of the same size")


def _change(a: Array, b: Array) -> npt.NDArray[np.int16]:
    """How far samples are from each other, in 8-bit levels."""
    x, y = (eight_bit(Image(samples)).rgb.astype(np.int16) for samples in (a, b))
    change: npt.NDArray[np.int16] = np.abs(x - y)
    return change


def _places(a: Array, b: Array, count: int, edge: int) -> list[Corner]:
    """Corners of the windows that differ most, apart while there is room.

    They are looked for in small steps. Where those found leave no room for all that are wanted,
    steps as large as a window use it better.
    """
    far = max(edge, max(a.shape[:2]) // _APART)
    found = _chosen(a, b, count, edge, max(1, edge // _STEPS), (far, edge))
    if len(found) == count:
        return found
    tight = _chosen(a, b, count, edge, edge, (far, edge, edge - edge // 4))
    return max(found, tight, key=len)


def _chosen(
    a: Array, b: Array, count: int, edge: int, step: int, distances: Sequence[int]
) -> list[Corner]:
    """The most different windows first; those of the next distance when no more have the last."""
    ys, xs = (_starts(length, edge, step) for length in a.shape[:2])
    rows = np.stack([_change(a[y : y + edge], b[y : y + edge]).sum(axis=(0, 2)) for y in ys])
    totals = np.stack([rows[:, x : x + edge].sum(axis=1) for x in xs], axis=1)
    chosen: list[Corner] = []
    for apart in distances:
        free = totals.copy()
        for corner in chosen:
            free[_near(corner, ys, xs, apart)] = -1
        while len(chosen) < count and free.max() >= 0:
            i, j = np.unravel_index(free.argmax(), free.shape)
            chosen.append((int(ys[i]), int(xs[j])))
            free[_near(chosen[-1], ys, xs, apart)] = -1
    return chosen


def _near(corner: Corner, ys: Array, xs: Array, apart: int) -> tuple[Array, ...]:
    """Which windows begin less than so many pixels from one, down and across."""
    return np.ix_(np.abs(ys - corner[0]) < apart, np.abs(xs - corner[1]) < apart)


def _starts(length: int, edge: int, step: int) -> npt.NDArray[np.int64]:
    """Where windows begin along a side; the last one ends at the border, whatever the step."""
    last = length - edge
    return np.array([*range(0, last, step), last])


def _enlarged(picture: Array) -> Array:
    """Pixels as squares, so that nothing is smoothed away."""
    return picture.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)


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
    visible = eight_bit(flattened(image, _WHITE))
    return Image(resize(visible.rgb, height, width), icc=image.icc, cicp=image.cicp)
