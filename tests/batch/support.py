"""Folders of pictures, and those who watch a run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from srnet.image import encode, from_array
from srnet.naming import Job
from srnet.report import Row


def picture(path: Path, height: int = 8, width: int = 10, kind: str = "png", seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:height, :width]
    values = 128 + 100 * np.sin(np.stack([x / 3, y / 4, (x + y + seed) / 5], axis=-1))
    path.write_bytes(encode([from_array(values.astype(np.uint8))], kind))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def jobs_for(folder: Path, out: Path, count: int, **size: int) -> list[Job]:
    return [
        Job(picture(folder / f"{i:03}.png", **size, seed=i), out / f"{i:03}.png", "png")
        for i in range(count)
    ]


class Slow:
    """An engine that takes ``seconds`` for a batch, and calls ``before`` with its number."""

    def __init__(self, fake, seconds: float = 0.0, before=lambda number: None) -> None:
        self.card = fake().card
        self.seconds, self.before = seconds, before
        self.batches, self.busy = 0, 0.0

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            start = time.perf_counter()
            self.batches += 1
            self.before(self.batches)
            time.sleep(self.seconds)
            result = batch.repeat(2, axis=1).repeat(2, axis=2)
            self.busy += time.perf_counter() - start
            yield result


class Log:
    def __init__(self) -> None:
        self.count, self.parts, self.rows = 0, 0.0, []
        self.megapixels = 0.0

    def started(self, count: int) -> None:
        self.count = count

    def advanced(self, part: float, megapixels: float) -> None:
        self.parts += part
        self.megapixels += megapixels

    def finished(self, row: Row) -> None:
        self.rows.append(row)
