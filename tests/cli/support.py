"""Pictures and reports for the tests of the command line."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from srnet.encode import encode
from srnet.image import Image, decode, from_array

ROOT = Path(__file__).parents[2]


def pixels(height: int = 8, width: int = 10, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(x / (3 + i) + y / 4) for i in range(channels)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def picture(path: Path, kind: str = "png", **size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode([from_array(pixels(**size))], kind))
    return path


def read(path: Path) -> Image:
    return decode(path.read_bytes(), str(path))[0]


def size(path: Path) -> tuple[int, int]:
    image = read(path)
    return image.width, image.height


class Interrupting:
    """A slow engine that presses Ctrl-C at its tenth batch."""

    kind = ""

    def __init__(self, fake, press) -> None:
        self.card, self.press, self.batches = fake().card, press, 0

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            self.batches += 1
            if self.batches == 10:
                self.press()
            time.sleep(0.02)
            yield batch.repeat(2, axis=1).repeat(2, axis=2)
