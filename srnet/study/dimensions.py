"""Question 4: width doubles and size halves. Zero-padded identity, or a 1x1 projection?

The network of the other questions has no such place, so this one gets an encoder: two steps
that halve the size and double the width, each followed by a block that keeps both, and one
pixel-shuffle back. The base is bicubic, as everywhere.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from srnet.card import NetConfig
from srnet.model import ResidualBlock, SRNet
from srnet.study.ledger import Row
from srnet.study.trial import Bench
from srnet.train import Run

QUESTION = "dimensions"
KINDS = ("zero-pad", "projection", "none")
_SHRINKS = 4  # the size at the end of the encoder is a quarter


class Encoder(SRNet):
    """``config.features`` channels, then twice and four times as many at half and quarter size.

    Sizes of the input must be multiples of 4.
    """

    def __init__(self, config: NetConfig, shortcut: str) -> None:
        super().__init__(config)
        width = config.features
        self.body = nn.Sequential(
            ResidualBlock(width, 2 * width, stride=2, shortcut=shortcut),
            ResidualBlock(2 * width),
            ResidualBlock(2 * width, 4 * width, stride=2, shortcut=shortcut),
            ResidualBlock(4 * width),
        )
        self.fuse = nn.Conv2d(4 * width, 4 * width, 3, padding=1)
        self.tail = nn.Conv2d(4 * width, 3 * (_SHRINKS * config.scale) ** 2, 3, padding=1)
        for p in self.tail.parameters():
            nn.init.zeros_(p)

    def residual(self, x: Tensor) -> Tensor:
        """``(N, 3, h, w)`` to ``(N, 3, s * h, s * w)`` by way of ``(N, 4 f, h / 4, w / 4)``."""
        deep = self.fuse(self.body(self.shallow(x)))
        return F.pixel_shuffle(self.tail(deep), _SHRINKS * self.config.scale)


def rows(bench: Bench) -> dict[str, list[Row]]:
    """A group of rows for each shortcut."""
    net = bench.net(blocks=4)
    return {kind: bench.train(QUESTION, kind, net, kind=_run_with(kind)) for kind in KINDS}


def _run_with(shortcut: str) -> type[Run]:
    class EncoderRun(Run):
        def network(self) -> SRNet:
            return Encoder(self.config.net, shortcut)

    return EncoderRun
