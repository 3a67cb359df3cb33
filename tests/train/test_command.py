"""``srnet train``: what it starts from, goes on with, trains on, refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from safetensors.torch import load_file, save_file

from srnet import weights
from srnet.cli import main

Train = Callable[..., int]


@pytest.fixture
def train(photographs: Path, tmp_path: Path) -> Train:
    """Runs ``srnet train`` for a step, with more options; gives its exit code."""

    def run(*more: str, size: str = "--features 4 --blocks 1") -> int:
        line = f"train {photographs} -o {tmp_path}/mine-x2.safetensors {size} --batch 2 --patch 12 "
        line += "--precision float32 --device cpu --iterations 1"
        return main([*line.split(), *more])

    return run


@pytest.fixture
def card(tmp_path: Path) -> Callable[[], weights.Card]:
    return lambda: weights.read_card(tmp_path / "mine-x2.safetensors")


@pytest.mark.skipif("fast-x2" not in weights.shipped(), reason="no weights in this checkout")
def test_it_starts_from_weights_by_their_name(
    train: Train, card: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fast-x2").mkdir()  # which is not meant
    assert train("--start", "fast-x2", size="") == 0
    assert card().training.started_from.startswith("fast-x2 version ")


def test_a_card_that_asks_for_a_huge_network_is_refused(
    train: Train,
    tiny_weights: dict[int, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = json.loads(weights.read_card(tiny_weights[2]).to_json())
    known["net"]["features"] = 10**6
    start = tmp_path / "huge-x2.safetensors"
    save_file(load_file(tiny_weights[2]), start, {"srnet.card": json.dumps(known)})
    assert train("--start", str(start), size="") == 2
    assert "does not fit its card" in capsys.readouterr().err


def test_it_goes_on_without_the_weights_it_started_from(
    train: Train, card: Callable, tiny_weights: dict[int, Path], tmp_path: Path
) -> None:
    start = tmp_path / "first-x2.safetensors"
    start.write_bytes(tiny_weights[2].read_bytes())
    assert train("--start", str(start), size="") == 0
    start.unlink()
    made = card()
    assert train("--start", str(start), size="") == 0  # it was at its end
    (tmp_path / "mine-x2.ckpt").unlink()
    assert train("--start", str(start), size="") == 2  # where it does not go on, it is missing
    assert card() == made
    assert made.training.started_from == "tiny-x2 version 1"


def test_other_pictures_do_not_resume(
    train: Train, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train() == 0
    weights_file = tmp_path / "mine-x2.safetensors"
    weights_file.unlink()  # so that there is something to do
    (photographs / "0.png").rename(photographs / "00.png")  # first as before
    assert train() == 0
    weights_file.unlink()
    (photographs / "1.png").unlink()
    assert train() == 2
    assert "was trained on other pictures" in capsys.readouterr().err


def test_the_card_counts_what_was_trained_on(
    train: Train, card: Callable, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for size in (31, 32):  # 12 and 2 on either side, twice
        pixels = rng.integers(0, 256, (size, 100, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(photographs / f"{size}.png")
    manifest = photographs.with_name("manifest.csv")
    names = ("0", "1", "2", "32")
    manifest.write_text("file,licence\n" + "".join(f"{name}.png,CC0-1.0\n" for name in names))
    assert train("--manifest", str(manifest)) == 0
    assert "left out as too small for patches of 12: 1 of 5 pictures" in capsys.readouterr().err
    assert (card().data.pictures, card().data.licences) == (4, ("CC0-1.0",))


@pytest.mark.parametrize(("degradation", "code"), [("clean", 2), ("photo", 0)])
def test_undamaged_is_for_photo(
    degradation: str, code: int, train: Train, card: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--undamaged", "0.5", "--degradation", degradation) == code
    if code:
        assert "--undamaged is for --degradation photo" in capsys.readouterr().err
    else:
        assert card().training.settings["undamaged"] == 0.5


def test_shares_of_patches_are_at_most_all(
    train: Train, card: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--flat", "1.5") == 2
    assert "flat must be between 0 and 1, not 1.5" in capsys.readouterr().err
    assert train("--graphics", "0.6", "--flat", "0.5") == 2
    assert "together at most 1, not 1.1" in capsys.readouterr().err
    assert train("--graphics", "0.5", "--flat", "0.5") == 0
    assert card().training.settings["flat"] == 0.5
