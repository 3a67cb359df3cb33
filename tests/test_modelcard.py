"""The page about the weights: generated from the cards, and true of the files."""

from __future__ import annotations

import csv
import hashlib

import pytest

from srnet import weights
from srnet.card import NetConfig
from srnet.model import SRNet, parameter_count
from srnet.modelcard import parameters, weights_readme

SHIPPED = weights.shipped()


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("activation", ["relu", "prelu"])
def test_parameters_are_counted_right(scale: int, activation: str) -> None:
    net = NetConfig(scale, 5, 3, activation=activation)
    assert parameters(net) == parameter_count(SRNet(net))


def test_page_is_up_to_date() -> None:
    page = (weights.folder() / "README.md").read_text(encoding="utf-8")
    assert page == weights_readme(SHIPPED.values()), "run `make weights-readme`"


def test_the_promised_weights_are_there() -> None:
    expected = {"clean-x2", "clean-x3", "clean-x4", "fast-x2", "fast-x4", "photo-x2", "photo-x4"}
    assert set(SHIPPED) == expected


@pytest.mark.parametrize("name", SHIPPED)
def test_card_is_complete_and_true(name: str) -> None:
    net, card = weights.load(SHIPPED[name])
    assert card.name == name
    assert card.halo == card.net.halo
    assert SHIPPED[name].stat().st_size < 4e6
    assert card.training.iterations > 0
    assert card.training.hours > 0
    assert card.training.commit
    assert card.training.hardware
    assert card.data.pictures > 300
    assert card.data.licences
    assert card.licence == "CC-BY-SA-4.0"
    manifest = weights.folder() / card.data.manifest
    assert hashlib.sha256(manifest.read_bytes()).hexdigest() == card.data.manifest_sha256
    rows = list(csv.DictReader(manifest.read_text(encoding="utf-8").splitlines()))
    assert {row["split"] for row in rows} == {"train", "val"}
    assert sum(row["split"] == "train" for row in rows) == card.data.pictures
    assert all(row["licence"] and row["source"] for row in rows)
    assert {"Set5 psnr", "Set14 psnr", "validation psnr"} <= set(card.metrics)
    assert parameters(card.net) == parameter_count(net)
