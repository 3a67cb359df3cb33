"""Memory that runs out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from srnet.engine import TorchEngine
from srnet.errors import DeviceError
from srnet.openvino_engine import OpenVINOEngine
from tests.engine.support import Kind, Made, failing

SHORT: dict[Kind, list[Exception]] = {  # how each says that memory ran out
    TorchEngine: [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    OpenVINOEngine: [
        MemoryError(),
        RuntimeError("[CPU] Convolution node: Failed to allocate 33554432 bytes of memory"),
        RuntimeError("std::bad_alloc"),
    ],
}


@pytest.mark.parametrize("number", range(3))
def test_short_of_memory_batch_and_tile_are_halved(
    engine: Made, number: int, rng: np.random.Generator
) -> None:
    x = rng.random((3, 40, 56, 3), np.float32)
    (whole,) = engine.run([x])
    sizes = failing(engine, SHORT[type(engine)][number], 1000)
    (result,) = engine.run([x])
    assert np.abs(result - whole).max() <= 1e-5
    assert sizes[0] == 3 * 40 * 56
    assert min(sizes) <= 1000


def test_no_memory_at_all_is_one_clear_error(engine: Made) -> None:
    next(engine.run([np.zeros((1, 2, 2, 3), np.float32)]))
    failing(engine, MemoryError(), 0)
    with pytest.raises(DeviceError, match="not enough memory"):
        list(engine.run([np.zeros((1, 64, 64, 3), np.float32)]))
