"""Degradations: sizes, the clean one by definition, the photo one by its statistics."""

from __future__ import annotations

import numpy as np
import pytest

from srnet import degrade
from srnet.bicubic import resize


@pytest.fixture
def high(rng: np.random.Generator) -> np.ndarray:
    return resize(rng.integers(0, 256, (16, 20, 3), dtype=np.uint8), 96, 120)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_photo_keeps_the_place_of_things(high: np.ndarray, scale: int) -> None:
    clean = degrade.clean(high, scale)
    rng, draws = np.random.default_rng(1), []
    for _ in range(40):
        low = degrade.photo(high, scale, rng)
        assert low.shape == clean.shape
        assert low.dtype == np.uint8
        draws.append(low)
    mean = np.mean(draws, axis=0)
    centred = np.abs(mean - clean).mean()
    for shifted in (np.roll(clean, 1, 0), np.roll(clean, 1, 1), np.roll(clean, -1, 0)):
        assert centred < 0.7 * np.abs(mean - shifted).mean()
    same = sum(np.array_equal(low, clean) for low in draws)
    assert 1 <= same <= 15  # some are left alone, most are not


def test_photo_is_reproducible(high: np.ndarray) -> None:
    a, b = (degrade.photo(high, 2, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_jpeg_quality_and_colour_order(high: np.ndarray) -> None:
    errors = [np.abs(degrade.jpeg(high, q).astype(int) - high).mean() for q in (20, 60, 95)]
    assert errors == sorted(errors, reverse=True)
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 220
    assert np.abs(degrade.jpeg(red, 95).astype(int) - red).max() <= 3
