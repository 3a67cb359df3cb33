"""Runtimes for the same network, side by side, as JSON: which engine is worth having here.

Run with ``python -m tests.bench.engines [MODEL ...] [--sides 128 256 512 768] [--runs 5]``;
``taskset -c 0`` in front keeps it to one processor. Each runtime gets the same tile in turn (A B A
B) and the shortest run counts, in seconds of the processor (``--clock wall`` for those of the
wall), which other work on the machine disturbs least. ONNX Runtime and ncnn (with pnnx) are no
engines of srnet; they are measured where they are installed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from srnet.device import thread_limit
from srnet.engine import TorchEngine
from srnet.export import export_onnx
from srnet.folded import folded
from srnet.openvino_engine import OpenVINOEngine
from srnet.weights import find_one, load
from tests.bench.speed import mosaic

Run = Callable[[np.ndarray], np.ndarray]  # (1, h, w, 3) float32 to (1, s * h, s * w, 3)
PACKAGES = ("torch", "openvino", "onnxruntime", "ncnn", "pnnx", "numpy")


def engines(weights: Path) -> Iterator[tuple[str, Run]]:
    """The engines of srnet, in every precision they have."""
    kinds = [("torch", TorchEngine, ()), ("openvino", OpenVINOEngine, ("int8",))]
    for name, kind, more in kinds:
        for precision in ("float32", "bfloat16", *more):
            if find_spec(name) is not None:
                engine = kind(weights, "cpu", precision)
                yield f"{name} {precision}", lambda x, engine=engine: next(engine.run([x]))


def onnx_runtime(weights: Path, folder: Path, threads: int) -> Iterator[tuple[str, Run]]:
    """The exported file under ONNX Runtime."""
    if any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
        return
    import onnxruntime

    target = folder / "net.onnx"
    export_onnx(weights, target)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(target, options, ["CPUExecutionProvider"])

    def run(x: np.ndarray) -> np.ndarray:
        (y,) = session.run(None, {"input": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})
        return y.transpose(0, 2, 3, 1)

    yield "onnxruntime float32", run


def ncnn_nets(weights: Path, folder: Path, threads: int) -> Iterator[tuple[str, Run]]:
    """The residual under ncnn (Winograd), in float32 and with bfloat16 storage; base by torch."""
    if any(find_spec(name) is None for name in ("ncnn", "pnnx")):
        return
    import ncnn

    net, _ = load(weights)
    traced = torch.jit.trace(Residual(folded(net)), torch.rand(1, 3, 64, 64))  # pnnx cuts nothing
    traced.save(folder / "net.pt")
    tool = Path(sys.executable).with_name("pnnx")
    command = [tool, "net.pt", "inputshape=[1,3,64,64]", "inputshape2=[1,3,96,80]", "fp16=0"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for name, half in (("ncnn float32", False), ("ncnn bfloat16 storage", True)):
        model = ncnn.Net()
        model.opt.num_threads = threads
        model.opt.use_vulkan_compute = False
        model.opt.use_fp16_packed = model.opt.use_fp16_storage = False
        model.opt.use_fp16_arithmetic = False
        model.opt.use_bf16_storage = half
        model.load_param(str(folder / "net.ncnn.param"))
        model.load_model(str(folder / "net.ncnn.bin"))

        def run(x: np.ndarray, model: ncnn.Net = model) -> np.ndarray:
            planes = np.ascontiguousarray(x[0].transpose(2, 0, 1))
            extractor = model.create_extractor()
            extractor.input("in0", ncnn.Mat(planes).clone())  # aligned as its kernels need it
            residual = np.array(extractor.extract("out0")[1])
            with torch.inference_mode():
                pixels, added = torch.from_numpy(planes[None]), torch.from_numpy(residual[None])
                phases = torch.nn.functional.pixel_unshuffle(added, net.config.scale)
                base = net.enlarged(pixels, phases)
                result = torch.nn.functional.pixel_shuffle(base + phases, net.config.scale)
            return result[0].permute(1, 2, 0).numpy()[None]

        yield name, run


class Residual(torch.nn.Module):
    """The residual as a module of its own."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net.residual(x)


def measured(model: str, sides: list[int], runs: int, clock: Callable[[], float]) -> list[dict]:
    """A row for each runtime and side of the tile."""
    weights = find_one(model)
    threads = thread_limit() or torch.get_num_threads()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = dict(engines(weights))
        tasks |= onnx_runtime(weights, folder, threads)
        tasks |= ncnn_nets(weights, folder, threads)
        for side in sides:
            x = np.ascontiguousarray(mosaic(side * side / 1e6 + 1e-3)[None, :side, :side])
            rows += compared(tasks, x.astype(np.float32) / 255, runs, clock, model)
    return rows


def compared(
    tasks: dict[str, Run], x: np.ndarray, runs: int, clock: Callable[[], float], model: str
) -> list[dict]:
    """One row a runtime, for one tile."""
    seconds = dict.fromkeys(tasks, float("inf"))
    outputs = {name: run(x) for name, run in tasks.items()}  # and warm up
    for _ in range(runs):
        for name, run in tasks.items():
            start = clock()
            run(x)
            seconds[name] = min(seconds[name], clock() - start)
    exact = outputs["torch float32"]
    rows = []
    for name, y in outputs.items():
        mean = max(float(np.square(y - exact, dtype=np.float64).mean()), 1e-15)
        rows.append(
            {
                "model": model,
                "side": x.shape[1],
                "runtime": name,
                "seconds": round(seconds[name], 4),
                "megapixels_per_second": round(y.shape[1] * y.shape[2] / 1e6 / seconds[name], 3),
                "times_as_fast_as_torch": round(seconds["torch float32"] / seconds[name], 2),
                "largest_error_levels": round(float(np.abs(y - exact).max()) * 255, 3),
                "agreement_db": round(-10 * float(np.log10(mean)), 1),
            }
        )
    return rows


def machine() -> dict[str, object]:
    """Versions and hardware."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES if find_spec(name)}
    text = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    flags = sorted({w for w in text.split() if w.startswith(("avx", "amx", "sse4"))})
    names = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "processors": os.cpu_count(),
        "flags": " ".join(flags),
        "threads": thread_limit() or torch.get_num_threads(),
        "python": platform.python_version(),
        **found,
    }


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["clean-x2", "fast-x4"])
    parser.add_argument("--sides", type=int, nargs="+", default=[128, 256, 512, 768])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--clock", choices=["cpu", "wall"], default="cpu")
    given = parser.parse_args()
    clock = time.process_time if given.clock == "cpu" else time.perf_counter
    rows = [
        row for model in given.models for row in measured(model, given.sides, given.runs, clock)
    ]
    report = {"machine": machine(), "clock": given.clock, "rows": rows}
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
