"""What a CUDA device must do as the processor does: run with `make test-gpu`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srnet.card import NetConfig
from srnet.engine import TorchEngine
from srnet.patches import Patches
from srnet.recipe import TrainConfig
from srnet.train import Run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_engine_is_within_one_level_of_the_processor(
    tiny_weights: dict[int, Path], precision: str, rng: np.random.Generator
) -> None:
    x = rng.random((2, 65, 43, 3), np.float32)
    (expected,) = TorchEngine(tiny_weights[2], "cpu", "float32").run([x])
    (found,) = TorchEngine(tiny_weights[2], "cuda", precision).run([x])
    assert np.abs(found - expected).max() < 1 / 255


def test_training_step_is_that_of_the_processor(rng: np.random.Generator) -> None:
    config = TrainConfig("tiny-x2", NetConfig(2, 8, 2), precision="float32", device="cpu", patch=16)
    source = Patches([rng.integers(0, 256, (90, 90, 3), dtype=np.uint8)], 2, 16, 4, "clean", 0)
    there, here = Run(replace(config, device="cuda")), Run(config)
    for i in range(3):
        a, b = there.step(source.draw(i)), here.step(source.draw(i))
        torch.testing.assert_close(a.cpu(), b, rtol=1e-3, atol=1e-5)
