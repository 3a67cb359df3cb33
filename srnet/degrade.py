"""From high resolution to low: how the pictures that people have came about.

``clean`` is the benchmark's antialiased bicubic and nothing else. ``photo`` is what happens
to a photograph on its way through cameras, editors and web sites: a little blur, some
resampling kernel, noise, JPEG; and sometimes nothing. What happens to one picture is its
:class:`Damage`, done here by OpenCV to whole pictures, and in training by
:mod:`srnet.simulate` to batches of patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from srnet.bicubic import resize

Pixels = npt.NDArray[np.uint8]

JPEG_GRID = 16  # pixels; a JPEG with 4:2:0 chroma repeats its blocks with this period
SOFTENING = 0.3  # of the scale: what editors that shrink linearly filter before; half of enough

Kernel = Literal["bicubic", "area", "linear"]


@dataclass(frozen=True)
class Damage:
    """What happens to one picture on its way to low resolution, in this order."""

    blur: tuple[float, float] = (0.0, 0.0)  # sigma in high-resolution pixels: rows, columns
    kernel: Kernel = "bicubic"  # of the shrink
    noise: float = 0.0  # sigma in 8-bit levels
    grey_noise: bool = False  # the same for all channels
    quality: int = 0  # of JPEG; 0: none
    chroma_half: bool = False  # JPEG in 4:2:0, else 4:4:4


def draw_damage(scale: int, rng: np.random.Generator, undamaged: float = 1 / 4) -> Damage:
    """What happens to a picture that people have; to a share of them, nothing but the shrink.

    So the network also learns to leave good input alone.
    """
    if rng.random() < undamaged:
        return Damage()
    u = rng.random(10)
    blur = scale * (0.1 + 0.4 * u[1:3]) * (u[0] < 0.5)
    kernel: Kernel = "bicubic" if u[3] < 0.6 else "area" if u[3] < 0.85 else "linear"
    noise = float(0.5 + 5.5 * u[5]) * bool(u[4] < 0.5)
    quality = int(30 + 66 * u[7]) if u[6] < 0.85 else 0
    grey, half = bool(u[8] < 0.4), bool(u[9] < 0.8)
    return Damage((float(blur[0]), float(blur[1])), kernel, noise, grey, quality, half)


def mild_damage(scale: int, rng: np.random.Generator) -> Damage:
    """Light blur, light noise and a JPEG of quality 40 to 90, all three: what scores are for."""
    u = rng.random(3)
    blur = float(scale * (0.1 + 0.2 * u[0]))
    noise = float(0.5 + 2.5 * u[1])
    return Damage((blur, blur), "bicubic", noise, False, int(40 + 51 * u[2]), True)


def clean(high: Pixels, scale: int) -> Pixels:
    """Shrink ``(s * h, s * w, C)`` to ``(h, w, C)`` as MATLAB's ``imresize`` does."""
    low = resize(high, high.shape[0] // scale, high.shape[1] // scale)
    return low.astype(np.uint8, copy=False)


def photo(high: Pixels, scale: int, rng: np.random.Generator) -> Pixels:
    """Shrink ``(s * h, s * w, 3)`` to ``(h, w, 3)`` with a :class:`Damage` of its own."""
    return damaged(high, scale, draw_damage(scale, rng), rng)


def mild(high: Pixels, scale: int, rng: np.random.Generator) -> Pixels:
    """Shrink ``(s * h, s * w, 3)`` to ``(h, w, 3)`` with a :func:`mild_damage` of its own."""
    return damaged(high, scale, mild_damage(scale, rng), rng)


def damaged(high: Pixels, scale: int, damage: Damage, rng: np.random.Generator) -> Pixels:
    """Shrink ``(s * h, s * w, 3)`` to ``(h, w, 3)``; ``rng`` makes the noise."""
    if all(damage.blur):
        high = _gaussian(high, *damage.blur)
    low = _shrink(high, scale, damage.kernel)
    if damage.noise:
        shape = (*low.shape[:2], 1 if damage.grey_noise else low.shape[2])
        noise = rng.normal(0.0, damage.noise, shape)
        low = np.clip(np.rint(low + noise), 0, 255).astype(np.uint8)
    return jpeg(low, damage.quality, damage.chroma_half) if damage.quality else low


def jpeg(picture: Pixels, quality: int, chroma_half: bool = True) -> Pixels:
    """Through JPEG and back; ``(h, w, 3)`` RGB; ``chroma_half`` is 4:2:0, else 4:4:4."""
    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        if chroma_half
        else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    )
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", picture[..., ::-1], flags)
    decoded: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[..., ::-1])


def _gaussian(picture: Pixels, sigma_y: float, sigma_x: float) -> Pixels:
    blurred: Any = cv2.GaussianBlur(picture, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y)
    return np.asarray(blurred, np.uint8)


def _shrink(high: Pixels, scale: int, kernel: str) -> Pixels:
    if kernel == "bicubic":
        return clean(high, scale)
    if kernel == "linear":
        high = _gaussian(high, SOFTENING * scale, SOFTENING * scale)
    flag = cv2.INTER_AREA if kernel == "area" else cv2.INTER_LINEAR
    size = (high.shape[1] // scale, high.shape[0] // scale)
    return np.asarray(cv2.resize(high, size, interpolation=flag), np.uint8)
