"""Patches: aligned pairs, detail first, the same numbers for the same patches."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from srnet import degrade
from srnet.errors import DataError, OptionError
from srnet.patches import Patches, fits


def photographs(rng: np.random.Generator, count: int = 3) -> list[np.ndarray]:
    """Left half flat, right half busy."""
    pictures = []
    for _ in range(count):
        picture = np.full((120, 160, 3), 128, np.uint8)
        picture[:, 80:] = rng.integers(0, 256, (120, 80, 3))
        pictures.append(picture)
    return pictures


def patches(rng: np.random.Generator, degradation: str = "clean", **changes: float) -> Patches:
    numbers: dict[str, Any] = {"scale": 2, "patch": 16, "batch": 8, "seed": 3, **changes}
    return Patches(photographs(rng), degradation=degradation, **numbers)


def draw(source: Patches, index: int = 0, rank: int = 0) -> SimpleNamespace:
    batch = source.draw(index, rank)
    return SimpleNamespace(low=batch.low.numpy(), high=batch.high.numpy())


@pytest.mark.parametrize("scale", [2, 3])
def test_clean_pairs_fit_each_other(scale: int, rng: np.random.Generator) -> None:
    batch = draw(patches(rng, scale=scale))
    assert batch.low.shape == (8, 16, 16, 3)
    assert batch.high.shape == (8, 16 * scale, 16 * scale, 3)
    for low, high in zip(batch.low, batch.high, strict=True):
        again = degrade.clean(np.ascontiguousarray(high), scale)
        # a turned patch was shrunk the other axis first: each rounding may differ
        assert np.abs(low.astype(int) - again)[4:-4, 4:-4].max() <= 2


def test_photo_pairs_fit_each_other(rng: np.random.Generator) -> None:
    smooth = [
        np.ascontiguousarray(np.kron(p[::20, ::20], np.ones((20, 20, 1), np.uint8)))
        for p in photographs(rng)
    ]
    batch = draw(Patches(smooth, 2, 16, 8, "photo", 0))
    assert batch.low.shape == (8, 16, 16, 3)
    clean = np.stack([degrade.clean(np.ascontiguousarray(high), 2) for high in batch.high])
    in_place = np.abs(batch.low - clean.astype(float)).mean()
    for axis in (1, 2):  # one pixel off is worse, whatever noise and JPEG did
        shifted = np.roll(batch.low, 1, axis)[:, 1:, 1:] - clean.astype(float)[:, 1:, 1:]
        assert in_place < 0.8 * np.abs(shifted).mean()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_drawn_pairs_fit_each_other(scale: int, rng: np.random.Generator) -> None:
    batch = draw(patches(rng, scale=scale, patch=24, graphics=1.0))
    assert batch.low.shape == (8, 24, 24, 3)
    assert batch.high.shape == (8, 24 * scale, 24 * scale, 3)
    for low, high in zip(batch.low, batch.high, strict=True):
        rows_first = degrade.clean(np.ascontiguousarray(high), scale)
        turned = degrade.clean(np.ascontiguousarray(high.swapaxes(0, 1)), scale).swapaxes(0, 1)
        # between the two passes values are cut to 0..255, so their order shows at hard edges
        errors = [
            np.abs(low.astype(int) - again)[4:-4, 4:-4].max() for again in (rows_first, turned)
        ]
        assert min(errors) == 0


def test_drawn_patches_are_damaged_as_photographs_are(rng: np.random.Generator) -> None:
    batch = draw(patches(rng, "photo", patch=24, batch=16, graphics=1.0))
    clean = [degrade.clean(np.ascontiguousarray(high), 2) for high in batch.high]
    error = np.abs(batch.low - np.array(clean, float))[:, 4:-4, 4:-4].mean(axis=(1, 2, 3))
    assert np.median(error) > 1  # 8-bit levels
    shifted = np.abs(np.roll(batch.low, 1, 2) - np.array(clean, float))[:, 4:-4, 4:-4]
    assert error.mean() < 0.5 * shifted.mean()


def test_the_share_of_drawn_patches(rng: np.random.Generator) -> None:
    grey = [np.full((120, 160, 3), 128, np.uint8)]
    for share, least, most in ((0.0, 0, 0), (0.25, 30, 70), (1.0, 200, 200)):
        batch = draw(Patches(grey, 2, 16, 200, "clean", 0, share))
        drawn = sum(bool((high != 128).any()) for high in batch.high)
        assert least <= drawn <= most


@pytest.mark.parametrize("degradation", ["clean", "photo"])
def test_the_share_of_patches_of_one_colour(rng: np.random.Generator, degradation: str) -> None:
    noise = [rng.integers(0, 256, (120, 160, 3), np.uint8)]
    for share, least, most in ((0.0, 0, 0), (0.25, 30, 70), (1.0, 200, 200)):
        batch = draw(Patches(noise, 2, 16, 200, degradation, 0, flat=share))
        flat = [high[0, 0] for high in batch.high if (high == high[0, 0]).all()]
        assert least <= len(flat) <= most
        assert len(np.unique(flat, axis=0)) >= len(flat) // 3


def test_the_share_of_undamaged_patches(rng: np.random.Generator) -> None:
    for share, least, most in ((0.0, 0, 12), (0.5, 35, 75), (1.0, 100, 100)):  # some are flat
        batch = draw(patches(rng, "photo", patch=16, batch=100, undamaged=share))
        clean = [degrade.clean(np.ascontiguousarray(high), 2) for high in batch.high]
        inner = np.s_[:, 4:-4, 4:-4]
        errors = np.abs(batch.low - np.array(clean, float))[inner].mean(axis=(1, 2, 3))
        assert least <= (errors < 2).sum() <= most


def test_draws_depend_on_seed_rank_and_index_alone(rng: np.random.Generator) -> None:
    a = patches(rng)
    first, again = draw(a, 5), draw(a, 5)
    np.testing.assert_array_equal(first.low, again.low)
    assert not np.array_equal(first.low, draw(a, 6).low)
    assert not np.array_equal(first.low, draw(a, 5, rank=1).low)


def test_batches_are_the_draws_in_order(rng: np.random.Generator) -> None:
    a = patches(rng)
    for index, batch in zip(range(2, 5), a.batches(2, 5), strict=True):
        np.testing.assert_array_equal(batch.high.numpy(), draw(a, index).high)


def test_busy_parts_are_drawn_more_often(rng: np.random.Generator) -> None:
    a = patches(rng, batch=200)
    busy = [high.std() > 40 for high in draw(a).high]
    assert np.mean(busy) > 0.8  # by area it would be half


def test_small_pictures_are_named(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="smaller --patch"):
        patches(rng, patch=64)


def test_as_many_drawn_patches_as_photographs(rng: np.random.Generator) -> None:
    """Each kind has its half, however many details it has."""
    grey = [np.full((120, 160, 3), 128, np.uint8)]
    batch = draw(Patches(grey, 2, 16, 200, "clean", 0, 0.5))
    assert 70 <= sum(bool((high != 128).any()) for high in batch.high) <= 130


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_a_patch_that_is_too_small_is_refused(patch: int, rng: np.random.Generator) -> None:
    with pytest.raises(OptionError, match=f"at least 4 for clean, not {patch}"):
        patches(rng, patch=patch)
    assert draw(patches(rng, patch=4)).low.shape == (8, 4, 4, 3)
    assert draw(patches(rng, "photo", patch=patch)).low.shape == (8, patch, patch, 3)


@pytest.mark.parametrize(("degradation", "least"), [("clean", 40), ("photo", 64)])
def test_what_fits_is_what_is_cut_from(degradation: str, least: int) -> None:
    small, large = (np.zeros((side, 99, 3), np.uint8) for side in (least - 1, least))
    assert [fits(picture, 2, 16, degradation) for picture in (small, large)] == [False, True]
    assert Patches([large], 2, 16, 1, degradation, 0).draw(0).low.shape == (1, 16, 16, 3)
    with pytest.raises(DataError, match=f"no picture has {least} pixels"):
        Patches([small], 2, 16, 1, degradation, 0)
