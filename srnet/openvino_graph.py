"""From :class:`srnet.model.SRNet` to OpenVINO's graph, part of which stays in float32."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import torch
from openvino import Core, Model, opset1, opset13, save_model
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

Phases = Callable[[Tensor], Tensor]  # (N, 3, h, w) to (N, 3 * s * s, h, w)

_TRIES = 20
_BEYOND = 256.0  # times white: no result is
_BASE = "base/"  # before the names of what makes it
_EXACT = {"name": "precise", "version": "0"}


class _Phases(nn.Module):
    """A term of the network before its pixel-shuffle, from pixels with the channels last."""

    def __init__(self, phases: Phases) -> None:
        super().__init__()
        self.phases = phases

    def forward(self, x: Tensor) -> Tensor:
        return self.phases(x.permute(0, 3, 1, 2))


def converted(residual: Phases, base: Phases | None, scale: int) -> Any:
    """An OpenVINO model of the sum of two terms, given as what comes before their pixel-shuffle.

    ``(N, h, w, 3)`` to ``(N, 3, s * h, s * w)``, all sizes free. With a base there are two inputs,
    both the same pixels: one input would share nodes, which then run in one precision. The terms
    are added before the shuffle, by the last convolution itself. The shuffle is OpenVINO's own,
    and the channels stay first: as PyTorch's it took 31 of the 99 ms of a small network at x4.
    The last convolution has to do something in float32, or its result would be rounded.
    """
    model = _term(residual)
    inputs, result = model.get_parameters(), _result(model)
    if base is None:
        result = opset13.clamp(result, -_BEYOND, _BEYOND)
    else:
        exact = _term(base)
        for op in exact.get_ordered_ops():  # or some would be called as those of the residual
            op.set_friendly_name(f"{_BASE}{op.get_friendly_name()}")
        inputs, result = inputs + exact.get_parameters(), opset13.add(result, _result(exact))
    shuffled = opset13.depth_to_space(result, "depth_first", scale)
    model = Model([opset13.result(shuffled)], inputs)
    model.reshape({place: [-1, -1, -1, 3] for place in model.inputs})
    return model


def _term(phases: Phases) -> Any:
    """The model of one term.

    By the front end itself: ``openvino.convert_model`` would report its use over the network.
    PyTorch traces in one thread at a time: :class:`srnet.engine.LocalEngine` sees to that.
    """
    traced = _traced(_Phases(phases))
    decoder = TorchScriptPythonDecoder(traced)  # has to live until the end of the conversion
    frontend = FrontEndManager().load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    for op in model.get_ordered_ops():
        if op.get_type_name() == "Pad":  # of the first edition: others lose what is said of them
            pad = opset1.pad(*op.input_values()[:3], op.get_attributes()["pad_mode"])
            op.output(0).replace(pad.output(0))
    return model


def exact_in_float32(core: Core, model: Any) -> Any:
    """The same model, in which base, sum and opening stay in float32, whatever the hint.

    The opening are convolutions of pixels by 5x5, and what is done to their results before the
    next convolution. The attribute that says so can only be given in the form that models have
    in files.

    Raises:
        OSError: there is no room for temporary files.
    """
    with _scratch() as folder:
        file = Path(folder) / "model.xml"
        save_model(model, file, compress_to_fp16=False)
        tree = ElementTree.fromstring(file.read_bytes())  # noqa: S314 - OpenVINO wrote it
        data = file.with_suffix(".bin").read_bytes()
    names = _exact(model)
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


def _exact(model: Any) -> set[str]:
    """The names of all that has to stay in float32."""
    waiting = [op for op in model.get_ordered_ops() if _is_base(op) or _is_opening(op)]
    names: set[str] = set()
    while waiting:
        op = waiting.pop()
        if op.get_friendly_name() in names:
            continue
        names.add(op.get_friendly_name())
        after = (place.get_node() for out in op.outputs() for place in out.get_target_inputs())
        waiting += [other for other in after if other.get_type_name() != "Convolution"]
    return names


def _is_base(op: Any) -> bool:
    return str(op.get_friendly_name()).startswith(_BASE)


def _is_opening(op: Any) -> bool:
    if op.get_type_name() != "Convolution":
        return False
    return list(op.input_value(1).get_shape()[1:]) == [3, 5, 5]


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
