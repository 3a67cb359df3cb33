"""Drawn pictures: the same for the same seed, and with text and shapes in them."""

from __future__ import annotations

import numpy as np
import pytest

from srnet import graphics


def drawn(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    return graphics.draw(np.random.default_rng(seed), height, width)


@pytest.mark.parametrize(("height", "width"), [(96, 128), (1, 1), (7, 200)])
def test_size(height: int, width: int) -> None:
    picture = drawn(0, height, width)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


def test_no_seed_fails() -> None:
    for seed in range(600):  # small pictures: every shape comes in its smallest forms too
        drawn(seed, 32, 32)


def test_the_seed_decides() -> None:
    np.testing.assert_array_equal(drawn(5), drawn(5))
    assert not np.array_equal(drawn(5), drawn(6))


def test_many_kinds() -> None:
    pictures = [drawn(seed) for seed in range(60)]
    assert sum(np.ptp(p) > 200 for p in pictures) > 45
    neutral = [np.ptp(p.astype(int), axis=2).max() == 0 for p in pictures]
    assert 10 < sum(neutral) < 50  # black on white, and colours
    white = [(p == 255).all(axis=2).mean() for p in pictures]
    assert sum(share > 0.5 for share in white) > 15
    assert sum(share == 0 for share in white) > 5


def test_edges_are_soft() -> None:
    """A renderer spreads an edge over the pixels it passes: no stairs of two colours only."""
    colours = [len(np.unique(drawn(seed).reshape(-1, 3), axis=0)) for seed in range(20)]
    assert np.median(colours) > 10
