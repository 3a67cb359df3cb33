"""Results that shrink to their input: one step of back-projection, in the graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srnet import tiles
from srnet.backprojection import BackProjection
from srnet.bicubic import resize, shrinking_line
from srnet.card import NetConfig
from srnet.engine import TorchEngine
from srnet.errors import WeightsError
from srnet.model import SRNet
from srnet.openvino_engine import OpenVINOEngine
from srnet.weights import rounded, save
from tests.conftest import tiny_card

MARGIN = 8  # low-resolution pixels, beyond which no border is seen


def network(scale: int, **changes: bool) -> SRNet:
    torch.manual_seed(scale)
    net = SRNet(replace(NetConfig(scale, 6, 2), **changes))  # type: ignore[arg-type]
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    return net.requires_grad_(False)


def inside(picture: np.ndarray, margin: int) -> np.ndarray:
    return picture[margin:-margin, margin:-margin]


def as_picture(planes: torch.Tensor) -> np.ndarray:
    return planes[0].permute(1, 2, 0).double().numpy()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_is_one_step_of_its_definition(scale: int, rng: np.random.Generator) -> None:
    picture = rng.random((30, 34, 3), np.float32)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    plain = as_picture(network(scale)(x))
    low = picture.astype(np.float64)
    missing = low - resize(plain, *low.shape[:2])
    expected = plain + resize(missing, *plain.shape[:2])
    found = as_picture(network(scale, consistent=True)(x))
    error = inside(np.abs(found - expected), MARGIN * scale)
    assert error.max() < 2e-6
    assert inside(np.abs(plain - expected), MARGIN * scale).max() > 0.01


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_flat_colours_shrink_to_themselves(scale: int, rounded: bool) -> None:
    colour = torch.tensor([0.2, 0.9, 0.4])[None, :, None, None]
    x = colour.expand(1, 3, 40, 40)
    margin = network(scale).config.halo + 4
    for consistent in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            result = network(scale, consistent=consistent)(x)
        assert result.dtype == torch.float32
        off = inside(resize(as_picture(result), 40, 40) - as_picture(x), margin)
        assert (np.abs(off).max() < 1e-6) == consistent  # whatever the residual was rounded to


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shrinking_weights_sum_to_one(scale: int) -> None:
    line = shrinking_line(scale)
    assert line.shape == (scale, 5)
    assert line.sum() == pytest.approx(1)
    np.testing.assert_allclose(line, line[::-1, ::-1])


def test_nothing_is_missing_from_what_fits() -> None:
    """A straight slope is enlarged and shrunk to itself; what is added then is all that counts."""
    x = torch.linspace(0, 1, 20).expand(1, 3, 20, 20).contiguous()
    missing = BackProjection(2)
    assert missing(x, torch.zeros(1, 12, 20, 20))[..., 4:-4, 4:-4].abs().max() < 1e-6
    added = torch.full((1, 12, 20, 20), 0.25)
    torch.testing.assert_close(
        missing(x, added)[..., 4:-4, 4:-4], torch.full((1, 3, 12, 12), -0.25)
    )
    assert missing(x[..., :1, :2], added[..., :1, :2]).shape == (1, 3, 1, 2)


def test_only_a_bicubic_base_can_be_consistent() -> None:
    with pytest.raises(WeightsError, match="bicubic base"):
        NetConfig(2, 4, 1, base="none", consistent=True)


@pytest.mark.parametrize("kind", [TorchEngine, OpenVINOEngine])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_consistent_networks_are_those_of_the_model(
    kind: type[TorchEngine] | type[OpenVINOEngine],
    scale: int,
    tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    if kind is OpenVINOEngine:
        pytest.importorskip("openvino")
    torch.manual_seed(0)
    net = SRNet(NetConfig(scale, 4, 1, consistent=True)).requires_grad_(False)
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    net.load_state_dict(rounded(net.state_dict()))
    file = tmp_path / f"tiny-x{scale}.safetensors"
    save(file, net, replace(tiny_card(scale), net=net.config, halo=net.config.halo))
    engine, x = kind(file, "cpu", "float32"), rng.random((41, 57, 3), np.float32)
    (whole,) = engine.run([x[None]])
    expected = net(torch.from_numpy(x).permute(2, 0, 1)[None]).permute(0, 2, 3, 1)
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    canvas = np.full(whole.shape[1:], np.nan, np.float32)
    for tile in tiles.plan(*x.shape[:2], 27, engine.card.halo):
        (result,) = engine.run([tiles.crop(x, tile)[None]])
        tiles.paste(canvas, tile, tiles.core(result[0], tile, scale), scale)
    assert np.abs(canvas - whole[0]).max() <= 1e-5
