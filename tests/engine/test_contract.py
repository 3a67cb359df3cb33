"""What every engine promises: order, exact tiles, exact bases, clear errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from srnet import tiles
from srnet.bicubic import resize
from srnet.device import best_device, best_dtype
from srnet.engine import TorchEngine
from srnet.errors import OptionError, SetupError
from srnet.model import SRNet
from srnet.weights import save
from tests.conftest import tiny_card
from tests.engine.support import Kind, Made

pytestmark = pytest.mark.alone  # with as many threads as users have


def test_results_come_lazily_and_in_order(engine: Made) -> None:
    asked = []

    def batches() -> Iterator[np.ndarray]:
        for i in range(3):
            asked.append(i)
            yield np.full((1, 5, 6, 3), i / 3, np.float32)

    results = engine.run(batches())
    first = next(results)
    assert asked == [0]
    assert first.shape == (1, 10, 12, 3)
    assert first.dtype == np.float32
    means = [first.mean(), *(r.mean() for r in results)]
    assert means == sorted(means)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shape", [(61, 47), (1, 30), (33, 1), (16, 90)])
def test_tiled_equals_whole(
    make: Callable[..., Made], scale: int, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    engine = make(scale)
    x = rng.random((*shape, 3), np.float32)
    (whole,) = engine.run([x[None]])
    canvas = np.full((shape[0] * scale, shape[1] * scale, 3), np.nan, np.float32)
    for tile in tiles.plan(*shape, 17, engine.card.halo):
        (result,) = engine.run([tiles.crop(x, tile)[None]])
        tiles.paste(canvas, tile, tiles.core(result[0], tile, scale), scale)
    assert np.abs(canvas - whole[0]).max() <= 1e-5


def test_engines_agree(
    make: Callable[..., Made], tiny_weights: dict[int, Path], rng: np.random.Generator
) -> None:
    x = rng.random((2, 19, 23, 3), np.float32)
    for scale in (2, 3, 4):
        (expected,) = TorchEngine(tiny_weights[scale], "cpu", "float32").run([x])
        (found,) = make(scale).run([x])
        assert np.abs(found - expected).max() <= 1e-5


def test_untrained_networks_are_bicubic(
    kind: Kind, tmp_path: Path, rng: np.random.Generator
) -> None:
    card = tiny_card(3)
    save(tmp_path / "untrained.safetensors", SRNet(card.net), card)
    x = rng.random((12, 9, 3), np.float32)
    for precision in ("float32", "bfloat16"):  # the base is exact in both
        (found,) = kind(tmp_path / "untrained.safetensors", "cpu", precision).run([x[None]])
        assert np.abs(found[0] - resize(x, 36, 27, "replicate")).max() <= 1e-6


@pytest.mark.parametrize("base", ["nearest", "none"])
def test_other_bases(kind: Kind, base: str, tmp_path: Path, rng: np.random.Generator) -> None:
    card = tiny_card(2, base=base)
    net = SRNet(card.net)
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    save(tmp_path / "other.safetensors", net, card)
    x = rng.random((1, 12, 9, 3), np.float32)
    (found,) = kind(tmp_path / "other.safetensors", "cpu", "float32").run([x])
    expected = net(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert np.abs(found - expected.detach().numpy()).max() <= 1e-5


def test_the_nearest_base_is_exact_too(
    kind: Kind, tmp_path: Path, rng: np.random.Generator
) -> None:
    card = tiny_card(2, base="nearest")
    save(tmp_path / "untrained.safetensors", SRNet(card.net), card)
    x = rng.random((12, 9, 3), np.float32)
    (found,) = kind(tmp_path / "untrained.safetensors", "cpu", "bfloat16").run([x[None]])
    np.testing.assert_array_equal(found[0], x.repeat(2, axis=0).repeat(2, axis=1))


def test_a_smaller_halo_would_show(engine: Made, rng: np.random.Generator) -> None:
    x = rng.random((40, 40, 3), np.float32)
    (whole,) = engine.run([x[None]])
    worst = 0.0
    for tile in tiles.plan(40, 40, 17, engine.card.halo - 1):
        (result,) = engine.run([tiles.crop(x, tile)[None]])
        kept = tiles.core(result[0], tile, 2)
        there = whole[0, 2 * tile.top : 2 * tile.bottom, 2 * tile.left : 2 * tile.right]
        worst = max(worst, float(np.abs(kept - there).max()))
    assert worst > 1e-5


def test_other_errors_are_not_swallowed(engine: Made) -> None:
    with pytest.raises(RuntimeError, match=r"channels|shape"):
        list(engine.run([np.zeros((1, 8, 8, 5), np.float32)]))
    (result,) = engine.run([np.zeros((1, 8, 8, 3), np.float32)])  # and it still works
    assert result.shape == (1, 16, 16, 3)


def test_bfloat16_is_within_one_level(make: Callable[..., Made], rng: np.random.Generator) -> None:
    x = rng.random((1, 32, 32, 3), np.float32)
    (exact,) = make(4).run([x])
    half = make(4, "bfloat16")
    (rough,) = half.run([x])
    assert half.dtype == "bfloat16"
    assert np.abs(rough - exact).max() < 1 / 255
    if isinstance(half, TorchEngine):  # OpenVINO has no slow imitation where it is missing
        assert np.abs(rough - exact).max() > 0


def test_devices_and_precisions() -> None:
    assert best_device("cpu").type == "cpu"
    with pytest.raises(OptionError, match="choose auto, cpu"):
        best_device("tpu")
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(SetupError, match=f"no device '{absent}' here: choose .*cpu"):
        best_device(absent)
    cpu = torch.device("cpu")
    assert best_dtype(cpu, "bfloat16") == torch.bfloat16
    assert best_dtype(cpu) in (torch.float32, torch.bfloat16)
    with pytest.raises(OptionError, match="unknown precision"):
        best_dtype(cpu, "int4")


def test_unknown_precisions_and_automatic_ones(make: Callable[..., Made]) -> None:
    x = np.zeros((1, 4, 4, 3), np.float32)
    with pytest.raises(OptionError, match="unknown precision"):
        list(make(2, "int4").run([x]))
    automatic = make(2, "auto")
    next(automatic.run([x]))
    assert automatic.dtype in ("float32", "bfloat16")
