"""Small networks, and pictures to measure them on."""

from __future__ import annotations

import numpy as np
import torch

from srnet.card import NetConfig
from srnet.model import ResidualBlock, SRNet

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (24, 31, 3), dtype=np.uint8) for _ in range(3)]


def network(activation: str = "leaky_relu") -> SRNet:
    """A network whose channels differ a lot inside its blocks."""
    torch.manual_seed(1)
    net = SRNet(NetConfig(2, 6, 2, activation=activation))  # type: ignore[arg-type]
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    for block in net.body:
        assert isinstance(block, ResidualBlock)
        block.conv1.weight.data *= torch.logspace(-3, 2, 6)[:, None, None, None]
    return net.requires_grad_(False)


def blind() -> SRNet:
    """A network of which most convolutions are always given zeros."""
    net = network()
    torch.nn.init.zeros_(net.head.weight)
    torch.nn.init.zeros_(net.head.bias)  # type: ignore[arg-type]
    for block in net.body:
        assert isinstance(block, ResidualBlock)
        torch.nn.init.zeros_(block.conv1.bias)  # type: ignore[arg-type]
    return net
