from __future__ import annotations

import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from signal import SIGTERM

import numpy as np
import PIL.Image
import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

import srnet.product
from srnet.bicubic import resize
from srnet.cli import main
from srnet.cli.console import Bar, shown
from srnet.encode import encode
from srnet.image import Image, decode, from_array
from srnet.options import Options
from srnet.report import Row
from srnet.upscaler import Upscaler

ROOT = Path(__file__).parent.parent


def pixels(height: int = 8, width: int = 10, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(x / (3 + i) + y / 4) for i in range(channels)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def picture(path: Path, kind: str = "png", **size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode([from_array(pixels(**size))], kind))
    return path


def read(path: Path) -> Image:
    return decode(path.read_bytes(), str(path))[0]


def size(path: Path) -> tuple[int, int]:
    image = read(path)
    return image.width, image.height


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a picture ``a.png`` of 10 x 8 in it."""
    monkeypatch.chdir(tmp_path)
    picture(Path("a.png"))
    return tmp_path


@pytest.fixture
def up(here, tiny_weights):
    """Runs ``srnet upscale`` with a tiny network, and returns the exit code."""

    def run(*arguments: object, model: str | Path = tiny_weights[2]) -> int:
        return main(["upscale", *(str(a) for a in arguments), "--model", str(model)])

    return run


def report_of(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


# --- what comes out -------------------------------------------------------------------------


def test_a_file(up, capsys):
    assert up("a.png", "-o", "b.png") == 0
    assert size(Path("b.png")) == (20, 16)
    said = capsys.readouterr()
    assert said.out == ""
    assert "[1/1] a.png -> b.png  10x8 -> 20x16" in said.err
    assert "1 done" in said.err


def test_a_folder_keeps_its_tree(up, here):
    picture(here / "in" / "one.jpg", "jpeg")
    picture(here / "in" / "sub" / "deep" / "two.webp", "webp")
    (here / "in" / "notes.txt").touch()
    assert up("in", "a.png", "-o", "out") == 0
    made = sorted(p.relative_to("out").as_posix() for p in Path("out").rglob("*") if p.is_file())
    assert made == ["a.png", "one.jpg", "sub/deep/two.webp"]
    assert read(Path("out/one.jpg")).format == "JPEG"


def test_an_output_folder_inside_the_input_is_not_upscaled_again(up, here):
    for _ in range(2):
        assert up(".", "-o", "out", "--skip-existing", "--residual", "added") == 0
    files = sorted(p.relative_to(here).as_posix() for p in here.rglob("*") if p.is_file())
    assert files == ["a.png", "added/a.png.residual.png", "out/a.png"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-s", "3"], (30, 24)),
        (["--scale", "1.5"], (15, 12)),
        (["--width", "25"], (25, 20)),
        (["--height", "20"], (25, 20)),
        (["--fit", "100x20"], (25, 20)),
    ],
)
def test_sizes(up, arguments, expected):
    assert up("a.png", "-o", "b.png", *arguments) == 0
    assert size(Path("b.png")) == expected


def test_strength_zero_is_bicubic_and_one_is_not(up):
    assert up("a.png", "-o", "none.png", "--strength", "0", "--precision", "float32") == 0
    assert up("a.png", "-o", "all.png", "--precision", "float32") == 0
    base = resize(pixels(), 16, 20).astype(int)
    assert np.abs(read(Path("none.png")).rgb - base).max() <= 1
    assert up("a.png", "-o", "none", "--strength", "0", "--report", "r.json") == 0
    report = json.loads(Path("r.json").read_text())
    assert (report["settings"]["ran"], report["files"][0]["models"]) == ({}, [])
    assert np.abs(read(Path("all.png")).rgb - base).max() > 1


def test_an_ensemble_turns_with_the_picture(up, here):
    picture(here / "one.png", height=12, width=15)
    PIL.Image.open("one.png").transpose(PIL.Image.Transpose.ROTATE_180).save("turned.png")
    assert up("one.png", "turned.png", "-o", "2", "--ensemble", "2", "--report", "r.json") == 0
    assert up("one.png", "-o", "1") == 0
    one, turned = (read(Path(f"2/{name}.png")).rgb.astype(int) for name in ("one", "turned"))
    assert np.abs(one - turned[::-1, ::-1]).max() <= 1
    assert np.abs(one - read(Path("1/one.png")).rgb).max() > 1
    assert json.loads(Path("r.json").read_text())["settings"]["ensemble"] == 2


def test_tiles_do_not_show(up, here):
    picture(here / "large.png", height=40, width=50)
    assert up("large.png", "-o", "whole.png", "--precision", "float32") == 0
    assert up("large.png", "-o", "tiled.png", "--precision", "float32", "--tile", "24") == 0
    difference = read(Path("whole.png")).rgb.astype(int) - read(Path("tiled.png")).rgb
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("name", "suffix", "kind"),
    [("jpg", ".jpg", "JPEG"), ("webp", ".webp", "WEBP"), ("tif", ".tif", "TIFF")],
)
def test_format(up, name, suffix, kind):
    assert up("a.png", "-o", "out", "-f", name) == 0
    assert read(Path("out/a").with_suffix(suffix)).format == kind


@pytest.mark.parametrize("out", ["out.v2/", "there.v2", "new"])
def test_a_folder_may_have_a_dot(up, here, out):
    (here / "there.v2").mkdir()
    assert up("a.png", "-o", out) == 0
    assert size(Path(out) / "a.png") == (20, 16)


def test_the_output_of_several_is_a_folder_whatever_its_name(up, here):
    picture(here / "in" / "b.png")
    assert up("a.png", "in/b.png", "-o", "out.v2") == 0
    assert up("in", "-o", "out.v3") == 0
    assert Path("out.v2/b.png").exists()
    assert Path("out.v3/b.png").exists()


def test_a_smaller_result_is_called_so(up, capsys):
    assert up("a.png", "-o", "b.png", "--fit", "5x9") == 0
    said = capsys.readouterr().err
    assert "a.png -> b.png  10x8 -> 5x4  smaller than the input" in said
    assert "1 done, 1 smaller than the input" in said
    assert up("a.png", "-o", "c.png", "--fit", "50x9", "--dry-run") == 0
    assert "smaller" not in "".join(capsys.readouterr())


def test_quality(up, here):
    picture(here / "large.png", height=60, width=60)
    assert up("large.png", "-o", "fine.jpg", "-q", "98") == 0
    assert up("large.png", "-o", "rough.jpg", "--quality", "20") == 0
    assert Path("fine.jpg").stat().st_size > 1.5 * Path("rough.jpg").stat().st_size


def test_lossless(up):
    assert up("a.png", "-o", "a.webp", "--lossless") == 0
    assert up("a.png", "-o", "b.png") == 0
    assert np.array_equal(read(Path("a.webp")).rgb, read(Path("b.png")).rgb)


def test_background(up, here, capsys):
    (here / "clear.png").write_bytes(encode([from_array(np.zeros((8, 8, 4), np.uint8))], "png"))
    assert up("clear.png", "-o", "b.jpg") == 1
    assert "background" in capsys.readouterr().err
    assert not Path("b.jpg").exists()
    assert up("clear.png", "-o", "b.jpg", "--background", "#ff8000", "-q", "100") == 0
    assert np.abs(read(Path("b.jpg")).rgb.astype(int) - [255, 128, 0]).max() <= 3
    assert up("clear.png", "-o", "white.jpg", "--background", "white") == 0
    assert read(Path("white.jpg")).rgb.min() == 255
    assert up("clear.png", "-o", "c.jpg", "--background", "ff8000", "-q", "100") == 0
    assert Path("c.jpg").read_bytes() == Path("b.jpg").read_bytes()


def test_subsampling_and_png_level(up, here):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    (here / "noise.png").write_bytes(encode([Image(noise)], "png"))
    for ratio in ("4:4:4", "4:2:0"):
        assert (
            up("noise.png", "-o", f"{ratio[2:].replace(':', '')}.jpg", "--subsampling", ratio) == 0
        )
    assert up("noise.png", "-o", "usual.jpg") == 0
    assert Path("44.jpg").read_bytes() == Path("usual.jpg").read_bytes()
    assert Path("20.jpg").stat().st_size < 0.9 * Path("44.jpg").stat().st_size
    for level in ("0", "9"):
        assert up("noise.png", "-o", f"{level}.png", "--png-level", level) == 0
    assert Path("0.png").stat().st_size > Path("9.png").stat().st_size
    assert np.array_equal(read(Path("0.png")).rgb, read(Path("9.png")).rgb)


def test_metadata_is_kept_unless_stripped(up, here):
    import PIL.ImageCms

    icc = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    (here / "icc.png").write_bytes(encode([Image(pixels(), icc=icc)], "png"))
    assert up("icc.png", "-o", "kept.png") == 0
    assert up("icc.png", "-o", "stripped.png", "--strip-metadata") == 0
    assert read(Path("kept.png")).icc == icc
    assert read(Path("stripped.png")).icc is None


def test_names(up):
    assert up("a.png", "-o", ".", "--name", "{stem}_x{scale}_{model}{suffix}", "-s", "2.5") == 0
    assert size(Path("a_x2.5_tiny-x2.png")) == (25, 20)
    assert up("a.png", "-o", "out", "--name", "{stem}_x{scale}{suffix}") == 0
    assert Path("out/a_x2.png").exists()


def test_residual(up):
    assert up("a.png", "-o", "b.png", "--residual", "added") == 0
    shown_residual = read(Path("added/b.png.residual.png")).rgb
    assert shown_residual.shape == (16, 20, 3)
    assert shown_residual.std() > 1


# --- what is there already ------------------------------------------------------------------


def test_an_existing_result_is_an_error_for_that_file_only(up, here, capsys):
    picture(here / "b.png")
    (here / "out").mkdir()
    (here / "out" / "a.png").write_bytes(b"mine")
    assert up("a.png", "b.png", "-o", "out") == 1
    assert "out/a.png exists" in capsys.readouterr().err
    assert Path("out/a.png").read_bytes() == b"mine"
    assert Path("out/b.png").exists()


def test_skip_existing_goes_on(up, here, capsys):
    (here / "out").mkdir()
    mine = picture(here / "out" / "a.png", height=16, width=20).read_bytes()
    picture(here / "b.png")
    assert up("a.png", "b.png", "-o", "out", "--skip-existing") == 0
    assert "1 done, 1 skipped" in capsys.readouterr().err
    assert up("a.png", "b.png", "-o", "out", "--skip-existing") == 0  # nothing left is fine
    assert Path("out/a.png").read_bytes() == mine


def test_skip_existing_does_not_pass_over_another_size(up, capsys):
    assert up("a.png", "-o", "b.png") == 0
    assert up("a.png", "-o", "b.png", "--skip-existing", "-s", "3") == 1
    said = capsys.readouterr().err
    assert "1 of 1 pictures not made, as something is there already" in said
    assert "b.png exists, but not with the 30 x 24 pixels that this run would make" in said
    assert size(Path("b.png")) == (20, 16)


def test_skip_existing_makes_a_missing_residual(up, capsys):
    assert up("a.png", "-o", "b.png") == 0
    before = Path("b.png").stat().st_mtime_ns
    arguments = ["a.png", "-o", "b.png", "--skip-existing", "--residual", "added"]
    line = "a.png -> b.png  10x8 -> 20x16  skipped, residual: added/b.png.residual.png"
    capsys.readouterr()
    assert up(*arguments, "--dry-run") == 0
    assert capsys.readouterr() == (
        f"{line}\n",
        "1 skipped, 1 residual to make of results that were there\n",
    )
    assert up(*arguments) == 0
    assert capsys.readouterr().err == (
        f"[1/1] {line}\n1 skipped, 1 residual made of results that were there\n"
    )
    assert size(Path("added/b.png.residual.png")) == (20, 16)
    assert Path("b.png").stat().st_mtime_ns == before


def test_overwrite(up):
    Path("b.png").write_bytes(b"old")
    assert up("a.png", "-o", "b.png", "--overwrite") == 0
    assert size(Path("b.png")) == (20, 16)


def test_an_input_is_overwritten_only_when_asked(up, here, capsys):
    before = Path("a.png").read_bytes()
    for out in ("a.png", "."):
        for more in ([], ["--skip-existing"]):
            assert up("a.png", "-o", out, *more) == 1
            assert "a.png is the input itself" in capsys.readouterr().err
    assert Path("a.png").read_bytes() == before
    assert up("a.png", "-o", ".", "--overwrite") == 0
    assert size(Path("a.png")) == (20, 16)


# --- failures -------------------------------------------------------------------------------


def test_one_bad_file(up, here, capsys):
    (here / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    assert up(".", "-o", "out", "--report", "report.json") == 1
    said = capsys.readouterr().err
    assert "1 of 2 pictures failed" in said
    assert said.count("bad.jpg cannot be decoded") == 1
    assert "Traceback" not in said
    assert Path("out/a.png").exists()
    rows = json.loads(Path("report.json").read_text())["files"]
    assert [(row["input"], row["status"]) for row in rows] == [
        ("a.png", "done"),
        ("bad.jpg", "failed"),
    ]
    assert "bad.jpg" in rows[1]["error"]


def test_a_named_file_is_tried_whatever_its_name(up, here, capsys):
    (here / "notes.txt").write_text("not a picture")
    picture(here / "picture.dat")
    assert up("notes.txt", "picture.dat", "-o", "out") == 1
    assert "notes.txt is not a picture" in capsys.readouterr().err
    assert size(Path("out/picture.png")) == (20, 16)


def test_all_failed(up, here):
    Path("a.png").write_bytes(b"")
    assert up("a.png", "-o", "out") == 1
    assert list(Path("out").rglob("*")) == []


def test_no_pictures(up, here, capsys):
    (here / "in").mkdir()
    (here / "in" / "notes.txt").touch()
    assert up("in", "-o", "out") == 3
    assert "srnet: error: no pictures" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_engine(up, monkeypatch, engine):
    used = []
    for module, kind in (("engine", "TorchEngine"), ("openvino_engine", "OpenVINOEngine")):
        made = getattr(importlib.import_module(f"srnet.{module}"), kind)
        attempt = made._attempt
        monkeypatch.setattr(
            made, "_attempt", lambda e, x, attempt=attempt: used.append(type(e)) or attempt(e, x)
        )
    assert up("a.png", "-o", "b.png", "--engine", engine) == 0
    assert {kind.__name__.lower() for kind in used} == {f"{engine}engine"}


def test_max_megapixels(up, capsys):
    assert up("a.png", "-o", "b.png", "--max-megapixels", "0.0001") == 1
    assert "limit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png"], "give -o"),
        (["missing.png", "-o", "out"], "there is no missing.png"),
        (["a.png", "a.jpg", "-o", "out", "-f", "png"], "a.png and a.jpg would both become"),
        (["a.png", "a.jpg", "-o", "b.png"], "one picture only"),
        ([".", "-o", "b.png"], "one picture only"),
        (["a.png", "-", "-o", "out"], "one picture only"),
        (["-", "-o", "out"], "name of a picture"),
        (["a.png", "-o", "b.gif"], "cannot write .gif"),
        (["a.png", "-o", "n.xyz"], "use one of .png, "),
        (["a.png", "-o", "n.xyz"], "for a folder, give -o n.xyz/"),
        (["a.png", "-o", "b.png", "-f", "jpeg"], "called like png"),
        (["a.png", "-o", "b.png", "--name", "{stem}{suffix}"], "--name is for"),
        (["a.png", "-o", "file"], "file is a file"),
        (["a.png", "-o", "file/deep/out"], "file is a file"),
        (["a.png", "-o", "file/b.png"], "file is a file"),
        (["a.png", "-o", "out", "--max-megapixels", "nan"], "--max-megapixels must be"),
        (["a.png", "-o", "out", "-f", "bmp"], "--format: choose one of png"),
        (["a.png", "-o", "out", "-s", "17"], "from 1 to 16"),
        (["a.png", "-o", "out", "-s", "2", "--width", "9"], "give one of scale"),
        (["a.png", "-o", "out", "--width", "0"], "at least 1 pixel"),
        (["a.png", "-o", "out", "--fit", "12"], "--fit is WIDTHxHEIGHT"),
        (["a.png", "-o", "out", "--strength", "2"], "strength must be"),
        (["a.png", "-o", "out", "--ensemble", "3"], "ensemble must be 1, 2, 4 or 8, not 3"),
        (["a.png", "-o", "out", "--tile", "0"], "at least 1"),
        (["a.png", "-o", "out", "--quality", "0"], "quality is 1 to 100"),
        (["a.png", "-o", "out", "--background", "reddish"], "--background is a colour"),
        (["a.png", "-o", "out", "--background", "#ff000080"], "--background is a colour"),
        (["a.png", "-o", "out", "--subsampling", "4:1:1"], "one of 4:4:4, 4:2:2, 4:2:0"),
        (["a.png", "-o", "out", "--png-level", "10"], "0 to 9"),
        (["a.png", "-o", "out", "-f", "jpeg", "--lossless"], "without loss"),
        (["a.png", "-o", "out", "--name", "{stem}_{when}{suffix}"], "{when}"),
        (["a.png", "-o", "out", "--name", "{scale}{suffix}", "--width", "9"], "only known with"),
        (["a.png", "-o", "out", "--overwrite", "--skip-existing"], "not both"),
        (["a.png", "-o", "out", "--report", "no/report.json"], "there is no folder no"),
        (["a.png", "-o", "out", "--report", "r.json", "--dry-run"], "writes nothing"),
        (["a.png", "-o", "out", "--report", "file/r.json"], "there is no folder file"),
        (["a.png", "-o", "out", "--report", "."], "--report: . is there and no file"),
        (["a.png", "-o", "out", "--report", "-", "--json"], "are the same: give one"),
        (["a.png", "-o", "-", "--report", "-"], "--report - and the picture"),
        (["a.png", "-o", "-", "--json"], "--json and the picture"),
        (["a.png", "-o", "out", "--jobs", "0"], "--jobs must be at least 1"),
        (["a.png", "-o", "out", "--device", "abacus"], "unknown device 'abacus'"),
        (["a.png", "-o", "out", "--scale", "abc"], "wrong value for --scale FACTOR: Any number"),
        (["a.png", "-o", "out", "--width", "9.5"], "value for --width PIXELS: Width of the result"),
        ([], "missing INPUT: Pictures, folders"),
        (["a.png", "-o", "out", "--precision", "int3"], "unknown precision"),
        (["a.png", "-o", "out", "--engine", "abacus"], "unknown engine 'abacus'"),
    ],
)
def test_wrong_usage_is_one_line_and_nothing_is_done(up, here, capsys, arguments, message):
    picture(here / "a.jpg", "jpeg")
    (here / "file").touch()
    code = up(*arguments)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("srnet: error: ")
    assert said.err.count("\n") == 1
    assert message in said.err
    assert code == 2
    assert sorted(p.name for p in here.iterdir()) == ["a.jpg", "a.png", "file"]


def test_a_folder_that_may_not_be_written_to_is_refused_first(up, here, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    for out in ("out", "b.png"):
        assert up("a.png", "-o", out) == 2
        assert "may not be written to" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_first(up, here, monkeypatch, capsys):
    (here / "logs").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "logs")
    assert up("a.png", "-o", "b.png", "--report", "logs/r.json") == 2
    assert "--report: logs may not be written to" in capsys.readouterr().err
    assert not Path("b.png").exists()


@pytest.fixture
def every(here, tiny_weights, monkeypatch):
    """Runs any command by its arguments as one string; ``WEIGHTS`` is a weights file."""
    monkeypatch.setitem(sys.modules, "fastapi", None)  # as without the extra
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    for name in ("there.png", "there.onnx", "there-x2.safetensors"):
        picture(here / name, height=16, width=20)
    Path("bad.png").write_bytes(b"bad")
    Path("bad.safetensors").write_bytes(b"bad")
    picture(here / "photos" / "a.png", height=20, width=20)
    (here / "empty").mkdir()

    def run(command: str) -> int:
        words = [str(tiny_weights[2]) if word == "WEIGHTS" else word for word in command.split()]
        return main(words)

    return run


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("upscale missing.png -o b.png -m WEIGHTS", 2, "there is no missing.png"),
        ("compare missing.png a.png", 2, "there is no missing.png"),
        ("compare a.png a.png --reference no.png --beside nor.png", 2, "no nor.png, no no.png"),
        ("eval missing -m WEIGHTS", 2, "there is no folder missing"),
        ("eval empty -m WEIGHTS", 2, "no pictures under empty"),
        ("train missing -o b-x2.safetensors", 2, "there is no folder missing"),
        ("info missing.safetensors", 2, "there is no weights file"),
        ("export missing.safetensors", 2, "there is no weights file"),
        ("upscale a.png -o b.png -m bad.safetensors", 2, "bad.safetensors"),
        ("eval photos -m bad.safetensors", 2, "bad.safetensors"),
        ("info bad.safetensors", 2, "bad.safetensors"),
        ("upscale a.png -o b.png -m WEIGHTS --device cuda:99", 2, "no device 'cuda:99' here"),
        ("eval photos -m WEIGHTS --device cuda:99", 2, "no device 'cuda:99' here"),
        ("train photos -o b-x2.safetensors --device cuda:99", 2, "no device 'cuda:99' here"),
        ("eval photos -m WEIGHTS --limit 0", 2, "--limit must be at least 1"),
        ("eval photos -m WEIGHTS --engine abacus", 2, "unknown engine 'abacus'"),
        ("eval photos -m WEIGHTS --record --engine openvino", 2, "--record takes figures of"),
        ("eval photos -m WEIGHTS --record --precision auto", 2, "not of torch and auto"),
        ("eval photos -m WEIGHTS --record --limit 1", 2, "--record needs the whole folder"),
        ("eval photos -m WEIGHTS --jpeg 101", 2, "--jpeg must be from 1 to 100"),
        ("eval photos -m WEIGHTS --strength x", 2, "wrong value for --strength NUMBER: From 0"),
        ("eval photos", 2, "missing --model MODEL: Model with its scale"),
        ("compare a.png", 2, "missing SECOND: Another"),
        ("compare a.png a.png --crops -1", 2, "--crops must be at least 0"),
        ("compare a.png a.png -o b.gif", 2, "cannot write .gif"),
        ("train photos -o b-x2.safetensors --lr high", 2, "wrong value for --lr NUMBER: Peak"),
        ("serve", 2, "pip install '.[serve]'"),
        ("serve --port http", 2, "wrong value for --port PORT: From 1 to 65535"),
        ("train photos -o b-x2.safetensors --batch 2.5", 2, "for --batch INTEGER: Patches"),
        ("compare a.png a.png --reference there.png", 2, "--reference has 20 x 16 pixels"),
        ("export WEIGHTS -o b.onnx", 2, "pip install '.[export]'"),
        ("upscale a.png -o there.png -m WEIGHTS", 1, "there.png exists"),
        ("compare a.png a.png -o there.png", 1, "there.png exists"),
        ("export WEIGHTS -o there.onnx", 1, "there.onnx exists"),
        ("train photos -o there-x2.safetensors", 1, "there-x2.safetensors exists"),
        ("upscale bad.png -o b.png -m WEIGHTS", 1, "bad.png is not a picture"),
        ("compare a.png bad.png", 1, "bad.png is not a picture"),
        ("upscale empty -o out -m WEIGHTS", 3, "no pictures there"),
        ("health --port 1", 1, "does not answer"),
    ],
)
def test_exit_codes_follow_one_rule(every, here, capsys, command, code, message):
    before = sorted(here.rglob("*"))
    assert every(command) == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert "unexpected" not in said
    assert sorted(here.rglob("*")) == before


def test_unknown_model(up, capsys):
    assert up("a.png", "-o", "b.png", model="nonsense") == 2
    assert "no model 'nonsense'" in capsys.readouterr().err


def test_unknown_command_and_option(capsys):
    assert main(["enlarge"]) == 2
    assert main(["upscale", "--bigger"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.startswith("srnet: error: No such") for line in said] == [True, True]


def test_debug_raises(up, monkeypatch):
    monkeypatch.setenv("SRNET_DEBUG", "1")
    with pytest.raises(srnet.OptionError):
        up("missing.png", "-o", "b.png")


def test_a_bug_is_no_traceback(up, monkeypatch, capsys):
    def broken(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(srnet.product, "load", broken)
    assert up("a.png", "-o", "b.png") == 1
    said = capsys.readouterr().err
    assert said.startswith("srnet: error: unexpected ZeroDivisionError: oh (this is a bug")


# --- plan, report, progress -----------------------------------------------------------------


def test_dry_run_writes_nothing(up, here, capsys):
    (here / "bad.jpg").write_bytes(b"nothing")
    assert up(".", "-o", "out", "-s", "3", "--dry-run") == 1
    said = capsys.readouterr()
    assert said.out == "a.png -> out/a.png  10x8 -> 30x24  planned\n"
    assert "1 of 2 pictures would fail:\n  bad.jpg is not a picture" in said.err
    assert "1 planned, 1 failed" in said.err
    assert sorted(p.name for p in here.iterdir()) == ["a.png", "bad.jpg"]
    assert up("a.png", "-o", "out", "--dry-run", "--json", "--skip-existing") == 0
    report = report_of(capsys)
    assert (report["dry_run"], report["totals"]["planned"]) == (True, 1)


def test_planned_is_the_same_before_and_after(up, here, capsys):
    picture(here / "b.png")
    (here / "bad.jpg").write_bytes(b"nothing")
    (here / "out").mkdir()
    picture(here / "out" / "b.png", height=16, width=20)
    planned = {}
    for more in ([], ["--dry-run"]):
        assert up(".", "-o", "out", "--skip-existing", "--report", "-", "--quiet", *more) == 1
        report = report_of(capsys)
        planned[report["dry_run"]] = report["totals"]["planned"]
        Path("out/a.png").unlink(missing_ok=True)
    assert planned == {False: 1, True: 1}


def test_dry_run_says_what_is_there_already(up, here, capsys):
    for name in ("b.png", "c.png"):
        picture(here / name)
    picture(here / "out" / "a.png")
    (here / "out" / "b.png").mkdir()
    assert up("a.png", "b.png", "c.png", "-o", "out", "--dry-run") == 1
    said = capsys.readouterr()
    assert said.out == "c.png -> out/c.png  10x8 -> 20x16  planned\n"
    assert "2 of 3 pictures would not be made, as something is there already:" in said.err
    assert "  out/a.png exists: use --overwrite or --skip-existing" in said.err
    assert "fail" not in said.err


def test_report_and_json_are_the_same(up, here, tiny_weights, capsys):
    picture(here / "a.png", height=160, width=200)
    arguments = ["--report", "report.json", "--json", "-s", "2", "--jobs", "3"]
    assert up("a.png", "-o", "out", *arguments) == 0
    report = report_of(capsys)
    assert report == json.loads(Path("report.json").read_text())
    assert report["schema"] == 1
    assert report["settings"]["model"] == str(tiny_weights[2])
    assert (report["settings"]["scale"], report["settings"]["jobs"]) == (2.0, 3)
    (ran,) = report["settings"]["ran"].items()
    assert ran[0] == "tiny-x2"
    assert ran[1].split() in [
        [e, p] for e in ("torch", "openvino") for p in ("float32", "bfloat16")
    ]
    (row,) = report["files"]
    assert row["models"] == ["tiny-x2"]
    assert row["input_size"] == [200, 160]
    assert row["output_size"] == [400, 320]
    assert row["consistency_db"] > 10
    assert row["megapixels_per_second"] > 0
    assert set(row["seconds"]) == {"decode", "load", "network", "encode"}


def test_quiet_prints_errors_only(up, here, capsys):
    assert up("a.png", "-o", "b.png", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    (here / "bad.png").touch()
    assert up("bad.png", "-o", "out", "--quiet") == 1
    assert "bad.png" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(up, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert up("a.png", "-o", "b.png") == 0
    said = capsys.readouterr().err
    assert "1/1 files" in said
    assert "MP/s" in said
    assert "[1/1]" not in said


def test_bar_counts_files_and_parts():
    screen = io.StringIO()
    columns = (TextColumn("{task.fields[files]}"), TextColumn("{task.fields[rate]}"))
    progress = Progress(*columns, console=Console(file=screen))
    bar = Bar(progress)
    bar.started(2)
    bar.advanced(0.5, 1.0)
    bar.advanced(0.5, 1.0)
    bar.finished(Row("a[b].png", "o.png", "failed", error="why"))
    (task,) = progress.tasks
    assert (task.completed, task.total) == (1, 2)
    assert task.fields["files"] == "1/2 files"
    assert task.fields["rate"].endswith(" MP/s")
    assert "a[b].png: failed" in screen.getvalue()


# --- streams and names ----------------------------------------------------------------------


def srnet_process(*arguments: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "srnet", *arguments]
    return subprocess.run(
        command, capture_output=True, env=environment, check=False, timeout=120, **options
    )


def test_standard_input_to_standard_output(here, tiny_weights):
    done = srnet_process(
        *("upscale", "-", "-m", str(tiny_weights[2]), "-f", "webp", "--lossless"),
        input=Path("a.png").read_bytes(),
    )
    assert done.returncode == 0, done.stderr
    image = decode(done.stdout)[0]
    assert (image.format, image.width, image.height) == ("WEBP", 20, 16)
    assert b"[1/1] - -> -" in done.stderr


class Bytes(io.TextIOWrapper):
    def __init__(self, data: bytes = b"", tty: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


def test_streams_and_files_mix(up, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Bytes(Path("a.png").read_bytes()))
    assert up("-", "-o", "b.jpg", "--residual", "added") == 0
    assert read(Path("b.jpg")).format == "JPEG"
    assert Path("added/b.jpg.residual.png").exists()
    out = Bytes()
    monkeypatch.setattr(sys, "stdout", out)
    assert up("a.png", "-o", "-") == 0
    assert decode(out.buffer.getvalue())[0].format == "PNG"


def test_terminals_are_no_pictures(up, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Bytes(tty=True))
    assert up("-", "-o", "b.png") == 2
    assert "terminal" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdout", Bytes(tty=True))
    assert up("a.png", "-o", "-") == 2


def test_a_file_called_dash_is_reached_through_its_folder(up, here):
    picture(here / "-")
    assert up("./-", "-o", "b.png") == 0
    assert size(Path("b.png")) == (20, 16)


@pytest.fixture
def odd(here):
    """A folder ``in`` with names that are not UTF-8, not ASCII, and not harmless."""
    names = (
        os.fsdecode(b"\xff\xfe caf\xe9 \xe6\x97\xa5 [b].png"),
        "\u00fcn\u00ef \u65e5\u672c.png",
    )
    for name in names:
        picture(here / "in" / name)
    return sorted(names)


def test_names_that_are_no_text(up, odd, capsys):
    assert up("in", "-o", "out", "--json", "--report", "report.json") == 0
    assert sorted(p.name for p in Path("out").iterdir()) == odd
    said = capsys.readouterr()
    rows = json.loads(said.out)["files"]
    assert sorted(Path(row["input"]).name for row in rows) == odd  # exactly
    assert "\\udcff\\udcfe caf\\udce9 \u65e5 [b].png" in said.err
    assert "\u00fcn\u00ef \u65e5\u672c.png" in said.err


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_in_any_encoding_of_the_streams(odd, tiny_weights, monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = srnet_process("upscale", "in", "-o", "out", "-m", str(tiny_weights[2]), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"planned") == 2
    assert b"\\udcff\\udcfe caf\\udce9" in done.stdout


def test_shown_cannot_harm_a_terminal():
    assert shown("a\x1b[2Jb\nc\udcff [x] é 日") == "a\\x1b[2Jb\\nc\\udcff [x] é 日"


# --- Ctrl-C ---------------------------------------------------------------------------------


class Interrupting:
    """A slow engine that presses Ctrl-C at its tenth batch."""

    kind = ""

    def __init__(self, fake, press) -> None:
        self.card, self.press, self.batches = fake().card, press, 0

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            self.batches += 1
            if self.batches == 10:
                self.press()
            time.sleep(0.02)
            yield batch.repeat(2, axis=1).repeat(2, axis=2)


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_ctrl_c_says_how_to_go_on(up, here, fake_engine, ctrl_c, monkeypatch, capsys, more):
    for i in range(12):
        picture(here / "in" / f"{i:02}.png", height=40, width=40)
    engine = Interrupting(fake_engine, ctrl_c)
    monkeypatch.setattr(srnet.product, "load", lambda *_, **__: Upscaler([engine]))
    code = up("in", "-o", "out", "--tile", "32", "--report", "report.json", *more)
    assert code == 130
    said = capsys.readouterr().err
    assert "srnet: interrupted after " in said
    assert ("--skip-existing" in said) is (more == [])
    report = json.loads(Path("report.json").read_text())
    done, pending = report["totals"]["done"], report["totals"]["pending"]
    assert report["interrupted"]
    assert done + pending == 12
    assert pending > 0
    assert len(list(Path("out").iterdir())) == done
    assert up("in", "-o", "out", "--skip-existing") == 0
    assert len(list(Path("out").iterdir())) == 12


def test_being_terminated_is_felt_as_ctrl_c(here, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["srnet", "upscale", "a.png", "-o", "b.png"])
    monkeypatch.setattr(srnet.product, "load", lambda *_, **__: signal.raise_signal(SIGTERM))
    before = signal.getsignal(SIGTERM)
    try:
        assert main() == 130
    finally:
        signal.signal(SIGTERM, before)
    assert not Path("b.png").exists()


# --- the rest -------------------------------------------------------------------------------


def test_help_and_version(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for command in ("upscale", "info", "compare", "eval", "train", "export", "serve"):
        assert command in said
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"srnet {srnet.__version__}\n"
    assert main([]) == 2
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["upscale", "info", "compare", "eval", "train", "export", "serve", "health"]
)
def test_every_help_is_for_people(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert "--no-" not in said
    assert "'srnet'" not in said  # rich takes [brackets] for markup
    ours = [line for line in said.splitlines() if " --" in line and "--help" not in line]
    assert [line for line in ours if "<" in line] == []  # <float>, <list[Path]>


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from srnet.cli import main; main(['--help']);"
        "print(sorted({'torch', 'numpy', 'cv2', 'PIL', 'skimage'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment, check=True
    )
    assert done.stdout.endswith(b"[]\n")


def test_info(tiny_weights, capsys):
    assert main(["info", str(tiny_weights[2])]) == 0
    said = capsys.readouterr().out
    for part in ("tiny-x2", "CC-BY-SA-4.0", "cpu", "--precision auto is", "torch 2"):
        assert part in said
    assert main(["info", str(tiny_weights[3]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (model,) = found["models"]
    from srnet.model import parameter_count
    from srnet.weights import load

    assert model["parameters"] == parameter_count(load(tiny_weights[3])[0])
    assert model["halo"] == 5
    assert found["versions"]["srnet"] == srnet.__version__
    assert found["devices"][0]["name"] == "cpu"
    assert sum(device["auto"] for device in found["devices"]) == 1


def test_info_on_all_models(capsys):
    assert main(["info"]) == 0
    assert "srnet" in capsys.readouterr().out
    assert main(["info", "nonsense"]) == 2


def test_defaults_are_those_of_the_library():
    """The command line writes them out, so that its help needs no import."""
    import inspect

    from server.query import Wishes
    from srnet.cli.upscale import upscale

    library = Options()
    told = {n: p.default for n, p in inspect.signature(upscale).parameters.items()}
    for name in ("strength", "ensemble", "lossless", "subsampling", "png_level", "tile"):
        assert told[name] == getattr(library, name), name
    assert told["max_megapixels"] * 1e6 == library.max_pixels
    for name in (
        "strength",
        "ensemble",
        "lossless",
        "subsampling",
        "png_level",
        "keep_metadata",
    ):
        assert getattr(Wishes(), name) == getattr(library, name), name
