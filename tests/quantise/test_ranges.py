"""Ranges: measured, kept beside the weights, and networks made ready for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from srnet import quantise, weights
from srnet.calibrate import calibrate
from srnet.card import NetConfig
from srnet.cli import main
from srnet.errors import DataError, WeightsError
from srnet.model import ResidualBlock, SRNet
from tests.quantise.support import PICTURES, blind, network


@pytest.mark.parametrize("activation", ["leaky_relu", "relu", "silu", "prelu"])
def test_the_prepared_network_is_equal(activation: str) -> None:
    net = network(activation)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    ready, limits = quantise.prepared(net, quantise.measured(net, PICTURES))
    x = torch.rand(1, 3, 9, 11)
    torch.testing.assert_close(ready(x), net(x), rtol=1e-4, atol=1e-4)
    assert len(limits) == len(quantise.convolutions(net)) == 2 * 2
    for name, tensor in net.state_dict().items():  # the one that was given stays as it was
        assert torch.equal(tensor, before[name])


def test_channels_inside_a_block_get_the_same_range() -> None:
    net = network()
    ranges = quantise.measured(net, PICTURES)
    largest = np.abs(ranges["body.0.conv2"]).max(axis=0)
    assert largest.max() > 1000 * largest.min()
    ready, _ = quantise.prepared(net, ranges)
    again = quantise.measured(ready, PICTURES)
    found = np.abs(again["body.0.conv2"]).max(axis=0)
    bounded = largest < 1e-3 * largest.max()
    np.testing.assert_allclose(found[~bounded], 1, rtol=1e-4)
    assert (found[bounded] <= 1).all()


def test_limits_hold_what_was_measured_and_zero_is_exact() -> None:
    net = network("silu")
    ranges = quantise.measured(net, PICTURES)
    _, limits = quantise.prepared(net, ranges)
    for (low, high), found in zip(limits, ranges.values(), strict=True):
        step = (high - low) / 255
        assert low <= 0 <= high
        assert abs(low / step - round(low / step)) < 1e-6
        assert low - step <= found[0].min()
        assert high + step >= found[1].max()


def test_channels_along_the_blocks_share_the_range() -> None:
    net = network()
    for block in net.body:  # the stream is what the first convolution gives
        assert isinstance(block, ResidualBlock)
        torch.nn.init.zeros_(block.conv2.weight)
        torch.nn.init.zeros_(block.conv2.bias)  # type: ignore[arg-type]
    net.head.weight.data *= torch.logspace(-1, 0, 6)[:, None, None, None]
    ready, _ = quantise.prepared(net, quantise.measured(net, PICTURES))
    found = np.abs(quantise.measured(ready, PICTURES)["fuse"]).max(axis=0)
    np.testing.assert_allclose(found, found[0], rtol=1e-4)


def test_an_input_that_is_always_zero() -> None:
    net = blind()
    ready, limits = quantise.prepared(net, quantise.measured(net, PICTURES))
    assert all(high > low for low, high in limits)
    assert torch.isfinite(ready(torch.rand(1, 3, 5, 5))).all()


def test_ranges_of_another_network_are_refused() -> None:
    other = SRNet(NetConfig(2, 6, 1))
    for ranges in ({}, quantise.measured(other, PICTURES)):
        with pytest.raises(WeightsError, match="calibrate again"):
            quantise.prepared(network(), ranges)


@pytest.mark.parametrize("degradation", ["clean", "photo"])
def test_ranges_are_kept_beside_the_weights(
    calibrated: Callable[..., Path], folder: Path, degradation: str
) -> None:
    file = calibrated(2, degradation)
    net, card = weights.load(file)
    assert card.calibrated == 5
    ranges = weights.load_ranges(file)
    assert list(ranges) == list(quantise.convolutions(net))
    weights.record(file, {"Set5 psnr": 33.0})
    calibrate(file, folder, 3, 5)
    again = weights.load_ranges(file)
    for name, found in ranges.items():  # the same pictures, the same ranges
        np.testing.assert_array_equal(found, again[name])
    assert weights.read_card(file).metrics == {"Set5 psnr": 33.0}


def test_from_the_command_line(
    calibrated: Callable[..., Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(calibrated())
    assert (
        main(["calibrate", file, "--pictures", str(folder), "--graphics", "0", "--steps", "0"]) == 0
    )
    assert "ranges for int8 from 2 pictures" in capsys.readouterr().out
    for option in ("--graphics", "--steps"):
        assert main(["calibrate", file, "--pictures", str(folder), option, "-1"]) == 2
        assert f"{option} must be 0 or more, not -1" in capsys.readouterr().err
    assert main(["calibrate", file, "--pictures", str(folder / "no")]) == 2
    assert main(["calibrate", "nothing", "--pictures", str(folder)]) == 2
    kept = [each.read_bytes() for each in weights.shipped().values()]
    assert main(["calibrate", "fast", "--pictures", str(folder)]) == 2  # which is several files
    assert "comes in several scales: name one of them" in capsys.readouterr().err
    assert [each.read_bytes() for each in weights.shipped().values()] == kept


def test_what_cannot_be_written_is_refused_first(
    tiny_weights: dict[int, Path],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    monkeypatch.setattr("srnet.calibrate.calibrate", lambda *_: pytest.fail("work had begun"))
    assert main(["calibrate", str(tiny_weights[2]), "--pictures", str(folder)]) == 2
    assert "may not be written to" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (1, 1)])
def test_a_picture_smaller_than_the_scale_is_named(
    size: tuple[int, int], calibrated: Callable[..., Path], folder: Path
) -> None:
    file = calibrated()
    PIL.Image.new("RGB", size).save(folder / "tiny.png")
    with pytest.raises(DataError, match=r"tiny\.png is too small to be shrunk by 2: move it"):
        calibrate(file, folder, 0, 0)
