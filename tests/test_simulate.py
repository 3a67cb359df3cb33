"""Damage on tensors is that of OpenCV and its JPEG on whole pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from srnet import degrade, simulate
from srnet.bicubic import resize
from srnet.degrade import Damage


@pytest.fixture
def high(rng: np.random.Generator) -> np.ndarray:
    """Squares of (N, 192, 192, 3): smooth colours with edges and some texture."""
    coarse = rng.integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
    smooth = np.stack([resize(c, 192, 192) for c in coarse])
    texture = rng.normal(0, 6, smooth.shape)
    return np.clip(smooth + texture, 0, 255).astype(np.uint8)


def simulated(high: torch.Tensor, scale: int, damages: list[Damage]) -> torch.Tensor:
    side = high.shape[1] // scale
    noise = torch.randn((len(high), 3, side, side), generator=torch.Generator().manual_seed(0))
    return simulate.damage(high, simulate.table(damages), noise)


def both(high: np.ndarray, scale: int, damage: Damage) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    expected = np.stack([degrade.damaged(h, scale, damage, rng) for h in high])
    found = simulated(torch.from_numpy(high), scale, [damage] * len(high))
    return expected.astype(float), found.numpy().astype(float)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kernel", ["bicubic", "area", "linear"])
@pytest.mark.parametrize("blur", [(0.0, 0.0), (0.7, 1.1)])
def test_blur_and_shrink(scale: int, kernel: str, blur: tuple, high: np.ndarray) -> None:
    expected, found = both(high, scale, Damage(blur=blur, kernel=kernel))
    error = np.abs(expected - found)[:, 4:-4, 4:-4]  # borders are mirrored there, not here
    assert error.mean() < 0.3  # 8-bit levels: OpenCV rounds after each step
    assert error.max() <= 2


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_clean_is_that_of_the_benchmarks(scale: int, high: np.ndarray) -> None:
    found = simulate.clean(torch.from_numpy(high), scale).numpy()
    expected = np.stack([degrade.clean(h, scale) for h in high])
    assert (found != expected).mean() < 1e-4
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("chroma_half", [True, False])
@pytest.mark.parametrize("quality", [10, 30, 49, 50, 75, 95])
def test_jpeg(quality: int, chroma_half: bool, high: np.ndarray) -> None:
    """Of the same pixels: a level of difference before would move whole coefficients."""
    expected = np.stack([degrade.jpeg(h, quality, chroma_half) for h in high]).astype(float)
    none = torch.zeros(len(high), 1, 1, 1)
    found = simulate.jpeg(
        torch.from_numpy(high).permute(0, 3, 1, 2).float(), none + quality, none + chroma_half
    )
    error = np.abs(expected - found.permute(0, 2, 3, 1).numpy())
    # OpenCV's JPEG rounds in more places; a coefficient near the middle of two steps may go
    # the other way: rare, and then large
    assert error.mean() < 0.25 * np.abs(expected - high).mean()
    assert (error > 2).mean() < 0.08


def test_noise(high: np.ndarray) -> None:
    flat = np.full_like(high, 128)
    _, found = both(flat, 2, Damage(noise=5.0))
    assert abs(found.std() - 5.0) < 0.1
    assert not np.array_equal(found[..., 0], found[..., 1])
    _, grey = both(flat, 2, Damage(noise=5.0, grey_noise=True))
    np.testing.assert_array_equal(grey[..., 0], grey[..., 1])
    assert abs(grey.std() - 5.0) < 0.1


def test_each_patch_has_its_own(high: np.ndarray) -> None:
    damages = [Damage(), Damage(quality=30), Damage(blur=(1.0, 1.0)), Damage(kernel="area")]
    pixels = torch.from_numpy(high)
    together = simulated(pixels, 2, damages)
    for i, damage in enumerate(damages):
        alone = simulated(pixels[i : i + 1], 2, [damage])
        torch.testing.assert_close(together[i : i + 1], alone)


def test_what_is_drawn_has_the_documented_shares() -> None:
    rng = np.random.default_rng(0)
    damages = [degrade.draw_damage(2, rng) for _ in range(4000)]
    hurt = [d for d in damages if d != Damage()]
    assert abs(len(hurt) / len(damages) - 0.75) < 0.03

    def share(kind) -> float:
        return sum(map(kind, hurt)) / len(hurt)

    assert abs(share(lambda d: all(d.blur)) - 0.5) < 0.03
    assert abs(share(lambda d: d.kernel == "area") - 0.25) < 0.03
    assert abs(share(lambda d: d.noise > 0) - 0.5) < 0.03
    assert abs(share(lambda d: d.quality > 0) - 0.85) < 0.03
    qualities = [d.quality for d in hurt if d.quality]
    assert (min(qualities), max(qualities)) == (30, 95)
    assert 0.2 <= min(min(d.blur) for d in hurt if all(d.blur)) <= 0.25
    assert max(d.noise for d in hurt) <= 6.0


def test_vivid_exchanges_channels_and_leaves_greys() -> None:
    high = torch.randint(0, 256, (3, 4, 4, 3), dtype=torch.uint8)
    high[2] = high[2, ..., :1]
    order = torch.tensor([[0, 1, 2], [2, 0, 1], [1, 2, 0]])
    same, turned, grey = simulate.vivid(high, torch.tensor([1.0, 1.0, 4.0]), order)
    assert same.equal(high[0])
    assert turned.equal(high[1][..., [2, 0, 1]])
    assert grey.equal(high[2])
