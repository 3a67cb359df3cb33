"""The network with an activation, or a sum, inside each convolution (oneDNN's post-operations).

PyTorch carries these operations for its compiler, which makes the same of a network but needs a
C++ compiler and a minute; nothing else in PyTorch's interface reaches them. They save a pass over
memory each, and in bfloat16 a rounding each: what an activation reads, and the terms of a sum,
stay in float32. In float32 the results are the same.
"""

from __future__ import annotations

import platform
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srnet.card import Activation, NetConfig
from srnet.folded import Folded
from srnet.model import LEAK, ResidualBlock, SRNet, centred

_Post = tuple[str, list[float]]

_NONE: _Post = ("none", [])
_POST: dict[Activation, _Post] = {"relu": ("relu", []), "leaky_relu": ("leaky_relu", [LEAK])}
_ONES = [1, 1]  # stride, dilation


def fits(config: NetConfig, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether :class:`Fused` can run a network here: on x86 processors, with oneDNN."""
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if not config.blocks or config.shortcut != "identity" or config.activation not in _POST:
        return False
    return _work(dtype)


@cache
def _work(dtype: torch.dtype) -> bool:
    """Whether the operations are there and do what they should: no promise of PyTorch's."""
    ramp = torch.linspace(-1, 1, 2 * 9).to(dtype)
    x = ramp[:8].reshape(1, 2, 2, 2).contiguous(memory_format=torch.channels_last)
    kernel = ramp.reshape(1, 2, 3, 3).repeat(2, 1, 1, 1)
    try:
        inside = _pointwise(x, kernel, None, _POST["leaky_relu"])
        total = _plus(x, kernel, None, x.clone())
    except (AttributeError, RuntimeError, TypeError):  # no oneDNN, no bfloat16, other arguments
        return False
    expected = F.conv2d(x.float(), kernel.float(), padding=1)
    pairs = ((inside, F.leaky_relu(expected, LEAK)), (total, expected + x.float()))
    return all(torch.allclose(a.float(), b, rtol=0.01, atol=0.01) for a, b in pairs)


class Fused(Folded):
    """An equal network, for where it :func:`fits`. Parameters are copies.

    In bfloat16 all but the first convolutions run in it, with the fine channels of
    :mod:`srnet.folded`; and the last, where there are those: its result would be rounded, and it
    is 2 to 6 % of the work. Autocast is neither needed nor heeded.
    """

    def __init__(self, net: SRNet, dtype: torch.dtype) -> None:
        coarse = dtype != torch.float32
        super().__init__(net, fine=coarse, joined=coarse)
        self.dtype = dtype
        self.post = _POST[net.config.activation]
        for part in (self.head, self.body, self.fuse):
            part.to(dtype)
        if not self.fine:
            self.tail.to(dtype)
        self.side = self.side.to(dtype)

    def phases(self, x: Tensor) -> Tensor:
        """See :meth:`srnet.model.SRNet.phases`."""
        # in the other layout the sum is rounded before, in a copy
        pixels = centred(x.float()).contiguous(memory_format=torch.channels_last)
        shallow = _convolved(pixels.to(self.dtype), self.head)
        deep = self._first(pixels, shallow)
        for block in self.body[1:].children():
            assert isinstance(block, ResidualBlock)
            deep = _added(_convolved(deep, block.conv1, self.post), block.conv2, deep)
        return _convolved(_added(deep, self.fuse, shallow).to(self.tail.weight.dtype), self.tail)

    def _first(self, pixels: Tensor, shallow: Tensor) -> Tensor:
        """What the first block gives; its shortcut is in :meth:`_side` where channels are fine."""
        inner, conv = self._inner(pixels, slice(self.fine, None)), self.first.conv2
        if not self.fine:
            return _added(inner.to(self.dtype), conv, shallow.clone())
        read = torch.cat((self._read(pixels), inner), dim=1).to(self.dtype)
        return _pointwise(read, self.side, conv.bias, _NONE)

    def _inner(self, pixels: Tensor, channels: slice) -> Tensor:
        return _pointwise(pixels, self.kernel[channels], self.bias[channels], self.post)


def _convolved(x: Tensor, conv: nn.Conv2d, post: _Post = _NONE) -> Tensor:
    return _pointwise(x, conv.weight, conv.bias, post)


def _pointwise(x: Tensor, kernel: Tensor, bias: Tensor | None, post: _Post) -> Tensor:
    """A convolution that keeps the size, and ``post`` of what it gives."""
    edge = [kernel.shape[-1] // 2] * 2
    run = torch.ops.mkldnn._convolution_pointwise
    found: Tensor = run(x, kernel, bias, edge, _ONES, _ONES, 1, *post, "")
    return found


def _added(x: Tensor, conv: nn.Conv2d, to: Tensor) -> Tensor:
    return _plus(x, conv.weight, conv.bias, to)


def _plus(x: Tensor, kernel: Tensor, bias: Tensor | None, to: Tensor) -> Tensor:
    """``to`` plus a convolution that keeps the size, in the place of ``to``."""
    edge = [kernel.shape[-1] // 2] * 2
    run = torch.ops.mkldnn._convolution_pointwise_.binary
    found: Tensor = run(to, x, kernel, bias, edge, _ONES, _ONES, 1, "add", 1, None, [], None)
    return found
