"""Muon: orthogonal updates, and a problem that it solves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from srnet.optim import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(2, 8, 40), (1, 40, 8), (3, 16, 16)])
def test_singular_values_come_near_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_orthogonal_factor_is_kept() -> None:
    torch.manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(1, 12, 30), full_matrices=False)
    stretched = u @ torch.diag(torch.linspace(0.3, 1, 12)) @ v
    cosine = torch.cosine_similarity(orthogonalize(stretched).flatten(), (u @ v).flatten(), dim=0)
    assert cosine > 0.98


def test_step_has_the_size_of_adam() -> None:
    torch.manual_seed(0)
    p = nn.Parameter(torch.randn(16, 8, 3, 3))
    before = p.detach().clone()
    p.grad = torch.randn_like(p) * 1e-3
    Muon([p], lr=0.01).step()
    rms = (p - before).square().mean().sqrt()
    assert 0.2 * 0.01 * 0.6 < rms < 0.2 * 0.01 * 1.4


def test_it_fits_a_convolution() -> None:
    torch.manual_seed(0)
    teacher, student = (nn.Conv2d(4, 6, 3, bias=False) for _ in range(2))
    x = torch.randn(8, 4, 12, 12)
    with torch.no_grad():
        target = teacher(x)
    optimizer = Muon(student.parameters(), lr=0.05)
    losses = []
    for step in range(60):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 60)
        optimizer.zero_grad()
        loss = (student(x) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]
