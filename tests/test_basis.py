"""Another basis for the flowing channels: the same function, less lost in bfloat16."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from srnet import basis, weights
from srnet.calibrate import calibrate
from srnet.card import NetConfig
from srnet.cli import main
from srnet.model import SRNet, centred
from tests.conftest import tiny_card

PICTURES = [
    np.random.default_rng(n).integers(0, 256, (60, 70, 3), dtype=np.uint8) for n in range(4)
]


def network(**changes: object) -> SRNet:
    torch.manual_seed(2)
    net = SRNet(replace(NetConfig(2, 8, 2), **changes))  # type: ignore[arg-type]
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    return net.requires_grad_(False)


def cancelling() -> SRNet:
    """A network whose channels are large, alike, and subtracted from each other."""
    alike = torch.eye(8) + 20 * torch.ones(8, 8)
    return basis.changed(network(), alike)


@torch.no_grad()
def lost_in_bfloat16(net: SRNet) -> float:
    """Root of the mean square of what rounding the flowing channels changes."""

    def phases(round_: bool) -> torch.Tensor:
        def kept(x: torch.Tensor) -> torch.Tensor:
            return x.bfloat16().float() if round_ else x

        deep = shallow = kept(net.shallow(x))
        for block in net.body:
            deep = kept(block(deep))
        found: torch.Tensor = net.tail(kept(shallow + net.fuse(deep)))
        return found

    x = torch.from_numpy(np.stack(PICTURES)).permute(0, 3, 1, 2).float() / 255
    return float((phases(True) - phases(False)).square().mean().sqrt())


@pytest.mark.parametrize(
    "changes", [{}, {"activation": "prelu"}, {"shortcut": "none"}, {"base": "none"}, {"blocks": 0}]
)
def test_a_changed_network_is_equal(changes: dict[str, object]) -> None:
    net, x = network(**changes), torch.rand(2, 3, 9, 11)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    other = basis.changed(net, torch.randn(8, 8))
    torch.testing.assert_close(other(x), net(x), rtol=1e-4, atol=1e-4)
    assert not other.head.weight.equal(net.head.weight)
    for name, tensor in net.state_dict().items():  # the one that was given stays as it was
        assert tensor.equal(before[name])


def test_a_basis_is_found_in_which_less_is_lost() -> None:
    net, x = cancelling(), torch.rand(2, 3, 9, 11)
    turned = basis.turned(net, PICTURES[:2], 60)
    torch.testing.assert_close(turned(x), net(x), rtol=1e-3, atol=1e-3)
    assert lost_in_bfloat16(turned) < 0.5 * lost_in_bfloat16(net)
    once, again = (basis.turned(net, PICTURES[:2], 3) for _ in range(2))
    assert again.head.weight.equal(once.head.weight)


def test_without_steps_it_stays_as_it_is() -> None:
    net = network()
    same = basis.turned(net, PICTURES, 0)
    for old, new in zip(net.parameters(), same.parameters(), strict=True):
        assert old.equal(new)


def test_pixels_of_eight_bits_are_exact_in_bfloat16() -> None:
    pixels = torch.arange(256).float() / 255
    read = centred(pixels)
    assert (read.bfloat16().float() - (torch.arange(256) - 128) / 256).abs().max() < 1e-6
    assert (read - read.bfloat16().float()).abs().max() < 1e-6
    assert (pixels - 0.5 - (pixels - 0.5).bfloat16().float()).abs().max() > 5e-4  # which were not


def test_calibrate_can_change_the_basis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, pixels in enumerate(PICTURES):
        PIL.Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    file, net = tmp_path / "tiny-x2.safetensors", cancelling()
    weights.save(file, net, replace(tiny_card(2), net=net.config, halo=net.config.halo, version=4))
    calibrate(file, tmp_path, 0, 0, 20)
    made, card = weights.load(file)
    assert (card.version, card.calibrated, card.turned) == (5, 4, 20)
    assert set(weights.load_ranges(file)) == {
        *("body.0.conv2", "body.1.conv1", "body.1.conv2"),
        "fuse",
    }
    assert lost_in_bfloat16(made) < lost_in_bfloat16(net)
    for tensor in made.state_dict().values():
        assert tensor.equal(tensor.bfloat16().float())
    folder = str(tmp_path)
    assert main(["calibrate", str(file), "--pictures", folder, "--turns", "-1"]) == 2
    assert "--turns must be 0 or more" in capsys.readouterr().err
    command = ["calibrate", str(file), "--pictures", folder, "--graphics", "0", "--steps", "0"]
    assert main(command) == 0
    assert weights.read_card(file).version == 5  # the same weights
    assert main([*command, "--turns", "1"]) == 0
    assert weights.read_card(file).version == 6
