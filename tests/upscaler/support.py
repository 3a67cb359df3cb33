"""Pictures for the tests of the upscaler."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import PIL.ImageOps


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()
