"""The damage of :mod:`srnet.degrade` for batches of patches, on the device that trains.

Blur and shrink are one matrix for each axis of each patch. JPEG is done by its own
arithmetic (ITU-T T.81, with the tables of Annex K scaled by quality, and the smooth chroma
that libjpeg decodes), because no codec works on batches in the memory of a GPU. A test
compares both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from srnet.bicubic import taps
from srnet.degrade import SOFTENING, Damage, Kernel

_LUMA = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56
14 17 22 29 51 87 80 62 18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92
49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
_CHROMA = (
    """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99
47 66 99 99 99 99 99 99"""
    + 32 * " 99"
)
_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))

_KERNELS: tuple[Kernel, ...] = ("bicubic", "area", "linear")


def table(damages: Sequence[Damage]) -> Tensor:
    """The numbers of each damage, ``(N, 7)``."""
    rows = [
        (*d.blur, _KERNELS.index(d.kernel), d.noise, d.grey_noise, d.quality, d.chroma_half)
        for d in damages
    ]
    return torch.tensor(rows, dtype=torch.float32)


def clean(high: Tensor, scale: int) -> Tensor:
    """Shrink a batch ``(N, s * h, s * w, 3)`` of uint8 as the benchmarks do.

    Bit for bit, but for float32 arithmetic where it meets the middle of two levels.
    """
    down, across = (_kernel("bicubic", side, scale, high.device) for side in high.shape[1:3])
    rows = _half_up(down @ high.permute(0, 3, 1, 2).float())
    return _pixels(_half_up(rows @ across.mT))


def vivid(high: Tensor, gain: Tensor, order: Tensor) -> Tensor:
    """Patches ``(N, h, w, 3)`` uint8, further from grey by ``gain`` ``(N,)``.

    ``order`` ``(N, 3)`` says which channel each is taken from. With a gain of 1 and the
    channels in their order a patch stays as it is.
    """
    taken = high.gather(3, order[:, None, None, :].expand(high.shape)).float()
    grey = taken.mean(dim=3, keepdim=True)
    return _levels(torch.lerp(grey, taken, gain.view(-1, 1, 1, 1))).to(torch.uint8)


def damage(high: Tensor, numbers: Tensor, noise: Tensor) -> Tensor:
    """Shrink a batch of patches, each with a damage of its own.

    ``(N, s * h, s * h, 3)`` uint8 to ``(N, h, h, 3)`` uint8; ``h`` is a multiple of 16.
    ``numbers`` is a :func:`table`; ``noise`` is ``(N, 3, h, h)``, of unit variance.
    """
    side, size = high.shape[1], noise.shape[2]
    blur_y, blur_x, kernel, sigma, grey, quality, half = numbers.T.view(7, -1, 1, 1)
    kernels = torch.stack([_kernel(k, side, side // size, high.device) for k in _KERNELS])
    shrink = kernels[kernel.flatten().long()]  # (N, h, s * h)
    down, across = ((shrink @ _gaussian(side, blur))[:, None] for blur in (blur_y, blur_x))
    rows = down @ high.permute(0, 3, 1, 2).float()
    in_two_steps = kernel[..., None] == _KERNELS.index("bicubic")
    low = _half_up(torch.where(in_two_steps, _half_up(rows), rows) @ across.mT)
    noise = torch.lerp(noise, noise[:, :1].expand_as(noise), grey[..., None])
    low = _levels(low + noise * sigma[..., None])
    return _pixels(jpeg(low, quality[..., None], half[..., None]))


def _half_up(x: Tensor) -> Tensor:
    return torch.floor(x + 0.5).clamp(0, 255)


def _levels(x: Tensor) -> Tensor:
    return x.round().clamp(0, 255)


def _pixels(levels: Tensor) -> Tensor:
    return levels.permute(0, 2, 3, 1).to(torch.uint8)


@cache
def _kernel(name: str, size: int, scale: int, device: torch.device) -> Tensor:
    """A shrink as a matrix, ``(size // scale, size)``."""
    count = size // scale
    matrix = np.zeros((count, size))
    lines = np.arange(count)[:, None]
    if name == "bicubic":
        index, weight = taps(size, count, "mirror")
        np.add.at(matrix, (np.broadcast_to(lines, index.shape), index), weight)
    elif name == "area":
        matrix[lines, lines * scale + np.arange(scale)] = 1 / scale
    else:  # linear: the two samples about the centre
        for shift in ((scale - 1) // 2, scale // 2):
            matrix[lines[:, 0], lines[:, 0] * scale + shift] += 0.5
        matrix = matrix @ _gaussian(size, torch.full((1, 1, 1), SOFTENING * scale))[0].numpy()
    return torch.from_numpy(matrix).float().to(device)


def _gaussian(size: int, sigma: Tensor) -> Tensor:
    """Blurs as matrices, ``(N, 1, 1)`` to ``(N, size, size)``, as wide as OpenCV's for 8 bits.

    None at all where sigma is 0.
    """
    along = torch.arange(size, device=sigma.device, dtype=torch.float32)
    distance = along[:, None] - along
    weight = torch.exp(-0.5 * (distance / sigma.clamp_min(1e-3)) ** 2)
    weight = weight * (distance.abs() <= torch.floor(torch.round(6 * sigma + 1) / 2))
    return weight / weight.sum(dim=2, keepdim=True)


def jpeg(rgb: Tensor, quality: Tensor, chroma_half: Tensor) -> Tensor:
    """Through JPEG and back, ``(N, 3, h, w)`` in levels; ``h`` and ``w`` multiples of 16.

    ``quality`` and ``chroma_half`` are ``(N, 1, 1, 1)``; patches with quality 0 stay.
    """
    to_ycc, to_rgb, middle, luma, chroma, _ = _constants(rgb.device)
    ycc = _levels(torch.einsum("cd,ndhw->nchw", to_ycc, rgb) + middle)
    fine, coarse = (_steps(table, quality) for table in (luma, chroma))
    full = _blocks(ycc[:, 1:], coarse)
    half = _blocks(_levels(F.avg_pool2d(ycc[:, 1:], 2)), coarse)
    half = _levels(F.interpolate(half, scale_factor=2.0, mode="bilinear"))  # libjpeg's triangle
    back = torch.cat([_blocks(ycc[:, :1], fine), torch.where(chroma_half > 0, half, full)], 1)
    back = _levels(torch.einsum("cd,ndhw->nchw", to_rgb, back - middle))
    return torch.where(quality > 0, back, rgb)


@cache
def _constants(device: torch.device) -> tuple[Tensor, ...]:
    """Colours to YCbCr and back, its grey, the two tables of steps, the cosine transform of 8."""
    tables = [torch.tensor([float(v) for v in t.split()]).view(8, 8) for t in (_LUMA, _CHROMA)]
    k, n = torch.arange(8).view(8, 1), torch.arange(8)
    dct = torch.cos((2 * n + 1) * k * torch.pi / 16) / 2
    dct[0] /= 2**0.5  # orthonormal
    middle = torch.tensor([0.0, 128.0, 128.0]).view(3, 1, 1)
    colours = (torch.tensor(_YCC), torch.tensor(_RGB), middle)
    return tuple(t.to(device) for t in (*colours, *tables, dct))


def _steps(table: Tensor, quality: Tensor) -> Tensor:
    """Steps of quantisation for each patch, ``(N, 1, 1, 1, 8, 8)``, as libjpeg scales them."""
    quality = quality.clamp_min(1)
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    steps = ((table * percent + 50) / 100).floor().clamp(1, 255)
    return steps.view(-1, 1, 1, 1, 8, 8)


def _blocks(plane: Tensor, steps: Tensor) -> Tensor:
    """Quantised in blocks of 8 x 8, ``(N, C, h, w)`` in levels."""
    n, c, height, width = plane.shape
    dct = _constants(plane.device)[-1]
    blocks = plane.reshape(n, c, height // 8, 8, width // 8, 8).transpose(3, 4) - 128
    coefficients = (dct @ blocks @ dct.mT / steps).round() * steps
    back = dct.mT @ coefficients @ dct + 128
    return _levels(back.transpose(3, 4).reshape(plane.shape))
