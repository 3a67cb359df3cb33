"""Engines that are made, and how they are let fail."""

from __future__ import annotations

import numpy as np
import torch

from srnet.engine import TorchEngine
from srnet.openvino_engine import OpenVINOEngine

Kind = type[TorchEngine] | type[OpenVINOEngine]
Made = TorchEngine | OpenVINOEngine


def failing(engine: Made, error: Exception, pixels: int) -> list[int]:
    """Let every batch of more pixels fail; the sizes of all batches come in the list."""
    name = "_net" if isinstance(engine, TorchEngine) else "_infer"
    works, sizes = getattr(engine, name), []

    def limited(x: torch.Tensor | np.ndarray) -> torch.Tensor | np.ndarray:
        shape = x.shape
        sizes.append(shape[0] * shape[2] * (shape[3] if name == "_net" else shape[1]))
        if sizes[-1] > pixels:
            raise error
        return works(x)

    setattr(engine, name, limited)
    return sizes
