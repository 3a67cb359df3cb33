"""ONNX: the whole network, base included, with free batch, height and width."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from srnet.card import Card
from srnet.enlarge import SURROUND
from srnet.errors import OutputError, SetupError
from srnet.files import write_atomic
from srnet.weights import load

if TYPE_CHECKING:
    from srnet.model import SRNet

TOLERANCE = 1e-4  # of full scale: a fortieth of an 8-bit level
DESCRIPTION = (  # in the file, for whoever finds only that
    "Super-resolution. input: float32 (batch, 3, height, width), RGB from 0 to 1 as in sRGB; "
    "output: the same, larger by the scale, not limited to 0 to 1. For the pixels of srnet give "
    f"it {SURROUND} more pixels on each side, of the mirror image (the edge is there twice), "
    "and cut as many times the scale from each side of the output."
)
SHAPES = ((1, 3, 32, 32), (2, 3, 17, 41), (1, 3, 5, 2))  # (N, 3, h, w) to check


def export_onnx(weights: Path, target: Path) -> float:
    """Write ``target`` and check it against torch on three shapes.

    The model takes ``input`` (N, 3, h, w) float32 in [0, 1] and gives ``output``
    (N, 3, s * h, s * w), not clamped; its metadata hold the card. Returns the largest
    difference from torch.

    Raises:
        SetupError: the extra ``srnet[export]`` is not installed.
        OutputError: the exported model computes something else, or cannot be written; nothing is.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise SetupError(
            f"exporting needs more packages ({error.name}): "
            "pip install '.[export]' in the clone of srnet"
        ) from error
    net, card = load(weights)
    model = _model(net, card)
    difference = _difference(net, model)
    if difference > TOLERANCE:
        raise OutputError(f"{target.name} would differ from torch by {difference:.1e}")
    write_atomic(target, model, parents=True)
    return difference


def _model(net: SRNet, card: Card) -> bytes:
    """The network as an ONNX file, with its card."""
    import torch

    with _quiet_exporter():
        program = torch.onnx.export(
            net,
            (torch.rand(2, 3, 24, 20),),
            dynamo=True,
            dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
            input_names=["input"],
            output_names=["output"],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    model.doc_string = DESCRIPTION
    entry = model.metadata_props.add()
    entry.key, entry.value = "srnet.card", card.to_json()
    written: bytes = model.SerializeToString()
    return written


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep from the user what the exporter says of itself: that torchvision is not there."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # its own deprecations
            yield
    finally:
        log.setLevel(before)


def _difference(net: SRNet, model: bytes) -> float:
    import numpy as np
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    worst = 0.0
    for shape in SHAPES:
        x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = net(x).numpy()
        (found,) = session.run(None, {"input": x.numpy()})
        worst = max(worst, float(np.abs(found - expected).max()))
    return worst
