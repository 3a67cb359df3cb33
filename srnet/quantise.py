"""Eight-bit arithmetic for the residual: what its convolutions are given, and in which steps.

Weights are rounded for each output channel, what goes into a convolution for the whole tensor,
from its smallest to its largest value on pictures that were measured. Inside a block the
channels are first scaled against each other, which changes nothing but lets all of them use the
whole range (Nagel et al., "Data-free quantization through weight equalization and bias
correction", 2019). The first convolution and the base stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from srnet.errors import WeightsError
from srnet.model import ResidualBlock, SRNet

Ranges = Mapping[str, npt.NDArray[np.float32]]
"""For each convolution by name ``(2, C)``: the least and the largest input of each channel."""

_LEVELS = 255  # steps of eight bits
_LEAST_SHARE = 1e-3  # of the widest channel: no channel is blown up further than that
_SCALABLE = ("relu", "leaky_relu")  # act(a * x) = a * act(x) for positive a


def convolutions(net: SRNet) -> dict[str, nn.Conv2d]:
    """Those that run in eight bits, in the order in which they run: all but the first."""
    every = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d)}
    return {name: conv for name, conv in every.items() if name != "head"}


def measured(net: SRNet, pictures: Iterable[npt.NDArray[np.uint8]]) -> Ranges:
    """What the convolutions are given when the network sees ``pictures``, uint8 ``(h, w, 3)``."""
    ranges: dict[str, npt.NDArray[np.float32]] = {}

    def widen(name: str, x: Tensor) -> None:
        found = torch.stack((x.amin((0, 2, 3)), x.amax((0, 2, 3)))).numpy()
        before = ranges.get(name, found)
        ranges[name] = np.stack((np.minimum(before[0], found[0]), np.maximum(before[1], found[1])))

    with _watched(net, widen), torch.inference_mode():
        for picture in pictures:
            x = torch.from_numpy(np.ascontiguousarray(picture)).float().div_(255)
            net.residual(x.permute(2, 0, 1)[None])
    return ranges


@contextmanager
def _watched(net: SRNet, see: Callable[[str, Tensor], None]) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda _, inputs: see(name, inputs[0])

    handles = [c.register_forward_pre_hook(hook(n)) for n, c in convolutions(net).items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def prepared(net: SRNet, ranges: Ranges) -> tuple[SRNet, list[tuple[float, float]]]:
    """An equal network that bears rounding better, and the limits of what is rounded.

    The limits are the least and the largest value of each input, in the order of
    :func:`convolutions`; zero is one of the 256 values between them.

    Raises:
        WeightsError: the ranges are not those of this network.
    """
    shapes = {name: (2, conv.in_channels) for name, conv in convolutions(net).items()}
    if {name: found.shape for name, found in ranges.items()} != shapes:
        raise WeightsError("the ranges for eight bits are of another network: calibrate again")
    net, ranges = copy.deepcopy(net), dict(ranges)
    if net.config.activation in _SCALABLE:
        for index, block in enumerate(net.body):
            assert isinstance(block, ResidualBlock)
            name = f"body.{index}.conv2"
            ranges[name] = ranges[name] / _balance(block, np.abs(ranges[name]).max(axis=0))
    return net, [_limits(ranges[name]) for name in shapes]


@torch.no_grad()
def _balance(block: ResidualBlock, largest: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Divide what is between the two convolutions by ``largest`` of each channel."""
    largest = np.maximum(largest, max(_LEAST_SHARE * float(largest.max()), 1e-12))
    factors = torch.from_numpy(largest.astype(np.float32))
    block.conv1.weight /= factors[:, None, None, None]
    assert block.conv1.bias is not None
    block.conv1.bias /= factors
    block.conv2.weight *= factors[:, None, None]
    return largest


def _limits(ranges: npt.NDArray[np.float32]) -> tuple[float, float]:
    low, high = min(0.0, float(ranges[0].min())), max(0.0, float(ranges[1].max()))
    step = (high - low) / _LEVELS or 1.0 / _LEVELS  # of an input that is always zero
    zero = round(-low / step)
    return -zero * step, (_LEVELS - zero) * step
