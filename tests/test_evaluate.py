"""Evaluation: benchmark layouts, scores that can be worked out, the real benchmark if given."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from srnet import product, weights
from srnet.bicubic import resize
from srnet.cli import app, main
from srnet.degrade import clean
from srnet.errors import DataError
from srnet.evaluate import jpeg_degradation, mean, pairs, scores, validation
from srnet.model import SRNet
from srnet.upscaler import Upscaler
from tests.conftest import tiny_card


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two pictures whose size is no multiple of the scale, one of them grey."""
    for name, shape in (("b", (53, 47, 3)), ("a", (50, 61))):
        coarse = rng.integers(0, 256, (28, 26, *shape[2:]), dtype=np.uint8)
        PIL.Image.fromarray(resize(coarse, *shape[:2])).save(tmp_path / f"{name}.png")
    return tmp_path


def test_bicubic_engine_scores_as_bicubic(folder: Path, fake_engine: type) -> None:
    rows = list(scores(Upscaler([fake_engine(2)]), pairs(folder, 2), 2))
    assert [row.name for row in rows] == ["a", "b"]
    for row in rows:  # two roundings against one, and a border of two pixels each way
        assert row.psnr == pytest.approx(row.bicubic_psnr, abs=0.05)
    assert mean(rows).psnr == pytest.approx((rows[0].psnr + rows[1].psnr) / 2)


def test_low_files_are_read_where_they_are(folder: Path, tmp_path: Path) -> None:
    made = list(pairs(folder, 2))
    bench = tmp_path / "bench"
    (bench / "HR").mkdir(parents=True)
    (bench / "LRbicx2").mkdir()
    for pair in made:
        (bench / "HR" / f"{pair.name}.png").write_bytes((folder / f"{pair.name}.png").read_bytes())
        marked = np.clip(pair.low, 0, 200)
        PIL.Image.fromarray(marked).save(bench / "LRbicx2" / f"{pair.name}x2.png")
    read = list(pairs(bench, 2))
    for a, b in zip(made, read, strict=True):
        np.testing.assert_array_equal(b.low, np.clip(a.low, 0, 200))
        np.testing.assert_array_equal(a.high, b.high)
    assert next(pairs(bench, 2, jpeg_degradation(50))).low.max() > 200  # made, not read
    PIL.Image.fromarray(marked[1:]).save(bench / "LRbicx2" / "ax2.png")
    with pytest.raises(DataError, match="expected at x2"):
        list(pairs(bench, 2))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 30), (5, 5), (14, 30)])
def test_a_picture_that_is_too_small_is_named(
    tmp_path: Path, fake_engine: type, height: int, width: int
) -> None:
    PIL.Image.new("RGB", (width, height)).save(tmp_path / "dot.png")
    with pytest.raises(DataError, match=r"dot.*[:;] move it"):
        list(scores(Upscaler([fake_engine(2)]), pairs(tmp_path, 2), 2))


def test_a_benchmark_lacks_nothing_silently(folder: Path, fake_engine: type) -> None:
    for name in ("HR", "LRbicx2"):
        (folder / name).mkdir()
    for file in folder.glob("*.png"):
        file.rename(folder / "HR" / file.name)
    with pytest.raises(DataError, match=r"LRbicx2.ax2\.png is missing: .*HR.a\.png has to be"):
        list(pairs(folder, 2))
    with pytest.raises(DataError, match=r"has LRbicx2, but no LRbicx4: add it"):
        list(pairs(folder, 4))
    assert len(list(pairs(folder / "HR", 4))) == 2
    assert len(list(pairs(folder, 4, jpeg_degradation(50)))) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_small_picture(folder: Path) -> None:
    for name in ("HR", "LRbicx2"):
        (folder / name).mkdir()
    (folder / "a.png").rename(folder / "HR" / "a.png")
    os.mkfifo(folder / "LRbicx2" / "ax2.png")
    with pytest.raises(DataError, match=r"ax2\.png is missing"):
        pairs(folder, 2)


def test_a_link_to_nothing_is_named(folder: Path) -> None:
    (folder / "c.png").symlink_to(folder / "gone.png")
    with pytest.raises(DataError, match=r"c\.png: No such file or directory; move it"):
        list(pairs(folder, 2))


def test_command_and_record(folder: Path, tiny_weights: dict[int, Path], tmp_path: Path) -> None:
    model = tmp_path / "tiny-x2.safetensors"
    model.write_bytes(tiny_weights[2].read_bytes())
    command = ["eval", str(folder), "-m", str(model), "--json", "--each", "--record"]
    done = CliRunner().invoke(app, [*command, "--jpeg", "60"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert f"recorded as {folder.name} jpeg 60 in {model}" in done.stderr
    assert [row["picture"] for row in rows] == ["a", "b", "mean"]
    metrics = weights.read_card(model).metrics
    assert metrics[f"{folder.name} jpeg 60 psnr"] == rows[-1]["psnr"]
    zero = CliRunner().invoke(
        app, ["eval", str(folder), "-m", str(model), "--json", "--strength", "0"]
    )
    row = json.loads(zero.stdout)[0]
    assert row["psnr"] == pytest.approx(row["bicubic_psnr"], abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("A/HR -m nonsense", "no model 'nonsense'"),
        ("A/HR -m bad.safetensors", "bad.safetensors is not a safetensors file"),
        ("A/HR missing", "there is no folder missing"),
        ("A/HR B", "has LRbicx4, but no LRbicx2"),
        ("A/HR A", "ax2.png is missing"),
        ("A/HR B/HR --record", "of A/HR and B/HR would all be called 'HR': rename"),
        ("A/HR --record", "may not be written to"),
    ],
)
def test_what_can_be_refused_is_refused_before_all_the_work(
    folder: Path,
    tiny_weights: dict[int, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    reason: str,
) -> None:
    monkeypatch.chdir(folder)
    for name in ("A/HR", "A/LRbicx2", "B/HR", "B/LRbicx4"):
        Path(name).mkdir(parents=True)
    for name in ("A/HR", "B/HR"):
        Path(name, "a.png").write_bytes(Path("a.png").read_bytes())
    Path("bad.safetensors").write_bytes(b"bad")
    if "written" in reason:
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    monkeypatch.setattr("srnet.evaluate.scores", lambda *_: pytest.fail("work had begun"))
    assert main(["eval", "-m", str(tiny_weights[2]), *arguments.split()]) == 2
    assert reason in capsys.readouterr().err


def test_what_was_measured_before_a_failure_is_shown(
    folder: Path, tiny_weights: dict[int, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = ((folder / f"{name}.png").read_bytes() for name in "ab")
    for name, data in (("good/a", a), ("poor/a", a), ("poor/b", b[:-50])):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.png").write_bytes(data)
    command = ["eval", str(folder / "good"), str(folder / "poor"), "-m", str(tiny_weights[2])]
    for more, expected in (([], ["mean"]), (["--each"], ["a", "mean", "a"])):
        assert main([*command, "--json", *more]) == 1
        said = capsys.readouterr()
        assert [row["picture"] for row in json.loads(said.out)] == expected
        assert "b.png" in said.err


def test_infinite_figures_go_into_no_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tiny_card(2)
    model, flat = tmp_path / "tiny-x2.safetensors", tmp_path / "flat"
    weights.save(model, SRNet(card.net), card)  # untrained: bicubic
    flat.mkdir()
    PIL.Image.new("RGB", (40, 40), "tan").save(flat / "a.png")
    assert main(["eval", str(flat), "-m", str(model), "--json", "--record"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out, parse_constant=pytest.fail)[0]["psnr"] is None
    assert "not recorded: a came back as it was" in said.err
    assert weights.read_card(model).metrics == {}
    with pytest.raises(DataError, match="a is flat"):
        validation(flat, 2, "clean", "cpu")


def test_an_ensemble_has_figures_of_its_own(folder: Path, tiny_weights: dict[int, Path]) -> None:
    command = ["eval", str(folder), "-m", str(tiny_weights[2]), "--json"]
    one, two = (
        json.loads(CliRunner().invoke(app, [*command, *more]).stdout)[0]
        for more in ([], ["--ensemble", "2"])
    )
    assert one["psnr"] != two["psnr"]
    assert (one["ensemble"], two["ensemble"], two["engine"]) == (1, 2, "torch")
    refused = CliRunner().invoke(app, [*command, "--ensemble", "2", "--record"])
    assert "without --ensemble" in str(refused.exception)


def test_limit_takes_the_first_pictures(folder: Path, tiny_weights: dict[int, Path]) -> None:
    command = ["eval", str(folder), "-m", str(tiny_weights[2]), "--json", "--each", "--limit", "1"]
    rows = json.loads(CliRunner().invoke(app, command).stdout)
    assert [row["picture"] for row in rows] == ["a", "mean"]
    refused = CliRunner().invoke(app, [*command, "--record"])
    assert refused.exit_code != 0  # a part of a folder is no figure for a card


def test_engine_is_pytorch_unless_asked(
    folder: Path, tiny_weights: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    real = product.engine_class
    monkeypatch.setattr(
        product, "engine_class", lambda name, device: taken.append(name) or real("torch", device)
    )
    command = ["eval", str(folder), "-m", str(tiny_weights[2]), "--limit", "1"]
    for more in ([], ["--engine", "openvino"]):
        assert CliRunner().invoke(app, [*command, *more]).exit_code == 0
    assert taken == ["torch", "openvino"]


@pytest.mark.parametrize("kind", ["--photo", "--mild"])
def test_drawn_degradations_score_the_same_twice(
    folder: Path, tiny_weights: dict, kind: str
) -> None:
    command = ["eval", str(folder), "-m", str(tiny_weights[2]), "--json"]
    first, again, plain = (
        CliRunner().invoke(app, [*command, *more]).stdout for more in ([kind], [kind], [])
    )
    assert first == again
    assert f"{folder.name} {kind[2:]}" in first
    assert json.loads(first)[0]["psnr"] < json.loads(plain)[0]["psnr"]


def test_validation_leaves_the_cache_of_the_user_alone(
    folder: Path,
    tiny_weights: dict[int, Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights in training never come again, and those that do would have to go for them."""
    cache = tmp_path_factory.mktemp("user")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    measured = validation(folder, 2, "clean", "cpu")(tiny_weights[2])
    assert list(cache.rglob("*.bin")) == []
    upscaler = product.load(str(tiny_weights[2]), device="cpu", precision="float32")
    row = mean(list(scores(upscaler, pairs(folder, 2), 2)))  # in the same engine
    assert measured["validation psnr"] == round(row.psnr, 3)
    assert measured["validation bicubic psnr"] == round(row.bicubic_psnr, 3)


BENCH = os.environ.get("SRNET_BENCH")  # a folder with Set5/ and Set14/ inside

BICUBIC = {  # dB on Y, from the low-resolution files that papers use
    "Set5": {2: 33.67, 3: 30.40, 4: 28.43},
    "Set14": {2: 30.33, 3: 27.63, 4: 26.09},
}


@pytest.mark.slow
@pytest.mark.skipif(BENCH is None, reason="set SRNET_BENCH to the folder with Set5 and Set14")
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_benchmark_convention(name: str, scale: int, fake_engine: type) -> None:
    folder = Path(str(BENCH)) / name
    found = list(pairs(folder, scale))
    for pair in found:  # our shrink is MATLAB's
        np.testing.assert_array_equal(clean(pair.high, scale), pair.low)
    row = mean(list(scores(Upscaler([fake_engine(scale)]), iter(found), scale)))
    assert row.bicubic_psnr == pytest.approx(BICUBIC[name][scale], abs=0.01)
