"""Ranges for eight bits, learned: those with which rounding changes the residual least.

Gradient descent on the limits of what goes into each convolution and on the scales of channels
against each other, which :func:`srnet.quantise.prepared` sets by rule; rounding is passed by as
if it were not there (Esser et al., "Learned step size quantization", 2020, for the steps; weights
stay as they are here). Measured ranges are wide, since edges are rare; learned ones cost nothing
to run. What they gained is in ``docs/speed.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srnet.model import ResidualBlock, SRNet, bias_of
from srnet.quantise import Ranges, convolutions, prepared, scalable, scales

_BATCH, _SIDE = 8, 48  # patches, and their pixels across
_RATE = 0.02  # of the logarithms of limits and scales
_NOTHING = 1e-9  # a squared error that is none
_ACTIVATION_STEPS, _WEIGHT_LEVEL = 255, 127
_SEED = 0


def tuned(
    net: SRNet, ranges: Ranges, pictures: Sequence[npt.NDArray[np.uint8]], steps: int
) -> Ranges:
    """Better ranges than ``ranges``, after ``steps`` steps on patches of ``pictures``.

    Each patch counts by the logarithm of its error, so that hard edges, where it is a hundred
    times that of a photograph, are not all that is looked at.
    """
    rounded = _Rounded(*prepared(net, ranges))
    rounded.inner.requires_grad_(scalable(net))
    optimizer = torch.optim.Adam([p for p in rounded.parameters() if p.requires_grad], lr=_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, max(steps, 1))
    rng = np.random.default_rng(_SEED)
    for _ in range(steps):
        batch = crops(pictures, rng)
        with torch.no_grad():
            exact = rounded.net.residual(batch)
        errors = (rounded(batch) - exact).square().mean((1, 2, 3))
        optimizer.zero_grad()
        (errors + _NOTHING).log().mean().backward()
        optimizer.step()
        schedule.step()
    return rounded.ranges(scales(net, ranges))


def crops(
    pictures: Sequence[npt.NDArray[np.uint8]], rng: np.random.Generator, tries: int = 1
) -> Tensor:
    """Patches ``(N, 3, h, w)`` from 0 to 1, each the one of ``tries`` with the hardest edges."""
    chosen = [pictures[i] for i in rng.integers(len(pictures), size=_BATCH)]
    side = min(_SIDE, *(min(p.shape[:2]) for p in chosen))
    cut = []
    for p in chosen:
        tried = [_cut(p, side, rng) for _ in range(tries)]
        cut.append(torch.from_numpy(max(tried, key=_hardness).copy()))
    return torch.stack(cut).permute(0, 3, 1, 2).float().div_(255)


def _cut(
    picture: npt.NDArray[np.uint8], side: int, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    y, x = (int(rng.integers(n - side + 1)) for n in picture.shape[:2])
    return picture[y : y + side, x : x + side]


def _hardness(patch: npt.NDArray[np.uint8]) -> float:
    """Mean difference between neighbours, in levels."""
    return float(np.abs(np.diff(patch.astype(np.int16), axis=0)).mean())


class _Rounded(nn.Module):
    """The residual of a prepared network in eight bits; logarithms of what changes are learned."""

    def __init__(self, net: SRNet, limits: Sequence[tuple[float, float]]) -> None:
        super().__init__()
        self.net = net.requires_grad_(False)
        self.limits = torch.tensor(limits)  # (convolutions, 2)
        width = net.config.features
        self.ends = nn.Parameter(torch.zeros_like(self.limits))
        self.stream = nn.Parameter(torch.zeros(width))
        self.inner = nn.Parameter(torch.zeros(net.config.blocks, width))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, h, w)`` to ``(N, 3, s * h, s * w)``, as :meth:`SRNet.residual`."""
        net, stream = self.net, self.stream.exp()
        ends = iter(self.limits * self.ends.exp())
        shallow, between = net.opened(x)
        deep = shallow = shallow / stream[:, None, None]
        for index, (block, inner) in enumerate(zip(net.body, self.inner.exp(), strict=True)):
            assert isinstance(block, ResidualBlock)
            if index:
                between = block.act(_convolved(deep, block.conv1, next(ends), stream, inner))
            else:
                between = between / inner[:, None, None]
            branch = _convolved(between, block.conv2, next(ends), inner, stream)
            deep = branch if block.shortcut is None else block.shortcut(deep) + branch
        deep = shallow + _convolved(deep, net.fuse, next(ends), stream, stream)
        phases: Tensor = net.tail(deep * stream[:, None, None])
        return F.pixel_shuffle(phases, net.config.scale)

    @torch.no_grad()
    def ranges(self, by: dict[str, npt.NDArray[np.float32]]) -> Ranges:
        """For the network before it was prepared, whose channels were divided ``by``."""
        limits = (self.limits * self.ends.exp()).numpy()
        stream, inner = self.stream.exp().numpy(), iter(self.inner.exp().numpy())
        found = {}
        for name, ends in zip(convolutions(self.net), limits, strict=True):
            own = next(inner) if name.endswith("conv2") else stream
            found[name] = ends[:, None] * (by[name] * own)
        return found


def _convolved(x: Tensor, conv: nn.Conv2d, ends: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """With input channels divided by ``before``, and output channels by ``after``."""
    weight = conv.weight * before[:, None, None] / after[:, None, None, None]
    step = weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12) / _WEIGHT_LEVEL
    return F.conv2d(
        _stepped(x, ends), _whole(weight / step) * step, bias_of(conv) / after, padding=1
    )


def _stepped(x: Tensor, ends: Tensor) -> Tensor:
    """``x`` in 256 steps between two ends, of which zero is one."""
    low, high = ends[0], ends[1]
    step = (high - low) / _ACTIVATION_STEPS
    zero = _whole(-low / step)
    steps: Tensor = _whole((x / step + zero).clamp(0, _ACTIVATION_STEPS)) - zero
    return steps * step


def _whole(x: Tensor) -> Tensor:
    """Round, with the gradient of not rounding."""
    error: Tensor = (x.round() - x).detach()
    return torch.add(x, error)
