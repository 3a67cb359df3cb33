"""Eight bits in OpenVINO's graphs: rounded inputs and weights, in the range this processor bears.

Processors without instructions for it (VNNI on x86-64) add two products of an unsigned and a
signed byte in 16 bits, and cut off what is larger: 2 * 255 * 127 is, 2 * 255 * 64 is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from openvino import Core, Model, opset13

_COLOURS = 3
_ACTIVATION_LEVELS = 256
_WEIGHT_LEVELS = 255  # as many below zero as above
FULL, HALF = 127, 64  # the level of the largest weight, of 127 levels above zero
_TRIAL = (1, 16, 3, 3)  # of the trial's input: one pixel of output, channels as in real layers


def quantise(model: Any, limits: Sequence[tuple[float, float]], top: int) -> None:
    """Let every convolution but those of pixels and the last run in eight bits.

    The input of each is cut to its limits. ``top`` is the level that the largest weights of
    each output channel take: ``FULL``, or ``HALF``, with which no sum of two products leaves
    16 bits. In the graph and not in the network: of rounding that was traced OpenVINO makes
    float32.
    """
    from srnet.openvino_graph import is_base  # and PyTorch with it, which only building needs

    convolutions = [
        op
        for op in model.get_ordered_ops()
        if op.get_type_name() == "Convolution"
        and op.input_value(1).get_shape()[1] != _COLOURS
        and not is_base(op)
    ]
    for convolution, (low, high) in zip(convolutions[:-1], limits, strict=True):
        _quantise(convolution, low, high, top)
    model.validate_nodes_and_infer_types()


def _quantise(convolution: Any, low: float, high: float, top: int) -> None:
    inputs, weights = convolution.input_value(0), convolution.input_value(1)
    if inputs.get_node().get_type_name() == "Add":
        # changes nothing, but rounding becomes part of it. By itself that runs in float32 and in
        # another order of channels: 4 ms instead of 1 for each block of 64 and a tile of 256
        inputs = opset13.minimum(inputs, np.float32(high)).output(0)
    rounded = _rounded(inputs, np.float32(low), np.float32(high), _ACTIVATION_LEVELS)
    convolution.input(0).replace_source_output(rounded)
    largest = np.abs(weights.get_node().data).max(axis=(1, 2, 3), keepdims=True)
    end = np.maximum(largest, np.float32(1e-12)) * np.float32(FULL / top)
    rounded = _rounded(weights, -end, end, _WEIGHT_LEVELS)
    convolution.input(1).replace_source_output(rounded)


def _rounded(values: Any, low: Any, high: Any, levels: int) -> Any:
    return opset13.fake_quantize(values, low, high, low, high, levels).output(0)


@cache  # one answer for a process: 60 ms
def top_level() -> int:
    """``FULL`` where sums of full products are exact, else ``HALF``; found by trying.

    Not by the names of instructions: neither OpenVINO nor the name of a virtual processor tells.
    """
    pixels = opset13.parameter(_TRIAL, np.float32)
    weights = opset13.constant(np.ones((_TRIAL[1], *_TRIAL[1:]), np.float32))
    sums = opset13.convolution(pixels, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    _quantise(sums, 0.0, 1.0, FULL)
    model = Model([opset13.result(sums)], [pixels])
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = Core().compile_model(model, "CPU", settings)
    found = compiled(np.ones(_TRIAL, np.float32))[0]  # all bytes are at their largest
    return FULL if np.allclose(found, np.prod(_TRIAL), rtol=0.01) else HALF
