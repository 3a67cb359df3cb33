"""Speed of this machine, as JSON: end to end against the bare network, precision, start-up.

Run with ``python -m tests.bench.speed [--model photo-x2] [--megapixels 4] [--set14 FOLDER]``.
Times are medians of interleaved runs (A B A B), so their ratios hold on a noisy machine.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import PIL.Image
import torch

import srnet
from srnet.engine import TorchEngine
from srnet.evaluate import pairs
from srnet.weights import find

SAMPLE = Path(__file__).parents[2] / "docs" / "sample.jpg"
K = TypeVar("K")
T = TypeVar("T")


def in_turn(runs: int, tasks: Mapping[K, Callable[[], T]]) -> dict[K, list[T]]:
    """What each task gives, run in turn (A B A B)."""
    found: dict[K, list[T]] = {name: [] for name in tasks}
    for _ in range(runs):
        for name, task in tasks.items():
            found[name].append(task())
    return found


def timed(task: Callable[[], object]) -> float:
    """Seconds of the wall that a task takes."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def interleaved(runs: int, **tasks: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each task, run in turn."""
    times = in_turn(runs + 1, {name: partial(timed, task) for name, task in tasks.items()})
    return {name: statistics.median(values[1:]) for name, values in times.items()}  # first: warm-up


def mosaic(megapixels: float) -> np.ndarray:
    """The sample, repeated to a picture of about this size, (H, W, 3) uint8."""
    tile = np.asarray(PIL.Image.open(SAMPLE))
    side = int((megapixels * 1e6) ** 0.5)
    times = -(-side // tile.shape[0])
    return np.tile(tile, (times, times, 1))[:side, :side]


def end_to_end(model: str, engine: str, megapixels: float, runs: int) -> dict[str, object]:
    """Decode to encode, through the product, against the network alone on the same pixels."""
    whole = max(1, round((megapixels * 1e6) ** 0.5 / 512))  # crops of 512 pixels, each way
    picture = mosaic((512 * whole) ** 2 / 1e6 + 1e-4)[: 512 * whole, : 512 * whole]
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    upscaler = srnet.load(model, engine=engine, precision="float32")
    bare_engine = next(iter(upscaler.engines.values()))
    tiles = picture.reshape(whole, 512, whole, 512, 3)
    crops = (tiles.swapaxes(1, 2).reshape(-1, 1, 512, 512, 3) / np.float32(255)).astype(np.float32)

    def network() -> None:
        for crop in crops:
            next(bare_engine.run([crop]))

    seconds = interleaved(runs, product=lambda: upscaler.upscale_bytes(data), network=network)
    return {
        "engine": engine,
        "input_megapixels": round(picture[..., 0].size / 1e6, 2),
        "product_seconds": round(seconds["product"], 3),
        "network_seconds": round(seconds["network"], 3),
        "ratio": round(seconds["product"] / seconds["network"], 3),
    }


def precision(model: str, runs: int, set14: Path | None) -> dict[str, object]:
    """bfloat16 against float32: time of one tile, and how far the pictures differ."""
    x = mosaic(0.0656)[None].astype(np.float32) / 255
    engines = {p: TorchEngine(find(model)[0], precision=p) for p in ("float32", "bfloat16")}
    automatic = TorchEngine(find(model)[0])
    next(automatic.run([x]))
    seconds = interleaved(
        runs, **{name: lambda e=e: next(e.run([x])) for name, e in engines.items()}
    )
    result: dict[str, object] = {
        "float32_seconds": round(seconds["float32"], 4),
        "bfloat16_seconds": round(seconds["bfloat16"], 4),
        "speedup": round(seconds["float32"] / seconds["bfloat16"], 2),
        "auto_chooses": automatic.dtype,
    }
    if set14 is not None:
        ups = [srnet.load(model, precision=p) for p in engines]
        scale = next(iter(ups[0].engines))
        worst, squares, count = 0, 0.0, 0
        for pair in pairs(set14, scale):
            a, b = (up(pair.low).astype(int) for up in ups)
            worst = max(worst, int(np.abs(a - b).max()))
            squares, count = squares + float(np.square(a - b).sum()), count + a.size
        result["largest_difference_levels"] = worst
        result["agreement_db"] = round(10 * float(np.log10(255**2 * count / squares)), 1)
    return result


def start_up(model: str, runs: int) -> dict[str, float]:
    """Whole processes: ``srnet --help``, and one small picture."""
    srnet_command = [sys.executable, "-m", "srnet"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.png"
        upscale = [*srnet_command, "upscale", str(SAMPLE), "-o", str(out), "-m", model, "--quiet"]

        def run(command: list[str]) -> None:
            subprocess.run(command, check=True, capture_output=True)

        seconds = interleaved(
            runs,
            help=lambda: run([*srnet_command, "--help"]),
            one_picture=lambda: run([*upscale, "--overwrite"]),
        )
        up, data = srnet.load(model), SAMPLE.read_bytes()
        warm = interleaved(runs, warm=lambda: up.upscale_bytes(data))["warm"]
    return {
        "help_seconds": round(seconds["help"], 3),
        "one_picture_seconds": round(seconds["one_picture"], 3),
        "overhead_seconds": round(seconds["one_picture"] - warm, 3),
    }


def machine() -> dict[str, object]:
    """Versions and hardware."""
    packages = ("srnet", "torch", "numpy", "pillow")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "opencv": cv2.__version__,  # of whichever package is installed
        **{name: importlib.metadata.version(name) for name in packages},
    }


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="photo-x2")
    parser.add_argument("--megapixels", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--set14", type=Path)
    given = parser.parse_args()
    kinds = [name for name in ("torch", "openvino") if find_spec(name) is not None]
    report = {
        "machine": machine(),
        "model": given.model,
        "end_to_end": [end_to_end(given.model, e, given.megapixels, given.runs) for e in kinds],
        "precision": precision(given.model, given.runs, given.set14),
        "start_up": start_up(given.model, given.runs),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
