"""ONNX export: equal to torch, card inside, nothing left behind on failure."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import srnet
from srnet import export, weights
from srnet.card import Card
from srnet.cli import app, main
from srnet.errors import OutputError
from srnet.model import SRNet
from tests.conftest import tiny_card

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("scale", [2, 3])
def test_export_equals_torch(tiny_weights: dict[int, Path], scale: int, tmp_path: Path) -> None:
    target = tmp_path / "net.onnx"
    done = CliRunner().invoke(app, ["export", str(tiny_weights[scale]), "-o", str(target)])
    assert done.exit_code == 0, done.output
    model = onnx.load(target)
    card = Card.from_json({p.key: p.value for p in model.metadata_props}["srnet.card"])
    assert card.scale == scale
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in shape][1] == 3
    assert all(shape[i].dim_param for i in (0, 2, 3))
    again = CliRunner().invoke(app, ["export", str(tiny_weights[scale]), "-o", str(target)])
    assert again.exit_code != 0


def test_consistent_networks_are_exported_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    card = tiny_card(2, consistent=True)
    net = SRNet(card.net)
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    weights.save(tmp_path / "tiny-x2.safetensors", net, card)
    worst = export.export_onnx(tmp_path / "tiny-x2.safetensors", tmp_path / "net.onnx")
    assert worst < export.TOLERANCE


def test_the_exporter_keeps_its_warnings_to_itself() -> None:
    inner = logging.getLogger("torch.onnx._internal.exporter._registration")
    assert inner.isEnabledFor(logging.WARNING)
    with export._quiet_exporter():
        assert not inner.isEnabledFor(logging.WARNING)
        assert inner.isEnabledFor(logging.ERROR)
    assert inner.isEnabledFor(logging.WARNING)


def test_wrong_model_is_not_written(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_difference", lambda net, model: 0.1)
    with pytest.raises(OutputError, match="differ from torch"):
        export.export_onnx(tiny_weights[2], tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_description_is_how_to_get_the_pixels_of_srnet(
    tiny_weights: dict[int, Path], tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    target, side = tmp_path / "net.onnx", 4
    export.export_onnx(tiny_weights[2], target)
    assert f"{side} more pixels on each side" in onnx.load(target).doc_string
    picture = np.random.default_rng(0).integers(0, 256, (21, 30, 3), np.uint8)
    around = np.pad(picture, ((side, side), (side, side), (0, 0)), mode="symmetric")
    x = np.float32(around).transpose(2, 0, 1)[None] / 255
    session = runtime.InferenceSession(target, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"input": x})
    inside = y[0, :, 2 * side : -2 * side, 2 * side : -2 * side].transpose(1, 2, 0)
    found = np.rint(np.clip(inside, 0, 1) * 255).astype(np.int16)
    ours = srnet.load(tiny_weights[2], engine="torch", precision="float32")(picture)
    assert np.abs(found - ours).max() <= 1
    assert [d.dim_param for d in onnx.load(target).graph.input[0].type.tensor_type.shape.dim] == [
        *("batch", "", "height", "width")
    ]


def test_a_folder_is_not_replaced(
    tiny_weights: dict[int, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "net.onnx"
    target.mkdir()
    monkeypatch.setattr(export, "_model", lambda net, card: b"model")
    monkeypatch.setattr(export, "_difference", lambda net, model: 0.0)
    assert main(["export", str(tiny_weights[2]), "-o", str(target), "--overwrite"]) == 2
    assert f"{target} is a folder" in capsys.readouterr().err
    with pytest.raises(OutputError, match="cannot write"):
        export.export_onnx(tiny_weights[2], target)
    assert list(tmp_path.iterdir()) == [target]
