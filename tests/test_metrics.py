"""Metrics against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from srnet.bicubic import resize
from srnet.errors import OptionError
from srnet.metrics import consistency, luma, psnr, ssim


def test_luma_of_known_colours() -> None:
    rgb = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0]]], np.uint8)
    np.testing.assert_allclose(luma(rgb), [[16, 235, 81.481, 144.553]])
    assert luma(np.array([[[51]]], np.uint8)) == pytest.approx(16 + 219 * 51 / 255)
    np.testing.assert_allclose(luma(rgb.astype(np.uint16) * 257), luma(rgb))


def test_psnr_of_a_known_error() -> None:
    a = np.full((20, 20), 100.0)
    assert psnr(a, a + 255 / 10) == pytest.approx(20)
    assert psnr(a, a) == float("inf")
    b = a.copy()
    b[0] = 0  # inside the shaved border
    assert psnr(a, b, shave=1) == float("inf")


def test_ssim_bounds(rng: np.random.Generator) -> None:
    a = rng.uniform(16, 235, (40, 40))
    assert ssim(a, a) == pytest.approx(1)
    assert ssim(a, 251 - a) < 0
    assert 0 < ssim(a, a + rng.normal(0, 20, a.shape)) < 1


def test_unequal_sizes_and_small_pictures_are_refused() -> None:
    a = np.zeros((12, 12))
    with pytest.raises(OptionError, match="differ in size"):
        psnr(a, a[1:])
    with pytest.raises(OptionError, match="11 x 11"):
        ssim(a, a, shave=1)
    with pytest.raises(OptionError, match="nothing is left"):
        psnr(a, a, shave=6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_consistency(dtype: type, rng: np.random.Generator) -> None:
    peak = np.iinfo(dtype).max
    small = resize(rng.integers(0, peak, (5, 6, 3)).astype(dtype), 300, 40)
    large = resize(small, 600, 80)
    faithful = consistency(small, large)
    assert faithful > 40
    assert consistency(small, np.clip(large, peak // 3, None)) < faithful - 10
    assert consistency(large, large) == pytest.approx(100)
