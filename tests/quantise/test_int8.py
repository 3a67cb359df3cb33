"""What the engines do with the ranges."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import srnet
from srnet import openvino_engine, tiles, weights
from srnet.engine import TorchEngine
from srnet.errors import DeviceError, OptionError
from srnet.openvino_engine import OpenVINOEngine
from tests.quantise.support import PICTURES


def test_pytorch_has_no_int8(tiny_weights: dict[int, Path]) -> None:
    with pytest.raises(OptionError, match=r"int8 is for OpenVINO: pip install"):
        TorchEngine(tiny_weights[2], precision="int8")
    with pytest.raises(OptionError, match="int8 is for OpenVINO"):
        srnet.load(str(tiny_weights[2]), precision="int8", engine="torch")


_CAPPED = """
import sys
import numpy as np
from pathlib import Path
from srnet.openvino_engine import OpenVINOEngine
from srnet.openvino_int8 import top_level
folder = Path(sys.argv[2])
engine = OpenVINOEngine(Path(sys.argv[1]), precision="int8", cache=folder / "cache")
np.save(folder / "found.npy", next(engine.run([np.load(folder / "x.npy")])))
graph = engine._request.get_compiled_model().get_runtime_model()
print(top_level())
for info in (op.get_rt_info() for op in graph.get_ordered_ops()):
    if info["layerType"].astype(str) == "Convolution":
        print(info["primitiveType"].astype(str))
"""


def added(file: Path, x: np.ndarray) -> float:
    """What the network adds to its base, on average."""
    net, _ = weights.load(file)
    return net.residual(torch.from_numpy(x).permute(0, 3, 1, 2)).abs().mean().item()


def largest_levels(model: Any) -> set[int]:
    """The largest weights of all output channels of a quantised graph, in levels."""
    levels: set[int] = set()
    for op in model.get_ordered_ops():
        if op.get_type_name() == "FakeQuantize" and op.get_attributes()["levels"] == 255:
            values, low, high = (op.input_value(i).get_node().data for i in range(3))
            steps = np.rint(values / ((high - low) / 254))
            levels |= set(np.abs(steps).max(axis=(1, 2, 3)).astype(int).tolist())
    return levels


class TestWithOpenVINO:
    """What the engine does with the ranges."""

    @pytest.fixture(autouse=True)
    def int8(self) -> ModuleType:
        """``srnet.openvino_int8``, where OpenVINO is installed."""
        pytest.importorskip("openvino", reason="pip install '.[openvino]'")
        from srnet import openvino_int8

        return openvino_int8

    @pytest.mark.parametrize("half", [False, True])
    @pytest.mark.parametrize("scale", [2, 3, 4])
    def test_close_to_float32(
        self,
        calibrated: Callable[..., Path],
        monkeypatch: pytest.MonkeyPatch,
        int8: ModuleType,
        scale: int,
        half: bool,
    ) -> None:
        if half:  # what some processors need is right on all
            monkeypatch.setattr(int8, "top_level", lambda: int8.HALF)
        file = calibrated(scale)
        x = (PICTURES[2][None] / 255).astype(np.float32)
        engine = OpenVINOEngine(file, precision="int8")
        (found,) = engine.run([x])
        assert engine.dtype.split()[0] == "int8"
        (exact,) = TorchEngine(file, precision="float32").run([x])
        error = np.abs(found - exact).mean()
        assert 0 < error < 0.02 * added(file, x)  # rounding there is, and it is small

    @pytest.mark.parametrize("half", [False, True])
    def test_the_trial_decides(
        self,
        calibrated: Callable[..., Path],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        int8: ModuleType,
        half: bool,
    ) -> None:
        """Over the largest weight of each channel, and over what the cache may be used for."""
        found: list[set[int]] = []
        real, tops = int8.quantise, (int8.FULL, int8.HALF)

        def watched(model: Any, limits: Any, level: int) -> None:
            real(model, limits, level)
            found.append(largest_levels(model))

        monkeypatch.setattr(int8, "quantise", watched)
        monkeypatch.setattr(openvino_engine, "_check_agreement", lambda *_: None)
        file, x, cache = calibrated(), np.zeros((1, 8, 8, 3), np.float32), tmp_path / "cache"
        for top in (tops[not half], tops[half], tops[half]):
            monkeypatch.setattr(int8, "top_level", lambda top=top: top)
            list(OpenVINOEngine(file, precision="int8", cache=cache).run([x]))
        assert found == [{tops[not half]}, {tops[half]}]
        assert len(list(cache.iterdir())) == 2

    def test_where_sums_overflow(
        self, calibrated: Callable[..., Path], tmp_path: Path, int8: ModuleType
    ) -> None:
        """With the runtime capped to instructions that have no exact sums of bytes."""
        file, x, results = calibrated(), (PICTURES[2][None] / 255).astype(np.float32), tmp_path
        np.save(results / "x.npy", x)
        environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "OV_CPU_MAX_ISA": "AVX2"}
        command = [sys.executable, "-c", _CAPPED, str(file), str(results)]
        output = subprocess.check_output(command, env=environment, text=True)
        top, *kernels = output.split()
        if "jit_avx2_I8" not in kernels:
            pytest.skip(f"this runtime cannot be capped: it runs {', '.join(sorted(set(kernels)))}")
        assert int(top) == int8.HALF
        (exact,) = TorchEngine(file, precision="float32").run([x])
        error = np.abs(np.load(results / "found.npy") - exact).mean()
        assert 0 < error < 0.02 * added(file, x)

    def test_tiled_equals_whole(self, calibrated: Callable[..., Path]) -> None:
        engine = OpenVINOEngine(calibrated(), precision="int8")
        x = np.random.default_rng(1).random((61, 47, 3), np.float32)
        (whole,) = engine.run([x[None]])
        canvas = np.full((122, 94, 3), np.nan, np.float32)
        for tile in tiles.plan(61, 47, 17, engine.card.halo):
            (result,) = engine.run([tiles.crop(x, tile)[None]])
            tiles.paste(canvas, tile, tiles.core(result[0], tile, 2), 2)
        assert np.abs(canvas - whole[0]).max() <= 1 / 255

    def test_the_cache_knows_the_precision(
        self, calibrated: Callable[..., Path], tmp_path: Path
    ) -> None:
        file, x = calibrated(), np.zeros((1, 8, 8, 3), np.float32)
        for precision in ("float32", "int8", "int8"):
            engine = OpenVINOEngine(file, precision=precision, cache=tmp_path / "cache")
            list(engine.run([x]))
            assert engine.dtype.split()[0] == precision
        assert len(list((tmp_path / "cache").iterdir())) == 2

    def test_rounding_is_no_step_of_its_own(self, calibrated: Callable[..., Path]) -> None:
        engine = OpenVINOEngine(calibrated(), precision="int8")
        list(engine.run([np.zeros((1, 8, 8, 3), np.float32)]))
        graph = engine._request.get_compiled_model().get_runtime_model()
        infos = [op.get_rt_info() for op in graph.get_ordered_ops()]
        merged = [info["originalLayersNames"].astype(str) for info in infos]
        assert any("Minimum" in names and "FakeQuantize" in names for names in merged)
        assert "FakeQuantize" not in {info["layerType"].astype(str) for info in infos}

    def test_weights_without_ranges(self, tiny_weights: dict[int, Path]) -> None:
        with pytest.raises(OptionError, match="run `srnet calibrate`"):
            OpenVINOEngine(tiny_weights[2], precision="int8")

    def test_a_processor_that_overflows(
        self, calibrated: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(openvino_engine, "_MOST_ERROR", 1e-6)
        engine = OpenVINOEngine(calibrated(), precision="int8", cache=tmp_path / "none")
        with pytest.raises(DeviceError, match="choose --precision float32 or bfloat16"):
            list(engine.run([np.zeros((1, 8, 8, 3), np.float32)]))
