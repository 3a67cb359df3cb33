"""Fixtures of these tests."""

from __future__ import annotations

import numpy as np
import pytest

from srnet.bicubic import resize


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 2, (24, 24, 3), dtype=np.uint8) * 200 + 20 for _ in range(3)]
    return [resize(c, 72, 72) for c in coarse]  # detail of which half gets lost, not all
