"""The network: ``output = bicubic(input) + residual(input)``.

The residual is a body of residual blocks at low resolution (He et al., "Deep residual
learning for image recognition", 2016; without batch normalisation as in Lim et al., "Enhanced
deep residual networks for single image super-resolution", 2017) and one pixel-shuffle
(Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel
convolutional neural network", 2016). The global connection from bicubic goes back to Kim et
al., "Accurate image super-resolution using very deep convolutional networks", 2016.

Every operator is local, so a crop with ``NetConfig.halo`` pixels of margin gives the same
pixels as the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srnet.backprojection import BackProjection
from srnet.bicubic import PHASE_REACH, phase_kernels
from srnet.card import Activation, NetConfig

SIZES = {  # name: (features, blocks); parameters at x4
    "fast": (32, 5),  # 0.12 M
    "base": (64, 6),  # 0.51 M
    "large": (96, 20),  # 3.5 M, for a GPU
}

LEAK = 0.1  # slope of leaky ReLU below zero

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(LEAK),
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "prelu": nn.PReLU,
}


def size(name: str, scale: int) -> NetConfig:
    """The configuration of one of :data:`SIZES` at a scale."""
    features, blocks = SIZES[name]
    return NetConfig(scale=scale, features=features, blocks=blocks)


class ZeroPadShortcut(nn.Module):
    """ResNet's option A: every ``stride``-th pixel, new channels filled with zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        if outputs < inputs:
            raise ValueError(f"zero padding cannot shrink {inputs} channels to {outputs}")
        self.extra = outputs - inputs
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, h, w)`` to ``(N, outputs, ceil(h / stride), ceil(w / stride))``."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


class ResidualBlock(nn.Module):
    """3x3 convolution, activation, 3x3 convolution, plus a shortcut around all three.

    Where width or resolution changes, the shortcut is what ResNet (section 3.3) defines:
    ``zero-pad`` (option A, no parameters) or ``projection`` (option B, a 1x1 convolution
    with the same stride). ``none`` leaves a plain block, for ablations. There is no
    activation after the sum: super-resolution bodies keep the path of the shortcut linear.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int | None = None,
        stride: int = 1,
        shortcut: str = "identity",
        activation: Activation = "leaky_relu",
    ) -> None:
        super().__init__()
        outputs = inputs if outputs is None else outputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.act = ACTIVATIONS[activation]()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = _shortcut(shortcut, inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, h, w)`` to ``(N, outputs, ceil(h / stride), ceil(w / stride))``."""
        return self.closed(x, self.act(self.conv1(x)))

    def closed(self, x: Tensor, inner: Tensor) -> Tensor:
        """The result, from the input and what the second convolution reads."""
        branch: Tensor = self.conv2(inner)
        return branch if self.shortcut is None else self.shortcut(x) + branch


def _shortcut(kind: str, inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if kind == "none":
        return None
    if kind == "zero-pad":
        return ZeroPadShortcut(inputs, outputs, stride)
    if kind == "projection":
        return nn.Conv2d(inputs, outputs, 1, stride=stride)
    if kind == "identity":
        if inputs != outputs or stride != 1:
            raise ValueError("identity needs equal shapes: use 'zero-pad' or 'projection'")
        return nn.Identity()
    raise ValueError(f"unknown shortcut {kind!r}: identity, zero-pad, projection or none")


class BicubicBase(nn.Module):
    """Bicubic enlargement (a = -0.5, replicated border) as one fixed convolution."""

    kernels: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        kernels = torch.zeros(3, scale**2, 3, 5, 5)
        for channel in range(3):  # dense, since grouped convolutions are slow on CPUs
            kernels[channel, :, channel] = torch.from_numpy(phase_kernels(scale)).float()
        kernels = kernels.flatten(0, 1)
        self.register_buffer("kernels", kernels, persistent=False)  # (3 * s * s, 3, 5, 5)

    def phases(self, x: Tensor) -> Tensor:
        """``(N, 3, h, w)`` to ``(N, 3 * s * s, h, w)``: what a pixel-shuffle puts in place."""
        r = PHASE_REACH
        return F.conv2d(F.pad(x, (r, r, r, r), mode="replicate"), self.kernels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, h, w)`` to ``(N, 3, s * h, s * w)``, always in float32."""
        with torch.autocast(x.device.type, enabled=False):
            return F.pixel_shuffle(self.phases(x.float()), self.scale)


class NearestBase(nn.Module):
    """Nearest-neighbour enlargement, for ablations."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def phases(self, x: Tensor) -> Tensor:
        """``(N, 3, h, w)`` to ``(N, 3 * s * s, h, w)``: what a pixel-shuffle puts in place."""
        return x.repeat_interleave(self.scale**2, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, h, w)`` to ``(N, 3, s * h, s * w)``, always in float32."""
        return F.pixel_shuffle(self.phases(x.float()), self.scale)


def centred(x: Tensor) -> Tensor:
    """Pixels from 0 to 1 as the first convolution reads them, from -1/2 to 1/2.

    In steps of 1/256, so that bfloat16 holds those of eight bits exactly.
    """
    return (x * 255 - 128) / 256


class SRNet(nn.Module):
    """Super-resolution network; see the head of this file.

    ``(N, 3, h, w)`` float in [0, 1], sRGB-encoded, to ``(N, 3, s * h, s * w)``, not clamped.
    The last layer starts at zero, so an untrained network is its base, bit for bit (and what
    the base lacks to shrink to the input, if it is to be consistent).
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.features
        self.base: BicubicBase | NearestBase | None = _base(config)
        self.missing = BackProjection(config.scale) if config.consistent else None
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(
            *(
                ResidualBlock(width, shortcut=config.shortcut, activation=config.activation)
                for _ in range(config.blocks)
            )
        )
        self.fuse = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3 * config.scale**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(bias_of(self.tail))

    def shallow(self, x: Tensor) -> Tensor:
        """What the blocks begin with: ``(N, 3, h, w)`` to ``(N, features, h, w)``."""
        features: Tensor = self.head(centred(x))
        return features

    def opened(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the blocks begin with, and what is inside the first: each ``(N, features, h, w)``.

        Only pixels are padded, not what lies between the first two convolutions: both are one
        of 5x5 then, which is how they run (:mod:`srnet.folded`). Without blocks, the same twice.
        """
        if not len(self.body):
            shallow = self.shallow(x)
            return shallow, shallow
        around = self.head(F.pad(centred(x), (1, 1, 1, 1)))  # a pixel more on each side
        first = self.first
        inner = first.act(first.conv1(around)[:, :, 1:-1, 1:-1])
        return around[:, :, 1:-1, 1:-1], inner

    @property
    def first(self) -> ResidualBlock:
        """The first block, if there is one."""
        block = self.body[0]
        assert isinstance(block, ResidualBlock)
        return block

    def finished(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """The phases, from what the blocks began with and what the first of them gave."""
        phases: Tensor = self.tail(shallow + self.fuse(self.body[1:](deep)))
        return phases

    def phases(self, x: Tensor) -> Tensor:
        """The residual before the pixel-shuffle: ``(N, 3, h, w)`` to ``(N, 3 * s * s, h, w)``."""
        shallow, inner = self.opened(x)
        deep = self.first.closed(shallow, inner) if len(self.body) else inner
        return self.finished(shallow, deep)

    def residual(self, x: Tensor) -> Tensor:
        """What the last layer gives: ``(N, 3, h, w)`` to ``(N, 3, s * h, s * w)``."""
        return F.pixel_shuffle(self.phases(x), self.config.scale)

    def enlarged(self, x: Tensor, phases: Tensor | None = None) -> Tensor:
        """The base's phases: of the pixels, and of what is missing from them and the residual.

        ``phases`` are those of the residual, which count where the network is to be consistent.
        In float32.
        """
        assert self.base is not None
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            if self.missing is not None:
                assert phases is not None
                x = x + self.missing(x, phases.float())
            return self.base.phases(x)

    def forward(self, x: Tensor) -> Tensor:
        """Base plus residual; the sum is in float32 whatever the residual was computed in."""
        if self.base is None:
            return self.residual(x).float()
        if self.missing is None:
            total: Tensor = self.base(x) + self.residual(x)
            return total
        phases = self.phases(x)
        return F.pixel_shuffle(self.enlarged(x, phases) + phases, self.config.scale)


def _base(config: NetConfig) -> BicubicBase | NearestBase | None:
    if config.base == "bicubic":
        return BicubicBase(config.scale)
    return NearestBase(config.scale) if config.base == "nearest" else None


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias of a convolution that has one."""
    assert conv.bias is not None
    return conv.bias


def parameter_count(net: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(p.numel() for p in net.parameters())
