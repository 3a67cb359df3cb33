"""Another basis for what flows along the blocks: the same function, less changed by rounding.

The shortcuts carry the same channels from the first convolution to the last, and only
convolutions write or read them. Any invertible matrix may be multiplied into all that write, if
its inverse is multiplied into all that read: in exact arithmetic nothing changes. In bfloat16
each channel is rounded by a part of its own size, so that much is lost where large channels
nearly cancel. The matrix is learned by gradient descent, for networks that are rounded to a few
bits in Liu et al., "SpinQuant: LLM quantization with learned rotations", 2024; here it need not
be a rotation. It costs nothing to run. What it gained is in ``docs/speed.md``.

Inside the first block, which loses most, channels are brought into the order of what rounding
each of them changes: :mod:`srnet.folded` keeps more of the first ones.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srnet.model import ResidualBlock, SRNet, bias_of
from srnet.tune import crops

_NOISE = 1 / 128  # relative, each way: four times what bfloat16 does at most
_RATE = 0.01
_TRIES = 4  # the largest differences are at hard edges
_ORDER_STEPS = 30  # for the order inside the first block, at most
_NOTHING = 1e-16  # a fourth power of an error that is none
_SEED = 0


def turned(net: SRNet, pictures: Sequence[npt.NDArray[np.uint8]], steps: int) -> SRNet:
    """An equal network, in the basis found in ``steps`` steps on patches of ``pictures``.

    Each patch counts by the logarithm of its error, which is the fourth root of the mean fourth
    power, since the largest differences are what is to be small. Then :func:`ordered`.
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
    return ordered(changed(net, basis.detach()), pictures, min(steps, _ORDER_STEPS))


def _disturbed(net: SRNet, basis: Tensor, x: Tensor) -> Tensor:
    """:meth:`SRNet.phases` with noise on what flows along the blocks, as seen in the basis."""
    there, back = basis[:, :, None, None], torch.linalg.inv(basis)[:, :, None, None]

    def kept(flowing: Tensor) -> Tensor:
        channels = F.conv2d(flowing, there)
        noise = 1 + _NOISE * (2 * torch.rand_like(channels) - 1)
        return F.conv2d(channels * noise, back)

    shallow, deep = net.opened(x)
    shallow = kept(shallow)
    if len(net.body):
        deep = kept(net.first.closed(kept(shallow), deep))
    for block in list(net.body)[1:]:
        deep = kept(block(deep))
    phases: Tensor = net.tail(kept(shallow + net.fuse(deep)))
    return phases


def ordered(net: SRNet, pictures: Sequence[npt.NDArray[np.uint8]], steps: int) -> SRNet:
    """An equal network: inside its first block those channels come first that lose most.

    What is lost by a channel is how much the result changes with it, by a random projection of
    the result, times what rounding to bfloat16 changes in it.
    """
    if not steps or not len(net.body):
        return net
    rng, draw = np.random.default_rng(_SEED), torch.Generator().manual_seed(_SEED)
    lost = torch.zeros(net.config.features)
    for _ in range(steps):
        shallow, inner = net.opened(crops(pictures, rng, _TRIES))
        inner.requires_grad_()
        phases = net.finished(shallow, net.first.closed(shallow, inner))
        (slope,) = torch.autograd.grad((phases * _random(phases, draw)).sum(), inner)
        errors = ((inner.bfloat16().float() - inner) * slope).detach().square().mean((2, 3))
        lost += (errors / (errors.sum(1, keepdim=True) + _NOTHING)).sum(0)
    return _permuted(net, lost.argsort(descending=True, stable=True))


def _random(like: Tensor, draw: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=draw)


@torch.no_grad()
def _permuted(net: SRNet, order: Tensor) -> SRNet:
    net = copy.deepcopy(net)
    conv1, conv2 = net.first.conv1, net.first.conv2
    conv1.weight.copy_(conv1.weight[order])
    bias_of(conv1).copy_(bias_of(conv1)[order])
    conv2.weight.copy_(conv2.weight[:, order])
    return net


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
    conv.weight.copy_(torch.einsum("ab,bcij->acij", matrix, conv.weight.double()))
    bias_of(conv).copy_(matrix @ bias_of(conv).double())


def _read(conv: nn.Conv2d, matrix: Tensor) -> None:
    conv.weight.copy_(torch.einsum("abij,bc->acij", conv.weight.double(), matrix))
