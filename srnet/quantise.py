"""Eight-bit arithmetic for the residual: what its convolutions are given, and in which steps.

Weights are rounded for each output channel, what goes into a convolution for the whole tensor,
over that share of its range on measured pictures that costs the least: where the largest values
are rare, finer steps for the rest are worth more. Channels are first scaled against each other,
inside each block and along the blocks, which changes nothing but lets all of them use the whole
range (Nagel et al., "Data-free quantization through weight equalization and bias correction",
2019). The first and the last convolution and the base stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from srnet.errors import WeightsError
from srnet.model import ResidualBlock, SRNet

_Floats = npt.NDArray[np.float32]
Ranges = Mapping[str, _Floats]
"""For each convolution by name ``(2, C)``: the least and the largest input of each channel."""

_LEVELS = 255  # steps of eight bits
_LEAST_SHARE = 1e-3  # of the widest channel: no channel is blown up further than that
_SHARES = (1.0, 0.85, 0.7, 0.6, 0.5)  # of a measured range, to choose from
_SCALABLE = ("relu", "leaky_relu")  # act(a * x) = a * act(x) for positive a


def convolutions(net: SRNet) -> dict[str, nn.Conv2d]:
    """Those that run in eight bits, in the order in which they run: not the first and the last."""
    every = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d)}
    return {name: conv for name, conv in every.items() if name not in ("head", "tail")}


def measured(net: SRNet, pictures: Iterable[npt.NDArray[np.uint8]]) -> Ranges:
    """What the convolutions are given when the network sees ``pictures``, uint8 ``(h, w, 3)``."""
    ranges: dict[str, npt.NDArray[np.float32]] = {}

    def widen(name: str, x: Tensor) -> None:
        found = torch.stack((x.amin((0, 2, 3)), x.amax((0, 2, 3)))).numpy()
        before = ranges.get(name, found)
        ranges[name] = np.stack((np.minimum(before[0], found[0]), np.maximum(before[1], found[1])))

    _look_at(net, pictures, widen)
    return ranges


def narrowed(net: SRNet, ranges: Ranges, pictures: Iterable[npt.NDArray[np.uint8]]) -> Ranges:
    """The share of each range with which rounding ``pictures`` costs the least squared error."""
    ready, limits = prepared(net, ranges)
    within = dict(zip(ranges, limits, strict=True))
    errors = {name: np.zeros(len(_SHARES)) for name in ranges}

    def weigh(name: str, x: Tensor) -> None:
        for index, share in enumerate(_SHARES):
            low, high = (share * limit for limit in within[name])
            step = (high - low) / _LEVELS
            rounded = x.clamp(low, high).div_(step).round_().mul_(step)
            errors[name][index] += float(rounded.sub_(x).square_().mean())

    _look_at(ready, pictures, weigh)
    return {n: found * np.float32(_SHARES[errors[n].argmin()]) for n, found in ranges.items()}


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
    net, ranges = copy.deepcopy(net), dict(ranges)
    stream = [name for name in shapes if not name.endswith("conv2")]
    factors = _balance_stream(net, [np.abs(ranges[name]).max(axis=0) for name in stream])
    ranges |= {name: ranges[name] / factors for name in stream}
    if net.config.activation in _SCALABLE:
        for index, block in enumerate(net.body):
            assert isinstance(block, ResidualBlock)
            name = f"body.{index}.conv2"
            ranges[name] = ranges[name] / _balance(block, np.abs(ranges[name]).max(axis=0))
    return net, [_limits(ranges[name]) for name in shapes]


def _balance_stream(net: SRNet, largest: Sequence[_Floats]) -> _Floats:
    """Divide what the shortcuts carry, from the first convolution to the last.

    By what each channel needs of the range, where it needs most: ``largest`` has its largest
    values at each place.
    """
    factors = np.max([values / max(float(values.max()), 1e-12) for values in largest], axis=0)
    factors = _bounded(factors)
    _divide_outputs(net.head, factors)
    for block in net.body:
        assert isinstance(block, ResidualBlock)
        _multiply_inputs(block.conv1, factors)
        _divide_outputs(block.conv2, factors)
    _multiply_inputs(net.fuse, factors)
    _divide_outputs(net.fuse, factors)
    _multiply_inputs(net.tail, factors)
    return factors


def _balance(block: ResidualBlock, largest: _Floats) -> _Floats:
    """Divide what is between the two convolutions by ``largest`` of each channel."""
    factors = _bounded(largest)
    _divide_outputs(block.conv1, factors)
    _multiply_inputs(block.conv2, factors)
    return factors


def _bounded(factors: _Floats) -> _Floats:
    least = max(_LEAST_SHARE * float(factors.max()), 1e-12)
    return np.maximum(factors, least).astype(np.float32)


@torch.no_grad()
def _divide_outputs(conv: nn.Conv2d, factors: _Floats) -> None:
    assert conv.bias is not None
    conv.weight /= torch.from_numpy(factors)[:, None, None, None]
    conv.bias /= torch.from_numpy(factors)


@torch.no_grad()
def _multiply_inputs(conv: nn.Conv2d, factors: _Floats) -> None:
    conv.weight *= torch.from_numpy(factors)[:, None, None]


def _limits(ranges: _Floats) -> tuple[float, float]:
    low, high = min(0.0, float(ranges[0].min())), max(0.0, float(ranges[1].max()))
    step = (high - low) / _LEVELS or 1.0 / _LEVELS  # of an input that is always zero
    zero = round(-low / step)
    return -zero * step, (_LEVELS - zero) * step
