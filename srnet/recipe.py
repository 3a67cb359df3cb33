"""How a network is trained: the settings of a run, and the optimisers they mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from srnet.card import NAME, Degradation, NetConfig, named
from srnet.errors import OptionError
from srnet.optim import Muon
from srnet.weights import read_card

HABITS = ("log_every", "save_every", "validate_every")  # no result depends on these


@dataclass(frozen=True)
class TrainConfig:
    """All that a run depends on, apart from its pictures."""

    name: str  # <family>-x<scale>
    net: NetConfig
    degradation: Degradation = "clean"

    iterations: int = 20_000
    batch: int = 16  # patches an iteration, on each process
    patch: int = 48  # low-resolution pixels each way
    graphics: float = 0.0  # share of the patches that are drawn text and shapes
    flat: float = 0.0  # share of the patches that are of one colour
    undamaged: float = 0.33  # share of the patches of ``photo`` that are only shrunk

    loss: Literal["l1", "psnr"] = "l1"  # see srnet/losses.py
    optimizer: Literal["muon", "adam"] = "muon"
    lr: float = 1e-3  # peak; linear warm-up, then cosine to 1 % of it
    warmup: int = 100  # iterations
    clip: float = 1.0  # largest norm of the gradient
    ema: float = 0.999  # decay of the averaged weights that are saved

    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False

    log_every: int = 50
    save_every: int = 500
    validate_every: int = 2_000

    def __post_init__(self) -> None:
        if not named(self.name, self.net.scale):
            raise OptionError(
                f"weights at x{self.net.scale} cannot be called {self.name!r}: "
                f"call them <family>-x{self.net.scale}, in {NAME}"
            )
        for field in ("iterations", "batch", "patch", "log_every", "save_every", "validate_every"):
            if getattr(self, field) < 1:
                raise OptionError(f"{field} must be at least 1, not {getattr(self, field)}")
        if not 0 < self.lr < math.inf:  # also refuses NaN
            raise OptionError(f"lr must be a number above 0, not {self.lr:g}")
        if not 0 <= self.seed < 2**63:
            raise OptionError(f"seed must be a whole number from 0 on, not {self.seed}")
        for field in ("graphics", "flat", "undamaged"):
            if not 0 <= getattr(self, field) <= 1:
                raise OptionError(f"{field} must be between 0 and 1, not {getattr(self, field)}")
        if self.graphics + self.flat > 1:
            raise OptionError(
                "graphics and flat are shares of the same patches: "
                f"together at most 1, not {self.graphics + self.flat:g}"
            )


def consistent(output: Path, degradation: str) -> bool:
    """What was only shrunk can be shrunk to again; damage is not to come back.

    A run that goes on stays what it was.
    """
    if output.exists() and output.with_suffix(".ckpt").exists():
        return read_card(output).net.consistent
    return degradation == "clean"


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """Linear warm-up, then half a cosine down to 1 % of the peak."""
    warm = min(1.0, (iteration + 1) / config.warmup) if config.warmup else 1.0
    done = iteration / config.iterations
    return config.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def optimizers(net: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for convolution kernels and Adam for the rest, or Adam for all.

    Biases get a tenth of the rate: at the full one they outrun the small activations, and
    units die.
    """
    cuda = next(net.parameters()).is_cuda

    def group(wanted: bool, share: float) -> dict[str, Any]:
        params = [p for p in net.parameters() if (p.ndim == 4) == wanted]
        # a number would be a constant in a CUDA graph
        lr = torch.tensor(config.lr, device="cuda") if cuda else config.lr
        return {"params": params, "lr": lr, "share": share}

    kernels, rest = group(True, 1.0), group(False, 0.1)
    adam = partial(torch.optim.Adam, capturable=cuda)
    if config.optimizer == "adam":
        return [adam([kernels, rest])]
    return [Muon([kernels], lr=config.lr), adam([rest])]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Each group of parameters at its share of the rate."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(group["share"] * rate)
        else:
            group["lr"] = group["share"] * rate


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """The state of an optimiser that may have run on a device of another kind."""
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        saved |= {k: group[k] for k in ("lr", "capturable") if k in group}
    optimizer.load_state_dict(state)
