"""The machine that a network runs on: devices, their arithmetic, processes, provenance."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from srnet.errors import OptionError, SetupError

if TYPE_CHECKING:
    import torch

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_PRECISIONS = ("auto", "float32", "bfloat16", "int8")
NO_INT8 = (
    "int8 is for OpenVINO: pip install '.[openvino]' in the clone of srnet, and --engine openvino"
)
_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # numbers in malloc.h
BFLOAT16_PAYS = 0.8  # of the time in float32, or less: else float32 is taken


def check_names(device: str = "auto", precision: str = "auto") -> None:
    """Refuse names that no machine knows; torch is not needed for that.

    Raises:
        OptionError: the message says which names there are.
    """
    if not _DEVICE.fullmatch(device):
        raise OptionError(f"unknown device {device!r}: choose auto, cpu, cuda, cuda:N or mps")
    if precision not in _PRECISIONS:
        raise OptionError(f"unknown precision {precision!r}: choose {', '.join(_PRECISIONS)}")


def gpu_possible() -> bool:
    """Whether PyTorch might find a GPU; False is certain, and found without importing it."""
    build = version("torch").partition("+")[2]
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if build == "cpu" or build.startswith("rocm"):
        return build != "cpu"
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def thread_limit() -> int | None:
    """Threads that ``OMP_NUM_THREADS`` allows; None where it does not say."""
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(text) if text.isascii() and text.isdigit() and int(text) else None


def best_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``auto`` is the first of cuda, mps, cpu that is there.

    Raises:
        SetupError: no such device on this machine.
    """
    import torch

    check_names(device=name)
    present = ["cpu"]
    if torch.backends.mps.is_available():
        present.insert(0, "mps")
    if torch.cuda.is_available():
        present.insert(0, "cuda")
    if name == "auto":
        return torch.device(present[0])
    kind, _, index = name.partition(":")
    if kind not in present or int(index or 0) >= max(1, torch.cuda.device_count()):
        raise SetupError(
            f"PyTorch finds no device {name!r} here: choose {' or '.join(present)}, or auto"
        )
    return torch.device(name)


def best_dtype(device: torch.device, precision: str = "auto") -> torch.dtype:
    """The arithmetic for the residual on a device: ``auto`` measures, a name forces.

    A processor that announces bfloat16 need not be faster with it (some have half the
    throughput of float32), so ``auto`` times one convolution in both, about 50 ms in all.

    Raises:
        OptionError: unknown name, or int8, which is not PyTorch's here.
    """
    import torch

    check_names(precision=precision)
    if precision == "int8":
        raise OptionError(NO_INT8)
    if precision != "auto":
        return torch.float32 if precision == "float32" else torch.bfloat16
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if device.type == "cpu" and _bfloat16_pays() else torch.float32


@cache  # one answer for a process: pictures must not differ with the load of the machine
def _bfloat16_pays() -> bool:
    import torch

    with torch.inference_mode():
        exact, rounded = best_seconds([_trial(torch.float32), _trial(torch.bfloat16)])
    return rounded <= BFLOAT16_PAYS * exact


def _trial(dtype: torch.dtype) -> Callable[[], object]:
    """One convolution of 64 to 64 channels on 64 x 64 pixels on the CPU."""
    import torch

    conv = torch.nn.Conv2d(64, 64, 3, padding=1)
    conv = conv.to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.zeros(1, 64, 64, 64, dtype=dtype).to(memory_format=torch.channels_last)
    return lambda: conv(x)


def best_seconds(tasks: Sequence[Callable[[], object]], runs: int = 10) -> list[float]:
    """The shortest run of each task, which run in turn: other work then slows all of them."""
    times = [float("inf")] * len(tasks)
    for _ in range(runs):
        for i, task in enumerate(tasks):
            start = time.perf_counter()
            task()
            times[i] = min(times[i], time.perf_counter() - start)
    return times


def keep_freed_memory() -> None:
    """Let glibc's malloc keep all that this process frees, for what it asks for next.

    A step of a training frees and asks for gigabytes; given back to the system each time, they
    are cleared anew, page by page: a tenth to a sixth of the time on a processor.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)):
            mallopt(parameter, value)


@contextmanager
def distributed(device: str = "auto") -> Iterator[None]:
    """Join the processes that ``torchrun`` started; without it, nothing happens.

    NCCL between GPUs, gloo between processors.
    """
    if "RANK" not in os.environ:
        yield
        return
    import torch
    import torch.distributed as dist

    kind = best_device(device).type
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def any_process(wish: bool, device: torch.device) -> bool:
    """Whether one of the processes wishes it: they take their steps together or not at all."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        return wish
    wishes = torch.tensor(float(wish), device=device)
    dist.all_reduce(wishes, dist.ReduceOp.MAX)
    return bool(wishes)


def provenance(device: torch.device) -> tuple[str, str]:
    """The commit of the code (empty outside a checkout) and the hardware of the run."""
    import torch

    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
    else:
        hardware = f"{torch.get_num_threads()} threads of a {platform.machine()} processor"
    return _commit(), hardware


def _commit() -> str:
    """That of this checkout; empty outside, in a checkout of something else, or without git."""
    try:
        git = subprocess.run(
            ["git", "rev-parse", "--show-toplevel", "--short=12", "HEAD"],  # noqa: S607
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    place, _, commit = git.stdout.strip().partition("\n")
    ours = git.returncode == 0 and Path(place).resolve() == Path(__file__).resolve().parent.parent
    return commit if ours else ""
