"""Checkpoints: which a run goes on from, and which are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from srnet import weights
from srnet.card import NetConfig
from srnet.errors import WeightsError
from srnet.train import Run
from tests.train.support import CONFIG, run_through


def test_other_settings_do_not_resume(pictures: list[np.ndarray], tmp_path: Path) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    run_through(CONFIG, pictures, output)
    with pytest.raises(WeightsError, match=r"settings \(blocks 1 -> 2, lr 0\.001 -> 0\.0005\)"):
        run_through(replace(CONFIG, lr=5e-4, net=NetConfig(2, 4, 2)), pictures, output)


def test_other_habits_do_resume(pictures: list[np.ndarray], tmp_path: Path) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    run_through(CONFIG, pictures, output)
    habits = replace(CONFIG, save_every=7, log_every=2, validate_every=5)
    assert run_through(habits, pictures, output) == []  # it was at its end


def test_checkpoints_from_before_a_setting_resume(
    pictures: list[np.ndarray], tmp_path: Path
) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    run_through(CONFIG, pictures, output)
    state = torch.load(output.with_suffix(".ckpt"), weights_only=True)
    settings = json.loads(state["config"])
    del settings["graphics"]
    torch.save({**state, "config": json.dumps(settings)}, output.with_suffix(".ckpt"))
    assert run_through(CONFIG, pictures, output) == []  # it was at its end
    with pytest.raises(WeightsError, match=r"graphics 0\.0 -> 0\.5"):
        run_through(replace(CONFIG, graphics=0.5), pictures, output)


def test_checkpoints_of_an_older_format_do_not_resume(
    pictures: list[np.ndarray], tmp_path: Path
) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    run_through(CONFIG, pictures, output)
    state = torch.load(output.with_suffix(".ckpt"), weights_only=True)
    del state["format"]  # it came with the second
    torch.save(state, output.with_suffix(".ckpt"))
    with pytest.raises(WeightsError, match="of an older srnet"):
        run_through(CONFIG, pictures, output)


def test_the_checkpoint_comes_before_the_first_weights(
    pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "tiny-x2.safetensors"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("srnet.train.save", killed)
        with pytest.raises(KeyboardInterrupt):
            run_through(CONFIG, pictures, output)
    assert [path.suffix for path in tmp_path.iterdir()] == [".ckpt"]
    run_through(CONFIG, pictures, output)
    assert weights.read_card(output).training.iterations == CONFIG.iterations
    output.unlink()
    assert run_through(CONFIG, pictures, output) == []  # it was at its end
    assert output.exists()


def test_a_damaged_checkpoint_is_refused(pictures: list[np.ndarray], tmp_path: Path) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    run_through(CONFIG, pictures, output)
    checkpoint = output.with_suffix(".ckpt")
    for left in (checkpoint.read_bytes()[:2000], b"", b"junk" * 99):
        checkpoint.write_bytes(left)
        with pytest.raises(WeightsError, match=r"damaged, or no .* --start .*tiny-x2\.safetensors"):
            Run(CONFIG).restore(checkpoint)


def test_another_number_of_processes_does_not_resume(tmp_path: Path) -> None:
    """Each has a batch of its own, so the steps would be others."""
    run, output = Run(CONFIG), tmp_path / "tiny-x2.safetensors"
    run.processes = 2
    run.keep(output)
    with pytest.raises(WeightsError, match=r"settings \(processes 2 -> 1\)"):
        Run(CONFIG).restore(output.with_suffix(".ckpt"))


def test_checkpoints_that_name_neither_processes_nor_pictures_resume(tmp_path: Path) -> None:
    run, output = Run(CONFIG), tmp_path / "tiny-x2.safetensors"
    run.pictures, run.iteration, file = "a hash", 3, output.with_suffix(".ckpt")
    run.keep(output)
    state = torch.load(file, weights_only=True)
    later = Run(CONFIG)
    later.restore(file)
    assert (later.iteration, later.pictures) == (3, "a hash")
    del state["processes"], state["pictures"]
    torch.save(state, file)
    earlier = Run(CONFIG)
    earlier.restore(file)
    assert (earlier.iteration, earlier.pictures) == (3, "")


@pytest.mark.parametrize(
    "content", [[1, 2], torch.zeros(3), {"state_dict": {}, "epoch": 3}, {"format": 2, "net": {}}]
)
def test_a_checkpoint_of_another_program_is_refused(content: Any, tmp_path: Path) -> None:
    file = tmp_path / "tiny-x2.ckpt"
    torch.save(content, file)
    with pytest.raises(WeightsError, match=r"no checkpoint of `srnet train`: choose .*output$"):
        Run(CONFIG).restore(file)


def test_settings_of_a_network_from_a_later_srnet_are_named(tmp_path: Path) -> None:
    run, output = Run(CONFIG), tmp_path / "tiny-x2.safetensors"
    run.keep(output)
    file = output.with_suffix(".ckpt")
    state = torch.load(file, weights_only=True)
    settings = json.loads(state["config"])
    settings["net"]["depth"] = 3
    torch.save({**state, "config": json.dumps(settings)}, file)
    with pytest.raises(WeightsError, match="depth 3 -> unset"):
        Run(CONFIG).restore(file)
