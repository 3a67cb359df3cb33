"""Photographs in, weights file out: one loop.

Each checkpoint writes two files: ``<name>.safetensors``, the averaged weights with their card,
ready to use, and ``<name>.ckpt`` beside it, from which the run goes on exactly where it was.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from srnet.card import Card, Data, Degradation, NetConfig, Training, differences
from srnet.data import Batch, Patches
from srnet.device import best_device, best_dtype
from srnet.errors import OptionError, WeightsError
from srnet.model import SRNet
from srnet.optim import Muon
from srnet.weights import read_card, save, shipped, warm_start

Metrics = dict[str, float]
Validate = Callable[[Path], Metrics]
Report = Callable[[dict[str, Any]], None]


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
        for field in ("iterations", "batch", "patch", "log_every", "save_every", "validate_every"):
            if getattr(self, field) < 1:
                raise OptionError(f"{field} must be at least 1, not {getattr(self, field)}")
        if not 0 <= self.graphics <= 1:
            raise OptionError(f"graphics must be between 0 and 1, not {self.graphics}")


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
    kernels = {"params": [p for p in net.parameters() if p.ndim == 4], "share": 1.0}
    rest = {"params": [p for p in net.parameters() if p.ndim != 4], "share": 0.1}
    if config.optimizer == "adam":
        return [torch.optim.Adam([kernels, rest], lr=config.lr)]
    return [Muon([kernels], lr=config.lr), torch.optim.Adam([rest], lr=config.lr)]


class Run:
    """The state of one training run; everything in it is in the checkpoint."""

    def __init__(self, config: TrainConfig, start: Path | None = None) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.device = best_device(config.device)
        self.dtype = best_dtype(self.device, config.precision)
        self.net = self.network()
        self.before = Training()  # of the weights it starts from
        earlier = [read_card(shipped()[config.name])] if config.name in shipped() else []
        if start is not None:
            card = warm_start(self.net, start)
            self.before = dataclasses.replace(
                card.training, started_from=f"{card.name} version {card.version}"
            )
            earlier += [card] if card.name == config.name else []
        self.version = 1 + max((card.version for card in earlier), default=0)
        self.net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.optimizers = optimizers(self.net, config)
        self.iteration = 0
        self.seconds = 0.0
        self.metrics: Metrics = {}
        self.forward = self._wrapped()

    def network(self) -> SRNet:
        """The untrained network; an experiment may make a variant of it."""
        return SRNet(self.config.net)

    def _wrapped(self) -> nn.Module:
        net: nn.Module = self.net
        if dist.is_initialized():
            net = nn.parallel.DistributedDataParallel(net, broadcast_buffers=False)
        if self.config.compile:
            net.compile()
        return net

    def step(self, batch: Batch) -> Tensor:
        """One optimiser step; returns the loss (mean absolute error, 0 to 1)."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["share"] * learning_rate(self.config, self.iteration)
            optimizer.zero_grad()
        low, high = (self._to_device(p) for p in (batch.low, batch.high))
        half = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype, enabled=half):
            output = self.forward(low)
        loss = F.l1_loss(output, high)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self._update_average()
        self.iteration += 1
        return loss.detach()

    def _to_device(self, pixels: Any) -> Tensor:
        tensor = torch.from_numpy(pixels).to(self.device, non_blocking=True)
        return tensor.permute(0, 3, 1, 2).float().div_(255)  # channels_last by construction

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema, (1 + self.iteration) / (10 + self.iteration))
        for name, value in self.net.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs, in types that ``weights_only`` loading accepts."""
        return {
            "config": json.dumps(dataclasses.asdict(self.config), sort_keys=True),
            "before": json.dumps(dataclasses.asdict(self.before)),
            "net": self.net.state_dict(),
            "average": self.average,
            "optimizers": [o.state_dict() for o in self.optimizers],
            "version": self.version,
            "iteration": self.iteration,
            "seconds": self.seconds,
            "metrics": self.metrics,
        }

    def restore(self, checkpoint: Path) -> None:
        """Go on from a checkpoint of the same configuration.

        Raises:
            WeightsError: it belongs to another configuration.
        """
        state = torch.load(checkpoint, map_location=self.device, weights_only=True)
        new = json.loads(self.state()["config"])
        old = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
        old |= json.loads(state["config"])  # settings that came later had their defaults
        if old != new:
            raise WeightsError(
                f"{checkpoint} is of a run with other settings ({differences(old, new)}): give "
                "the old ones to go on, or choose another --output, or delete it"
            )
        self.before = Training(**json.loads(state["before"]))
        self.version = state["version"]
        self.net.load_state_dict(state["net"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.iteration, self.seconds = state["iteration"], state["seconds"]
        self.metrics = state["metrics"]

    def save(self, weights: Path, data: Data, commit: str, hardware: str) -> None:
        """Write the averaged weights with their card, and the checkpoint beside them."""
        averaged = SRNet(self.config.net)
        averaged.load_state_dict(self.average)
        settings = dataclasses.asdict(self.config)
        training = Training(
            iterations=self.before.iterations + self.iteration,
            hours=round(self.before.hours + self.seconds / 3600, 3),
            hardware=hardware,
            commit=commit,
            seed=self.config.seed,
            settings={k: v for k, v in settings.items() if k not in ("name", "net")},
            started_from=self.before.started_from,
        )
        card = Card(
            name=self.config.name,
            net=self.config.net,
            halo=self.config.net.halo,
            version=self.version,
            degradation=self.config.degradation,
            training=training,
            data=data,
            metrics=self.metrics,
        )
        save(weights, averaged, card)
        checkpoint = weights.with_suffix(".ckpt")
        partial = checkpoint.with_suffix(".ckpt-partial")
        torch.save(self.state(), partial)
        partial.replace(checkpoint)


def train(
    run: Run,
    patches: Patches,
    output: Path,
    *,
    data: Data,
    commit: str = "",
    hardware: str = "",
    validate: Validate | None = None,
    report: Report = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Metrics:
    """Train until ``config.iterations``, saving to ``output`` (a .safetensors path).

    ``report`` gets a row of figures now and then; ``validate`` gets the weights file. Once
    ``stopping`` says yes, in any process, all of them end after the step at work; it is saved.
    Returns the metrics of the last validation.
    """
    config, main = run.config, run.rank == 0
    started, first = time.monotonic() - run.seconds, (run.iteration, run.seconds)
    losses: list[Tensor] = []
    with closing(patches.batches(run.iteration, config.iterations, run.rank)) as batches:
        for batch in batches:
            losses.append(run.step(batch))
            run.seconds = time.monotonic() - started
            done = run.iteration
            last, stopped = done == config.iterations, _any(stopping(), run.device)
            if done % config.log_every == 0 or last or stopped:
                if main:
                    report(_row(run, losses, (run.seconds - first[1]) / (done - first[0])))
                losses.clear()
            validating = validate is not None and (done % config.validate_every == 0 or last)
            if main and (done % config.save_every == 0 or last or stopped or validating):
                run.save(output, data, commit, hardware)
            if main and validating:
                assert validate is not None
                run.metrics = validate(output)
                run.save(output, data, commit, hardware)
                report({"iteration": done, **run.metrics})
            if stopped:
                break
    return run.metrics


def _any(wish: bool, device: torch.device) -> bool:
    """Whether one of the processes wishes it: they take their steps together or not at all."""
    if not dist.is_initialized():
        return wish
    wishes = torch.tensor(float(wish), device=device)
    dist.all_reduce(wishes, dist.ReduceOp.MAX)
    return bool(wishes)


def _row(run: Run, losses: list[Tensor], seconds: float) -> dict[str, Any]:
    config = run.config
    kernels = sum(p.numel() for p in run.net.parameters() if p.ndim == 4)
    work = 6 * kernels * config.batch * config.patch**2  # forward 2, backward 4, per weight
    return {
        "iteration": run.iteration,
        "loss": float(torch.stack(losses).mean()),
        "lr": learning_rate(config, run.iteration),
        "seconds": round(run.seconds, 1),
        "gflops": round(work / seconds / 1e9, 3),
    }
