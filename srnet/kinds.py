"""Pictures as other libraries hold them: numpy arrays and PIL images."""

from __future__ import annotations

from typing import Any

import numpy as np

from srnet.errors import OptionError
from srnet.image import Image, PILImage, from_array, from_pil, to_pil


def from_kind(picture: Any) -> Image:
    """An :class:`Image`, a numpy array or a PIL image as an :class:`Image`.

    Raises:
        OptionError: an array of another shape or dtype, or something else altogether.
        PictureError: a PIL image that cannot be loaded.
    """
    if isinstance(picture, Image):
        return picture
    if isinstance(picture, np.ndarray):
        return from_array(picture)
    if isinstance(picture, PILImage):
        if 0 in picture.size:
            raise OptionError(f"the Pillow image has no pixels: it is {picture.size}")
        return from_pil(picture)
    raise OptionError(
        "a picture is a path, the bytes of a file, a numpy array, a PIL image or an "
        f"srnet.Image, not {type(picture).__name__}"
    )


def to_kind(image: Image, kind: Any) -> Any:
    """``image`` as the kind of thing that ``kind`` is; a grey ``(H, W)`` array stays one."""
    if isinstance(kind, Image):
        return image
    if not isinstance(kind, np.ndarray):
        return to_pil(image)
    rgb = image.rgb
    if np.may_share_memory(rgb, kind):  # nothing was to be changed: the caller may change one
        rgb = rgb.copy()
    if kind.ndim == 2:
        return rgb[..., 0]
    return rgb if image.alpha is None else np.dstack([rgb, image.alpha])
