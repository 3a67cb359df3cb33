"""The same networks under OpenVINO: faster than PyTorch on processors, and quicker to start.

The graph is converted from :class:`srnet.model.SRNet` itself. The base stays in float32, whatever
the residual is computed in. The compiled form is kept in the user's cache; where it is there,
PyTorch is not even imported.
"""

from __future__ import annotations

import io
import platform
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srnet.bicubic import resize
from srnet.cache import Cache, key, user_folder
from srnet.device import (
    BFLOAT16_PAYS,
    best_seconds,
    gpu_possible,
    thread_limit,
)
from srnet.engine import LocalEngine, Pixels, Turnstile
from srnet.errors import DeviceError, OptionError, SetupError
from srnet.weights import load, load_ranges

if TYPE_CHECKING:
    from srnet.model import SRNet

# what is not in eight bits
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32", "int8 bfloat16": "bf16"}
_SOURCES = (  # what else defines the graph
    "model.py",
    "backprojection.py",
    "bicubic.py",
    "folded.py",
    "quantise.py",
    "openvino_graph.py",
    "openvino_int8.py",
    "openvino_engine.py",
)
_TRIAL = (1, 64, 64, 3)  # pixels by which precisions are compared
_MOST_ERROR = 10 / 255  # of int8 on a smooth picture, where it is 2 to 5 levels
_NO_MEMORY = ("alloc", "out of memory", "out_of_memory")  # in the runtime's messages
_OF_CPU = ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
_EXTRA = ("openvino", "platformdirs")
_KEPT = 16  # entries in the plugin's cache of what it prepared for a shape of picture


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
    network is compiled, and the cache remembers. ``int8`` is never taken by itself, since it is
    not within one level. Threads: ``OMP_NUM_THREADS``, as for PyTorch. Without ``keep`` the
    compiled form is not kept, for weights that never come again.

    Raises:
        OptionError: not on the CPU, an unknown precision, or int8 and weights that were never
            calibrated for it.
        SetupError: the extra is not installed.
    """

    runtime = "openvino"

    def __init__(
        self,
        weights: Path,
        device: str = "auto",
        precision: str = "auto",
        turnstile: Turnstile | None = None,
        cache: Path | None = None,
        keep: bool = True,
    ) -> None:
        super().__init__(weights, device, precision, turnstile)
        if device not in ("auto", "cpu"):
            raise OptionError(f"OpenVINO runs on the CPU here, not on {device}: use --engine torch")
        if not all(map(find_spec, _EXTRA)):
            raise SetupError(
                "OpenVINO is not installed: pip install '.[openvino]' in the clone of srnet"
            )
        if precision == "int8" and not self.card.calibrated:
            raise OptionError(
                f"{self.card.name} is not calibrated for int8: run `srnet calibrate` on its file"
            )
        self._folder, self._keep = cache, keep

    def _load(self) -> None:
        import openvino

        self._core = openvino.Core()
        _prepare_for_few(self._core)
        folder = user_folder() if self._folder is None else self._folder
        cache = Cache(folder if self._keep else None)
        try:
            entry = self._entry(openvino.get_version())
            if not self._restore(cache.read(entry) or {}):
                parts = self._build()
                cache.write(entry, parts)
                if not self._restore(parts):
                    raise RuntimeError("what it compiled cannot be loaded")
        except (RuntimeError, OSError) as error:
            raise DeviceError(
                f"OpenVINO cannot prepare {self.card.name}: {error}; try --engine torch"
            ) from error

    def _entry(self, version: str) -> str:
        """The name of the cache entry: all that the compiled form depends on."""
        cpu = [str(self._core.get_property("CPU", name)) for name in _OF_CPU]
        sources = [Path(__file__).with_name(name).read_bytes() for name in _SOURCES]
        cpu += [platform.machine(), platform.system(), version, self._precision]
        if self._precision == "int8":  # processors of one name may differ in it, if virtual
            cpu.append(f"weights to {_top_level()}")
        return key(self.card.name, self._weights.read_bytes(), *sources, *cpu)

    def _restore(self, parts: dict[str, bytes]) -> bool:
        """Take the compiled form from its parts; False if they are of no use."""
        try:
            dtype = parts["dtype"].decode()
            blob = io.BytesIO(parts["network"])
            compiled = self._core.import_model(blob, "CPU", _settings(dtype))
        except (KeyError, UnicodeDecodeError, RuntimeError):
            return False
        self._parts, self.dtype, self._request = parts, dtype, compiled.create_infer_request()
        return True

    def _build(self) -> dict[str, bytes]:
        """Convert and compile; the parts of a cache entry."""
        net, _ = load(self._weights)
        net.requires_grad_(False)
        compiled = self._candidates(net)
        dtype = next(iter(compiled)) if len(compiled) == 1 else _faster(compiled)
        return {"dtype": dtype.encode(), "network": _exported(compiled[dtype])}

    def _candidates(self, net: SRNet) -> dict[str, Any]:
        """The compiled network in each precision that comes into question."""
        if self._precision == "int8":
            from srnet.openvino_int8 import quantise
            from srnet.quantise import prepared

            net, limits = prepared(net, load_ranges(self._weights))
            model = self._graph_of(net)
            exact = self._compiled(model, "float32")
            quantise(model, limits, _top_level())
            coarse = {d: self._compiled(model, d) for d in self._native("int8", "int8 bfloat16")}
            for compiled in coarse.values():
                _check_agreement(exact, compiled)
            return coarse
        auto = self._precision == "auto"
        dtypes = self._native("float32", "bfloat16") if auto else [self._precision]
        return {d: self._compiled(self._graph_of(net, d == "bfloat16"), d) for d in dtypes}

    def _graph_of(self, net: SRNet, fine: bool = False) -> Any:
        """The graph, as it runs."""
        from srnet.folded import folded
        from srnet.openvino_graph import converted, exact_in_float32

        return exact_in_float32(self._core, converted(folded(net, fine)))

    def _native(self, exact: str, rounded: str) -> list[str]:
        """Those of two precisions which the processor has; the first always."""
        native = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return [exact, rounded] if native else [exact]

    def _compiled(self, model: Any, dtype: str) -> Any:
        return self._core.compile_model(model, "CPU", _settings(dtype))

    def _rest(self) -> None:
        if self._request is not None:
            self._request.get_compiled_model().release_memory()

    def _attempt(self, batch: Pixels) -> Pixels | None:
        if self._request is None and not self._restore(self._parts):
            raise DeviceError(f"not enough memory to load {self.card.name}: free some memory")
        try:
            return self._infer(np.ascontiguousarray(batch))
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(s in str(error) for s in _NO_MEMORY):
                raise
        self._request = None  # what has failed once holds memory, and more
        return None

    def _infer(self, batch: Pixels) -> Pixels:
        """The result, with the channels last, and not shared with the runtime."""
        planes = _run(self._request, batch)
        count, height, width, _ = batch.shape
        expected = (count, 3, height * self.card.scale, width * self.card.scale)
        if planes.shape != expected:
            raise DeviceError(f"OpenVINO gave {planes.shape} for {expected}: try --engine torch")
        result = np.empty((count, *expected[2:], 3), np.float32)
        for channel in range(3):  # a fourth of the time that one transposed copy takes
            result[..., channel] = planes[:, channel]
        return result


def _top_level() -> int:
    from srnet.openvino_int8 import top_level

    return top_level()


def _prepare_for_few(core: Any) -> None:
    """Keep little of what was prepared for other shapes; else it is thousands of entries."""
    with suppress(RuntimeError):  # it is not documented: another version may not have it
        core.set_property("CPU", {"CPU_RUNTIME_CACHE_CAPACITY": _KEPT})


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
    try:
        request.start_async([batch] * len(request.model_inputs), share_inputs=True)
        request.wait()
    except BaseException:  # a signal's, perhaps: then it runs on, and the batch would be freed
        with suppress(RuntimeError):  # that it is cancelled
            request.cancel()
            request.wait()
        raise
    result: Pixels = request.get_output_tensor().data
    return result


def _faster(compiled: dict[str, Any]) -> str:
    """The first or the second, which is bfloat16 where the first is float32, by runs in turn."""
    pixels = np.zeros(_TRIAL, np.float32)
    runs = [partial(_run, model.create_infer_request(), pixels) for model in compiled.values()]
    seconds = dict(zip(compiled, best_seconds(runs), strict=True))
    exact, rounded = compiled
    enough = 1.0 if exact == "int8" else BFLOAT16_PAYS  # one is no better than the other there
    return rounded if seconds[rounded] < enough * seconds[exact] else exact


def _check_agreement(exact: Any, coarse: Any) -> None:
    """The last guard: whatever this processor does in eight bits, it is close or refused.

    Raises:
        DeviceError: the results are too far from those in float32.
    """
    batch = _muted()[None]
    expected = _run(exact.create_infer_request(), batch).copy()
    error = np.abs(_run(coarse.create_infer_request(), batch) - expected).max()
    if not error <= _MOST_ERROR:
        raise DeviceError(
            f"int8 is {error * 255:.0f} levels from float32 on this processor: "
            "choose --precision float32 or bfloat16"
        )


def _muted() -> Pixels:
    """A smooth picture, its colours no stronger than those that ranges are measured on."""
    colours = np.random.default_rng(0).random((9, 9, 3), np.float32)
    grey = colours.mean(axis=2, keepdims=True)
    return resize(grey + (colours - grey) / 4, *_TRIAL[1:3]).clip(0, 1)


def _exported(compiled: Any) -> bytes:
    return bytes(compiled.export_model().getvalue())
