"""Engines: exact tiles, order, fairness between threads, memory that runs out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from srnet import tiles
from srnet.device import best_device, best_dtype
from srnet.engine import TorchEngine, Turnstile
from srnet.errors import DeviceError, OptionError, SetupError


@pytest.fixture
def engine(tiny_weights: dict[int, Path]) -> TorchEngine:
    return TorchEngine(tiny_weights[2], "cpu", "float32")


def test_results_come_lazily_and_in_order(engine: TorchEngine) -> None:
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
    tiny_weights: dict[int, Path], scale: int, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    engine = TorchEngine(tiny_weights[scale], "cpu", "float32")
    x = rng.random((*shape, 3), np.float32)
    (whole,) = engine.run([x[None]])
    canvas = np.full((shape[0] * scale, shape[1] * scale, 3), np.nan, np.float32)
    for tile in tiles.plan(*shape, 17, engine.card.halo):
        (result,) = engine.run([tiles.crop(x, tile)[None]])
        tiles.paste(canvas, tile, tiles.core(result[0], tile, scale), scale)
    assert np.abs(canvas - whole[0]).max() <= 1e-5


def test_a_smaller_halo_would_show(tiny_weights: dict[int, Path], rng: np.random.Generator) -> None:
    engine = TorchEngine(tiny_weights[2], "cpu", "float32")
    x = rng.random((40, 40, 3), np.float32)
    (whole,) = engine.run([x[None]])
    worst = 0.0
    for tile in tiles.plan(40, 40, 17, engine.card.halo - 1):
        (result,) = engine.run([tiles.crop(x, tile)[None]])
        kept = tiles.core(result[0], tile, 2)
        there = whole[0, 2 * tile.top : 2 * tile.bottom, 2 * tile.left : 2 * tile.right]
        worst = max(worst, float(np.abs(kept - there).max()))
    assert worst > 1e-5


def test_many_threads_get_their_own_results(engine: TorchEngine) -> None:
    inputs = [np.full((1, 4 + i, 5, 3), i / 8, np.float32) for i in range(8)]
    expected = [next(engine.run([x])) for x in inputs]
    found: dict[int, np.ndarray] = {}

    def work(i: int) -> None:
        for result in engine.run([inputs[i]] * 3):
            found[i] = result

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, result in found.items():
        np.testing.assert_array_equal(result, expected[i])


def test_turnstile_is_first_come_first_served() -> None:
    turnstile, order = Turnstile(), []
    with turnstile.turn():
        threads = []
        for i in range(5):
            thread = threading.Thread(target=lambda i=i: _enter(turnstile, order, i))
            thread.start()
            while len(turnstile._waiting) <= i:  # until it waits, so that the order is known
                pass
            threads.append(thread)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def _enter(turnstile: Turnstile, order: list[int], i: int) -> None:
    with turnstile.turn():
        order.append(i)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_short_of_memory_batch_and_tile_are_halved(
    engine: TorchEngine, error: Exception, rng: np.random.Generator
) -> None:
    x = rng.random((3, 40, 56, 3), np.float32)
    (whole,) = engine.run([x])
    net, sizes = engine._net, []

    def limited(y: torch.Tensor) -> torch.Tensor:
        sizes.append(y.shape[0] * y.shape[2] * y.shape[3])
        if sizes[-1] > 1000:
            raise error
        return net(y)

    engine._net = limited
    (result,) = engine.run([x])
    assert np.abs(result - whole).max() <= 1e-5
    assert sizes[0] == 3 * 40 * 56
    assert min(sizes) <= 1000


def test_no_memory_at_all_is_one_clear_error(engine: TorchEngine) -> None:
    def full(y: torch.Tensor) -> torch.Tensor:
        raise MemoryError

    next(engine.run([np.zeros((1, 2, 2, 3), np.float32)]))
    engine._net = full
    with pytest.raises(DeviceError, match="not enough memory"):
        list(engine.run([np.zeros((1, 64, 64, 3), np.float32)]))


def test_other_errors_are_not_swallowed(engine: TorchEngine) -> None:
    with pytest.raises(RuntimeError, match="channels"):
        list(engine.run([np.zeros((1, 8, 8, 5), np.float32)]))


def test_bfloat16_is_within_one_level(
    tiny_weights: dict[int, Path], rng: np.random.Generator
) -> None:
    x = rng.random((1, 32, 32, 3), np.float32)
    (exact,) = TorchEngine(tiny_weights[4], "cpu", "float32").run([x])
    half = TorchEngine(tiny_weights[4], "cpu", "bfloat16")
    (rough,) = half.run([x])
    assert half.dtype == "bfloat16"
    assert 0 < np.abs(rough - exact).max() < 1 / 255


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
