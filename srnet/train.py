"""Photographs in, weights file out: one loop.

Each checkpoint writes two files: ``<name>.safetensors``, the averaged weights with their card,
ready to use, and ``<name>.ckpt`` beside it, from which the run goes on exactly where it was.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from srnet import checkpoint
from srnet.captured import Captured
from srnet.card import FORMAT, Card, Data, Training
from srnet.device import any_process, best_device, best_dtype
from srnet.errors import TrainingError
from srnet.losses import LOSSES
from srnet.model import SRNet
from srnet.patches import Batch, Patches, planes
from srnet.recipe import TrainConfig, learning_rate, load_state, optimizers, set_rate
from srnet.weights import finite, read_card, record, rounded, save, shipped, warm_start

Metrics = dict[str, float]
Validate = Callable[[Path], Metrics]
Report = Callable[[dict[str, Any]], None]


class Run:
    """The state of one training run; everything in it is in the checkpoint."""

    def __init__(self, config: TrainConfig, start: Path | None = None) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.rank, self.processes = 0, 1
        if dist.is_initialized():
            self.rank, self.processes = dist.get_rank(), dist.get_world_size()
        self.device = best_device(config.device)
        self.dtype = best_dtype(self.device, config.precision)
        self.net = self.network()
        self.before = Training()  # of the weights it starts from
        self.licence = ""
        self.pictures = ""  # a hash of those that it is trained on, where whoever runs it says so
        earlier = [read_card(shipped()[config.name])] if config.name in shipped() else []
        if start is not None:
            card = warm_start(self.net, start)
            self.before = dataclasses.replace(
                card.training, started_from=f"{card.name} version {card.version}"
            )
            self.licence = card.licence
            earlier += [card] if card.name == config.name else []
        self.version = 1 + max((card.version for card in earlier), default=0)
        self.net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.optimizers = optimizers(self.net, config)
        self.iteration = 0
        self.seconds = 0.0
        self.metrics: Metrics = {}
        self.validated = 0  # the iteration of the metrics
        self.forward = self._wrapped()
        self.blend = torch.zeros((), device=self.device)  # share of the new weights in the average
        self.advance: Callable[[Tensor, Tensor], Tensor] = self._advance
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
            if not dist.is_initialized():
                self.advance = Captured(self._advance)

    def network(self) -> SRNet:
        """The untrained network; an experiment may make a variant of it."""
        return SRNet(self.config.net)

    def _wrapped(self) -> nn.Module:
        net: nn.Module = self.net
        if dist.is_initialized():
            net = nn.parallel.DistributedDataParallel(net, broadcast_buffers=False)
        if self.config.compile:
            if self.config.net.consistent:  # the compiler expects other strides of the gradient of
                # a replicated border than PyTorch 2.13 gives: that small part runs as it is
                apart = torch.compiler.disable(self.net.enlarged)  # type: ignore[no-untyped-call]
                self.net.enlarged = apart  # type: ignore[method-assign]
            net.compile()
        return net

    def step(self, batch: Batch) -> Tensor:
        """One optimiser step; returns the loss, of :data:`srnet.losses.LOSSES`."""
        rate = learning_rate(self.config, self.iteration)
        for optimizer in self.optimizers:
            set_rate(optimizer, rate)
        decay = min(self.config.ema, (1 + self.iteration) / (10 + self.iteration))
        self.blend.fill_(1 - decay)
        self.iteration += 1
        return self.advance(batch.low.to(self.device), batch.high.to(self.device))

    def _advance(self, low: Tensor, high: Tensor) -> Tensor:
        """All of a step that happens on the device."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        half = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype, enabled=half):
            output = self.forward(planes(low))
        loss = LOSSES[self.config.loss].of(output, planes(high))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            average = list(self.average.values())
            ways = torch._foreach_sub(list(self.net.state_dict().values()), average)
            torch._foreach_add_(average, torch._foreach_mul(ways, self.blend))
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs, in types that ``weights_only`` loading accepts."""
        return {
            "format": FORMAT,
            "config": json.dumps(dataclasses.asdict(self.config), sort_keys=True),
            "before": json.dumps(dataclasses.asdict(self.before)),
            "net": self.net.state_dict(),
            "average": self.average,
            "optimizers": [o.state_dict() for o in self.optimizers],
            "version": self.version,
            "licence": self.licence,
            "pictures": self.pictures,
            "processes": self.processes,
            "precision": [self.device.type, str(self.dtype).removeprefix("torch.")],
            "iteration": self.iteration,
            "seconds": self.seconds,
            "metrics": self.metrics,
            "validated": self.validated,
        }

    def restore(self, file: Path) -> None:
        """Go on from a checkpoint of the same configuration, by as many processes.

        Raises:
            WeightsError: it is damaged, none of ours, or of another configuration or another srnet.
        """
        state = checkpoint.read(file, self.device)
        checkpoint.check_settings(file, state, self.state())
        self.before = Training(**json.loads(state["before"]))
        self.version = state["version"]
        self.licence = state.get("licence", self.licence)
        self.pictures = state.get("pictures", self.pictures)
        kind, precision = state.get("precision", ("", ""))
        if kind == self.device.type:  # what a trial chose then goes on
            self.dtype = getattr(torch, precision)
        self.net.load_state_dict(state["net"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            load_state(optimizer, saved)
        self.iteration, self.seconds = state["iteration"], state["seconds"]
        self.metrics = state["metrics"]
        self.validated = state.get("validated", self.iteration)

    @property
    def to_validate(self) -> bool:
        """Whether it is where a validation is due that has not been made."""
        due = self.iteration % self.config.validate_every == 0
        due = due or self.iteration == self.config.iterations
        return due and 0 < self.iteration != self.validated

    def save(self, weights: Path, data: Data, commit: str, hardware: str) -> None:
        """Write the averaged weights with their card, and the checkpoint beside them.

        Raises:
            TrainingError: they are no numbers any more; nothing is written.
            OutputError: a file cannot be written.
        """
        if not finite(self.average):
            raise TrainingError(_diverged(self.iteration))
        averaged = SRNet(self.config.net)
        averaged.load_state_dict(rounded(self.average))
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
            licence=self.licence,
            training=training,
            data=data,
            metrics=self.metrics if self.validated == self.iteration else {},  # of these weights
        )
        if not weights.with_suffix(".ckpt").exists():  # without it the run could not go on
            self.keep(weights)
        save(weights, averaged, card)
        self.keep(weights)

    def keep(self, weights: Path) -> None:
        """Write the checkpoint beside the weights."""
        checkpoint.write(weights.with_suffix(".ckpt"), self.state())


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

    Raises:
        TrainingError: the loss has left all bounds; what was saved last stays.
    """
    config, main = run.config, run.rank == 0
    started, first = time.monotonic() - run.seconds, (run.iteration, run.seconds)
    losses: list[Tensor] = []

    keep = partial(_keep, run, output, (data, commit, hardware), validate, report)
    if main and run.iteration:  # it may have been killed before the weights, or in a validation
        keep(anew=not output.exists())
    with closing(patches.batches(run.iteration, config.iterations, run.rank)) as batches:
        for batch in batches:
            losses.append(run.step(batch))
            run.seconds = time.monotonic() - started
            done = run.iteration
            last, stopped = done == config.iterations, any_process(stopping(), run.device)
            if done % config.log_every == 0 or last or stopped:
                row = _row(run, losses, (run.seconds - first[1]) / (done - first[0]))
                if main:
                    report(row)
                if not row["loss"] < LOSSES[config.loss].bound:
                    raise TrainingError(_diverged(done))
                losses.clear()
            validating = validate is not None and run.to_validate
            if main and (done % config.save_every == 0 or last or stopped or validating):
                keep()
            if stopped:
                break
    return run.metrics


def _keep(
    run: Run,
    output: Path,
    about: tuple[Data, str, str],
    validate: Validate | None,
    report: Report,
    anew: bool = True,
) -> None:
    """Save, and validate where that is due."""
    if anew:
        run.save(output, *about)
    if validate is not None and run.to_validate:
        run.metrics, run.validated = validate(output), run.iteration
        record(output, run.metrics)
        run.keep(output)
        report({"iteration": run.iteration, **run.metrics})


def _diverged(iteration: int) -> str:
    return (
        f"the network was lost before iteration {iteration}: take a lower --lr (weights that were "
        "saved before that, if any, are still there)"
    )


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
