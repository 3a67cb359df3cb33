"""``srnet train`` with one thing changed that is no option of it: rows of docs/training.md, again.

Run with ``python -m tests.bench.ablations VARIANT PHOTOGRAPHS -o FILE [options of srnet train]``.
What lost is kept here only, not in the package. The card of the file does not know of the change.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from srnet import losses, model, patches
from srnet.card import Activation, NetConfig
from srnet.cli import main
from srnet.losses import Loss


def charbonnier(output: Tensor, target: Tensor) -> Tensor:
    """The mean absolute error, round at zero."""
    return ((output - target).square() + 1e-6).sqrt().mean()


def root(output: Tensor, target: Tensor) -> Tensor:
    """The root of the mean squared error of each patch, their mean."""
    return ((output - target).flatten(1).square().mean(1) + 1e-6).sqrt().mean()


def even(picture: np.ndarray, cell: int, cells: int) -> np.ndarray:
    """Of each place for a patch the same: crops are drawn evenly, not by detail."""
    rows, columns = (side // cell - cells + 1 for side in picture.shape[:2])
    return np.ones((rows, columns), np.float32)


def loss(of: Callable[[Tensor, Tensor], Tensor], bound: float) -> None:
    """Take another loss where the mean absolute error is asked for."""
    losses.LOSSES["l1"] = Loss(of, bound)


def luma(share: float) -> None:
    """Take minus PSNR, with that share of it of luma alone, and the rest of RGB."""
    losses._LUMA_SHARE = share
    loss(losses.psnr_loss, 0.0)


def activation(kind: Activation, size: Callable[[str, int], NetConfig] = model.size) -> None:
    """Make new networks with another activation."""
    model.size = lambda name, scale: replace(size(name, scale), activation=kind)


VARIANTS: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "squared": partial(loss, F.mse_loss, 1.0),
    "charbonnier": partial(loss, charbonnier, 1.0),
    "root": partial(loss, root, 1.0),
    "logarithm": partial(luma, 0.0),
    "luma": partial(luma, 0.9),
    "even": lambda: setattr(patches, "_detail", even),
    "relu": partial(activation, "relu"),
    "prelu": partial(activation, "prelu"),
    "silu": partial(activation, "silu"),
}

if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in VARIANTS:
        sys.exit(f"the first word is what to change: {', '.join(VARIANTS)}")
    VARIANTS[sys.argv[1]]()
    sys.exit(main(["train", *sys.argv[2:]]))
