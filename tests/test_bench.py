"""The benchmarks run, and say what was there to say; how fast anything is, is not looked at."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import cv2
import numpy as np
import PIL.Image
import pytest

from srnet.weights import load
from tests.bench import agreement, peers, race, runner, scaling
from tests.bench.ablations import VARIANTS
from tests.bench.process import Usage, measured

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no wait4")

NEAREST = """
import sys, PIL.Image
image = PIL.Image.open(sys.argv[1])
image.resize((image.width * 4, image.height * 4), 0).save(sys.argv[2])
"""


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    small = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    (tmp_path / "photographs").mkdir()
    picture = PIL.Image.fromarray(small).resize((99, 74), PIL.Image.Resampling.BICUBIC)
    picture.save(tmp_path / "photographs" / "a.png")
    return tmp_path / "photographs"


def test_the_race(
    photographs: Path,
    tiny_weights: dict[int, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = f"{sys.executable} -c '{NEAREST}' {{input}} {{output}}"
    failing = f"{sys.executable} -c 'raise SystemExit(3)' {{input}} {{output}}"
    race.main(
        [
            *(str(photographs), "--scale", "4", "--runs", "1"),
            *("--models", str(tiny_weights[4]), "--precisions", "float32", "int9"),
            *("--command", f"nearest={words}", "--command", f"broken={failing}"),
            *("--command", f"small={words.replace('* 4', '* 3')}"),
            *("--json", str(tmp_path / "race.json"), "--plot", str(tmp_path / "race.svg")),
            *("--by", "process"),
        ]
    )
    report = json.loads((tmp_path / "race.json").read_text())
    rows = {r["name"]: r for r in report["rows"]}
    failed = {name: r.pop("error") for name, r in rows.items() if "error" in r}
    assert set(failed) == {"srnet tiny-x4 int9", "broken", "small"}
    assert "exit code 3" in failed["broken"]
    assert "differ in size" in failed["small"]
    assert report["output_megapixels"] == pytest.approx(96 * 72 / 1e6, abs=1e-3)
    nearest, bicubic, own = (
        rows[n] for n in ("nearest", "Pillow bicubic", "srnet tiny-x4 float32")
    )
    assert nearest["psnr"] < bicubic["psnr"] < 60
    assert nearest["warm"] is None
    assert own["ran"][0].endswith("float32")
    assert min(own["warm"], bicubic["warm"], nearest["process"], own["process"]) > 0
    assert own["peak_mb"] > bicubic["peak_mb"] > 5
    assert sum("on_process_front" in r for r in rows.values()) >= 1
    drawn = "".join(ElementTree.parse(tmp_path / "race.svg").getroot().itertext())
    assert "tiny-x4 float32" in drawn
    assert "broken" not in drawn
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 + len(rows)
    assert [line.split(" | ")[0] for line in printed if "failed" in line] == [
        f"| {name}" for name in failed
    ]


def test_the_pareto_front() -> None:
    figures = {
        "a": (1, 30),
        "slower": (2, 30),
        "better": (3, 31),
        "worse": (4, 29),
        "none": (None, 40),
    }
    rows = [{"name": n, "warm": t, "psnr": q} for n, (t, q) in figures.items()]
    assert [r["name"] for r in race.front(rows, "warm")] == ["a", "better"]


def test_commands_and_plots_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--command", "name=program {input}"], ["--plot", "race.png"]):
        with pytest.raises(SystemExit):
            race.main(["folder", *wrong])
    told = capsys.readouterr().err
    assert "{output}" in told
    assert "SVG" in told


def test_networks_of_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "dnn_superres", raising=False)
    with pytest.raises(RuntimeError, match="opencv-contrib-python-headless"):
        runner.on_arrays("FSRCNN_x2.pb", 2)
    told = []
    network = SimpleNamespace(
        readModel=told.append,
        setModel=lambda *given: told.append(given),
        upsample=lambda bgr: bgr.repeat(2, 0).repeat(2, 1) + np.uint8([0, 0, 7]),
    )
    fake = SimpleNamespace(DnnSuperResImpl_create=lambda: network)
    monkeypatch.setattr(cv2, "dnn_superres", fake, raising=False)
    result = runner.on_arrays("FSRCNN-small_x2.pb", 2)(np.zeros((3, 4, 3), np.uint8))
    assert told == ["FSRCNN-small_x2.pb", ("fsrcnn", 2)]
    assert result.shape == (6, 8, 3)
    assert (result == [7, 0, 0]).all()  # RGB, though OpenCV has BGR
    with pytest.raises(ValueError, match=r"FSRCNN_x4\.pb"):
        runner.on_arrays("FSRCNN_x2.pb", 4)


class FakeNcnn:
    """A network that repeats pixels, once too often where it is told to."""

    def __init__(self, times: int) -> None:
        self.Net, self.Mat, self.times = (lambda: self), np.array, times
        self.load_param = self.load_model = lambda name: "missing" in name
        self.input_names, self.output_names = (lambda: ["in"]), (lambda: ["out"])
        self.create_extractor = lambda: self

    def input(self, name: str, planes: np.ndarray) -> None:
        assert name == "in"
        assert planes.dtype == np.float32
        self.planes = planes

    def extract(self, name: str) -> tuple[int, np.ndarray]:
        assert name == "out"
        return 0, self.planes.repeat(self.times, 1).repeat(self.times, 2) * 1.5


def test_networks_of_ncnn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rgb = np.arange(36, dtype=np.uint8).reshape(3, 4, 3) * 7
    expected = (rgb.repeat(2, 0).repeat(2, 1) * 1.5).clip(0, 255).round()
    monkeypatch.setitem(sys.modules, "ncnn", FakeNcnn(2))
    assert abs(runner.on_arrays("net.param", 2)(rgb) - expected).max() <= 1
    with pytest.raises(ValueError, match="not x4"):
        runner.on_arrays("net.param", 4)(rgb)
    with pytest.raises(ValueError, match="no network"):
        runner.on_arrays("missing.param", 2)
    peer = [p.name for p in peers.others([Path("net.param"), Path("FSRCNN_x2.pb")], 2)]
    assert peer[-2:] == ["ncnn net", "OpenCV FSRCNN_x2"]
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    PIL.Image.fromarray(rgb).save(source)
    monkeypatch.setattr(sys, "argv", ["runner", "net.param", "2", str(source), str(target)])
    runpy.run_path(runner.__file__, run_name="__main__")
    assert abs(np.asarray(PIL.Image.open(target)) - expected).max() <= 1


def test_the_memory_of_a_process_is_its_own() -> None:
    ballast = np.ones(200_000_000, np.uint8)
    small = measured([sys.executable, "-I", "-S", "-c", "pass"])
    large = measured(
        [sys.executable, "-c", "import os; x = os.environ['SIZE'] * 10**8"], {"SIZE": "a"}
    )
    assert small.peak < len(ballast) / 2 < large.peak
    with pytest.raises(RuntimeError, match="nosuch"):
        measured(["nosuch"])


def test_scaling(
    tiny_weights: dict[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, sizes = tmp_path / "scaling.json", ("--megapixels", "0.016", "0.064")
    small = ("--tile", "32", "--batch", "4", "--precision", "float32")
    scaling.main(["--model", str(tiny_weights[4]), *sizes, *small, "--json", str(file)])
    report = json.loads(file.read_text())
    assert [r["megapixels"] for r in report["rows"]] == [0.015, 0.064]
    assert all(r["seconds"] > 0 and r["peak_mb"] > 10 for r in report["rows"])
    assert [(fit["threads"], fit["batch"]) for fit in report["lines"]] == [(1, 4)]
    assert len(capsys.readouterr().out.splitlines()) == 2 + 2 + 1 + 2 + 2


def test_a_column_for_each_number_of_threads_and_tiles() -> None:
    kinds = [(1, 1), (2, 1), (1, 8), (2, 8)]
    rows = [scaling.row(x, *kind, [Usage(x, 10**6)]) for x in (1.0, 2.0) for kind in kinds]
    text = scaling.shown(rows, scaling.lines(rows))
    assert "| 2 | 2 s, 1 MB | 2 s, 1 MB | 2 s, 1 MB | 2 s, 1 MB |" in text
    assert "| threads 2, batch 8: s | 1 |" in text


def test_a_line_shows_a_cliff() -> None:
    straight = scaling.line([1, 2, 4, 8], [3, 5, 9, 17])
    assert straight["per_megapixel"] == pytest.approx(2)
    assert straight["constant"] == pytest.approx(1)
    assert abs(straight["largest_deviation_percent"]) < 0.1
    cliff = scaling.line([1, 2, 4, 8, 16], [3, 5, 9, 17, 66])
    assert cliff["largest_deviation_percent"] > 20
    assert cliff["at_megapixels"] == 16


def test_how_far_few_bits_are_from_float32(
    photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name, board), *_ = reversed(agreement.drawn().items())
    assert board.shape == (64, 64, 3)
    assert set(np.unique(board)) == {0, 255}
    monkeypatch.setattr(agreement, "drawn", lambda: {name: board})
    rows = list(agreement.differences("fast-x2", "openvino", photographs))
    assert [(r["precision"], r["picture"]) for r in rows] == [
        (precision, picture)
        for precision in ("bfloat16", "int8")
        for picture in (name, "photographs")
    ]
    assert rows[0]["samples"] == board.size * 4
    assert rows[2]["over_10"] > rows[0]["over_10"] == 0  # noise to the pixel is worst for int8
    assert rows[2]["largest"] > rows[3]["largest"]
    (row, _) = agreement.differences("fast-x2", "torch", photographs)
    assert row["precision"] == "bfloat16"


@pytest.mark.slow
def test_every_ablation_trains_another_network(tmp_path: Path, photographs: Path) -> None:
    options = ["--size", "fast", "--batch", "2", "--patch", "16", "--iterations", "3"]
    made = {}
    for variant in VARIANTS:
        out = tmp_path / f"{variant}-x2.safetensors"
        module = [sys.executable, "-m", "tests.bench.ablations", variant, photographs, "-o", out]
        subprocess.run([*module, *options], check=True, capture_output=True, timeout=120)
        made[variant] = b"".join(t.numpy().tobytes() for t in load(out)[0].state_dict().values())
    assert len(set(made.values())) == len(VARIANTS)
