"""Question 3: do identity shortcuts inside the blocks matter, and from which depth on?"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from srnet.model import SRNet
from srnet.study.ledger import Row
from srnet.study.trial import Bench
from srnet.train import Run

QUESTION = "depth"
FEATURES = 16  # narrower than elsewhere, because of 32 blocks


class Bare(SRNet):
    """Without the long connection from the head to the end of the body either."""

    def residual(self, x: Tensor) -> Tensor:
        """As the product's, but nothing leads around the body."""
        deep = self.fuse(self.body(self.shallow(x)))
        return F.pixel_shuffle(self.tail(deep), self.config.scale)


class BareRun(Run):
    """Trains a :class:`Bare` network."""

    def network(self) -> SRNet:
        """The untrained network."""
        return Bare(self.config.net)


def rows(bench: Bench) -> dict[str, list[Row]]:
    """Residual blocks, plain blocks, and plain blocks without the long connection."""
    found = {}
    features = min(FEATURES, bench.budget.features)
    for depth in bench.budget.depths:
        for name, shortcut, kind in (
            ("residual", "identity", Run),
            ("plain", "none", Run),
            ("bare", "none", BareRun),
        ):
            net = bench.net(features=features, blocks=depth, shortcut=shortcut)
            variant = f"{name} {depth}"
            found[variant] = bench.train(QUESTION, variant, net, share=0.5, kind=kind)
    return found
