"""A picture through the engines: tiles out, batches through, cores pasted, in each pass.

Floats exist for one batch at a time, so memory is input + canvas + one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from srnet import tiles
from srnet.alpha import fill_hidden
from srnet.bicubic import resize, resize_rounding_once
from srnet.engine import Engine
from srnet.ensemble import averaged
from srnet.image import Image
from srnet.options import Options

Array = npt.NDArray[Any]

# Low-resolution pixels about each picture; without, flat colours change by up to 13 levels at
# its border. More changes no level.
SURROUND = 4
RESIDUAL_GAIN = 4.0  # of the residual as a picture
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601: what a grey display shows


def enlarge(
    image: Image,
    size: tuple[int, int],
    engines: Sequence[Engine],
    options: Options,
    tell: Callable[[], None],
) -> Image:
    """A picture through one engine after the other, then in ``size``, height and width.

    Without engines it is bicubic. ``tell`` is called as often as :func:`count_batches` says.
    """
    filled = opaque_colour(image)
    (rgb,) = run_passes(without_colour(filled), engines, options, tell, [filled.dtype])
    return _finished(image, rgb, size, engines, tell)


def explain(
    image: Image,
    size: tuple[int, int],
    engines: Sequence[Engine],
    options: Options,
    tell: Callable[[], None],
) -> tuple[Image, Array]:
    """As :func:`enlarge`, and what of it the network added: float32 ``(H, W, C)``, not rounded."""
    filled = opaque_colour(image)
    source, dtypes = without_colour(filled), [filled.dtype, np.dtype(np.float32)]
    rgb, exact = run_passes(source, engines, options, tell, dtypes)
    if exact.shape[:2] != size:  # what is shrunk is a picture, which ends at black and white
        exact = _resized(np.clip(exact, 0, 1, out=exact), *size)
    exact -= resize(to_float(source), *size)
    return _finished(image, rgb, size, engines, tell), with_channels(exact, filled.shape[2])


def _finished(
    image: Image,
    rgb: Array,
    size: tuple[int, int],
    engines: Sequence[Engine],
    tell: Callable[[], None],
) -> Image:
    """``image`` with the enlarged ``rgb``, in the size and with the channels it is to have."""
    rgb = _resized(with_channels(rgb, image.rgb.shape[2]), *size)
    alpha = image.alpha
    if alpha is not None:
        alpha = resize_rounding_once(alpha, *size)
    if not engines:  # or nothing could be stopped
        tell()
    return replace(image, rgb=rgb, alpha=alpha)


def opaque_colour(image: Image) -> Array:
    """The colour of a picture, also where alpha hides it: there it goes on from what is seen."""
    return image.rgb if image.alpha is None else fill_hidden(image.rgb, image.alpha)


def _resized(rgb: Array, height: int, width: int) -> Array:
    return rgb if rgb.shape[:2] == (height, width) else resize_rounding_once(rgb, height, width)


def run_passes(
    rgb: Array,
    engines: Sequence[Engine],
    options: Options,
    tell: Callable[[], None],
    dtypes: Sequence[npt.DTypeLike],
) -> list[Array]:
    """Enlarge ``(H, W, C)`` by one engine after the other; the result in each of ``dtypes``.

    The first is that of ``rgb``, in which the next pass sees it; the second may be float32, which
    is not rounded. ``tell`` is called after each run of a network.
    """
    results = [rgb, to_float(rgb)][: len(dtypes)]
    for engine in engines:
        results = _one_pass(results[0], engine, options, tell, dtypes)
    return results


def _one_pass(
    rgb: Array,
    engine: Engine,
    options: Options,
    tell: Callable[[], None],
    dtypes: Sequence[npt.DTypeLike],
) -> list[Array]:
    scale, (height, width, channels) = engine.card.scale, rgb.shape
    whole = (height * scale, width * scale, channels)
    canvases: list[Array] = [np.empty(whole, kind) for kind in dtypes]
    groups = grouped(height, width, engine, options.tile, options.batch_pixels)
    batches = (_batch(rgb, group) for group in groups)
    enlarged = averaged(engine, batches, options.ensemble, tell)
    for group, result in zip(groups, enlarged, strict=True):
        for place, output in zip(group, result, strict=True):
            kept = tiles.core(output, place, scale)
            if options.strength < 1:
                kept_base = tiles.core(_base(rgb, place, scale), place, scale)
                kept = kept_base + np.float32(options.strength) * (kept - kept_base)
            for canvas in canvases:
                tiles.paste(canvas, place, _to_dtype(kept, channels, canvas.dtype), scale)
    return canvases


def _base(rgb: Array, tile: tiles.Tile, scale: int) -> Array:
    """The bicubic enlargement of a crop, as float."""
    return resize(to_float(tiles.crop(rgb, tile)), tile.height * scale, tile.width * scale)


def count_batches(height: int, width: int, engines: Sequence[Engine], options: Options) -> int:
    """How often ``tell`` is called: by :func:`run_passes`, or once when all is done without it."""
    count = 0
    for engine in engines:
        count += len(grouped(height, width, engine, options.tile, options.batch_pixels))
        height, width = height * engine.card.scale, width * engine.card.scale
    return count * options.ensemble or 1


def grouped(
    height: int, width: int, engine: Engine, tile: int, batch_pixels: int | None
) -> list[list[tiles.Tile]]:
    """The tiles of a picture, as many together as make a batch (of one tile's area if None).

    So a smaller tile needs less memory, and its batches end sooner.
    """
    plan = tiles.plan(height, width, tile, engine.card.halo, SURROUND)
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


def with_channels(rgb: Array, channels: int) -> Array:
    """The inverse of :func:`without_colour`."""
    return rgb if rgb.shape[2] == channels else np.repeat(rgb, channels, axis=2)


def to_float(values: Array) -> npt.NDArray[np.float32]:
    """Integers to [0, 1]; what is float already stays as it is."""
    if values.dtype == np.float32:
        return values
    return values.astype(np.float32) * np.float32(1 / np.iinfo(values.dtype).max)


def visible(residual: Array, alpha: Array | None = None) -> npt.NDArray[np.uint8]:
    """A residual in units of full scale as a picture: grey where nothing was added.

    Where ``alpha``, ``(H, W)`` of integers, hides the result, it hides what was added too.
    """
    levels = np.multiply(residual, np.float32(255 * RESIDUAL_GAIN))
    if alpha is not None:
        levels *= to_float(alpha)[..., None]
    levels += np.float32(127.5)
    np.rint(levels, out=levels)
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


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
