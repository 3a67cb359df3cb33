"""One run of a tiny network with OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srnet.openvino_engine import OpenVINOEngine

pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install '.[openvino]'")

X = np.random.default_rng(0).random((1, 9, 11, 3), np.float32)


def run(weights: Path, cache: Path, precision: str = "float32") -> np.ndarray:
    return next(OpenVINOEngine(weights, "cpu", precision, cache=cache).run([X]))
