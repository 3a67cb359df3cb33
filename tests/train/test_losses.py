"""What training makes small."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from srnet.losses import LOSSES
from srnet.metrics import luma, psnr


def planes(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255


def test_the_loss_is_what_is_measured(rng: np.random.Generator) -> None:
    found, wanted = rng.integers(0, 256, (2, 3, 12, 9, 3), np.uint8)
    found[1] = wanted[1] // 2 + found[1] // 2  # another error in each patch
    found[2] = wanted[2] ^ 8
    by_luma = [psnr(luma(a), luma(b)) for a, b in zip(found, wanted, strict=True)]
    by_all = [psnr(a.astype(float), b.astype(float)) for a, b in zip(found, wanted, strict=True)]
    expected = -(np.mean(by_luma) + np.mean(by_all)) / 2
    loss = 10 / np.log(10) * float(LOSSES["psnr"].of(planes(found), planes(wanted)))
    assert loss == pytest.approx(expected, abs=0.05)  # of 60 dB, no more is asked


@pytest.mark.parametrize("name", LOSSES)
def test_worse_is_more_and_the_worst_is_the_bound(name: str) -> None:
    loss, black = LOSSES[name], torch.zeros(2, 3, 8, 8)
    found = [float(loss.of(black + error, black)) for error in (0.0, 0.01, 0.1, 1.0)]
    assert found == sorted(found)
    assert found[2] < loss.bound - 0.5
    assert found[3] == pytest.approx(loss.bound, abs=0.2)  # luma goes from 16 to 235


def test_patches_count_for_their_relative_error() -> None:
    wanted = torch.zeros(2, 3, 8, 8)
    found = torch.stack((torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.01))).requires_grad_()
    LOSSES["psnr"].of(found, wanted).backward()
    slopes = found.grad.abs().sum((1, 2, 3))  # type: ignore[union-attr]
    assert float(slopes[1] / slopes[0]) == pytest.approx(10, rel=0.05)
