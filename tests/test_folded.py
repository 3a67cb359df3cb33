"""The network as engines run it: equal, in fewer convolutions, and closer in bfloat16."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from srnet import basis, fused, weights
from srnet.card import NetConfig
from srnet.engine import TorchEngine
from srnet.folded import Folded, fine_channels, folded
from srnet.model import SRNet, bias_of
from tests.conftest import tiny_card

X = torch.from_numpy(np.random.default_rng(0).random((2, 3, 13, 17), np.float32))


def network(**changes: object) -> SRNet:
    """A network that is given random biases too: with zeros a border cannot be seen."""
    torch.manual_seed(3)
    net = SRNet(replace(NetConfig(2, 64, 2), **changes))  # type: ignore[arg-type]
    for tensor in net.parameters():
        if tensor.ndim == 1 or tensor is net.tail.weight:
            torch.nn.init.normal_(tensor, std=0.2)
    return net.requires_grad_(False)


def delicate() -> SRNet:
    """A network with two large channels inside its first block, the last, that nearly cancel."""
    net = network()
    conv1, conv2 = net.first.conv1, net.first.conv2
    for tensor in (conv1.weight, bias_of(conv1)):
        tensor[62] = tensor[0]
        tensor[63] = 1.03 * tensor[0]
    conv1.weight[62:, :, 1, 1] += 0.4
    bias_of(conv1)[62:] += 2
    conv2.weight[:, 62] = 3
    conv2.weight[:, 63] = -3 / 1.03
    net.load_state_dict(weights.rounded(net.state_dict()))
    return net


def lost(net: SRNet, exact: SRNet) -> float:
    """Root of the mean square of what bfloat16 changes."""
    with torch.autocast("cpu", torch.bfloat16):
        found = net.phases(X).float()
    return float((found - exact.phases(X)).square().mean().sqrt())


@pytest.mark.parametrize(("fine", "joined"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": "prelu"},
        {"activation": "silu"},
        {"shortcut": "none"},
        {"base": "none"},
        {"consistent": True},
        {"blocks": 1},
        {"blocks": 0},
        {"features": 3},
    ],
)
@pytest.mark.parametrize("size", [(9, 11), (1, 1), (1, 7)])
def test_it_is_equal(
    fine: bool, joined: bool, changes: dict[str, object], size: tuple[int, int]
) -> None:
    net, x = network(**changes), torch.rand(2, 3, *size)
    torch.testing.assert_close(folded(net, fine, joined)(x), net(x), rtol=1e-5, atol=1e-5)


def test_only_pixels_are_padded() -> None:
    net = network()
    shallow, inner = net.opened(X)
    grey = F.pad(X, (3, 3, 3, 3), value=128 / 255)  # which the first convolution reads as zero
    for found, wide in zip((shallow, inner), net.opened(grey), strict=True):
        torch.testing.assert_close(found, wide[:, :, 3:-3, 3:-3])
    torch.testing.assert_close(shallow, net.shallow(X))


def test_less_is_lost_where_it_counts() -> None:
    net = delicate()
    first = basis.ordered(net, [np.uint8(255 * X[0].permute(1, 2, 0))] * 2, 4)
    torch.testing.assert_close(first(X), net(X), rtol=1e-4, atol=1e-4)
    moved = first.first.conv2.weight[:, :2].mean(0).abs()
    assert (moved.sum((1, 2)) > 20).all()  # the two large ones
    apart, joined = (lost(folded(first, True, j), net) for j in (False, True))
    assert apart < 0.3 * lost(net, net)
    assert joined < 0.95 * apart  # one rounding less


def test_fine_channels_make_as_many_as_others_read() -> None:
    for width in (64, 96):
        net = Folded(network(features=width), fine=True)
        assert net.side.shape == (width, width, 3, 3)
        assert net.fine == fine_channels(width)
    assert [fine_channels(width) for width in (1, 4, 32)] == [0, 0, 0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_pytorch_runs_it(tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "fits", lambda *_: False)  # as on other processors
    net = delicate()
    file = tmp_path / "tiny-x2.safetensors"
    weights.save(file, net, replace(tiny_card(2), net=net.config, halo=net.config.halo))
    engine = TorchEngine(file, "cpu", precision)
    found = next(engine.run([X.permute(0, 2, 3, 1).numpy().copy()]))
    kept = folded(net, *[precision == "bfloat16"] * 2)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        expected = kept.to(memory_format=torch.channels_last)(X)  # type: ignore[call-overload]
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1), atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_openvino_keeps_it_in_float32(tmp_path: Path, precision: str) -> None:
    openvino = pytest.importorskip("openvino")
    from srnet.openvino_graph import converted, exact_in_float32
    from srnet.openvino_int8 import FULL, quantise

    core, fine = openvino.Core(), precision == "bfloat16"
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    net = folded(network(), fine)
    assert net.base is not None
    model = exact_in_float32(core, converted(net))
    if not fine:
        quantise(model, [(-1.0, 1.0)] * 4, FULL)
    graph = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    graph = graph.get_runtime_model()
    infos = [op.get_rt_info() for op in graph.get_ordered_ops()]
    ran = [
        (info["runtimePrecision"].astype(str), info["outputPrecisions"].astype(str))
        for info in infos
        if info["layerType"].astype(str) == "Convolution"
    ]
    exact = [pair for pair in ran if pair[0] == "f32"]
    assert exact == [("f32", "f32")] * (3 if fine else 2)  # one of them is the base
    assert len(ran) == len(exact) + (2 + 4 if fine else 1 + 4) + 1
    assert ran[-1] == ("bf16", "f32")  # what the last gives is not rounded
