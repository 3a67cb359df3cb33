"""Other upscalers of Python: array to array, and as a script from file to file.

``python runner.py bicubic 4 in.png out.png``; instead of ``bicubic``: ``lanczos``, a file of
weights for OpenCV, such as ``FSRCNN_x4.pb``, or a ``.param`` of ncnn with its ``.bin`` beside it.
It imports what the upscaler needs, and nothing else, so that the script is as quick and small as a
program of its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Enlarge = Callable[[Any], Any]  # (h, w, 3) uint8 RGB to (s * h, s * w, 3)
FILTERS = ("bicubic", "lanczos")
_WEIGHTS = re.compile(r"(edsr|espcn|fsrcnn|lapsrn)[^_]*_x([2348])\.pb", re.IGNORECASE)


def pillow(name: str, scale: int) -> Callable[[Any], Any]:
    """A filter of Pillow, from one of its pictures to another."""
    import PIL.Image

    kind = PIL.Image.Resampling[name.upper()]
    return lambda image: image.resize((image.width * scale, image.height * scale), kind)


def opencv(weights: Path, scale: int) -> Enlarge:
    """A network of ``dnn_superres``, BGR to BGR.

    Raises:
        RuntimeError: this OpenCV has no such module.
        ValueError: the name of the file does not say what it is, or another scale.
    """
    import cv2

    if not hasattr(cv2, "dnn_superres"):
        raise RuntimeError(
            f"OpenCV {cv2.__version__} here has no dnn_superres: "
            "install opencv-contrib-python-headless instead of opencv-python-headless"
        )
    known = _WEIGHTS.fullmatch(weights.name)
    if known is None or int(known[2]) != scale:
        raise ValueError(
            f"{weights.name} is not called like FSRCNN_x{scale}.pb (or EDSR, ESPCN, LapSRN)"
        )
    network = cv2.dnn_superres.DnnSuperResImpl_create()
    network.readModel(str(weights))
    network.setModel(known[1].lower(), scale)
    return network.upsample


def ncnn(param: Path, scale: int) -> Enlarge:
    """A network of ncnn that reads and gives RGB in [0, 1], whole pictures, on the processor.

    With ncnn's own settings: all cores, numbers stored in float32. In one piece, without tiles.

    Raises:
        ValueError: not a network of that scale, or one with other borders or colours.
    """
    import ncnn
    import numpy as np

    net = ncnn.Net()
    if net.load_param(str(param)) or net.load_model(str(param.with_suffix(".bin"))):
        raise ValueError(f"{param} and its .bin are no network of ncnn")

    def enlarge(rgb: Any) -> Any:
        planes = np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32) / 255
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], ncnn.Mat(planes))
        result = np.asarray(extractor.extract(net.output_names()[0])[1])
        if result.shape != (3, rgb.shape[0] * scale, rgb.shape[1] * scale):
            raise ValueError(f"{param.name} made {result.shape} of {planes.shape}, not x{scale}")
        return (result.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)

    return enlarge


def on_arrays(kind: str, scale: int) -> Enlarge:
    """The upscaler from one array to another."""
    import numpy as np

    if kind.endswith(".param"):
        return ncnn(Path(kind), scale)
    if kind not in FILTERS:
        enlarge = opencv(Path(kind), scale)
        return lambda rgb: enlarge(np.ascontiguousarray(rgb[..., ::-1]))[..., ::-1]
    import PIL.Image

    enlarge = pillow(kind, scale)
    return lambda rgb: np.asarray(enlarge(PIL.Image.fromarray(rgb)))


def _main(kind: str, scale: int, source: str, target: str) -> None:
    if kind.endswith(".pb"):
        import cv2

        cv2.imwrite(target, opencv(Path(kind), scale)(cv2.imread(source)))
        return
    import PIL.Image

    with PIL.Image.open(source) as image:
        if kind in FILTERS:
            pillow(kind, scale)(image.convert("RGB")).save(target)
            return
        import numpy as np

        PIL.Image.fromarray(ncnn(Path(kind), scale)(np.asarray(image.convert("RGB")))).save(target)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:5])
