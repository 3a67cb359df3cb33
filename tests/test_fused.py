"""Activations and sums inside the convolutions: equal, and nearer in bfloat16."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srnet import fused, weights
from srnet.card import NetConfig
from srnet.engine import TorchEngine
from srnet.folded import folded
from srnet.fused import Fused, fits
from tests.conftest import tiny_card
from tests.test_folded import X, lost, network

CPU = torch.device("cpu")
HERE = fits(NetConfig(2, 64, 2), CPU, torch.float32)
HALF = HERE and fits(NetConfig(2, 64, 2), CPU, torch.bfloat16)

here = pytest.mark.skipif(not HERE, reason="for x86 with oneDNN")
half = pytest.mark.skipif(not HALF, reason="oneDNN has no bfloat16 on this processor")


@here
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": "relu"},
        {"base": "none"},
        {"consistent": True},
        {"blocks": 1},
        {"features": 3},
        {"scale": 3},
    ],
)
@pytest.mark.parametrize("size", [(9, 11), (1, 1), (1, 7), (70, 1)])
def test_it_is_equal(changes: dict[str, object], size: tuple[int, int]) -> None:
    net, x = network(**changes), torch.rand(2, 3, *size)
    kept = x.clone()
    run = Fused(net, torch.float32)
    for picture in (x, x.to(memory_format=torch.channels_last)):
        for _ in range(2):  # sums are made in place: not in those of the caller
            torch.testing.assert_close(run(picture), net(x), rtol=1e-5, atol=1e-5)
    assert torch.equal(x, kept)


@half
@pytest.mark.skipif(not weights.shipped(), reason="no weights in this checkout")
@pytest.mark.parametrize("name", ["clean-x4", "fast-x4"])
def test_bfloat16_loses_less(name: str) -> None:
    net = weights.load(weights.shipped()[name])[0].requires_grad_(False)
    run = Fused(net, torch.bfloat16)
    assert lost(run, net) < 0.95 * lost(folded(net, True, True), net)
    with torch.autocast("cpu", torch.bfloat16):
        again = run(X)
    assert torch.equal(again, run(X.to(memory_format=torch.channels_last)))
    assert again.dtype == torch.float32


@here
def test_the_network_it_is_made_of_stays() -> None:
    net = network()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    Fused(net, torch.bfloat16)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.dtype == torch.float32


@here
@pytest.mark.parametrize(
    "changes",
    [{"activation": "silu"}, {"activation": "prelu"}, {"shortcut": "none"}, {"blocks": 0}],
)
def test_other_networks_are_left_to_pytorch(changes: dict[str, object]) -> None:
    assert not fits(network(**changes).config, CPU, torch.float32)


@here
def test_other_machines_are_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    config = NetConfig(2, 64, 2)
    assert not fits(config, torch.device("cuda"), torch.float32)
    with monkeypatch.context() as patch:
        patch.setattr(fused.platform, "machine", lambda: "aarch64")
        assert not fits(config, CPU, torch.float32)
    assert fits(config, CPU, torch.float32)


def _removed(*_: object) -> None:
    raise AttributeError("no such operation")


def _wrong(x: torch.Tensor, *_: object) -> torch.Tensor:
    return x.clone()


@here
@pytest.mark.parametrize("operation", ["_pointwise", "_plus"])
@pytest.mark.parametrize("instead", [_removed, _wrong])
def test_operations_that_changed_are_not_used(
    operation: str, instead: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused._work.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(fused, operation, instead)
        assert not fits(NetConfig(2, 64, 2), CPU, torch.float32)
    fused._work.cache_clear()
    assert fits(NetConfig(2, 64, 2), CPU, torch.float32)


@here
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=half)])
def test_pytorch_runs_it(tmp_path: Path, precision: str) -> None:
    net = network()
    file = tmp_path / "tiny-x2.safetensors"
    weights.save(file, net, replace(tiny_card(2), net=net.config, halo=net.config.halo))
    net, _ = weights.load(file)
    found = next(TorchEngine(file, "cpu", precision).run([X.permute(0, 2, 3, 1).numpy().copy()]))
    expected = Fused(net, getattr(torch, precision))(X.to(memory_format=torch.channels_last))
    np.testing.assert_array_equal(found, expected.permute(0, 2, 3, 1))
