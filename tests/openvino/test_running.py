"""What OpenVINO may report, how it runs short of memory, when it is chosen."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import srnet
from srnet import device, openvino_engine, openvino_graph
from srnet.engine import TorchEngine
from srnet.errors import DeviceError, OptionError, SetupError
from srnet.model import SRNet
from srnet.openvino_engine import OpenVINOEngine, preferred
from srnet.weights import save
from tests.conftest import tiny_card

pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install '.[openvino]'")
from tests.openvino.support import X, run


def test_without_a_cache_it_works_too(tiny_weights: dict[int, Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run(tiny_weights[2], tmp_path / "file").shape == (1, 18, 22, 3)


def test_nothing_is_reported_over_the_network(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = pytest.importorskip("openvino_telemetry.main")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("telemetry")

    monkeypatch.setattr(telemetry.Telemetry, "init", refuse)
    monkeypatch.setattr(telemetry.Telemetry, "send_event", refuse)
    run(tiny_weights[2], tmp_path)


_COMMAND = """
import sys
from srnet.cli import main
code = main()
print(code, "openvino" in sys.modules, [n for n in sys.modules if "telemetry" in n or "absl" in n])
"""


def test_the_command_loads_no_converter(tiny_weights: dict[int, Path], tmp_path: Path) -> None:
    PIL.Image.new("RGB", (12, 9)).save(tmp_path / "a.png")
    options = ["-m", str(tiny_weights[2]), "-o", str(tmp_path / "b.png"), "--engine", "openvino"]
    command = [sys.executable, "-c", _COMMAND, "upscale", str(tmp_path / "a.png"), *options]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}  # compiles, then not
    for _ in range(2):
        output = subprocess.check_output([*command, "--overwrite"], env=environment, text=True)
        assert output.splitlines()[-1] == "0 True []"


_SHORT = """
import resource, sys
import numpy as np
import PIL.Image
from pathlib import Path
from srnet.openvino_engine import OpenVINOEngine
engine = OpenVINOEngine(Path(sys.argv[1]), "cpu", "float32", cache=Path(sys.argv[2]))
small = np.zeros((1, 40, 40, 3), np.float32)
next(engine.run([small]))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
x = np.random.default_rng(0).random((1, 512, 512, 3), np.float32)
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]) * 2**20, -1))
infer, failed = engine._infer, []
def watched(batch):
    try:
        return infer(batch)
    except RuntimeError:
        failed.append(batch.shape)
        raise
engine._infer = watched
result = next(engine.run([x]))
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
engine._infer = infer
print(len(failed), float(np.abs(result - next(engine.run([x]))).max()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
def test_memory_that_really_runs_out_gives_no_stale_pixels(tmp_path: Path) -> None:
    """The runtime's own synchronous call gave the previous result here, without an error."""
    card, weights = tiny_card(2, features=64), tmp_path / "wide.safetensors"
    net = SRNet(card.net)
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    save(weights, net, card)
    command = [sys.executable, "-c", _SHORT, str(weights), str(tmp_path), "70"]
    failures, difference = subprocess.check_output(command, text=True).split()
    assert int(failures) > 0
    assert float(difference) <= 1e-5


def test_errors_say_what_to_do(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OptionError, match="--engine torch"):
        OpenVINOEngine(tiny_weights[2], "cuda")
    with pytest.raises(OptionError, match="unknown engine"):
        srnet.load(str(tiny_weights[2]), engine="onnx")
    monkeypatch.setattr(OpenVINOEngine, "_build", _no_build)
    with pytest.raises(DeviceError, match=r"cannot prepare tiny-x2.*--engine torch"):
        run(tiny_weights[2], tmp_path)
    monkeypatch.setattr(openvino_engine, "find_spec", lambda _: None)
    with pytest.raises(SetupError, match=r"\.\[openvino\]"):
        OpenVINOEngine(tiny_weights[2])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/shm")
def test_nothing_else_has_to_be_writable(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)  # docker run --read-only
    assert run(tiny_weights[2], tmp_path / "cache").shape == (1, 18, 22, 3)
    monkeypatch.setattr(openvino_graph, "TemporaryDirectory", _no_room)
    with pytest.raises(DeviceError, match=r"cannot prepare tiny-x2: .*no room.*--engine torch"):
        run(tiny_weights[2], tmp_path / "other")


def _no_room(**_: str) -> None:
    raise FileNotFoundError("no room")


def test_a_form_that_cannot_be_loaded_is_one_clear_error(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenVINOEngine, "_restore", lambda *_: False)
    with pytest.raises(DeviceError, match=r"cannot prepare tiny-x2.*--engine torch"):
        run(tiny_weights[2], tmp_path)


class _Interrupted:
    """A request whose first wait is cut short, as by Ctrl-C between two instructions."""

    def __init__(self, request: Any) -> None:
        self.request, self.waits = request, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.request, name)

    def wait(self) -> None:
        self.waits += 1
        if self.waits == 1:
            raise KeyboardInterrupt
        self.request.wait()


def test_a_batch_that_was_interrupted_has_ended(
    tiny_weights: dict[int, Path], tmp_path: Path
) -> None:
    engine = OpenVINOEngine(tiny_weights[2], "cpu", "float32", cache=tmp_path)
    x = np.random.default_rng(1).random((1, 500, 500, 3), np.float32)
    (expected,) = engine.run([x])
    engine._request = _Interrupted(engine._request)
    with pytest.raises(KeyboardInterrupt):
        list(engine.run([x]))
    (found,) = engine.run([x])  # at once: it was refused as busy
    np.testing.assert_array_equal(found, expected)


def _no_build(_: OpenVINOEngine) -> dict[str, bytes]:
    raise RuntimeError("broken")


def test_the_automatic_choice(
    tiny_weights: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(**options: str) -> type:
        return type(srnet.load(str(tiny_weights[2]), **options).engines[2])

    assert chosen(engine="torch") is TorchEngine
    assert chosen(engine="openvino") is OpenVINOEngine
    monkeypatch.setattr(openvino_engine.platform, "machine", lambda: "x86_64")
    assert chosen(device="cpu") is OpenVINOEngine
    assert not preferred("cuda")
    monkeypatch.setattr(openvino_engine, "gpu_possible", lambda: True)
    assert chosen() is TorchEngine
    assert chosen(device="cpu") is OpenVINOEngine
    monkeypatch.setattr(openvino_engine, "gpu_possible", lambda: False)
    assert chosen() is OpenVINOEngine
    monkeypatch.setattr(openvino_engine.platform, "machine", lambda: "riscv64")
    assert chosen() is TorchEngine


def test_threads_are_those_of_the_environment(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, threads in (("1", 1), ("2,4", 2), ("", None), ("0", None), ("many", None)):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert device.thread_limit() == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    engine = OpenVINOEngine(tiny_weights[2], "cpu", "float32", cache=tmp_path)
    next(engine.run([X]))
    compiled = engine._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1


@pytest.mark.parametrize(
    ("build", "driver", "possible"),
    [("2.6.0+cpu", True, False), ("2.6.0", True, True), ("2.6.0", False, False)],
)
def test_a_gpu_is_possible_where_its_driver_is(
    build: str, driver: bool, possible: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: str) -> None:
        if not driver:
            raise OSError

    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device, "version", lambda _: build)
    monkeypatch.setattr(device.ctypes, "CDLL", load)
    assert device.gpu_possible() == possible
