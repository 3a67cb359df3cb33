"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest
import torch

from srnet import weights
from srnet.calibrate import calibrate
from srnet.model import SRNet
from tests.conftest import tiny_card
from tests.quantise.support import PICTURES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photographs of a sort."""
    for index, picture in enumerate(PICTURES[:2]):
        large = PIL.Image.fromarray(picture).resize((96, 80), PIL.Image.Resampling.BICUBIC)
        (tmp_path / "photographs").mkdir(exist_ok=True)
        large.save(tmp_path / "photographs" / f"{index}.png")
    return tmp_path / "photographs"


@pytest.fixture
def calibrated(tmp_path: Path, folder: Path) -> Callable[..., Path]:
    """Makes a calibrated weights file of a scale."""

    def made(scale: int = 2, degradation: str = "clean") -> Path:
        torch.manual_seed(scale)
        card = tiny_card(scale, features=8, degradation=degradation)
        net = SRNet(card.net)
        torch.nn.init.normal_(net.tail.weight, std=0.05)
        file = tmp_path / f"{card.name}.safetensors"
        weights.save(file, net, card)
        assert calibrate(file, folder, 3, 5) == 5
        return file

    return made
