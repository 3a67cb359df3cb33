"""Wrong usage, exit codes, errors."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

import srnet.product
from srnet.cli import main
from tests.cli.support import picture


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
        (["a.png", "-", "-o", "out"], "has to be the only input"),
        (["-", "a.png", "-o", "-"], "has to be the only input"),
        (["-", "-o", "out/"], "such as out/picture.png, or -"),
        (["a.png", "-o", "c.png", "--residual", "file"], "choose another --residual"),
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
        (["a.png", "-o", "out", "--max-megapixels", "1e-9"], "--max-megapixels must be"),
        (["a.png", "-o", f"{'x' * 300}.png"], "is a longer name than files can have"),
        (["a.png", "-o", f"{'x' * 300}/"], "is a longer name than files can have"),
        ([f"{'x' * 300}.png", "-o", "b.png"], "is a longer name than files can have"),
        (["a.png", "-o", "b.png", "--residual", "x" * 300], "is a longer name than files can"),
        (["a.png", "-o", "b.png", "--report", "x" * 300], "is a longer name than files can"),
        (["a.png", "-o", "b.png", "--tile", "9"], "a tile of 9 pixels is too small"),
        (["", "-o", "out"], "an input or -o is empty"),
        (["a.png", "-o", ""], "an input or -o is empty"),
        (["a.png", "-o", "out", "-f", "bmp"], "--format: choose one of png"),
        (["a.png", "-o", "out", "-s", "17"], "from 1 to 16"),
        (["a.png", "-o", "out", "-s", "2", "--width", "9"], "give one of scale"),
        (["a.png", "-o", "out", "--width", "0"], "at least 1 pixel"),
        (["a.png", "-o", "out", "--scale", "2,5"], "Not '2,5'"),
        (["a.png", "-o", "out", "--width=2x"], "Not '2x'"),
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
        (["a.png", "-o", "b.jpg", "--lossless"], "without loss"),
        (["a.png", "-o", "b.webp", "--lossless", "--quality", "90"], "lossless or quality"),
        (["a.png", "-o", "out", "--name", "{stem}_{when}{suffix}"], "{when}"),
        (["a.png", "-o", "out", "--name", "{scale}{suffix}", "--width", "9"], "only known with"),
        (["a.png", "-o", "out", "--overwrite", "--skip-existing"], "not both"),
        (["a.png", "-o", "out", "--report", "r.json", "--dry-run"], "writes nothing"),
        (
            ["a.png", "-o", "out", "--report", "file/r.json"],
            "file is a file: choose another",
        ),
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
    said = capsys.readouterr().err
    assert "logs may not be written to" in said
    assert "choose another --report" in said
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
    picture(here / "small" / "a.png", height=12, width=12)
    (here / "empty").mkdir()
    (here / "dir.png").mkdir()

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
        ("train photos -o b-x2.safetensors --patch 8 --validate no", 2, "there is no folder no"),
        (
            "train photos -o b-x2.safetensors --patch 8 --validate empty",
            2,
            "no pictures under empty",
        ),
        ("train photos -o b-x2.safetensors --patch 8 --validate small", 2, "SSIM needs 11 x 11"),
        ("train photos -o b-x2.safetensors --patch 8 --manifest no.csv", 2, "no.csv: No such file"),
        ("train photos -o b-x2.safetensors --patch 8 --logs bad.png", 2, "bad.png is a file"),
        ("train photos -o bad.png/b-x2.safetensors --patch 8", 2, "bad.png is a file"),
        (
            "train photos -o b-x2.safetensors --start no.safetensors",
            2,
            "there is no weights file no",
        ),
        ("export WEIGHTS -o bad.png/b.onnx", 2, "bad.png is a file: choose another --output"),
        ("export WEIGHTS -o b.bin", 2, "call it b.bin.onnx"),
        ("export photo", 2, "photo comes in several scales: name one of them, such as photo-x2"),
        ("eval photos -m photo", 2, "photo comes in several scales"),
        ("study residual photos photos --show no.png", 2, "there is no no.png: check the path"),
        ("study residual photos photos -o bad.png", 2, "bad.png is a file: choose another --out"),
        ("study residual photos photos --work bad.png", 2, "bad.png is a file: choose another --w"),
        ("train photos -o b-x2.safetensors --start photo", 2, "photo comes in several scales"),
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
        ("compare bad.png a.png -o dir.png --overwrite", 2, "dir.png is a folder: give the name"),
        ("compare bad.png a.png -o bad.png/b.png", 2, "bad.png is a file: choose another --output"),
        ("data bad.png", 2, "bad.png is a file: choose another folder"),
        ("data out --record empty", 2, "empty is a folder: give the name of a file"),
        ("data out --record bad.png/x.csv", 2, "bad.png is a file: choose another --record"),
        ("data out --against nothere", 2, "there is no folder nothere"),
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
        ("upscale empty -o out -m WEIGHTS", 3, "no pictures in empty"),
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


def test_a_file_whose_name_begins_with_a_dash_gets_a_hint(up, here, capsys):
    picture(here / "-dash.png")
    assert up("-dash.png", "-o", "out") == 2
    assert capsys.readouterr().err.rstrip().endswith("(if the file is meant: ./-dash.png)")
    assert up("./-dash.png", "-o", "out") == 0


def test_a_file_that_is_no_model(up, here, capsys):
    Path("net.onnx").touch()
    assert up("a.png", "-o", "b.png", model="net.onnx") == 2
    assert "net.onnx is no weights file of srnet" in capsys.readouterr().err


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


def test_a_file_cut_off_is_no_ctrl_c(up, monkeypatch, capsys):
    def broken(*_, **__):
        raise EOFError("cut off")

    monkeypatch.setattr(srnet.product, "load", broken)
    assert up("a.png", "-o", "b.png") == 1
    assert "srnet: error: unexpected EOFError: cut off (this is a bug" in capsys.readouterr().err
