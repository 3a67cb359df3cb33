"""From :class:`srnet.model.SRNet` to OpenVINO's graphs: one for each of its two terms."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import torch
from openvino import Core, Model, opset13, save_model
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

_TRIES = 20
_BEYOND = 256.0  # times white: no result is
_EXACT = {"name": "precise", "version": "0"}


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
    The last convolution has to do something in float32, or its result would be rounded.
    PyTorch traces in one thread at a time: :class:`srnet.engine.LocalEngine` sees to that.
    """
    traced = _traced(_Phases(phases))
    decoder = TorchScriptPythonDecoder(traced)  # has to live until the end of the conversion
    frontend = FrontEndManager().load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    exact = opset13.clamp(_result(model), -_BEYOND, _BEYOND)
    shuffled = opset13.depth_to_space(exact, "depth_first", scale)
    model = Model([opset13.result(shuffled)], model.get_parameters())
    model.reshape([-1, -1, -1, 3])
    return model


def opening_in_float32(core: Core, model: Any) -> Any:
    """The same model, in which convolutions of pixels by 5x5 stay in float32, whatever the hint.

    And what is done to their results before the next convolution. The attribute that says so
    can only be given in the form that models have in files.

    Raises:
        OSError: there is no room for temporary files.
    """
    with _scratch() as folder:
        file = Path(folder) / "model.xml"
        save_model(model, file, compress_to_fp16=False)
        tree = ElementTree.fromstring(file.read_bytes())  # noqa: S314 - OpenVINO wrote it
        data = file.with_suffix(".bin").read_bytes()
    names = _opening(model)
    for layer in tree.iter("layer"):
        if layer.get("name") in names:
            place = layer.find("rt_info")
            if place is None:
                place = ElementTree.Element("rt_info")
                layer.insert(int(layer.find("data") is not None), place)
            ElementTree.SubElement(place, "attribute", _EXACT)
    return core.read_model(ElementTree.tostring(tree), data)


def _scratch() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory()
    except FileNotFoundError:  # a container whose files can only be read still has this
        return TemporaryDirectory(dir="/dev/shm")


def _opening(model: Any) -> set[str]:
    """The names of those convolutions, and of what follows up to the next."""
    waiting = [
        op
        for op in model.get_ordered_ops()
        if op.get_type_name() == "Convolution" and op.input_value(1).get_shape()[1:] == [3, 5, 5]
    ]
    names: set[str] = set()
    while waiting:
        op = waiting.pop()
        if op.get_friendly_name() in names:
            continue
        names.add(op.get_friendly_name())
        after = (place.get_node() for out in op.outputs() for place in out.get_target_inputs())
        waiting += [other for other in after if other.get_type_name() != "Convolution"]
    return names


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
