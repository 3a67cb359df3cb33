"""Eight-bit arithmetic for the residual: what its convolutions are given, and in which steps.

Weights are rounded for each output channel, what goes into a convolution for the whole tensor.
Channels are first scaled against each other, inside each block and along the blocks, which
changes nothing but lets all of them use the whole range (Nagel et al., "Data-free quantization
through weight equalization and bias correction", 2019). The first two convolutions, the
last and the base stay as they are. :mod:`srnet.tune` finds better ranges than the measured ones.
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
from srnet.model import ResidualBlock, SRNet, bias_of

_Floats = npt.NDArray[np.float32]
Ranges = Mapping[str, _Floats]
"""For each convolution by name ``(2, C)``: the least and the largest input of each channel."""

_NOT = ("head", "body.0.conv1", "tail")  # the first two, which are one in float32, and the last
_LEVELS = 255  # steps of eight bits
_LEAST_SHARE = 1e-3  # of the widest channel: no channel is blown up further than that
_SCALABLE = ("relu", "leaky_relu")  # act(a * x) = a * act(x) for positive a


def convolutions(net: SRNet) -> dict[str, nn.Conv2d]:
    """Those that run in eight bits, in the order in which they run."""
    every = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d)}
    return {name: conv for name, conv in every.items() if name not in _NOT}


def measured(net: SRNet, pictures: Iterable[npt.NDArray[np.uint8]]) -> Ranges:
    """What the convolutions are given when the network sees ``pictures``, uint8 ``(h, w, 3)``."""
    ranges: dict[str, npt.NDArray[np.float32]] = {}

    def widen(name: str, x: Tensor) -> None:
        found = torch.stack((x.amin((0, 2, 3)), x.amax((0, 2, 3)))).numpy()
        before = ranges.get(name, found)
        ranges[name] = np.stack((np.minimum(before[0], found[0]), np.maximum(before[1], found[1])))

    _look_at(net, pictures, widen)
    return ranges


def _look_at(
    net: SRNet, pictures: Iterable[npt.NDArray[np.uint8]], see: Callable[[str, Tensor], None]
) -> None:
    with _watched(net, see), torch.inference_mode():
        for picture in pictures:
            x = torch.from_numpy(np.ascontiguousarray(picture)).float().div_(255)
            net.residual(x.permute(2, 0, 1)[None])


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
    by, net = scales(net, ranges), copy.deepcopy(net)
    _divide_outputs(net.head, by["fuse"])
    for index, block in enumerate(net.body):
        assert isinstance(block, ResidualBlock)
        _multiply_inputs(block.conv1, by["fuse"])
        _divide_outputs(block.conv1, by[f"body.{index}.conv2"])
        _multiply_inputs(block.conv2, by[f"body.{index}.conv2"])
        _divide_outputs(block.conv2, by["fuse"])
    _multiply_inputs(net.fuse, by["fuse"])
    _divide_outputs(net.fuse, by["fuse"])
    _multiply_inputs(net.tail, by["fuse"])
    return net, [_limits(ranges[name] / by[name]) for name in shapes]


def scales(net: SRNet, ranges: Ranges) -> dict[str, _Floats]:
    """What the channels that go into each convolution are divided by: ``(C,)`` of each.

    Between two convolutions of a block by the largest value of each channel. What the shortcuts
    carry, from the first convolution to the last, by what each channel needs of the range where
    it needs most.
    """
    largest = {name: np.abs(found).max(axis=0) for name, found in ranges.items()}
    stream = {name: values for name, values in largest.items() if not name.endswith("conv2")}
    needed = [values / max(float(values.max()), 1e-12) for values in stream.values()]
    by = dict.fromkeys(stream, _bounded(np.max(needed, axis=0)))
    for name in largest.keys() - stream.keys():
        by[name] = _bounded(largest[name] if scalable(net) else np.ones_like(largest[name]))
    return by


def scalable(net: SRNet) -> bool:
    """Whether channels may be scaled between the two convolutions of a block."""
    return net.config.activation in _SCALABLE


def _bounded(factors: _Floats) -> _Floats:
    least = max(_LEAST_SHARE * float(np.max(factors)), 1e-12)
    return np.maximum(factors, least).astype(np.float32)


@torch.no_grad()
def _divide_outputs(conv: nn.Conv2d, factors: _Floats) -> None:
    conv.weight /= torch.from_numpy(factors)[:, None, None, None]
    bias_of(conv).div_(torch.from_numpy(factors))


@torch.no_grad()
def _multiply_inputs(conv: nn.Conv2d, factors: _Floats) -> None:
    conv.weight *= torch.from_numpy(factors)[:, None, None]


def _limits(ranges: _Floats) -> tuple[float, float]:
    low, high = min(0.0, float(ranges[0].min())), max(0.0, float(ranges[1].max()))
    step = (high - low) / _LEVELS or 1.0 / _LEVELS  # of an input that is always zero
    zero = round(-low / step)
    return -zero * step, (_LEVELS - zero) * step
