"""One contract, and every engine is held to it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from srnet.engine import TorchEngine
from srnet.openvino_engine import OpenVINOEngine
from tests.engine.support import Kind, Made


@pytest.fixture(params=["torch", "openvino"])
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "torch":
        return TorchEngine
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed: pip install '.[openvino]'")
    return OpenVINOEngine


@pytest.fixture
def make(kind: Kind, tiny_weights: dict[int, Path]) -> Callable[..., Made]:
    """Makes an engine of a scale, in a precision."""

    def made(scale: int = 2, precision: str = "float32") -> Made:
        return kind(tiny_weights[scale], "cpu", precision)

    return made


@pytest.fixture
def engine(make: Callable[..., Made]) -> Made:
    return make()
