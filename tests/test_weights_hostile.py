"""Weights files that somebody else made: refused in one sentence, whatever is in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from srnet import weights
from srnet.cli import main
from srnet.errors import WeightsError

Make = Callable[..., Path]


@pytest.fixture
def made(tiny_weights: dict[int, Path], tmp_path: Path) -> Make:
    """Writes a file like ``tiny-x2`` with another card or other tensors."""

    def make(change: dict[str, Any] | None = None, **tensors: torch.Tensor) -> Path:
        card = json.loads(weights.read_card(tiny_weights[2]).to_json())
        for name, value in (change or {}).items():
            inner = isinstance(value, dict) and isinstance(card[name], dict)
            card[name] = {**card[name], **value} if inner else value
        file = tmp_path / "other-x2.safetensors"
        parts = load_file(tiny_weights[2]) | tensors
        save_file(parts, file, {"srnet.card": json.dumps(card)})
        return file

    return make


@pytest.mark.parametrize(
    "name",
    [
        *("../../outside/evil-x2", "/tmp/evil-x2", "a/b-x2", "a\\b-x2", "a\0b-x2", "\x1b[31ma-x2"),
        *("", "-x2", ".hidden-x2", "..-x2", "tiny", "tiny-x2\n", "tiny-x4", "tiny-x\u0662"),
    ],
)
def test_names_that_are_no_plain_ones_are_refused(name: str, made: Make) -> None:
    """They become names of files in the cache, and are printed."""
    with pytest.raises(WeightsError, match="cannot be called"):
        weights.read_card(made({"name": name}))


@pytest.mark.parametrize("name", ["tiny-x2", "Tiny_1.5-a-x2", "2-x2", "a-x4-x2"])
def test_plain_names_are_read(name: str, made: Make) -> None:
    assert weights.load(made({"name": name}))[1].name == name


@pytest.mark.parametrize(
    "change",
    [
        *({"name": 5}, {"halo": "9"}, {"halo": 9.0}, {"halo": None}, {"halo": True}),
        *({"halo": 2**63}, {"version": [1]}, {"degradation": "none"}, {"licence": 1}),
        *({"metrics": {"a": "b"}}, {"metrics": [1]}, {"metrics": {"a": 10**400}}),
        *({"training": {"hours": "x"}}, {"training": {"settings": {"lr": {"a": []}}}}),
        *({"training": 1}, {"data": {"pictures": 0.5}}, {"data": {"licences": [1]}}, {"data": []}),
        *({"net": {"scale": 2.0}}, {"net": {"features": True}}, {"net": {"consistent": 1}}),
        *({"net": {"activation": ["relu"]}}, {"net": "x"}, {"net": {"blocks": "1"}}),
    ],
)
def test_fields_of_another_type_are_refused(change: dict[str, Any], made: Make) -> None:
    with pytest.raises(WeightsError, match="the card of the weights cannot be read"):
        weights.read_card(made(change))


@pytest.mark.parametrize(
    "header",
    [
        *('{"__metadata__":null}', '{"__metadata__":5}', '{"__metadata__":["srnet.card"]}'),
        *('{"__metadata__":{"srnet.card":null}}', "[" * 200_000),
        '{"__metadata__":{"srnet.card":"' + "[" * 200_000 + '"}}',
    ],
)
def test_malformed_headers_are_refused(
    header: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a-x2.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    with pytest.raises(WeightsError):
        weights.read_card(file)
    assert main(["info", str(file)]) == 2
    assert capsys.readouterr().err.startswith("srnet: error: ")


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ({"blocks": 100_000}, "10 tensors are too few for 100000 blocks"),
        ({"features": 1_000_000}, "size mismatch"),
        ({"features": 2**62}, "does not fit its card"),
    ],
)
def test_a_card_that_asks_for_all_memory_is_refused_without_it(
    net: dict[str, int], message: str, made: Make
) -> None:
    with pytest.raises(WeightsError, match=message):
        weights.load(made({"net": net, "halo": 10**9}))


@pytest.mark.parametrize("halo", [-5, 0, 4])
def test_a_halo_that_is_too_small_is_refused(halo: int, made: Make) -> None:
    """The seams of tiles would show."""
    with pytest.raises(WeightsError, match=f"the halo of tiny-x2 must be at least 5, not {halo}"):
        weights.read_card(made({"halo": halo}))
    assert weights.read_card(made({"halo": 9})).halo == 9


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "complex64", "int8", "bool"])
def test_other_kinds_of_numbers_are_refused(dtype: str, made: Make) -> None:
    bias = torch.zeros(4).to(getattr(torch, dtype))
    with pytest.raises(WeightsError, match=rf"holds head\.bias as {dtype}: convert it to float32"):
        weights.load(made(**{"head.bias": bias}))


def test_numbers_too_large_for_float32_are_refused(made: Make) -> None:
    with pytest.raises(WeightsError, match="no numbers"):
        weights.load(made(**{"head.bias": torch.full((4,), 1e200, dtype=torch.float64)}))
    net, _ = weights.load(made(**{"head.bias": torch.full((4,), 0.5, dtype=torch.float64)}))
    assert (net.head.bias == 0.5).all()


def test_ranges_are_numbers(made: Make) -> None:
    name, found = "int8.fuse", torch.tensor([[-1.0] * 4, [2.0] * 4])
    (ranges,) = weights.load_ranges(made(**{name: found.bfloat16()})).values()
    assert (ranges == found.numpy()).all()
    with pytest.raises(WeightsError, match="calibrate again"):
        weights.load_ranges(made(**{name: found * float("nan")}))
