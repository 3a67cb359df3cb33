"""A tiny training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from srnet.card import Data, NetConfig
from srnet.patches import Patches
from srnet.recipe import TrainConfig
from srnet.train import Run, train

CONFIG = TrainConfig(
    name="tiny-x2",
    net=NetConfig(2, 4, 1),
    iterations=12,
    batch=2,
    patch=12,
    warmup=3,
    precision="float32",
    device="cpu",
    log_every=1,
    save_every=6,
    validate_every=6,
)


def patches(pictures: list[np.ndarray], config: TrainConfig) -> Patches:
    return Patches(
        pictures, config.net.scale, config.patch, config.batch, config.degradation, config.seed
    )


def run_through(config: TrainConfig, pictures: list[np.ndarray], output: Path, **kw) -> list[dict]:
    rows: list[dict] = []
    run = Run(config)
    if output.with_suffix(".ckpt").exists():
        run.restore(output.with_suffix(".ckpt"))
    train(run, patches(pictures, config), output, data=Data(), report=rows.append, **kw)
    return rows
