"""Training patches, cut and damaged on the device that trains.

All pictures lie in its memory as uint8. A patch begins at any pixel of the high resolution and
is shrunk after it was cut: with patches from a picture that was shrunk as a whole, a network at
x4 would never see 15 of the 16 ways in which its samples can lie. Batch ``i`` depends on the
seed, the rank and ``i`` alone, so a resumed run sees the same patches as one that was never
interrupted (the noise is that of the device's own generator).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from srnet import degrade, graphics, simulate
from srnet.captured import Captured
from srnet.errors import DataError, OptionError

Pixels = npt.NDArray[np.uint8]

_MARGIN = 2  # low-resolution pixels: as far as the kernels of shrinks look across a border
_STEP = 8  # low-resolution pixels between two candidates for the corner of a patch
_DRAWN = 96  # pictures of text and shapes that patches are cut from
_DRAWN_SIDE = 3  # spans of a patch
_FLAT = 256  # pictures of one colour
_VIVID = 1 / 8  # share of them in colours of which photographs have few


@dataclass(frozen=True)
class Batch:
    """Patches: ``low`` (N, p, p, 3) and ``high`` (N, s * p, s * p, 3), uint8 RGB tensors."""

    low: Tensor
    high: Tensor


def planes(pixels: Tensor) -> Tensor:
    """``(N, h, w, 3)`` uint8 to ``(N, 3, h, w)`` in 0 to 1, channels last."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


class Patches:
    """An endless, reproducible source of batches.

    Crops are drawn with a probability proportional to their mean gradient (plus one level),
    because with uniform crops much of each batch would be sky. The share ``graphics`` of the
    patches is text and flat shapes (:mod:`srnet.graphics`) instead, and the share ``flat`` is of
    one colour each. Of the patches for ``photo``, the share ``undamaged`` is only shrunk.
    """

    def __init__(
        self,
        pictures: Sequence[Pixels],
        scale: int,
        patch: int,
        batch: int,
        degradation: str,
        seed: int,
        graphics: float = 0.0,
        device: torch.device | str = "cpu",
        undamaged: float = 0.33,
        flat: float = 0.0,
    ) -> None:
        self.scale, self.patch, self.batch, self.seed = scale, patch, batch, seed
        self.device = torch.device(device)
        self.photo, self.undamaged = degradation == "photo", undamaged
        captured = self.device.type == "cuda"
        self._damage = Captured(simulate.damage) if captured else simulate.damage
        self._span = _span(patch, degradation)
        high = _fitting(pictures, scale, patch, degradation)
        shares = [("photographs", 1 - graphics - flat)] * len(high)
        if graphics:
            high += _drawn(_DRAWN_SIDE * self._span * scale)
            shares += [("drawn", graphics)] * (len(high) - len(shares))
        if flat:
            high += _flat(self._span * scale)
            shares += [("flat", flat)] * (len(high) - len(shares))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            detail = list(pool.map(lambda p: _detail(p, scale * _STEP, self._span // _STEP), high))
        self._store = _Store(high, self.device)
        self._index(detail, shares)

    def _index(
        self, detail: list[npt.NDArray[np.float32]], shares: list[tuple[str, float]]
    ) -> None:
        """The corners of all patches, and how likely each is.

        For each picture ``shares`` has its kind, and the share of all patches of that kind.
        """
        corners, weights = [], []
        totals = dict.fromkeys(shares, 0.0)
        for cells, share in zip(detail, shares, strict=True):
            totals[share] += float(cells.sum(dtype=np.float64))
        for number, (cells, share) in enumerate(zip(detail, shares, strict=True)):
            rows, columns = np.indices(cells.shape)
            corner = np.stack([np.full(cells.size, number), rows.ravel(), columns.ravel()], 1)
            corners.append(corner.astype(np.int32))
            weights.append(cells.ravel().astype(np.float64) * (share[1] / totals[share]))
        self._corners = np.concatenate(corners)
        self._cumulative = np.cumsum(np.concatenate(weights))

    def draw(self, index: int, rank: int = 0) -> Batch:
        """Batch number ``index`` of ``rank``: always the same patches for the same numbers."""
        rng = np.random.default_rng([self.seed, rank, index])
        turns = rng.integers(0, 2, (self.batch, 3))
        number, y, x = self._places(rng)
        s, straight = self.scale, np.zeros_like(turns)
        high = self._store.cut(number, y, x, self._span * s, straight)
        if self.photo:
            high = self._vivid(high, rng)
        low = self._damaged(high, rng) if self.photo else simulate.clean(high, s)
        # where in it the patch lies: in a photo anywhere in the grid of JPEG's blocks
        room = self._span - self.patch - _MARGIN
        dy, dx = rng.integers(_MARGIN, room + 1, (2, self.batch))
        each, high_side = np.arange(self.batch), self.patch * s
        return Batch(
            _Store(low, self.device).cut(each, dy, dx, self.patch, turns),
            _Store(high, self.device).cut(each, dy * s, dx * s, high_side, turns),
        )

    def _places(self, rng: np.random.Generator) -> tuple[_Ints, _Ints, _Ints]:
        """Numbers of pictures, and where in them the cuts begin, in high resolution."""
        chance = rng.random(self.batch) * self._cumulative[-1]
        place = np.searchsorted(self._cumulative, chance, side="right")
        number, row, column = self._corners[np.minimum(place, len(self._corners) - 1)].T
        step, side = _STEP * self.scale, self._span * self.scale
        jitter = rng.integers(0, step, (2, self.batch))
        y = np.minimum(row * step + jitter[0], self._store.heights[number] - side)
        x = np.minimum(column * step + jitter[1], self._store.widths[number] - side)
        return number, y, x

    def _vivid(self, high: Tensor, rng: np.random.Generator) -> Tensor:
        """Some of the patches with channels exchanged and up to four times as colourful.

        Networks that saw photographs alone turn strong colours into others.
        """
        gains = np.where(rng.random(self.batch) < _VIVID, rng.uniform(1, 4, self.batch), 1)
        orders = np.tile([0, 1, 2], (self.batch, 1))
        orders[gains > 1] = rng.permuted(orders[gains > 1], axis=1)
        numbers = torch.from_numpy(np.column_stack([gains, orders])).float()
        gain, *order = numbers.to(self.device, non_blocking=True).T
        return simulate.vivid(high, gain, torch.stack(order, 1).long())

    def _damaged(self, high: Tensor, rng: np.random.Generator) -> Tensor:
        """What is left of the cuts after a photograph's way through the world."""
        damages = [degrade.draw_damage(self.scale, rng, self.undamaged) for _ in range(self.batch)]
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        shape = (self.batch, 3, self._span, self._span)
        noise = torch.randn(shape, generator=generator, device=self.device)
        numbers = simulate.table(damages).to(self.device, non_blocking=True)
        return self._damage(high, numbers, noise)

    def batches(self, start: int, stop: int, rank: int = 0) -> Generator[Batch, None, None]:
        """Batches ``start`` to ``stop - 1`` in order."""
        for index in range(start, stop):
            yield self.draw(index, rank)


def fits(picture: Pixels, scale: int, patch: int, degradation: str) -> bool:
    """Whether patches can be cut from a picture ``(H, W, 3)``: others train nothing.

    Raises:
        OptionError: no picture gives a patch so small.
    """
    return bool(min(picture.shape[:2]) >= _span(patch, degradation) * scale)


def _span(patch: int, degradation: str) -> int:
    """Low-resolution pixels each way that are cut for a patch, then damaged."""
    span = patch + 2 * _MARGIN
    if degradation == "photo":
        span = (span // degrade.JPEG_GRID + 1) * degrade.JPEG_GRID
    if span < _STEP:
        least = _STEP - 2 * _MARGIN
        raise OptionError(f"patch must be at least {least} for {degradation}, not {patch}")
    return span


_Ints = npt.NDArray[np.int64]


class _Store:
    """Pictures of any sizes, end to end in the memory of a device."""

    def __init__(self, pictures: Sequence[Pixels] | Tensor, device: torch.device) -> None:
        shapes = np.array([p.shape[:2] for p in pictures], np.int64)
        self.heights, self.widths = shapes.T
        self.starts = np.cumsum(shapes.prod(axis=1)) - shapes.prod(axis=1)
        if isinstance(pictures, Tensor):
            self.pixels = pictures.reshape(-1, 3)
        else:
            flat = np.concatenate([p.reshape(-1, 3) for p in pictures])
            self.pixels = torch.from_numpy(flat).to(device)

    def cut(self, number: _Ints, y: _Ints, x: _Ints, side: int, turns: _Ints) -> Tensor:
        """Squares ``(N, side, side, 3)``; turns ``(N, 3)``: transposed, rows, columns reversed."""
        width = self.widths[number]
        numbers = [self.starts[number] + y * width + x, width, *turns.T]
        table = torch.from_numpy(np.stack(numbers)).to(self.pixels.device, non_blocking=True)
        start, width_, swapped, up, left = table[:, :, None]  # each (N, 1)
        along = torch.arange(side, device=self.pixels.device)
        rows = torch.where(up > 0, side - 1 - along, along)
        columns = torch.where(left > 0, side - 1 - along, along)
        rows = rows * torch.where(swapped > 0, 1, width_) + start
        columns = columns * torch.where(swapped > 0, width_, 1)
        return self.pixels[rows[:, :, None] + columns[:, None, :]]


def _fitting(pictures: Sequence[Pixels], scale: int, patch: int, degradation: str) -> list[Pixels]:
    """The pictures that hold a patch, cut to a multiple of the scale."""
    large = [p for p in pictures if fits(p, scale, patch, degradation)]
    if not large:
        span = _span(patch, degradation)
        raise DataError(
            f"no picture has {span * scale} pixels each way, which a patch and its margin, "
            f"{span} at x{scale}, need: use larger photographs or a smaller --patch"
        )
    return [p[: p.shape[0] // scale * scale, : p.shape[1] // scale * scale] for p in large]


def _drawn(side: int) -> list[Pixels]:
    """Pictures of text and shapes, always the same."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seeds = range(_DRAWN)
        return list(pool.map(lambda i: graphics.draw(np.random.default_rng(i), side, side), seeds))


def _flat(side: int) -> list[Pixels]:
    """Pictures of one colour, always the same: half of them with channels at an end or the middle.

    A network of photographs alone gets strong plain colours wrong by some levels, most of all
    at the corners of the picture.
    """
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (_FLAT, 3), np.uint8)
    colours[::2] = rng.choice(np.array([0, 128, 255], np.uint8), (_FLAT // 2, 3))
    return [np.broadcast_to(colour, (side, side, 3)) for colour in colours]


def _detail(picture: Pixels, cell: int, cells: int) -> npt.NDArray[np.float32]:
    """Mean gradient, in 8-bit levels plus one, of each window of ``cells`` x ``cells`` cells."""
    grey = picture.mean(axis=2, dtype=np.float32)
    gradient = sum(np.abs(np.diff(grey, axis=a, append=grey.take([-1], a))) for a in (0, 1))
    rows, columns = grey.shape[0] // cell, grey.shape[1] // cell
    whole = np.asarray(gradient)[: rows * cell, : columns * cell]
    coarse = whole.reshape(rows, cell, columns, cell).mean(axis=(1, 3))
    windows = np.lib.stride_tricks.sliding_window_view(coarse, (cells, cells))
    return np.asarray(windows.mean(axis=(2, 3)) + 1.0, np.float32)
