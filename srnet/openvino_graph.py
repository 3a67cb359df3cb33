"""From :class:`srnet.model.SRNet` to OpenVINO's graphs: one for each of its two terms."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from openvino import Model, opset13
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

_TRIES = 20


class _Phases(nn.Module):
    """A term of the network before its pixel-shuffle, from pixels with the channels last."""

    def __init__(self, phases: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.phases = phases

    def forward(self, x: Tensor) -> Tensor:
        return self.phases(x.permute(0, 3, 1, 2))


def converted(phases: Callable[[Tensor], Tensor], scale: int) -> Any:
    """An OpenVINO model of a term, given as what comes before its pixel-shuffle.

    ``(N, h, w, 3)`` to ``(N, 3, s * h, s * w)``, all sizes free. The shuffle is OpenVINO's own,
    and the channels stay first: as PyTorch's it took 31 of the 99 ms of a small network at x4.
    By the front end itself: ``openvino.convert_model`` would report its use over the network.
    PyTorch traces in one thread at a time: :class:`srnet.engine.LocalEngine` sees to that.
    """
    traced = _traced(_Phases(phases))
    decoder = TorchScriptPythonDecoder(traced)  # has to live until the end of the conversion
    frontend = FrontEndManager().load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    shuffled = opset13.depth_to_space(_result(model), "depth_first", scale)
    model = Model([opset13.result(shuffled)], model.get_parameters())
    model.reshape([-1, -1, -1, 3])
    return model


def _traced(module: nn.Module) -> Any:
    """Trace without the warning that tracing is to be replaced some day.

    ``warnings.catch_warnings`` is not safe between threads: its end in one thread brings back
    the filters from before, and so it may take ours along. Where warnings are errors, that is
    one, raised before anything is traced: try again.
    """
    for attempt in range(_TRIES):
        warnings.filterwarnings("ignore", r"`torch\.jit\.trace", DeprecationWarning)
        try:
            return torch.jit.trace(module, torch.rand(2, 24, 20, 3))  # type: ignore[no-untyped-call]
        except DeprecationWarning:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("it has returned or raised")


def _result(model: Any) -> Any:
    return model.output(0).get_node().input_value(0)
