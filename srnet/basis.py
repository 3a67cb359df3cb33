"""Another basis for what flows along the blocks: the same function, less changed by rounding.

The shortcuts carry the same channels from the first convolution to the last, and only
convolutions write or read them. Any invertible matrix may be multiplied into all that write, if
its inverse is multiplied into all that read: in exact arithmetic nothing changes. In bfloat16
each channel is rounded by a part of its own size, so that much is lost where large channels
nearly cancel. The matrix is learned by gradient descent, for networks that are rounded to a few
bits in Liu et al., "SpinQuant: LLM quantization with learned rotations", 2024; here it need not
be a rotation. It costs nothing to run. What it gained is in ``docs/speed.md``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srnet.model import ResidualBlock, SRNet
from srnet.tune import crops

_NOISE = 1 / 128  # relative, each way: four times what bfloat16 does at most
_RATE = 0.01
_TRIES = 4  # the largest differences are at hard edges
_NOTHING = 1e-16  # a fourth power of an error that is none
_SEED = 0


def turned(net: SRNet, pictures: Sequence[npt.NDArray[np.uint8]], steps: int) -> SRNet:
    """An equal network, in the basis found in ``steps`` steps on patches of ``pictures``.

    Each patch counts by the logarithm of its error, which is the fourth root of the mean fourth
    power, since the largest differences are what is to be small.
    """
    net = copy.deepcopy(net).requires_grad_(False)
    torch.manual_seed(_SEED)
    basis = nn.Parameter(torch.eye(net.config.features))
    optimizer = torch.optim.Adam([basis], lr=_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, max(steps, 1))
    rng = np.random.default_rng(_SEED)
    for _ in range(steps):
        batch = crops(pictures, rng, _TRIES)
        with torch.no_grad():
            exact = net.phases(batch)
        errors = (_disturbed(net, basis, batch) - exact).pow(4).mean((1, 2, 3))
        optimizer.zero_grad()
        loss = (errors + _NOTHING).log().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return changed(net, basis.detach())


def _disturbed(net: SRNet, basis: Tensor, x: Tensor) -> Tensor:
    """:meth:`SRNet.phases` with noise on what flows along the blocks, as seen in the basis."""
    there, back = basis[:, :, None, None], torch.linalg.inv(basis)[:, :, None, None]

    def kept(flowing: Tensor) -> Tensor:
        channels = F.conv2d(flowing, there)
        noise = 1 + _NOISE * (2 * torch.rand_like(channels) - 1)
        return F.conv2d(channels * noise, back)

    deep = shallow = kept(net.shallow(x))
    for block in net.body:
        deep = kept(block(deep))
    phases: Tensor = net.tail(kept(shallow + net.fuse(deep)))
    return phases


@torch.no_grad()
def changed(net: SRNet, basis: Tensor) -> SRNet:
    """An equal network whose flowing channels are ``basis``, (C, C), times those of ``net``."""
    net = copy.deepcopy(net)
    there = basis.double()
    back = torch.linalg.inv(there)
    _write(net.head, there)
    for block in net.body:
        assert isinstance(block, ResidualBlock)
        _read(block.conv1, back)
        _write(block.conv2, there)
    _read(net.fuse, back)
    _write(net.fuse, there)
    _read(net.tail, back)
    return net


def _write(conv: nn.Conv2d, matrix: Tensor) -> None:
    assert conv.bias is not None
    conv.weight.copy_(torch.einsum("ab,bcij->acij", matrix, conv.weight.double()))
    conv.bias.copy_(matrix @ conv.bias.double())


def _read(conv: nn.Conv2d, matrix: Tensor) -> None:
    conv.weight.copy_(torch.einsum("abij,bc->acij", conv.weight.double(), matrix))
