"""Cards and weights files: round trips, strictness, reading without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srnet import weights
from srnet.card import Card, Data, NetConfig, Training
from srnet.errors import OptionError, WeightsError
from srnet.model import SRNet


def test_card_round_trip() -> None:
    net = NetConfig(4, 8, 2, activation="silu", base="nearest", shortcut="none")
    card = Card(
        "photo-x4",
        net,
        net.halo,
        version=3,
        training=Training(iterations=7, settings={"lr": 1e-3}),
        data=Data(pictures=2, licences=("CC0-1.0", "CC-BY-4.0")),
        metrics={"Set5 psnr": 31.5},
    )
    assert Card.from_json(card.to_json()) == card
    assert (card.family, card.scale) == ("photo", 4)


@pytest.mark.parametrize("wrong", ["", "[]", "{}", '{"net": {"scale": 9}}'])
def test_broken_card_is_one_clear_error(wrong: str) -> None:
    with pytest.raises(WeightsError):
        Card.from_json(wrong)


def test_card_with_unknown_field_is_refused(tiny_weights: dict[int, Path]) -> None:
    fields = json.loads(weights.read_card(tiny_weights[2]).to_json()) | {"surprise": 1}
    with pytest.raises(WeightsError, match="another version"):
        Card.from_json(json.dumps(fields))


def test_weights_of_an_older_format_are_refused(tiny_weights: dict[int, Path]) -> None:
    """Their first convolution reads other numbers: results would be a little wrong."""
    fields = json.loads(weights.read_card(tiny_weights[2]).to_json())
    del fields["format"]  # it came with the second
    with pytest.raises(WeightsError, match="of format 1, and this srnet reads format 2"):
        Card.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    "changes", [{"scale": 5}, {"features": 0}, {"blocks": -1}, {"base": "lanczos"}]
)
def test_impossible_networks_are_refused(changes: dict) -> None:
    with pytest.raises(WeightsError):
        NetConfig(**{"scale": 2, "features": 4, "blocks": 1, **changes})


def test_save_load_round_trip(tiny_weights: dict[int, Path]) -> None:
    net, card = weights.load(tiny_weights[3])
    again = SRNet(card.net)
    again.load_state_dict(net.state_dict())
    x = torch.rand(1, 3, 6, 6)
    assert torch.equal(net(x), again(x))
    assert not net.training


def test_load_is_strict(tiny_weights: dict[int, Path], tmp_path: Path) -> None:
    net, card = weights.load(tiny_weights[2])
    wrong = replace(card, net=replace(card.net, blocks=2), halo=7)
    weights.save(tmp_path / "wrong-x2.safetensors", net, wrong)
    with pytest.raises(WeightsError, match="Missing key"):
        weights.load(tmp_path / "wrong-x2.safetensors")


@pytest.mark.parametrize("data", [b"", b"PK\3\4 not this", b"\xff" * 64, b"\2\0\0\0\0\0\0\0{}"])
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(data)
    with pytest.raises(WeightsError):
        weights.read_card(file)


def test_weights_that_are_no_numbers_are_refused(
    tiny_weights: dict[int, Path], tmp_path: Path
) -> None:
    net, card = weights.load(tiny_weights[2])
    with torch.no_grad():
        next(net.parameters()).view(-1)[3] = float("inf")
    weights.save(tmp_path / "lost-x2.safetensors", net, card)
    with pytest.raises(WeightsError, match="no numbers"):
        weights.load(tmp_path / "lost-x2.safetensors")


def test_truncated_tensors_are_refused(tiny_weights: dict[int, Path], tmp_path: Path) -> None:
    file = tmp_path / "short-x2.safetensors"
    file.write_bytes(tiny_weights[2].read_bytes()[:-10])
    with pytest.raises(WeightsError):
        weights.load(file)


def test_card_is_read_without_torch(tiny_weights: dict[int, Path]) -> None:
    code = (
        "import sys, pathlib; from srnet.weights import read_card;"
        f"card = read_card(pathlib.Path({str(tiny_weights[2])!r}));"
        "assert card.name == 'tiny-x2' and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_find_lists_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("clean-x2", "photo-x2", "photo-x4"):
        (tmp_path / f"{name}.safetensors").touch()
    monkeypatch.setattr(weights, "folder", lambda: tmp_path)
    assert [f.stem for f in weights.find("photo")] == ["photo-x2", "photo-x4"]
    assert [f.stem for f in weights.find("photo-x4")] == ["photo-x4"]
    assert weights.families() == ["clean", "photo"]
    with pytest.raises(OptionError, match=r"no model 'anime'.*clean, photo"):
        weights.find("anime")
    with pytest.raises(OptionError, match="no weights file"):
        weights.find("missing.safetensors")
    with pytest.raises(OptionError, match="only photo-x2 and photo-x4: take 'photo', of which any"):
        weights.find("photo-x3")


def test_warm_start_across_scales(tiny_weights: dict[int, Path]) -> None:
    source, card = weights.load(tiny_weights[2])
    net = SRNet(replace(card.net, scale=4))
    assert weights.warm_start(net, tiny_weights[2]) == card
    assert torch.equal(net.body[0].conv1.weight, source.body[0].conv1.weight)
    assert (net.tail.weight == 0).all()  # another scale has another tail
    same = SRNet(card.net)
    weights.warm_start(same, tiny_weights[2])
    assert torch.equal(same.tail.weight, source.tail.weight)
    with pytest.raises(
        WeightsError, match=r"it has 4 features, .* to have 8 features; leave out --size"
    ):
        weights.warm_start(SRNet(NetConfig(2, 8, 1)), tiny_weights[2])


def test_record_adds_metrics_and_keeps_tensors(
    tiny_weights: dict[int, Path], tmp_path: Path
) -> None:
    file = tmp_path / "tiny-x2.safetensors"
    file.write_bytes(tiny_weights[2].read_bytes())
    weights.record(file, {"Set5 psnr": 33.0})
    before, after = weights.load(tiny_weights[2]), weights.load(file)
    assert after[1].metrics == {"Set5 psnr": 33.0}
    for name, tensor in before[0].state_dict().items():
        assert torch.equal(tensor, after[0].state_dict()[name])


def test_blend_goes_a_share_of_the_way(tiny_weights: dict[int, Path], tmp_path: Path) -> None:
    names = ("near", "far", "new/middle")  # of which the folder is made
    near, far, middle = (tmp_path / f"{name}-x2.safetensors" for name in names)
    net, card = weights.load(tiny_weights[2])
    weights.save(near, net, card)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1)
    weights.save(far, net, replace(card, name="far-x2", version=3))
    weights.blend(near, far, 0.25, middle)
    result, made = weights.load(middle)
    before = weights.load(near)[0].state_dict()
    for name, tensor in result.state_dict().items():
        torch.testing.assert_close(tensor, before[name] + 0.25, atol=1e-2, rtol=0)
    assert made.training.started_from.endswith("25% of far-x2 version 3")
    with pytest.raises(WeightsError, match="not of the same network"):
        weights.blend(near, tiny_weights[3], 0.5, middle)


def test_weights_that_bfloat16_holds_take_half_the_bytes(
    tiny_weights: dict[int, Path], tmp_path: Path
) -> None:
    net, card = weights.load(tiny_weights[2])
    net.load_state_dict(weights.rounded(net.state_dict()))
    file = tmp_path / "rounded-x2.safetensors"
    weights.save(file, net, card)
    assert file.stat().st_size < 0.7 * tiny_weights[2].stat().st_size
    again = weights.load(file)[0].state_dict()
    for name, tensor in net.state_dict().items():
        assert again[name].dtype == torch.float32
        assert again[name].equal(tensor)
        assert tensor.bfloat16().float().equal(tensor)
