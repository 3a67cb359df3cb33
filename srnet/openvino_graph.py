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

from srnet.model import SRNet

Phases = Callable[..., Tensor]  # of (N, 3, h, w) and perhaps others: (N, 3 * s * s, h, w)

_TRIES = 20
_BEYOND = 256.0  # times white: no result is
_BASE = "base/"  # before the names of what makes it, and stays in float32
_EXACT = {"name": "precise", "version": "0"}


class _Phases(nn.Module):
    """A term of the network before its pixel-shuffle, from pixels with the channels last."""

    def __init__(self, phases: Phases) -> None:
        super().__init__()
        self.phases = phases

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        return self.phases(x.permute(0, 3, 1, 2), *others)


def converted(net: SRNet) -> Any:
    """An OpenVINO model of a network: ``(N, h, w, 3)`` to ``(N, 3, s * h, s * w)``, any sizes.

    With a base there are two inputs, both the same pixels: one input would share nodes, which
    then run in one precision. Base and residual are added before the shuffle, by a convolution
    itself. The shuffle is OpenVINO's own, and the channels stay first: as PyTorch's it took 31 of
    the 99 ms of a small network at x4. The last convolution of the residual has to do something
    in float32, or its result would be rounded.
    """
    model = _term(net.phases)
    inputs, result = model.get_parameters(), _result(model)
    if net.base is None or net.missing is not None:
        result = opset13.clamp(result, -_BEYOND, _BEYOND)
        result.set_friendly_name(f"{_BASE}clamp")
    if net.base is not None:
        pixels, base = _base_term(net, result)
        inputs, result = [*inputs, pixels], opset13.add(result, base)
    shuffled = opset13.depth_to_space(result, "depth_first", net.config.scale)
    model = Model([opset13.result(shuffled)], inputs)
    model.reshape({place: [-1, -1, -1, 3] for place in model.inputs})
    return model


def _base_term(net: SRNet, residual: Any) -> tuple[Any, Any]:
    """The pixels that the base reads, and its phases, given those of the residual."""
    examples = [] if net.missing is None else [torch.rand(2, 3 * net.config.scale**2, 24, 20)]
    term = _term(net.enlarged, *examples)
    pixels, *others = term.get_parameters()
    for op in term.get_ordered_ops():  # or some would be called as those of the residual
        op.set_friendly_name(f"{_BASE}{op.get_friendly_name()}")
    for place in others:
        place.output(0).replace(residual.output(0))
    return pixels, _result(term)


def _term(phases: Phases, *others: Tensor) -> Any:
    """The model of one term, of pixels and ``others``, here as examples.

    By the front end itself: ``openvino.convert_model`` would report its use over the network.
    PyTorch traces in one thread at a time: :class:`srnet.engine.LocalEngine` sees to that.
    """
    traced = _traced(_Phases(phases), torch.rand(2, 24, 20, 3), *others)
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
    waiting = [op for op in model.get_ordered_ops() if is_base(op) or _is_opening(op)]
    names: set[str] = set()
    while waiting:
        op = waiting.pop()
        if op.get_friendly_name() in names:
            continue
        names.add(op.get_friendly_name())
        after = (place.get_node() for out in op.outputs() for place in out.get_target_inputs())
        waiting += [other for other in after if other.get_type_name() != "Convolution"]
    return names


def is_base(op: Any) -> bool:
    """Whether an operation is part of what is added to the residual."""
    return str(op.get_friendly_name()).startswith(_BASE)


def _is_opening(op: Any) -> bool:
    if op.get_type_name() != "Convolution":
        return False
    return list(op.input_value(1).get_shape()[1:]) == [3, 5, 5]


def _traced(module: nn.Module, *examples: Tensor) -> Any:
    """Trace without the warning that tracing is to be replaced some day.

    ``warnings.catch_warnings`` is not safe between threads: its end in one thread brings back
    the filters from before, and so it may take ours along. Where warnings are errors, that is
    one, raised before anything is traced: try again.
    """
    for attempt in range(_TRIES):
        warnings.filterwarnings("ignore", r"`torch\.jit\.trace", DeprecationWarning)
        try:
            return torch.jit.trace(module, examples)  # type: ignore[no-untyped-call]
        except DeprecationWarning:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("it has returned or raised")


def _result(model: Any) -> Any:
    return model.output(0).get_node().input_value(0)
