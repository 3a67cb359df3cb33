"""What training makes small: the error of a batch, as one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from srnet.metrics import LUMA

_LUMA_SHARE = 0.5  # of the error that is looked at in luma alone; the rest is in all colours
_NOTHING = 1e-6  # a squared error that is none: 60 dB


@dataclass(frozen=True)
class Loss:
    """Of results and targets, both ``(N, 3, H, W)`` from 0 to 1; it ends a run at ``bound``."""

    of: Callable[[Tensor, Tensor], Tensor]
    bound: float  # where everything is as wrong as it can be; bicubic is far below


def psnr_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean over patches of the logarithm of their squared error: minus PSNR, in units of 4.3 dB.

    Half of it is the PSNR of luma, as :mod:`srnet.metrics` measures it, and half that of RGB,
    without which colours would be left alone. Each patch counts for its relative error, however
    much detail is in it (Chen et al., "HINet: half instance normalization network for image
    restoration", 2021).
    """
    difference = output - target
    red, green, blue = difference.unbind(1)
    luma = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue) / 255
    return _LUMA_SHARE * _logarithm(luma) + (1 - _LUMA_SHARE) * _logarithm(difference)


def _logarithm(difference: Tensor) -> Tensor:
    return (difference.flatten(1).square().mean(1) + _NOTHING).log().mean()


LOSSES = {"l1": Loss(F.l1_loss, 1.0), "psnr": Loss(psnr_loss, 0.0)}
