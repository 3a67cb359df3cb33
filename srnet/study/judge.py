"""Held-out pictures, and how well a network does on them."""

from __future__ import annotations

import math
import time
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn

from srnet.bicubic import resize
from srnet.data import Pixels, content_hash, find_pictures, read_rgb8
from srnet.degrade import clean
from srnet.errors import DataError
from srnet.metrics import luma, psnr

SCALE = 2
_TOGETHER = 8  # pictures in one batch


class Judge:
    """PSNR on Y of the 8-bit result, on the middles of held-out pictures.

    ``low`` is ``(N, 3, h, w)`` and ``high`` ``(N, 3, s * h, s * w)``, float in [0, 1];
    ``pictures`` is the hash of their files.
    """

    def __init__(self, folder: Path, crop: int) -> None:
        files = find_pictures(folder)
        highs = [middle(file, crop, SCALE) for file in files]
        self.pictures = content_hash(files)
        self.targets = [luma(high) for high in highs]
        self.high = _tensor(highs)
        self.low = _tensor([clean(high, SCALE) for high in highs])

    def run(self, net: nn.Module) -> Tensor:
        """What a network makes of the pictures: as ``high``, not clamped."""
        with torch.inference_mode():
            return torch.cat([net(part).float() for part in torch.split(self.low, _TOGETHER)])

    def psnr(self, output: Tensor) -> float:
        """Mean over the pictures, dB."""
        levels = (output.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        pairs = zip(levels, self.targets, strict=True)
        return fmean(psnr(luma(ours), target, SCALE) for ours, target in pairs)

    def seconds(self, net: nn.Module) -> float:
        """Processor time for a megapixel of output; the best of three."""
        times = []
        for _ in range(3):
            start = time.process_time()
            self.run(net)
            times.append(time.process_time() - start)
        return min(times) / (self.high[:, 0].numel() / 1e6)


def middle(file: Path, crop: int, scale: int) -> Pixels:
    """The middle ``(crop, crop, 3)`` pixels of a picture, to be shrunk by ``scale``.

    Raises:
        DataError: it is smaller than that, or flat there: bicubic lacks nothing, and PSNR is
            infinite.
    """
    whole = read_rgb8(file)
    y, x = ((length - crop) // 2 for length in whole.shape[:2])
    if min(y, x) < 0:
        raise DataError(
            f"{file} has {whole.shape[1]} x {whole.shape[0]} pixels, and at least {crop} pixels "
            "each way are needed: take a larger picture"
        )
    high = np.ascontiguousarray(whole[y : y + crop, x : x + crop])
    plain = resize(clean(high, scale), crop, crop)
    if math.isinf(psnr(luma(plain), luma(high), scale)):
        raise DataError(
            f"{file} is flat in its middle, where bicubic lacks nothing: take another picture"
        )
    return high


def _tensor(pictures: list[Pixels]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
