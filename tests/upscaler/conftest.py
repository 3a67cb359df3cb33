"""Fixtures of these tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import srnet
from srnet.bicubic import resize
from srnet.upscaler import Upscaler


@pytest.fixture
def up(tiny_weights: dict[int, Path]) -> Upscaler:
    return srnet.load(str(tiny_weights[2]), device="cpu", precision="float32")


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    return resize(rng.integers(0, 256, (7, 6, 3), dtype=np.uint8), 35, 29)
