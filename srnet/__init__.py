"""Faithful image super-resolution: bicubic plus a learned residual, in exact tiles.

::

    import srnet

    srnet.upscale("in.jpg", "out.png", scale=4)
    up = srnet.load("photo", scale=2)
    larger = up(array)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from srnet.errors import (
    Cancelled,
    DataError,
    DecodeError,
    DeviceError,
    OptionError,
    OutputError,
    PictureError,
    SetupError,
    SRNetError,
    TooLargeError,
    TrainingError,
    WeightsError,
)

__version__ = "0.1.0"

__all__ = [
    "Cancelled",
    "DataError",
    "DecodeError",
    "DeviceError",
    "Image",
    "OptionError",
    "Options",
    "OutputError",
    "PictureError",
    "SRNetError",
    "SetupError",
    "TooLargeError",
    "TrainingError",
    "Upscaler",
    "WeightsError",
    "load",
    "upscale",
]

_HOME = {  # imported when first used, so that `import srnet` stays quick
    "Image": "srnet.image",
    "Options": "srnet.options",
    "Upscaler": "srnet.upscaler",
    "load": "srnet.product",
    "upscale": "srnet.product",
}

if TYPE_CHECKING:
    from srnet.image import Image
    from srnet.options import Options
    from srnet.product import load, upscale
    from srnet.upscaler import Upscaler


def __dir__() -> list[str]:
    return [*__all__, "__version__"]  # also what is imported when first used


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'srnet' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
