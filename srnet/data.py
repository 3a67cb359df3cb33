"""Training patches from a folder of photographs.

Pictures stay in memory as uint8; the low-resolution side is made once per picture where the
degradation is fixed. Batch ``i`` depends on the seed, the rank and ``i`` alone, so a resumed
run sees the same patches as one that was never interrupted.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import queue
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srnet import degrade, graphics
from srnet.card import Data
from srnet.errors import DataError, PictureError
from srnet.image import SUFFIXES, decode

Pixels = npt.NDArray[np.uint8]

_STEP = 8  # low-resolution pixels between two candidates for the corner of a patch
_MARGIN = 4  # low-resolution pixels drawn around a patch, which the shrink looks at


def load_folder(folder: Path) -> list[Pixels]:
    """Decode every picture under ``folder``, sorted by path, to ``(H, W, 3)`` uint8.

    Raises:
        DataError: no pictures there, or one that cannot be read.
    """
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(read_rgb8, find_pictures(folder)))


def find_pictures(folder: Path) -> list[Path]:
    """The picture files anywhere under ``folder``, sorted by path.

    Raises:
        DataError: there are none, or no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: check the path")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"no pictures under {folder}: give a folder of photographs")
    return files


def read_rgb8(file: Path) -> Pixels:
    """A picture file as uint8 ``(H, W, 3)``; grey becomes three equal channels.

    Raises:
        DataError: it cannot be read.
    """
    try:
        rgb = decode(file.read_bytes(), str(file))[0].rgb
    except (PictureError, OSError) as error:
        raise DataError(f"{error}; move it out of the folder") from error
    if rgb.dtype != np.uint8:
        rgb = ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(rgb, (*rgb.shape[:2], 3)))


def describe(folder: Path, pictures: list[Pixels], manifest: Path | None) -> Data:
    """What the card says of a training set; licences come from the rows of the manifest.

    The manifest is a CSV file with the columns ``file`` and ``licence``.

    Raises:
        DataError: a picture that the manifest does not list.
    """
    megapixels = sum(p.shape[0] * p.shape[1] for p in pictures) / 1e6
    if manifest is None:
        return Data(len(pictures), round(megapixels, 1))
    text = manifest.read_bytes()
    rows = csv.DictReader(text.decode("utf-8").splitlines())
    licence = {Path(row["file"]).name: row["licence"] for row in rows}
    names = [p.name for p in find_pictures(folder)]
    unlisted = [name for name in names if name not in licence]
    if unlisted:
        raise DataError(f"{manifest} does not list {unlisted[0]} ({len(unlisted)} in all)")
    return Data(
        pictures=len(pictures),
        megapixels=round(megapixels, 1),
        manifest=manifest.name,
        manifest_sha256=hashlib.sha256(text).hexdigest(),
        licences=tuple(sorted({licence[name] for name in names})),
    )


@dataclass(frozen=True)
class Batch:
    """Patches: ``low`` (N, p, p, 3) and ``high`` (N, s * p, s * p, 3), uint8 RGB."""

    low: Pixels
    high: Pixels


class Patches:
    """An endless, reproducible source of batches.

    Crops are drawn with a probability proportional to their mean gradient (plus one level),
    because with uniform crops much of each batch would be sky. A share of the patches may be
    text and flat shapes (:mod:`srnet.graphics`) instead.
    """

    def __init__(
        self,
        pictures: list[Pixels],
        scale: int,
        patch: int,
        batch: int,
        degradation: str,
        seed: int,
        graphics: float = 0.0,
    ) -> None:
        self.scale, self.patch, self.batch, self.seed = scale, patch, batch, seed
        self.graphics = graphics  # share of the patches, 0 to 1
        self.photo = degradation == "photo"
        self._span = patch + (degrade.JPEG_GRID if self.photo else 0)  # cut before degrading
        self._high = [p for p in pictures if min(p.shape[:2]) >= self._span * scale]
        if not self._high:
            raise DataError(
                f"no picture has {self._span * scale} pixels each way, which a patch of "
                f"{patch} at x{scale} needs: use larger photographs or a smaller --patch"
            )
        self._high = [
            p[: p.shape[0] // scale * scale, : p.shape[1] // scale * scale] for p in self._high
        ]
        self._low = [] if self.photo else [degrade.clean(p, scale) for p in self._high]
        self._index_crops()

    def _index_crops(self) -> None:
        corners, weights = [], []
        for number, picture in enumerate(self._high):
            detail = _detail(picture, self.scale * _STEP, self._span // _STEP)
            rows, columns = np.indices(detail.shape)
            corner = np.stack([np.full(detail.size, number), rows.ravel(), columns.ravel()], 1)
            corners.append(corner.astype(np.int32))
            weights.append(detail.ravel())
        self._corners = np.concatenate(corners)
        self._cumulative = np.cumsum(np.concatenate(weights, dtype=np.float64))

    def draw(self, index: int, rank: int = 0) -> Batch:
        """Batch number ``index`` of ``rank``: always the same patches for the same numbers."""
        rng = np.random.default_rng([self.seed, rank, index])
        pairs = [self._draw_one(rng) for _ in range(self.batch)]
        return Batch(np.stack([low for low, _ in pairs]), np.stack([high for _, high in pairs]))

    def _draw_one(self, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        if self.graphics and rng.random() < self.graphics:
            low, high = self._drawn(rng)
        else:
            low, high = self._cut(rng)
        if self.photo:  # somewhere in the grid of JPEG's blocks
            dy, dx = (int(v) for v in rng.integers(0, self._span - self.patch + 1, 2))
            low, high = _part(low, high, self.scale, dy, dx, self.patch)
        turn, flip = int(rng.integers(4)), bool(rng.integers(2))
        return _turned(low, turn, flip), _turned(high, turn, flip)

    def _cut(self, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        """A span of a photograph, low and high."""
        s, span = self.scale, self._span
        place = np.searchsorted(self._cumulative, rng.random() * self._cumulative[-1], side="right")
        number, row, column = self._corners[place]
        high = self._high[number]
        jitter = rng.integers(0, _STEP, 2)
        y = min(int(row) * _STEP + int(jitter[0]), high.shape[0] // s - span)
        x = min(int(column) * _STEP + int(jitter[1]), high.shape[1] // s - span)
        target = high[y * s : (y + span) * s, x * s : (x + span) * s]
        if self.photo:
            return degrade.photo(target, s, rng), target
        return self._low[number][y : y + span, x : x + span], target

    def _drawn(self, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        """A span of text and shapes, low and high."""
        side = (self._span + 2 * _MARGIN) * self.scale
        high = graphics.draw(rng, side, side)
        low = (
            degrade.photo(high, self.scale, rng) if self.photo else degrade.clean(high, self.scale)
        )
        return _part(low, high, self.scale, _MARGIN, _MARGIN, self._span)

    def batches(self, start: int, stop: int, rank: int = 0) -> Generator[Batch, None, None]:
        """Batches ``start`` to ``stop - 1`` in order, prepared ahead by one thread.

        Closing the generator ends the thread within one batch.
        """
        ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=4)
        stopped = threading.Event()

        def work() -> None:
            try:
                for index in range(start, stop):
                    if stopped.is_set():
                        break
                    _put(ready, self.draw(index, rank), stopped)
            except BaseException as error:  # handed to the consumer, which raises it
                _put(ready, error, stopped)

        thread = threading.Thread(target=work, daemon=True, name="patches")
        thread.start()
        try:
            for _ in range(start, stop):
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stopped.set()
            thread.join()


def _put(
    ready: queue.Queue[Batch | BaseException], item: Batch | BaseException, stopped: threading.Event
) -> None:
    while not stopped.is_set():
        with contextlib.suppress(queue.Full):
            return ready.put(item, timeout=0.1)
    return None


def _detail(picture: Pixels, cell: int, cells: int) -> npt.NDArray[np.float32]:
    """Mean gradient, in 8-bit levels plus one, of each window of ``cells`` x ``cells`` cells."""
    grey = picture.mean(axis=2, dtype=np.float32)
    gradient = sum(np.abs(np.diff(grey, axis=a, append=grey.take([-1], a))) for a in (0, 1))
    rows, columns = grey.shape[0] // cell, grey.shape[1] // cell
    whole = np.asarray(gradient)[: rows * cell, : columns * cell]
    coarse = whole.reshape(rows, cell, columns, cell).mean(axis=(1, 3))
    windows = np.lib.stride_tricks.sliding_window_view(coarse, (cells, cells))
    return np.asarray(windows.mean(axis=(2, 3)) + 1.0, np.float32)


def _part(
    low: Pixels, high: Pixels, scale: int, y: int, x: int, side: int
) -> tuple[Pixels, Pixels]:
    """The same square of both; place and side in low-resolution pixels."""
    there = tuple(slice(i * scale, (i + side) * scale) for i in (y, x))
    return low[y : y + side, x : x + side], high[there]


def _turned(pixels: Pixels, turn: int, flip: bool) -> Pixels:
    turned = np.rot90(pixels, turn)
    return turned[:, ::-1] if flip else turned
