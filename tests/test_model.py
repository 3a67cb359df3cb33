"""The network: shapes, the exact base, locality, blocks that change shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from srnet.bicubic import resize
from srnet.card import NetConfig
from srnet.model import SIZES, BicubicBase, ResidualBlock, SRNet, parameter_count, size


def random_net(scale: int, **changes: object) -> SRNet:
    torch.manual_seed(0)
    net = SRNet(NetConfig(**{"scale": scale, "features": 6, "blocks": 2, **changes}))
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    return net.eval()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_untrained_network_is_bicubic_bit_for_bit(scale: int) -> None:
    x = torch.rand(2, 3, 9, 7)
    net = SRNet(size("fast", scale))
    assert torch.equal(net(x), BicubicBase(scale)(x))
    expected = resize(x[1].permute(1, 2, 0).numpy(), 9 * scale, 7 * scale, "replicate")
    np.testing.assert_allclose(net(x)[1].detach().permute(1, 2, 0), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 1), (5, 6)])
def test_any_size_works(shape: tuple[int, int]) -> None:
    assert random_net(3)(torch.rand(2, 3, *shape)).shape == (2, 3, 3 * shape[0], 3 * shape[1])


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    "changes", [{}, {"base": "none"}, {"consistent": True}, {"consistent": True, "blocks": 0}]
)
def test_halo_equals_the_reach_of_the_gradient(scale: int, changes: dict[str, object]) -> None:
    net = random_net(scale, activation="silu", **changes)
    x = torch.rand(1, 3, 41, 41, requires_grad=True)
    y = net(x)[0, :, 20 * scale : 21 * scale, 20 * scale : 21 * scale]
    y.square().sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    halo = net.config.halo
    assert (int(rows.min()), int(rows.max())) == (20 - halo, 20 + halo)


def test_bases() -> None:
    x = torch.rand(1, 3, 4, 5)
    none = SRNet(NetConfig(2, 4, 1, base="none"))
    assert torch.equal(none(x), torch.zeros(1, 3, 8, 10))
    nearest = SRNet(NetConfig(2, 4, 1, base="nearest"))
    assert torch.equal(nearest(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_a_body_without_shortcuts_forgets_its_input() -> None:
    x = torch.rand(1, 4, 5, 5)
    for shortcut, kept in (("identity", x), ("none", torch.zeros_like(x))):
        body = SRNet(NetConfig(2, 4, 2, shortcut=shortcut)).body
        for parameter in body.parameters():
            torch.nn.init.zeros_(parameter)
        assert torch.equal(body(x), kept)


def test_output_is_float32_and_base_exact_under_autocast() -> None:
    net, x = SRNet(NetConfig(2, 4, 1)), torch.rand(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, net.base(x))


def test_sizes_hold_their_parameter_counts() -> None:
    counts = {name: parameter_count(SRNet(size(name, 4))) for name in SIZES}
    assert 90e3 < counts["fast"] < 130e3
    assert 0.4e6 < counts["base"] < 0.7e6
    assert counts["large"] > 2e6


def test_plain_blocks_have_no_shortcut() -> None:
    block, x = ResidualBlock(4, shortcut="none", activation="relu"), torch.rand(1, 4, 5, 5)
    torch.testing.assert_close(block(x), block.conv2(F.relu(block.conv1(x))))


def test_identity_block_value() -> None:
    block, x = ResidualBlock(4, activation="relu"), torch.rand(1, 4, 5, 5)
    torch.testing.assert_close(block(x), x + block.conv2(F.relu(block.conv1(x))))
    with pytest.raises(ValueError, match="zero-pad"):
        ResidualBlock(4, 8)
    with pytest.raises(ValueError, match="unknown shortcut"):
        ResidualBlock(4, shortcut="sum")


@pytest.mark.parametrize("kind", ["zero-pad", "projection"])
@pytest.mark.parametrize("shape", [(8, 8), (7, 5)])
def test_blocks_that_change_width_and_resolution(kind: str, shape: tuple[int, int]) -> None:
    block = ResidualBlock(4, 8, stride=2, shortcut=kind)
    x = torch.rand(2, 4, *shape, requires_grad=True)
    y = block(x)
    assert y.shape == (2, 8, -(-shape[0] // 2), -(-shape[1] // 2))
    y.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in block.parameters())
    assert x.grad.abs().sum() > 0


def test_zero_pad_shortcut_values_and_gradient() -> None:
    block = ResidualBlock(2, 5, stride=2, shortcut="zero-pad")
    torch.nn.init.zeros_(block.conv2.weight)
    torch.nn.init.zeros_(block.conv2.bias)
    x = torch.rand(1, 2, 4, 6, requires_grad=True)
    y = block(x)
    assert torch.equal(y[:, :2], x[:, :, ::2, ::2])
    assert (y[:, 2:] == 0).all()
    y.sum().backward()
    expected = torch.zeros_like(x)
    expected[:, :, ::2, ::2] = 1  # every second pixel, straight through
    assert torch.equal(x.grad, expected)


def test_projection_shortcut_values() -> None:
    block = ResidualBlock(2, 3, stride=2, shortcut="projection")
    torch.nn.init.zeros_(block.conv2.weight)
    torch.nn.init.zeros_(block.conv2.bias)
    x = torch.rand(1, 2, 4, 4)
    weight, bias = block.shortcut.weight[:, :, 0, 0], block.shortcut.bias
    expected = torch.einsum("oi,nihw->nohw", weight, x[:, :, ::2, ::2]) + bias[:, None, None]
    torch.testing.assert_close(block(x), expected)


def test_zero_pad_cannot_shrink() -> None:
    with pytest.raises(ValueError, match="cannot shrink"):
        ResidualBlock(8, 4, shortcut="zero-pad")
