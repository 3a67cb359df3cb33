"""What a CUDA device must do as the processor does: run with `make test-gpu`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srnet import simulate
from srnet.captured import Captured
from srnet.card import NetConfig
from srnet.degrade import Damage
from srnet.engine import TorchEngine
from srnet.patches import Patches
from srnet.recipe import TrainConfig, load_state
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


@pytest.mark.parametrize("degradation", ["clean", "photo"])
def test_patches_are_those_of_the_processor(degradation: str, rng: np.random.Generator) -> None:
    """Noise apart, which is that of the device; calls enough for the graph."""
    picture = rng.integers(0, 256, (90, 110, 3), dtype=np.uint8)
    here, there = (
        Patches([picture], 2, 16, 4, degradation, 0, device=device) for device in ("cpu", "cuda")
    )
    for i in range(8):
        a, b = here.draw(i), there.draw(i)
        assert torch.equal(a.high, b.high.cpu())
        error = (a.low.float() - b.low.cpu().float()).abs().mean().item()
        assert error <= (0 if degradation == "clean" else 5)


def test_graphs_give_what_their_function_gives(rng: np.random.Generator) -> None:
    high = torch.from_numpy(rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)).cuda()
    captured = Captured(simulate.damage)
    for quality in range(30, 90, 10):
        numbers = simulate.table(3 * [Damage((1.0, 0.5), "area", 3.0, False, quality)]).cuda()
        noise = torch.randn((3, 3, 32, 32), device="cuda")
        expected = simulate.damage(high, numbers, noise)
        found = captured(high, numbers, noise)
        assert (expected != found).float().mean() < 1e-3


@pytest.mark.parametrize("loss", ["l1", "psnr"])
def test_a_checkpoint_of_the_processor_goes_on(loss: str, rng: np.random.Generator) -> None:
    """With the rate of each step: a number would have been kept in the graph."""
    config = TrainConfig(
        "tiny-x2", NetConfig(2, 8, 2), precision="float32", device="cpu", patch=16, iterations=20
    )
    config = replace(config, loss=loss)  # type: ignore[arg-type]
    source = Patches([rng.integers(0, 256, (90, 90, 3), dtype=np.uint8)], 2, 16, 4, "clean", 0)
    here = Run(config)
    for i in range(3):
        here.step(source.draw(i))
    there = Run(replace(config, device="cuda"))
    for optimizer, state in zip(there.optimizers, here.optimizers, strict=True):
        load_state(optimizer, state.state_dict())
    there.net.load_state_dict(here.net.state_dict())
    there.iteration = here.iteration
    for i in range(3, 20):
        a, b = there.step(source.draw(i)), here.step(source.draw(i))
        torch.testing.assert_close(a.cpu(), b, rtol=5e-3, atol=1e-5)
