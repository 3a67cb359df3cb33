"""Fixtures of these tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from srnet.bicubic import resize


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 2, (24, 24, 3), dtype=np.uint8) * 200 + 20 for _ in range(3)]
    return [resize(c, 72, 72) for c in coarse]  # detail of which half gets lost, not all


@pytest.fixture
def photographs(pictures: list[np.ndarray], tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i, picture in enumerate(pictures):
        PIL.Image.fromarray(picture).save(folder / f"{i}.png")
    return folder
