"""The same networks under OpenVINO: faster than PyTorch on processors, and quicker to start.

The graphs are converted from :class:`srnet.model.SRNet` itself, its two terms on their own, so
that the base stays in float32 whatever the residual is computed in. The compiled form is kept
in the user's cache; where it is there, PyTorch is not even imported.
"""

from __future__ import annotations

import io
import platform
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srnet.cache import Cache, key, user_folder
from srnet.device import (
    BFLOAT16_PAYS,
    best_seconds,
    gpu_possible,
    thread_limit,
)
from srnet.engine import LocalEngine, Pixels, Turnstile
from srnet.errors import DeviceError, OptionError, SetupError
from srnet.weights import load

if TYPE_CHECKING:
    from torch import Tensor

_HINTS = {"float32": "f32", "bfloat16": "bf16"}
_SOURCES = ("model.py", "bicubic.py", "openvino_engine.py")  # what else defines the graphs
_TRIAL = (1, 64, 64, 3)  # pixels by which precisions are compared
_NO_MEMORY = ("alloc", "out of memory", "out_of_memory")  # in the runtime's messages
_OF_CPU = ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
_EXTRA = ("openvino", "platformdirs")


def preferred(device: str) -> bool:
    """Whether ``--engine auto`` is OpenVINO: installed, and faster wherever it was measured.

    That is on x86-64 processors; ``docs/speed.md`` has the figures.
    """
    on_cpu = device == "cpu" or (device == "auto" and not gpu_possible())
    measured = platform.machine().lower() in ("x86_64", "amd64")
    return on_cpu and measured and all(map(find_spec, _EXTRA))


class OpenVINOEngine(LocalEngine):
    """Runs an :class:`srnet.model.SRNet` with OpenVINO on the CPU; loads at the first batch.

    ``precision`` is as for :class:`srnet.engine.TorchEngine`: ``auto`` measures once, when the
    network is compiled, and the cache remembers. Threads: ``OMP_NUM_THREADS``, as for PyTorch.

    Raises:
        OptionError: not on the CPU, or an unknown precision.
        SetupError: the extra is not installed.
    """

    def __init__(
        self,
        weights: Path,
        device: str = "auto",
        precision: str = "auto",
        turnstile: Turnstile | None = None,
        cache: Path | None = None,
    ) -> None:
        super().__init__(weights, device, precision, turnstile)
        if device not in ("auto", "cpu"):
            raise OptionError(f"OpenVINO runs on the CPU here, not on {device}: use --engine torch")
        if not all(map(find_spec, _EXTRA)):
            raise SetupError("OpenVINO is not installed: pip install 'srnet[openvino]'")
        self._folder = cache

    def _load(self) -> None:
        import openvino

        self._core = openvino.Core()
        cache = Cache(user_folder() if self._folder is None else self._folder)
        entry = self._entry(openvino.get_version())
        try:
            if not self._restore(cache.read(entry) or {}):
                parts = self._build()
                cache.write(entry, parts)
                if not self._restore(parts):
                    raise RuntimeError("what it compiled cannot be loaded")
        except RuntimeError as error:
            raise DeviceError(
                f"OpenVINO cannot prepare {self.card.name}: {error}; try --engine torch"
            ) from error

    def _entry(self, version: str) -> str:
        """The name of the cache entry: all that the compiled form depends on."""
        cpu = [str(self._core.get_property("CPU", name)) for name in _OF_CPU]
        sources = [Path(__file__).with_name(name).read_bytes() for name in _SOURCES]
        cpu += [platform.machine(), platform.system(), version, self._precision]
        return key(self.card.name, self._weights.read_bytes(), *sources, *cpu)

    def _restore(self, parts: dict[str, bytes]) -> bool:
        """Take the compiled form from its parts; False if they are of no use."""
        try:
            dtype = parts["dtype"].decode()
            residual = self._imported(parts["residual"], dtype)
            base = self._imported(parts["base"], "float32") if "base" in parts else None
        except (KeyError, UnicodeDecodeError, RuntimeError):
            return False
        self._parts, self.dtype, self._residual, self._base = parts, dtype, residual, base
        return True

    def _imported(self, blob: bytes, dtype: str) -> Any:
        compiled = self._core.import_model(io.BytesIO(blob), "CPU", _settings(dtype))
        return compiled.create_infer_request()

    def _build(self) -> dict[str, bytes]:
        """Convert and compile; the parts of a cache entry."""
        net, _ = load(self._weights)
        net.requires_grad_(False)
        model, dtypes = _converted(net.residual), [self._precision]
        if self._precision == "auto":
            native = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            dtypes = ["float32", "bfloat16"] if native else ["float32"]
        compiled = {dtype: self._compiled(model, dtype) for dtype in dtypes}
        dtype = dtypes[0] if len(dtypes) == 1 else _faster(compiled)
        parts = {"dtype": dtype.encode(), "residual": _exported(compiled[dtype])}
        if net.base is not None:
            parts["base"] = _exported(self._compiled(_converted(net.base), "float32"))
        return parts

    def _compiled(self, model: Any, dtype: str) -> Any:
        return self._core.compile_model(model, "CPU", _settings(dtype))

    def _rest(self) -> None:
        for request in (self._residual, self._base):
            if request is not None:
                request.get_compiled_model().release_memory()

    def _attempt(self, batch: Pixels) -> Pixels | None:
        if self._residual is None and not self._restore(self._parts):
            raise DeviceError(f"not enough memory to load {self.card.name}: free some memory")
        try:
            return self._infer(np.ascontiguousarray(batch))
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(s in str(error) for s in _NO_MEMORY):
                raise
        self._residual = self._base = None  # what has failed once holds memory, and more
        return None

    def _infer(self, batch: Pixels) -> Pixels:
        """Base plus residual; what comes back is not shared with the runtime."""
        residual = self._run(self._residual, batch)
        return residual.copy() if self._base is None else self._run(self._base, batch) + residual

    def _run(self, request: Any, batch: Pixels) -> Pixels:
        result = _run(request, batch)
        count, height, width, _ = batch.shape
        expected = (count, height * self.card.scale, width * self.card.scale, 3)
        if result.shape != expected:
            raise DeviceError(f"OpenVINO gave {result.shape} for {expected}: try --engine torch")
        return result


def _settings(dtype: str) -> dict[str, object]:
    settings: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": _HINTS[dtype],
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # other work shares the processor
    }
    threads = thread_limit()
    return settings if threads is None else {**settings, "INFERENCE_NUM_THREADS": threads}


def _run(request: Any, batch: Pixels) -> Pixels:
    """The result, which the next run overwrites.

    Not by ``request.infer``: short of memory, that gives the previous result and no error.
    """
    request.start_async([batch], share_inputs=True)
    request.wait()
    result: Pixels = request.get_output_tensor().data
    return result


def _faster(compiled: dict[str, Any]) -> str:
    """``float32`` or ``bfloat16``, by a run of each."""
    pixels = np.zeros(_TRIAL, np.float32)
    seconds = {
        dtype: best_seconds(partial(_run, model.create_infer_request(), pixels))
        for dtype, model in compiled.items()
    }
    pays = seconds["bfloat16"] < BFLOAT16_PAYS * seconds["float32"]
    return "bfloat16" if pays else "float32"


def _exported(compiled: Any) -> bytes:
    return bytes(compiled.export_model().getvalue())


def _converted(term: Any) -> Any:
    """An OpenVINO model of a term, ``(N, h, w, 3)`` to ``(N, s * h, s * w, 3)``, all sizes free.

    By the front end itself: ``openvino.convert_model`` would report its use over the network.
    """
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    class Pictures(torch.nn.Module):
        """A term with the channels last, as pictures have them."""

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = term(x.permute(0, 3, 1, 2))
            return y.permute(0, 2, 3, 1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tracing is to be replaced some day
        traced = torch.jit.trace(Pictures(), torch.rand(2, 24, 20, 3))  # type: ignore[no-untyped-call]
    decoder = TorchScriptPythonDecoder(traced)  # has to live until the end of the conversion
    frontend = FrontEndManager().load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    model.reshape([-1, -1, -1, 3])
    return model
