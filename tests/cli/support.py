"""Pictures and reports for the tests of the command line."""

from __future__ import annotations

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
