"""Training: it learns, resumes exactly, averages, shares work between processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from srnet import weights
from srnet.bicubic import resize
from srnet.card import Data, NetConfig
from srnet.errors import OptionError, WeightsError
from srnet.patches import Patches
from srnet.recipe import TrainConfig, learning_rate
from srnet.train import Run, train

CONFIG = TrainConfig(
    name="tiny-x2",
    net=NetConfig(2, 4, 1),
    iterations=12,
    batch=2,
    patch=12,
    warmup=3,
    precision="float32",
    device="cpu",
    log_every=1,
    save_every=6,
    validate_every=6,
)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 2, (24, 24, 3), dtype=np.uint8) * 200 + 20 for _ in range(3)]
    return [resize(c, 72, 72) for c in coarse]  # detail of which half gets lost, not all


def patches(pictures: list[np.ndarray], config: TrainConfig) -> Patches:
    return Patches(
        pictures, config.net.scale, config.patch, config.batch, config.degradation, config.seed
    )


def run_through(config: TrainConfig, pictures: list[np.ndarray], output: Path, **kw) -> list[dict]:
    rows: list[dict] = []
    run = Run(config)
    if output.with_suffix(".ckpt").exists():
        run.restore(output.with_suffix(".ckpt"))
    train(run, patches(pictures, config), output, data=Data(), report=rows.append, **kw)
    return rows


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_it_beats_bicubic(optimizer: str, pictures: list[np.ndarray], tmp_path: Path) -> None:
    config = replace(CONFIG, iterations=150, batch=8, log_every=10, lr=1e-2, optimizer=optimizer)
    rows = run_through(config, pictures, tmp_path / "tiny-x2.safetensors")
    assert rows[-1]["loss"] < 0.75 * rows[0]["loss"]
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


def test_other_settings_do_not_resume(pictures: list[np.ndarray], tmp_path: Path) -> None:
    output = tmp_path / "tiny-x2.safetensors"
    run_through(CONFIG, pictures, output)
    with pytest.raises(WeightsError, match=r"settings \(blocks 1 -> 2, lr 0\.001 -> 0\.0005\)"):
        run_through(replace(CONFIG, lr=5e-4, net=NetConfig(2, 4, 2)), pictures, output)


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
    with pytest.raises(OptionError, match="batch"):
        replace(CONFIG, batch=0)


@pytest.fixture
def photographs(pictures: list[np.ndarray], tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i, picture in enumerate(pictures):
        PIL.Image.fromarray(picture).save(folder / f"{i}.png")
    return folder


def command(folder: Path, output: Path, iterations: int) -> list[str]:
    options = (
        f"train {folder} -o {output} --features 4 --blocks 1 --batch 2 --patch 12 "
        f"--precision float32 --device cpu --iterations {iterations}"
    )
    return [sys.executable, "-m", "srnet", *options.split()]


def test_command_writes_weights_log_and_tensorboard(photographs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "tiny-x2.safetensors"
    line = [*command(photographs, output, 4), "--validate", str(photographs), "--save-every", "2"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("srnet: tiny-x2: 4 features, 1 blocks, 1,000 parameters; 3 pictures")
    assert first.endswith("clean; cpu, float32; 4 iterations from a fresh network")
    assert last.startswith(f"srnet: wrote {output} (4 iterations, ")
    card = weights.read_card(output)
    assert card.data.pictures == 3
    assert card.metrics["validation psnr"] > 10
    logs = output.with_suffix(".logs")
    rows = [json.loads(line) for line in (logs / "log.jsonl").read_text().splitlines()]
    assert rows[0]["iteration"] == 4
    assert rows[0]["gflops"] > 0
    assert list(logs.glob("events.*"))


def test_command_that_is_interrupted_saves_and_goes_on(photographs: Path, tmp_path: Path) -> None:
    output, ends = tmp_path / "tiny-x2.safetensors", []
    for number in (signal.SIGINT, signal.SIGTERM):
        line = command(photographs, output, 1_000_000)
        with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            first = process.stderr.readline()
            process.stderr.readline()  # the first figures: it is at work
            process.send_signal(number)
            told = process.stderr.read()
        assert process.returncode == 130, told
        iteration = weights.read_card(output).training.iterations
        assert f"interrupted after iteration {iteration} of 1000000" in told
        assert not ends or f"; goes on after iteration {ends[-1]} of 1000000\n" in first
        ends.append(iteration)
    assert ends[1] > ends[0] > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside the compiler
def test_compiled_network_trains_alike(pictures: list[np.ndarray]) -> None:
    plain, compiled = Run(CONFIG), Run(replace(CONFIG, compile=True))
    source = patches(pictures, CONFIG)
    for i in range(2):
        expected = plain.step(source.draw(i))
        torch.testing.assert_close(compiled.step(source.draw(i)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precisions_train_alike(precision: str, pictures: list[np.ndarray]) -> None:
    run = Run(replace(CONFIG, precision=precision))
    source = patches(pictures, CONFIG)
    losses = [float(run.step(source.draw(0))) for _ in range(4)]
    assert losses[-1] < losses[0]
    assert run.net.head.weight.dtype == torch.float32


_WORKER = """
import sys, json, pathlib, numpy as np, torch
from srnet.card import Data, NetConfig
from srnet.patches import Patches
from srnet.device import distributed
from srnet.recipe import TrainConfig
from srnet.train import Run, train
torch.set_num_threads(1)
config = TrainConfig(**json.loads(sys.argv[1]) | {"net": NetConfig(2, 4, 1)})
pictures = list(np.load(sys.argv[2]))
with distributed("cpu"):
    run = Run(config)
    source = Patches(pictures, 2, config.patch, config.batch, "clean", 0)
    stopping = lambda: run.rank == 1 and run.iteration == 3  # the other one is not told
    train(run, source, pathlib.Path(sys.argv[3]), data=Data(), stopping=stopping)
    torch.save(run.net.state_dict(), f"{sys.argv[3]}.rank{run.rank}")
"""


def test_two_processes_train_one_network(pictures: list[np.ndarray], tmp_path: Path) -> None:
    """Two with a batch of 2 each take the steps of one with both, and end together."""
    np.save(tmp_path / "p.npy", np.stack(pictures))
    config = {"name": "t-x2", "iterations": 1000, "batch": 2, "patch": 12, "warmup": 1}
    config |= {"device": "cpu", "precision": "float32"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = tmp_path / "t-x2.safetensors"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, json.dumps(config), str(tmp_path / "p.npy"), str(out)],
            env=os.environ
            | {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    assert [p.wait(timeout=100) for p in processes] == [0, 0]
    ranks = [torch.load(f"{out}.rank{r}", weights_only=True) for r in range(2)]
    assert all(torch.equal(ranks[0][k], ranks[1][k]) for k in ranks[0])

    single = Run(TrainConfig(**config | {"net": NetConfig(2, 4, 1)}))
    source = Patches(pictures, 2, 12, 2, "clean", 0)
    for i in range(3):
        both = [source.draw(i, rank) for rank in range(2)]
        merged = replace(
            both[0],
            low=torch.cat([b.low for b in both]),
            high=torch.cat([b.high for b in both]),
        )
        single.step(merged)
    for k, v in single.net.state_dict().items():
        torch.testing.assert_close(ranks[0][k], v, atol=2e-5, rtol=1e-4)
