"""Pictures as other libraries hold them: numpy arrays and PIL images."""

from __future__ import annotations

from typing import Any

import numpy as np

from srnet.image import Image, from_array, from_pil, to_pil


def from_kind(picture: Any) -> Image:
    """An :class:`Image`, a numpy array or a PIL image as an :class:`Image`.

    Raises:
        PictureError: an array of another shape or dtype, or something else altogether.
    """
    if isinstance(picture, Image):
        return picture
    return from_array(picture) if isinstance(picture, np.ndarray) else from_pil(picture)


def to_kind(image: Image, kind: Any) -> Any:
    """``image`` as the kind of thing that ``kind`` is; a grey ``(H, W)`` array stays one."""
    if isinstance(kind, Image):
        return image
    if not isinstance(kind, np.ndarray):
        return to_pil(image)
    if kind.ndim == 2:
        return image.rgb[..., 0]
    return image.rgb if image.alpha is None else np.dstack([image.rgb, image.alpha])
