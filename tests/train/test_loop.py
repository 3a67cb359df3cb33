"""The loop: what it learns, resumes, refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srnet import weights
from srnet.bicubic import resize
from srnet.card import Data, NetConfig
from srnet.errors import OptionError, TrainingError
from srnet.recipe import learning_rate
from srnet.train import Run, train
from tests.train.support import CONFIG, patches, run_through


@pytest.mark.parametrize(("optimizer", "loss"), [("muon", "l1"), ("adam", "l1"), ("muon", "psnr")])
def test_it_beats_bicubic(
    optimizer: str, loss: str, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    config = replace(CONFIG, iterations=150, batch=8, log_every=10, lr=1e-2)
    config = replace(config, optimizer=optimizer, loss=loss)
    rows = run_through(config, pictures, tmp_path / "tiny-x2.safetensors")
    first, last = (
        np.exp(row["loss"]) if loss == "psnr" else row["loss"] for row in rows[:: len(rows) - 1]
    )
    assert last < 0.75 * first
    net, card = weights.load(tmp_path / "tiny-x2.safetensors")
    small = resize(pictures[0], 36, 36)
    x = torch.from_numpy(small.copy()).permute(2, 0, 1)[None].float() / 255
    target = torch.from_numpy(pictures[0].copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        ours, plain = ((y - target).square().mean() for y in (net(x), net.base(x)))
    assert ours < 0.8 * plain
    assert card.training.iterations == 150


def test_resume_is_exact(pictures: list[np.ndarray], tmp_path: Path) -> None:
    whole = run_through(CONFIG, pictures, tmp_path / "a-x2.safetensors")
    output = tmp_path / "b-x2.safetensors"

    class Cut(Exception): ...

    def cut(row: dict) -> None:
        if row["iteration"] == 8:  # two steps after a checkpoint: they are done again
            raise Cut

    with pytest.raises(Cut):
        train(Run(CONFIG), patches(pictures, CONFIG), output, data=Data(), report=cut)
    rest = run_through(CONFIG, pictures, output)
    assert [r["iteration"] for r in rest] == list(range(7, 13))
    assert [r["loss"] for r in rest] == [r["loss"] for r in whole[6:]]
    a, b = (weights.load(tmp_path / f"{n}-x2.safetensors")[0].state_dict() for n in "ab")
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("loss", ["l1", "psnr"])
def test_a_network_that_is_lost_is_not_saved(
    loss: str, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    with pytest.raises(TrainingError, match="take a lower --lr"):
        run_through(replace(CONFIG, lr=1e9, loss=loss), pictures, output)
    assert not output.exists()
    run = Run(CONFIG)
    run.average["head.bias"] = run.average["head.bias"] / 0  # by the very last step
    with pytest.raises(TrainingError, match="take a lower --lr"):
        run.save(output, Data(), "", "")
    assert not output.exists()


def test_the_licence_is_that_of_the_weights_it_starts_from(tmp_path: Path) -> None:
    assert Run(CONFIG).licence == ""
    run = Run(CONFIG)
    run.licence = "CC0-1.0"
    run.save(tmp_path / "tiny-x2.safetensors", Data(), "", "")
    assert Run(CONFIG, tmp_path / "tiny-x2.safetensors").licence == "CC0-1.0"


def test_the_licence_goes_on_with_the_run(pictures: list[np.ndarray], tmp_path: Path) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    run = Run(CONFIG)
    run.licence = "CC0-1.0"
    train(run, patches(pictures, CONFIG), output, data=Data(), stopping=lambda: run.iteration == 3)
    run_through(CONFIG, pictures, output)
    assert weights.read_card(output).licence == "CC0-1.0"
    weights.record(output, {"validation psnr": 9.0}, "CC-BY-4.0")
    assert weights.read_card(output).licence == "CC-BY-4.0"


def test_validation_lands_in_the_card(pictures: list[np.ndarray], tmp_path: Path) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    seen: list[int] = []

    def validate(path: Path) -> dict[str, float]:
        seen.append(weights.read_card(path).training.iterations)
        return {"validation psnr": float(len(seen))}

    rows = run_through(CONFIG, pictures, output, validate=validate)
    assert seen == [6, 12]
    assert weights.read_card(output).metrics == {"validation psnr": 2.0}
    assert {"iteration": 6, "validation psnr": 1.0} in rows


def test_average_follows_the_weights(pictures: list[np.ndarray]) -> None:
    run = Run(CONFIG)
    source = patches(pictures, CONFIG)
    expected = {k: v.clone() for k, v in run.net.state_dict().items()}
    for i in range(3):
        run.step(source.draw(i))
        decay = (1 + i) / (10 + i)
        for k, v in run.net.state_dict().items():
            expected[k] = decay * expected[k] + (1 - decay) * v
    for k, v in run.average.items():
        torch.testing.assert_close(v, expected[k])


def test_start_from_other_weights(
    pictures: list[np.ndarray], tmp_path: Path, tiny_weights: dict[int, Path]
) -> None:
    config = replace(CONFIG, name="tiny-x4", net=NetConfig(4, 4, 1))
    run = Run(config, tiny_weights[2])
    train(run, patches(pictures, config), tmp_path / "tiny-x4.safetensors", data=Data())
    other = weights.read_card(tmp_path / "tiny-x4.safetensors")
    assert (other.training.started_from, other.version) == ("tiny-x2 version 1", 1)


def test_weights_that_go_on_from_their_own_get_the_next_version(
    pictures: list[np.ndarray], tmp_path: Path, tiny_weights: dict[int, Path]
) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    train(Run(CONFIG, tiny_weights[2]), patches(pictures, CONFIG), output, data=Data())
    assert weights.read_card(output).version == 2
    resumed = Run(CONFIG)
    resumed.restore(output.with_suffix(".ckpt"))
    assert resumed.version == 2


def test_weights_of_a_shipped_name_get_the_next_version(tiny_weights: dict[int, Path]) -> None:
    shipped = weights.read_card(weights.shipped()["clean-x2"]).version
    for start in (None, tiny_weights[2]):
        assert Run(replace(CONFIG, name="clean-x2"), start).version == shipped + 1


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_biases_move_at_a_tenth_of_the_rate(optimizer: str, pictures: list[np.ndarray]) -> None:
    run = Run(replace(CONFIG, optimizer=optimizer, warmup=0))
    run.step(patches(pictures, CONFIG).draw(0))
    groups = [group for optimizer in run.optimizers for group in optimizer.param_groups]
    rates = {group["params"][0].ndim: group["lr"] for group in groups}
    assert rates[4] == learning_rate(run.config, 0)
    assert rates[1] == pytest.approx(0.1 * rates[4])


def test_learning_rate() -> None:
    config = replace(CONFIG, lr=1.0, warmup=4, iterations=100)
    rates = [learning_rate(config, i) for i in range(100)]
    assert rates[0] == pytest.approx(0.25, rel=0.01)
    assert max(rates) == pytest.approx(1, rel=0.01)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] < 0.02


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(OptionError, match="seed must be a whole number from 0 on, not -1"):
        replace(CONFIG, seed=-1)
    with pytest.raises(OptionError, match="batch"):
        replace(CONFIG, batch=0)


def test_a_validation_that_was_cut_off_is_made_later(
    pictures: list[np.ndarray], tmp_path: Path
) -> None:
    output = tmp_path / "tiny-x2.safetensors"

    def killed(path: Path) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_through(CONFIG, pictures, output, validate=killed)
    assert weights.read_card(output).metrics == {}
    run = Run(CONFIG)
    run.restore(output.with_suffix(".ckpt"))
    assert run.to_validate
    rows = run_through(CONFIG, pictures, output, validate=lambda _: {"psnr": 30.0})
    assert rows[0] == {"iteration": run.iteration, "psnr": 30.0}
    assert weights.read_card(output).metrics == {"psnr": 30.0}
    assert run_through(CONFIG, pictures, output, validate=killed) == []  # it is made


def test_a_validation_made_later_leaves_the_rest_of_the_card(
    pictures: list[np.ndarray], tmp_path: Path
) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    run_through(CONFIG, pictures, output)
    weights.record(output, {"holiday psnr": 31.0})
    before = weights.read_card(output)
    run_through(CONFIG, pictures, output, validate=lambda _: {"psnr": 30.0}, commit="later")
    metrics = {"holiday psnr": 31.0, "psnr": 30.0}
    assert weights.read_card(output) == replace(before, metrics=metrics)


def test_a_run_goes_on_in_the_precision_that_a_trial_chose(
    pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    config = replace(CONFIG, precision="auto", device="cpu", iterations=2)
    for chosen, later in ((torch.float32, torch.bfloat16), (torch.bfloat16, torch.float32)):
        monkeypatch.setattr("srnet.train.best_dtype", lambda *_, dtype=chosen: dtype)
        run_through(config, pictures, output)
        monkeypatch.setattr("srnet.train.best_dtype", lambda *_, dtype=later: dtype)
        run = Run(config)
        run.restore(output.with_suffix(".ckpt"))
        assert run.dtype == chosen
        output.with_suffix(".ckpt").unlink()
        output.unlink()
