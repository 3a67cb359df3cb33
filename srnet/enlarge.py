"""One pass of a picture through an engine: tiles out, batches through, cores pasted.

Floats exist for one batch at a time, so memory is input + canvas + one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from srnet import tiles
from srnet.bicubic import resize
from srnet.engine import Engine

Array = npt.NDArray[Any]

_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601: what a grey display shows


def one_pass(
    rgb: Array,
    engine: Engine,
    *,
    tile: int,
    batch_pixels: int | None,
    strength: float,
    tell: Callable[[], None],
) -> Array:
    """Enlarge ``(H, W, C)`` by the scale of the engine; the dtype stays.

    ``tell`` is called after each batch.
    """
    scale, (height, width, channels) = engine.card.scale, rgb.shape
    canvas = np.empty((height * scale, width * scale, channels), rgb.dtype)
    groups = grouped(height, width, engine, tile, batch_pixels)
    batches = (_batch(rgb, group) for group in groups)
    for group, result in zip(groups, engine.run(batches), strict=True):
        for place, output in zip(group, result, strict=True):
            kept = tiles.core(output, place, scale)
            if strength != 1:
                height, width = output.shape[:2]
                base = resize(to_float(tiles.crop(rgb, place)), height, width, "replicate")
                kept_base = tiles.core(base, place, scale)
                kept = kept_base + np.float32(strength) * (kept - kept_base)
            tiles.paste(canvas, place, _to_dtype(kept, channels, rgb.dtype), scale)
        tell()
    return canvas


def grouped(
    height: int, width: int, engine: Engine, tile: int, batch_pixels: int | None
) -> list[list[tiles.Tile]]:
    """The tiles of a picture, as many together as make a batch (of one tile's area if None).

    So a smaller tile needs less memory, and its batches end sooner.
    """
    plan = tiles.plan(height, width, tile, engine.card.halo)
    area = tile * tile if batch_pixels is None else batch_pixels
    size = max(1, area // (plan[0].height * plan[0].width))
    rest: Iterator[tiles.Tile] = iter(plan)
    return list(iter(lambda: list(islice(rest, size)), []))


def _batch(rgb: Array, group: list[tiles.Tile]) -> npt.NDArray[np.float32]:
    crops = np.stack([to_float(tiles.crop(rgb, tile)) for tile in group])
    return np.repeat(crops, 3, axis=-1) if crops.shape[-1] == 1 else crops


def without_colour(rgb: Array) -> Array:
    """One channel of ``(H, W, 3)`` if all three are equal everywhere, else ``rgb`` as it is.

    A grey picture that is stored in colour stays neutral, like one that is stored in grey.
    """
    coarse = rgb[::64, ::64]  # most pictures in colour show it here
    neutral = all((part == part[..., :1]).all() for part in (coarse, rgb))
    return rgb[..., :1] if neutral else rgb


def to_float(values: Array) -> npt.NDArray[np.float32]:
    """Integers to [0, 1]; what is float already stays as it is."""
    if values.dtype == np.float32:
        return values
    return values.astype(np.float32) * np.float32(1 / np.iinfo(values.dtype).max)


def _to_dtype(values: Array, channels: int, dtype: np.dtype[Any]) -> Array:
    """Round float ``(h, w, 3)`` to the depth of the canvas; three channels to grey if it is."""
    if channels == 1 and values.shape[-1] == 3:
        values = (values @ _GREY)[..., None]
    if dtype == np.float32:
        return values
    peak = np.iinfo(dtype).max
    scaled = np.multiply(values, np.float32(peak))
    scaled += np.float32(0.5)
    return np.clip(scaled, 0, peak, out=scaled).astype(dtype)
