"""Ranges for eight bits that are learned: less is lost by them, and the network stays equal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from srnet import quantise, tune
from srnet.model import SRNet
from tests.quantise.support import PICTURES, blind, network

DRAWS = np.random.default_rng(3)


def with_rare_extremes(count: int) -> list[np.ndarray]:
    """Pictures whose samples are mostly near grey, at times far from it, as at edges."""
    spread = 4 * np.exp(DRAWS.normal(size=(count, 60, 70, 1)))
    noise = spread * DRAWS.normal(size=(count, 60, 70, 3))
    return list((128 + noise).clip(0, 255).astype(np.uint8))


def as_rounded(net: SRNet, ranges: quantise.Ranges) -> tune._Rounded:
    return tune._Rounded(*quantise.prepared(net, ranges))


@torch.no_grad()
def squared_error(net: SRNet, ranges: quantise.Ranges, pictures: list[np.ndarray]) -> float:
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return float((as_rounded(net, ranges)(x) - net.residual(x)).square().mean())


def test_less_is_lost_on_other_pictures() -> None:
    net, seen, others = network(), with_rare_extremes(4), with_rare_extremes(4)
    measured = quantise.measured(net, seen)
    tuned = tune.tuned(net, measured, seen, 60)
    before, after = (squared_error(net, ranges, others) for ranges in (measured, tuned))
    assert after < 0.8 * before
    ready, limits = quantise.prepared(net, tuned)
    x = torch.rand(1, 3, 9, 11)
    torch.testing.assert_close(ready(x), net(x), rtol=1e-4, atol=1e-4)
    assert all(low <= 0 < high for low, high in limits)


@pytest.mark.parametrize("activation", ["leaky_relu", "silu"])
def test_without_steps_the_ranges_are_those_that_were_measured(activation: str) -> None:
    net = network(activation)
    measured = quantise.measured(net, PICTURES)
    same = tune.tuned(net, measured, PICTURES, 0)
    before, after = (quantise.prepared(net, ranges) for ranges in (measured, same))
    np.testing.assert_allclose(after[1], before[1], rtol=5e-3)
    for old, new in zip(before[0].parameters(), after[0].parameters(), strict=True):
        torch.testing.assert_close(new, old, rtol=1e-2, atol=1e-6)


def test_what_was_learned_is_what_is_kept() -> None:
    """The ranges say all that the learned network does."""
    net = network()
    rounded = as_rounded(net, measured := quantise.measured(net, PICTURES))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in rounded.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape), alpha=0.2)
    again = as_rounded(net, rounded.ranges(quantise.scales(net, measured)))
    x = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        expected, found = rounded(x), again(x)
    change = (expected - net.residual(x)).abs().max()
    assert (found - expected).abs().mean() < 0.05 * change  # zero is moved to a whole step


def test_scales_inside_a_block_stay_where_they_would_change_the_network() -> None:
    net = network("silu")
    measured = quantise.measured(net, PICTURES)
    tuned = tune.tuned(net, measured, PICTURES, 5)
    assert np.ptp(tuned["body.0.conv2"][1]) == 0  # one limit for all channels
    ready, _ = quantise.prepared(net, tuned)
    x = torch.rand(1, 3, 9, 11)
    torch.testing.assert_close(ready(x), net(x), rtol=1e-4, atol=1e-4)


def test_the_same_pictures_give_the_same_ranges() -> None:
    net = network()
    measured = quantise.measured(net, PICTURES)
    first, second = (tune.tuned(net, measured, PICTURES, 4) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in measured)


def test_an_input_that_is_always_zero() -> None:
    net = blind()
    tuned = tune.tuned(net, quantise.measured(net, PICTURES), PICTURES, 3)
    assert all(np.isfinite(found).all() for found in tuned.values())


def test_crops_can_be_those_with_the_hardest_edges() -> None:
    picture = np.full((48, 4000, 3), 90, np.uint8)
    picture[:, 3000:] = DRAWS.integers(0, 256, (48, 1000, 3))

    def hardness(tries: int) -> float:
        crops = tune.crops([picture], np.random.default_rng(1), tries)
        assert crops.shape == (8, 3, 48, 48)
        return float(crops.diff(dim=2).abs().mean())

    assert hardness(8) > 1.5 * hardness(1)
