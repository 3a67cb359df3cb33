"""From the command line, compiled, in other precisions, by two processes."""

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
import pytest
import torch

from srnet import weights
from srnet.card import NetConfig
from srnet.patches import Patches
from srnet.recipe import TrainConfig
from srnet.train import Run
from tests.train.support import CONFIG, patches


def command(folder: Path, output: Path, iterations: int) -> list[str]:
    options = (
        f"train {folder} -o {output} --features 4 --blocks 1 --batch 2 --patch 12 "
        f"--precision float32 --device cpu --iterations {iterations}"
    )
    return [sys.executable, "-m", "srnet", *options.split()]


def test_command_writes_weights_log_and_tensorboard(photographs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "tiny-x2.safetensors"
    line = [*command(photographs, output, 4), "--validate", str(photographs), "--save-every", "2"]
    line += ["--licence", "CC0-1.0"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("srnet: tiny-x2: 4 features, 1 blocks, 1,000 parameters; 3 pictures")
    assert first.endswith("clean; cpu, float32; 4 iterations from a fresh network")
    assert last.startswith(f"srnet: wrote {output} (4 iterations, ")
    card = weights.read_card(output)
    assert card.data.pictures == 3
    assert card.licence == "CC0-1.0"
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
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # which it hides itself
@pytest.mark.parametrize("consistent", [False, True])
def test_compiled_network_trains_alike(consistent: bool, pictures: list[np.ndarray]) -> None:
    config = replace(CONFIG, net=replace(CONFIG.net, consistent=consistent))
    plain, compiled = Run(config), Run(replace(config, compile=True))
    source = patches(pictures, config)
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
