"""One trial: train a small network for a while, and score it as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor

from srnet.card import NetConfig
from srnet.model import SRNet, parameter_count
from srnet.patches import Patches
from srnet.recipe import TrainConfig
from srnet.study.judge import SCALE, Judge
from srnet.study.ledger import Ledger, Row
from srnet.train import Run

Probe = Callable[[SRNet, Judge], Row]

_POINTS = 10  # scores on the way


@dataclass(frozen=True)
class Budget:
    """How large a study is."""

    iterations: int = 500
    batch: int = 8
    patch: int = 24  # low-resolution pixels each way
    seeds: int = 2
    features: int = 24
    blocks: int = 4
    depths: tuple[int, ...] = (4, 8, 16, 32)  # blocks
    sizes: tuple[int, ...] = (3_000, 12_000)  # parameters; the full network is one more
    toy_steps: int = 800
    model: str = "clean-x4"  # whose residual is looked at
    shown: int = 448  # pixels each way of a photograph that is looked at


FULL = Budget()
QUICK = Budget(
    iterations=4,
    batch=2,
    patch=16,
    features=4,
    blocks=1,
    depths=(1, 2),
    sizes=(900,),
    toy_steps=9,
    model="fast-x2",
    shown=96,
)


@dataclass(frozen=True)
class Trial:
    """All that a trial depends on, apart from its pictures."""

    net: NetConfig
    seed: int
    iterations: int
    batch: int
    patch: int
    lr: float = 2e-3
    optimizer: Literal["muon", "adam"] = "muon"

    def config(self) -> TrainConfig:
        """The same for the training loop of the product."""
        return TrainConfig(
            name=f"study-x{SCALE}",
            net=self.net,
            iterations=self.iterations,
            batch=self.batch,
            patch=self.patch,
            optimizer=self.optimizer,
            lr=self.lr,
            seed=self.seed,
            device="cpu",
            precision="float32",
        )


@dataclass(frozen=True)
class Bench:
    """What every question works with."""

    budget: Budget
    patches: Patches
    photographs: str  # the hash of those that the patches are from
    judge: Judge
    ledger: Ledger

    def net(self, **changes: Any) -> NetConfig:
        """The network of the study, with changes."""
        budget = self.budget
        standard = NetConfig(scale=SCALE, features=budget.features, blocks=budget.blocks)
        return replace(standard, **changes)

    def train(
        self,
        question: str,
        variant: str,
        net: NetConfig,
        *,
        share: float = 1.0,
        kind: type[Run] = Run,
        probe: Probe | None = None,
        **changes: Any,
    ) -> list[Row]:
        """A row for each seed, trained for ``share`` of the iterations of the budget."""
        rows = []
        for seed in range(self.budget.seeds):
            budget = self.budget
            count = max(2, round(budget.iterations * share))
            trial = Trial(net, seed, count, budget.batch, budget.patch, **changes)
            key = {
                "question": question,
                "variant": variant,
                "photographs": self.photographs,
                "held_out": self.judge.pictures,
                **asdict(trial),
            }
            rows.append(self.ledger.row(key, partial(self._run, trial, kind, probe)))
        return rows

    def _run(self, trial: Trial, kind: type[Run], probe: Probe | None) -> Row:
        run = kind(trial.config())
        curve, losses, spent = [self._point(run, [], 0.0)], [], 0.0
        marks = {round(trial.iterations * (i + 1) / _POINTS) for i in range(_POINTS)}
        begun = time.process_time()
        for batch in self.patches.batches(0, trial.iterations, trial.seed):
            losses.append(run.step(batch))
            if run.iteration in marks:
                spent += time.process_time() - begun
                curve.append(self._point(run, losses, spent))
                losses.clear()
                begun = time.process_time()
        net = averaged(run)
        return {
            "parameters": parameter_count(net),
            "psnr": curve[-1]["psnr"],
            "loss": curve[-1]["loss"],
            "seconds": round(spent, 1),  # of one processor core
            "seconds_per_megapixel": round(self.judge.seconds(net), 3),
            "curve": curve,
            **({} if probe is None else probe(net, self.judge)),
        }

    def _point(self, run: Run, losses: list[Tensor], spent: float) -> Row:
        loss = float(torch.stack(losses).mean()) if losses else None
        score = self.judge.psnr(self.judge.run(averaged(run)))
        return {
            "iteration": run.iteration,
            "seconds": round(spent, 2),
            "loss": None if loss is None else round(loss, 6),
            "psnr": round(score, 3),
        }


def averaged(run: Run) -> SRNet:
    """The averaged weights of a run, which are what the product ships."""
    net = run.network()
    net.load_state_dict(run.average)
    return net.eval()


def spread(rows: list[Row], field: str) -> tuple[float, float, float]:
    """Mean, least and greatest of a field over the seeds."""
    values = [row[field] for row in rows]
    return fmean(values), min(values), max(values)
