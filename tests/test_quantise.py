"""Eight bits: an equal network that bears rounding, ranges that are kept, results that agree."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import srnet
from srnet import openvino_engine, quantise, tiles, weights
from srnet.calibrate import calibrate
from srnet.card import NetConfig
from srnet.cli import main
from srnet.engine import TorchEngine
from srnet.errors import DeviceError, OptionError, WeightsError
from srnet.model import ResidualBlock, SRNet
from srnet.openvino_engine import OpenVINOEngine
from tests.conftest import tiny_card

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (24, 31, 3), dtype=np.uint8) for _ in range(3)]


def network(activation: str = "leaky_relu") -> SRNet:
    """A network whose channels differ a lot inside its blocks."""
    torch.manual_seed(1)
    net = SRNet(NetConfig(2, 6, 2, activation=activation))  # type: ignore[arg-type]
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    for block in net.body:
        assert isinstance(block, ResidualBlock)
        block.conv1.weight.data *= torch.logspace(-3, 2, 6)[:, None, None, None]
    return net.requires_grad_(False)


@pytest.mark.parametrize("activation", ["leaky_relu", "relu", "silu", "prelu"])
def test_the_prepared_network_is_equal(activation: str) -> None:
    net = network(activation)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    ready, limits = quantise.prepared(net, quantise.measured(net, PICTURES))
    x = torch.rand(1, 3, 9, 11)
    torch.testing.assert_close(ready(x), net(x), rtol=1e-4, atol=1e-4)
    assert len(limits) == len(quantise.convolutions(net)) == 2 * 2
    for name, tensor in net.state_dict().items():  # the one that was given stays as it was
        assert torch.equal(tensor, before[name])


def test_channels_inside_a_block_get_the_same_range() -> None:
    net = network()
    ranges = quantise.measured(net, PICTURES)
    largest = np.abs(ranges["body.0.conv2"]).max(axis=0)
    assert largest.max() > 1000 * largest.min()
    ready, _ = quantise.prepared(net, ranges)
    again = quantise.measured(ready, PICTURES)
    found = np.abs(again["body.0.conv2"]).max(axis=0)
    bounded = largest < 1e-3 * largest.max()
    np.testing.assert_allclose(found[~bounded], 1, rtol=1e-4)
    assert (found[bounded] <= 1).all()


def test_limits_hold_what_was_measured_and_zero_is_exact() -> None:
    net = network("silu")
    ranges = quantise.measured(net, PICTURES)
    _, limits = quantise.prepared(net, ranges)
    for (low, high), found in zip(limits, ranges.values(), strict=True):
        step = (high - low) / 255
        assert low <= 0 <= high
        assert abs(low / step - round(low / step)) < 1e-6
        assert low - step <= found[0].min()
        assert high + step >= found[1].max()


def test_channels_along_the_blocks_share_the_range() -> None:
    net = network()
    for block in net.body:  # the stream is what the first convolution gives
        assert isinstance(block, ResidualBlock)
        torch.nn.init.zeros_(block.conv2.weight)
        torch.nn.init.zeros_(block.conv2.bias)  # type: ignore[arg-type]
    net.head.weight.data *= torch.logspace(-1, 0, 6)[:, None, None, None]
    ready, _ = quantise.prepared(net, quantise.measured(net, PICTURES))
    found = np.abs(quantise.measured(ready, PICTURES)["fuse"]).max(axis=0)
    np.testing.assert_allclose(found, found[0], rtol=1e-4)


def blind() -> SRNet:
    """A network of which most convolutions are always given zeros."""
    net = network()
    torch.nn.init.zeros_(net.head.weight)
    torch.nn.init.zeros_(net.head.bias)  # type: ignore[arg-type]
    for block in net.body:
        assert isinstance(block, ResidualBlock)
        torch.nn.init.zeros_(block.conv1.bias)  # type: ignore[arg-type]
    return net


def test_an_input_that_is_always_zero() -> None:
    net = blind()
    ready, limits = quantise.prepared(net, quantise.measured(net, PICTURES))
    assert all(high > low for low, high in limits)
    assert torch.isfinite(ready(torch.rand(1, 3, 5, 5))).all()


def test_ranges_of_another_network_are_refused() -> None:
    other = SRNet(NetConfig(2, 6, 1))
    for ranges in ({}, quantise.measured(other, PICTURES)):
        with pytest.raises(WeightsError, match="calibrate again"):
            quantise.prepared(network(), ranges)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photographs of a sort."""
    for index, picture in enumerate(PICTURES[:2]):
        large = PIL.Image.fromarray(picture).resize((96, 80), PIL.Image.Resampling.BICUBIC)
        (tmp_path / "photographs").mkdir(exist_ok=True)
        large.save(tmp_path / "photographs" / f"{index}.png")
    return tmp_path / "photographs"


@pytest.fixture
def calibrated(tmp_path: Path, folder: Path) -> Callable[..., Path]:
    """Makes a calibrated weights file of a scale."""

    def made(scale: int = 2, degradation: str = "clean") -> Path:
        torch.manual_seed(scale)
        card = tiny_card(scale, features=8, degradation=degradation)
        net = SRNet(card.net)
        torch.nn.init.normal_(net.tail.weight, std=0.05)
        file = tmp_path / f"{card.name}.safetensors"
        weights.save(file, net, card)
        assert calibrate(file, folder, 3, 5) == 5
        return file

    return made


@pytest.mark.parametrize("degradation", ["clean", "photo"])
def test_ranges_are_kept_beside_the_weights(
    calibrated: Callable[..., Path], folder: Path, degradation: str
) -> None:
    file = calibrated(2, degradation)
    net, card = weights.load(file)
    assert card.calibrated == 5
    ranges = weights.load_ranges(file)
    assert list(ranges) == list(quantise.convolutions(net))
    weights.record(file, {"Set5 psnr": 33.0})
    calibrate(file, folder, 3, 5)
    again = weights.load_ranges(file)
    for name, found in ranges.items():  # the same pictures, the same ranges
        np.testing.assert_array_equal(found, again[name])
    assert weights.read_card(file).metrics == {"Set5 psnr": 33.0}


def test_from_the_command_line(
    calibrated: Callable[..., Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(calibrated())
    assert (
        main(["calibrate", file, "--pictures", str(folder), "--graphics", "0", "--steps", "0"]) == 0
    )
    assert "ranges for int8 from 2 pictures" in capsys.readouterr().out
    for option in ("--graphics", "--steps"):
        assert main(["calibrate", file, "--pictures", str(folder), option, "-1"]) == 2
        assert f"{option} must be 0 or more, not -1" in capsys.readouterr().err
    assert main(["calibrate", file, "--pictures", str(folder / "no")]) == 2
    assert main(["calibrate", "nothing", "--pictures", str(folder)]) == 2


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
