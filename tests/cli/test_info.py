"""Help and `srnet info`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

import srnet.product
from srnet import weights
from srnet.cli import main
from srnet.modelcard import weights_readme
from srnet.options import Options
from tests.cli.support import ROOT


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
    for part in ("tiny-x2", "not stated", "cpu", "--precision auto is", "torch 2"):
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


def test_info_has_one_form_at_a_time(tiny_weights, capsys):
    assert main(["info", str(tiny_weights[2]), "--json", "--markdown"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "--json and --markdown are two forms of the same: give one" in said.err


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
    for name in ("strength", "ensemble", "subsampling", "png_level", "tile"):
        assert told[name] == getattr(library, name), name
    assert (told["lossless"] or None) == library.lossless  # a flag cannot say no
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


def test_the_page_of_a_card_steers_no_terminal(tiny_weights, tmp_path, capsys):
    net, card = weights.load(tiny_weights[2])
    file = tmp_path / "tiny-x2.safetensors"
    weights.save(file, net, replace(card, licence="\x1b]0;mine\x07 \x1b[31mred\rX"))
    assert main(["info", "--markdown", str(file)]) == 0
    said = capsys.readouterr().out
    assert r"weights: \x1b]0;mine\x07 \x1b[31mred\rX" + "\n" in said
    assert not set("\x1b\x07\r") & set(said)
    assert said == weights_readme([file]).replace("\x1b", r"\x1b").replace("\x07", r"\x07").replace(
        "\r", r"\r"
    )
